/* ident_test.c: identity, derivations and text forms against PROTOCOL.md's vectors, and everything
 * a person, a disk or a clipboard can do to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/ident.h"
#include "proto/seal.h"
#include "test/unit/hex.h"

#define X_SECRET "b9dab2f91e55257b1dcb073c53afbac11e8704987dd2431f818c866fc395fe91"
#define ED_SEED  "20666ef189d264b82d40ae213746371d0d3c0dd7f3cb11c195ceeffc0a4e945a"
#define IDENTITY                                                                                                                           \
	"a88002875a99f761dde8575a62d0903cb9f29138dae794497617938e09fe974d"                                                                 \
	"76a8d5171af848c4654e3379ae01a931c6cb0d180f8cea5402409d59012e7c49"
#define KEY_HASH "f497c59001a420db367cbce5ef08318fe81b922e8c262cb13092344ef5eda78a"
#define ADDRESS  UINT64_C(0xc5057629d8)
#define NWID     UINT64_C(0xc5057629d8000001)
#define IDENTITY_TEXT                                                                                                                      \
	"fln1:c5057629d8:qIACh1qZ92Hd6FdaYtCQPLnykTja55RJdheTjgn-l012qNUXGvhIxGVOM3muAakxxssNGA-"                                          \
	"M6lQCQJ1ZAS58SQ"

static struct secret self; /* the vector's, derived once: an evaluation costs milliseconds */

static int derive_self(void **state)
{
	(void)state;
	uint8_t x[32], seed[32];
	unhex(x, sizeof(x), X_SECRET);
	unhex(seed, sizeof(seed), ED_SEED);
	return seal_setup() == 0 && secret_derive(&self, x, seed) ? 0 : -1;
}

static void vector_identity(void **state)
{
	(void)state;
	assert_hex(self.self.x, "a88002875a99f761dde8575a62d0903cb9f29138dae794497617938e09fe974d");
	assert_hex(self.self.ed, "76a8d5171af848c4654e3379ae01a931c6cb0d180f8cea5402409d59012e7c49");
	assert_hex(self.self.key_hash, KEY_HASH);
	assert_true(self.self.address == ADDRESS);
	assert_hex(self.ed, ED_SEED "76a8d5171af848c4654e3379ae01a931c6cb0d180f8cea5402409d59012e7c49");

	/* The whole Argon2id output, as the vector gives it; ident_work shows only its last five
	 * bytes. */
	uint8_t identity[64], pre[64], d[32], in[8 + 64];
	unhex(identity, sizeof(identity), IDENTITY);
	memcpy(in,
	       "\x07"
	       "fln1 id",
	       8);
	memcpy(in + 8, identity, 64);
	crypto_generichash(pre, 64, in, sizeof(in), NULL, 0);
	assert_int_equal(
	    crypto_pwhash(d, 32, (const char *)pre, 64, (const uint8_t *)"fln1-identity-01", 1, 8u << 20, crypto_pwhash_ALG_ARGON2ID13), 0);
	assert_hex(d, "009c5628772f91bb7ec0b14b62a9c921ca0622019cc71e5e9b4869c5057629d8");
}

static void work_refuses(void **state)
{
	(void)state;
	/* One in 256 would pass; these bits were looked at and do not. */
	struct identity id = self.self;
	uint64_t address = 7;
	id.ed[31] ^= 1;
	assert_false(ident_work(id.x, id.ed, &address));
	assert_true(address == 7);
	/* The halves cannot change places. */
	assert_false(ident_work(self.self.ed, self.self.x, &address));
	assert_true(ident_work(self.self.x, self.self.ed, &address));
	assert_true(address == ADDRESS);
	uint8_t x[32], seed[32];
	struct secret none;
	memset(&none, 0x5a, sizeof(none));
	unhex(x, sizeof(x), X_SECRET);
	unhex(seed, sizeof(seed), ED_SEED);
	seed[0] ^= 1;
	assert_false(secret_derive(&none, x, seed));
	assert_int_equal(none.x[0], 0x5a);
}

/* A reproducible libsodium generator, as the simulator has one: proves that nothing else feeds a
 * new identity. */
