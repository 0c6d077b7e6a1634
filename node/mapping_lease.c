/* mapping_lease.c: one of our ports at one gateway: who is asked, in which order, and until when the answer holds.
 *
 * PCP is asked for the mapping and NAT-PMP for the gateway's address at the same moment, on one port of the gateway. The mapping itself is asked of
 * NAT-PMP only when PCP does not come (an older gateway says so at once), and of UPnP when neither has come after a second: so that a
 * gateway that speaks all three makes one mapping and not three. The first that makes it wins and ends the exchange. Renewal is the same exchange
 * anew, at half of the lifetime; what is held stays meanwhile, and until it expires. All exchanges end by themselves within ASK_MS or UPNP_MS.
 * IPv6 has no NAT to be asked: there the mapping is a hole in the gateway's firewall, and PCP the only one to make it.
 */
#include "node/mapping_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/heap.h"
#include "proto/endpoint.h"
#include "proto/random.h"

#define LIFETIME_S      7200
#define ASK_MS          6000 /* for PCP and NAT-PMP; RFC 6887's own patience is for ever */
#define RETRANSMIT_MS   250  /* doubles: five requests in ASK_MS (RFC 6887, 8.1.1, begins at 3 s) */
#define PCP_GRACE_MS    250  /* that PCP is waited for when NAT-PMP has answered */
#define UPNP_AFTER_MS   1000
#define UPNP_MS         25000  /* a search of all kinds and some calls, each with its own limit in the library */
#define RENEW_LEAST_MS  4000   /* RFC 6887, 11.2.1; else a gateway with tiny lifetimes would keep us busy */
#define RENEW_AGAIN_MS  60000  /* after a renewal that failed, at least */
#define AGAIN_MS        900000 /* where nobody maps; doubles */
#define AGAIN_DOUBLINGS 4      /* up to four hours; a change of links or an announcement asks at once */
#define REFUSED_LEAST_S 60
#define READS_MAX       16 /* datagrams taken at a time */
#define REMOVE_ROUND_MS 150

/* Whether a gateway may call this ours: a private address of a NAT behind a NAT is good in its site. */
static bool plausible(const struct lease *l, const struct endpoint *e)
{
	if (!e->port || e->family != l->way.family)
		return false;
	return e->family == 6 ? endpoint_global(e) || endpoint_private(e) : endpoint_usable(e);
}

void lease_init(struct lease *l, const struct gateway *way, uint16_t port, int wake_fd)
{
	*l = (struct lease){.way = *way, .port = port, .wake_fd = wake_fd, .pcp_fd = -1, .pcp_ms = NEVER};
	random_bytes(l->nonce, sizeof(l->nonce));
}

static void pcp_end(struct lease *l)
{
	if (l->pcp_fd >= 0)
		close(l->pcp_fd);
	l->pcp_fd = -1;
	l->pcp_ms = NEVER;
	l->over[MAPPING_PCP] = true;
}

static void nat_pmp_end(struct lease *l)
{
	nat_pmp_close(l->nat_pmp);
	l->nat_pmp = NULL;
	l->over[MAPPING_NAT_PMP] = true;
}

static void upnp_end(struct lease *l)
{
	upnp_release(l->upnp);
	l->upnp = NULL;
	l->over[MAPPING_UPNP] = true;
}

static void exchange_end(struct lease *l)
{
	pcp_end(l);
	nat_pmp_end(l);
	upnp_end(l);
	l->asking = l->removing = false;
}

void lease_fini(struct lease *l)
{
	exchange_end(l);
}

bool lease_busy(const struct lease *l)
{
	return l->asking || l->removing;
}

static void say_no(struct lease *l, enum mapping_protocol p, const char *why)
{
	l->answer[p] = MAPPING_NO;
	snprintf(l->error[p], sizeof(l->error[p]), "%s", why);
}

static void hold(struct lease *l, enum mapping_protocol by, const struct endpoint *external, uint32_t lifetime_s, uint64_t now)
{
	uint64_t ms = (uint64_t)lifetime_s * 1000;
	if (!plausible(l, external) || !lifetime_s) {
		say_no(l, by, "the gateway has no usable address outside");
		(by == MAPPING_PCP ? pcp_end : by == MAPPING_NAT_PMP ? nat_pmp_end : upnp_end)(l);
		return;
	}
	l->answer[by] = MAPPING_YES;
	l->error[by][0] = 0;
	l->held = true;
	l->by = by;
	l->external = *external;
	l->expires_ms = now + ms;
	l->next_ms = now + (ms / 2 > RENEW_LEAST_MS ? ms / 2 : RENEW_LEAST_MS);
	l->failures = 0;
	l->refused_s = 0;
	exchange_end(l);
}

