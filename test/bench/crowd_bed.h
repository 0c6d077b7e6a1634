/* crowd_bed.h: one controller and many simulated members, which ask, fetch what a HEAD names and acknowledge, as nodes do.
 *
 * No sockets, no sessions: what the controller sends arrives at once, and each member reads at most BED_WINDOW pieces a turn. A member
 * keeps the hashes of what it holds, and the bytes stand once for all in a pool, where each piece is compared with what others got.
 * Time is virtual: bed_turn(ms). Errors end the program: whoever measures must not measure nonsense.
 */
#ifndef FARLAN_TEST_BENCH_CROWD_BED_H
#define FARLAN_TEST_BENCH_CROWD_BED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controller/controller.h"
#include "proto/seal.h"

#define BED_SEATS  16384
#define BED_WINDOW 16
#define BED_POOL   1024
#define BED_BLOBS  (SECTIONS_MAX + 2)

#define bed_require(what) ((what) ? (void)0 : bed_fail(#what, __LINE__))

struct want {
	uint8_t hash[32];
	uint32_t off, len; /* len 0 = not known yet */
	bool flying;
};

struct reading { /* of one HEAD */
	struct head head;
	bool manifest_read;
	unsigned n;
	struct want want[BED_BLOBS]; /* manifest, REVLIST, then sections */
};

struct seat {
	struct identity identity;
	bool online, approved;
	uint8_t answer; /* of its last JOIN_REQ, enum join_status */
	unsigned answers, heads;
	uint64_t serial;
	uint64_t version; /* of what it holds whole */
	uint8_t (*have)[32];
	unsigned n_have;
	struct reading *reading; /* NULL = nothing to fetch */
};

struct pooled {
	uint8_t hash[32];
	uint32_t len, got;
	uint8_t *bytes;
	uint64_t used; /* turn */
};

static struct {
	struct controller *c;
	struct secret self;
	uint64_t nwid, now, wall, turns;
	struct seat seat[BED_SEATS];
	unsigned n_seats;
	uint32_t table[2 * BED_SEATS]; /* by key_hash: index + 1 */
	struct pooled pool[BED_POOL];
	uint8_t envelope[HEAD_ENVELOPE_MAX]; /* the last HEAD whose signature was checked */
	size_t envelope_len;
	struct head head;
	uint8_t exporter[32];
	uint64_t pieces, bytes, letters;
	double busy;                                         /* seconds inside the controller */
	void (*join)(struct seat *, struct body_join_req *); /* adds to the request; NULL */
	void (*granted)(struct seat *);                      /* its papers came; NULL */
	void (*whole)(struct seat *);                        /* it holds all of a HEAD; NULL */
} bed;

static _Noreturn void bed_fail(const char *what, int line)
{
	fprintf(stderr, "crowd_bed.h:%d: not so: %s\n", line, what);
	exit(1);
}

