/* mapping_upnp.c: UPnP IGD by miniupnpc, whose calls block.
 *
 * Therefore each errand has a detached thread and a block of memory that both sides hold by a count: who asks may let go at any time, and the thread
 * ends when its last call does (seconds: the library bounds each connection). How many may hang so is limited. A device is believed only
 * when its description and its control lie at the gateway itself: anybody on the LAN may answer a search, and would else send us anywhere.
 */
#include "node/mapping_parts.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>

#include "node/thread.h"
#include "proto/random.h"

#define UPNP_THREADS_MAX 8
#define SEARCH_MS        1000 /* per kind of device */
#define TTL              2    /* as UPnP 1.1 wants it: the LAN and no more */
#define PORT_TRIES       4    /* other ports when one is taken */
#define PORT_LEAST       1024
#define DESCRIPTION      "farlan"
#define CONFLICT         718 /* the port is somebody else's */
#define PERMANENT_ONLY   725

struct upnp {
	atomic_uint holders;
	struct upnp_order order;
	int wake_fd;
	pthread_mutex_t lock;
	bool done;
	struct upnp_result result;
};

static atomic_uint threads;

static void let_go(struct upnp *u)
{
	if (atomic_fetch_sub(&u->holders, 1) != 1)
		return;
	close(u->wake_fd);
	pthread_mutex_destroy(&u->lock);
	free(u);
}

bool upnp_at_host(const char *url, const char *ip)
{
	static const char scheme[] = "http://";
	size_t len = strlen(ip);
	if (!url || strncmp(url, scheme, sizeof(scheme) - 1) != 0)
		return false;
	url += sizeof(scheme) - 1;
	if (strncmp(url, ip, len) != 0)
		return false;
	url += len;
	if (*url == ':')
		url += 1 + strspn(url + 1, "0123456789");
	return *url == '/';
}

static void complain(struct upnp_result *r, const char *what, int code)
{
	const char *text = strupnperror(code);
	snprintf(r->error, sizeof(r->error), "%s: %s (%d)", what, text ? text : "unknown", code);
}

static bool find(const struct upnp_order *o, struct upnp_result *r)
{
	char gateway[INET_ADDRSTRLEN], source[INET_ADDRSTRLEN], lan[64] = "";
	int error = 0;
	inet_ntop(AF_INET, o->gateway, gateway, sizeof(gateway));
	inet_ntop(AF_INET, o->source, source, sizeof(source));
	struct UPNPDev *devices = upnpDiscover(SEARCH_MS, source, NULL, UPNP_LOCAL_PORT_ANY, 0, TTL, &error);
	snprintf(r->error, sizeof(r->error), "the gateway does not answer");
	for (const struct UPNPDev *d = devices; d && !r->found; d = d->pNext) {
		struct UPNPUrls urls = {0};
		struct IGDdatas data = {0};
		if (!upnp_at_host(d->descURL, gateway) || !UPNP_GetIGDFromUrl(d->descURL, &urls, &data, lan, sizeof(lan)))
			continue;
		r->found = upnp_at_host(urls.controlURL, gateway) && *data.first.servicetype && strlen(urls.controlURL) < UPNP_URL &&
		           strlen(data.first.servicetype) < UPNP_URL;
		if (r->found) {
			snprintf(r->handle.control, UPNP_URL, "%s", urls.controlURL);
			snprintf(r->handle.service, UPNP_URL, "%s", data.first.servicetype);
		}
		FreeUPNPUrls(&urls);
	}
	freeUPNPDevlist(devices);
	return r->found;
}

/* One port outside; the gateway may give another. */
static int add(const struct upnp_handle *h, uint16_t port, uint16_t wanted, const char *source, const char *lease, uint16_t *ret)
{
	char in[8], out[8], got[8] = "";
	size_t len = strlen(h->service);
	snprintf(in, sizeof(in), "%u", port);
	snprintf(out, sizeof(out), "%u", wanted);
	/* The second edition of the service finds a free port itself. */
	if (len > 1 && h->service[len - 2] == ':' && h->service[len - 1] == '2') {
		int code = UPNP_AddAnyPortMapping(h->control, h->service, out, in, source, DESCRIPTION, "UDP", NULL, lease, got);
		unsigned long n = code ? 0 : strtoul(got, NULL, 10);
		if (n && n <= UINT16_MAX) {
			*ret = (uint16_t)n;
			return 0;
		}
	}
	int code = UPNP_AddPortMapping(h->control, h->service, out, in, source, DESCRIPTION, "UDP", NULL, lease);
	if (!code)
		*ret = wanted;
	return code;
}

