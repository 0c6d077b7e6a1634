/* keyhole.c: sixty-four who come by a key for one, at a controller that somebody kills (test/crash/run.py, invites).
 *
 * keyhole make DIR            a network and an invitation; prints what the others need to know
 * keyhole crowd DIR WORDS     all of them ask, four a turn
 * keyhole judge DIR WORDS     what a crash left is whole: one is in and the use is taken, or neither; then all ask again, and one is in
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/audit.h"
#include "controller/invite.h"
#include "test/unit/controller_bed.h"

#define CROWD  64
#define A_TURN 4
#define WALL   1700000000
#define NOBODY CROWD

static struct controller *controller;
static struct secret self;
static uint64_t now = 1000, nwid;
static struct invite_key key;

static int bad(const char *what)
{
	printf("%s\n", what);
	return 1;
}

/* Whoever is told must be in afterwards, whatever happens next. */
static bool port_send(void *none, const uint8_t key_hash[KEY_HASH_BYTES], const struct message *m)
{
	struct body_join_res res;
	(void)none;
	if (m->op != (OP_JOIN_REQ | OP_REPLY) || !body_join_res_parse(m->body, m->len, &res) || res.status != JOIN_OK)
		return true;
	for (unsigned n = 0; n < CROWD; n++)
		if (!memcmp(person(n).key_hash, key_hash, KEY_HASH_BYTES))
			printf("told %u\n", n);
	fflush(stdout);
	return true;
}

static bool begin(const char *dir)
{
	static const uint8_t seed[32] = {7};
	struct controller_port port = {.send = port_send};
	const char *why = "";
	memset(self.self.x, 9, 32);
	crypto_sign_seed_keypair(self.self.ed, self.ed, seed);
	identity_hash(&self.self);
	self.self.address = 0xfe00000001;
	if (!controller_open(&controller, dir, &self, &port, now, WALL, &why))
		return true;
	printf("%s\n", why);
	return false;
}

static void ask(unsigned n)
{
	uint8_t body[BODY_MAX], exporter[32];
	struct identity who = person(n);
	struct body_join_req req = {
	    .nwid = nwid, .identity = who, .hostname = "h", .os = "o", .version = "v", .asked = 5, .invite = key.id};
	struct message m = {.req = 77 + n, .op = OP_JOIN_REQ, .body = body, .exporter = exporter};
	memset(exporter, (int)n, sizeof exporter);
	invite_sign(key.seed, exporter, nwid, who.key_hash, req.proof);
	m.len = body_join_req_encode(&req, body, sizeof body);
	controller_request(controller, &who, NULL, &m, now, WALL);
}

static void settle(void)
{
	now += 300;
	controller_settle(controller, now, WALL);
}

static void crowd(void)
{
	for (unsigned n = 0; n < CROWD; n++) {
		ask(n);
		if (n % A_TURN == A_TURN - 1)
			settle();
	}
	settle();
}

static void count(void *n, const struct audit_entry *entry)
{
	(void)entry;
	++*(unsigned *)n;
}

/* Who is in; NOBODY. *ret_whole: that and what the invitation and the audit say are one story. */
static unsigned let_in(bool *ret_whole)
{
	struct audit_query q = {.nwid = nwid, .action = "invite.spend", .limit = 1000};
	struct member_row m;
	struct invite_row i;
	struct admin_error e;
	uint64_t total;
	unsigned who = NOBODY, in = 0, spent = 0;
	for (unsigned n = 0; n < CROWD; n++)
		if (!controller_member_get(controller, nwid, person(n).address, &m, &e) && m.state == MEMBER_APPROVED) {
			who = n;
			in++;
		}
	*ret_whole = !controller_audit_each(controller, &q, count, &spent, &total, &e) &&
	             !controller_invite_get(controller, nwid, key.id, &i, &e) && in <= 1 && spent == in && i.uses_left == 1 - in;
	return who;
}

static int judge(void)
{
	bool whole = false;
	settle();
	unsigned before = let_in(&whole);
	if (!whole)
		return bad("members, invitation and audit do not agree");
	now += 60000; /* strangers' patience */
	crowd();
	unsigned after = let_in(&whole);
	if (!whole || after == NOBODY)
		return bad("not exactly one is in, though all asked again");
	if (before != NOBODY && before != after)
		return bad("another one is in than before");
	printf(before == NOBODY ? "nobody\n" : "in %u\n", before);
	return 0;
}

static int make(void)
{
	struct network_settings s = {.set = SET_NET_NAME, .name = "keyhole"};
	struct invite_terms t = {.uses = 1};
	struct invite_row row;
	struct admin_error e;
	char seed[65];
	if (controller_network_create(controller, &s, &nwid, &e) || controller_invite_create(controller, nwid, &t, 0, &key, &row, &e))
		return bad(e.detail);
	settle();
	sodium_bin2hex(seed, sizeof seed, key.seed, sizeof key.seed);
	printf("%llx %llx %s\n", (unsigned long long)nwid, (unsigned long long)key.id, seed);
	return 0;
}

int main(int argc, char **argv)
{
	size_t n = 0;
	if (sodium_init() < 0 || argc < 3 || !begin(argv[2]))
		return 2;
	if (argc == 6) {
		nwid = strtoull(argv[3], NULL, 16);
		key.id = strtoull(argv[4], NULL, 16);
		if (sodium_hex2bin(key.seed, sizeof key.seed, argv[5], strlen(argv[5]), NULL, &n, NULL) || n != sizeof key.seed)
			return 2;
	}
	int code = 0;
	if (!strcmp(argv[1], "make"))
		code = make();
	else if (argc == 6 && !strcmp(argv[1], "crowd"))
		crowd();
	else if (argc == 6 && !strcmp(argv[1], "judge"))
		code = judge();
	else
		code = 2;
	controller_close(controller);
	return code;
}
