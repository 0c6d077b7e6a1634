/* Theory of operation: members as they are shown. One walk over the rows of a network (each with its addresses, in one join)
 * counts all and judges each by the query. By address the rows come in their order and are told at once; for any other order a short key is
 * kept of those that match (what they are sorted by, and their id), and the rows of the page are fetched once the keys are sorted; who asks for page
 * after page keeps the keys. A cursor is the key of the last row that was told, so a list goes on behind it although rows came and went meanwhile. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/edit.h"

/* ---- one row ------------------------------------------------------------------------ */

void member_show(const struct controller *c, const struct member_record *m, struct member_row *ret)
{
	const struct presence *who = presence_find(c, m->identity.key_hash);
	const struct publication *p = publication_find(c, m->nwid);
	uint64_t now = network_time(c);
	*ret = (struct member_row){.nwid = m->nwid,
	                           .address = m->address,
	                           .state = m->state,
	                           .tags = m->tags,
	                           .n_ips = m->n_ips,
	                           .flags = policy_flags(m->flags_on, m->flags_off),
	                           .expires_s = !m->expires        ? 0
	                                        : m->expires > now ? m->expires - now
	                                                           : 1,
	                           .ephemeral_s = m->ephemeral,
	                           .invite = m->invite,
	                           .revision = m->revision,
	                           .first_seen_wall_s = m->first_seen_wall_s,
	                           .last_seen_wall_s = m->last_seen_wall_s,
	                           .serial = m->serial,
	                           .auto_ip = m->auto_ip,
	                           .ipv6 = p && !(p->flags & NETWORK_NO_ULA),
	                           .authorized_wall_s = m->authorized_wall_s,
	                           .deauthorized_wall_s = m->deauthorized_wall_s};
	memcpy(ret->key_hash, m->identity.key_hash, KEY_HASH_BYTES);
	memcpy(ret->name, m->name[0] ? m->name : m->hostname, sizeof(ret->name));
	memcpy(ret->hostname, m->hostname, sizeof(ret->hostname));
	memcpy(ret->os, m->os, sizeof(ret->os));
	memcpy(ret->version, m->version, sizeof(ret->version));
	memcpy(ret->description, m->description, sizeof(ret->description));
	memcpy(ret->reason, m->reason, sizeof(ret->reason));
	memcpy(ret->ips, m->ips, sizeof(ret->ips));
	if (!who)
		return;
	ret->online = who->online;
	ret->physical = who->physical;
	ret->acknowledged = who->acknowledged_nwid == m->nwid ? who->acknowledged : 0;
	if (!ret->online)
		return;
	ret->carries = traffic_rate(c, publication_find(c, m->nwid), m->identity.key_hash, &ret->rx_bps, &ret->tx_bps);
	ret->link = who->link;
	ret->rtt_us = who->rtt_us;
	ret->last_seen_wall_s = c->wall_s;
}

enum admin_status controller_member_get(struct controller *c, uint64_t nwid, uint64_t member, struct member_row *ret,
                                        struct admin_error *error)
{
	struct edit e;
	enum admin_status status = edit_find(c, nwid, member, &e, error);
	if (!status)
		member_show(c, &e.was, ret);
	return status;
}

/* ---- which, and in which order ------------------------------------------------------ */

struct member_key {
	uint64_t number, address, id;
	char text[NAME_MAX_BYTES + 1];
};

struct listing {
	const struct controller *c;
	uint64_t nwid;
	const struct member_query *query;
	struct member_page *page;
	struct member_key *keys; /* owned */
	size_t n, room;
	bool failed;
	size_t at, end; /* of the keys: the page */
	const struct member_key *after;
	struct member_key last; /* told, by address */
	void (*each)(void *, const struct member_row *);
	void *self;
};

static bool ip_matches(const struct member_row *row, const char *q)
{
	char text[24];
	for (unsigned i = 0; i < row->n_ips; i++) {
		prefix_format(&row->ips[i], text, sizeof(text));
		*strchr(text, '/') = '\0'; /* the pool's length would match everybody */
		if (strstr(text, q))
			return true;
	}
	return false;
}

