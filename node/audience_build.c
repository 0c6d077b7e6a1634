/* audience_build.c: the lists that workers see, out of what members said and what anchors answered.
 *
 * Built whole each time: groups that are in use first, then those that some known member named, as many as there is room for. Members are walked in the order
 * of their addresses, so every list comes out sorted. A group that got no list belongs to those who take all, and that is complete only if
 * everybody is known and every named group got one.
 */
#include "node/control.h"

#include <stdlib.h>
#include <string.h>

#define POINTERS_MAX (1u << 20) /* in all lists */

static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

struct entry { /* of the table that counts, open addressing */
	bool used;
	uint8_t group[6];
	bool complete;
	uint64_t used_ms;
	const struct gather *gather;
	uint32_t n, filled;
	struct member **list;
};

struct build {
	struct net *net;
	bool any_unknown, truncated;
	uint32_t takers, unknown; /* who takes all; who is not known */
	uint32_t n, most, mask;
	struct entry *entry;
};

static bool present(const struct net_member *m)
{
	return m->listed || m->cred_ok;
}

static struct entry *entry_of(const struct build *b, const uint8_t group[6])
{
	uint64_t n = 0;
	memcpy(&n, group, 6);
	uint32_t i = (uint32_t)((n ^ (uintptr_t)b->entry) * UINT64_C(0x9e3779b97f4a7c15) >> 32) & b->mask;
	while (b->entry[i].used && memcmp(b->entry[i].group, group, 6))
		i = (i + 1) & b->mask;
	return &b->entry[i];
}

/* NULL: no room for one more. */
static struct entry *entry_get(struct build *b, const uint8_t group[6])
{
	struct entry *e = entry_of(b, group);
	if (e->used)
		return e;
	if (b->n == b->most) {
		b->truncated = true;
		return NULL;
	}
	b->n++;
	*e = (struct entry){.used = true, .complete = !b->any_unknown};
	memcpy(e->group, group, 6);
	return e;
}

/* Does he stand in the list of those who take all, or in none by himself: no word of his holds. */
static bool takes_all(const struct net *net, const struct net_member *m)
{
	return m->group.said.all && group_said(net, m, everybody);
}

/* Did it say anything that still holds? */
static bool here(const struct net *net, const struct net_member *m)
{
	return group_said(net, m, everybody);
}

/* Do the groups that it named still hold? Of all or none of them that is true. */
static bool names_hold(const struct net *net, const struct net_member *m)
{
	const struct group_set *s = &m->group.said;
	return s->n && group_said(net, m, s->group[0]);
}

/* Broadcast has a list when somebody asked for it (gather.c). It is for all who said anything, and not for a member to name. */
static bool broadcast(const uint8_t group[6])
{
	return !memcmp(group, everybody, 6);
}

static struct entry *broadcast_entry(const struct build *b)
{
	struct entry *e = entry_of(b, everybody);
	return e->used ? e : NULL;
}

static void survey(struct build *b)
{
	struct net *net = b->net;
	uint32_t named = GATHERS_MAX;
	for (unsigned i = 0; i < net->n_members; i++) {
		const struct net_member *m = net->member[i];
		bool known = group_known(net, m);
		b->unknown += present(m) && !known;
		b->takers += present(m) && known && takes_all(net, m);
		named += m->group.said.n;
	}
	b->any_unknown = b->unknown;
	net->groups.named = named;
	b->most = POINTERS_MAX / (b->takers + 1);
	if (b->most > AUDIENCE_GROUPS_MAX)
		b->most = AUDIENCE_GROUPS_MAX;
	if (b->most > named)
		b->most = named;
	for (b->mask = 1; b->mask < 2 * b->most;)
		b->mask = b->mask * 2 + 1;
}

static void count(struct build *b)
{
	struct net *net = b->net;
	for (unsigned i = 0; i < GATHERS_MAX; i++) {
		const struct gather *g = net->groups.gather[i];
		struct entry *e = g ? entry_get(b, g->group) : NULL;
		if (!e)
			continue;
		e->gather = g;
		e->complete = e->complete || g->complete;
		for (unsigned k = 0; k < net->n_members; k++)
			e->n += present(net->member[k]) && !group_known(net, net->member[k]) &&
			        gather_names(g, net->member[k]->member->address);
	}
	for (unsigned i = 0; i < net->n_members; i++) {
		const struct net_member *m = net->member[i];
		const struct group_set *s = &m->group.said;
		if (!present(m) || !group_known(net, m) || takes_all(net, m))
			continue;
		if (broadcast_entry(b) && here(net, m))
			broadcast_entry(b)->n++;
		for (unsigned k = 0; names_hold(net, m) && k < s->n; k++) {
			struct entry *e = broadcast(s->group[k]) ? NULL : entry_get(b, s->group[k]);
			if (e)
				e->n++;
		}
	}
}

