/* request_fuzz.c: the controller's door: any op with any body from members, pending ones and strangers, in any order.
 *
 * The input is a row of requests: who u8, op u8, how u8, length u8, bytes. `how` may ask for a well-formed body to begin with
 * (a JOIN_REQ, a GET_BLOB of the current edition), which the bytes then spoil from an offset on. Every input has a database of
 * its own in memory. Held against it: at most one answer per request and none to an answer, no document and no piece of one to
 * anybody but an approved member, no row for whom nobody admitted beyond "pending". */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "controller/controller.h"

#define REQUESTS_MAX 64
#define PEOPLE       8 /* 0 is approved, 1 revoked, 2 denied, the rest are strangers */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(x) ((x) ? (void)0 : abort())

struct fuzz {
	struct controller *c;
	struct identity people[PEOPLE];
	uint64_t nwid, now;
	uint8_t root[32]; /* of the manifest in the last HEAD seen */
	unsigned answers;
	bool reading; /* HEADs are being read for root, nothing is judged */
	uint8_t ed[32];
};

static void judge_join(struct fuzz *f, const uint8_t to[KEY_HASH_BYTES], const struct message *m)
{
	struct body_join_res res;
	struct memberconf conf;
	struct head h;
	require(body_join_res_parse(m->body, m->len, &res));
	if (res.status != JOIN_OK) {
		require(!res.memberconf_len);
		return;
	}
	require(!memcmp(to, f->people[0].key_hash, KEY_HASH_BYTES) && res.nwid == f->nwid);
	require(memberconf_parse(res.memberconf, res.memberconf_len, &conf));
	require(head_open(conf.head, conf.head_len, f->ed, &h));
	memcpy(f->root, h.cfg_root, 32);
}

static bool take(void *self, const uint8_t to[KEY_HASH_BYTES], const struct message *m)
{
	struct fuzz *f = self;
	uint8_t wire[BODY_MAX];
	bool member = !memcmp(to, f->people[0].key_hash, KEY_HASH_BYTES);
	require(message_encode(m, wire, sizeof(wire)));
	if (!(m->op & OP_REPLY) || m->req == 0) {
		require(f->reading || m->op == OP_HEAD);
		require(f->reading || member); /* pushes go to members alone */
	} else {
		f->answers++;
	}
	if (m->op == (OP_JOIN_REQ | OP_REPLY) && m->status == STATUS_OK && !f->reading)
		judge_join(f, to, m);
	else if (m->op & OP_REPLY && m->op != (OP_JOIN_REQ | OP_REPLY))
		require(!m->len || member);
	return true;
}

static void ask(struct fuzz *f, unsigned who, uint8_t op, const uint8_t *body, size_t len)
{
	struct endpoint from = {.family = 4, .port = 1, .ip = {192, 0, 2, (uint8_t)who}};
	struct message m = {.req = 1 + who, .op = op, .body = body, .len = len};
	f->answers = 0;
	controller_request(f->c, &f->people[who], &from, &m, f->now, 1700000000 + f->now / 1000);
	controller_settle(f->c, f->now, 1700000000 + f->now / 1000);
	require(f->answers == !(op & OP_REPLY));
	f->now += 700;
}

static size_t join_body(const struct fuzz *f, unsigned who, uint8_t *out)
{
	struct body_join_req req = {.nwid = f->nwid, .identity = f->people[who], .hostname = "fuzz", .os = "Linux", .version = "1"};
	return body_join_req_encode(&req, out, BODY_MAX);
}

static size_t blob_body(const struct fuzz *f, uint8_t *out)
{
	struct body_get_blob get = {.nwid = f->nwid};
	memcpy(get.hash, f->root, 32);
	return body_get_blob_encode(&get, out, BODY_MAX);
}

