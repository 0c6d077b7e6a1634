/* vectors_test: whole messages with fixed ephemerals, salts and nonces, against the block in proto/PROTOCOL.md.
 *
 * `vectors_test --print` writes that block; without an argument the block is made again and compared line by line, so
 * the document cannot drift from the code. test/unit/vectors.py recomputes the same block without this code. Runs in
 * the top folder of the tree. */
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/handshake.h"
#include "proto/invite.h"
#include "proto/leg.h"

#define DOCUMENT  "proto/PROTOCOL.md"
#define BEGIN     "<!-- messages: begin -->"
#define END       "<!-- messages: end -->"
#define IDX_A     0x11223340u
#define IDX_B     0x55667780u
#define CIRCUIT_B 0xcafe0010u /* chosen by b, who relays */
#define CIRCUIT_A 0xcafe0020u
#define CAPS      (CAP_CHACHA | 3u << CAP_LANES_SHIFT)

static char made[16384];
static size_t made_len;

static void emit(const char *name, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	made_len += (size_t)snprintf(made + made_len, sizeof made - made_len, "%-22s ", name);
	if (n == 0)
		made_len += (size_t)snprintf(made + made_len, sizeof made - made_len, "-");
	for (size_t i = 0; i < n && made_len + 3 < sizeof made; i++)
		made_len += (size_t)snprintf(made + made_len, sizeof made - made_len, "%02x", p[i]);
	made_len += (size_t)snprintf(made + made_len, sizeof made - made_len, "\n");
	assert_true(made_len < sizeof made);
}

/* n bytes counting up from first. */
static void count(uint8_t *to, size_t n, unsigned first)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)(first + i);
}

static void from_hex(uint8_t *to, size_t n, const char *hex)
{
	size_t len = 0;
	assert_int_equal(sodium_hex2bin(to, n, hex, strlen(hex), NULL, &len, NULL), 0);
	assert_int_equal(len, n);
}

static void make_sides(struct secret *a, struct secret *b)
{
	uint8_t x[32], seed[32];
	count(a->x, 32, 0x20);
	crypto_scalarmult_curve25519_base(a->self.x, a->x);
	count(seed, 32, 0x40);
	crypto_sign_seed_keypair(a->self.ed, a->ed, seed);
	identity_hash(&a->self);

	from_hex(x, 32, "b9dab2f91e55257b1dcb073c53afbac11e8704987dd2431f818c866fc395fe91");
	from_hex(seed, 32, "20666ef189d264b82d40ae213746371d0d3c0dd7f3cb11c195ceeffc0a4e945a");
	memcpy(b->x, x, 32);
	crypto_scalarmult_curve25519_base(b->self.x, x);
	crypto_sign_seed_keypair(b->self.ed, b->ed, seed);
	identity_hash(&b->self);

	emit("a.x_secret", a->x, 32);
	emit("a.identity", &a->self, 64);
	emit("a.key_hash", a->self.key_hash, 32);
	emit("b.x_secret", b->x, 32);
	emit("b.identity", &b->self, 64);
	emit("b.key_hash", b->self.key_hash, 32);
}

static void emit_draw(const char *who, const struct handshake_draw *draw, bool init)
{
	char name[32];
	snprintf(name, sizeof name, "%s.e_secret", who);
	emit(name, draw->e, 32);
	snprintf(name, sizeof name, "%s.salt", who);
	emit(name, draw->salt, 12);
	snprintf(name, sizeof name, "%s.pad", who);
	emit(name, draw->pad, draw->pad_len);
	if (init) {
		snprintf(name, sizeof name, "%s.mac2_random", who);
		emit(name, draw->mac2, 16);
	}
}

static size_t run_init(const char *who, struct handshake *hs, struct handshake *r, const struct secret *a, const struct secret *b,
                       const struct gate *gate, const uint8_t *cookie, const struct init_payload *p, const struct handshake_draw *draw)
{
	uint8_t d[INIT_SEND_MAX];
	struct init_payload got;
	char name[32];
	emit_draw(who, draw, cookie == NULL);
	snprintf(name, sizeof name, "%s.fresh", who);
	emit(name, p->fresh, 16);
	size_t n = init_create(hs, a, &b->self, gate, cookie, IDX_A, p, d, sizeof d, draw);
	emit(who, d, n);
	assert_true(gate_check(gate, d, n));
	assert_int_equal(cookie != NULL, cookie && init_mac2_check(d, n, cookie));
	assert_int_equal(init_consume(r, b, gate, NULL, d, n, &got), DROP_NONE);
	return n;
}

