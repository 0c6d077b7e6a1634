/* scenarios_hostile.c: members and roots that lie. Whoever holds a session may say anything by it: messages at random, well formed and not, from
 * any source address he can send by, while ways are cut, identities restart and are revoked. Nobody may fall over, answer for ever, or be
 * turned on somebody else; whoever did nothing goes on talking; and when the lies end everything comes to rest. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/random.h"
#include "test/sim/sim.h"

#define FORGE_MAX  1200
#define LIES_US    (30 * SECOND)
#define REST_US    (60 * SECOND)
#define THIRD      113 /* last but one byte of addresses that nobody has */
#define PROBES_10S 48  /* PROTOCOL.md, Paths */
#define KNOCKS     1024

static void finish(struct sim *sim, char failed[256])
{
	memcpy(failed, sim->failed, 256);
	sim_free(sim);
}

struct lies {
	struct host *liar;                   /* whose datagrams leave by another address */
	struct endpoint from;                /* family 0: by their own */
	uint64_t third_bytes, third_packets; /* to nobody's address, of hosts that do not lie */
	bool liars[SIM_HOSTS];
};

static bool watch(void *self, struct sim *sim, const struct host *from, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	struct lies *l = self;
	if (from == l->liar && l->from.family) {
		sim_inject(sim, &l->from, to, bytes, len, 5 * MS);
		return false;
	}
	if (!sim_host_at(sim, to) && !l->liars[from->number]) {
		l->third_bytes += len;
		l->third_packets++;
	}
	return true;
}

/* ---- what is said --------------------------------------------------------------------------------------------------------- */

/* One in so many times where the liar himself is: who says that may be listened to. */
static struct endpoint any_endpoint(struct sim *sim, const struct host *liar)
{
	struct endpoint e = {.family = 4, .port = (uint16_t)(sim_draw(sim, 4) ? 9993 : sim_draw(sim, 65536))};
	switch (sim_draw(sim, 9)) {
	case 8: memcpy(e.ip, liar->at.ip, sizeof e.ip); return e;
	case 0: return sim->host[sim_draw(sim, sim->n_hosts)]->at;
	case 1: memcpy(e.ip, (const uint8_t[4]){127, 0, 0, 1}, 4); return e;
	case 2: memcpy(e.ip, (const uint8_t[4]){224, 0, 0, 1}, 4); return e;
	case 3: memcpy(e.ip, (const uint8_t[4]){10, 20, 0, 2}, 4); return e;
	case 4:
		e.family = 6;
		memset(e.ip, 0xfd, 16);
		return e;
	default:
		memcpy(e.ip, (const uint8_t[4]){203, 0, THIRD, 0}, 4);
		e.ip[3] = (uint8_t)sim_draw(sim, 8);
		return e;
	}
}

static void any_bytes(struct sim *sim, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)sim_draw(sim, 256);
}

static const struct host *any_host(struct sim *sim)
{
	return sim->host[sim_draw(sim, sim->n_hosts)];
}

/* An index that the other side uses, most of the time: a liar who is a relay knows them. */
static uint32_t any_index(struct sim *sim, struct host *to)
{
	struct peers *all = &to->node->peers;
	for (unsigned tries = 0; tries < 64; tries++) {
		const struct peer *peer = all->by_key[sim_draw(sim, all->buckets)];
		const struct path *p = peer ? &peer->path[sim_draw(sim, PATHS_MAX)] : NULL;
		if (p && p->state != PATH_FREE && p->circuit)
			return sim_draw(sim, 2) ? p->circuit->named.idx : p->circuit->tx_idx;
	}
	return sim_draw(sim, 8) ? (uint32_t)(1 + sim_draw(sim, 40)) << 4 : random_u32();
}

