/* homes.c: which of a set's roots a node keeps sessions with.
 *
 * Two, its homes: the one that answers fastest, and another one, of another region if that costs no more than twice the
 * time. A round measures: every root is called, after ROUND_MS those that answered are compared, and the others let go
 * again. What is a home stays one until another is better by a tenth and by 5 ms, so that two of a kind do not swap; a
 * round runs at the start, about every ten minutes, and when a home is silent. While none answers the round does not end:
 * a node without network calls its roots as one without sets does. A root of the set keeps to all the others.
 */
#include <string.h>

#include "node/control.h"
#include "proto/random.h"

#define ROUND_MS        3000
#define ROUND_EARLY     1000 /* it may end, when all answered */
#define ROUND_GAP_MS    5000
#define ROUNDS_MS       (10 * 60 * 1000)
#define ROUND_SOON_MS   60000 /* while a home is missing */
#define PROBES_PER_TICK 2
#define UNWELL_MS       1000
#define BETTER_US       5000
#define UNMEASURED_US   1000000u
#define NO_WEIGHT_US    10000000u

bool federation_ready(const struct peer *root)
{
	return peer_up(root, CLASS_CTRL) && root->best >= 0 && root->path[root->best].state == PATH_VALID;
}

/* ---- sessions ----------------------------------------------------------------------------------------------------------- */

void homes_session_end(struct peer *root)
{
	struct session *s = peer_session(root, CLASS_CTRL);
	uint8_t plain[INNER_HEADER + 1] = {INNER_CLOSE};
	if (s && root->best >= 0)
		node_seal(root->node, s, &root->path[root->best], plain, sizeof plain);
	root->want[CLASS_CTRL] = false;
	root->init_ms[CLASS_CTRL] = root->confirm_ms[CLASS_CTRL] = NEVER;
	for (int i = 0; i < 2; i++)
		peer_retire_session(root, &root->next[CLASS_CTRL][i]);
	peer_retire_session(root, &root->previous[CLASS_CTRL]);
	peer_retire_session(root, &root->current[CLASS_CTRL]);
	peer_session_down(root, CLASS_CTRL);
	nat_forget(root);
	peer_schedule(root);
}

static bool kept(const struct federation *f, const struct set_root *r, uint64_t now)
{
	if (r->configured || r->home || r->visit_ms > now || r->peer->legs)
		return true;
	for (unsigned i = 0; i < f->n_sets; i++)
		if (r->sets & 1u << i && (f->set[i].member || f->set[i].round_ms != NEVER))
			return true;
	return false;
}

bool federation_in_passing(const struct peer *root)
{
	const struct federation *f = root->node->federation;
	const struct set_root *r = root->is_root && f ? federation_set_root(root) : NULL;
	return r && !r->configured && !r->home && !(f->ours && r->sets & federation_bit(f, f->ours));
}

static void keep(struct node *node, struct set_root *r, uint64_t now)
{
	if (r->leave_ms)
		return;
	bool keeps = kept(node->federation, r, now);
	if (keeps == !r->peer->root_idle)
		return;
	r->peer->root_idle = !keeps;
	if (keeps)
		initiator_want(r->peer, CLASS_CTRL);
	else
		homes_session_end(r->peer);
}

void homes_keep(struct node *node, uint64_t now)
{
	for (unsigned i = 0; i < node->federation->n_roots; i++)
		keep(node, node->federation->root[i], now);
}

void federation_visit(struct set_root *r, uint64_t until_ms)
{
	if (r->visit_ms < until_ms)
		r->visit_ms = until_ms;
	keep(r->peer->node, r, r->peer->node->now);
}

/* ---- homes -------------------------------------------------------------------------------------------------------------- */

/* The least of a round is the way's; what is above it are queues and busy machines. */
void federation_measured(const struct peer *root, uint32_t rtt_us)
{
	struct set_root *r = root->is_root ? federation_set_root(root) : NULL;
	if (r && (!r->least_us || rtt_us < r->least_us))
		r->least_us = rtt_us;
}

static uint64_t score(const struct set_root *r)
{
	uint64_t rtt = r->least_us ? r->least_us : r->peer->path[r->peer->best].srtt_us;
	rtt = rtt ? rtt : UNMEASURED_US;
	return r->weight ? rtt * ROOTSET_WEIGHT / r->weight : rtt + NO_WEIGHT_US;
}

static bool better(const struct set_root *a, const struct set_root *b)
{
	return score(a) + BETTER_US <= score(b) && score(a) * 10 <= score(b) * 9;
}

static bool elsewhere(const struct set_root *a, const struct set_root *b)
{
	return strcmp(a->region, b->region) != 0;
}