#define STREAM_START                                                                                                                       \
	176 /* its second identity carries the work, so the search goes round once and the test is \
	       fast */
static uint64_t stream;
static const char *stream_name(void)
{
	return "counter";
}
static uint32_t stream_random(void)
{
	uint64_t z = stream += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (uint32_t)(z >> 32);
}
static void stream_buf(void *const buf, const size_t n)
{
	uint8_t *out = buf;
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)stream_random();
}

static void generates(void **state)
{
	(void)state;
	static randombytes_implementation impl = {.implementation_name = stream_name, .random = stream_random, .buf = stream_buf};
	randombytes_implementation *before = &randombytes_sysrandom_implementation;
	struct secret one, two;
	uint64_t address = 0;
	randombytes_set_implementation(&impl);
	stream = STREAM_START;
	assert_int_equal(secret_generate(&one), 0);
	stream = STREAM_START;
	assert_int_equal(secret_generate(&two), 0);
	randombytes_set_implementation(before);
	assert_memory_equal(&one, &two, sizeof(one));
	assert_true(ident_work(one.self.x, one.self.ed, &address));
	assert_true(address == one.self.address && address >> 32 != 0 && address >> 32 != 0xff);
	uint8_t x[32];
	assert_int_equal(crypto_scalarmult_base(x, one.x), 0);
	assert_memory_equal(x, one.self.x, 32);
	struct identity again = one.self;
	identity_hash(&again);
	assert_memory_equal(again.key_hash, one.self.key_hash, 32);
	secret_fini(&one);
	assert_true(sodium_is_zero((const uint8_t *)&one, sizeof(one)));
}

static void vector_network(void **state)
{
	(void)state;
	uint8_t mac[6], ip[16];
	uint64_t address = 0;
	mac_derive(NWID, ADDRESS, mac);
	assert_hex(mac, "ea665f8bbea8");
	assert_true(mac_address(NWID, mac, &address));
	assert_true(address == ADDRESS);
	ula_derive(NWID, ADDRESS, ip);
	assert_hex(ip, "fdbaf4c92048000002c5057629d80000");
	mac[0] ^= 4;
	address = 9;
	assert_false(mac_address(NWID, mac, &address));
	assert_true(address == 9);
}

static void macs_are_local_and_reversible(void **state)
{
	(void)state;
	bool replaced = false;
	for (uint64_t i = 1; i < 2000; i++) {
		uint64_t nwid = NWID + i, address = (i * UINT64_C(0x9e3779b97f)) & UINT64_C(0xffffffffff), back = 0;
		uint8_t mac[6], h[32], be[8];
		mac_derive(nwid, address, mac);
		assert_int_equal(mac[0] & 3, 2);
		assert_true(mac[0] != 0x02 && mac[0] != 0x52);
		assert_true(mac_address(nwid, mac, &back));
		assert_true(back == address);
		for (unsigned b = 0; b < 8; b++)
			be[b] = (uint8_t)(nwid >> (56 - 8 * b));
		hash256(h, "fln1 mac", be, 8);
		if ((h[0] & 0xfc) == 0x50) {
			assert_int_equal(mac[0], 0x32);
			replaced = true;
		} else if (!(h[0] & 0xfc)) {
			assert_int_equal(mac[0], 0x06);
		} else {
			assert_int_equal(mac[0], (h[0] & 0xfc) | 2);
		}
	}
	assert_true(replaced);
}

