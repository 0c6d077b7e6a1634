/* document_test.c: the walk before every decoding: what is accepted, what is refused, and the one
 * form of each integer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/body.h"
#include "proto/document.h"
#include "test/unit/hex.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static const char *good_forms[] = {
    "00",
    "7f",
    "cc80",
    "ccff",
    "cd0100",
    "ce00010000",
    "cf0000000100000000",
    "cfffffffffffffffff",
    "ff",
    "e0",
    "d0df",
    "d080",
    "d1ff7f",
    "d18000",
    "d2ffff7fff",
    "d3ffffffff7fffffff",
    "c2",
    "c3",
    "c400",
    "c40100",
    "a0",
    "a161",
    "90",
    "80",
    "8100a0",
    "820000cc8000",
    "810090",
    "9190",
    "93010203",
    "a2c3bc",
    "a3e282ac",
    "a4f09f9880",
    "a4f48fbfbf",
    "a3ed9fbf",
    "a3ee8080",
    "a17f",
    "9191919191919190",
    "810081008100810081008100810080",
};

static const char *bad_forms[] = {
    "",
    "cc",
    "cc7f",
    "cc00",
    "cd0000",
    "cd00ff",
    "ce0000ffff",
    "cf00000000ffffffff",
    "cd01",
    "d000",
    "d07f",
    "d0e0",
    "d0ff",
    "d1ff80",
    "d10001",
    "d2ffff8000",
    "d3ffffffff80000000",
    "d2",
    "c0",
    "c1",
    "ca00000000",
    "cb0000000000000000",
    "c70000",
    "c8000000",
    "c9000000000000",
    "d40000",
    "d5000000",
    "d600000000",
    "d70000000000000000",
    "d8000000000000000000000000000000000000",
    "c401",
    "c50001ff",
    "c50000",
    "c600000001ff",
    "d90161",
    "d900",
    "da000161",
    "db0000000161",
    "dc0000",
    "dc000100",
    "dd00000000",
    "de0000",
    "df00000000",
    "de00010000",
    "91",
    "81",
    "8100",
    "8200000000",
    "8201000000",
    "8202000100",
    "81a000",
    "81ff00",
    "81c40000",
    "81c200",
    "819000",
    "0000",
    "9000",
    "c40000",
    "9200",
    "91c0",
    "8100c0",
    "a1ff",
    "a180",
    "a2c080",
    "a2c1bf",
    "a3e08080",
    "a3e09fbf",
    "a3eda080",
    "a3edbfbf",
    "a4f0808080",
    "a4f08fbfbf",
    "a4f4908080",
    "a4f5808080",
    "a1c3",
    "a2c361",
    "a3e28261",
    "a4f09f9861",
    "a2e282",
    "919191919191919190",
    "8100810081008100810081008100810080",
    "ddffffffff",
    "dfffffffff",
    "dcffff",
    "deffff",
    "c6ffffffff",
    "dbffffffff",
    "9fffffffff",
    "8fffffffff",
    "91ddffffffff00",
    "dd00010000",
    "df00010000",
};

static void walk_forms(void **state)
{
	(void)state;
	uint8_t bytes[64];
	for (size_t i = 0; i < LENGTH(good_forms); i++)
		if (!document_walk(bytes, unhex(bytes, sizeof(bytes), good_forms[i]), BODY_DEPTH_MAX, BODY_ELEMENTS_MAX))
			fail_msg("refused: %s", good_forms[i]);
	for (size_t i = 0; i < LENGTH(bad_forms); i++)
		if (document_walk(bytes, unhex(bytes, sizeof(bytes), bad_forms[i]), BODY_DEPTH_MAX, BODY_ELEMENTS_MAX))
			fail_msg("accepted: %s", bad_forms[i]);
	assert_false(document_walk(NULL, 0, BODY_DEPTH_MAX, BODY_ELEMENTS_MAX));
}

/* Every integer at the edges of its forms has exactly one accepted form: the one that is written.
 */
static void walk_one_form(void **state)
{
	(void)state;
	static const unsigned sizes[] = {1, 2, 4, 8};
	for (unsigned shift = 0; shift < 64; shift++) {
		for (int64_t delta = -1; delta <= 1; delta++) {
			uint64_t n = (UINT64_C(1) << shift) + (uint64_t)delta;
			uint8_t written[9], other[9];
			struct writer w = writer_over(written, sizeof(written));
			pack_uint(&w, n);
			size_t len = pack_end(&w);
			assert_true(document_walk(written, len, 0, 1));
			for (unsigned i = 0; i < 4; i++) {
				if (sizes[i] < 8 && n >> (8 * sizes[i]))
					continue;
				struct writer o = writer_over(other, sizeof(other));
				put_u8(&o, (uint8_t)(0xcc + i));
				put_be(&o, n, sizes[i]);
				bool same = writer_len(&o) == len && !memcmp(other, written, len);
				assert_int_equal(document_walk(other, writer_len(&o), 0, 1), same);
			}
		}
	}
}

static void walk_limits(void **state)
{
	(void)state;
	static uint8_t flat[3 + BODY_ELEMENTS_MAX] = {0xdc, (BODY_ELEMENTS_MAX - 1) >> 8, (BODY_ELEMENTS_MAX - 1) & 0xff};
	assert_true(document_walk(flat, 3 + BODY_ELEMENTS_MAX - 1, 1, BODY_ELEMENTS_MAX));
	flat[1] = BODY_ELEMENTS_MAX >> 8;
	flat[2] = BODY_ELEMENTS_MAX & 0xff;
	assert_false(document_walk(flat, sizeof(flat), 1, BODY_ELEMENTS_MAX));
	assert_true(document_walk(flat, sizeof(flat), 1, BODY_ELEMENTS_MAX + 1));
	static const uint8_t map[] = {0x82, 0, 0, 1, 0}; /* keys count too */
	assert_true(document_walk(map, sizeof(map), 1, 5));
	assert_false(document_walk(map, sizeof(map), 1, 4));
	assert_false(document_walk(map, sizeof(map), 1, 3));
	assert_false(document_walk(map, sizeof(map), 0, 5));
	assert_false(document_walk(map, 1, 1, 0));
}

static void text_rules(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t len;
		bool ok;
	} cases[] = {
	    {"", 0, true},          {"b\xc3\xbcro 1", 7, true}, {"~", 1, true},     {"\xc2\xa0", 2, true},
	    {"a\0b", 3, false},     {"\x1b[2J", 4, false},      {"a\n", 2, false},  {"\x7f", 1, false},
	    {"\xc2\x80", 2, false}, {"\xc2\x9f", 2, false},     {"\xff", 1, false},
	};
	for (size_t i = 0; i < LENGTH(cases); i++)
		assert_int_equal(text_printable(cases[i].text, cases[i].len), cases[i].ok);
	assert_true(text_printable(NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(walk_forms),
	    cmocka_unit_test(walk_one_form),
	    cmocka_unit_test(walk_limits),
	    cmocka_unit_test(text_rules),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
