/* replay.c: the anti-replay window of RFC 6479.
 *
 * The map is a ring of 64-bit words; number s lives in word (s / 64) modulo the ring. When a number
 * beyond the top comes, whole words between the old and the new top are cleared, never single bits;
 * that is cheap, and it costs up to one word of width, so only W = bits - 64 numbers below the top
 * may be used. top is atomic only so that the hint may read it without the lane's lock; the commit
 * under the lock decides, so a stale hint costs a decryption and nothing else.
 */
#include "proto/replay.h"

#include <assert.h>
#include <string.h>

size_t window_bytes(uint32_t bits)
{
	return sizeof(struct window) + bits / 8;
}

void window_init(struct window *w, uint32_t bits)
{
	assert(bits >= 128 && !(bits & (bits - 1)));
	atomic_init(&w->top, 0);
	w->bits = bits;
	memset(w->map, 0, bits / 8);
}

/* Behind the usable width, or the one number whose successor does not exist (no sender gets near
 * it). */
static bool out_of_window(uint64_t top, uint32_t bits, uint64_t seq)
{
	uint64_t width = bits - 64;
	return seq == UINT64_MAX || (top > width && seq < top - width);
}

bool window_maybe(const struct window *w, uint64_t seq)
{
	return !out_of_window(atomic_load_explicit(&w->top, memory_order_relaxed), w->bits, seq);
}

bool window_commit(struct window *w, uint64_t seq)
{
	uint64_t top = atomic_load_explicit(&w->top, memory_order_relaxed);
	if (out_of_window(top, w->bits, seq))
		return false;
	uint64_t words = w->bits / 64;
	if (seq >= top) {
		/* The word of the highest accepted number is in use; at the start none is, and all
		 * are clear. */
		uint64_t used = top ? (top - 1) / 64 : 0;
		uint64_t stale = seq / 64 - used;
		if (stale > words)
			stale = words;
		for (uint64_t i = 1; i <= stale; i++)
			w->map[(used + i) & (words - 1)] = 0;
		atomic_store_explicit(&w->top, seq + 1, memory_order_relaxed);
	}
	uint64_t *word = &w->map[(seq / 64) & (words - 1)];
	uint64_t bit = UINT64_C(1) << (seq & 63);
	if (*word & bit)
		return false;
	*word |= bit;
	return true;
}

uint64_t window_top(const struct window *w)
{
	return atomic_load_explicit(&w->top, memory_order_relaxed);
}