static void put(struct entry *e, struct member *m)
{
	if (e->used && e->filled < e->n)
		e->list[e->filled++] = m;
}

static void fill_known(const struct build *b, const struct net_member *m)
{
	const struct group_set *s = &m->group.said;
	if (takes_all(b->net, m))
		for (uint32_t i = 0; i <= b->mask; i++)
			put(&b->entry[i], m->member);
	else if (broadcast_entry(b) && here(b->net, m))
		put(broadcast_entry(b), m->member);
	for (unsigned k = 0; !takes_all(b->net, m) && names_hold(b->net, m) && k < s->n; k++)
		if (!broadcast(s->group[k]))
			put(entry_of(b, s->group[k]), m->member);
}

static void fill(const struct build *b, struct member **takers, struct member **unknown)
{
	struct net *net = b->net;
	for (unsigned i = 0; i < net->n_members; i++) {
		const struct net_member *m = net->member[i];
		if (!present(m))
			continue;
		if (group_known(net, m)) {
			fill_known(b, m);
			if (takes_all(net, m))
				*takers++ = m->member;
			continue;
		}
		*unknown++ = m->member;
		for (unsigned k = 0; k < GATHERS_MAX; k++)
			if (net->groups.gather[k] && gather_names(net->groups.gather[k], m->member->address))
				put(entry_of(b, net->groups.gather[k]->group), m->member);
	}
}

/* ---- replicators ------------------------------------------------------------------------------------------------ */

static bool replicates(const struct net_member *m)
{
	const struct session *s = peer_session(m->peer, CLASS_DATA);
	return m->cred_ok && m->cred.flags & MEMBER_REPLICATOR && atomic_load(&m->member->tx_chan) && s && s->peer_caps & CAP_REPLICATE &&
	       atomic_load(&m->peer->remote->way);
}

static unsigned replicators(const struct net *net, struct member *ret[REPLICATORS_MAX])
{
	unsigned n = 0;
	for (unsigned i = 0; i < net->n_members && n < REPLICATORS_MAX; i++)
		if (replicates(net->member[i]))
			ret[n++] = net->member[i]->member;
	return n;
}

bool audience_replicators_changed(const struct net *net)
{
	const struct audiences *a = atomic_load(&net->port->audiences);
	struct member *now[REPLICATORS_MAX];
	unsigned n = replicators(net, now);
	return !a || a->n_replicators != n || memcmp(a->replicator, now, n * sizeof now[0]);
}

/* ---- publication ------------------------------------------------------------------------------------------------ */

static void show(struct net *net, const struct audiences *fresh)
{
	const struct audiences *old = atomic_load(&net->port->audiences);
	atomic_store(&net->port->audiences, fresh);
	if (old)
		guestbook_retire(&net->node->book, (void *)old, free);
}

void audience_withdraw(struct net *net)
{
	show(net, NULL);
}

static struct audiences *lists_new(struct build *b)
{
	const struct audiences *old = atomic_load(&b->net->port->audiences);
	uint32_t members = b->takers + b->unknown;
	for (uint32_t i = 0; i <= b->mask; i++)
		if (b->entry[i].used)
			members += b->entry[i].n += b->takers;
	struct audiences *a = audiences_new(b->n, members);
	if (!a)
		return NULL;
	for (uint32_t i = 0; i <= b->mask; i++) {
		struct entry *e = &b->entry[i];
		if (e->used)
			e->list = audiences_add(a, e->group, e->n, e->complete, audience_used_ms(old, e->group));
	}
	struct member **takers = audiences_takers(a, b->takers, !b->any_unknown && !b->truncated);
	fill(b, takers, audiences_unknown(a, b->unknown));
	const struct groups *own = &b->net->groups;
	_Static_assert(sizeof a->own == sizeof own->group, "as many groups as are told");
	a->own_all = own->all || !own->known;
	a->n_own = own->n;
	memcpy(a->own, own->group, sizeof a->own);
	a->n_replicators = replicators(b->net, a->replicator);
	return a;
}

void audience_publish(struct net *net)
{
	struct build b = {.net = net};
	survey(&b);
	b.entry = calloc(b.mask + 1, sizeof *b.entry);
	if (!b.entry)
		return;
	count(&b);
	struct audiences *fresh = lists_new(&b);
	free(b.entry);
	if (fresh)
		show(net, fresh);
}
