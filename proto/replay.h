/* replay.h: the RFC 6479 window of one lane. Caller holds the lane's lock for commit; maybe() is a hint without one.
 *
 * Usable width W = bits - 64. top = highest accepted + 1.
 */
#ifndef FARLAN_PROTO_REPLAY_H
#define FARLAN_PROTO_REPLAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WINDOW_BITS_DATA 8192
#define WINDOW_BITS_CTRL 2048
#define WINDOW_BITS_LEG  1024

struct window {
	_Atomic uint64_t top; /* atomic only for the lockless hint */
	uint32_t bits;        /* power of two, >= 128 */
	uint64_t map[];       /* bits / 64 words, behind the lock */
};

size_t window_bytes(uint32_t bits); /* to allocate */
void window_init(struct window *, uint32_t bits);
bool window_maybe(const struct window *, uint64_t seq); /* false: surely too old; no lock needed */
bool window_commit(struct window *, uint64_t seq);      /* true exactly once per seq; the caller holds the lock */
uint64_t window_top(const struct window *);             /* highest accepted + 1 */

#endif
