/* invite_link_test.c: the link of an invitation is whole or refused with what happened to it, and the proof binds what it should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "proto/ident.h"
#include "proto/invite.h"

#define ROOT   "fln1:c5057629d8:qIACh1qZ92Hd6FdaYtCQPLnykTja55RJdheTjgn-l012qNUXGvhIxGVOM3muAakxxssNGA-M6lQCQJ1ZAS58SQ"
#define GATE   "#gate=QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8"
#define LINK   "farlan://v1/c5057629d8000001-"
#define A_ROOT "@192.0.2.1:9993"

static struct root_line line_of(const char *text)
{
	struct root_line line;
	size_t at;
	const char *why = "";
	if (!root_line_parse(text, &line, &at, &why))
		fail_msg("%s: %s", text, why);
	return line;
}

static struct invite_link sample(unsigned n, const char *const *lines)
{
	struct invite_link link = {.nwid = 0xc5057629d8000001, .key.id = 0x0123456789abcdef};
	for (unsigned i = 0; i < 16; i++)
		link.pin[i] = (uint8_t)(0xf0 + i);
	link.pin[16] = 0xc0;
	for (unsigned i = 0; i < 32; i++)
		link.key.seed[i] = (uint8_t)(0x40 + i);
	for (unsigned i = 0; i < n; i++)
		link.roots[link.n_roots++] = line_of(lines[i]);
	return link;
}

static void round_trip(unsigned n, const char *const *lines)
{
	struct invite_link link = sample(n, lines), back;
	char text[INVITE_LINK_MAX], was[ROOT_LINE_MAX], is[ROOT_LINE_MAX];
	size_t at, len = invite_link_format(&link, text, sizeof text);
	const char *why = "";
	assert_true(len);
	assert_int_equal(len, strlen(text));
	assert_int_equal(strncmp(text, LINK, strlen(LINK)), 0);
	if (!invite_link_parse(text, &back, &at, &why))
		fail_msg("%s\nat %zu: %s", text, at, why);
	assert_int_equal(back.nwid, link.nwid);
	assert_int_equal(back.key.id, link.key.id);
	assert_memory_equal(back.key.seed, link.key.seed, 32);
	assert_memory_equal(back.pin, link.pin, 17);
	assert_int_equal(back.n_roots, n);
	for (unsigned i = 0; i < n; i++) {
		assert_true(root_line_format(&link.roots[i], was, sizeof was));
		assert_true(root_line_format(&back.roots[i], is, sizeof is));
		assert_string_equal(was, is);
	}
}

static void all_kinds(void **state)
{
	const char *const lines[] = {
	    ROOT A_ROOT, ROOT "@[2001:db8::1]:9993,root.example.org:443" GATE "&tls=8443&pin=QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8",
	    ROOT "@a.example:1#tls=none", ROOT A_ROOT ",192.0.2.2:1,[::2]:7,xn--b-xga.example:65535" GATE};
	(void)state;
	for (unsigned n = 0; n <= 4; n++)
		round_trip(n, lines);
}

static void short_enough(void **state)
{
	const char *const lines[] = {ROOT "@192.0.2.1:9993,[2001:db8::1]:9993" GATE, ROOT "@192.0.2.2:9993,[2001:db8::2]:9993" GATE};
	struct invite_link link = sample(2, lines);
	char text[INVITE_LINK_MAX];
	(void)state;
	size_t len = invite_link_format(&link, text, sizeof text);
	assert_in_range(len, 400, 560);
	assert_int_equal(invite_link_format(&link, text, len), 0); /* no room for the end */
	assert_int_equal(invite_link_format(&link, text, len + 1), len);
}

/* Refused, at that place, with that word in the reason; nothing written. */
static void refused(const char *text, size_t at, const char *word)
{
	struct invite_link link, before;
	size_t ret_at = SIZE_MAX;
	const char *why = NULL;
	memset(&before, 0x5a, sizeof before);
	memcpy(&link, &before, sizeof link);
	assert_false(invite_link_parse(text, &link, &ret_at, &why));
	assert_memory_equal(&link, &before, sizeof link);
	assert_non_null(why);
	if (!strstr(why, word))
		fail_msg("%s\nsays: %s\nwanted: %s", text, why, word);
	if (at != SIZE_MAX)
		assert_int_equal(ret_at, at);
	assert_true(ret_at <= strlen(text));
}

static void hurt_on_its_way(void **state)
{
	const char *const lines[] = {ROOT A_ROOT};
	struct invite_link link = sample(1, lines);
	char good[INVITE_LINK_MAX], bad[2 * INVITE_LINK_MAX];
	(void)state;
	size_t len = invite_link_format(&link, good, sizeof good);
	refused("", 0, "begins with");
	refused("https://example.org/", 0, "begins with");
	refused("c5057629d8000001", 0, "begins with");
	snprintf(bad, sizeof bad, "%.*s", (int)len - 3, good);
	refused(bad, strlen(bad), "end is missing");
	for (size_t cut = strlen("farlan://v1/"); cut < len; cut++) { /* wherever it was cut */
		struct invite_link none;
		size_t at;
		const char *why;
		snprintf(bad, sizeof bad, "%.*s", (int)cut, good);
		assert_false(invite_link_parse(bad, &none, &at, &why));
	}
	for (size_t i = 0; i <= len; i++)
		bad[i] = (char)tolower((unsigned char)good[i]);
	refused(bad, SIZE_MAX, "capital letters");
	for (size_t i = 0; i <= len; i++)
		bad[i] = (char)toupper((unsigned char)good[i]);
	refused(bad, 0, "letters of it were changed");
	snprintf(bad, sizeof bad, "%s.", good);
	refused(bad, len, "this character");
	snprintf(bad, sizeof bad, "%.60s\n%s", good, good + 60);
	refused(bad, 60, "this character");
	snprintf(bad, sizeof bad, "%s%s", good, good);
	refused(bad, SIZE_MAX, "changed or lost");
	memset(bad, 'A', sizeof bad);
	memcpy(bad, "farlan://", 9);
	bad[sizeof bad - 1] = 0;
	refused(bad, SIZE_MAX, "longer than any");
	snprintf(bad, sizeof bad, "%s", good);
	bad[10] = '2';
	refused(bad, 9, "another version");
	for (size_t i = strlen("farlan://v1/"); i < len; i++) { /* one letter for another, wherever */
		struct invite_link none;
		size_t at;
		const char *why;
		memcpy(bad, good, len + 1);
		bad[i] = bad[i] == 'x' ? 'y' : 'x';
		assert_false(invite_link_parse(bad, &none, &at, &why));
	}
}