/* ---- PCP ---- */

static socklen_t address_of(const struct lease *l, const uint8_t ip[16], uint16_t port, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (l->way.family == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)ret;
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, ip, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	in6->sin6_scope_id = ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80 ? l->way.ifindex : 0;
	memcpy(&in6->sin6_addr, ip, 16);
	return sizeof(*in6);
}

/* Bound to the address we ask for, since the gateway compares the two, and connected, so that nobody else can answer. */
static int pcp_open(struct lease *l)
{
	struct sockaddr_storage from, to;
	socklen_t from_len = address_of(l, l->way.source, 0, &from), to_len = address_of(l, l->way.ip, PCP_PORT, &to);
	int fd = socket(l->way.family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&from, from_len) < 0 || connect(fd, (struct sockaddr *)&to, to_len) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	l->pcp_fd = fd;
	return 0;
}

static struct pcp_map pcp_map_of(const struct lease *l)
{
	struct pcp_map map = {.lifetime_s = l->removing ? 0 : LIFETIME_S, .internal = {.family = l->way.family, .port = l->port}};
	memcpy(map.nonce, l->nonce, sizeof(map.nonce));
	memcpy(map.internal.ip, l->way.source, sizeof(map.internal.ip));
	map.wanted = l->held ? l->external : map.internal;
	if (!l->held && l->way.family == 4)
		memset(map.wanted.ip, 0, sizeof(map.wanted.ip)); /* the same port, at whatever address */
	return map;
}

static void pcp_send(struct lease *l, uint64_t now)
{
	struct pcp_map map = pcp_map_of(l);
	uint8_t bytes[PCP_MAP_BYTES];
	pcp_map_encode(&map, bytes);
	/* A lost one is repeated; ECONNREFUSED is the ICMP of the last one and says that nobody listens. */
	if (send(l->pcp_fd, bytes, sizeof(bytes), 0) < 0 && errno == ECONNREFUSED) {
		say_no(l, MAPPING_PCP, "the gateway does not answer");
		pcp_end(l);
		return;
	}
	l->pcp_ms = now + (l->removing ? REMOVE_ROUND_MS : (uint64_t)RETRANSMIT_MS << l->pcp_sent);
	l->pcp_sent++;
}

static void pcp_take(struct lease *l, const uint8_t *bytes, size_t len, uint64_t now)
{
	struct pcp_map map = pcp_map_of(l);
	struct pcp_answer a;
	enum pcp_kind kind = pcp_parse(bytes, len, &map, &a);
	if (kind == PCP_NOTHING)
		return;
	if (l->removing) {
		pcp_end(l);
		return;
	}
	if (kind != PCP_VERSION && !pcp_clock_ok(&l->pcp_clock, a.epoch_s, now))
		l->gateway_lost = true;
	if (kind == PCP_MAPPED) {
		hold(l, MAPPING_PCP, &a.external, a.lifetime_s, now);
		return;
	}
	if (kind == PCP_REFUSED)
		l->refused_s = a.lifetime_s > REFUSED_LEAST_S ? a.lifetime_s : REFUSED_LEAST_S;
	say_no(l, MAPPING_PCP, pcp_result_text(kind == PCP_VERSION ? PCP_UNSUPP_VERSION : a.result));
	pcp_end(l);
}

static void pcp_run(struct lease *l, uint64_t now)
{
	uint8_t bytes[PCP_MAX + 1];
	for (unsigned i = 0; i < READS_MAX && l->pcp_fd >= 0; i++) {
		ssize_t n = recv(l->pcp_fd, bytes, sizeof(bytes), 0);
		if (n >= 0) {
			pcp_take(l, bytes, (size_t)n, now);
		} else if (errno == ECONNREFUSED) {
			say_no(l, MAPPING_PCP, "the gateway does not answer");
			pcp_end(l);
		} else if (errno != EINTR) {
			break;
		}
	}
	if (l->pcp_fd >= 0 && l->pcp_ms <= now)
		pcp_send(l, now);
}

/* ---- NAT-PMP ---- */

