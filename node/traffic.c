/* traffic.c: counters of what ports and members' links carried: their memory, and their sums.
 *
 * A port's are part of it. A member's are made when its channel first opens: of ten thousand that are listed few are ever met, and one line for
 * each worker and each of them would be megabytes of nothing.
 */
#include "node/traffic.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/view.h"

#define LINE 64

static_assert(sizeof(struct traffic) == LINE, "a slot is a line");
static_assert(sizeof(struct port_count) >= 2 * LINE, "what is hot in two of them never shares a line");

struct traffic *traffic_new(unsigned slots)
{
	struct traffic *t = aligned_alloc(LINE, slots * sizeof(*t));
	if (t)
		memset(t, 0, slots * sizeof(*t));
	return t;
}

void member_free(void *p)
{
	struct member *m = p;
	free(atomic_load(&m->traffic));
	free(m);
}

static void add(struct carried *to, const struct traffic *t)
{
	to->rx_frames += atomic_load_explicit(&t->rx_frames, memory_order_relaxed);
	to->rx_bytes += atomic_load_explicit(&t->rx_bytes, memory_order_relaxed);
	to->tx_frames += atomic_load_explicit(&t->tx_frames, memory_order_relaxed);
	to->tx_bytes += atomic_load_explicit(&t->tx_bytes, memory_order_relaxed);
}

struct carried traffic_sum(const struct traffic *t, unsigned slots)
{
	struct carried c = {0};
	for (unsigned i = 0; t && i < slots; i++)
		add(&c, &t[i]);
	return c;
}

struct carried port_carried(const struct port *port)
{
	struct carried c = {0};
	for (unsigned i = 0; i <= WORKERS_MAX; i++)
		add(&c, &port->count[i].carried);
	return c;
}

void port_drops(const struct port *port, uint64_t ret[DROP_COUNT])
{
	memset(ret, 0, DROP_COUNT * sizeof(*ret));
	for (unsigned i = 0; i <= WORKERS_MAX; i++)
		for (unsigned d = 0; d < DROP_COUNT; d++)
			ret[d] += atomic_load_explicit(&port->count[i].drop[d], memory_order_relaxed);
}
