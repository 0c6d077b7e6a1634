/* leg_test.c: leg packets against PROTOCOL.md's vectors; wrong legs, wrong directions, every bit
 * that the tag covers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/leg.h"
#include "proto/seal.h"
#include "proto/wire.h"
#include "test/unit/hex.h"

#define INNER "42332211a5ed2be786d9c2743e0a1b6b684aa2ab0f013b7026b66fdf03fd4defe4126581eeec36778ed3"
#define RX    0xcafe0010u
#define OTHER 0xcafe0020u

static uint8_t exporter[32];

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 32; i++)
		exporter[i] = (uint8_t)(0x80 + i);
	return seal_setup();
}

static void vectors(void **state)
{
	(void)state;
	struct leg_keys k;
	uint8_t packet[64];
	uint32_t seq = 0;
	leg_derive(&k, exporter, RX, OTHER, LEG_TO_RELAY);
	assert_hex(k.key, "5c020cb018937d0496da21ed18a461fe");
	assert_hex(k.hp, "c5588e6a6a93d6cf49a76b4cbf1dee5b");
	size_t inner = unhex(packet + 16, 48, INNER);
	leg_seal(&k, RX, 9, packet, inner);
	assert_hex(packet, "1000feca1cb77e18b42e463e5b3aa3a9" INNER);
	assert_true(leg_open(&k, packet, 16 + inner, &seq));
	assert_int_equal(seq, 9);
	assert_hex(packet, "1000feca1cb77e18b42e463e5b3aa3a9" INNER); /* nothing modified */
}

static void keys_are_bound(void **state)
{
	(void)state;
	uint8_t packet[64];
	struct leg_keys k, wrong;
	uint32_t seq = 77;
	size_t inner = unhex(packet + 16, 48, INNER);
	leg_derive(&k, exporter, RX, OTHER, LEG_TO_RELAY);
	leg_seal(&k, RX, 0xffffffff, packet, inner);
	const struct {
		uint32_t rx, other;
		uint8_t direction;
	} legs[] = {
	    {RX, OTHER, LEG_FROM_RELAY},    {OTHER, RX, LEG_TO_RELAY},      {OTHER, RX, LEG_FROM_RELAY},
	    {RX, OTHER + 16, LEG_TO_RELAY}, {RX + 16, OTHER, LEG_TO_RELAY},
	};
	for (size_t i = 0; i < sizeof(legs) / sizeof(legs[0]); i++) {
		leg_derive(&wrong, exporter, legs[i].rx, legs[i].other, legs[i].direction);
		assert_false(leg_open(&wrong, packet, 16 + inner, &seq));
	}
	uint8_t foreign[32];
	memcpy(foreign, exporter, 32);
	foreign[31] ^= 1;
	leg_derive(&wrong, foreign, RX, OTHER, LEG_TO_RELAY);
	assert_false(leg_open(&wrong, packet, 16 + inner, &seq));
	assert_int_equal(seq, 77);
	assert_true(leg_open(&k, packet, 16 + inner, &seq));
	assert_true(seq == 0xffffffff);
}

static void every_bit(void **state)
{
	(void)state;
	uint8_t packet[16 + 100];
	struct leg_keys k;
	uint32_t seq = 77;
	leg_derive(&k, exporter, RX, OTHER, LEG_FROM_RELAY);
	memset(packet, 0x33, sizeof(packet));
	leg_seal(&k, RX, 12345, packet, 100);
	for (unsigned bit = 0; bit < sizeof(packet) * 8; bit++) {
		packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
		/* The header and 32 inner bytes are covered; the rest is the inner AEAD's care. */
		assert_int_equal(leg_open(&k, packet, sizeof(packet), &seq), bit >= (16 + 32) * 8);
		packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(seq, 12345);
	/* The length is covered. */
	for (size_t len = 0; len < sizeof(packet); len++)
		assert_false(leg_open(&k, packet, len, &seq));
}

/* Inner lengths around the 32 covered bytes, in exact buffers for AddressSanitizer. */
static void lengths(void **state)
{
	(void)state;
	struct leg_keys k;
	leg_derive(&k, exporter, RX, OTHER, LEG_TO_RELAY);
	for (size_t inner = 1; inner < 80; inner++) {
		uint8_t *packet = malloc(16 + inner);
		uint32_t seq = 1;
		assert_non_null(packet);
		memset(packet, 0x44, 16 + inner);
		leg_seal(&k, RX, (uint32_t)inner << 20, packet, inner);
		assert_true(le32_at(packet) == RX);
		assert_true(leg_open(&k, packet, 16 + inner, &seq));
		assert_true(seq == inner << 20);
		packet[15] ^= 1;
		assert_false(leg_open(&k, packet, 16 + inner, &seq));
		free(packet);
	}
}

/* An observer sees no counter: neighbours differ in about half of the 32 masked bits. */
static void counter_is_masked(void **state)
{
	(void)state;
	struct leg_keys k;
	uint8_t packet[16 + 32];
	unsigned bits = 0, n = 2000;
	leg_derive(&k, exporter, RX, OTHER, LEG_TO_RELAY);
	memset(packet, 0, sizeof(packet));
	for (uint32_t seq = 0, last = 0; seq <= n; seq++) {
		leg_seal(&k, RX, seq, packet, 32);
		if (seq)
			bits += (unsigned)__builtin_popcount(last ^ le32_at(packet + 4));
		last = le32_at(packet + 4);
	}
	assert_in_range(bits, 15 * n, 17 * n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(vectors), cmocka_unit_test(keys_are_bound),    cmocka_unit_test(every_bit),
	    cmocka_unit_test(lengths), cmocka_unit_test(counter_is_masked),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
