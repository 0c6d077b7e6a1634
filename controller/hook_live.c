/* Theory of operation: members that come, go, or are reached another way, told to webhooks. All of it changes all the time, and most
 * of it changes back: so who changed is looked at again a few seconds later, and told only if it is still not as it was; then it is
 * left alone for half a minute. Who flaps without end is looked at once a minute. For a while after a start nobody is told of: the
 * members that come then never went, it was the controller that was away.
 *
 * Who is looked at stands in a table of fixed size, made when the first hook asks for such events; what finds no room there is not
 * told, and counted as dropped. */
#include <stdlib.h>
#include <string.h>

#include "controller/hook_parts.h"

#define LIVE_TURN_MAX 64 /* told in one turn: each is a row read and a delivery for each hook */

static uint16_t *bucket_of(struct lives *lives, uint64_t nwid, uint64_t address)
{
	uint64_t hash = (nwid * 0x9e3779b97f4a7c15u) ^ (address * 0xc2b2ae3d27d4eb4fu);
	return &lives->bucket[(hash >> 40) % LIVE_BUCKETS];
}

static struct live *live_find(struct lives *lives, uint64_t nwid, uint64_t address)
{
	for (uint16_t at = *bucket_of(lives, nwid, address); at; at = lives->at[at - 1].next)
		if (lives->at[at - 1].nwid == nwid && lives->at[at - 1].address == address)
			return &lives->at[at - 1];
	return NULL;
}

static struct lives *lives_new(void)
{
	struct lives *lives = calloc(1, sizeof(*lives));
	if (!lives)
		return NULL;
	for (unsigned i = 0; i < HOOK_LIVE_MAX; i++)
		lives->at[i].next = (uint16_t)(i + 2 <= HOOK_LIVE_MAX ? i + 2 : 0);
	lives->free = 1;
	lives->next = NEVER;
	return lives;
}

static struct live *live_add(struct lives *lives, uint64_t nwid, uint64_t address)
{
	uint16_t at = lives->free, *bucket = bucket_of(lives, nwid, address);
	if (!at)
		return NULL;
	struct live *l = &lives->at[at - 1];
	lives->free = l->next;
	*l = (struct live){.nwid = nwid, .address = address, .used = true, .next = *bucket};
	*bucket = at;
	return l;
}

static void live_remove(struct lives *lives, struct live *l)
{
	uint16_t *at = bucket_of(lives, l->nwid, l->address), own = (uint16_t)(l - lives->at + 1);
	while (*at != own)
		at = &lives->at[*at - 1].next;
	*at = l->next;
	*l = (struct live){.next = lives->free};
	lives->free = own;
}

static bool wanted(const struct controller *c, uint64_t nwid)
{
	return hooks_take(c->hooks, "member.online", nwid) || hooks_take(c->hooks, "member.offline", nwid) ||
	       hooks_take(c->hooks, "member.link", nwid);
}

void hook_live(struct controller *c, uint64_t nwid, uint64_t address, const uint8_t key_hash[KEY_HASH_BYTES], bool was_online,
               enum report_kind was_link)
{
	struct hooks *hooks = c->hooks;
	if (!hooks || !hooks->n || c->now_ms < c->opened_ms + HOOK_YOUNG_MS || !wanted(c, nwid))
		return;
	if (!hooks->lives && !(hooks->lives = lives_new()))
		return;
	struct live *l = live_find(hooks->lives, nwid, address);
	if (!l) {
		l = live_add(hooks->lives, nwid, address);
		if (!l) {
			hooks->figures.dropped++;
			return;
		}
		memcpy(l->key_hash, key_hash, KEY_HASH_BYTES);
		l->online = was_online;
		l->link = was_link;
		l->latest = c->now_ms + HOOK_LIVE_MOST_MS;
	}
	/* each change puts it off, but no further than that; who was told lately waits at least its time */
	uint64_t due = c->now_ms + HOOK_LIVE_MS;
	due = due > l->due ? due : l->due;
	l->due = due < l->latest ? due : l->latest;
	if (l->due < hooks->lives->next)
		hooks->lives->next = l->due;
}

static int link_note(struct controller *c, const struct member_record *m, enum report_kind was, enum report_kind now)
{
	static const char *const names[] = {[LINK_DIRECT] = "direct", [LINK_RELAY] = "relay"};
	struct audit_detail detail = {0};
	audit_detail_change(&detail, "link", names[was], names[now]);
	return hook_note(c, "member.link", m->nwid, m->address, m, audit_detail_end(&detail));
}

static bool link_known(enum report_kind link)
{
	return link == LINK_DIRECT || link == LINK_RELAY;
}

/* true: something was told. */
static bool tell(struct controller *c, struct live *l)
{
	struct member_record m;
	const struct presence *who = presence_find(c, l->key_hash);
	bool online = who && who->online, was_online = l->online;
	enum report_kind link = online ? who->link : LINK_NONE, was = l->link;
	l->online = online;
	l->link = link_known(link) ? link : was;
	bool turned = online && was_online && link_known(was) && link_known(link) && was != link;
	if ((online == was_online && !turned) || store_member_get(c->store, l->nwid, l->key_hash, &m) || m.state != MEMBER_APPROVED)
		return false;
	struct actor actor = c->actor;
	c->actor = (struct actor){0};
	/* a failure breaks the turn and shows at its commit */
	if (online != was_online)
		hook_note(c, online ? "member.online" : "member.offline", m.nwid, m.address, &m, NULL);
	else
		link_note(c, &m, was, link);
	c->actor = actor;
	return true;
}

void lives_tick(struct controller *c)
{
	struct lives *lives = c->hooks->lives;
	unsigned told = 0;
	if (!lives || c->now_ms < lives->next)
		return;
	lives->next = NEVER;
	for (unsigned i = 0; i < HOOK_LIVE_MAX; i++) {
		struct live *l = &lives->at[i];
		if (!l->used)
			continue;
		if (l->due <= c->now_ms && told < LIVE_TURN_MAX) {
			if (!tell(c, l)) {
				live_remove(lives, l);
				continue;
			}
			told++;
			l->due = c->now_ms + HOOK_LIVE_QUIET_MS;
			l->latest = l->due + HOOK_LIVE_MOST_MS;
		}
		if (l->due < lives->next)
			lives->next = l->due;
	}
}