/* A record that its subject signed, or that nobody did. */
static struct body_located any_located(struct sim *sim, const struct host *liar, uint8_t contact[CONTACT_ENVELOPE_MAX])
{
	const struct host *whom = any_host(sim), *signer = sim_draw(sim, 2) ? whom : liar;
	struct contact c = {
	    .address = whom->secret->self.address, .seq = random_u32(), .n_homes = 2, .ttl_s = (uint32_t)sim_draw(sim, 9000)};
	memcpy(c.key_hash, whom->secret->self.key_hash, KEY_HASH_BYTES);
	for (unsigned i = 0; i < 2; i++)
		c.home[i] = any_host(sim)->secret->self.address;
	size_t len = contact_sign(&c, signer->secret->ed, contact, CONTACT_ENVELOPE_MAX);
	return (struct body_located){.identity = whom->secret->self,
	                             .contact = contact,
	                             .contact_len = len,
	                             .age_s = sim_draw(sim, 2) ? random_u32() : 0,
	                             .left_s = sim_draw(sim, 2) ? random_u32() : 100};
}

static const struct rootset *any_set(const struct sim *sim)
{
	const struct federation *f = sim->host[0]->node ? sim->host[0]->node->federation : NULL;
	return f ? f->set[0].chain : NULL;
}

/* What roots of one set say to each other and to nodes. */
static size_t federal_body(struct sim *sim, const struct host *liar, uint8_t op, uint8_t *out, size_t room)
{
	uint8_t contact[SYNC_RECORDS_MAX][CONTACT_ENVELOPE_MAX];
	const struct rootset *set = any_set(sim);
	if (op == OP_SYNC) {
		struct body_sync b = {.digest_set = sim_draw(sim, 2)};
		any_bytes(sim, (uint8_t *)b.digest, sizeof b.digest);
		for (; !b.digest_set && b.n < sim_draw(sim, SYNC_RECORDS_MAX + 1); b.n++)
			b.record[b.n] = any_located(sim, liar, contact[b.n]);
		return body_sync_encode(&b, out, room);
	}
	if (op == OP_LOCATE) {
		struct body_locate b = {.address = any_host(sim)->secret->self.address};
		return body_locate_encode(&b, out, room);
	}
	if (op == OP_ROOTSET && set) {
		struct body_rootset b = {.have_seq = sim_draw(sim, 2) ? random_u32() : 0, .off = (uint32_t)sim_draw(sim, 2000)};
		memcpy(b.id, set->now.id, sizeof b.id);
		return body_rootset_encode(&b, out, room);
	}
	any_bytes(sim, out, 40);
	return sim_draw(sim, 40);
}

static size_t federal_result(struct sim *sim, const struct host *liar, uint8_t op, uint8_t *out, size_t room)
{
	uint8_t contact[CONTACT_ENVELOPE_MAX], piece[ROOTSET_PIECE_MAX];
	if (op == OP_LOCATE) {
		struct body_located b = any_located(sim, liar, contact);
		return body_located_encode(&b, out, room);
	}
	if (op == OP_SYNC) {
		struct body_sync_result b;
		any_bytes(sim, b.differ, sizeof b.differ);
		return body_sync_result_encode(&b, out, room);
	}
	any_bytes(sim, piece, sizeof piece);
	struct body_rootset_piece b = {
	    .seq = 2 + sim_draw(sim, 2), .total = (uint32_t)(1 + sim_draw(sim, 3) * 900), .piece = piece, .piece_len = 1};
	b.piece_len = b.total < sizeof piece ? b.total : sizeof piece;
	return body_rootset_piece_encode(&b, out, room);
}