static void map(const struct upnp_order *o, struct upnp_result *r)
{
	char source[INET_ADDRSTRLEN], outside[40] = "", lease[12];
	uint16_t wanted = o->wanted ? o->wanted : o->port;
	int code = 0;
	inet_ntop(AF_INET, o->source, source, sizeof(source));
	snprintf(lease, sizeof(lease), "%d", UPNP_LEASE);
	for (unsigned tries = 0; tries <= PORT_TRIES; tries++) {
		code = add(&r->handle, o->port, wanted, source, lease, &r->external.port);
		if (code == PERMANENT_ONLY)
			snprintf(lease, sizeof(lease), "0");
		else if (code == CONFLICT)
			wanted = (uint16_t)(PORT_LEAST + random_below(UINT16_MAX - PORT_LEAST));
		else
			break;
	}
	if (code) {
		complain(r, "the gateway refuses the mapping", code);
		return;
	}
	code = UPNP_GetExternalIPAddress(r->handle.control, r->handle.service, outside);
	if (code || inet_pton(AF_INET, outside, r->external.ip) != 1) {
		snprintf(r->error, sizeof(r->error), "the gateway does not know its own address");
		return;
	}
	r->external.family = 4;
	r->good = true;
	r->error[0] = 0;
}

static void take_back(const struct upnp_order *o, struct upnp_result *r)
{
	char out[8];
	snprintf(out, sizeof(out), "%u", o->wanted);
	int code = UPNP_DeletePortMapping(o->remove.control, o->remove.service, out, "UDP", NULL);
	r->found = true;
	r->good = code == 0;
	if (code)
		complain(r, "the gateway keeps the mapping", code);
}

static bool wanted_still(const struct upnp *u)
{
	return atomic_load(&u->holders) == 2;
}

static void *upnp_body(void *self)
{
	struct upnp *u = self;
	struct upnp_result r = {0};
	const uint64_t one = 1;
	if (*u->order.remove.control)
		take_back(&u->order, &r);
	else if (find(&u->order, &r) && wanted_still(u))
		map(&u->order, &r);
	if (r.good && !*u->order.remove.control && !wanted_still(u)) {
		struct upnp_order back = {.wanted = r.external.port, .remove = r.handle};
		take_back(&back, &r);
	}
	pthread_mutex_lock(&u->lock);
	u->result = r;
	u->done = true;
	pthread_mutex_unlock(&u->lock);
	ssize_t n = write(u->wake_fd, &one, sizeof(one));
	assert(n == sizeof(one) || errno == EAGAIN); /* a counter that is full wakes anyway */
	let_go(u);
	atomic_fetch_sub(&threads, 1);
	return NULL;
}

int upnp_start(struct upnp **ret, const struct upnp_order *order, int wake_fd)
{
	pthread_t thread;
	int error = -EBUSY;
	if (atomic_fetch_add(&threads, 1) >= UPNP_THREADS_MAX)
		goto failed;
	struct upnp *u = calloc(1, sizeof(*u));
	error = -ENOMEM;
	if (!u)
		goto failed;
	u->order = *order;
	u->wake_fd = fcntl(wake_fd, F_DUPFD_CLOEXEC, 3);
	if (u->wake_fd < 0) {
		error = -errno;
		free(u);
		goto failed;
	}
	pthread_mutex_init(&u->lock, NULL);
	atomic_init(&u->holders, 2);
	error = thread_start(&thread, "upnp", upnp_body, u);
	if (error) {
		close(u->wake_fd);
		pthread_mutex_destroy(&u->lock);
		free(u);
		goto failed;
	}
	pthread_detach(thread);
	*ret = u;
	return 0;
failed:
	atomic_fetch_sub(&threads, 1);
	return error;
}

bool upnp_done(struct upnp *u, struct upnp_result *ret)
{
	pthread_mutex_lock(&u->lock);
	bool done = u->done;
	if (done)
		*ret = u->result;
	pthread_mutex_unlock(&u->lock);
	return done;
}

void upnp_release(struct upnp *u)
{
	if (u)
		let_go(u);
}
