/* fdb.c: behind which member a MAC was seen, per VLAN.
 *
 * Open addressing over slots of atomics. Readers take no lock: each slot has a version that is odd while it changes, and a reader that saw
 * the version move looks again, a few times. All changes but the seen stamp are made under one mutex, by whichever worker finds
 * something new; a frame of a known source, of a frozen entry, or of a bridge that has just been refused does not reach it, so that neither
 * traffic nor a bridge that invents MACs makes workers wait for each other.
 * Linear probing ends after PROBES_MAX slots, so a lookup is bounded whatever is in the table; the hash has a random key, or a bridge
 * could choose MACs that crowd one corner. A slot set free is marked only when the chain goes on behind it, and marks at the end of a chain
 * go away with it, so age does not slow the table down.
 */
#include "node/fdb.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "proto/cred.h"

#define SLOTS        (2u * FDB_MAX) /* power of two, at most half full */
#define PROBES_MAX   64
#define READS_MAX    4
#define SEEN_STEP_MS 1000
#define BRIDGES_MAX  (MEMBERS_MAX + 1) /* and our own LAN */
#define SLICE        512u              /* slots swept under the mutex at once: workers wait a few microseconds */
#define REFUSALS     1024u             /* power of two */
#define REFUSAL_BITS 7                 /* a refusal holds for the rest of its 128 ms */

#define KEY_EMPTY 0
#define KEY_GONE  1 /* a real key has the top bit */

struct entry {
	_Atomic uint32_t version;
	_Atomic uint64_t key, address, seen_ms, frozen_ms; /* frozen until then */
	/* Under the mutex. The low halves of the times of its last moves: 49 days later one of them may be taken for a new one, which
	 * costs a minute of freeze if four more come along. */
	uint32_t moves, moved[FDB_MOVES];
};

struct fdb {
	uint64_t hash_key;
	pthread_mutex_t lock;
	_Atomic unsigned n;
	unsigned n_bridges;
	struct {
		uint64_t address;
		unsigned n;
	} bridge[BRIDGES_MAX]; /* those with entries */
	/* Bridges that were refused a place of late: address and time in one word. Two of them in one slot cost each other the lock, no more. */
	_Atomic uint64_t refusal[REFUSALS];
	struct entry slot[SLOTS];
};

struct fdb *fdb_new(void)
{
	struct fdb *f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	if (pthread_mutex_init(&f->lock, NULL)) {
		free(f);
		return NULL;
	}
	/* Before the kernel's pool is ready there is no network either; the key guards against crowding only. */
	if (getrandom(&f->hash_key, sizeof(f->hash_key), GRND_NONBLOCK) != sizeof(f->hash_key))
		f->hash_key = (uint64_t)(uintptr_t)f;
	return f;
}

void fdb_free(void *fdb)
{
	struct fdb *f = fdb;
	if (f)
		pthread_mutex_destroy(&f->lock);
	free(f);
}

static uint64_t key_of(uint16_t vlan, const uint8_t mac[6])
{
	uint64_t k = 0x8000 | (vlan & 0xfff);
	for (int i = 0; i < 6; i++)
		k = k << 8 | mac[i];
	return k;
}

/* The finalizer of MurmurHash3 around a secret: good enough against crowding, which costs the bridge's own frames only. */
static uint64_t mix(const struct fdb *f, uint64_t key)
{
	uint64_t h = key ^ f->hash_key;
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdull;
	return (h ^ f->hash_key >> 7 ^ h >> 33) * 0xc4ceb9fe1a85ec53ull;
}

static uint32_t start_of(const struct fdb *f, uint64_t key)
{
	return (uint32_t)(mix(f, key) >> 33) & (SLOTS - 1);
}

/* ---- readers ---------------------------------------------------------------------------------------------------- */

/* One consistent reading of a slot. false: it kept moving. */
static bool entry_read(const struct entry *e, uint64_t *ret_key, uint64_t *ret_address)
{
	for (int i = 0; i < READS_MAX; i++) {
		uint32_t before = atomic_load(&e->version);
		uint64_t key = atomic_load(&e->key), address = atomic_load(&e->address);
		if (!(before & 1) && atomic_load(&e->version) == before) {
			*ret_key = key;
			*ret_address = address;
			return true;
		}
	}
	return false;
}

/* NULL: not there, or changing under our eyes. Stamps read afterwards may be of what took the slot meanwhile: one frame's error. */
static struct entry *entry_find(struct fdb *f, uint64_t want, uint64_t *ret_address)
{
	uint64_t key;
	uint32_t at = start_of(f, want);
	for (int i = 0; i < PROBES_MAX; i++, at = (at + 1) & (SLOTS - 1)) {
		struct entry *e = &f->slot[at];
		if (!entry_read(e, &key, ret_address))
			continue;
		if (key == want)
			return e;
		if (key == KEY_EMPTY)
			return NULL;
	}
	return NULL;
}