static void text_identity(void **state)
{
	(void)state;
	char text[IDENTITY_TEXT_MAX];
	struct identity id;
	identity_format(&self.self, text);
	assert_string_equal(text, IDENTITY_TEXT);
	assert_true(identity_parse(text, &id));
	assert_memory_equal(&id, &self.self, sizeof(id));
	/* Every single character is needed, and none may follow. */
	size_t len = strlen(text);
	char bad[IDENTITY_TEXT_MAX + 4];
	for (size_t i = 0; i < len; i++) {
		memcpy(bad, text, len + 1);
		bad[i] = 0;
		memset(&id, 0x5a, sizeof(id));
		assert_false(identity_parse(bad, &id));
		memcpy(bad, text, len + 1);
		memmove(bad + i, bad + i + 1, len - i);
		assert_false(identity_parse(bad, &id));
		memcpy(bad, text, len + 1);
		bad[i] = '*';
		assert_false(identity_parse(bad, &id));
		assert_int_equal(id.x[0], 0x5a);
	}
	static const char *const tails[] = {" ", "\n", "=", "A", "@"};
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		snprintf(bad, sizeof(bad), "%s%s", text, tails[i]);
		assert_false(identity_parse(bad, &id));
	}
	/* The last digit carries two bits of key; the four others must be zero, or one key had 16
	 * spellings. */
	memcpy(bad, text, len + 1);
	assert_int_equal(bad[len - 1], 'Q');
	bad[len - 1] = 'R';
	assert_false(identity_parse(bad, &id));
	/* libsodium 1.0.18 reads byte 0xdf as '_'. */
	memcpy(bad, text, 16);
	memset(bad + 16, '_', 85);
	bad[101] = 'w';
	bad[102] = 0;
	assert_true(identity_parse(bad, &id));
	bad[50] = (char)0xdf;
	assert_false(identity_parse(bad, &id));
	memcpy(bad, text, len + 1);
	memcpy(bad + 5, "00", 2);
	assert_false(identity_parse(bad, &id));
	memcpy(bad + 5, "ff", 2);
	assert_false(identity_parse(bad, &id));
	memcpy(bad, "FLN1", 4);
	assert_false(identity_parse(bad, &id));
	assert_false(identity_parse("", &id));
}

static void text_address(void **state)
{
	(void)state;
	char buf[ADDRESS_TEXT];
	uint64_t a = 0;
	address_format(ADDRESS, buf);
	assert_string_equal(buf, "c5057629d8");
	assert_true(address_parse("c5057629d8", &a));
	assert_true(a == ADDRESS);
	assert_true(address_parse("C5057629D8", &a));
	assert_true(a == ADDRESS);
	static const char *const bad[] = {"",           "c5057629d",  "c5057629d80", "c5057629dg", " c5057629d8", "c5057629d8 ",
	                                  "0xc5057629", "-c5057629d", "0000000001",  "00ffffffff", "ff00000001"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		a = 3;
		assert_false(address_parse(bad[i], &a));
		assert_true(a == 3);
	}
}

static void text_nwid(void **state)
{
	(void)state;
	char buf[NWID_TEXT + 27];
	uint64_t nwid = 0;
	uint8_t bits[17];
	bool pin = true;
	nwid_format(NWID, buf);
	assert_string_equal(buf, "c5057629d8000001");
	assert_true(nwid_parse(buf, &nwid, &pin, bits));
	assert_true(nwid == NWID && !pin);

	nwid_format_long(NWID, self.self.key_hash, buf);
	/* f497c59001a420db367cbce5ef08318fe8 by RFC 4648, cut at 26 digits. */
	assert_string_equal(buf, "c5057629d8000001-6sl4leabuqqnwnt4xts66cbrr7");
	assert_true(nwid_parse(buf, &nwid, &pin, bits));
	assert_true(nwid == NWID && pin);
	assert_memory_equal(bits, self.self.key_hash, 16);
	assert_int_equal(bits[16], self.self.key_hash[16] & 0xc0);
	assert_true(nwid_parse("C5057629D8000001-6SL4LEABUQQNWNT4XTS66CBRR7", &nwid, &pin, bits));

	/* Each bit of the 130 lands where it belongs. */
	for (unsigned i = 0; i < 130; i++) {
		uint8_t hash[32] = {0};
		hash[i / 8] = (uint8_t)(0x80 >> i % 8);
		nwid_format_long(NWID, hash, buf);
		assert_true(nwid_parse(buf, &nwid, &pin, bits));
		assert_memory_equal(bits, hash, 17);
	}
	static const char *const bad[] = {
	    "",
	    "c5057629d800000",
	    "c5057629d80000011",
	    "c5057629d8000000",
	    "00057629d8000001",
	    "ff057629d8000001",
	    "c5057629d8000001-",
	    "c5057629d8000001-6sl4leabuqqnwnt4xts66cbrr",
	    "c5057629d8000001-6sl4leabuqqnwnt4xts66cbrr77",
	    "c5057629d8000001-6sl4leabuqqnwnt4xts66cbrr1",
	    "c5057629d8000001-6sl4leabuqqnwnt4xts66cbrr ",
	    "c5057629d8000001 ",
	    "c5057629d8000001:6sl4leabuqqnwnt4xts66cbrr7",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		nwid = 5;
		memset(bits, 0x5a, sizeof(bits));
		assert_false(nwid_parse(bad[i], &nwid, &pin, bits));
		assert_true(nwid == 5 && bits[0] == 0x5a);
	}
}

