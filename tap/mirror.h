/* mirror.h: copies of a network's frames for whoever watches (`farlan capture`), each to an AF_UNIX datagram socket of its own.
 *
 * A watcher never slows the network down: what does not fit its socket's queue is lost to it and counted in the next copy. struct mirrors is
 * immutable but for counters, reached by struct port; control makes another one when a watcher comes or goes, and what the old one alone
 * named is freed once no worker can see it.
 */
#ifndef FARLAN_TAP_MIRROR_H
#define FARLAN_TAP_MIRROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/batch.h"

#define MIRRORS_MAX      4                 /* watchers of one network */
#define MIRROR_NAME_MAX  100               /* bytes of a socket's name */
#define MIRROR_NAME      "farlan-capture-" /* how it must begin: the daemon writes to no other */
#define MIRROR_BYTES_MAX 16384             /* of a frame; longer superframes are cut, wire_len tells */

enum mirror_way { MIRROR_OUT, MIRROR_IN }; /* of our device; from the network */

/* In front of the frame in each datagram, in the machine's order: it stays on this machine. */
struct mirror_head {
	uint64_t time_us; /* since the epoch */
	uint32_t wire_len;
	uint32_t lost;   /* copies that this watcher did not get before this one, in all */
	uint8_t way;     /* enum mirror_way */
	uint8_t verdict; /* enum drop: DROP_NONE = it passed all checks */
	uint8_t reserved[6];
};

struct mirrors;

/* Those of old (NULL: none) that still listen and, if name is given, one more: an abstract socket of that name. *ret NULL: nobody is left. 0 or
 * -errno (-EINVAL: the name, -ENOSPC, -ECONNREFUSED: nobody listens there); then *ret is not touched. Control. */
int mirrors_next(const struct mirrors *old, const char *name, struct mirrors **ret);
bool mirrors_stale(const struct mirrors *); /* someone stopped listening. NULL: no */
unsigned mirrors_count(const struct mirrors *);
void mirrors_free(void *); /* and what it alone names */
/* Any worker. */
void mirrors_copy(struct mirrors *, enum mirror_way, enum drop verdict, const uint8_t *frame, size_t len);

#endif
