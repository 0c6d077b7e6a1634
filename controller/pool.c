/* Theory of operation: which address of the pool a new member gets: the lowest that nobody holds and nobody held lately. Reading all
 * leases for each of ten thousand joins would be fifty million rows, so a publication remembers from where on there may be a gap and
 * the walk begins there. Below that everything is held or rests; it may be otherwise only after a rollback, when what rested
 * is forgotten, or in another pool or other ranges, and then the walk begins at the bottom again. */
#include <errno.h>
#include <string.h>

#include "controller/state.h"

static bool same_pool(const struct prefix *a, const struct prefix *b)
{
	return a->family == b->family && a->bits == b->bits && !memcmp(a->ip, b->ip, 4);
}

void pool_doubt(struct publication *p)
{
	p->pool_from = 0;
}

/* The lowest without a lease, from there on. */
static int gap(struct controller *c, const struct publication *p, const struct stretch *s, unsigned n, uint32_t from, uint32_t *ret)
{
	int r = 0;
	for (unsigned i = 0; i < n && !r && !*ret; i++)
		if (from <= s[i].last)
			r = store_lease_gap(c->store, p->nwid, from > s[i].first ? from : s[i].first, s[i].last, ret);
	return r;
}

static int oldest(struct controller *c, const struct publication *p, const struct stretch *s, unsigned n, uint32_t *ret)
{
	uint64_t freed = UINT64_MAX;
	int r = 0;
	for (unsigned i = 0; i < n && !r; i++) {
		uint32_t found = 0;
		uint64_t at = 0;
		r = store_lease_oldest(c->store, p->nwid, s[i].first, s[i].last, &found, &at);
		if (!r && found && at < freed) {
			freed = at;
			*ret = found;
		}
	}
	return r;
}

int pool_give(struct controller *c, struct publication *p, const struct network_record *network, uint8_t ret[4])
{
	struct stretch s[RANGES_MAX];
	unsigned n = policy_stretches(&network->pool, network->ranges, network->n_ranges, s), forgotten = 0;
	uint32_t found = 0;
	uint64_t now = network_time(c);
	if (!n)
		return -EADDRNOTAVAIL;
	int r = now >= ADDRESS_REST_S ? store_lease_expire(c->store, p->nwid, now - ADDRESS_REST_S + 1, &forgotten) : 0;
	if (r)
		return r;
	if (forgotten || !same_pool(&network->pool, &p->pool) || p->pool_from < s[0].first || p->pool_from > s[n - 1].last)
		p->pool_from = s[0].first;
	p->pool = network->pool;
	r = gap(c, p, s, n, p->pool_from, &found);
	if (!r && !found && p->pool_from > s[0].first) { /* nothing up there: members that left below may have given theirs back */
		p->pool_from = s[0].first;
		r = gap(c, p, s, n, p->pool_from, &found);
	}
	if (!r && found)
		p->pool_from = found;
	if (!r && !found)
		r = oldest(c, p, s, n, &found);
	if (r)
		return r;
	if (!found)
		return -EADDRNOTAVAIL;
	for (unsigned i = 0; i < 4; i++)
		ret[i] = (uint8_t)(found >> (24 - 8 * i));
	return 0;
}
