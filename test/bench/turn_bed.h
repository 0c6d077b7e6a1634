/* turn_bed.h: hosts for turn.c, each with one worker, ports that do nothing, and sessions made by hand.
 *
 * udp_* and tap_* are defined here, so the real ones are not linked. tap_read and udp_recv hand out packets that lie ready (not
 * copied), udp_send and tap_write count. NEAR and FAR know each other as members of one network of a hundred; RELAY is no member.
 */
#ifndef TURN_BED_H
#define TURN_BED_H

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/encap.h"
#include "node/fdb.h"
#include "node/layout.h"
#include "node/session.h"
#include "node/udp.h"
#include "node/view.h"
#include "node/worker.h"
#include "proto/ident.h"
#include "tap/tap.h"

#define MEMBERS    100 /* others, of each host's network */
#define CHAN       3
#define NWID       0x1234567890abcdefu
#define DATAGRAM   1472 /* UDP payload over a link of 1500 */
#define LEG_INNER  1442 /* a TCP segment of MTU 1400 as datagram */
#define WIRE_BYTES (128 * 1024)
#define GIVE_BYTES (4 * SUPERFRAME_MAX)
#define TIMESTAMPS 12 /* bytes of the TCP option as it travels */

enum side { NEAR, FAR, RELAY, SIDES };

struct udp {
	struct packet give[BATCH_MAX];
	unsigned n_give;
	bool keep; /* what is sent, for the other side */
	uint64_t sent;
};

struct tap {
	struct packet give[BATCH_MAX];
	unsigned n_give;
	uint64_t written; /* superframes count as one */
};

struct host {
	struct udp udp;
	struct tap tap;
	struct guestbook book;
	struct index *index;
	struct worker *worker;
	struct port *port;
	struct roster *roster;
	struct remote remote[MEMBERS];
	struct member member[MEMBERS];
	struct way way[MEMBERS];
	struct session *session[MEMBERS];
	struct circuit *leg[2];
};

static struct {
	struct host host[SIDES];
	uint64_t now_us;
	struct relay_meter meter;
	uint8_t give[GIVE_BYTES];              /* frames for NEAR's tap_read */
	uint8_t kept[WIRE_BYTES];              /* datagrams as they were sent */
	_Alignas(64) uint8_t wire[WIRE_BYTES]; /* as they are received */
	struct packet packet[BATCH_MAX];       /* in wire */
	unsigned n_kept;
	uint32_t kept_bytes;
} bed;

static void fail(const char *what)
{
	fprintf(stderr, "turn: %s\n", what);
	exit(1);
}

static void need(bool good, const char *what)
{
	if (!good)
		fail(what);
}

/* ---- fake ports ------------------------------------------------------------------------------------------------- */

unsigned udp_sockets(const struct udp *u)
{
	(void)u;
	return 0;
}

int udp_fd(const struct udp *u, unsigned socket, unsigned worker)
{
	(void)u, (void)socket, (void)worker;
	return -1;
}

int tap_fd(const struct tap *t, unsigned queue)
{
	(void)t, (void)queue;
	return -1;
}

unsigned tap_offloads(const struct tap *t)
{
	(void)t;
	return TAP_ALL;
}

unsigned udp_recv(struct udp *u, unsigned worker, uint32_t *look, struct packet *p, unsigned n)
{
	(void)worker;
	*look = 0;
	if (n > u->n_give)
		n = u->n_give;
	for (unsigned i = 0; i < n; i++) {
		const struct packet *from = &u->give[i];
		p[i].data = from->data;
		p[i].len = p[i].room = from->len;
		p[i].from = from->from;
		p[i].socket = 0;
		p[i].verdict = DROP_NONE;
	}
	return n;
}

static void keep(const void *bytes, uint32_t len, struct endpoint from)
{
	need(bed.n_kept < BATCH_MAX && bed.kept_bytes + len <= WIRE_BYTES, "more datagrams than one turn receives");
	memcpy(bed.kept + bed.kept_bytes, bytes, len);
	bed.packet[bed.n_kept++] = (struct packet){.data = bed.wire + bed.kept_bytes, .len = len, .from = from};
	bed.kept_bytes += len;
}

static struct endpoint endpoint_of(enum side side, unsigned k)
{
	return (struct endpoint){.family = 4, .port = (uint16_t)(7000 + k), .ip = {10, 0, (uint8_t)side, (uint8_t)k}};
}

