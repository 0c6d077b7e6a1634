/* figures.h: what the controller counts for machines that watch it.
 *
 * Control thread only; costs nothing to speak of.
 */
#ifndef FARLAN_CONTROLLER_FIGURES_H
#define FARLAN_CONTROLLER_FIGURES_H

#include "controller/controller.h"

/* How many members of each state: 0 or -errno. */
int controller_tally(struct controller *, uint64_t nwid, uint32_t ret[MEMBER_STATES]);

/* From an admin's decision about an online member until that member said it holds what follows from it. */
#define PUSH_BOUNDS 8
struct push_figures {
	uint64_t within[PUSH_BOUNDS]; /* each, not summed: up to push_bound_ms[i], longer than the one before */
	uint64_t count, sum_ms;
};
extern const uint32_t push_bound_ms[PUSH_BOUNDS];
void controller_push_figures(const struct controller *, struct push_figures *ret);

#endif