/* The fastest root of the set that answers, but for except; far: of another region than that one. */
static struct set_root *fastest(const struct federation *f, const struct node_set *set, const struct set_root *except, bool far)
{
	struct set_root *best = NULL;
	for (unsigned i = 0; i < f->n_roots; i++) {
		struct set_root *r = f->root[i];
		if (!(r->sets & federation_bit(f, set)) || r == except || !federation_ready(r->peer) ||
		    (far && except && !elsewhere(r, except)))
			continue;
		if (!best || score(r) < score(best))
			best = r;
	}
	return best;
}

static struct set_root *second(const struct federation *f, const struct node_set *set, struct set_root *first, struct set_root *now)
{
	struct set_root *plain = fastest(f, set, first, false), *far = fastest(f, set, first, true);
	struct set_root *want = far && score(far) <= 2 * score(plain) ? far : plain;
	if (!now || !want || now == want)
		return want;
	if (elsewhere(want, first) != elsewhere(now, first)) /* another region is worth the change, but not more than twice the time */
		return elsewhere(want, first) || score(now) * 9 > 2 * score(plain) * 10 ? want : now;
	return better(want, now) ? want : now;
}

static bool home_ready(const struct set_root *r)
{
	return r && federation_ready(r->peer);
}

static void choose(struct node *node, struct node_set *set)
{
	struct federation *f = node->federation;
	struct set_root *first = home_ready(set->home[0]) ? set->home[0] : home_ready(set->home[1]) ? set->home[1] : NULL;
	struct set_root *best = fastest(f, set, NULL, false), *homes[HOMES];
	if (!best)
		return;
	if (!first || (best != first && better(best, first)))
		first = best;
	struct set_root *other = set->home[set->home[0] == first];
	homes[0] = first;
	homes[1] = second(f, set, first, home_ready(other) && other != first ? other : NULL);
	if (homes[0] == set->home[0] && homes[1] == set->home[1])
		return;
	for (unsigned i = 0; i < HOMES; i++)
		if (set->home[i])
			set->home[i]->home &= (uint8_t)~federation_bit(f, set);
	for (unsigned i = 0; i < HOMES; i++)
		if ((set->home[i] = homes[i])) {
			homes[i]->home |= federation_bit(f, set);
			event_peer(homes[i]->peer);
		}
	federation_homes_changed(node, set);
}

void homes_begin(struct node_set *set, uint64_t now)
{
	set->round_ms = now + ROUND_MS;
	set->next_round_ms = NEVER;
	set->unwell_ms = 0;
}

static void round_begin(struct node *node, struct node_set *set, uint64_t now)
{
	homes_begin(set, now);
	for (unsigned i = 0; i < node->federation->n_roots; i++)
		node->federation->root[i]->least_us = 0;
	homes_keep(node, now);
}

/* Over, as soon as one root answers and the time is up, or all do. */
static void round_tick(struct node *node, struct node_set *set, uint64_t now)
{
	struct federation *f = node->federation;
	unsigned ready = 0, all = 0;
	for (unsigned i = 0; i < f->n_roots; i++) {
		struct peer *root = f->root[i]->peer;
		if (!(f->root[i]->sets & federation_bit(f, set)))
			continue;
		all++;
		if (!federation_ready(root))
			continue;
		ready++;
		for (int k = 0; k < PROBES_PER_TICK; k++)
			path_probe(root, peer_session(root, CLASS_CTRL), root->best, 0);
	}
	bool early = ready == all && now + ROUND_MS >= set->round_ms + ROUND_EARLY;
	if (!ready || (now < set->round_ms && !early))
		return;
	choose(node, set);
	set->round_ms = NEVER;
	bool missing = all >= HOMES && !set->home[HOMES - 1];
	set->next_round_ms = now + federation_about(missing ? ROUND_SOON_MS : ROUNDS_MS);
	homes_keep(node, now);
}

void homes_tick(struct node *node, struct node_set *set, uint64_t now)
{
	bool well = true;
	if (set->round_ms != NEVER) {
		round_tick(node, set, now);
		return;
	}
	for (unsigned i = 0; i < HOMES; i++)
		well = well && (!set->home[i] || federation_ready(set->home[i]->peer));
	if (well)
		set->unwell_ms = 0;
	else if (!set->unwell_ms)
		set->unwell_ms = now;
	bool lost = !well && now - set->unwell_ms >= UNWELL_MS;
	if (lost && set->next_round_ms > now + ROUND_GAP_MS) /* at once; what lasts, once a minute */
		set->next_round_ms = now;
	if (set->next_round_ms <= now)
		round_begin(node, set, now);
}
