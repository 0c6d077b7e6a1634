/* Theory of operation: counters that are kept where things happen, read here. The times of pushes fall into bounds that double or
 * so, as Prometheus wants its histograms; the one that matters is a tenth of a second. */
#include "controller/figures.h"

#include "controller/state.h"

const uint32_t push_bound_ms[PUSH_BOUNDS] = {10, 25, 50, 100, 250, 500, 1000, 5000};

int controller_tally(struct controller *c, uint64_t nwid, uint32_t ret[MEMBER_STATES])
{
	uint32_t count[MEMBER_STATES] = {0};
	int r = 0;
	for (unsigned i = 0; !r && i < MEMBER_STATES; i++)
		r = store_network_count(c->store, nwid, (enum member_state)i, &count[i]);
	for (unsigned i = 0; !r && i < MEMBER_STATES; i++)
		ret[i] = count[i];
	return r;
}

void push_measured(struct controller *c, uint64_t took_ms)
{
	struct push_figures *f = &c->push_figures;
	for (unsigned i = 0; i < PUSH_BOUNDS; i++)
		if (took_ms <= push_bound_ms[i]) {
			f->within[i]++;
			break;
		}
	f->count++;
	f->sum_ms += took_ms;
}

void controller_push_figures(const struct controller *c, struct push_figures *ret)
{
	*ret = c->push_figures;
}
