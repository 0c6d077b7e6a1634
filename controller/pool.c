/* Theory of operation: which address of the pool a new member gets: the lowest that nobody holds and nobody held lately. Reading all
 * leases for each of ten thousand joins would be fifty million rows, so a publication remembers from where on there may be a gap and
 * the walk begins there. Below that everything is held or rests; it may be otherwise only after a rollback, when what rested
 * is forgotten, or in another pool, and then the walk begins at the bottom again. */
#include <errno.h>
#include <string.h>

#include "controller/state.h"

static uint32_t number(const uint8_t ip[4])
{
	return (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 | (uint32_t)ip[2] << 8 | ip[3];
}

static bool same_pool(const struct prefix *a, const struct prefix *b)
{
	return a->family == b->family && a->bits == b->bits && !memcmp(a->ip, b->ip, 4);
}

void pool_doubt(struct publication *p)
{
	p->pool_from = 0;
}

int pool_give(struct controller *c, struct publication *p, const struct prefix *pool, uint8_t ret[4])
{
	uint32_t first = number(pool->ip) + 1, last = number(pool->ip) + (UINT32_MAX >> pool->bits) - 1, found = 0;
	uint64_t now = network_time(c);
	unsigned forgotten = 0;
	int r = now >= ADDRESS_REST_S ? store_lease_expire(c->store, p->nwid, now - ADDRESS_REST_S + 1, &forgotten) : 0;
	if (r)
		return r;
	if (forgotten || !same_pool(pool, &p->pool) || p->pool_from < first || p->pool_from > last)
		p->pool_from = first;
	p->pool = *pool;
	r = store_lease_gap(c->store, p->nwid, p->pool_from, last, &found);
	if (!r && !found && p->pool_from > first) { /* nothing up there: members that left below may have given theirs back */
		p->pool_from = first;
		r = store_lease_gap(c->store, p->nwid, first, last, &found);
	}
	if (!r && found)
		p->pool_from = found;
	if (!r && !found)
		r = store_lease_oldest(c->store, p->nwid, first, last, &found);
	if (r)
		return r;
	if (!found)
		return -EADDRNOTAVAIL;
	for (unsigned i = 0; i < 4; i++)
		ret[i] = (uint8_t)(found >> (24 - 8 * i));
	return 0;
}
