/* lookup.h: the addresses of a name, found by a thread of its own.
 *
 * A resolver that is down takes its time (ten seconds and more), and nothing can end getaddrinfo() before: so nobody waits for that thread. It is
 * detached, writes the eventfd it was given when it is done, and may outlive who asked: what the two share goes with the last of them.
 */
#ifndef FARLAN_NODE_LOOKUP_H
#define FARLAN_NODE_LOOKUP_H

#include <stdbool.h>

#include "proto/base/batch.h"
#include "proto/root_line.h"

#define LOOKUP_FOUND_MAX 8

struct lookup;

/* usable: only families that this host has addresses of. NULL: no thread, no memory. wake_fd is duplicated. */
struct lookup *lookup_new(const char *host, bool usable, int wake_fd);
/* false: not yet. Ports are 0. */
bool lookup_done(const struct lookup *, struct endpoint ret[LOOKUP_FOUND_MAX], unsigned *ret_n);
void lookup_leave(struct lookup *);

#endif
