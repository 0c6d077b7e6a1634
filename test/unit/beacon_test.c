/* beacon_test.c: what is called out on the LAN, against PROTOCOL.md's vector and against everything else that may come to its port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/beacon.h"
#include "proto/seal.h"
#include "test/unit/hex.h"

#define VECTOR                                                                                                                             \
	"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf1f4574658ea57f2bd10937d53361d196"                                                                 \
	"9b70cec52c64a3d2b062fb2f3bcf1fd9ce5d13288b3f5cd4c1a5318a4c23a1b2"                                                                 \
	"fb79e7df719d4298efb8e668c63570619a06011dad193417480eb4ac252bc386"                                                                 \
	"f0ca1d8fb9724848c481adbbdcf27ff239"

static const struct beacon call = {.address = 0xc5057629d8,
                                   .x = {0xa8, 0x80, 0x02, 0x87, 0x5a, 0x99, 0xf7, 0x61, 0xdd, 0xe8, 0x57, 0x5a, 0x62, 0xd0, 0x90, 0x3c,
                                         0xb9, 0xf2, 0x91, 0x38, 0xda, 0xe7, 0x94, 0x49, 0x76, 0x17, 0x93, 0x8e, 0x09, 0xfe, 0x97, 0x4d},
                                   .ed = {0x76, 0xa8, 0xd5, 0x17, 0x1a, 0xf8, 0x48, 0xc4, 0x65, 0x4e, 0x33, 0x79, 0xae, 0x01, 0xa9, 0x31,
                                          0xc6, 0xcb, 0x0d, 0x18, 0x0f, 0x8c, 0xea, 0x54, 0x02, 0x40, 0x9d, 0x59, 0x01, 0x2e, 0x7c, 0x49},
                                   .port4 = 9993,
                                   .port6 = 9995,
                                   .epoch = 7,
                                   .seq = 3};
static uint8_t gate[32], salt[BEACON_SALT];

static int fill(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(gate); i++)
		gate[i] = (uint8_t)(0x40 + i);
	for (unsigned i = 0; i < sizeof(salt); i++)
		salt[i] = (uint8_t)(0xa0 + i);
	return seal_setup() == 0 ? 0 : -1;
}

static void assert_same(const struct beacon *a, const struct beacon *b)
{
	assert_true(a->address == b->address);
	assert_memory_equal(a->x, b->x, 32);
	assert_memory_equal(a->ed, b->ed, 32);
	assert_int_equal(a->port4, b->port4);
	assert_int_equal(a->port6, b->port6);
	assert_int_equal(a->epoch, b->epoch);
	assert_int_equal(a->seq, b->seq);
}

static void vector(void **state)
{
	(void)state;
	uint8_t bytes[BEACON_BYTES];
	struct beacon back;
	assert_int_equal(strlen(VECTOR), 2 * BEACON_BYTES);
	beacon_create(gate, &call, salt, bytes);
	assert_hex(bytes, VECTOR);
	memset(&back, 0x5a, sizeof(back));
	assert_true(beacon_parse(gate, bytes, sizeof(bytes), &back));
	assert_same(&back, &call);
}

/* The largest of everything comes back as it went. */
static void extremes(void **state)
{
	(void)state;
	struct beacon most = {.address = 0xffffffffff, .port4 = 65535, .port6 = 0, .epoch = UINT32_MAX, .seq = UINT32_MAX}, back;
	uint8_t bytes[BEACON_BYTES];
	memset(most.x, 0xff, 32);
	memset(most.ed, 0xff, 32);
	beacon_create(gate, &most, NULL, bytes);
	assert_true(beacon_parse(gate, bytes, sizeof(bytes), &back));
	assert_same(&back, &most);
}

/* Two of the same words share nothing that a stranger could see. */
static void salted(void **state)
{
	(void)state;
	uint8_t one[BEACON_BYTES], two[BEACON_BYTES];
	unsigned same = 0;
	beacon_create(gate, &call, NULL, one);
	beacon_create(gate, &call, NULL, two);
	for (unsigned i = 0; i < BEACON_BYTES; i++)
		same += one[i] == two[i];
	assert_memory_not_equal(one, two, BEACON_SALT);
	assert_true(same < 10); /* 0.2 expected; ten come once in 10^18 */
}

static void refused(void **state)
{
	(void)state;
	uint8_t bytes[BEACON_BYTES + 1] = {0}, other[32];
	struct beacon back, before;
	memset(&back, 0x5a, sizeof(back));
	memcpy(&before, &back, sizeof(back));
	beacon_create(gate, &call, salt, bytes);
	for (unsigned bit = 0; bit < BEACON_BYTES * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(beacon_parse(gate, bytes, BEACON_BYTES, &back));
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t len = 0; len <= sizeof(bytes); len++)
		if (len != BEACON_BYTES)
			assert_false(beacon_parse(gate, bytes, len, &back));
	memcpy(other, gate, sizeof(other));
	other[31] ^= 1;
	assert_false(beacon_parse(other, bytes, BEACON_BYTES, &back));
	assert_memory_equal(&back, &before, sizeof(back));
	assert_true(beacon_parse(gate, bytes, BEACON_BYTES, &back));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(vector),
	    cmocka_unit_test(extremes),
	    cmocka_unit_test(salted),
	    cmocka_unit_test(refused),
	};
	return cmocka_run_group_tests_name("beacon", tests, fill, NULL);
}