void udp_send(struct udp *u, unsigned worker, struct packet *p, unsigned n)
{
	(void)worker;
	for (unsigned i = 0; i < n; i++)
		u->sent += p[i].verdict == DROP_NONE;
	for (unsigned i = 0; u->keep && i < n; i++)
		keep(p[i].data, p[i].len, endpoint_of(NEAR, 0));
}

int tap_read(struct tap *t, unsigned queue, struct slab *slab, struct packet *p, unsigned n)
{
	(void)queue;
	unsigned got = 0;
	for (; got < n && got < t->n_give && slab->room >= TAP_SLAB_MIN; got++) {
		p[got] = t->give[got];
		slab->room -= (p[got].len + 15) & ~15u;
	}
	return (int)got;
}

void tap_write(struct tap *t, unsigned queue, struct packet *p, unsigned n)
{
	(void)queue;
	for (unsigned i = 0; i < n; i += 1 + p[i].tails)
		t->written++;
}

/* ---- two hosts and a relay -------------------------------------------------------------------------------------- */

/* Scattered as random ones are; the other side's member k stands for host `side` there. */
static uint32_t idx_of(enum side side, unsigned k)
{
	return ((unsigned)side * 1000u + k + 1) * 0x9e3779b1u << 4;
}

static uint64_t address_of(enum side side, unsigned k)
{
	return 0x1100000000u + (uint64_t)side * 0x1000000u + k * 77u;
}

static void host_base(enum side side, struct port *port)
{
	struct host *h = &bed.host[side];
	guestbook_init(&h->book, 1);
	struct view *v = calloc(1, sizeof(*v));
	h->index = index_new(256);
	h->worker = worker_new(0, &h->book, &h->udp, -1);
	need(v && h->index && h->worker, "no memory");
	v->index = h->index;
	v->ports_generation = 1;
	v->ports[CHAN - 1] = port;
	guestbook_publish(&h->book, v);
}

static struct port *port_make(enum side side, uint16_t mtu)
{
	struct host *h = &bed.host[side];
	h->port = calloc(1, sizeof(*h->port));
	h->roster = calloc(1, sizeof(*h->roster) + MEMBERS * sizeof(h->roster->member[0]));
	need(h->port && h->roster, "no memory");
	h->port->nwid = NWID;
	h->port->chan = CHAN;
	h->port->address = address_of(side, 0);
	h->port->fdb = fdb_new();
	mac_derive(NWID, h->port->address, h->port->mac);
	atomic_store(&h->port->tap, &h->tap);
	atomic_store(&h->port->mtu, mtu);
	atomic_store(&h->port->open, true);
	atomic_store(&h->port->roster, h->roster);
	return h->port;
}

/* A host with a network of its own address and MEMBERS others. To NEAR, member 0 is FAR, and the other way round. */
static void member_make(enum side side, unsigned k, uint8_t suite, uint32_t caps)
{
	struct host *h = &bed.host[side];
	struct session_keys keys;
	memset(keys.send, (int)(2 * k + side), 32);
	memset(keys.receive, (int)(2 * k + !side), 32);
	memset(keys.exporter, 9, 32);
	struct session *s = session_new(CLASS_DATA, side == NEAR, suite, &keys, idx_of(side, k), idx_of(!side, k), 4, 4, &h->remote[k], 1,
	                                bed.now_us / 1000);
	need(s && index_put(h->index, &s->named), "no session");
	s->peer_caps = caps;
	atomic_store(&s->confirmed, true);
	h->session[k] = s;
	h->way[k] = (struct way){.to = endpoint_of(!side, k), .datagram = DATAGRAM};
	struct remote *r = &h->remote[k];
	r->address = address_of(!side, k);
	atomic_store(&r->session, s);
	atomic_store(&r->way, &h->way[k]);
	atomic_store(&r->member[CHAN - 1], &h->member[k]);
	struct member *m = &h->member[k];
	m->remote = r;
	m->address = r->address;
	m->slot = k;
	mac_derive(NWID, m->address, m->mac);
	atomic_store(&m->tx_chan, CHAN);
	atomic_store(&m->traffic, traffic_new(2));
	atomic_store(&m->rx_open, true);
	h->roster->member[h->roster->n++] = m;
}

