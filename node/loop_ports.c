/* loop_ports.c: what stands beside a node on its loop: streams, calls on the LAN, names, routers that map ports.
 *
 * Each has threads or a socket of its own; what it has to say comes to the control thread by a descriptor or by an async, and goes to the node by a node_*() call that the next turn settles. None of them is needed: what cannot be had is
 * logged once and its port stays NULL.
 */
#include "node/loop_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "node/beacon_io.h"
#include "node/mapping.h"
#include "node/resolve.h"
#include "node/stream.h"
#include "node/udp.h"
#include "proto/base/log.h"
#include "proto/beacon.h"

#define BEACONS_PER_CALL 32

/* ---- streams ---------------------------------------------------------------------------------------------------- */

struct streams *loop_streams(struct loop *loop)
{
	return loop->streams;
}

static void port_stream_open(void *self, const struct endpoint *to, const char *name, const uint8_t pin[32], const uint8_t *init,
                             size_t len)
{
	struct loop *loop = self;
	(void)streams_open(loop->streams, to, name, pin, init,
	                   len); /* too many orders at once: the node tries again when it does not come up */
}

static void port_stream_close(void *self, const struct endpoint *to)
{
	struct loop *loop = self;
	(void)streams_close(loop->streams, to);
}

static uint64_t port_stream_dropped(void *self)
{
	const struct loop *loop = self;
	return streams_dropped(loop->streams);
}

/* Without it TLS is neither spoken nor taken. */
void loop_streams_start(struct loop *loop, const struct loop_config *config, struct node_port *port)
{
	struct streams_config streams = {.notify = loop_notify, .self = loop};
	int fd, error = 0;
	if (config->node.fallback == FALLBACK_NONE && !config->node.root)
		return;
	if (config->proxy)
		snprintf(streams.proxy, sizeof(streams.proxy), "%s", config->proxy);
	error = streams_new(&loop->streams, &streams, &fd);
	if (error) {
		log_warning("no TLS when UDP is blocked: no thread for it (%s)", strerror(-error));
		return;
	}
	udp_attach(loop->udp, fd);
	port->stream_open = port_stream_open;
	port->stream_close = port_stream_close;
	port->stream_dropped = port_stream_dropped;
}

void loop_streams_ended(struct loop *loop)
{
	struct endpoint ended;
	while (loop->node && loop->streams && streams_ended(loop->streams, &ended))
		node_stream_down(loop->node, &ended, loop_now());
}

/* ---- ports mapped by routers ------------------------------------------------------------------------------------ */

/* On the mapping thread. */
static void mapping_notify(void *self)
{
	struct loop *loop = self;
	uv_async_send(&loop->mapping_moved);
}

static void mapping_moved(uv_async_t *async)
{
	struct loop *loop = async->data;
	struct endpoint external[MAPPED_MAX];
	if (loop->node && loop->mapping)
		node_mapped(loop->node, external, mapping_endpoints(loop->mapping, external), loop_now());
}

void loop_mapping(struct loop *loop, struct mapping_view *ret)
{
	*ret = (struct mapping_view){.on = false};
	if (loop->mapping)
		mapping_view(loop->mapping, ret);
}

void loop_mapping_start(struct loop *loop, const struct endpoint *bound, unsigned n_bound)
{
	struct mapping_config config = {.bound = bound, .n_bound = n_bound, .notify = mapping_notify, .self = loop};
	int error = uv_async_init(loop->uv, &loop->mapping_moved, mapping_moved);
	if (!error) {
		loop_handle_made(loop, &loop->mapping_moved);
		error = mapping_new(&loop->mapping, &config);
	}
	if (error)
		log_warning("routers are not asked to map ports: no thread for it (%s)", strerror(-error));
}

/* ---- the LAN ---------------------------------------------------------------------------------------------------- */

static void port_beacon(void *self, const uint8_t *bytes, size_t len, const unsigned *skip, unsigned n_skip)
{
	const struct loop *loop = self;
	beacon_io_send(loop->beacon, bytes, len, skip, n_skip, loop_now());
}

static void beacons_came(uv_poll_t *poll, int status, int events)
{
	struct loop *loop = poll->data;
	uint8_t bytes[BEACON_BYTES + 1]; /* longer ones are cut, and known by that */
	struct endpoint from;
	(void)events;
	for (unsigned i = 0; status == 0 && i < BEACONS_PER_CALL; i++) {
		long n = beacon_io_recv(loop->beacon, &from, bytes, sizeof(bytes));
		if (n == -EAGAIN)
			return;
		if (n > 0 && loop->node)
			node_beacon_in(loop->node, &from, bytes, (size_t)n, loop_now());
	}
}

/* Where it cannot be had, roots still are. */
void loop_beacons_start(struct loop *loop, bool wanted, struct node_port *port)
{
	int error = wanted ? beacon_io_open(&loop->beacon) : 0;
	if (loop->beacon && (error = loop_poll_make(loop, &loop->beacons, beacon_io_fd(loop->beacon), beacons_came))) {
		beacon_io_close(loop->beacon);
		loop->beacon = NULL;
	}
	if (error)
		log_notice("neighbours are not looked for on the LAN: no sockets for it (%s)", strerror(-error));
	if (loop->beacon)
		port->beacon = port_beacon;
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

static void names_came(uv_poll_t *poll, int status, int events)
{
	struct loop *loop = poll->data;
	struct endpoint at[LOOKUP_FOUND_MAX];
	uint64_t count;
	unsigned n;
	(void)events;
	if (status == 0 && read(loop->names_fd, &count, sizeof(count)) < 0)
		assert(errno == EAGAIN || errno == EINTR);
	for (unsigned i = 0; i < RESOLVING_MAX; i++) {
		struct resolving *r = &loop->resolving[i];
		if (!r->lookup || !lookup_done(r->lookup, at, &n))
			continue;
		lookup_leave(r->lookup);
		r->lookup = NULL;
		if (loop->node)
			node_resolved(loop->node, r->host, at, n, loop_now());
	}
}

static bool port_resolve(void *self, const char *name)
{
	struct loop *loop = self;
	unsigned i = 0;
	while (i < RESOLVING_MAX && loop->resolving[i].lookup)
		i++;
	if (i == RESOLVING_MAX)
		return false;
	struct resolving *r = &loop->resolving[i];
	snprintf(r->host, sizeof(r->host), "%s", name);
	r->lookup = lookup_new(name, false, loop->names_fd);
	return r->lookup != NULL;
}

void loop_names_start(struct loop *loop, struct node_port *port)
{
	static_assert(LOOKUP_FOUND_MAX <= RESOLVED_MAX, "what is found has room");
	loop->names_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int error = loop->names_fd < 0 ? -errno : loop_poll_make(loop, &loop->names, loop->names_fd, names_came);
	if (error)
		log_notice("roots are not looked up by name: no descriptor for it (%s)", strerror(-error));
	else
		port->resolve = port_resolve;
}

/* A look-up under way goes on without us: nothing can end it, and nobody waits for it. */
void loop_names_end(struct loop *loop)
{
	for (unsigned i = 0; i < RESOLVING_MAX; i++)
		lookup_leave(loop->resolving[i].lookup);
	if (loop->names_fd >= 0)
		close(loop->names_fd);
}