static bool text_matches(const struct member_row *row, const char *q)
{
	char address[ADDRESS_TEXT];
	address_format(row->address, address);
	if (!*q || strcasestr(row->name, q) || strcasestr(row->hostname, q) || strcasestr(row->description, q) || strcasestr(address, q))
		return true;
	for (unsigned i = 0; i < row->tags.n; i++)
		if (strcasestr(row->tags.tag[i], q))
			return true;
	return ip_matches(row, q);
}

static bool matches(const struct member_query *q, const struct member_row *row)
{
	if (q->states && !(q->states & 1u << row->state))
		return false;
	if (q->online != ONLINE_ANY && row->online != (q->online == ONLINE_YES))
		return false;
	if (q->link == WITH_NONE     ? row->online
	    : q->link == WITH_DIRECT ? row->link != LINK_DIRECT
	                             : q->link == WITH_RELAY && row->link != LINK_RELAY)
		return false;
	return (!*q->tag || tags_have(&row->tags, q->tag)) && text_matches(row, q->q);
}

static struct member_key key_of(const struct member_query *q, const struct member_row *row, uint64_t id)
{
	struct member_key k = {.address = row->address, .id = id};
	switch (q->sort) {
	case SORT_ADDRESS: break;
	case SORT_STATE: k.number = row->state; break;
	/* who is there is seen now, and a second later is again: that must not move it to before a cursor */
	case SORT_LAST_SEEN: k.number = row->online ? 0 : UINT64_MAX - row->last_seen_wall_s; break;
	case SORT_NAME: break;
	}
	if (q->sort == SORT_STATE || q->sort == SORT_NAME)
		for (size_t i = 0; row->name[i]; i++)
			k.text[i] = (char)tolower((unsigned char)row->name[i]);
	return k;
}

static int key_compare(const void *x, const void *y)
{
	const struct member_key *a = x, *b = y;
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	int order = strcmp(a->text, b->text);
	if (order)
		return order;
	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

static void gather(void *self, const struct member_record *m)
{
	struct listing *l = self;
	struct member_row row;
	member_show(l->c, m, &row);
	l->page->count[row.state < MEMBER_STATES ? row.state : MEMBER_PENDING]++;
	l->page->online += row.online && row.state == MEMBER_APPROVED;
	if (!matches(l->query, &row))
		return;
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		struct member_key *more = realloc(l->keys, room * sizeof(*more));
		l->failed = l->failed || !more;
		if (!more)
			return;
		l->keys = more;
		l->room = room;
	}
	l->keys[l->n++] = key_of(l->query, &row, m->id);
}

/* ---- cursors ------------------------------------------------------------------------ */

/* "SORT.NUMBER.ADDRESS.ID.NAME", the name in hex since it may hold anything. */
static void cursor_write(const struct member_query *q, const struct member_key *k, char ret[CURSOR_MAX])
{
	int at = snprintf(ret, CURSOR_MAX, "%x.%" PRIx64 ".%" PRIx64 ".%" PRIx64 ".", (unsigned)q->sort, k->number, k->address, k->id);
	for (size_t i = 0; k->text[i]; i++)
		at += snprintf(ret + at, (size_t)(CURSOR_MAX - at), "%02x", (unsigned char)k->text[i]);
}

static bool cursor_read(const struct member_query *q, struct member_key *ret)
{
	struct member_key k = {0};
	unsigned sort = 0, byte;
	int at = 0;
	if (strspn(q->after, "0123456789abcdef.") != strlen(q->after) ||
	    sscanf(q->after, "%8x.%16" SCNx64 ".%16" SCNx64 ".%16" SCNx64 ".%n", &sort, &k.number, &k.address, &k.id, &at) != 4 || !at ||
	    sort != (unsigned)q->sort)
		return false;
	const char *hex = q->after + at;
	size_t n = strlen(hex);
	if (n % 2 || n / 2 > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < n / 2; i++) {
		if (sscanf(hex + 2 * i, "%2x", &byte) != 1 || !byte)
			return false;
		k.text[i] = (char)byte;
	}
	*ret = k;
	return true;
}

/* ---- telling ------------------------------------------------------------------------ */

static void tell(struct listing *l, const struct member_record *m)
{
	struct member_row row;
	member_show(l->c, m, &row);
	l->each(l->self, &row);
}

