/* Theory of operation: what a turn changed is told once, after it is committed, to whoever shows it. A change is a hint where to
 * look, not what stands there: so the same one twice is one, and too many in a turn become "look at all of it". What a rolled
 * back turn noted is told too; a look that finds nothing new costs little. */
#include "controller/state.h"

void change_note(struct controller *c, enum change_kind kind, uint64_t nwid, uint64_t address, bool gone)
{
	struct change new = {.kind = kind, .gone = gone, .nwid = nwid, .address = address};
	if (c->changes_all)
		return;
	/* the same thing comes again at once, if at all: a short look back finds it */
	for (unsigned i = c->n_changes, looked = 0; i-- > 0 && looked < 16; looked++) {
		struct change *old = &c->changes[i];
		if (old->kind == kind && old->nwid == nwid && old->address == address) {
			old->gone = gone;
			return;
		}
	}
	if (c->n_changes == CHANGES_MAX) {
		/* which kinds were among them nobody looked up: all of it, and what comes yet is in that */
		for (unsigned i = 0; i < CHANGE_KINDS; i++)
			c->changes[i] = (struct change){.kind = (enum change_kind)i};
		c->n_changes = CHANGE_KINDS;
		c->changes_all = true;
		return;
	}
	c->changes[c->n_changes++] = new;
}

void changes_emit(struct controller *c)
{
	for (unsigned i = 0; i < c->n_changes && c->port.changed; i++)
		c->port.changed(c->port.self, &c->changes[i]);
	c->n_changes = 0;
	c->changes_all = false;
}

void controller_actor(struct controller *c, const struct actor *actor)
{
	c->actor = *actor;
}