static size_t groups_body(const struct fuzz *f, uint8_t op, uint8_t *out)
{
	struct body_gather gather = {.nwid = f->nwid, .group = {1, 0, 0x5e, 0, 0, 0xfb}};
	struct body_sub sub = {.nwid = f->nwid, .seq = f->now, .n = 1, .group = {{1, 0, 0x5e, 0, 0, 0xfb}}};
	return op == OP_GATHER ? body_gather_encode(&gather, out, BODY_MAX) : body_sub_encode(&sub, out, BODY_MAX);
}

static void people_make(struct fuzz *f)
{
	for (unsigned i = 0; i < PEOPLE; i++) {
		memset(f->people[i].x, (int)i + 1, 32);
		memset(f->people[i].ed, (int)i + 101, 32);
		f->people[i].address = 0x2000000000 + i;
		identity_hash(&f->people[i]);
	}
}

static void open_up(struct fuzz *f)
{
	static const uint8_t seed[32] = {3};
	struct network_settings s = {.set = SET_NET_NAME | SET_NET_POOL, .name = "fuzz", .pool = {4, 24, {10, 0, 0, 0}}};
	struct controller_port port = {.self = f, .send = take};
	struct secret self = {.self.address = 0x1122334455};
	struct admin_error e;
	const char *why;
	uint8_t body[BODY_MAX];
	memset(self.self.x, 5, 32);
	crypto_sign_seed_keypair(self.self.ed, self.ed, seed);
	memcpy(f->ed, self.self.ed, 32);
	identity_hash(&self.self);
	people_make(f);
	f->now = 1000;
	f->reading = true;
	require(!controller_open(&f->c, ":memory:", &self, &port, f->now, 1700000000, &why));
	require(!controller_network_create(f->c, &s, &f->nwid, &e));
	for (unsigned i = 0; i < 3; i++)
		ask(f, i, OP_JOIN_REQ, body, join_body(f, i, body));
	require(!controller_member_approve(f->c, f->nwid, f->people[0].address, NULL, &e));
	require(!controller_member_approve(f->c, f->nwid, f->people[1].address, NULL, &e));
	require(!controller_member_revoke(f->c, f->nwid, f->people[1].address, NULL, &e));
	require(!controller_member_deny(f->c, f->nwid, f->people[2].address, NULL, &e));
	controller_online(f->c, f->people[0].key_hash, true, f->now, 1700000000);
	controller_settle(f->c, f->now, 1700000000);
	f->reading = false;
	f->now += 30000; /* old enough to answer for others */
	ask(f, 0, OP_JOIN_REQ, body, join_body(f, 0, body));
}

static void judge_row(void *self, const struct member_row *row)
{
	struct fuzz *f = self;
	static const enum member_state known[] = {MEMBER_APPROVED, MEMBER_REVOKED, MEMBER_DENIED};
	require(row->address >= f->people[0].address && row->address < f->people[0].address + PEOPLE);
	unsigned who = (unsigned)(row->address - f->people[0].address);
	require(row->state == (who < 3 ? known[who] : MEMBER_PENDING));
	require(row->n_ips == (who < 2));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz f;
	struct admin_error e;
	uint8_t body[BODY_MAX];
	require(sodium_init() >= 0);
	open_up(&f);
	for (unsigned n = 0; n < REQUESTS_MAX && size >= 4; n++) {
		unsigned who = data[0] % PEOPLE;
		uint8_t op = data[1], how = data[2];
		size_t take_n = data[3] < size - 4 ? data[3] : size - 4, len = 0;
		if ((how & 3) == 1)
			len = join_body(&f, who, body);
		else if ((how & 3) == 2)
			len = blob_body(&f, body);
		else if ((how & 3) == 3)
			len = groups_body(&f, op, body);
		size_t at = len ? (size_t)(how >> 2) * 4 % (len + 1) : 0; /* how = 1 or 2 with no bytes: well-formed */
		memcpy(body + at, data + 4, take_n);
		len = at + take_n > len ? at + take_n : len;
		ask(&f, who, op, body, len);
		data += 4 + take_n;
		size -= 4 + take_n;
	}
	require(!controller_member_each(f.c, f.nwid, judge_row, &f, &e));
	controller_close(f.c);
	return 0;
}
