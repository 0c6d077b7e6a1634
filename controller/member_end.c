/* Theory of operation: what time does to members without anybody asking: an approval that was given for a while runs out, and a
 * request nobody repeats for a week is forgotten. Both are found by an ordered index; the earliest is kept, so that a turn in which
 * nothing ends costs a comparison. Time is network time: a controller that was off a month has not aged anybody. */
#include <stdio.h>
#include <string.h>

#include "controller/edit.h"

static int forget(struct controller *c, struct edit *e)
{
	/* who was unbanned and did not ask again holds its addresses still */
	int r = e->was.n_ips ? store_lease_free(c->store, e->was.id, network_time(c)) : 0;
	if (!r)
		r = store_member_delete(c->store, e->was.id);
	if (!r)
		r = edit_audit(c, e, "member.expire");
	return r ? r : effect_note(e->fx, &e->was, true, EFFECT_SILENT);
}

static int end(struct controller *c, uint64_t id, struct effects *fx)
{
	struct edit e = {.fx = fx};
	int r = store_member_id(c->store, id, &e.was);
	if (r)
		return r;
	e.will = e.was;
	e.publication = publication_find(c, e.was.nwid);
	if (!e.publication)
		return 0;
	if (e.was.state == MEMBER_PENDING)
		return forget(c, &e);
	edit_out(c, &e, MEMBER_REVOKED, "the approval has run out", "member.expire");
	return e.r;
}

void members_end(struct controller *c, struct effects *fx)
{
	uint64_t ids[END_TURN_MAX];
	unsigned n = 0;
	int r = 0;
	if (!c->trusted || c->now_ms < c->retry_at)
		return;
	if (!c->ends_known && store_member_ends(c->store, PENDING_FOR_S, &c->ends_next))
		return;
	c->ends_known = true;
	if (!c->ends_next || network_time(c) < c->ends_next)
		return;
	struct actor was = c->actor;
	c->actor = (struct actor){.name = "controller"}; /* nobody asked for this */
	r = store_member_ended(c->store, network_time(c), PENDING_FOR_S, ids, END_TURN_MAX, &n);
	for (unsigned i = 0; i < n && !r; i++)
		r = end(c, ids[i], fx); /* a failure breaks the turn and shows at its commit */
	c->actor = was;
	c->ends_known = false;
}

uint64_t members_end_next(const struct controller *c)
{
	uint64_t now = network_time(c);
	if (!c->ends_known)
		return c->now_ms;
	if (!c->ends_next)
		return NEVER;
	/* where time stands (a full disk) it is asked again in a second */
	return c->now_ms + (c->ends_next > now ? (c->ends_next - now) * 1000 : 1000);
}
