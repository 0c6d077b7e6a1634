/* fdb.c: which bridge a MAC was seen behind, per VLAN.
 *
 * One writer, any number of readers, no lock: open addressing over slots of atomics. Each slot has a version that is odd
 * while control changes it; a reader that saw the version move looks again, a few times. Linear probing ends after
 * PROBES_MAX slots, so a lookup is bounded whatever is in the table; the hash has a random key, or a bridge could choose MACs
 * that crowd one corner. A slot set free is marked only when the chain goes on behind it, and marks at the end of a chain go away
 * with it, so age does not slow the table down.
 * The seen stamp is the one field readers write, at most once a second and slot.
 */
#include "node/fdb.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "proto/cred.h"

#define SLOTS        (2u * FDB_MAX) /* power of two, at most half full */
#define PROBES_MAX   64
#define READS_MAX    4
#define SEEN_STEP_MS 1000

#define KEY_EMPTY 0
#define KEY_GONE  1 /* a real key has the top bit */

struct entry {
	_Atomic uint32_t version;
	_Atomic uint64_t key, address, seen_ms;
};

struct fdb {
	uint64_t hash_key;
	unsigned n, n_bridges;
	struct {
		uint64_t address;
		unsigned n;
	} bridge[MEMBERS_MAX]; /* those with entries */
	struct entry slot[SLOTS];
};

struct fdb *fdb_new(void)
{
	struct fdb *f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	/* Before the kernel's pool is ready there is no network either; the key guards against crowding only. */
	if (getrandom(&f->hash_key, sizeof(f->hash_key), GRND_NONBLOCK) != sizeof(f->hash_key))
		f->hash_key = (uint64_t)(uintptr_t)f;
	return f;
}

void fdb_free(void *fdb)
{
	free(fdb);
}

static uint64_t key_of(uint16_t vlan, const uint8_t mac[6])
{
	uint64_t k = 0x8000 | (vlan & 0xfff);
	for (int i = 0; i < 6; i++)
		k = k << 8 | mac[i];
	return k;
}

/* The finalizer of MurmurHash3 around a secret: good enough against crowding, which costs the bridge's own frames only. */
static uint32_t start_of(const struct fdb *f, uint64_t key)
{
	uint64_t h = key ^ f->hash_key;
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdull;
	h = (h ^ f->hash_key >> 7 ^ h >> 33) * 0xc4ceb9fe1a85ec53ull;
	return (uint32_t)(h >> 33) & (SLOTS - 1);
}

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

static void entry_write(struct entry *e, uint64_t key, uint64_t address, uint64_t seen_ms)
{
	atomic_fetch_add(&e->version, 1);
	atomic_store(&e->key, key);
	atomic_store(&e->address, address);
	atomic_store(&e->seen_ms, seen_ms);
	atomic_fetch_add(&e->version, 1);
}

bool fdb_lookup(struct fdb *f, uint16_t vlan, const uint8_t mac[6], uint64_t now_ms, bool refresh, uint64_t *ret_address)
{
	uint64_t want = key_of(vlan, mac), key, address;
	uint32_t at = start_of(f, want);
	for (int i = 0; i < PROBES_MAX; i++, at = (at + 1) & (SLOTS - 1)) {
		struct entry *e = &f->slot[at];
		if (!entry_read(e, &key, &address))
			continue;
		if (key == KEY_EMPTY)
			return false;
		if (key != want)
			continue;
		uint64_t seen = atomic_load(&e->seen_ms);
		if (now_ms > seen + FDB_AGE_MS)
			return false;
		if (refresh && now_ms >= seen + SEEN_STEP_MS)
			atomic_store(&e->seen_ms, now_ms);
		*ret_address = address;
		return true;
	}
	return false;
}

/* ---- control ---------------------------------------------------------------------------------------------------- */

/* The bridge's place, made when `make` and there is room; -1 = none. */
static int bridge_at(struct fdb *f, uint64_t address, bool make)
{
	for (unsigned i = 0; i < f->n_bridges; i++)
		if (f->bridge[i].address == address)
			return (int)i;
	if (!make || f->n_bridges == MEMBERS_MAX)
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
	f->n--;
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

bool fdb_learn(struct fdb *f, uint16_t vlan, const uint8_t mac[6], uint64_t address, uint64_t now_ms)
{
	bool known;
	uint64_t key = key_of(vlan, mac);
	struct entry *e = entry_for(f, key, &known);
	if (!e)
		return false;
	if (known && atomic_load(&e->address) == address) {
		atomic_store(&e->seen_ms, now_ms);
		return true;
	}
	if (!known && f->n == FDB_MAX)
		return false;
	int b = bridge_at(f, address, true);
	if (b < 0 || f->bridge[b].n == FDB_PER_BRIDGE)
		return false;
	f->bridge[b].n++;
	if (known)
		bridge_less(f, atomic_load(&e->address));
	else
		f->n++;
	entry_write(e, key, address, now_ms);
	return true;
}

void fdb_age(struct fdb *f, uint64_t now_ms)
{
	for (uint32_t i = 0; f->n && i < SLOTS; i++)
		if (key_at(f, i) > KEY_GONE && now_ms > atomic_load(&f->slot[i].seen_ms) + FDB_AGE_MS)
			entry_remove(f, i);
}

void fdb_forget(struct fdb *f, uint64_t address)
{
	if (bridge_at(f, address, false) < 0)
		return;
	for (uint32_t i = 0; i < SLOTS; i++)
		if (key_at(f, i) > KEY_GONE && atomic_load(&f->slot[i].address) == address)
			entry_remove(f, i);
}

unsigned fdb_count(const struct fdb *f)
{
	return f->n;
}