static void nat_pmp_failed(struct lease *l, const char *why)
{
	say_no(l, MAPPING_NAT_PMP, why);
	nat_pmp_end(l);
}

static void nat_pmp_map(struct lease *l)
{
	l->nat_pmp_mapping = true;
	if (!nat_pmp_ask_map(l->nat_pmp, l->port, l->held && l->external.port ? l->external.port : l->port, LIFETIME_S))
		nat_pmp_failed(l, "the gateway cannot be asked");
}

static void nat_pmp_run(struct lease *l, uint64_t now)
{
	struct nat_pmp_answer a = {.error = ""};
	if (!l->nat_pmp)
		return;
	enum nat_pmp_kind kind = nat_pmp_read(l->nat_pmp, &a);
	if (l->removing && kind != NAT_PMP_NOTHING) {
		nat_pmp_end(l);
		return;
	}
	if ((kind == NAT_PMP_ADDRESS || kind == NAT_PMP_MAPPED) && !pcp_clock_ok(&l->nat_pmp_clock, a.epoch_s, now))
		l->gateway_lost = true;
	if (kind == NAT_PMP_FAILED) {
		nat_pmp_failed(l, a.error);
	} else if (kind == NAT_PMP_ADDRESS) {
		l->answer[MAPPING_NAT_PMP] = MAPPING_YES;
		l->error[MAPPING_NAT_PMP][0] = 0;
		memcpy(l->nat_pmp_ip, a.ip, 4);
		l->nat_pmp_heard_ms = now;
	} else if (kind == NAT_PMP_MAPPED) {
		struct endpoint external = {.family = 4, .port = a.port};
		memcpy(external.ip, l->nat_pmp_ip, 4);
		hold(l, MAPPING_NAT_PMP, &external, a.lifetime_s < PCP_LIFETIME_MAX ? a.lifetime_s : PCP_LIFETIME_MAX, now);
	}
	if (l->nat_pmp && l->nat_pmp_heard_ms && !l->nat_pmp_mapping && (l->over[MAPPING_PCP] || l->nat_pmp_heard_ms + PCP_GRACE_MS <= now))
		nat_pmp_map(l);
}

/* ---- UPnP ---- */

static void upnp_begin(struct lease *l)
{
	struct upnp_order order = {.port = l->port, .wanted = l->held ? l->external.port : l->port};
	memcpy(order.gateway, l->way.ip, 4);
	memcpy(order.source, l->way.source, 4);
	if (l->removing)
		order.remove = l->upnp_at;
	if (upnp_start(&l->upnp, &order, l->wake_fd) != 0) {
		say_no(l, MAPPING_UPNP, "no thread for it");
		upnp_end(l);
	}
}

static void upnp_run(struct lease *l, uint64_t now)
{
	struct upnp_result r;
	bool others = l->over[MAPPING_PCP] && l->over[MAPPING_NAT_PMP];
	if (l->asking && !l->upnp && !l->over[MAPPING_UPNP] && (others || l->asked_ms + UPNP_AFTER_MS <= now))
		upnp_begin(l);
	if (!l->upnp || !upnp_done(l->upnp, &r))
		return;
	upnp_end(l);
	if (l->removing)
		return;
	if (r.good) {
		l->upnp_at = r.handle;
		hold(l, MAPPING_UPNP, &r.external, UPNP_LEASE, now);
	} else {
		say_no(l, MAPPING_UPNP, r.error);
	}
}

/* ---- the whole ---- */

void lease_ask(struct lease *l, uint64_t now)
{
	exchange_end(l);
	l->asking = true;
	l->asked_ms = now;
	l->next_ms = NEVER;
	l->refused_s = 0;
	l->pcp_sent = 0;
	l->nat_pmp_heard_ms = 0;
	l->nat_pmp_mapping = false;
	l->over[MAPPING_PCP] = pcp_open(l) != 0;
	l->over[MAPPING_NAT_PMP] = l->over[MAPPING_UPNP] = l->way.family != 4;
	if (l->over[MAPPING_PCP])
		say_no(l, MAPPING_PCP, "the gateway cannot be asked");
	else
		pcp_send(l, now);
	if (!l->over[MAPPING_NAT_PMP] && (nat_pmp_open(&l->nat_pmp, l->way.ip) != 0 || !nat_pmp_ask_address(l->nat_pmp)))
		nat_pmp_failed(l, "the gateway cannot be asked");
}

