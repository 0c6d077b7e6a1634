/* mapping.c: the thread that keeps our ports mapped.
 *
 * It holds one lease for each of our ports at each way out of this host (mapping_lease.c) and sleeps until the earliest of their deadlines, an answer,
 * a kick, or what a gateway tells everybody on the LAN: that it has started anew. After a kick the ways out are read again; leases of ways that are
 * gone are forgotten, and the others are asked for again, for the gateway behind a link that went and came may be another one. What others may
 * read is a snapshot under a mutex, written after each step. Time is CLOCK_BOOTTIME: gateways count on while we are suspended.
 */
#include "node/mapping.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "node/mapping_parts.h"
#include "node/thread.h"
#include "node/udp.h"
#include "proto/base/heap.h"
#include "proto/base/log.h"
#include "proto/endpoint.h"

#define LEASES_MAX      MAPPED_MAX
#define WAYS_MAX        8
#define QUIET_MS        5000 /* between two times that a lease is asked for on others' behalf */
#define REMOVE_MS       500  /* for all that is given back at the end */
#define ANNOUNCEMENTS   16   /* taken at a time */
#define DESCRIPTORS_MAX (3 + LEASES_MAX * LEASE_DESCRIPTORS)

struct mapping {
	struct mapping_config config;
	struct endpoint bound[UDP_SOCKETS_MAX];
	pthread_t thread;
	int wake_fd;
	int announce_fd[2]; /* IPv4, IPv6; -1 = none */
	struct lease lease[LEASES_MAX];
	unsigned n_leases;

	pthread_mutex_t lock; /* of all below */
	bool stopped, kicked;
	struct mapping_view view;
	struct endpoint external[MAPPED_MAX];
	unsigned n_external;
};

static uint64_t clock_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

const char *mapping_protocol_name(enum mapping_protocol p)
{
	static const char *const names[MAPPING_PROTOCOLS] = {"PCP", "NAT-PMP", "UPnP"};
	return names[p];
}

/* ---- the snapshot ---- */

static void view_protocol(struct mapping_view *v, const struct lease *l, enum mapping_protocol p)
{
	if (l->answer[p] == MAPPING_UNKNOWN || v->protocol[p].answer == MAPPING_YES)
		return;
	if (l->answer[p] == MAPPING_YES || v->protocol[p].answer == MAPPING_UNKNOWN)
		memcpy(v->protocol[p].error, l->error[p], MAPPING_ERROR);
	v->protocol[p].answer = l->answer[p];
}

static void view_add(struct mapping_view *v, const struct lease *l, bool global, uint64_t now)
{
	if (!l->held || endpoint_global(&l->external) != global || v->n_held == MAPPED_MAX)
		return;
	struct mapping_held *h = &v->held[v->n_held++];
	*h = (struct mapping_held){.by = l->by, .external = l->external, .global = global};
	h->gateway = (struct endpoint){.family = l->way.family};
	memcpy(h->gateway.ip, l->way.ip, sizeof(h->gateway.ip));
	h->internal = (struct endpoint){.family = l->way.family, .port = l->port};
	memcpy(h->internal.ip, l->way.source, sizeof(h->internal.ip));
	h->left_s = (uint32_t)(l->expires_ms > now ? (l->expires_ms - now) / 1000 : 0);
}

/* left_s of the snapshot is an absolute second until somebody reads it. */
static void publish(struct mapping *m, uint64_t now)
{
	struct mapping_view v = {.on = true, .no_gateway = m->n_leases == 0};
	struct endpoint external[MAPPED_MAX];
	for (unsigned i = 0; i < m->n_leases; i++) {
		const struct lease *l = &m->lease[i];
		v.asking = v.asking || l->asking;
		for (enum mapping_protocol p = 0; p < MAPPING_PROTOCOLS; p++)
			view_protocol(&v, l, p);
	}
	for (int global = 1; global >= 0; global--)
		for (unsigned i = 0; i < m->n_leases; i++)
			view_add(&v, &m->lease[i], global, now);
	for (unsigned i = 0; i < v.n_held; i++) {
		external[i] = v.held[i].external;
		v.held[i].left_s += (uint32_t)(now / 1000);
	}
	pthread_mutex_lock(&m->lock);
	bool changed = m->n_external != v.n_held;
	for (unsigned i = 0; i < v.n_held && !changed; i++)
		changed = !endpoint_equal(&external[i], &m->external[i]);
	m->view = v;
	m->n_external = v.n_held;
	memcpy(m->external, external, v.n_held * sizeof(external[0]));
	bool stopped = m->stopped;
	pthread_mutex_unlock(&m->lock);
	if (changed && !stopped)
		m->config.notify(m->config.self);
}