/* Leg k leads to a node of its own; what comes on one leaves on the other. The rate is limited, to more than is ever sent. */
static void relay_make(void)
{
	struct host *h = &bed.host[RELAY];
	uint8_t exporter[32] = {5};
	host_base(RELAY, NULL);
	meter_init(&bed.meter, UINT64_C(1) << 40, 0);
	for (unsigned k = 0; k < 2; k++) {
		uint32_t here = idx_of(RELAY, k), there = idx_of(NEAR, k);
		h->way[k] = (struct way){.to = endpoint_of(NEAR, k), .datagram = DATAGRAM};
		atomic_store(&h->remote[k].way, &h->way[k]);
		struct circuit *c = h->leg[k] = circuit_new(here, &h->remote[k], true);
		need(c && index_put(h->index, &c->named), "no circuit");
		leg_derive(&c->rx, exporter, here, there, LEG_TO_RELAY);
		leg_derive(&c->tx, exporter, there, here, LEG_FROM_RELAY);
		c->meter = &bed.meter;
		atomic_store(&c->tx_idx, there);
	}
	atomic_store(&h->leg[0]->twin, h->leg[1]);
	atomic_store(&h->leg[1]->twin, h->leg[0]);
}

static void bed_make(uint16_t mtu, uint8_t suite, uint32_t caps)
{
	memset(&bed, 0, sizeof(bed));
	bed.now_us = 1000000000;
	for (enum side side = NEAR; side <= FAR; side++) {
		host_base(side, port_make(side, mtu));
		for (unsigned k = 0; k < MEMBERS; k++)
			member_make(side, k, suite, caps);
	}
	relay_make();
}

static void bed_free(void)
{
	for (enum side side = NEAR; side < SIDES; side++) {
		struct host *h = &bed.host[side];
		worker_free(h->worker);
		guestbook_fini(&h->book);
		for (unsigned k = 0; k < MEMBERS; k++) {
			session_free(h->session[k]);
			free(atomic_load(&h->member[k].traffic));
		}
		circuit_free(h->leg[0]);
		circuit_free(h->leg[1]);
		if (h->port)
			fdb_free(h->port->fdb);
		free(h->port);
		free(h->roster);
		free(h->index);
	}
}

/* ---- frames ----------------------------------------------------------------------------------------------------- */

/* An IPv4 packet of payload bytes from NEAR to FAR; i: of its flow. partial: the checksum is the kernel's, as from a local sender. */
static uint32_t ip_frame(uint8_t *frame, uint8_t protocol, uint32_t payload, unsigned i, bool partial)
{
	uint8_t *ip = frame + 14, *l4 = ip + 20;
	uint32_t header = protocol == IP_TCP ? 20 + TIMESTAMPS : 8, bytes = 20 + header + payload;
	struct layout l = {.l3 = 14, .l4 = 34, .payload = (uint16_t)(34 + header), .end = 14 + bytes, .version = 4, .protocol = protocol};
	memset(frame, 0, l.payload);
	memcpy(frame, bed.host[FAR].port->mac, 6);
	memcpy(frame + 6, bed.host[NEAR].port->mac, 6);
	be16_to(frame + 12, 0x0800);
	ip[0] = 0x45;
	be16_to(ip + 2, bytes);
	be16_to(ip + 4, 77 + i);
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = protocol;
	memcpy(ip + 12, (const uint8_t[]){10, 9, 0, 1, 10, 9, 0, 2}, 8);
	layout_ip_csum(frame, &l);
	be16_to(l4, 40000);
	be16_to(l4 + 2, 5201);
	if (protocol == IP_TCP) {
		be32_to(l4 + 4, payload * i);
		be32_to(l4 + 8, payload ? 1 : 2696 * i);
		l4[12] = (uint8_t)(header / 4 << 4);
		l4[TCP_FLAGS] = payload ? 0x18 : 0x10;
		be16_to(l4 + 14, 501);
		memcpy(l4 + 20, (const uint8_t[TIMESTAMPS]){1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8}, TIMESTAMPS);
	} else {
		be16_to(l4 + 4, 8 + payload);
	}
	for (uint32_t k = 0; k < payload; k++)
		frame[l.payload + k] = (uint8_t)(k * 11 + i);
	word_to(l4 + layout_csum_offset(&l), layout_pseudo(frame, &l, l.end - l.l4));
	if (!partial)
		layout_complete(frame, &l);
	return l.end;
}

/* n of them for NEAR's device, back to back as tap_read has them. size: a superframe of such segments. */
static void ip_fill(unsigned n, uint8_t protocol, uint32_t payload, bool partial, uint16_t size)
{
	struct tap *t = &bed.host[NEAR].tap;
	for (uint8_t *at = bed.give; t->n_give < n; t->n_give++) {
		need(at + payload + 128 <= bed.give + sizeof(bed.give), "frames are too long for the bed");
		uint32_t len = ip_frame(at, protocol, payload, t->n_give, partial);
		struct packet *p = &t->give[t->n_give];
		*p = (struct packet){.data = at, .len = len, .room = len};
		if (partial)
			p->offload = (struct offload){.gso = size ? GSO_TCP4 : GSO_NONE,
			                              .csum = true,
			                              .size = size,
			                              .csum_start = 34,
			                              .csum_offset = protocol == IP_TCP ? 16 : 6};
		at += (len + 15) & ~15u;
	}
}

