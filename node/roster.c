/* roster.c: the directory of a network as members: who is listed, which peer that is, what workers see of it.
 *
 * Members stand in one array by address. Workers read an immutable copy (struct roster) that is replaced whole; a struct member outlives the
 * roster that showed it and is retired when nothing names it any more. The directory binds address and key_hash within its network only.
 */
#include "node/control.h"

#include <stdlib.h>
#include <string.h>

#include "node/owners.h"

#define ROSTER_MAX (MEMBERS_MAX + 64)

static unsigned position(const struct net *net, uint64_t address)
{
	unsigned low = 0, high = net->n_members;
	while (low < high) {
		unsigned mid = (low + high) / 2;
		if (net->member[mid]->member->address < address)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct net_member *roster_member(struct net *net, uint64_t address, const uint8_t key_hash[KEY_HASH_BYTES])
{
	unsigned i = position(net, address);
	if (i == net->n_members || net->member[i]->member->address != address)
		return NULL;
	return bytes_equal(net->member[i]->member->remote->key_hash, key_hash, KEY_HASH_BYTES) ? net->member[i] : NULL;
}

struct net_member *roster_address(const struct net *net, uint64_t address)
{
	unsigned i = position(net, address);
	return i < net->n_members && net->member[i]->member->address == address ? net->member[i] : NULL;
}

void roster_rights(struct net *net, struct net_member *m, uint32_t flags)
{
	uint32_t before = atomic_exchange(&m->member->flags, flags);
	if (before & ~flags & MEMBER_BRIDGE) /* what was behind it is not to be sent there for five minutes more */
		fdb_forget(net->port->fdb, m->member->address);
}

/* Takes out whoever is going: from the workers' sight all at once, since each roster they see is a copy of the list. */
static void members_remove(struct net *net)
{
	struct net_member *gone = NULL, *next;
	unsigned kept = 0;
	for (unsigned i = 0; i < net->n_members; i++) {
		struct net_member *m = net->member[i];
		if (!m->going) {
			net->member[kept++] = m;
			continue;
		}
		m->next_gone = gone;
		gone = m;
		atomic_store(&m->peer->remote->member[net->chan - 1], NULL);
	}
	net->n_members = kept;
	if (!gone)
		return;
	for (struct net_member *m = gone; m; m = m->next_gone)
		fdb_forget(net->port->fdb, m->member->address);
	roster_publish(net);
	for (struct net_member *m = gone; m; m = next) {
		next = m->next_gone;
		group_member_gone(net, m);
		rights_retire(net, m->member);
		guestbook_retire(&net->node->book, m->member, member_free);
		peer_forget(m->peer);
		free(m);
	}
}

static bool unwanted(const struct net_member *m)
{
	return !m->listed && !m->cred_ok;
}

struct net_member *roster_get(struct net *net, struct peer *peer, uint64_t address)
{
	unsigned i = position(net, address);
	if (i < net->n_members && net->member[i]->member->address == address) {
		if (net->member[i]->peer == peer)
			return net->member[i];
		if (!unwanted(net->member[i]))
			return NULL; /* the address is another's in this network */
		net->member[i]->going = true;
		members_remove(net);
	}
	if (net->n_members >= ROSTER_MAX || atomic_load(&peer->remote->member[net->chan - 1]))
		return NULL;
	if (net->n_members == net->room_members) {
		unsigned room = net->room_members ? net->room_members * 2 : 16;
		struct net_member **more = realloc(net->member, room * sizeof *more);
		if (!more)
			return NULL;
		net->member = more;
		net->room_members = room;
	}
	struct net_member *m = calloc(1, sizeof *m);
	struct member *seen = m ? calloc(1, sizeof *seen) : NULL;
	if (!seen) {
		free(m);
		return NULL;
	}
	seen->remote = peer->remote;
	seen->address = address;
	mac_derive(net->nwid, address, seen->mac);
	m->member = seen;
	m->peer = peer;
	memmove(&net->member[i + 1], &net->member[i], (net->n_members - i) * sizeof *net->member);
	net->member[i] = m;
	net->n_members++;
	atomic_store(&peer->remote->member[net->chan - 1], seen);
	return m;
}

static bool shown(const struct net *net, const struct roster *r)
{
	bool same = r && r->n == net->n_members;
	for (unsigned i = 0; same && i < r->n; i++)
		same = r->member[i] == net->member[i]->member;
	return same;
}

void roster_publish(struct net *net)
{
	/* The same members keep their generation: a frame on its way to them still finds its slots. */
	if (shown(net, atomic_load(&net->port->roster)))
		return;
	struct roster *fresh = malloc(sizeof *fresh + net->n_members * sizeof *fresh->member);
	if (!fresh)
		return;
	fresh->generation = ++net->generation;
	fresh->n = net->n_members;
	for (unsigned i = 0; i < net->n_members; i++)
		fresh->member[i] = net->member[i]->member;
	const struct roster *old = atomic_load(&net->port->roster);
	atomic_store(&net->port->roster, fresh);
	if (old)
		guestbook_retire(&net->node->book, (void *)old, free);
}

/* ---- whose addresses ---------------------------------------------------------------------------------------------------- */

#define CLAIMS_EACH (CRED_IPS_MAX + 1) /* and the derived one */

static size_t claims_of(struct claim *to, const struct claim *like, const struct prefix *ips, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		to[i] = *like;
		to[i].ip = ips[i];
	}
	return n;
}

/* The directory speaks for who is listed; else the credential, which is newer than the directory we have. */
static size_t claims_of_member(const struct net *net, const struct net_member *m, struct claim *to)
{
	if (!m->listed && !m->cred_ok)
		return 0;
	uint32_t flags = m->cred_ok ? m->cred.flags : m->entry.flags;
	struct claim like = {.router = flags & MEMBER_ROUTER, .serial = m->cred_ok ? m->cred.serial : 0};
	memcpy(like.mac, m->member->mac, 6);
	size_t n = m->listed ? claims_of(to, &like, m->entry.ips, m->entry.n_ips) : claims_of(to, &like, m->cred.ips, m->cred.n_ips);
	if (net->base.flags & NETWORK_NO_ULA)
		return n;
	to[n] = like;
	to[n].ip = (struct prefix){.family = 6, .bits = 64};
	ula_derive(net->nwid, m->member->address, to[n].ip.ip);
	return n + 1;
}

void neighbour_publish(struct net *net)
{
	struct claim *claims = calloc((net->n_members + 1) * CLAIMS_EACH, sizeof *claims), ours = {.ours = true};
	size_t n = 0;
	if (!claims)
		return;
	memcpy(ours.mac, net->port->mac, 6);
	if (net->cred_ok)
		n = claims_of(claims, &ours, net->cred.ips, net->cred.n_ips);
	for (unsigned i = 0; i < net->n_members; i++)
		n += claims_of_member(net, net->member[i], claims + n);
	struct owners *fresh = owners_new(claims, n);
	const struct owners *old = atomic_load(&net->port->owners);
	free(claims);
	if (!fresh || owners_same(fresh, old)) {
		free(fresh);
		return;
	}
	atomic_store(&net->port->owners, fresh);
	if (old)
		guestbook_retire(&net->node->book, (void *)old, free);
}

/* ---- the directory -------------------------------------------------------------------------------------------------------- */

static void entry_take(struct net *net, const struct directory_entry *e)
{
	const struct identity *own = &net->node->config.self.self;
	if (e->address == own->address) {
		net->listed = net->listed || bytes_equal(e->key_hash, own->key_hash, KEY_HASH_BYTES);
		return;
	}
	struct identity named = {.address = e->address};
	memcpy(named.key_hash, e->key_hash, KEY_HASH_BYTES);
	struct peer *peer = peer_get(net->node, &named);
	struct net_member *m = peer ? roster_get(net, peer, e->address) : NULL;
	if (!m) {
		if (peer)
			peer_forget(peer);
		return;
	}
	m->listed = true;
	m->entry = *e;
	/* Known from the directory before its credential: unknown unicast goes to bridges. Rights count only with the credential. */
	if (!m->cred_ok)
		roster_rights(net, m, e->flags);
	rights_listed(net, m);
}

void roster_apply(struct net *net)
{
	size_t n = 0;
	struct directory_entry *all = directory_read(&net->manifest, net->section, &n);
	if (!all)
		return; /* no memory: the last one stands */
	net->listed = false;
	for (unsigned i = 0; i < net->n_members; i++)
		net->member[i]->listed = false;
	/* Those who stay, so that the others go before new ones come: a directory may name thousands of others than the last. */
	for (size_t i = 0; i < n; i++) {
		struct net_member *m = roster_member(net, all[i].address, all[i].key_hash);
		if (m)
			m->listed = true;
	}
	for (unsigned i = 0; i < net->n_members; i++)
		net->member[i]->going = unwanted(net->member[i]);
	members_remove(net);
	for (size_t i = 0; i < n; i++)
		entry_take(net, &all[i]);
	free(all);
	roster_publish(net);
	neighbour_publish(net);
	group_roster(net);
	node_changed(net->node);
}

void roster_free(struct net *net)
{
	for (unsigned i = 0; i < net->n_members; i++)
		net->member[i]->going = true;
	members_remove(net);
	free(net->member);
	net->member = NULL;
	net->room_members = 0;
}