/* By address the rows come in their order: told while they are counted, and where nobody counts, not one too many is read. */
static bool tell_in_order(void *self, const struct member_record *m)
{
	struct listing *l = self;
	const struct member_query *q = l->query;
	struct member_row row;
	member_show(l->c, m, &row);
	if (!q->rest) {
		l->page->count[row.state < MEMBER_STATES ? row.state : MEMBER_PENDING]++;
		l->page->online += row.online && row.state == MEMBER_APPROVED;
	}
	if (!matches(q, &row))
		return true;
	l->page->total += !q->rest;
	struct member_key k = key_of(q, &row, m->id);
	if (l->after && key_compare(&k, l->after) <= 0)
		return true;
	if (q->limit && l->n == q->limit) {
		if (!*l->page->next)
			cursor_write(q, &l->last, l->page->next);
		return !q->rest;
	}
	l->n++;
	l->last = k;
	l->each(l->self, &row);
	return true;
}

static int tell_page(struct listing *l)
{
	struct member_record m;
	for (; l->at < l->end; l->at++) {
		int r = store_member_id(l->c->store, l->keys[l->at].id, &m);
		if (r == -ENOENT)
			continue; /* it went between two pages */
		if (r)
			return r;
		if (m.nwid == l->nwid)
			tell(l, &m);
	}
	return 0;
}

static int sorted(struct listing *l, const struct member_key *after)
{
	int r = store_member_each(l->c->store, l->nwid, gather, l);
	if (r || l->failed)
		return r ? r : -ENOMEM;
	if (l->n)
		qsort(l->keys, l->n, sizeof(*l->keys), key_compare);
	while (after && l->at < l->n && key_compare(&l->keys[l->at], after) <= 0)
		l->at++;
	return 0;
}

static int list(struct listing *l, const struct member_key *after)
{
	struct member_order *order = l->query->order;
	int r = 0;
	l->after = after;
	if (l->query->sort == SORT_ADDRESS)
		return store_member_walk(l->c->store, l->nwid, l->query->rest && after ? after->address : 0, tell_in_order, l);
	if (order && order->keys) {
		l->keys = order->keys;
		l->n = order->n;
		l->at = order->at;
		order->keys = NULL;
	} else {
		r = sorted(l, after);
	}
	if (r)
		return r;
	l->end = l->query->limit && l->query->limit < l->n - l->at ? l->at + l->query->limit : l->n;
	l->page->total = (uint32_t)l->n;
	if (l->end < l->n)
		cursor_write(l->query, &l->keys[l->end - 1], l->page->next);
	r = tell_page(l);
	if (!r && order) {
		*order = (struct member_order){.keys = l->keys, .n = l->n, .at = l->at};
		l->keys = NULL;
	}
	return r;
}

void member_order_fini(struct member_order *order)
{
	free(order->keys);
	*order = (struct member_order){0};
}

enum admin_status controller_member_query(struct controller *c, uint64_t nwid, const struct member_query *query,
                                          void (*each)(void *, const struct member_row *), void *self, struct member_page *ret,
                                          struct admin_error *error)
{
	struct network_record network;
	struct member_page page = {0};
	struct listing l = {.c = c, .nwid = nwid, .query = query, .page = &page, .each = each, .self = self};
	struct member_key after;
	enum admin_status status = admin_network(c, nwid, &network, NULL, error);
	if (status)
		return status;
	if (*query->after && !cursor_read(query, &after)) {
		admin_error_set(error, "Not a cursor", "Take \"next\" of the answer before, with the same sort, or begin anew without one.",
		                "The list cannot go on from there.");
		return ADMIN_INVALID;
	}
	int r = list(&l, *query->after ? &after : NULL);
	free(l.keys);
	if (r) {
		admin_error_set(error, "The database cannot be read", "Try again; see the log.", "%s.", strerror(-r));
		return ADMIN_UNAVAILABLE;
	}
	*ret = page;
	return ADMIN_OK;
}

enum admin_status controller_member_each(struct controller *c, uint64_t nwid, void (*each)(void *, const struct member_row *), void *self,
                                         struct admin_error *error)
{
	static const struct member_query all = {0};
	struct member_page page;
	return controller_member_query(c, nwid, &all, each, self, &page, error);
}
