/* reassembly.h: frames that travel in pieces (FRAG), put together by one worker (PROTOCOL.md, MTU and fragments).
 *
 * Fixed slots made once; no clock, no lock, one thread. At most FRAG_PER_SESSION frames of one session wait at a time, each
 * FRAG_WAIT_MS at most; a new one displaces the oldest of whoever holds most. Only authentic pieces come here, so a
 * member fills its own quota and nobody else's.
 */
#ifndef FARLAN_NODE_REASSEMBLY_H
#define FARLAN_NODE_REASSEMBLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/drop.h"
#include "proto/wire.h"

#define FRAG_SLOTS       32
#define FRAG_PER_SESSION 8
#define FRAG_WAIT_MS     500

struct reassembly;

struct reassembly *reassembly_new(void); /* NULL: no memory */
void reassembly_free(struct reassembly *);

/* Takes one piece: plain = inner header, frag header, bytes. NONE: kept (*ret_len 0), or it was the last and the frame's inner header
 * and body stand at out (room FRAG_FRAME_MAX; may overlap plain), *ret_len bytes. FRAG: fits no rule, the frame it would
 * have belonged to waits on. *ret_displaced: another frame was given up for its sake. */
enum drop reassembly_add(struct reassembly *, uint32_t session_idx, const uint8_t *plain, size_t len, uint64_t now_ms, uint8_t *out,
                         size_t *ret_len, bool *ret_displaced);
/* Gives up what waited too long; how many. Cheap when nothing waits. */
unsigned reassembly_expire(struct reassembly *, uint64_t now_ms);

#endif
