/* Theory of operation: which address of the pool a new member gets: the lowest that nobody holds, nobody held lately and nobody is awaited for. Reading all
 * leases for each of ten thousand joins would be fifty million rows, so a publication remembers from where on there may be a gap and
 * the walk begins there. Below that everything is held or rests; it may be otherwise only after a rollback, when what rested
 * is forgotten, or in another pool or other ranges, and then the walk begins at the bottom again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/state.h"

static bool same_pool(const struct prefix *a, const struct prefix *b)
{
	return a->family == b->family && a->bits == b->bits && !memcmp(a->ip, b->ip, 4);
}

static void ip_put(uint32_t number, uint8_t ret[4])
{
	for (unsigned i = 0; i < 4; i++)
		ret[i] = (uint8_t)(number >> (24 - 8 * i));
}

void pool_doubt(struct publication *p)
{
	p->pool_from = 0;
}

/* What waits for somebody who has not asked yet: the pool gives it to nobody else, though an admin may. */
struct awaited {
	uint32_t *at; /* ascending; owned */
	size_t n;
};

/* The lowest of a stretch without a lease that nobody is to have. Each turn passes one of those, and the list is sorted. */
static int gap_in(struct controller *c, uint64_t nwid, const struct awaited *w, uint32_t from, uint32_t last, uint32_t *ret)
{
	size_t i = 0;
	for (uint64_t at = from; at <= last;) {
		uint32_t found = 0;
		int r = store_lease_gap(c->store, nwid, (uint32_t)at, last, &found);
		if (r || !found)
			return r;
		while (i < w->n && w->at[i] < found)
			i++;
		for (at = found; i < w->n && w->at[i] <= at; i++)
			at += w->at[i] == at;
		if (at == found) {
			*ret = found;
			return 0;
		}
	}
	return 0;
}

/* The same of all stretches, from there on. */
static int gap(struct controller *c, const struct publication *p, const struct awaited *w, const struct stretch *s, unsigned n,
               uint32_t from, uint32_t *ret)
{
	int r = 0;
	for (unsigned i = 0; i < n && !r && !*ret; i++)
		if (from <= s[i].last)
			r = gap_in(c, p->nwid, w, from > s[i].first ? from : s[i].first, s[i].last, ret);
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
	struct awaited w = {0};
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
	r = store_preapproval_ips(c->store, p->nwid, &w.at, &w.n);
	if (r)
		return r;
	r = gap(c, p, &w, s, n, p->pool_from, &found);
	if (!r && !found && p->pool_from > s[0].first) { /* nothing up there: members that left below may have given theirs back */
		p->pool_from = s[0].first;
		r = gap(c, p, &w, s, n, p->pool_from, &found);
	}
	free(w.at);
	if (!r && found)
		p->pool_from = found;
	if (!r && !found)
		r = oldest(c, p, s, n, &found);
	if (r)
		return r;
	if (!found)
		return -EADDRNOTAVAIL;
	ip_put(found, ret);
	return 0;
}

static int by_ip(const void *a, const void *b)
{
	return memcmp(((const struct lease *)a)->ip, ((const struct lease *)b)->ip, 4);
}

int pool_held(struct controller *c, uint64_t nwid, struct lease **ret, size_t *ret_n)
{
	struct awaited w = {0};
	struct lease *leases = NULL, *all;
	size_t n = 0;
	int r = store_leases(c->store, nwid, &leases, &n);
	if (!r)
		r = store_preapproval_ips(c->store, nwid, &w.at, &w.n);
	if (!r && w.n) {
		all = realloc(leases, (n + w.n) * sizeof(*all));
		r = all ? 0 : -ENOMEM;
		leases = all ? all : leases;
	}
	for (size_t i = 0; i < w.n && !r; i++, n++) {
		leases[n] = (struct lease){.member = UINT64_MAX};
		ip_put(w.at[i], leases[n].ip);
	}
	if (!r && w.n)
		qsort(leases, n, sizeof(*leases), by_ip);
	free(w.at);
	if (r) {
		free(leases);
		return r;
	}
	*ret = leases;
	*ret_n = n;
	return 0;
}