static double bed_clock(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint32_t bed_place(const uint8_t key_hash[KEY_HASH_BYTES])
{
	uint32_t i = ((uint32_t)key_hash[1] << 16 | (uint32_t)key_hash[2] << 8 | key_hash[3]) % (2 * BED_SEATS);
	while (bed.table[i] && memcmp(bed.seat[bed.table[i] - 1].identity.key_hash, key_hash, KEY_HASH_BYTES))
		i = (i + 1) % (2 * BED_SEATS);
	return i;
}

static struct seat *bed_find(const uint8_t key_hash[KEY_HASH_BYTES])
{
	uint32_t at = bed.table[bed_place(key_hash)];
	return at ? &bed.seat[at - 1] : NULL;
}

/* An identity nobody proved any work for: the controller's node does that before the controller hears of one. */
static struct seat *bed_seat(void)
{
	bed_require(bed.n_seats < BED_SEATS);
	struct seat *s = &bed.seat[bed.n_seats];
	for (unsigned i = 0; i < 4; i++)
		s->identity.x[i] = s->identity.ed[4 - i] = (uint8_t)((bed.n_seats + 1) >> (8 * i));
	s->identity.ed[31] = 0x55;
	identity_hash(&s->identity);
	s->identity.address = 0x1000000000 + (uint64_t)bed.n_seats * 7919;
	uint32_t place = bed_place(s->identity.key_hash);
	bed_require(!bed.table[place]);
	bed.table[place] = ++bed.n_seats;
	return s;
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

static void bed_ask(struct seat *s, uint8_t op, const uint8_t *body, size_t len)
{
	struct message m = {.req = 1, .op = op, .body = body, .len = len, .exporter = bed.exporter};
	struct endpoint from = {.family = 4, .port = 9993, .ip = {192, 0, 2, 1}};
	bed_require(len);
	double since = bed_clock();
	controller_request(bed.c, &s->identity, &from, &m, bed.now, bed.wall);
	bed.busy += bed_clock() - since;
}

static void bed_join(struct seat *s)
{
	struct body_join_req req = {
	    .nwid = bed.nwid, .identity = s->identity, .os = "linux", .version = "0.1.0", .have_version = s->version};
	uint8_t body[BODY_MAX];
	snprintf(req.hostname, sizeof(req.hostname), "host-%05u", (unsigned)(s - bed.seat));
	if (bed.join)
		bed.join(s, &req);
	bed_ask(s, OP_JOIN_REQ, body, body_join_req_encode(&req, body, sizeof(body)));
}

static void bed_online(struct seat *s, bool online)
{
	s->online = online;
	if (!online) {
		free(s->reading);
		free(s->have);
		s->reading = NULL;
		s->have = NULL;
		s->n_have = 0;
		s->version = 0;
	}
	controller_online(bed.c, s->identity.key_hash, online, bed.now, bed.wall);
}

static struct pooled *bed_pooled(const uint8_t hash[32], uint32_t len)
{
	struct pooled *oldest = &bed.pool[0];
	for (unsigned i = 0; i < BED_POOL; i++) {
		struct pooled *p = &bed.pool[i];
		if (p->bytes && !memcmp(p->hash, hash, 32)) {
			p->used = bed.turns;
			return p;
		}
		if (!p->bytes || (oldest->bytes && p->used < oldest->used))
			oldest = p;
	}
	free(oldest->bytes);
	*oldest = (struct pooled){.len = len, .bytes = malloc(len + 1u), .used = bed.turns};
	memcpy(oldest->hash, hash, 32);
	bed_require(oldest->bytes);
	return oldest;
}

static bool bed_has(const struct seat *s, const uint8_t hash[32])
{
	for (unsigned i = 0; i < s->n_have; i++)
		if (!memcmp(s->have[i], hash, 32))
			return true;
	return false;
}

static bool bed_got(const struct want *w)
{
	return w->len && w->off >= w->len;
}

static void bed_want(struct seat *s, const uint8_t hash[32], uint32_t len)
{
	struct reading *r = s->reading;
	struct want *w = &r->want[r->n++];
	*w = (struct want){.len = len};
	memcpy(w->hash, hash, 32);
	if (bed_has(s, hash)) {
		w->len = w->len ? w->len : 1;
		w->off = w->len;
	}
}

static void bed_head(struct seat *s, const uint8_t *envelope, size_t len)
{
	if (len != bed.envelope_len || memcmp(envelope, bed.envelope, len)) {
		bed_require(head_open(envelope, len, bed.self.self.ed, &bed.head));
		memcpy(bed.envelope, envelope, len);
		bed.envelope_len = len;
	}
	struct reading *old = s->reading;
	if (bed.head.version <= s->version || (old && bed.head.version <= old->head.version))
		return;
	/* What it has read whole it keeps, as a node does. */
	uint8_t(*have)[32] = calloc(s->n_have + BED_BLOBS, sizeof(*have));
	bed_require(have);
	if (s->n_have)
		memcpy(have, s->have, s->n_have * sizeof(*have));
	for (unsigned i = 0; old && i < old->n; i++)
		if (bed_got(&old->want[i]) && !bed_has(s, old->want[i].hash))
			memcpy(have[s->n_have++], old->want[i].hash, 32);
	free(s->have);
	s->have = have;
	free(old);
	s->reading = calloc(1, sizeof(*s->reading));
	bed_require(s->reading);
	s->reading->head = bed.head;
	bed_want(s, bed.head.cfg_root, 0);
	bed_want(s, bed.head.rev_hash, 0);
}

/* ---- being answered --------------------------------------------------------------------------------------------- */

static void bed_piece(struct seat *s, const struct message *m)
{
	struct body_blob b;
	if (m->status != STATUS_OK) { /* a newer HEAD is on its way */
		free(s->reading);
		s->reading = NULL;
		return;
	}
	bed_require(body_blob_parse(m->body, m->len, &b));
	struct pooled *p = bed_pooled(b.hash, b.total);
	bed_require(p->len == b.total);
	if (b.off == p->got) {
		memcpy(p->bytes + b.off, b.piece, b.piece_len);
		p->got += (uint32_t)b.piece_len;
	}
	bed_require(b.off + b.piece_len <= p->got && !memcmp(p->bytes + b.off, b.piece, b.piece_len));
	bed.pieces++;
	bed.bytes += b.piece_len;
	for (unsigned i = 0; s->reading && i < s->reading->n; i++) {
		struct want *w = &s->reading->want[i];
		if (!w->flying || memcmp(w->hash, b.hash, 32) || w->off != b.off)
			continue;
		w->len = b.total;
		w->off += (uint32_t)b.piece_len;
		w->flying = false;
		break;
	}
}

static bool bed_send(void *self, const uint8_t key_hash[KEY_HASH_BYTES], const struct message *m)
{
	struct seat *s = bed_find(key_hash);
	struct body_head head;
	struct body_join_res res;
	struct memberconf conf;
	struct cred cred;
	(void)self;
	bed_require(s);
	bed.letters++;
	if (m->op == OP_HEAD) {
		bed_require(body_head_parse(m->body, m->len, &head));
		s->heads++;
		if (s->online)
			bed_head(s, head.head, head.head_len);
	} else if (m->op == (OP_GET_BLOB | OP_REPLY)) {
		bed_piece(s, m);
	} else if (m->op == (OP_JOIN_REQ | OP_REPLY)) {
		bed_require(body_join_res_parse(m->body, m->len, &res));
		s->answer = res.status;
		s->answers++;
		if (res.status != JOIN_OK)
			return true;
		bed_require(memberconf_parse(res.memberconf, res.memberconf_len, &conf) && cred_parse(conf.cred, conf.cred_len, &cred));
		s->approved = true;
		s->serial = cred.serial;
		if (bed.granted)
			bed.granted(s);
		if (s->online)
			bed_head(s, conf.head, conf.head_len);
	}
	return true;
}

/* ---- turns ------------------------------------------------------------------------------------------------------ */

static void bed_sections(struct seat *s)
{
	struct manifest m;
	struct reading *r = s->reading;
	struct pooled *p = bed_pooled(r->want[0].hash, 1);
	uint8_t hash[32];
	bed_require(p->got == p->len && manifest_parse(p->bytes, p->len, &m));
	blob_hash(p->bytes, p->len, hash);
	bed_require(!memcmp(hash, r->want[0].hash, 32));
	r->manifest_read = true;
	for (unsigned i = 0; i < m.n; i++)
		bed_want(s, m.section[i].hash, m.section[i].len);
}

static void bed_done(struct seat *s)
{
	struct reading *r = s->reading;
	struct body_ack ack = {.nwid = bed.nwid, .version = r->head.version, .serial = s->serial};
	uint8_t body[64];
	free(s->have);
	s->have = calloc(r->n, sizeof(*s->have));
	bed_require(s->have);
	for (unsigned i = 0; i < r->n; i++)
		memcpy(s->have[i], r->want[i].hash, 32);
	s->n_have = r->n;
	s->version = r->head.version;
	s->reading = NULL;
	free(r);
	if (bed.whole)
		bed.whole(s);
	bed_ask(s, OP_ACK, body, body_ack_encode(&ack, body, sizeof(body)));
}

/* Asks for the next pieces; false: it has all. */
static bool bed_fetch(struct seat *s)
{
	struct reading *r = s->reading;
	unsigned flying = 0;
	bool all = true;
	uint8_t body[128];
	if (!r)
		return false;
	if (!r->manifest_read && bed_got(&r->want[0]))
		bed_sections(s);
	for (unsigned i = 0; i < r->n; i++) {
		struct want *w = &r->want[i];
		all = all && bed_got(w);
		if (bed_got(w) || w->flying || flying == BED_WINDOW)
			continue;
		struct body_get_blob b = {.nwid = bed.nwid, .off = w->off};
		memcpy(b.hash, w->hash, 32);
		w->flying = true;
		flying++;
		bed_ask(s, OP_GET_BLOB, body, body_get_blob_encode(&b, body, sizeof(body)));
	}
	if (all && r->manifest_read)
		bed_done(s);
	return s->reading != NULL;
}

/* One turn; returns how many still fetch. */
static unsigned bed_turn(uint64_t ms)
{
	unsigned n = 0;
	bed.now += ms;
	bed.turns++;
	bed.wall = 1800000000 + bed.now / 1000;
	for (unsigned i = 0; i < bed.n_seats; i++)
		if (bed.seat[i].online)
			n += bed_fetch(&bed.seat[i]);
	double since = bed_clock();
	controller_settle(bed.c, bed.now, bed.wall);
	bed.busy += bed_clock() - since;
	return n;
}

/* dir: where the database is, or ":memory:". The identity is that of PROTOCOL.md, Vectors of primitives: its work is real. */
static void bed_open(const char *dir)
{
	static const uint8_t x[32] = {0xb9, 0xda, 0xb2, 0xf9, 0x1e, 0x55, 0x25, 0x7b, 0x1d, 0xcb, 0x07, 0x3c, 0x53, 0xaf, 0xba, 0xc1,
	                              0x1e, 0x87, 0x04, 0x98, 0x7d, 0xd2, 0x43, 0x1f, 0x81, 0x8c, 0x86, 0x6f, 0xc3, 0x95, 0xfe, 0x91};
	static const uint8_t seed[32] = {0x20, 0x66, 0x6e, 0xf1, 0x89, 0xd2, 0x64, 0xb8, 0x2d, 0x40, 0xae, 0x21, 0x37, 0x46, 0x37, 0x1d,
	                                 0x0d, 0x3c, 0x0d, 0xd7, 0xf3, 0xcb, 0x11, 0xc1, 0x95, 0xce, 0xef, 0xfc, 0x0a, 0x4e, 0x94, 0x5a};
	struct controller_port port = {.send = bed_send};
	const char *why = "";
	bed_require(!seal_setup() && secret_derive(&bed.self, x, seed));
	bed.now = 1000;
	bed.wall = 1800000000;
	int r = controller_open(&bed.c, dir, &bed.self, &port, bed.now, bed.wall, &why);
	if (r)
		fprintf(stderr, "%s\n", why);
	bed_require(!r);
}

#endif
