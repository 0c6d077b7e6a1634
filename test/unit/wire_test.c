/* wire_test.c: every (kind of index, length) has the one answer that PROTOCOL.md gives; the address
 * on the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/base/batch.h"
#include "proto/wire.h"
#include "test/unit/hex.h"

/* Ranges of length, written down from the text and not from the code. */
static const struct rule {
	enum index_kind named;
	size_t from, to;
	enum wire_kind want;
} rules[] = {
    {INDEX_NONE, 0, 31, WIRE_DROP_SHORT},       {INDEX_NONE, 32, 215, WIRE_DROP_INDEX},    {INDEX_NONE, 216, 1232, WIRE_INIT},
    {INDEX_NONE, 1233, 65535, WIRE_DROP_INDEX}, {INDEX_SESSION, 0, 31, WIRE_DROP_SHORT},   {INDEX_SESSION, 32, 65535, WIRE_DATA},
    {INDEX_PENDING, 0, 31, WIRE_DROP_SHORT},    {INDEX_PENDING, 32, 67, WIRE_DROP_LENGTH}, {INDEX_PENDING, 68, 68, WIRE_RETRY},
    {INDEX_PENDING, 69, 119, WIRE_DROP_LENGTH}, {INDEX_PENDING, 120, 65535, WIRE_RESP},    {INDEX_CIRCUIT, 0, 31, WIRE_DROP_SHORT},
    {INDEX_CIRCUIT, 32, 47, WIRE_DROP_LENGTH},  {INDEX_CIRCUIT, 48, 65535, WIRE_LEG},
};

static void classify_is_total(void **state)
{
	(void)state;
	for (int kind = INDEX_NONE; kind <= INDEX_CIRCUIT; kind++) {
		for (size_t len = 0; len <= 65535; len++) {
			const struct rule *found = NULL;
			for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
				if (rules[i].named == (enum index_kind)kind && len >= rules[i].from && len <= rules[i].to) {
					assert_null(found);
					found = &rules[i];
				}
			}
			assert_non_null(found);
			assert_int_equal(wire_classify((enum index_kind)kind, len), found->want);
		}
	}
}

static struct endpoint taken(const char *hex, bool *ret_bad)
{
	uint8_t in[32];
	size_t n = unhex(in, sizeof(in), hex);
	struct reader r = reader_over(in, n);
	struct endpoint e;
	memset(&e, 0xaa, sizeof(e));
	get_endpoint(&r, &e);
	*ret_bad = r.bad;
	if (!r.bad)
		assert_int_equal(reader_left(&r), n - 20);
	return e;
}

static void endpoint_on_the_wire(void **state)
{
	(void)state;
	bool bad;
	struct endpoint four = {.family = 4, .port = 51820, .ip = {192, 0, 2, 1}};
	uint8_t out[20];
	struct writer w = writer_over(out, sizeof(out));
	put_endpoint(&w, &four);
	assert_false(w.bad);
	assert_hex(out, "04006cca"
	                "c0000201000000000000000000000000");

	struct endpoint e = taken("04006ccac0000201000000000000000000000000", &bad);
	assert_false(bad);
	assert_memory_equal(&e, &four, sizeof(e));
	e = taken("04ff6ccac0000201000000000000000000000099", &bad); /* reserved and unused bytes do not matter */
	assert_false(bad);
	assert_memory_equal(&e, &four, sizeof(e));
	e = taken("06006cca00000000000000000000ffffc0000201", &bad); /* mapped is IPv4 */
	assert_false(bad);
	assert_memory_equal(&e, &four, sizeof(e));
	e = taken("0600010020010db8000000000000000000000001ee", &bad);
	assert_false(bad);
	assert_int_equal(e.family, 6);
	assert_int_equal(e.port, 1);
	assert_hex(e.ip, "20010db8000000000000000000000001");
	e = taken("0000123401000000000000000000000000000000", &bad);
	assert_false(bad);
	struct endpoint none = {0};
	assert_memory_equal(&e, &none, sizeof(e));
	e = taken("05006ccac0000201000000000000000000000000", &bad);
	assert_true(bad);
	assert_int_equal(e.family, 0xaa); /* untouched */
	taken("04006ccac00002010000000000000000000000", &bad);
	assert_true(bad);
}

static void little_endian(void **state)
{
	(void)state;
	uint8_t b[8];
	le64_to(b, 0x0807060504030201);
	assert_hex(b, "0102030405060708");
	assert_true(le64_at(b) == 0x0807060504030201);
	assert_true(le32_at(b + 4) == 0x08070605);
	assert_int_equal(le16_at(b + 1), 0x0302);
	le16_to(b, 0xfffe);
	assert_hex(b, "feff03");
	le32_to(b, 0xfffefdfc);
	assert_true(le32_at(b) == 0xfffefdfc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(classify_is_total),
	    cmocka_unit_test(endpoint_on_the_wire),
	    cmocka_unit_test(little_endian),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
