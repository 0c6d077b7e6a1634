/* loopguard_test.c: probes and whose they are; the state of one guard and of several on one LAN, with time as an argument. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/loopguard.h"
#include "proto/loopprobe.h"

#define A 10 /* addresses; the key_hash of each begins with it */
#define B 20
#define C 30

static const uint8_t *hash_of(unsigned who)
{
	static uint8_t hash[256][KEY_HASH_BYTES];
	hash[who][0] = (uint8_t)who;
	hash[who][KEY_HASH_BYTES - 1] = 7;
	return hash[who];
}

/* SipHash-2-4 of 128 bits (Aumasson, Bernstein 2012, and the reference code's siphash128), for whole words only. */
static uint64_t rotated(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static void rounds(uint64_t v[4], unsigned n)
{
	while (n--) {
		v[0] += v[1], v[1] = rotated(v[1], 13) ^ v[0], v[0] = rotated(v[0], 32);
		v[2] += v[3], v[3] = rotated(v[3], 16) ^ v[2];
		v[0] += v[3], v[3] = rotated(v[3], 21) ^ v[0];
		v[2] += v[1], v[1] = rotated(v[1], 17) ^ v[2], v[2] = rotated(v[2], 32);
	}
}

static void siphash(const uint8_t key[16], const uint8_t *in, size_t words, uint8_t ret[16])
{
	uint64_t k[2], m, half[2];
	memcpy(k, key, 16);
	uint64_t v[4] = {k[0] ^ 0x736f6d6570736575ull, k[1] ^ 0x646f72616e646f6dull ^ 0xee, k[0] ^ 0x6c7967656e657261ull,
	                 k[1] ^ 0x7465646279746573ull};
	for (size_t i = 0; i <= words; i++) {
		m = (uint64_t)words * 8 << 56;
		if (i < words)
			memcpy(&m, in + 8 * i, 8);
		v[3] ^= m;
		rounds(v, 2);
		v[0] ^= m;
	}
	for (unsigned i = 0; i < 2; i++) {
		v[i ? 1 : 2] ^= i ? 0xdd : 0xee;
		rounds(v, 4);
		half[i] = v[0] ^ v[1] ^ v[2] ^ v[3];
	}
	memcpy(ret, half, 16);
}

/* Another program's bridge must find ours: the sum is what the document says. */
static void definition(void **state)
{
	(void)state;
	uint8_t gate[32], h[32], in[LOOPPROBE_NONCE + KEY_HASH_BYTES], key[LOOPPROBE_KEY], p[LOOPPROBE_BYTES], want[16];
	for (unsigned i = 0; i < sizeof gate; i++)
		gate[i] = (uint8_t)(0x40 + i);
	for (unsigned i = 0; i < sizeof in; i++)
		in[i] = (uint8_t)(i * 7);
	hash256(h, "fln1 loop", gate, sizeof gate);
	loopprobe_key(gate, key);
	assert_memory_equal(key, h, sizeof key);
	loopprobe_make(key, in, in + LOOPPROBE_NONCE, p);
	siphash(key, in, sizeof in / 8, want);
	assert_memory_equal(p + LOOPPROBE_NONCE, want, sizeof want);
}

static void probe(void **state)
{
	(void)state;
	uint8_t gate[32] = {1, 2, 3}, key[LOOPPROBE_KEY], other[LOOPPROBE_KEY], p[LOOPPROBE_BYTES], q[LOOPPROBE_BYTES];
	uint8_t nonce[LOOPPROBE_NONCE] = {9, 8, 7};
	loopprobe_key(gate, key);
	gate[31] ^= 1;
	loopprobe_key(gate, other);
	assert_memory_not_equal(key, other, sizeof key);
	loopprobe_make(key, nonce, hash_of(A), p);
	assert_memory_equal(p, nonce, sizeof nonce);
	assert_true(loopprobe_by(key, p, hash_of(A)));
	assert_false(loopprobe_by(key, p, hash_of(B)));
	assert_false(loopprobe_by(other, p, hash_of(A))); /* of another network */
	for (unsigned bit = 0; bit < LOOPPROBE_BYTES * 8; bit++) {
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(loopprobe_by(key, p, hash_of(A)));
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	nonce[0]++;
	loopprobe_make(key, nonce, hash_of(A), q);
	assert_memory_not_equal(p + LOOPPROBE_NONCE, q + LOOPPROBE_NONCE, LOOPPROBE_BYTES - LOOPPROBE_NONCE);
}

static void frame(void **state)
{
	(void)state;
	uint8_t f[LOOP_FRAME] = {0x03, 0x46, 0x4c, 0x4e, 0x31, 0x00, 2, 2, 2, 2, 2, 2, 0x88, 0xb6};
	assert_true(loopguard_frame(f, sizeof f));
	assert_true(loopguard_frame(f, 14));
	assert_false(loopguard_frame(f, 13));
	f[5] = 1; /* somebody else's group */
	assert_false(loopguard_frame(f, sizeof f));
	f[5] = 0;
	f[13] = 0xb5;
	assert_false(loopguard_frame(f, sizeof f));
	memcpy(f + 12, "\x81\0\0\x05\x88\xb6", 6);
	assert_true(loopguard_frame(f, sizeof f));
	assert_false(loopguard_frame(f, 17));
}

static void start(struct loopguard *g)
{
	memset(g, 0, sizeof *g);
	g->probe_ms = 0;
}

/* The larger one gives way until the smaller one is silent, the smaller one only remembers. */
static void two(void **state)
{
	(void)state;
	struct loopguard a, b;
	uint64_t who = 99;
	start(&a);
	start(&b);
	a.probe_ms = b.probe_ms = 3000;
	assert_int_equal(loop_hear(&b, hash_of(B), hash_of(A), A, 1000), LOOP_BLOCK);
	assert_true(b.blocked);
	assert_int_equal(b.probe_ms, 1000); /* it answers at once */
	assert_int_equal(loop_hear(&a, hash_of(A), hash_of(B), B, 1001), LOOP_FOUND);
	assert_false(a.blocked);
	assert_int_equal(a.n, 1);
	for (uint64_t now = 2000; now <= 10000; now += 2000) {
		assert_int_equal(loop_hear(&b, hash_of(B), hash_of(A), A, now), LOOP_SAME);
		assert_int_equal(loop_hear(&a, hash_of(A), hash_of(B), B, now), LOOP_SAME);
		assert_int_equal(loop_silence(&b, hash_of(B), now + 1999, &who), LOOP_SAME);
	}
	b.probe_ms = NEVER;
	assert_int_equal(loop_deadline(&b), 10000 + LOOP_SILENCE_MS);
	assert_int_equal(loop_silence(&b, hash_of(B), 10000 + LOOP_SILENCE_MS - 1, &who), LOOP_SAME);
	assert_int_equal(who, 99);
	assert_true(b.blocked);
	assert_int_equal(loop_silence(&b, hash_of(B), 10000 + LOOP_SILENCE_MS, &who), LOOP_UNBLOCK);
	assert_int_equal(who, A);
	assert_false(b.blocked);
	assert_int_equal(loop_silence(&b, hash_of(B), 10000 + LOOP_SILENCE_MS, &who), LOOP_SAME);
	assert_int_equal(loop_deadline(&b), NEVER);
	assert_int_equal(loop_silence(&a, hash_of(A), 10000 + LOOP_SILENCE_MS, &who), LOOP_GONE);
	assert_int_equal(who, B);
}

/* Of three the smallest stays open; when it goes, the next one does. */
static void three(void **state)
{
	(void)state;
	struct loopguard g[3];
	static const unsigned name[3] = {A, B, C};
	uint64_t who;
	for (int i = 0; i < 3; i++)
		start(&g[i]);
	for (uint64_t now = 0; now <= 30000; now += 500) {
		for (int from = 0; from < 3; from++)
			for (int to = 0; to < 3; to++)
				if (from != to && (from != 0 || now < 10000)) /* A leaves */
					(void)loop_hear(&g[to], hash_of(name[to]), hash_of(name[from]), name[from], now);
		for (int i = 0; i < 3; i++)
			while (loop_silence(&g[i], hash_of(name[i]), now, &who) != LOOP_SAME)
				;
		if (now < 10000) {
			assert_false(g[0].blocked);
			assert_true(g[1].blocked);
		}
		if (now >= 10000 + LOOP_SILENCE_MS)
			assert_false(g[1].blocked);
		assert_true(g[2].blocked);
	}
	assert_int_equal(g[2].n, 1);
}

/* Our own: a ring inside the LAN, which no port of ours can open. */
static void ring(void **state)
{
	(void)state;
	struct loopguard g;
	uint64_t who = 99;
	start(&g);
	g.probe_ms = NEVER;
	assert_int_equal(loop_hear(&g, hash_of(B), hash_of(B), B, 500), LOOP_FOUND);
	assert_int_equal(loop_hear(&g, hash_of(B), hash_of(B), B, 1500), LOOP_SAME);
	assert_false(g.blocked);
	assert_int_equal(g.n, 0);
	assert_int_equal(loop_deadline(&g), 1500 + LOOP_SILENCE_MS);
	assert_int_equal(loop_silence(&g, hash_of(B), 1499 + LOOP_SILENCE_MS, &who), LOOP_SAME);
	assert_int_equal(loop_silence(&g, hash_of(B), 1500 + LOOP_SILENCE_MS, &who), LOOP_GONE);
	assert_int_equal(who, 0);
	assert_int_equal(loop_silence(&g, hash_of(B), 1500 + LOOP_SILENCE_MS, &who), LOOP_SAME);
}

/* Nine bridges on one LAN: the one whose turn it is to stay open must not be the one there is no room for. */
static void crowd(void **state)
{
	(void)state;
	struct loopguard g;
	start(&g);
	for (unsigned i = 0; i < LOOP_RIVALS_MAX; i++)
		assert_int_equal(loop_hear(&g, hash_of(B), hash_of(100 + i), 100 + i, 1), LOOP_FOUND);
	assert_int_equal(loop_hear(&g, hash_of(B), hash_of(200), 200, 1), LOOP_SAME);
	assert_false(g.blocked);
	assert_int_equal(loop_hear(&g, hash_of(B), hash_of(A), A, 1), LOOP_BLOCK);
	assert_int_equal(g.n, LOOP_RIVALS_MAX);
	assert_int_equal(loop_hear(&g, hash_of(B), hash_of(A - 1), A - 1, 1), LOOP_SAME); /* shut is shut */
}

/* Suspicion brings probes, ten a second at the most. */
static void hurry(void **state)
{
	(void)state;
	struct loopguard g;
	unsigned sent = 0;
	start(&g);
	g.probe_ms = 2000;
	for (uint64_t now = 0; now < 10000; now++) {
		if (now >= 5000 && now < 6000)
			loop_hurry(&g, now);
		if (now < g.probe_ms)
			continue;
		sent += now >= 5000 && now < 6000;
		g.probed_ms = now;
		g.probe_ms = now + LOOP_PROBE_MS;
	}
	assert_int_equal(sent, 10);
	g.probe_ms = NEVER; /* no bridge, no probes */
	loop_hurry(&g, 20000);
	assert_int_equal(g.probe_ms, NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(definition), cmocka_unit_test(probe), cmocka_unit_test(frame), cmocka_unit_test(two),
	    cmocka_unit_test(three),      cmocka_unit_test(ring),  cmocka_unit_test(crowd), cmocka_unit_test(hurry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
