/* reassembly_test.c: pieces in any order, lies of every kind, quotas and time (T10, T11, T12). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/reassembly.h"

static uint64_t dice_state = 0xfeedfacecafebeefu;
static uint32_t dice(uint32_t below)
{
	dice_state ^= dice_state >> 12;
	dice_state ^= dice_state << 25;
	dice_state ^= dice_state >> 27;
	return (uint32_t)(dice_state * 0x2545f4914f6cdd1du >> 32) % below;
}

static uint8_t out[FRAG_FRAME_MAX];
static size_t out_len;
static bool displaced;

/* Piece i of n of an inner frame of total bytes whose byte k is k ^ salt, behind a FRAME header of chan 5. */
static uint8_t inner_byte(size_t k, uint8_t salt)
{
	static const uint8_t header[4] = {INNER_FRAME, 0, 5, 0};
	return k < 4 ? header[k] : (uint8_t)(k ^ k >> 8 ^ salt);
}

static size_t piece_make(uint8_t *p, uint32_t id, unsigned i, unsigned n, size_t total, uint8_t salt)
{
	size_t step = n ? (total + n - 1) / n : 0, from = i * step, len = from >= total ? 0 : total - from < step ? total - from : step;
	memcpy(p, "\x03\0\5\0", 4);
	le32_to(p + 4, id);
	p[8] = (uint8_t)i;
	p[9] = (uint8_t)n;
	le16_to(p + 10, (uint16_t)total);
	for (size_t k = 0; k < len; k++)
		p[12 + k] = inner_byte(from + k, salt);
	return 12 + len;
}

static enum drop add(struct reassembly *r, uint32_t session, const uint8_t *p, size_t len, uint64_t now)
{
	return reassembly_add(r, session, p, len, now, out, &out_len, &displaced);
}

static enum drop give(struct reassembly *r, uint32_t session, uint32_t id, unsigned i, unsigned n, size_t total, uint64_t now)
{
	uint8_t p[FRAG_FRAME_MAX + 12];
	return add(r, session, p, piece_make(p, id, i, n, total, (uint8_t)id), now);
}

static void assert_frame(uint32_t id, size_t total)
{
	assert_int_equal(out_len, total);
	for (size_t k = 0; k < total; k++)
		assert_int_equal(out[k], inner_byte(k, (uint8_t)id));
}

static void any_order(void **state)
{
	(void)state;
	struct reassembly *r = reassembly_new();
	for (unsigned round = 0; round < 3000; round++) {
		unsigned n = 2 + dice(15), order[16], left = n;
		size_t total = 300 + dice(FRAG_FRAME_MAX - 299);
		for (unsigned i = 0; i < n; i++)
			order[i] = i;
		while (left) {
			unsigned k = dice(left), i = order[k];
			order[k] = order[--left];
			assert_int_equal(give(r, 16, round, i, n, total, round), DROP_NONE);
			if (!left)
				break;
			assert_int_equal(out_len, 0);
			if (dice(3) == 0) { /* once more, or with another idea of the frame */
				assert_int_equal(give(r, 16, round, i, n, total, round), DROP_FRAG);
				assert_int_equal(give(r, 16, round, i % 2, n == 2 ? 3 : n - 1, total, round), DROP_FRAG);
				assert_int_equal(give(r, 16, round, i, n, total - 1, round), DROP_FRAG);
				assert_int_equal(out_len, 0);
			}
		}
		assert_frame(round, total);
	}
	assert_int_equal(reassembly_expire(r, UINT64_MAX), 0);
	reassembly_free(r);
}

