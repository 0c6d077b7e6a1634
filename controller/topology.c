/* Theory of operation: the picture of a network: which members reach each other, and how. Made when somebody asks, from the
 * reports that are kept (report.c) and the rows as they stand: a link counts when both its ends are approved members and
 * the key that told it is still the one at that address. Both ends may tell of the same link: they are sorted side by side and
 * made one, direct if either says so, with the smaller round trip. The controller's own links are what its node sees.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/hook.h"
#include "controller/state.h"

struct place {
	uint64_t address;
	uint8_t key_hash[KEY_HASH_BYTES];
};

struct picture {
	const struct controller *c;
	struct place *place; /* owned; approved members, ascending by address */
	size_t n_places, room;
	struct topology_link *link; /* owned */
	size_t n_links, room_links;
	bool failed, cut;
};

static void place_add(void *self, const struct member_record *m)
{
	struct picture *picture = self;
	if (m->state != MEMBER_APPROVED || picture->failed)
		return;
	if (picture->n_places == picture->room) {
		size_t room = picture->room ? picture->room * 2 : 64;
		struct place *larger = realloc(picture->place, room * sizeof(*larger));
		picture->failed = !larger;
		if (!larger)
			return;
		picture->place = larger;
		picture->room = room;
	}
	struct place *p = &picture->place[picture->n_places++];
	p->address = m->address;
	memcpy(p->key_hash, m->identity.key_hash, KEY_HASH_BYTES);
}

static int place_compare(const void *a, const void *b)
{
	uint64_t x = ((const struct place *)a)->address, y = ((const struct place *)b)->address;
	return x < y ? -1 : x > y;
}

static void link_add(void *self, const struct topology_link *l)
{
	struct picture *picture = self;
	if (picture->n_links == TOPOLOGY_LINKS_MAX) {
		picture->cut = true;
		return;
	}
	if (picture->n_links == picture->room_links) {
		size_t room = picture->room_links ? picture->room_links * 2 : 256;
		struct topology_link *larger = realloc(picture->link, room * sizeof(*larger));
		picture->failed = picture->failed || !larger;
		if (!larger)
			return;
		picture->link = larger;
		picture->room_links = room;
	}
	struct topology_link *to = &picture->link[picture->n_links++];
	*to = *l;
	if (to->a > to->b) {
		to->a = l->b;
		to->b = l->a;
	}
}

static const struct place *place_find(const struct picture *picture, uint64_t address)
{
	struct place key = {.address = address};
	return picture->n_places ? bsearch(&key, picture->place, picture->n_places, sizeof(key), place_compare) : NULL;
}

static void told(void *self, const uint8_t key_hash[KEY_HASH_BYTES], const struct topology_link *l)
{
	struct picture *picture = self;
	const struct place *a = place_find(picture, l->a);
	if (a && !memcmp(a->key_hash, key_hash, KEY_HASH_BYTES) && place_find(picture, l->b))
		link_add(picture, l);
}

/* What the controller sees itself. */
static void own_links(struct picture *picture)
{
	const struct controller *c = picture->c;
	for (size_t i = 0; i < picture->n_places; i++) {
		const struct presence *who = presence_find(c, picture->place[i].key_hash);
		if (who && who->online && who->link && picture->place[i].address != c->self.self.address)
			link_add(picture,
			         &(struct topology_link){
				     .a = c->self.self.address, .b = picture->place[i].address, .kind = who->link, .rtt_us = who->rtt_us});
	}
}

static int link_compare(const void *a, const void *b)
{
	const struct topology_link *x = a, *y = b;
	if (x->a != y->a)
		return x->a < y->a ? -1 : 1;
	return x->b < y->b ? -1 : x->b > y->b;
}

static void link_merge(struct topology_link *to, const struct topology_link *from)
{
	to->kind = from->kind < to->kind ? from->kind : to->kind; /* LINK_DIRECT < LINK_RELAY */
	if (from->rtt_us && (!to->rtt_us || from->rtt_us < to->rtt_us))
		to->rtt_us = from->rtt_us;
	to->age_s = from->age_s < to->age_s ? from->age_s : to->age_s;
}

static void show(struct picture *picture, void (*each)(void *, const struct topology_link *), void *self)
{
	if (picture->n_links)
		qsort(picture->link, picture->n_links, sizeof(*picture->link), link_compare);
	for (size_t i = 0; i < picture->n_links;) {
		struct topology_link l = picture->link[i++];
		while (i < picture->n_links && !link_compare(&l, &picture->link[i]))
			link_merge(&l, &picture->link[i++]);
		each(self, &l);
	}
}

enum admin_status controller_topology(struct controller *c, uint64_t nwid, void (*each)(void *, const struct topology_link *), void *self,
                                      bool *ret_cut, struct admin_error *error)
{
	struct picture picture = {.c = c};
	struct network_record network;
	struct publication *p;
	enum admin_status status = admin_network(c, nwid, &network, &p, error);
	if (status)
		return status;
	int r = store_member_each(c->store, nwid, place_add, &picture);
	if (!r) {
		if (picture.n_places)
			qsort(picture.place, picture.n_places, sizeof(*picture.place), place_compare);
		own_links(&picture);
		reports_each(c, p, told, &picture);
	}
	if (!r && picture.failed)
		r = -ENOMEM;
	if (r) {
		admin_error_set(error, "The database cannot be read", "Try again; see the log.", "%s.", strerror(-r));
		status = ADMIN_UNAVAILABLE;
	} else {
		show(&picture, each, self);
		*ret_cut = picture.cut;
	}
	free(picture.place);
	free(picture.link);
	return status;
}

void controller_path(struct controller *c, const uint8_t key_hash[KEY_HASH_BYTES], const struct endpoint *physical, uint32_t rtt_us,
                     uint64_t now_ms, uint64_t wall_s)
{
	enum report_kind kind = physical->family ? LINK_DIRECT : LINK_RELAY;
	uint64_t nwids[KEY_NETWORKS_MAX], address = 0;
	unsigned n = 0;
	clock_advance(c, now_ms, wall_s);
	struct presence *who = presence_find(c, key_hash);
	if (!who || !who->online)
		return;
	bool news = who->link != kind || rtt_moved(who->rtt_us, rtt_us);
	enum report_kind was = who->link;
	who->link = kind;
	who->rtt_us = rtt_us;
	who->physical = *physical;
	if (!news || store_member_networks(c->store, key_hash, nwids, KEY_NETWORKS_MAX, &n))
		return;
	for (unsigned i = 0; i < n; i++) {
		struct member_record m;
		if (!address && !store_member_get(c->store, nwids[i], key_hash, &m))
			address = m.address;
		change_note(c, CHANGE_LIVE, nwids[i], address, false);
		if (was != kind)
			hook_live(c, nwids[i], address, key_hash, true, was);
	}
}
