/* store_hook.h: the rows of webhooks and of their deliveries. Control thread; rules as in store.h.
 */
#ifndef FARLAN_CONTROLLER_STORE_HOOK_H
#define FARLAN_CONTROLLER_STORE_HOOK_H

#include "controller/hook.h"
#include "controller/store.h"

struct hook_record {
	struct hook_row row; /* but for state and waiting; its settings have the secret */
	bool suspended;
	uint64_t failing; /* network time of the first attempt that failed since one did not; 0 = none */
	uint64_t lost;    /* dropped and not told yet */
};
int store_hook_put(struct store *, struct hook_record *, bool settings); /* settings: gives it a new revision */
int store_hook_delete(struct store *, uint64_t id);                      /* and its deliveries */
int store_hook_each(struct store *, void (*each)(void *, const struct hook_record *), void *);

struct delivery_record {
	struct delivery_row row; /* but for next_wall_s */
	uint64_t due, ended;     /* network time */
};
int store_delivery_insert(struct store *, struct delivery_record *); /* fills seq */
int store_delivery_update(struct store *, const struct delivery_record *);
int store_delivery_hurry(struct store *, uint64_t hook, uint64_t due); /* all of it that waits */
/* body points into the row until each() returns. 0, -ENOENT or -errno. */
int store_delivery_get(struct store *, uint64_t hook, uint64_t id, void (*each)(void *, const struct delivery_record *), void *);
int store_delivery_seq(struct store *, uint64_t seq, void (*each)(void *, const struct delivery_record *), void *);
int store_delivery_each(struct store *, uint64_t hook, unsigned states, uint64_t before, uint32_t limit,
                        void (*each)(void *, const struct delivery_record *), void *);
int store_delivery_count(struct store *, uint64_t hook, unsigned states, uint64_t *ret);
/* Those that wait, ascending, without their bodies. */
int store_delivery_waiting(struct store *, void (*each)(void *, const struct delivery_record *), void *);
/* The log: how long it is; the oldest of it goes; what ended before goes. */
int store_delivery_forget(struct store *, uint64_t hook, uint32_t keep);
int store_delivery_purge(struct store *, uint64_t ended_before);

int store_pools(struct store *, bool (*each)(void *, const struct prefix *), void *); /* of all networks, until it says true */

#endif