unsigned mapping_endpoints(struct mapping *m, struct endpoint ret[MAPPED_MAX])
{
	pthread_mutex_lock(&m->lock);
	unsigned n = m->n_external;
	memcpy(ret, m->external, n * sizeof(ret[0]));
	pthread_mutex_unlock(&m->lock);
	return n;
}

void mapping_view(struct mapping *m, struct mapping_view *ret)
{
	uint32_t now_s = (uint32_t)(clock_ms() / 1000);
	pthread_mutex_lock(&m->lock);
	*ret = m->view;
	pthread_mutex_unlock(&m->lock);
	for (unsigned i = 0; i < ret->n_held; i++)
		ret->held[i].left_s = ret->held[i].left_s > now_s ? ret->held[i].left_s - now_s : 0;
}

/* ---- ways out ---- */

static int ways_by_netlink(struct gateway *ret, unsigned room)
{
	struct netlink *netlink;
	int n = netlink_open(&netlink);
	if (n)
		return n;
	n = netlink_gateways(netlink, ret, room);
	netlink_close(netlink);
	return n;
}

static bool same_way(const struct lease *l, const struct gateway *way, uint16_t port)
{
	return l->port == port && l->way.family == way->family && l->way.ifindex == way->ifindex &&
	       !memcmp(l->way.ip, way->ip, sizeof(way->ip)) && !memcmp(l->way.source, way->source, sizeof(way->source));
}

/* Whether a socket takes what comes to that address of ours. */
static bool listens(const struct endpoint *bound, const struct gateway *way)
{
	static const uint8_t any[16];
	return bound->family == way->family && bound->port && (!memcmp(bound->ip, any, 16) || !memcmp(bound->ip, way->source, 16));
}

static bool wanted(const struct mapping *m, const struct lease *l, const struct gateway *ways, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < m->config.n_bound; k++)
			if (listens(&m->bound[k], &ways[i]) && same_way(l, &ways[i], m->bound[k].port))
				return true;
	return false;
}

/* Once more, but not more often than a gateway should be asked. */
static void ask_soon(struct lease *l, uint64_t now)
{
	uint64_t at = l->asked_ms + QUIET_MS > now ? l->asked_ms + QUIET_MS : now;
	l->failures = 0;
	/* While it is being asked the answer may still be the old gateway's. */
	if (at < l->next_ms)
		l->next_ms = at;
}

static void lease_add(struct mapping *m, const struct gateway *way, uint16_t port, uint64_t now)
{
	for (unsigned i = 0; i < m->n_leases; i++)
		if (same_way(&m->lease[i], way, port))
			return;
	if (m->n_leases == LEASES_MAX)
		return;
	struct lease *l = &m->lease[m->n_leases++];
	lease_init(l, way, port, m->wake_fd);
	lease_ask(l, now);
}

static void announce_join(const struct mapping *m, const struct gateway *way)
{
	const struct ip_mreqn four = {.imr_multiaddr.s_addr = htonl(INADDR_ALLHOSTS_GROUP), .imr_ifindex = (int)way->ifindex};
	struct ipv6_mreq six = {.ipv6mr_interface = way->ifindex};
	/* Failure: it is joined already, or changes are seen at the next renewal. */
	if (way->family == 4 && m->announce_fd[0] >= 0)
		setsockopt(m->announce_fd[0], IPPROTO_IP, IP_ADD_MEMBERSHIP, &four, sizeof(four));
	inet_pton(AF_INET6, "ff02::1", &six.ipv6mr_multiaddr);
	if (way->family == 6 && m->announce_fd[1] >= 0)
		setsockopt(m->announce_fd[1], IPPROTO_IPV6, IPV6_JOIN_GROUP, &six, sizeof(six));
}