/* What Linux makes of a stream at MTU 1400: 48 whole segments are the most that an IP packet holds. */
static void fill_tcp(unsigned n)
{
	uint16_t size = 1400 - 40 - TIMESTAMPS;
	ip_fill(n, IP_TCP, 48u * size, true, size);
}

static void fill_1400(unsigned n)
{
	ip_fill(n, IP_UDP, 1400 - 14 - 28, false, 0);
}

static void fill_64(unsigned n)
{
	ip_fill(n, IP_UDP, 64, true, 0);
}

static void fill_ack(unsigned n)
{
	ip_fill(n, IP_TCP, 0, true, 0);
}

static void fill_9000(unsigned n)
{
	ip_fill(n, IP_UDP, 9000 - 28, false, 0);
}

static void arp_frame(uint8_t *frame, enum side side, unsigned k)
{
	memset(frame, 0, 42);
	memset(frame, 0xff, 6);
	mac_derive(NWID, address_of(side, k), frame + 6);
	memcpy(frame + 12, (const uint8_t[]){8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, 10);
}

static void fill_broadcast(unsigned n)
{
	struct tap *t = &bed.host[NEAR].tap;
	for (uint8_t *at = bed.give; t->n_give < n; t->n_give++, at += 48) {
		arp_frame(at, NEAR, 0);
		t->give[t->n_give] = (struct packet){.data = at, .len = 42, .room = 42};
	}
}

/* Of member k of FAR, sealed by hand, as a datagram of its own. */
static void seal_far(unsigned k, const uint8_t *frame, size_t len)
{
	struct session *s = bed.host[NEAR].session[k];
	struct encap e = {.chan = CHAN, .datagram = DATAGRAM};
	struct carriage c = {0};
	uint8_t datagram[256];
	uint64_t pn;
	unsigned lane = session_lane_of(s, 0);
	memcpy(datagram + DATA_HEADER + encap_offset(c), frame, len);
	size_t plain = encap_whole(&e, c, NULL, NULL, datagram + DATA_HEADER, len);
	struct packet p = {.data = datagram, .len = (uint32_t)(DATA_HEADER + plain), .room = sizeof(datagram)};
	need(session_take(s, lane, 1, &pn), "no number");
	seal_batch(&s->tx, s->peer_idx | lane, pn, &p, 1);
	keep(p.data, p.len, endpoint_of(NEAR, k));
}

/* One from each of n members: they are n hosts. */
static void fill_broadcast_far(unsigned n)
{
	uint8_t frame[42];
	for (unsigned k = 0; k < n; k++) {
		arp_frame(frame, NEAR, k);
		seal_far(k, frame, sizeof(frame));
	}
}

/* All of one member, whose bucket is empty for ever. */
static void fill_storm_far(unsigned n)
{
	uint8_t frame[62] = {0};
	arp_frame(frame, NEAR, 0);
	atomic_store(&bed.host[FAR].port->storm_frames, 1000);
	atomic_store(&bed.host[FAR].member[0].storm.flood_ns, UINT64_MAX / 2);
	for (unsigned k = 0; k < n; k++)
		seal_far(0, frame, sizeof(frame));
}

/* A router's announcements of one who is none. */
static void fill_router_far(unsigned n)
{
	uint8_t frame[14 + 40 + 8] = {0x33, 0x33, 0, 0, 0, 1};
	mac_derive(NWID, address_of(NEAR, 0), frame + 6);
	memcpy(frame + 12, (const uint8_t[]){0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 58, 255}, 10);
	frame[54] = 134;
	for (unsigned k = 0; k < n; k++)
		seal_far(0, frame, sizeof(frame));
}

/* What a relay sees: it cannot look into them, so nothing is. */
static void fill_relay(unsigned n)
{
	struct circuit *c = bed.host[RELAY].leg[0];
	uint8_t datagram[LEG_HEADER + LEG_INNER];
	for (unsigned i = 0; i < n; i++) {
		memset(datagram, (int)i, sizeof(datagram));
		leg_seal(&c->rx, c->named.idx, i, datagram, LEG_INNER);
		keep(datagram, sizeof(datagram), endpoint_of(NEAR, 0));
	}
}

static void fill_nothing(unsigned n)
{
	(void)n;
}

#endif
