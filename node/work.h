/* work.h: one thread that computes proofs of work of identities others claim, so that 5 ms and 8 MiB never meet the control thread.
 *
 * Control thread but for notify, which the work thread calls when a result is there to be fetched. Nothing is computed twice here
 * and nothing remembered: who asks keeps the answers.
 */
#ifndef FARLAN_NODE_WORK_H
#define FARLAN_NODE_WORK_H

#include "proto/ident.h"

#define WORK_MAX 256 /* submitted and not fetched */

struct work;

int work_new(struct work **ret, void (*notify)(void *self), void *self);
void work_free(struct work *); /* joins (one computation at most), drops the rest; notify is not called after it */
bool work_submit(struct work *, const struct identity *claimed); /* copies; false: WORK_MAX reached */
/* The next result, in the order of submission; false: none. Good: the address is the computed one, and a claimed one (not 0) was
 * the same. Else the identity is as it was submitted. */
bool work_result(struct work *, struct identity *ret, bool *ret_good);

#endif