static size_t any_body(struct sim *sim, const struct host *liar, struct host *to, uint8_t op, uint8_t *out, size_t room)
{
	uint8_t first[INIT_SEND_MAX] = {0};
	const struct host *whom = any_host(sim);
	size_t first_len = INIT_MIN + sim_draw(sim, 200);
	any_bytes(sim, first, 64);
	switch (op) {
	case OP_CANDS: {
		struct body_cands b = {.gen = sim_draw(sim, 4) ? (uint32_t)sim->order : random_u32(), .nat = (uint8_t)sim_draw(sim, 4)};
		for (b.n = 0; b.n < sim_draw(sim, CANDIDATES_MAX + 1); b.n++)
			b.endpoints[b.n] = any_endpoint(sim, liar);
		return body_cands_encode(&b, out, room);
	}
	case OP_SPRAY: {
		struct body_spray b = {.side = (uint8_t)sim_draw(sim, 2),
		                       .start = (uint32_t)sim_draw(sim, 9),
		                       .count = (uint16_t)sim_draw(sim, 2000),
		                       .rate = (uint16_t)sim_draw(sim, 2000),
		                       .endpoint = any_endpoint(sim, liar),
		                       .step = (uint16_t)sim_draw(sim, 40)};
		return body_spray_encode(&b, out, room);
	}
	case OP_CONNECT: {
		struct body_connect b = {.address = whom->secret->self.address,
		                         .key_hash_set = sim_draw(sim, 4) != 0,
		                         .rx_idx = any_index(sim, to),
		                         .first = first,
		                         .first_len = first_len,
		                         .share_observed = true};
		memcpy(b.key_hash, whom->secret->self.key_hash, KEY_HASH_BYTES);
		return body_connect_encode(&b, out, room);
	}
	case OP_INCOMING: {
		struct body_incoming b = {.source = whom->secret->self,
		                          .idx = any_index(sim, to),
		                          .observed = any_endpoint(sim, liar),
		                          .first = first,
		                          .first_len = first_len};
		return body_incoming_encode(&b, out, room);
	}
	case OP_ACCEPT: {
		struct body_accept b = {.idx = any_index(sim, to), .rx_idx = any_index(sim, to), .first = first, .first_len = 100};
		return body_accept_encode(&b, out, room);
	}
	case OP_UNREACH: {
		struct body_unreach b = {.idx = any_index(sim, to), .relay_idx = sim_draw(sim, 2) ? any_index(sim, to) : 0};
		return body_unreach_encode(&b, out, room);
	}
	case OP_REGISTER: {
		struct body_register b = {.epoch = random_u32(), .instance = 1 + sim_draw(sim, 9)};
		return body_register_encode(&b, out, room);
	}
	case OP_WHOIS: {
		struct body_whois b = {.address = whom->secret->self.address};
		return body_whois_encode(&b, out, room);
	}
	case OP_PEER_RESTART: {
		struct body_peer_restart b;
		memcpy(b.key_hash, whom->secret->self.key_hash, KEY_HASH_BYTES);
		return body_peer_restart_encode(&b, out, room);
	}
	case OP_NET_CLOSE: {
		struct body_net_close b = {.nwid = sim->nwid, .chan = (uint16_t)sim_draw(sim, 3)};
		return body_net_close_encode(&b, out, room);
	}
	default: return federal_body(sim, liar, op, out, room);
	}
}

static size_t any_result(struct sim *sim, const struct host *liar, struct host *to, uint8_t *out, size_t room)
{
	struct body_idx idx = {.idx = any_index(sim, to)};
	struct body_observed seen = {
	    .observed = any_endpoint(sim, liar), .clone = any_endpoint(sim, liar), .alt_port = (uint16_t)sim_draw(sim, 65536)};
	struct body_identity who = {.identity = any_host(sim)->secret->self};
	switch (sim_draw(sim, 5)) {
	case 0: return body_idx_encode(&idx, out, room);
	case 1: return body_observed_encode(&seen, out, room);
	case 2: return body_identity_encode(&who, out, room);
	case 3: return any_body(sim, liar, to, OP_SPRAY, out, room);
	default: return 0;
	}
}