static void ways_read(struct mapping *m)
{
	struct gateway ways[WAYS_MAX];
	int n = m->config.gateways ? m->config.gateways(m->config.self, ways, WAYS_MAX) : ways_by_netlink(ways, WAYS_MAX);
	uint64_t now = clock_ms();
	if (n < 0) {
		log_notice("no port mapping: the routes of this host cannot be read (%s)", strerror(-n));
		n = 0;
	}
	for (unsigned i = 0; i < m->n_leases;) {
		if (wanted(m, &m->lease[i], ways, (unsigned)n)) {
			ask_soon(&m->lease[i++], now);
		} else {
			lease_fini(&m->lease[i]);
			m->lease[i] = m->lease[--m->n_leases];
		}
	}
	for (unsigned i = 0; i < (unsigned)n; i++) {
		announce_join(m, &ways[i]);
		for (unsigned k = 0; k < m->config.n_bound; k++)
			if (listens(&m->bound[k], &ways[i]))
				lease_add(m, &ways[i], m->bound[k].port, now);
	}
}

/* ---- announcements ---- */

static int announce_open(int family)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(PCP_ANNOUNCE_PORT)};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(PCP_ANNOUNCE_PORT)};
	bool six = family == AF_INET6;
	const int on = 1;
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* other clients on this host listen too */
	if (six)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, six ? (struct sockaddr *)&in6 : (struct sockaddr *)&in, six ? sizeof(in6) : sizeof(in)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The way it came from, in struct endpoint's terms; the port that gateways answer from. */
static bool from_gateway(const struct sockaddr_storage *from, const struct lease *l)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)from;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
	if (from->ss_family == AF_INET)
		return l->way.family == 4 && ntohs(in->sin_port) == PCP_PORT && !memcmp(&in->sin_addr, l->way.ip, 4);
	return from->ss_family == AF_INET6 && l->way.family == 6 && ntohs(in6->sin6_port) == PCP_PORT &&
	       !memcmp(&in6->sin6_addr, l->way.ip, 16);
}

/* Their clock is not looked at: one that lost its mappings without its clock is asked all the same, for one datagram. */
static void announcements_read(struct mapping *m, int fd, uint64_t now)
{
	uint8_t bytes[PCP_MAX + 1];
	struct sockaddr_storage from;
	for (unsigned i = 0; fd >= 0 && i < ANNOUNCEMENTS; i++) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &len);
		if (n < 0)
			break;
		for (unsigned k = 0; k < m->n_leases && pcp_announces(bytes, (size_t)n); k++)
			if (from_gateway(&from, &m->lease[k]))
				ask_soon(&m->lease[k], now);
	}
}

/* ---- the thread ---- */

static void leases_run(struct mapping *m, uint64_t now)
{
	for (unsigned i = 0; i < m->n_leases; i++) {
		struct lease *l = &m->lease[i];
		lease_run(l, now);
		for (unsigned k = 0; k < m->n_leases && l->gateway_lost; k++)
			if (k != i && !memcmp(m->lease[k].way.ip, l->way.ip, sizeof(l->way.ip)))
				ask_soon(&m->lease[k], now);
		l->gateway_lost = false;
	}
}

/* Until something comes or the time is there. */
static void sleep_until(struct mapping *m, uint64_t at)
{
	struct pollfd fds[DESCRIPTORS_MAX] = {
	    {.fd = m->wake_fd, .events = POLLIN}, {.fd = m->announce_fd[0], .events = POLLIN}, {.fd = m->announce_fd[1], .events = POLLIN}};
	unsigned n = 3;
	uint64_t now = clock_ms(), count;
	for (unsigned i = 0; i < m->n_leases; i++)
		n += lease_descriptors(&m->lease[i], fds + n);
	int ms = at == NEVER ? -1 : at <= now ? 0 : at - now > INT32_MAX ? INT32_MAX : (int)(at - now);
	if (poll(fds, n, ms) < 0)
		assert(errno == EINTR || errno == ENOMEM);
	if ((fds[0].revents & POLLIN) && read(m->wake_fd, &count, sizeof(count)) < 0)
		assert(errno == EAGAIN);
}

