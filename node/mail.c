/* mail.c: two rings of letters between one worker and control.
 *
 * A letter is filled in its slot, so nothing is copied but the data. Whose ring a slot belongs to is seen from its address
 * when it is posted or given back, so that both ends name letters only. Authenticated letters are read first; strangers get
 * what is left of a control turn, and no number of them takes a slot from a peer.
 */
#include "node/mail.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define SLOT_BYTES(data) (uint32_t)((sizeof(struct letter) + (data) + 7) & ~(size_t)7)

int mail_init(struct mail *m)
{
	memset(m, 0, sizeof(*m));
	int e = ring_init(&m->letters, MAIL_LETTERS, SLOT_BYTES(LETTER_DATA_MAX));
	if (!e)
		e = ring_init(&m->strangers, MAIL_STRANGERS, SLOT_BYTES(LETTER_STRANGER_MAX));
	if (e)
		mail_fini(m);
	return e;
}

void mail_fini(struct mail *m)
{
	ring_fini(&m->letters);
	ring_fini(&m->strangers);
}

static struct letter *begin_in(struct ring *r, enum letter_kind kind)
{
	struct letter *l = ring_reserve(r);
	if (!l)
		return NULL;
	memset(l, 0, offsetof(struct letter, place));
	l->kind = (uint8_t)kind;
	return l;
}

/* Frames that wait for control: half of the ring is kept from them, or whoever floods our device, a program or a host of the LAN behind it, would keep
 * the members' messages out. */
static bool is_frame(enum letter_kind kind)
{
	return kind == LETTER_FRAME_OUT || kind == LETTER_FLOOD_OUT || kind == LETTER_GATHER;
}

struct letter *mail_begin(struct mail *m, enum letter_kind kind)
{
	if (is_frame(kind) && ring_used(&m->letters) >= MAIL_LETTERS / 2)
		return NULL;
	return begin_in(kind == LETTER_INIT ? &m->strangers : &m->letters, kind);
}

struct letter *mail_begin_relayed_init(struct mail *m)
{
	return begin_in(&m->letters, LETTER_INIT);
}

static struct ring *ring_of(struct mail *m, const struct letter *l)
{
	uintptr_t at = (uintptr_t)l, from = (uintptr_t)m->strangers.slots;
	if (at >= from && at < from + (uintptr_t)m->strangers.n * m->strangers.size)
		return &m->strangers;
	return &m->letters;
}

void mail_post(struct mail *m, const struct letter *l)
{
	struct ring *r = ring_of(m, l);
	assert(l->len <= (r == &m->strangers ? LETTER_STRANGER_MAX : LETTER_DATA_MAX));
	ring_publish(r);
}

struct letter *mail_take(struct mail *m)
{
	struct letter *l = ring_peek(&m->letters);
	return l ? l : ring_peek(&m->strangers);
}

void mail_done(struct mail *m, const struct letter *l)
{
	ring_release(ring_of(m, l));
}