/* An inner header and what follows; its length. */
static size_t any_plain(struct sim *sim, const struct host *liar, struct host *to, uint8_t *plain)
{
	static const uint8_t ops[] = {OP_CANDS,        OP_SPRAY, OP_CONNECT, OP_INCOMING,  OP_ACCEPT, OP_UNREACH, OP_REGISTER, OP_WHOIS,
	                              OP_PEER_RESTART, OP_CANDS, OP_SPRAY,   OP_NET_CLOSE, OP_LOCATE, OP_ROOTSET, OP_SYNC,     OP_GET_BLOB};
	uint8_t body[FORGE_MAX];
	struct peer *asker = host_peer(to, liar);
	memset(plain, 0, PROBE_DATAGRAM_MIN);
	switch (sim_draw(sim, 10)) {
	case 0: /* a PROBE; its flags decide what comes of it */
	case 1:
	case 2:
		plain[0] = INNER_PROBE;
		any_bytes(sim, plain + INNER_HEADER, PROBE_BODY);
		le16_to(plain + INNER_HEADER + 12, (uint16_t)sim_draw(sim, 4));
		return PROBE_DATAGRAM_MIN - DATA_OVERHEAD + INNER_HEADER + (sim_draw(sim, 4) ? 0 : sim_draw(sim, 900));
	case 3:
		plain[0] = INNER_PROBE_ACK;
		any_bytes(sim, plain + INNER_HEADER, PROBE_ACK_BODY);
		if (asker) /* to one that was asked */
			le64_to(plain + INNER_HEADER, asker->probe[sim_draw(sim, PROBES_MAX)].token);
		return INNER_HEADER + PROBE_ACK_BODY;
	case 4: /* whatever */
		any_bytes(sim, plain, 100);
		plain[0] = sim_draw(sim, 50) ? (uint8_t)sim_draw(sim, 0x14) : INNER_CLOSE;
		return 1 + sim_draw(sim, 99);
	case 5: { /* an answer to what is under way there */
		const struct request *r = asker ? asker->request[sim_draw(sim, REQUESTS_MAX / 8)] : NULL;
		bool federal = r && (r->op == OP_LOCATE || r->op == OP_SYNC || r->op == OP_ROOTSET);
		size_t n = federal ? federal_result(sim, liar, r->op, body, sizeof body) : any_result(sim, liar, to, body, sizeof body);
		struct message m = {.req = r ? r->req : random_u32(),
		                    .op = (uint8_t)((r ? r->op : ops[sim_draw(sim, sizeof ops)]) | OP_REPLY),
		                    .status = (uint8_t)sim_draw(sim, 8),
		                    .body = body,
		                    .len = n};
		plain[0] = INNER_CTRL;
		return INNER_HEADER + message_encode(&m, plain + INNER_HEADER, FORGE_MAX - INNER_HEADER);
	}
	default: {
		struct message m = {.req = random_u32(), .op = ops[sim_draw(sim, sizeof ops)], .body = body};
		m.len = any_body(sim, liar, to, m.op, body, sizeof body - 100);
		plain[0] = INNER_CTRL;
		size_t n = INNER_HEADER + message_encode(&m, plain + INNER_HEADER, FORGE_MAX - INNER_HEADER);
		if (n > INNER_HEADER && !sim_draw(sim, 6)) /* nearly well formed */
			plain[INNER_HEADER + sim_draw(sim, n - INNER_HEADER)] ^= (uint8_t)(1 << sim_draw(sim, 8));
		return n;
	}
	}
}

static void lie(struct lies *l, struct host *liar, struct host *to)
{
	struct sim *sim = liar->sim;
	struct peer *peer = liar->node && to->node ? host_peer(liar, to) : NULL;
	struct session *s = peer ? peer->current[sim_draw(sim, CLASS_COUNT)] : NULL;
	s = peer && !s ? peer_any_session(peer) : s;
	uint8_t plain[FORGE_MAX + 16];
	if (!s || peer->best < 0 || liar->node->now >= s->reject_ms)
		return;
	size_t n = any_plain(sim, liar, to, plain);
	if (n < INNER_HEADER) /* nothing shorter can be sealed */
		n = INNER_HEADER;
	struct path by = peer->path[peer->best];
	if (!sim_draw(sim, 8)) { /* by another of its ways */
		const struct path *other = &peer->path[sim_draw(sim, PATHS_MAX)];
		by = other->state != PATH_FREE ? *other : by;
	}
	l->from = (struct endpoint){0};
	if (!by.circuit && !sim_draw(sim, 6)) {
		l->from = any_endpoint(sim, liar);
		l->from.family = l->from.family == 4 ? 4 : 0;
	}
	host_running = liar;
	liar->node->now = sim->now / 1000;
	node_seal(liar->node, s, &by, plain, n);
	l->liar = liar; /* whatever leaves in this turn */
	host_turn(liar);
	l->liar = NULL;
}

