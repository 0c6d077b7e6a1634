/* meter.c: who may send how much through a relay.
 *
 * Each node has a bucket of `rate`. When there is a `total` for all, it is divided: within its share (total by the number of nodes that sent in the
 * last second) a node always passes, so that nobody's flood costs another node a packet; above its share it takes what the others leave of the
 * total. What passes by right is taken from the total all the same, so the sum of all keeps to it: shares add up to no more than the total. Who
 * begins within a second is not counted yet; for that second the total may be passed by his share.
 * A queue per node (deficit round robin) would need a thread that sends later; workers never wait, so they drop instead.
 */
#include "node/meter.h"

#define NS          UINT64_C(1000000000)
#define BURST_NS    (NS / 2) /* half a second of its rate */
#define TOTAL_NS    (NS / 10)
#define DEBT_NS     (NS / 5) /* what passed by right while the shares were too large is paid back, but not for long */
#define LONGEST     9016     /* a leg packet: the slowest rate lets one pass */
#define SHARE_LEAST 1

bool meter_take(_Atomic uint64_t *bucket, uint64_t now, uint64_t cost, uint64_t burst)
{
	uint64_t at = atomic_load_explicit(bucket, memory_order_relaxed), from;
	do {
		from = at > now ? at : now;
		if (from - now + cost > burst)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(bucket, &at, from + cost, memory_order_relaxed, memory_order_relaxed));
	return true;
}

void meter_force(_Atomic uint64_t *bucket, uint64_t now, uint64_t cost, uint64_t most)
{
	uint64_t at = atomic_load_explicit(bucket, memory_order_relaxed), to;
	do {
		to = (at > now ? at : now) + cost;
		if (to - now > most)
			to = at > now + most ? at : now + most;
	} while (!atomic_compare_exchange_weak_explicit(bucket, &at, to, memory_order_relaxed, memory_order_relaxed));
}

void meter_init(struct relay_meter *m, uint64_t rate, uint64_t total)
{
	*m = (struct relay_meter){.rate = rate, .total = total};
	atomic_init(&m->share, total);
	atomic_init(&m->round, 1);
}

static bool take(_Atomic uint64_t *bucket, uint64_t now_ns, uint32_t bytes, uint64_t rate, uint64_t burst_ns)
{
	uint64_t least = LONGEST * NS / rate;
	return meter_take(bucket, now_ns, bytes * NS / rate, burst_ns > least ? burst_ns : least);
}

static bool passes(struct relay_meter *m, struct sender *s, uint64_t now_ns, uint32_t bytes)
{
	uint64_t round = atomic_load_explicit(&m->round, memory_order_relaxed),
		 seen = atomic_load_explicit(&s->round, memory_order_relaxed);
	if (seen != round && atomic_compare_exchange_strong(&s->round, &seen, round))
		atomic_fetch_add_explicit(&m->senders, 1, memory_order_relaxed);
	if (m->rate && !take(&s->rate_ns, now_ns, bytes, m->rate, BURST_NS))
		return false;
	if (!m->total)
		return true;
	if (!take(&s->share_ns, now_ns, bytes, atomic_load_explicit(&m->share, memory_order_relaxed), TOTAL_NS))
		return take(&m->total_ns, now_ns, bytes, m->total, TOTAL_NS);
	meter_force(&m->total_ns, now_ns, bytes * NS / m->total, DEBT_NS);
	return true;
}

bool meter_relay(struct relay_meter *m, struct sender *s, uint64_t now_ns, uint32_t bytes)
{
	bool good = passes(m, s, now_ns, bytes);
	atomic_fetch_add_explicit(good ? &m->bytes : &m->dropped, good ? bytes : 1, memory_order_relaxed);
	atomic_fetch_add_explicit(good ? &s->bytes : &s->dropped, good ? bytes : 1, memory_order_relaxed);
	return good;
}

void meter_round(struct relay_meter *m)
{
	uint64_t senders = atomic_exchange(&m->senders, 0);
	atomic_fetch_add(&m->round, 1);
	uint64_t share = m->total / (senders ? senders : 1);
	atomic_store(&m->share, share ? share : SHARE_LEAST);
}
