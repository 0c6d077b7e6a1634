/* cred_test.c: signed documents: fixed vectors, the forge matrix (T59), cuts and flips, the rule of
 * validity, the limits. Includes the .c to sign bodies that cred_sign would never write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/cred.c"
#include "test/unit/documents.h"

static uint8_t secret[64], signer[32], key_hash[32];

static struct cred cred_sample(void)
{
	struct cred c = {
	    .nwid = NWID,
	    .serial = 1001,
	    .address = ADDRESS,
	    .issued_at = 3600,
	    .soft_ttl = 86400,
	    .hard_ttl = 604800,
	    .flags = MEMBER_BRIDGE | MEMBER_ROUTER,
	    .ips = {{4, 24, {10, 147, 20, 5}}, {.family = 6, .bits = 64}},
	    .n_ips = 2,
	    .macs = {{0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee}},
	    .n_macs = 1,
	    .tags = {{1, 2}, {70000, 4000000000}},
	    .n_tags = 2,
	    .min_cfg = 7,
	    .name = "b\xc3\xbcro-1",
	};
	memcpy(c.subject, key_hash, 32);
	ula_derive(NWID, ADDRESS, c.ips[1].ip);
	return c;
}

static struct head head_sample(void)
{
	struct head h = {.nwid = NWID, .version = 300, .issued_at = 7200, .rev_epoch = 2};
	unhex(h.cfg_root, 32, MANIFEST_HASH);
	unhex(h.rev_hash, 32, REVLIST_HASH);
	return h;
}

static void assert_cred(const struct cred *a, const struct cred *b)
{
	assert_int_equal(a->nwid, b->nwid);
	assert_int_equal(a->serial, b->serial);
	assert_memory_equal(a->subject, b->subject, KEY_HASH_BYTES);
	assert_int_equal(a->address, b->address);
	assert_int_equal(a->issued_at, b->issued_at);
	assert_int_equal(a->soft_ttl, b->soft_ttl);
	assert_int_equal(a->hard_ttl, b->hard_ttl);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->n_ips, b->n_ips);
	assert_memory_equal(a->ips, b->ips, sizeof(a->ips));
	assert_int_equal(a->n_macs, b->n_macs);
	assert_memory_equal(a->macs, b->macs, sizeof(a->macs));
	assert_int_equal(a->n_tags, b->n_tags);
	assert_memory_equal(a->tags, b->tags, sizeof(a->tags));
	assert_int_equal(a->min_cfg, b->min_cfg);
	assert_string_equal(a->name, b->name);
}

static void vectors_signed(void **state)
{
	(void)state;
	uint8_t out[CRED_ENVELOPE_MAX], hash[32];
	struct cred c = cred_sample(), c2;
	assert_hex(signer, ED_PUBLIC);
	size_t len = cred_sign(&c, secret, out, sizeof(out));
	assert_int_equal(len, strlen(CRED_HEX) / 2);
	assert_hex(out, CRED_HEX);
	assert_true(cred_open(out, len, signer, &c2));
	assert_cred(&c, &c2);
	memset(&c2, 0, sizeof(c2));
	assert_true(cred_parse(out, len, &c2));
	assert_cred(&c, &c2);
	envelope_hash(out, len, hash);
	assert_hex(hash, CRED_HASH);
	assert_int_equal(cred_sign(&c, secret, out, len), len);
	assert_int_equal(cred_sign(&c, secret, out, len - 1), 0);

	struct head h = head_sample(), h2;
	len = head_sign(&h, secret, out, sizeof(out));
	assert_int_equal(len, strlen(HEAD_HEX) / 2);
	assert_hex(out, HEAD_HEX);
	assert_true(head_open(out, len, signer, &h2));
	assert_int_equal(h.nwid, h2.nwid);
	assert_int_equal(h.deleg_epoch, h2.deleg_epoch);
	assert_int_equal(h.version, h2.version);
	assert_int_equal(h.issued_at, h2.issued_at);
	assert_memory_equal(h.cfg_root, h2.cfg_root, 32);
	assert_memory_equal(h.rev_hash, h2.rev_hash, 32);
	assert_int_equal(h.rev_epoch, h2.rev_epoch);
	assert_int_equal(h.gate_epoch, h2.gate_epoch);
	envelope_hash(out, len, hash);
	assert_hex(hash, HEAD_HASH);
	h = (struct head){.nwid = UINT64_MAX,
	                  .deleg_epoch = UINT64_MAX,
	                  .version = UINT64_MAX,
	                  .issued_at = UINT64_MAX,
	                  .rev_epoch = UINT64_MAX - 1,
	                  .gate_epoch = UINT64_MAX - 2};
	len = head_sign(&h, secret, out, sizeof(out));
	assert_in_range(len, 1, HEAD_ENVELOPE_MAX);
	assert_true(head_open(out, len, signer, &h2));
	assert_int_equal(h2.deleg_epoch, UINT64_MAX);
	assert_int_equal(h2.rev_epoch, UINT64_MAX - 1);
	assert_int_equal(h2.gate_epoch, UINT64_MAX - 2);
}

static bool try_cred(const uint8_t *bytes, size_t len)
{
	struct cred c, clean;
	memset(&c, 0xa5, sizeof(c));
	memset(&clean, 0xa5, sizeof(clean));
	(void)cred_parse(bytes, len, &c);
	memset(&c, 0xa5, sizeof(c));
	bool ok = cred_open(bytes, len, signer, &c);
	if (!ok)
		assert_memory_equal(&c, &clean, sizeof(c));
	return ok;
}

static bool try_head(const uint8_t *bytes, size_t len)
{
	struct head h, clean;
	memset(&h, 0xa5, sizeof(h));
	memset(&clean, 0xa5, sizeof(clean));
	bool ok = head_open(bytes, len, signer, &h);
	if (!ok)
		assert_memory_equal(&h, &clean, sizeof(h));
	return ok;
}

static void cuts_and_flips(void **state)
{
	(void)state;
	document_abuse(CRED_HEX, try_cred, true);
	document_abuse(HEAD_HEX, try_head, true);
}

/* One field of the vector's body replaced; old must stand there exactly once. Keeps the old
 * signature. */