static void run_resp(struct handshake *i, struct handshake *r, const struct secret *a, const struct secret *b, const struct resp_payload *p,
                     size_t init_len, uint8_t ret_exporter[32])
{
	struct handshake_draw draw = {.pad_len = 3};
	struct session_keys ki, kr;
	struct resp_payload got;
	uint8_t d[INIT_MAX];
	count(draw.e, 32, 0xa0);
	count(draw.salt, 12, 0x30);
	count(draw.pad, 3, 0xd0);
	emit_draw("resp", &draw, false);
	emit("resp.tlvs", p->tlvs, p->tlvs_len);
	emit("resp.ck1", r->noise.ck1, 64);
	size_t n = resp_create(r, b, p, init_len, d, sizeof d, &kr, &draw);
	emit("resp", d, n);
	assert_int_equal(resp_consume(i, a, CAPS, d, n, &got, &ki), DROP_NONE);
	assert_memory_equal(ki.send, kr.receive, 32);
	emit("key_a_to_b", ki.send, 32);
	emit("key_b_to_a", ki.receive, 32);
	emit("exporter", ki.exporter, 32);
	memcpy(ret_exporter, ki.exporter, 32);
}

/* Both directions of one leg of a circuit over that session, b being the relay; inner = a datagram of the block. */
static void run_legs(const uint8_t exporter[32], const uint8_t *inner, size_t n)
{
	uint8_t d[LEG_HEADER + RETRY_BYTES];
	struct leg_keys keys;
	uint32_t seq;
	assert_true(n <= RETRY_BYTES);
	memcpy(d + LEG_HEADER, inner, n);

	leg_derive(&keys, exporter, CIRCUIT_B, CIRCUIT_A, LEG_TO_RELAY);
	emit("leg_to_b.key", keys.key, 16);
	emit("leg_to_b.hp", keys.hp, 16);
	leg_seal(&keys, CIRCUIT_B, 9, d, n);
	emit("leg_to_b", d, LEG_HEADER + n);
	assert_true(leg_open(&keys, d, LEG_HEADER + n, &seq));
	assert_int_equal(seq, 9);

	leg_derive(&keys, exporter, CIRCUIT_A, CIRCUIT_B, LEG_FROM_RELAY);
	emit("leg_to_a.key", keys.key, 16);
	emit("leg_to_a.hp", keys.hp, 16);
	leg_seal(&keys, CIRCUIT_A, 0, d, n);
	emit("leg_to_a", d, LEG_HEADER + n);
	assert_true(leg_open(&keys, d, LEG_HEADER + n, &seq));
	assert_int_equal(seq, 0);
}

static void run_retry(const char *who, const struct handshake *i, const struct gate *gate, enum retry_kind kind, const uint8_t value[16],
                      unsigned nonce, uint8_t d[RETRY_BYTES])
{
	struct handshake_draw draw = {.pad_len = 0};
	uint8_t got[16];
	enum retry_kind got_kind;
	char name[32];
	count(draw.nonce, 24, nonce);
	snprintf(name, sizeof name, "%s.nonce", who);
	emit(name, draw.nonce, 24);
	snprintf(name, sizeof name, "%s.value", who);
	emit(name, value, 16);
	retry_create(gate, i->idx, i->mac1, kind, value, d, &draw);
	emit(who, d, RETRY_BYTES);
	assert_int_equal(retry_consume(i, gate, d, RETRY_BYTES, &got_kind, got), DROP_NONE);
	assert_int_equal(got_kind, kind);
	assert_memory_equal(got, value, 16);
}