void lease_remove(struct lease *l, uint64_t now)
{
	exchange_end(l);
	l->next_ms = NEVER;
	if (!l->held || l->expires_ms <= now)
		return;
	l->removing = true;
	l->pcp_sent = 0;
	l->over[l->by] = false;
	if (l->by == MAPPING_PCP && pcp_open(l) == 0)
		pcp_send(l, now);
	else if (l->by == MAPPING_NAT_PMP && nat_pmp_open(&l->nat_pmp, l->way.ip) == 0 && nat_pmp_ask_map(l->nat_pmp, l->port, 0, 0))
		l->nat_pmp_mapping = true;
	else if (l->by == MAPPING_UPNP)
		upnp_begin(l);
	else
		l->over[l->by] = true;
}

/* Nobody has made it. */
static void ask_failed(struct lease *l, uint64_t now)
{
	exchange_end(l);
	if (l->held) {
		uint64_t half = l->expires_ms > now ? (l->expires_ms - now) / 2 : 0;
		l->next_ms = now + (half > RENEW_AGAIN_MS ? half : RENEW_AGAIN_MS);
		return;
	}
	uint64_t again = (uint64_t)AGAIN_MS << l->failures;
	if (l->refused_s && (uint64_t)l->refused_s * 1000 < again)
		again = (uint64_t)l->refused_s * 1000;
	if (l->failures < AGAIN_DOUBLINGS)
		l->failures++;
	l->next_ms = now + again;
}

static void patience(struct lease *l, uint64_t now)
{
	if (l->asked_ms + ASK_MS <= now) {
		if (!l->over[MAPPING_PCP]) {
			say_no(l, MAPPING_PCP, "the gateway does not answer");
			pcp_end(l);
		}
		if (!l->over[MAPPING_NAT_PMP])
			nat_pmp_failed(l, "the gateway does not answer");
	}
	if (l->asked_ms + UPNP_MS <= now && !l->over[MAPPING_UPNP]) {
		say_no(l, MAPPING_UPNP, "the gateway does not come to an end");
		upnp_end(l);
	}
}

static bool all_over(const struct lease *l)
{
	return l->over[MAPPING_PCP] && l->over[MAPPING_NAT_PMP] && l->over[MAPPING_UPNP];
}

void lease_run(struct lease *l, uint64_t now)
{
	if (l->asking || l->removing) {
		pcp_run(l, now);
		nat_pmp_run(l, now);
		upnp_run(l, now);
	}
	if (l->asking) {
		patience(l, now);
		if (all_over(l))
			ask_failed(l, now);
	} else if (l->removing && all_over(l)) {
		l->held = l->removing = false;
	}
	if (l->held && l->expires_ms <= now)
		l->held = false;
	if (!lease_busy(l) && l->next_ms <= now)
		lease_ask(l, now);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t lease_deadline(struct lease *l, uint64_t now)
{
	uint64_t at = l->held ? l->expires_ms : NEVER;
	if (!lease_busy(l))
		return sooner(at, l->next_ms);
	if (l->pcp_fd >= 0)
		at = sooner(at, l->pcp_ms);
	if (l->nat_pmp) {
		at = sooner(at, now + (uint64_t)nat_pmp_timeout_ms(l->nat_pmp));
		if (l->nat_pmp_heard_ms && !l->nat_pmp_mapping)
			at = sooner(at, l->nat_pmp_heard_ms + PCP_GRACE_MS);
	}
	if (l->asking) {
		if (!l->upnp && !l->over[MAPPING_UPNP])
			at = sooner(at, l->asked_ms + UPNP_AFTER_MS);
		if (!l->over[MAPPING_PCP] || !l->over[MAPPING_NAT_PMP])
			at = sooner(at, l->asked_ms + ASK_MS);
		if (l->upnp)
			at = sooner(at, l->asked_ms + UPNP_MS);
	}
	return at;
}

unsigned lease_descriptors(const struct lease *l, struct pollfd ret[LEASE_DESCRIPTORS])
{
	unsigned n = 0;
	if (l->pcp_fd >= 0)
		ret[n++] = (struct pollfd){.fd = l->pcp_fd, .events = POLLIN};
	if (l->nat_pmp)
		ret[n++] = (struct pollfd){.fd = nat_pmp_fd(l->nat_pmp), .events = POLLIN};
	return n;
}