static void replace(uint8_t *bytes, size_t len, const char *old, const char *new)
{
	uint8_t a[64], b[64];
	size_t n = unhex(a, sizeof(a), old), found = 0;
	assert_int_equal(unhex(b, sizeof(b), new), n);
	uint8_t *at = NULL;
	for (size_t i = 0; i + n <= len; i++)
		if (!memcmp(bytes + i, a, n))
			at = bytes + i, found++;
	assert_int_equal(found, 1);
	memcpy(at, b, n);
}

/* T59: whatever field of a CRED is changed, and whoever else signs it, it is refused. */
static void forge_fields(void **state)
{
	(void)state;
	static const struct {
		const char *what, *old, *new;
	} fields[] = {
	    {"v", "8e0001", "8e0002"},
	    {"nwid", "01cfc5057629d8000001", "01cfc5057629d8000002"},
	    {"serial", "02cd03e9", "02cd03ea"},
	    {"subject", "f497c590", "f497c591"},
	    {"address", "04cf000000c5057629d8", "04cf000000c5057629d9"},
	    {"issued_at", "05cd0e10", "05cd0e11"},
	    {"soft_ttl", "06ce00015180", "06ce00015181"},
	    {"hard_ttl", "07ce00093a80", "07ce7fffffff"},
	    {"flags", "080909", "080b09"},
	    {"ip", "c4050a93140518", "c4050a93140618"},
	    {"prefix", "c4050a93140518", "c4050a93140510"},
	    {"mac", "02aabbccddee", "02aabbccddef"},
	    {"tag key", "0102ce00011170", "0202ce00011170"},
	    {"tag value", "ee6b2800", "ee6b2801"},
	    {"min_cfg", "0d070e", "0d000e"},
	    {"name", "62c3bc726f2d31", "62c3bc726f2d32"},
	};
	struct cred c;
	for (size_t i = 0; i < LENGTH(fields); i++) {
		uint8_t bytes[CRED_ENVELOPE_MAX];
		size_t len = unhex(bytes, sizeof(bytes), CRED_HEX);
		replace(bytes, len, fields[i].old, fields[i].new);
		if (i)
			assert_true(cred_parse(bytes, len, &c)); /* only the signature is wrong */
		else
			assert_false(cred_parse(bytes, len, &c)); /* an unknown version is not even read */
		if (cred_open(bytes, len, signer, &c))
			fail_msg("%s changed, accepted", fields[i].what);
	}
	uint8_t other_secret[64], other[32], seed[32] = {1}, bytes[CRED_ENVELOPE_MAX];
	crypto_sign_seed_keypair(other, other_secret, seed);
	c = cred_sample();
	size_t len = cred_sign(&c, other_secret, bytes, sizeof(bytes));
	assert_false(cred_open(bytes, len, signer, &c));
	assert_true(cred_open(bytes, len, other, &c));
	struct head h = head_sample();
	len = head_sign(&h, other_secret, bytes, sizeof(bytes));
	assert_false(head_open(bytes, len, signer, &h));
	/* one kind is never the other */
	len = unhex(bytes, sizeof(bytes), HEAD_HEX);
	assert_false(cred_open(bytes, len, signer, &c));
	bytes[1] = DOC_CRED;
	assert_false(cred_open(bytes, len, signer, &c));
	len = unhex(bytes, sizeof(bytes), CRED_HEX);
	assert_false(head_open(bytes, len, signer, &h));
	bytes[1] = DOC_HEAD;
	assert_false(head_open(bytes, len, signer, &h));
	/* S + L is the same signature to a careless verifier */
	static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,       0xd6,
	                                  0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
	len = unhex(bytes, sizeof(bytes), CRED_HEX);
	unsigned carry = 0;
	for (size_t i = 0; i < 32; i++) {
		carry += bytes[len - 33 + i] + order[i];
		bytes[len - 33 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	assert_false(cred_open(bytes, len, signer, &c));
}

static const char cred_hex[] = CRED_HEX;
#define TEN "6e6e6e6e6e6e6e6e6e6e"

/* The vector's body with one string of bytes replaced by another of any length, signed by the right
 * key: only the form is wrong. */
static size_t resigned(const char *old, const char *new, uint8_t out[CRED_ENVELOPE_MAX])
{
	char text[2 * CRED_ENVELOPE_MAX + 1], body[2 * CRED_ENVELOPE_MAX + 1];
	size_t body_len = 0x8f;
	memcpy(text, cred_hex + 8, 2 * body_len);
	text[2 * body_len] = 0;
	char *at = strstr(text, old);
	assert_non_null(at);
	assert_null(strstr(at + 1, old));
	int n = snprintf(body, sizeof(body), "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
	assert_in_range(n, 2, sizeof(body) - 1);
	uint8_t bytes[CRED_ENVELOPE_MAX];
	size_t len = unhex(bytes, sizeof(bytes), body);
	return envelope_sign(DOC_CRED, "fln1 cred", bytes, len, secret, out, CRED_ENVELOPE_MAX);
}

static const struct {
	const char *what, *old, *new;
	bool ok;
} forged[] = {
    {"unchanged", "8e0001", "8e0001", true},
    {"version 2", "8e0001", "8e0002", false},
    {"duplicate key", "8e000101cf", "8f0001000101cf", false},
    {"unsorted keys", "06ce0001518007ce00093a80", "07ce00093a8006ce00015180", false},
    {"missing key", "8e000101cfc5057629d8000001", "8d0001", false},
    {"long key", "02cd03e9", "cc02cd03e9", false},
    {"long u8", "8e0001", "8e00cc01", false},
    {"long u16", "0d070e", "0dcd00070e", false},
    {"long u32", "02cd03e9", "02ce000003e9", false},
    {"long u64", "02cd03e9", "02cf00000000000003e9", false},
    {"signed form", "02cd03e9", "02d103e9", false},
    {"negative", "0d070e", "0dff0e", false},
    {"float", "0d070e", "0dca40e000000e", false},
    {"double", "0d070e", "0dcb401c0000000000000e", false},
    {"ext", "0d070e", "0dd401070e", false},
    {"nil", "0d070e", "0dc00e", false},
    {"bool", "0d070e", "0dc30e", false},
    {"nil for a list", "0a91c40602aabbccddee", "0ac0", false},
    {"long bin", "c40602aabbccddee", "c5000602aabbccddee", false},
    {"long str", "0ea762c3bc726f2d31", "0ed90762c3bc726f2d31", false},
    {"long array", "0a91c406", "0adc0001c406", false},
    {"long map", "8e0001", "de000e0001", false},
    {"text key", "8e0001", "8ea10001", false},
    {"bin for text", "0ea762c3bc726f2d31", "0ec40762c3bc726f2d31", false},
    {"text for bin", "c40602aabbccddee", "a6626162636465", false},
    {"bad utf-8", "0ea762c3bc726f2d31", "0ea762c328726f2d31", false},
    {"escape in a name", "0ea762c3bc726f2d31", "0ea71bc3bc726f2d31", false},
    {"NUL in a name", "0ea762c3bc726f2d31", "0ea700c3bc726f2d31", false},
    {"name of 63", "0ea762c3bc726f2d31", "0ed93f" TEN TEN TEN TEN TEN TEN "6e6e6e", true},
    {"name of 64", "0ea762c3bc726f2d31", "0ed940" TEN TEN TEN TEN TEN TEN "6e6e6e6e", false},
    {"short subject", "03c420f4", "03c41f", false},
    {"short mac", "c40602aabbccddee", "c40502aabbccdd", false},
    {"ip of 6 bytes", "c4050a93140518", "c4060a931405ff18", false},
    {"prefix 33", "c4050a93140518", "c4050a93140521", false},
    {"prefix 32", "c4050a93140518", "c4050a93140520", true},
    {"prefix 129", "02c5057629d8000040", "02c5057629d8000081", false},
    {"prefix 128", "02c5057629d8000040", "02c5057629d8000080", true},
    {"address of 41 bits", "04cf000000c5057629d8", "04cf000001c5057629d8", false},
    {"address 0", "04cf000000c5057629d8", "0400", false},
    {"no network", "01cfc5057629d8000001", "01cfc5057629d8000000", false},
    {"ttl of 33 bits", "07ce00093a80", "07cf0000000100093a80", false},
    {"tag key of 33 bits", "ce00011170ceee6b2800", "cf0000000100011170ceee6b2800", false},
    {"tag value of 33 bits", "ceee6b2800", "cf0000000100000000", false},
    {"tags unsorted", "820102ce00011170", "82ce000111700102", false},
    {"tag twice", "ce00011170ceee6b2800", "0103", false},
    {"9 ips", "0992c405",
     "0999c4050a93140118c4050a93140118c4050a93140118c4050a93140118c4050a93140118c4050a93140"
     "118c4050a93140118c405",
     false},
    {"8 ips", "0992c405",
     "0998c4050a93140118c4050a93140118c4050a93140118c4050a93140118c4050a93140118c4050a93140"
     "118c405",
     true},
    {"trailing byte", "62c3bc726f2d31", "62c3bc726f2d3100", false},
    {"trailing nil", "62c3bc726f2d31", "62c3bc726f2d31c0", false},
    {"4e9 ips", "0992c405", "09ddffffffffc405", false},
    {"4e9 tags", "0b82", "0bdfffffffff", false},
    {"4e9 bytes of mac", "c40602aabbccddee", "c6ffffffff02aabbccddee", false},
    {"4e9 fields", "8e0001", "dfffffffff0001", false},
    {"array for map", "8e0001", "dc001c0001", false},
};

static void forge_forms(void **state)
{
	(void)state;
	struct cred c;
	for (size_t i = 0; i < LENGTH(forged); i++) {
		uint8_t out[CRED_ENVELOPE_MAX];
		size_t len = resigned(forged[i].old, forged[i].new, out);
		assert_int_not_equal(len, 0);
		if (cred_open(out, len, signer, &c) != forged[i].ok)
			fail_msg("%s: %s", forged[i].what, forged[i].ok ? "refused" : "accepted");
		assert_int_equal(cred_parse(out, len, &c), forged[i].ok);
	}
	/* Fields of later versions behind the last: 15 pairs, the last one nested to depth 8 and
	 * then 9. */
	static const char *more[] = {"0f91919191919190", "0f9191919191919190"};
	for (unsigned i = 0; i < 2; i++) {
		char body[2 * CRED_ENVELOPE_MAX];
		uint8_t bytes[CRED_ENVELOPE_MAX], out[CRED_ENVELOPE_MAX];
		snprintf(body, sizeof(body), "8f%.*s%s", 2 * 0x8f - 2, cred_hex + 10, more[i]);
		size_t len = envelope_sign(DOC_CRED, "fln1 cred", bytes, unhex(bytes, sizeof(bytes), body), secret, out, sizeof(out));
		assert_int_equal(cred_open(out, len, signer, &c), i == 0);
	}
	/* caps (12), reserved: skipped in their place */
	char body[2 * CRED_ENVELOPE_MAX];
	uint8_t bytes[CRED_ENVELOPE_MAX], out[CRED_ENVELOPE_MAX];
	const char *at = strstr(cred_hex, "0d070e");
	assert_non_null(at);
	snprintf(body, sizeof(body), "8f%.*s0c920105%.*s", (int)(at - cred_hex) - 10, cred_hex + 10, (int)(8 + 2 * 0x8f - (at - cred_hex)),
	         at);
	size_t len = envelope_sign(DOC_CRED, "fln1 cred", bytes, unhex(bytes, sizeof(bytes), body), secret, out, sizeof(out));
	struct cred want = cred_sample();
	assert_true(cred_open(out, len, signer, &c));
	assert_cred(&want, &c);
}

static void forge_envelopes(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		size_t cut;
		const char *with;
		size_t tail;
		const char *tail_with;
	} cases[] = {
	    /* bytes cut at the front, what stands there instead, the same at the end */
	    {"5 elements", 1, "95", 0, "c0"},      {"3 elements", 1, "93", 1, ""},
	    {"long array", 1, "dc0004", 0, ""},    {"map", 1, "82", 0, ""},
	    {"other kind", 2, "9403", 0, ""},      {"long kind", 2, "94cc01", 0, ""},
	    {"long body", 4, "9401c5008f", 0, ""}, {"text body", 4, "9401d98f", 0, ""},
	    {"deleg given", 0, "", 1, "c40100"},   {"empty deleg", 0, "", 1, "c400"},
	    {"deleg 0", 0, "", 1, "00"},           {"no deleg", 0, "", 1, ""},
	    {"trailing nil", 0, "", 0, "c0"},      {"trailing 0", 0, "", 0, "00"},
	    {"signature 63", 0, "", 2, "c0"},
	};
	struct cred c;
	uint8_t bytes[CRED_ENVELOPE_MAX + 1], out[CRED_ENVELOPE_MAX + 16];
	size_t len = unhex(bytes, sizeof(bytes), CRED_HEX);
	assert_true(cred_open(bytes, len, signer, &c));
	for (size_t i = 0; i < LENGTH(cases); i++) {
		size_t n = unhex(out, sizeof(out), cases[i].with), middle = len - cases[i].cut - cases[i].tail;
		memcpy(out + n, bytes + cases[i].cut, middle);
		n += middle;
		n += unhex(out + n, sizeof(out) - n, cases[i].tail_with);
		if (cred_open(out, n, signer, &c) || cred_parse(out, n, &c))
			fail_msg("%s: accepted", cases[i].what);
	}
}

static void cred_sizes(void **state)
{
	(void)state;
	struct cred c = {.nwid = UINT64_MAX,
	                 .serial = UINT64_MAX,
	                 .address = 0xffffffffff,
	                 .issued_at = UINT64_MAX,
	                 .soft_ttl = UINT32_MAX,
	                 .hard_ttl = UINT32_MAX,
	                 .flags = UINT32_MAX,
	                 .n_ips = CRED_IPS_MAX,
	                 .n_macs = CRED_MACS_MAX,
	                 .n_tags = CRED_TAGS_MAX,
	                 .min_cfg = UINT64_MAX},
		    back;
	for (unsigned i = 0; i < CRED_IPS_MAX; i++)
		c.ips[i] = (struct prefix){6, 128, {0xfd, (uint8_t)i}};
	for (unsigned i = 0; i < CRED_TAGS_MAX; i++)
		c.tags[i].key = UINT32_MAX - CRED_TAGS_MAX + i, c.tags[i].value = UINT32_MAX;
	memset(c.name, 'n', NAME_MAX_BYTES);
	uint8_t out[2 * CRED_ENVELOPE_MAX];
	size_t len = cred_sign(&c, secret, out, sizeof(out));
	assert_int_equal(len, 628); /* everything at its maximum */
	assert_true(cred_open(out, len, signer, &back));
	assert_cred(&c, &back);
	struct cred bad[] = {c, c, c, c, c, c, c, c, c};
	bad[0].n_ips++, bad[1].n_macs++, bad[2].n_tags++;
	memset(bad[3].name, 'n', sizeof(bad[3].name));
	bad[4].tags[1].key = bad[4].tags[0].key;
	bad[5].ips[0].bits = 129, bad[6].ips[0].family = 0, bad[7].address++, bad[8].nwid <<= 24;
	for (size_t i = 0; i < LENGTH(bad); i++)
		assert_int_equal(cred_sign(&bad[i], secret, out, sizeof(out)), 0);
	/* Larger than 640 by a key of a later version: well signed, still refused. The edge itself
	 * is accepted. */
	uint8_t body[CRED_ENVELOPE_MAX];
	struct writer w = writer_over(body, sizeof(body));
	len = cred_sign(&c, secret, out, sizeof(out));
	size_t n = len - 5 - 67; /* behind 94 01 c5 xx xx, before c4 40 sig c0 */
	assert_int_equal(out[5], 0x8e);
	put_u8(&w, 0x8f);
	put_bytes(&w, out + 6, n - 1);
	put_u8(&w, 15);
	put_u8(&w, 0xaa);
	put_bytes(&w, "0123456789", 10);
	n = pack_end(&w);
	len = envelope_sign(DOC_CRED, "fln1 cred", body, n, secret, out, sizeof(out));
	assert_int_equal(len, CRED_ENVELOPE_MAX);
	assert_true(cred_open(out, len, signer, &back));
	body[n - 11] = 0xab;
	body[n] = 'x';
	len = envelope_sign(DOC_CRED, "fln1 cred", body, n + 1, secret, out, sizeof(out));
	assert_int_equal(len, CRED_ENVELOPE_MAX + 1);
	assert_false(cred_open(out, len, signer, &back));
	assert_false(cred_parse(out, len, &back));
	assert_int_equal(envelope_sign(DOC_CRED, "fln1 cred", body, n + 1, secret, out, CRED_ENVELOPE_MAX), 0);
}

static void validity(void **state)
{
	(void)state;
	struct cred c = cred_sample(); /* serial 1001, issued 3600, hard 604800 */
	uint8_t other[32];
	memcpy(other, key_hash, 32);
	other[31] ^= 1;
	const struct {
		uint64_t nwid;
		const uint8_t *subject;
		uint64_t address, min_serial, ctime;
		enum cred_verdict want;
	} table[] = {
	    {NWID, key_hash, ADDRESS, 0, 3600, CRED_OK},
	    {NWID, key_hash, ADDRESS, 1001, 3600, CRED_OK},
	    {NWID, key_hash, ADDRESS, 1002, 3600, CRED_REVOKED},
	    {NWID, key_hash, ADDRESS, UINT64_MAX, 3600, CRED_REVOKED},
	    {NWID, key_hash, ADDRESS, 0, 0, CRED_OK}, /* issued after our HEAD: age 0 */
	    {NWID, key_hash, ADDRESS, 0, 3599, CRED_OK},
	    {NWID, key_hash, ADDRESS, 0, 3600 + 604800, CRED_OK},
	    {NWID, key_hash, ADDRESS, 0, 3600 + 604801, CRED_EXPIRED},
	    {NWID, key_hash, ADDRESS, 0, UINT64_MAX, CRED_EXPIRED},
	    {NWID + 1, key_hash, ADDRESS, 0, 3600, CRED_NETWORK},
	    {NWID, other, ADDRESS, 0, 3600, CRED_SUBJECT},
	    {NWID, key_hash, ADDRESS + 1, 0, 3600, CRED_ADDRESS},
	};
	for (size_t i = 0; i < LENGTH(table); i++)
		assert_int_equal(cred_check(&c, table[i].nwid, table[i].subject, table[i].address, table[i].min_serial, table[i].ctime),
		                 table[i].want);
	c.issued_at = UINT64_MAX; /* no overflow: a large issued_at is age 0 */
	assert_int_equal(cred_check(&c, NWID, key_hash, ADDRESS, 0, 3600), CRED_OK);
	c.issued_at = 0, c.hard_ttl = 0;
	assert_int_equal(cred_check(&c, NWID, key_hash, ADDRESS, 0, 0), CRED_OK);
	assert_int_equal(cred_check(&c, NWID, key_hash, ADDRESS, 0, 1), CRED_EXPIRED);
}

static void head_order(void **state)
{
	(void)state;
	/* ascending */
	static const struct head heads[] = {
	    {.deleg_epoch = 0, .version = 0, .issued_at = 99},
	    {.deleg_epoch = 0, .version = 1, .rev_epoch = 50},
	    {.deleg_epoch = 0, .version = UINT64_MAX},
	    {.deleg_epoch = 1, .version = 0},
	    {.deleg_epoch = 1, .version = 7},
	    {.deleg_epoch = UINT64_MAX, .version = 6},
	};
	for (size_t a = 0; a < LENGTH(heads); a++)
		for (size_t b = 0; b < LENGTH(heads); b++)
			assert_int_equal(head_compare(&heads[a], &heads[b]), a < b ? -1 : a > b ? 1 : 0);
	struct head other = heads[4];
	other.issued_at = 5, other.cfg_root[0] = 1;
	assert_int_equal(head_compare(&heads[4], &other), 0); /* same order, other bytes: the caller's fork */
}

int main(void)
{
	uint8_t seed[32];
	unhex(seed, sizeof(seed), ED_SEED);
	unhex(key_hash, sizeof(key_hash), KEY_HASH);
	if (sodium_init() < 0)
		return 1;
	crypto_sign_seed_keypair(signer, secret, seed);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(vectors_signed), cmocka_unit_test(cuts_and_flips),  cmocka_unit_test(forge_fields),
	    cmocka_unit_test(forge_forms),    cmocka_unit_test(forge_envelopes), cmocka_unit_test(cred_sizes),
	    cmocka_unit_test(validity),       cmocka_unit_test(head_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