static void lies(void **state)
{
	(void)state;
	struct reassembly *r = reassembly_new();
	uint8_t p[FRAG_FRAME_MAX + 64];
	assert_int_equal(give(r, 16, 1, 0, 0, 1000, 0), DROP_MALFORMED); /* no bytes at all */
	size_t len = piece_make(p, 1, 0, 2, 1000, 0);
	for (size_t k = 0; k < 12; k++)
		assert_int_equal(add(r, 16, p, k, 0), DROP_MALFORMED);
	for (size_t k = 13; k < 600; k++)
		if (k != len)
			assert_int_equal(add(r, 16, p, k, 0), DROP_FRAG);
	for (unsigned n = 0; n < 256; n++)
		for (unsigned i = 0; i < 256; i += i < 20 ? 1 : 47) {
			p[8] = (uint8_t)i, p[9] = (uint8_t)n;
			if (n < 2 || n > 16 || i >= n)
				assert_int_equal(add(r, 16, p, len, 0), DROP_FRAG);
		}
	p[8] = 0, p[9] = 2;
	le16_to(p + 10, FRAG_FRAME_MAX + 2);
	assert_int_equal(add(r, 16, p, 12 + (FRAG_FRAME_MAX + 2) / 2, 0), DROP_FRAG);
	/* (n-1) L >= total: a last piece of nothing */
	piece_make(p, 1, 0, 16, 17, 0);
	assert_int_equal(add(r, 16, p, 14, 0), DROP_FRAG);
	le16_to(p + 10, 0);
	assert_int_equal(add(r, 16, p, 13, 0), DROP_FRAG);
	assert_int_equal(reassembly_expire(r, UINT64_MAX), 0); /* none of them was kept */

	/* Pieces on two sessions are two frames. */
	assert_int_equal(give(r, 16, 7, 0, 2, 1000, 0), DROP_NONE);
	assert_int_equal(give(r, 32, 7, 1, 2, 1000, 0), DROP_NONE);
	assert_int_equal(out_len, 0);
	assert_int_equal(give(r, 16, 7, 1, 2, 1000, 0), DROP_NONE);
	assert_frame(7, 1000);
	assert_int_equal(reassembly_expire(r, UINT64_MAX), 1);

	/* Another channel in between, then inside. */
	assert_int_equal(give(r, 16, 8, 0, 2, 1000, 0), DROP_NONE);
	len = piece_make(p, 8, 1, 2, 1000, 8);
	p[2] = 6;
	assert_int_equal(add(r, 16, p, len, 0), DROP_FRAG);
	static const struct {
		unsigned at;
		uint8_t value;
	} inside[] = {
	    {12, INNER_FRAG}, {12, INNER_BUNDLE}, {12, INNER_CTRL}, {12, INNER_PAD}, {14, 6}, {15, 1},
	};
	for (unsigned k = 0; k < sizeof(inside) / sizeof(inside[0]); k++) {
		len = piece_make(p, 100 + k, 0, 2, 1000, 0);
		p[inside[k].at] = inside[k].value;
		assert_int_equal(add(r, 16, p, len, 0), DROP_NONE);
		assert_int_equal(give(r, 16, 100 + k, 1, 2, 1000, 0), DROP_FRAG);
		assert_int_equal(out_len, 0);
	}
	assert_int_equal(reassembly_expire(r, UINT64_MAX), 1); /* frame 8 */
	reassembly_free(r);
}

static void time_out(void **state)
{
	(void)state;
	struct reassembly *r = reassembly_new();
	give(r, 16, 1, 0, 2, 1000, 1000);
	give(r, 16, 2, 0, 2, 1000, 1200);
	assert_int_equal(reassembly_expire(r, 1499), 0);
	assert_int_equal(reassembly_expire(r, 1500), 1);
	assert_int_equal(give(r, 16, 1, 1, 2, 1000, 1500), DROP_NONE);
	assert_int_equal(out_len, 0);
	assert_int_equal(give(r, 16, 2, 1, 2, 1000, 1500), DROP_NONE);
	assert_frame(2, 1000);
	assert_int_equal(reassembly_expire(r, 2000), 1);
	reassembly_free(r);
}

/* A greedy session displaces its own frames only, however many greedy ones there are. */
static void quota(void **state)
{
	(void)state;
	struct reassembly *r = reassembly_new();
	give(r, 999 << 4, 5, 0, 2, 1000, 0);
	assert_false(displaced);
	for (uint32_t k = 0; k < 1000; k++) {
		assert_int_equal(give(r, 16, k, 0, 2, 1000, k % 400), DROP_NONE);
		assert_int_equal(displaced, k >= FRAG_PER_SESSION);
	}
	for (uint32_t k = 0; k < 1000; k++)
		for (uint32_t s = 2; s < 9; s++)
			assert_int_equal(give(r, s << 4, k, 0, 2, 1000, k % 400), DROP_NONE);
	assert_int_equal(give(r, 999 << 4, 5, 1, 2, 1000, 0), DROP_NONE);
	assert_frame(5, 1000);
	/* The newest of a greedy one are those that wait. */
	assert_int_equal(give(r, 2 << 4, 999, 1, 2, 1000, 0), DROP_NONE);
	assert_frame(999, 1000);
	assert_true(reassembly_expire(r, UINT64_MAX) <= FRAG_SLOTS);
	assert_int_equal(reassembly_expire(r, UINT64_MAX), 0);
	reassembly_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(any_order),
	    cmocka_unit_test(lies),
	    cmocka_unit_test(time_out),
	    cmocka_unit_test(quota),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