static void words_are_distinct(void **state)
{
	(void)state;
	char word[256][WORDS_TEXT], buf[4 * WORDS_TEXT];
	uint8_t hash[32] = {0};
	for (unsigned i = 0; i < 256; i++) {
		hash[0] = (uint8_t)i;
		fingerprint_words(hash, word[i]);
		*strchr(word[i], '-') = 0;
		assert_true(strlen(word[i]) >= 3 && strlen(word[i]) <= 7);
		assert_int_equal(strspn(word[i], "abcdefghijklmnopqrstuvwxyz"), strlen(word[i]));
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(word[i], word[j]);
	}
	uint8_t four[32] = {3, 200, 255, 17, 99};
	snprintf(buf, sizeof(buf), "%s-%s-%s-%s", word[3], word[200], word[255], word[17]);
	char got[WORDS_TEXT];
	fingerprint_words(four, got);
	assert_string_equal(got, buf);
	/* Never to change: people wrote these down. */
	fingerprint_words(self.self.key_hash, got);
	assert_string_equal(got, "thunder-kayak-orchid-ivory");
}

static void secret_file(void **state)
{
	(void)state;
	char text[SECRET_TEXT_MAX], bad[SECRET_TEXT_MAX + 1];
	struct secret s;
	assert_int_equal(secret_format(&self, text, SECRET_TEXT_MAX - 1), 0);
	size_t len = secret_format(&self, text, sizeof(text));
	assert_int_equal(len, strlen(text));
	assert_int_equal(text[len - 1], '\n');
	assert_true(secret_parse(text, len, &s));
	assert_memory_equal(&s, &self, sizeof(s));
	assert_true(secret_parse(text, len - 1, &s)); /* an editor may drop the newline */

	memset(&s, 0x5a, sizeof(s));
	for (size_t cut = 0; cut < len - 1; cut++)
		assert_false(secret_parse(text, cut, &s));
	for (size_t i = 0; i < len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			memcpy(bad, text, len);
			bad[i] = (char)(bad[i] ^ (1 << bit));
			/* Bit 5 of a hex letter is its case, which says nothing. */
			if (i >= 12 && i < 22 && bit == 5 && text[i] >= 'a')
				continue;
			assert_false(secret_parse(bad, len, &s));
		}
	}
	for (size_t i = 0; i + 1 < len; i++) {
		memcpy(bad, text, len);
		bad[i] = text[i + 1];
		bad[i + 1] = text[i];
		if (bad[i] != bad[i + 1])
			assert_false(secret_parse(bad, len, &s));
	}
	memcpy(bad, text, len);
	bad[len] = '\n';
	assert_false(secret_parse(bad, len + 1, &s));
	assert_false(secret_parse("", 0, &s));
	char zeros[SECRET_TEXT_MAX] = {0};
	assert_false(secret_parse(zeros, len, &s));
	assert_int_equal(s.x[0], 0x5a);
}

static void foreign_secret(void **state)
{
	(void)state;
	/* Well-formed and with a right check word, but without the work, or with another address.
	 */
	struct secret forged = self, s;
	char text[SECRET_TEXT_MAX];
	forged.self.address ^= 1;
	assert_false(secret_parse(text, secret_format(&forged, text, sizeof(text)), &s));
	forged = self;
	forged.ed[0] ^= 1;
	assert_false(secret_parse(text, secret_format(&forged, text, sizeof(text)), &s));
}