/* ---- what comes of it ------------------------------------------------------------------------------------------------------ */

struct rest {
	uint64_t turns[SIM_HOSTS], sent;
};

static struct rest rest_begin(const struct sim *sim)
{
	struct rest r = {.sent = sim->sent};
	for (unsigned i = 0; i < sim->n_hosts; i++)
		r.turns[i] = sim->host[i]->turns;
	return r;
}

/* Nobody is awake without a reason, and nobody goes on answering the other. */
static void rest_end(struct sim *sim, const struct rest *r, uint64_t seconds)
{
	for (unsigned i = 0; i < sim->n_hosts; i++)
		expect(sim, sim->host[i]->turns - r->turns[i] < 60 * seconds, "host %u took %" PRIu64 " turns in %" PRIu64 " s of rest", i,
		       sim->host[i]->turns - r->turns[i], seconds);
	expect(sim, sim->sent - r->sent < 30 * seconds, "%" PRIu64 " datagrams in %" PRIu64 " s of rest", sim->sent - r->sent, seconds);
}

/* What one of them may send to addresses that others name: probes of new places, a spray an hour, and answers of what comes from there. */
static void third_check(struct sim *sim, const struct lies *l, uint64_t us, unsigned liars, uint64_t said)
{
	uint64_t most = (sim->n_hosts - liars) * liars * (KNOCKS + (us / (10 * SECOND) + 2) * PROBES_10S) + said / 4;
	expect(sim, l->third_packets <= most, "%" PRIu64 " datagrams to those who are nobody", l->third_packets);
}

/* One frame may be lost where a way was cut while nobody sent. */
static bool talks(struct host *from, struct host *to)
{
	for (unsigned i = 0; i < 50; i++)
		if (frame_passes(from, to, 200 * MS))
			return true;
	return false;
}

static void relay_right(struct host *m, bool on)
{
	struct sim *sim = m->sim;
	struct member_settings set = {.set = SET_MEMBER_FLAGS};
	struct admin_error error = {0};
	*(on ? &set.flags_on : &set.flags_off) = MEMBER_RELAY;
	enum admin_status status = controller_member_set(sim->controller->controller, sim->nwid, m->secret->self.address, &set, &error);
	sim->controller->next_us = sim->now;
	expect(sim, status == ADMIN_OK, "relay %s: %s %s", on ? "on" : "off", error.title, error.detail);
}

static void revoke(struct host *m)
{
	struct sim *sim = m->sim;
	struct admin_error error = {0};
	enum admin_status status = controller_member_revoke(sim->controller->controller, sim->nwid, m->secret->self.address, NULL, &error);
	sim->controller->next_us = sim->now;
	expect(sim, status == ADMIN_OK, "revoke: %s %s", error.title, error.detail);
}

/* Four members, the last two lie; at every fourth seed their root does too, at every other one of the liars may relay, at four of eight there are
 * streams. */