static uint64_t deadline(struct mapping *m, uint64_t now)
{
	uint64_t at = NEVER;
	for (unsigned i = 0; i < m->n_leases; i++) {
		uint64_t one = lease_deadline(&m->lease[i], now);
		at = one < at ? one : at;
	}
	return at;
}

static void announce_close(struct mapping *m)
{
	for (unsigned i = 0; i < 2; i++) {
		if (m->announce_fd[i] >= 0)
			close(m->announce_fd[i]);
		m->announce_fd[i] = -1;
	}
}

static void give_back(struct mapping *m)
{
	uint64_t end = clock_ms() + REMOVE_MS;
	announce_close(m); /* nothing of theirs wakes us any more */
	for (unsigned i = 0; i < m->n_leases; i++)
		lease_remove(&m->lease[i], clock_ms());
	for (;;) {
		uint64_t now = clock_ms();
		bool busy = false;
		for (unsigned i = 0; i < m->n_leases; i++) {
			if (lease_busy(&m->lease[i]))
				lease_run(&m->lease[i], now);
			busy = busy || lease_busy(&m->lease[i]);
		}
		if (!busy || now >= end)
			break;
		uint64_t at = deadline(m, now);
		sleep_until(m, at < end ? at : end);
	}
	for (unsigned i = 0; i < m->n_leases; i++)
		lease_fini(&m->lease[i]);
	m->n_leases = 0;
}

static void *mapping_body(void *self)
{
	struct mapping *m = self;
	for (;;) {
		pthread_mutex_lock(&m->lock);
		bool stopped = m->stopped, kicked = m->kicked;
		m->kicked = false;
		pthread_mutex_unlock(&m->lock);
		if (stopped)
			break;
		if (kicked)
			ways_read(m);
		uint64_t now = clock_ms();
		announcements_read(m, m->announce_fd[0], now);
		announcements_read(m, m->announce_fd[1], now);
		leases_run(m, now);
		publish(m, now);
		sleep_until(m, deadline(m, now));
	}
	give_back(m);
	return NULL;
}

static void wake(struct mapping *m, bool *what)
{
	const uint64_t one = 1;
	pthread_mutex_lock(&m->lock);
	*what = true;
	pthread_mutex_unlock(&m->lock);
	ssize_t n = write(m->wake_fd, &one, sizeof(one));
	assert(n == sizeof(one) || errno == EAGAIN); /* full: it is awake */
}

void mapping_kick(struct mapping *m)
{
	if (m)
		wake(m, &m->kicked);
}

static void fini(struct mapping *m)
{
	announce_close(m);
	if (m->wake_fd >= 0)
		close(m->wake_fd);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

int mapping_new(struct mapping **ret, const struct mapping_config *config)
{
	struct mapping *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	assert(config->n_bound <= UDP_SOCKETS_MAX);
	m->config = *config;
	memcpy(m->bound, config->bound, config->n_bound * sizeof(m->bound[0]));
	m->config.bound = m->bound;
	m->kicked = true;
	m->view.on = m->view.asking = true;
	pthread_mutex_init(&m->lock, NULL);
	m->announce_fd[0] = announce_open(AF_INET);
	m->announce_fd[1] = announce_open(AF_INET6);
	m->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int error = m->wake_fd < 0 ? -errno : thread_start(&m->thread, "mapping", mapping_body, m);
	if (error) {
		fini(m);
		return error;
	}
	*ret = m;
	return 0;
}

void mapping_free(struct mapping *m)
{
	if (!m)
		return;
	wake(m, &m->stopped);
	pthread_join(m->thread, NULL);
	fini(m);
}