static void text_endpoint(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} good[] = {
	    {"192.0.2.1:9993", "192.0.2.1:9993"},
	    {"0.0.0.0:1", "0.0.0.0:1"},
	    {"255.255.255.255:65535", "255.255.255.255:65535"},
	    {"[2001:db8::1]:9993", "[2001:db8::1]:9993"},
	    {"[2001:DB8:0:0:0:0:0:1]:9993", "[2001:db8::1]:9993"},
	    {"[::ffff:192.0.2.1]:443", "192.0.2.1:443"},
	    {"[fd00:1111:2222:3333:4444:5555:6666:7777]:65535", "[fd00:1111:2222:3333:4444:5555:6666:7777]:65535"},
	};
	static const char *const bad[] = {
	    "",
	    ":",
	    ":9993",
	    "192.0.2.1",
	    "192.0.2.1:",
	    "192.0.2.1:0",
	    "192.0.2.1:09",
	    "192.0.2.1:65536",
	    "192.0.2.1:4294967297",
	    "192.0.2.1: 1",
	    "192.0.2.1:+1",
	    "192.0.2.1:1 ",
	    "192.0.2:1",
	    "192.0.2.256:1",
	    "192.0.02.1:1x",
	    "root.example:9993",
	    "2001:db8::1:9993",
	    "[2001:db8::1]",
	    "[2001:db8::1]9993",
	    "[2001:db8::1]:",
	    "[2001:db8::1:9993",
	    "[fe80::1%eth0]:1",
	    "[192.0.2.1]:1",
	    "[]:1",
	    "[::1]:1]",
	    "[",
	    "]",
	    "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb]:1",
	    "1111111111111111111111111111111111111111111111111111:1",
	};
	struct endpoint e, again;
	char buf[ENDPOINT_TEXT_MAX];
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(endpoint_parse(good[i].in, &e));
		endpoint_format(&e, buf, sizeof(buf));
		assert_string_equal(buf, good[i].out);
		assert_true(endpoint_parse(buf, &again));
		assert_true(endpoint_equal(&e, &again));
		again.port ^= 1;
		assert_false(endpoint_equal(&e, &again));
		again = e;
		again.ip[e.family == 4 ? 3 : 15] ^= 1;
		assert_false(endpoint_equal(&e, &again));
	}
	memset(&e, 0x5a, sizeof(e));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (endpoint_parse(bad[i], &e))
			fail_msg("accepted '%s'", bad[i]);
	}
	assert_int_equal(e.family, 0x5a);
	endpoint_format(&(struct endpoint){0}, buf, sizeof(buf));
	assert_string_equal(buf, "none");
}

static void hashes(void **state)
{
	(void)state;
	uint8_t one[32], two[32], in[64];
	unhex(in, sizeof(in), IDENTITY);
	hash256(one, "fln1 key", in, 64);
	assert_hex(one, KEY_HASH);
	hash256_parts(two, "fln1 key", in, 10, in + 10, 54);
	assert_memory_equal(one, two, 32);
	hash256_parts(two, "fln1 key", in, 64, NULL, 0);
	assert_memory_equal(one, two, 32);
	/* The label's length is hashed: a letter cannot wander from label to text. */
	hash256(one, "ab", "c", 1);
	hash256(two, "a", "bc", 2);
	assert_false(bytes_equal(one, two, 32));
	assert_true(bytes_equal(one, one, 32));
	for (unsigned i = 0; i < 256; i++) {
		memcpy(two, one, 32);
		two[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_false(bytes_equal(one, two, 32));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(vector_identity),
	    cmocka_unit_test(work_refuses),
	    cmocka_unit_test(generates),
	    cmocka_unit_test(vector_network),
	    cmocka_unit_test(macs_are_local_and_reversible),
	    cmocka_unit_test(text_identity),
	    cmocka_unit_test(text_address),
	    cmocka_unit_test(text_nwid),
	    cmocka_unit_test(words_are_distinct),
	    cmocka_unit_test(secret_file),
	    cmocka_unit_test(foreign_secret),
	    cmocka_unit_test(text_endpoint),
	    cmocka_unit_test(hashes),
	};
	return cmocka_run_group_tests(tests, derive_self, NULL);
}