static void liars(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	struct lies lies = {0};
	sim->streams = seed & 4;
	if (!world_new(sim, 4)) {
		finish(sim, failed);
		return;
	}
	struct host *a = world_member(sim, 0), *b = world_member(sim, 1), *bad[3] = {world_member(sim, 2), world_member(sim, 3), sim->root};
	unsigned n = seed % 4 == 3 ? 3 : 2;
	uint64_t said = 0, begun;
	for (unsigned i = 0; i < n; i++)
		lies.liars[bad[i]->number] = true;
	if (seed & 1)
		relay_right(bad[0], true);
	if (seed & 2)
		relay_right(a, true);
	if (sim_draw(sim, 2))
		sim_cut(sim, a, bad[1], true);
	if (sim_draw(sim, 2))
		sim_cut(sim, bad[0], bad[1], true);
	if (sim_draw(sim, 2))
		sim_cut(sim, a, b, true);
	if (sim->streams) /* one of those who do not lie has no UDP to the root */
		sim_cut(sim, a, sim->root, true);
	if (sim_draw(sim, 2)) /* by a relay a spray may be asked for */
		sim_cut(sim, b, bad[sim_draw(sim, 2)], true);
	for (unsigned i = 0; i < 4; i++)
		for (unsigned k = 0; k < 4; k++)
			if (i != k)
				frame_send(world_member(sim, i), world_member(sim, k), 100);
	sim_run(sim, 5 * SECOND);
	sim->watch = watch;
	sim->watch_self = &lies;
	begun = sim->now;
	while (sim->now < begun + LIES_US && !*sim->failed) {
		for (uint64_t i = sim_draw(sim, 4); i; i--, said++)
			lie(&lies, bad[sim_draw(sim, n)], sim->host[sim_draw(sim, sim->n_hosts)]);
		if (!sim_draw(sim, 40))
			frame_send(world_member(sim, (unsigned)sim_draw(sim, 4)), world_member(sim, (unsigned)sim_draw(sim, 4)), 200);
		if (!sim_draw(sim, 600)) {
			struct host *h = bad[sim_draw(sim, 2)];
			host_kill(h);
			host_start(h);
		}
		if (!sim_draw(sim, 1000))
			relay_right(bad[0], sim_draw(sim, 2));
		if (!sim_draw(sim, 2000)) { /* a way opens or closes */
			sim_cut(sim, a, b, true);
			if (sim_draw(sim, 2))
				sim_heal(sim, a, b), sim_heal(sim, b, a);
		}
		sim_run(sim, sim_draw(sim, 20 * MS));
	}
	third_check(sim, &lies, LIES_US, n, said);
	if (sim_draw(sim, 2))
		revoke(bad[0]);
	if (n == 3) { /* a root that lies can keep anybody from finding the other, no more: it stops */
		host_kill(sim->root);
		host_start(sim->root);
	}
	sim_run(sim, 20 * SECOND);
	expect(sim, talks(a, b) && talks(b, a), "two who did not lie cannot talk");
	sim_run(sim, 3 * MINUTE);
	struct rest r = rest_begin(sim);
	sim_run(sim, REST_US);
	rest_end(sim, &r, REST_US / SECOND);
	struct relay_view view;
	node_relay(sim->root->node, sim->now / 1000, &view);
	expect(sim, view.circuits < 20, "%u circuits are left at the root", view.circuits);
	finish(sim, failed);
}