/* a asks b for network c5057629d8000001 by an invitation, on that session. */
static void run_invite(const uint8_t exporter[32], const struct secret *a)
{
	uint8_t seed[32], public[32], proof[INVITE_PROOF_BYTES];
	count(seed, 32, 0xc0);
	invite_public(seed, public);
	invite_sign(seed, exporter, 0xc5057629d8000001, a->self.key_hash, proof);
	assert_true(invite_verify(public, exporter, 0xc5057629d8000001, a->self.key_hash, proof));
	emit("invite.seed", seed, 32);
	emit("invite.public", public, 32);
	emit("invite.proof", proof, sizeof proof);
}

static void make(void)
{
	struct secret a, b;
	struct gate gate;
	struct handshake i1, i2, r1, r2;
	struct handshake_draw draw = {.pad_len = 5};
	struct endpoint from = {.family = 4, .port = 51820, .ip = {192, 0, 2, 1}};
	struct init_payload p = {.caps = CAPS};
	uint8_t tlvs_a[14], tlvs_b[14], secret[32], cookie[16], fresh[16];
	uint8_t inner[RETRY_BYTES], other[RETRY_BYTES], exporter[32];

	made_len = 0;
	make_sides(&a, &b);
	gate_derive(&gate, b.self.key_hash, gate_zero);
	from_hex(p.ts, 12, "00000007000000003b9aca00");
	from_hex(tlvs_a, 14, "04000a00c5057629d80000010700");
	from_hex(tlvs_b, 14, "04000a00c5057629d80000010900");
	p.tlvs = tlvs_a;
	p.tlvs_len = sizeof tlvs_a;
	emit("init.ts", p.ts, 12);
	emit("init.tlvs", tlvs_a, sizeof tlvs_a);
	count(secret, 32, 0x60);
	emit("secret_2min", secret, 32);
	cookie_value(secret, &from, cookie);
	fresh_value(secret, a.self.key_hash, p.ts, fresh);

	count(draw.e, 32, 0x80);
	count(draw.salt, 12, 0);
	count(draw.pad, 5, 0xc0);
	count(draw.mac2, 16, 0xe0);
	size_t n = run_init("init1", &i1, &r1, &a, &b, &gate, NULL, &p, &draw);
	run_retry("retry_cookie", &i1, &gate, RETRY_COOKIE, cookie, 0x10, inner);
	run_retry("retry_fresh", &i1, &gate, RETRY_FRESH, fresh, 0x50, other);

	struct resp_payload q = {
	    .idx = IDX_B,
	    .suite = SUITE_CHACHA20_POLY1305,
	    .lanes = 4,
	    .max_datagram = 1472,
	    .caps = CAPS,
	    .observed = from,
	    .epoch = 9,
	    .tlvs = tlvs_b,
	    .tlvs_len = sizeof tlvs_b,
	};
	run_resp(&i1, &r1, &a, &b, &q, n, exporter);
	run_legs(exporter, inner, sizeof inner);
	run_invite(exporter, &a);

	memcpy(p.fresh, fresh, 16);
	count(draw.e, 32, 0x90);
	count(draw.salt, 12, 1);
	draw.pad_len = 0;
	run_init("init2", &i2, &r2, &a, &b, &gate, cookie, &p, &draw);
}

static void test_document(void **state)
{
	(void)state;
	static char text[256 * 1024];
	FILE *f = fopen(DOCUMENT, "r");
	if (!f)
		fail_msg("cannot read " DOCUMENT ": run me in the top folder of the tree");
	size_t n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	assert_true(n > 0 && n < sizeof text - 1);
	text[n] = 0;
	char *from = strstr(text, BEGIN), *to = from ? strstr(from, END) : NULL;
	assert_non_null(from);
	assert_non_null(to);
	*to = 0;
	make();
	if (strstr(from, made))
		return;
	for (char *save = NULL, *line = strtok_r(made, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!strstr(from, line))
			fail_msg("not in " DOCUMENT ": %s", line);
	fail_msg("the block in " DOCUMENT " has other lines than --print writes");
}

int main(int argc, char **argv)
{
	if (sodium_init() < 0)
		return 1;
	if (argc == 2 && strcmp(argv[1], "--print") == 0) {
		make();
		return fputs(made, stdout) < 0;
	}
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_document)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