/* Whoever can make the check right still gets in nothing but what this program would write. */
static void checked_but_wrong(const char *body)
{
	char text[2 * INVITE_LINK_MAX];
	uint8_t hash[32];
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	hash256(hash, "fln1 link", body, strlen(body));
	uint64_t v = (uint64_t)hash[0] << 28 | (uint64_t)hash[1] << 20 | (uint64_t)hash[2] << 12 | (uint64_t)hash[3] << 4;
	size_t n = (size_t)snprintf(text, sizeof text, "%s&c=", body);
	for (int i = 5; i >= 0; i--)
		text[n++] = digits[v >> 6 * i & 63];
	text[n] = 0;
	refused(text, SIZE_MAX, "");
}

static void forged(void **state)
{
	const char *const lines[] = {ROOT A_ROOT};
	struct invite_link link = sample(1, lines);
	char good[INVITE_LINK_MAX], body[2 * INVITE_LINK_MAX], *k, *r;
	(void)state;
	size_t len = invite_link_format(&link, good, sizeof good);
	good[len - 9] = 0;
	k = strstr(good, "?k=") + 1;
	r = strstr(good, "&r=") + 1;
	snprintf(body, sizeof body, "%.*s%s&%.*s", (int)(k - good), good, r, (int)(r - k - 1), k); /* another order */
	checked_but_wrong(body);
	snprintf(body, sizeof body, "%s&%s&%s&%s&%s", good, r, r, r, r); /* five roots */
	checked_but_wrong(body);
	snprintf(body, sizeof body, "%s&x=AAAA", good);
	checked_but_wrong(body);
	snprintf(body, sizeof body, "%.*sAAA", (int)strlen(good) - 3, good); /* 77 bytes end with these three: port 0 */
	checked_but_wrong(body);
	snprintf(body, sizeof body, "%.*s", (int)(k - good - 1), good);
	checked_but_wrong(body);
	snprintf(body, sizeof body, "%.*s-_%s", (int)(strlen(LINK) - 1), good, k - 1);
	checked_but_wrong(body);
	snprintf(body, sizeof body, "%.*sk=%s", (int)(k - good), good, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"); /* id 0 */
	checked_but_wrong(body);
}

static void ids(void **state)
{
	char text[INVITE_ID_TEXT];
	uint64_t id = 7;
	(void)state;
	invite_id_format(0x00ab, text);
	assert_string_equal(text, "00000000000000ab");
	assert_true(invite_id_parse(text, &id));
	assert_int_equal(id, 0xab);
	assert_false(invite_id_parse("0000000000000000", &id));
	assert_false(invite_id_parse("00000000000000AB", &id));
	assert_false(invite_id_parse("ab", &id));
	assert_false(invite_id_parse("00000000000000ab0", &id));
	assert_int_equal(id, 0xab);
}

static void proof_binds(void **state)
{
	struct invite_key key, other;
	uint8_t public[32], foreign[32], exporter[32], key_hash[32], proof[64], worse[64];
	(void)state;
	invite_draw(&key);
	invite_draw(&other);
	assert_true(key.id && key.id != other.id);
	invite_public(key.seed, public);
	invite_public(other.seed, foreign);
	for (unsigned i = 0; i < 32; i++)
		exporter[i] = (uint8_t)i, key_hash[i] = (uint8_t)(64 + i);
	invite_sign(key.seed, exporter, 0xc5057629d8000001, key_hash, proof);
	assert_true(invite_verify(public, exporter, 0xc5057629d8000001, key_hash, proof));
	assert_false(invite_verify(foreign, exporter, 0xc5057629d8000001, key_hash, proof));
	assert_false(invite_verify(public, exporter, 0xc5057629d8000002, key_hash, proof));
	exporter[31] ^= 1; /* another session */
	assert_false(invite_verify(public, exporter, 0xc5057629d8000001, key_hash, proof));
	exporter[31] ^= 1;
	key_hash[0] ^= 1; /* another asker */
	assert_false(invite_verify(public, exporter, 0xc5057629d8000001, key_hash, proof));
	key_hash[0] ^= 1;
	for (unsigned i = 0; i < 64; i++) {
		memcpy(worse, proof, 64);
		worse[i] ^= 0x10;
		assert_false(invite_verify(public, exporter, 0xc5057629d8000001, key_hash, worse));
	}
	memset(public, 0, 32); /* of small order: anything would fit it */
	assert_false(invite_verify(public, exporter, 0xc5057629d8000001, key_hash, proof));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_kinds), cmocka_unit_test(short_enough), cmocka_unit_test(hurt_on_its_way),
	    cmocka_unit_test(forged),    cmocka_unit_test(ids),          cmocka_unit_test(proof_binds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