/* Two of four roots of a set lie. Nodes keep to the others when they are gone, and the records of all come to rest. */
static void false_roots(uint64_t seed, char failed[256])
{
	struct rootset *set;
	struct sim *sim = world_of_roots(seed, &set);
	struct lies lies = {0};
	struct host *bad[2] = {sim->host[0], sim->host[4 + seed % 3]};
	if (!*sim->failed) {
		struct host *a = sim->host[2], *b = sim->host[3];
		uint64_t end = sim->now + LIES_US;
		if (seed & 1)
			sim_cut(sim, a, b, true);
		for (unsigned i = 0; i < 2; i++)
			lies.liars[bad[i]->number] = true;
		sim->watch = watch;
		sim->watch_self = &lies;
		while (sim->now < end && !*sim->failed) {
			for (uint64_t i = sim_draw(sim, 4); i; i--)
				lie(&lies, bad[sim_draw(sim, 2)], sim->host[sim_draw(sim, sim->n_hosts)]);
			if (!sim_draw(sim, 40))
				frame_send(a, b, 200);
			if (!sim_draw(sim, 2000)) {
				struct host *h = sim->host[sim_draw(sim, sim->n_hosts)];
				if (h->kind != HOST_CONTROLLER) {
					host_kill(h);
					host_start(h);
				}
			}
			sim_run(sim, sim_draw(sim, 20 * MS));
		}
		for (unsigned i = 0; i < 2; i++)
			host_kill(bad[i]);
		sim_run(sim, 90 * SECOND);
		expect(sim, talks(a, b) && talks(b, a), "two nodes cannot talk by the roots that are left");
		sim_run(sim, 3 * MINUTE);
		struct rest r = rest_begin(sim);
		sim_run(sim, REST_US);
		rest_end(sim, &r, REST_US / SECOND);
	}
	finish(sim, failed);
	rootset_free(set);
}

/* Two ways between a pair, each side prefers another one: a question by the one is no reason to ask by the other for ever. */
static void two_minds(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	sim->link = (struct link){.delay_min = MS, .delay_max = MS + seed % 2 * MS};
	if (world_new(sim, 2)) {
		struct host *h[2] = {world_member(sim, 0), world_member(sim, 1)};
		int first[2], second[2];
		frame_passes(h[0], h[1], 2 * SECOND);
		sim_run(sim, 5 * SECOND);
		for (unsigned i = 0; i < 2; i++)
			h[i]->also = (struct endpoint){.family = 4, .port = 9993, .ip = {192, 0, (uint8_t)(2 + i), 7}};
		for (unsigned i = 0; i < 2; i++) {
			struct peer *peer = host_peer(h[i], h[!i]);
			host_running = h[i];
			first[i] = path_direct(peer, &h[!i]->at, 0);
			second[i] = path_direct(peer, &h[!i]->also, 0);
			path_ask_new(peer, second[i], 0);
			peer_schedule(peer);
			h[i]->next_us = sim->now;
			host_running = NULL;
		}
		sim_run(sim, 2 * SECOND);
		for (unsigned i = 0; i < 2; i++) {
			struct peer *peer = host_peer(h[i], h[!i]);
			int want = i ? second[i] : first[i];
			expect(sim, peer->path[first[i]].state == PATH_VALID && peer->path[second[i]].state == PATH_VALID,
			       "host %u has no two ways", i);
			host_running = h[i];
			for (int k = 0; k < PATHS_MAX; k++)
				peer->path[k].srtt_us = k == want ? 1900 : 2000;
			peer->best = want;
			path_choose(peer);
			if (i || seed & 2)
				path_ask(peer, want);
			peer_schedule(peer);
			h[i]->next_us = sim->now;
			host_running = NULL;
		}
		struct rest r = rest_begin(sim);
		sim_run(sim, 10 * SECOND);
		for (unsigned i = 0; i < 2; i++)
			expect(sim, host_peer(h[i], h[!i])->best == (i ? second[i] : first[i]), "host %u changed its mind", i);
		rest_end(sim, &r, 10);
		/* frames of each arrive where the other does not send */
		r = rest_begin(sim);
		size_t frames = sim->n_frames;
		for (unsigned i = 0; i < 500; i++) {
			frame_send(h[0], h[1], 200);
			frame_send(h[1], h[0], 200);
			sim_run(sim, 20 * MS);
		}
		uint64_t beside = sim->sent - r.sent - (sim->n_frames - frames);
		expect(sim, beside < 200, "%" PRIu64 " datagrams beside 1000 frames", beside);
	}
	finish(sim, failed);
}

const struct scenario scenarios_hostile[] = {
    {"liars", "members and a root say anything, well formed and not", liars, 40},
    {"false_roots", "two of four roots of a set say anything", false_roots, 20},
    {"two_minds", "each of a pair prefers another way", two_minds, 4},
    {0},
};