static bool aged(const struct entry *e, uint64_t now_ms)
{
	return now_ms > atomic_load(&e->seen_ms) + FDB_AGE_MS;
}

bool fdb_lookup(struct fdb *f, uint16_t vlan, const uint8_t mac[6], uint64_t now_ms, uint64_t *ret_address)
{
	uint64_t address;
	const struct entry *e = entry_find(f, key_of(vlan, mac), &address);
	if (!e || aged(e, now_ms))
		return false;
	*ret_address = address;
	return true;
}

unsigned fdb_count(const struct fdb *f)
{
	return atomic_load(&f->n);
}

void fdb_each(struct fdb *f, uint64_t now_ms, void (*each)(void *, const struct fdb_entry *), void *self)
{
	for (uint32_t i = 0; i < SLOTS; i++) {
		const struct entry *e = &f->slot[i];
		uint64_t key, address, seen;
		if (!entry_read(e, &key, &address) || key <= KEY_GONE || aged(e, now_ms))
			continue;
		seen = atomic_load(&e->seen_ms);
		struct fdb_entry out = {.address = address,
		                        .vlan = (uint16_t)(key >> 48 & 0xfff),
		                        .age_ms = now_ms > seen ? now_ms - seen : 0,
		                        .frozen = now_ms < atomic_load(&e->frozen_ms)};
		for (int k = 0; k < 6; k++)
			out.mac[k] = (uint8_t)(key >> (40 - 8 * k));
		each(self, &out);
	}
}

/* ---- under the mutex -------------------------------------------------------------------------------------------- */

static void entry_write(struct entry *e, uint64_t key, uint64_t address, uint64_t seen_ms)
{
	atomic_fetch_add(&e->version, 1);
	atomic_store(&e->key, key);
	atomic_store(&e->address, address);
	atomic_store(&e->seen_ms, seen_ms);
	atomic_store(&e->frozen_ms, 0);
	atomic_fetch_add(&e->version, 1);
}

/* The bridge's place, made when `make` and there is room; -1 = none. */
static int bridge_at(struct fdb *f, uint64_t address, bool make)
{
	for (unsigned i = 0; i < f->n_bridges; i++)
		if (f->bridge[i].address == address)
			return (int)i;
	if (!make || f->n_bridges == BRIDGES_MAX)
		return -1;
	f->bridge[f->n_bridges].address = address;
	f->bridge[f->n_bridges].n = 0;
	return (int)f->n_bridges++;
}

static void bridge_less(struct fdb *f, uint64_t address)
{
	int b = bridge_at(f, address, false);
	if (b >= 0 && --f->bridge[b].n == 0)
		f->bridge[b] = f->bridge[--f->n_bridges];
}

static uint64_t key_at(const struct fdb *f, uint32_t at)
{
	return atomic_load(&f->slot[at & (SLOTS - 1)].key);
}

static void entry_remove(struct fdb *f, uint32_t at)
{
	bridge_less(f, atomic_load(&f->slot[at].address));
	atomic_fetch_sub(&f->n, 1);
	if (key_at(f, at + 1) != KEY_EMPTY) {
		entry_write(&f->slot[at], KEY_GONE, 0, 0);
		return;
	}
	entry_write(&f->slot[at], KEY_EMPTY, 0, 0);
	for (uint32_t back = at - 1; key_at(f, back) == KEY_GONE; back--)
		entry_write(&f->slot[back & (SLOTS - 1)], KEY_EMPTY, 0, 0);
}

/* The slot of key, or the one it may take. */
static struct entry *entry_for(struct fdb *f, uint64_t key, bool *ret_known)
{
	struct entry *room = NULL;
	uint32_t at = start_of(f, key);
	*ret_known = false;
	for (int i = 0; i < PROBES_MAX; i++, at = (at + 1) & (SLOTS - 1)) {
		uint64_t here = key_at(f, at);
		if (here == key) {
			*ret_known = true;
			return &f->slot[at];
		}
		if (here <= KEY_GONE && !room)
			room = &f->slot[at];
		if (here == KEY_EMPTY)
			break;
	}
	return room;
}

/* May it move? Each yes is a move; a no freezes it. */
static bool may_move(struct entry *e, uint64_t now_ms)
{
	uint32_t *oldest = &e->moved[e->moves % FDB_MOVES], now = (uint32_t)now_ms;
	if (e->moves >= FDB_MOVES && now - *oldest < FDB_MOVES_MS) {
		atomic_store(&e->frozen_ms, now_ms + FDB_FREEZE_MS);
		return false;
	}
	*oldest = now;
	e->moves++;
	return true;
}

static enum fdb_seen change(struct fdb *f, uint64_t key, uint64_t address, uint64_t now_ms)
{
	bool known;
	struct entry *e = entry_for(f, key, &known);
	if (!e || (!known && atomic_load(&f->n) == FDB_MAX))
		return FDB_FULL;
	if (known && atomic_load(&e->address) == address) { /* another worker was first */
		atomic_store(&e->seen_ms, now_ms);
		return FDB_KNOWN;
	}
	/* One that is old but not swept yet is not moved, it is new. */
	bool move = known && !aged(e, now_ms);
	if (move && now_ms < atomic_load(&e->frozen_ms))
		return FDB_FROZEN;
	int b = bridge_at(f, address, true);
	if (b < 0 || f->bridge[b].n == FDB_PER_BRIDGE)
		return FDB_FULL;
	if (!move)
		e->moves = 0;
	else if (!may_move(e, now_ms)) {
		if (!f->bridge[b].n) /* made just now */
			f->n_bridges--;
		return FDB_FROZEN;
	}
	f->bridge[b].n++;
	if (known)
		bridge_less(f, atomic_load(&e->address));
	else
		atomic_fetch_add(&f->n, 1);
	entry_write(e, key, address, now_ms);
	return move ? FDB_MOVED : FDB_LEARNED;
}

/* ---- seeing ----------------------------------------------------------------------------------------------------- */

/* Address (40 bits) and when; 24 bits of that are a month. */
static uint64_t refusal_of(uint64_t address, uint64_t now_ms)
{
	return address << 24 | ((now_ms >> REFUSAL_BITS) & 0xffffff);
}

enum fdb_seen fdb_see(struct fdb *f, uint16_t vlan, const uint8_t mac[6], uint64_t address, uint64_t now_ms)
{
	uint64_t key = key_of(vlan, mac), there;
	struct entry *e = entry_find(f, key, &there);
	if (e && there == address) {
		if (now_ms >= atomic_load(&e->seen_ms) + SEEN_STEP_MS)
			atomic_store(&e->seen_ms, now_ms);
		return FDB_KNOWN;
	}
	if (e && now_ms < atomic_load(&e->frozen_ms))
		return FDB_FROZEN;
	_Atomic uint64_t *refusal = &f->refusal[mix(f, address) >> 33 & (REFUSALS - 1)];
	if (address && atomic_load(refusal) == refusal_of(address, now_ms))
		return FDB_FULL;
	pthread_mutex_lock(&f->lock);
	enum fdb_seen seen = change(f, key, address, now_ms);
	pthread_mutex_unlock(&f->lock);
	if (seen == FDB_FULL)
		atomic_store(refusal, refusal_of(address, now_ms));
	return seen;
}

/* ---- control ---------------------------------------------------------------------------------------------------- */

struct sweep {
	enum { SWEEP_AGED, SWEEP_OF, SWEEP_ALL } what;
	uint64_t now_ms, address;
};

static bool sweeps(const struct sweep *s, const struct entry *e)
{
	switch (s->what) {
	case SWEEP_AGED: return aged(e, s->now_ms);
	case SWEEP_OF: return atomic_load(&e->address) == s->address;
	case SWEEP_ALL: return true;
	}
	return false;
}

static void sweep(struct fdb *f, const struct sweep *s)
{
	for (uint32_t i = 0; i < SLOTS && fdb_count(f); i += SLICE) {
		pthread_mutex_lock(&f->lock);
		for (uint32_t k = i; k < i + SLICE; k++)
			if (key_at(f, k) > KEY_GONE && sweeps(s, &f->slot[k]))
				entry_remove(f, k);
		pthread_mutex_unlock(&f->lock);
	}
	for (unsigned i = 0; i < REFUSALS; i++) /* there may be room again */
		atomic_store_explicit(&f->refusal[i], 0, memory_order_relaxed);
}

void fdb_age(struct fdb *f, uint64_t now_ms)
{
	sweep(f, &(struct sweep){.what = SWEEP_AGED, .now_ms = now_ms});
}

void fdb_forget(struct fdb *f, uint64_t address)
{
	pthread_mutex_lock(&f->lock);
	bool any = bridge_at(f, address, false) >= 0;
	pthread_mutex_unlock(&f->lock);
	if (any)
		sweep(f, &(struct sweep){.what = SWEEP_OF, .address = address});
}

void fdb_clear(struct fdb *f)
{
	sweep(f, &(struct sweep){.what = SWEEP_ALL});
}
