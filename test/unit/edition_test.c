/* edition_test.c: what a controller that means ill may publish, and what comes of pieces that are not what was asked for: nothing is believed that does
 * not fit, and no more is kept than one edition may be. Sections are made by hand; the network is bare memory, nothing runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/config.c" /* pieces and what is kept of them are its own */

#define SPARE_STEPS 40

static struct {
	struct node node;
	struct net net;
	struct manifest m;
	struct blob section[SECTIONS_MAX];
	uint8_t bytes[SECTION_MAX];
} t;

static void clear(void)
{
	for (unsigned i = 0; i < t.m.n; i++)
		blob_free(&t.section[i]);
	t.m.n = 0;
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof t);
	t.net.node = &t.node;
	t.net.chan = 1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	clear();
	config_free(&t.net);
	return 0;
}

static void add(uint8_t id, size_t len)
{
	assert_true(len && t.m.n < SECTIONS_MAX);
	struct blob *b = &t.section[t.m.n];
	b->bytes = malloc(len);
	assert_non_null(b->bytes);
	memcpy(b->bytes, t.bytes, len);
	b->len = (uint32_t)len;
	t.m.section[t.m.n].id = id;
	t.m.section[t.m.n++].len = (uint32_t)len;
}

static void members(uint8_t id, uint64_t first, unsigned n, uint8_t key)
{
	struct directory_entry *e = calloc(n, sizeof *e);
	assert_non_null(e);
	for (unsigned i = 0; i < n; i++) {
		e[i].address = first + i;
		e[i].key_hash[0] = key;
		le32_to(e[i].key_hash + 1, (uint32_t)(first + i));
	}
	add(id, section_members_encode(e, n, t.bytes, sizeof t.bytes));
	free(e);
}

static void revoked(uint8_t id, uint8_t key, uint64_t min_serial)
{
	struct revocation r = {.key_hash = {key}, .min_serial = min_serial};
	add(id, revlist_encode(&r, 1, t.bytes, sizeof t.bytes));
}

static size_t named(void)
{
	size_t n = 0;
	struct directory_entry *all = directory_read(&t.m, t.section, &n);
	free(all);
	return directory_valid(&t.m, t.section) ? n : 0;
}

/* ---- editions ------------------------------------------------------------------------------------------------------------- */

static void overlaps(void **state)
{
	(void)state;
	members(SECTION_MEMBERS, 100, 5, 0x04);
	members(SECTION_MEMBERS_SHARD + 1, 200, 5, 0x04);
	assert_int_equal(named(), 10); /* the union */
	members(SECTION_MEMBERS_SHARD + 2, 104, 1, 0x08);
	assert_int_equal(named(), 0); /* an address of two */
	clear();
	members(SECTION_MEMBERS, 100, 1, 0x04);
	members(SECTION_MEMBERS_SHARD + 1, 100, 1, 0x04);
	assert_int_equal(named(), 0); /* of one, twice: which says what he may do? */
	clear();
	members(SECTION_MEMBERS_SHARD + 1, 100, 3, 0x04);
	members(SECTION_MEMBERS_SHARD + 2, 200, 3, 0x04);
	assert_int_equal(named(), 0); /* in a shard that is not theirs */
}

static void too_many(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SHARDS; i++)
		members((uint8_t)(SECTION_MEMBERS_SHARD + i), 1 + i * 160, 160, (uint8_t)(i << 2));
	assert_int_equal(named(), MEMBERS_MAX);
	clear();
	for (unsigned i = 0; i < SHARDS; i++)
		members((uint8_t)(SECTION_MEMBERS_SHARD + i), 1 + i * 161, 161, (uint8_t)(i << 2));
	assert_int_equal(named(), 0);
}

static void revocations(void **state)
{
	(void)state;
	static const uint8_t none[] = {0x90}, one = 0x04;
	struct blob revlist = {.bytes = (uint8_t *)none, .len = sizeof none};
	size_t n = 99;
	revoked(SECTION_REVOKED_SHARD + 1, one, 7);
	memcpy(t.bytes, "of a later version", 18);
	add(SECTION_REVOKED_SHARD + SHARDS, 18); /* is none of ours */
	struct revocation *r = revocations_read(&revlist, &t.m, t.section, &n);
	assert_true(r && n == 1 && r[0].min_serial == 7);
	free(r);
	struct revocation again = {.key_hash = {one}, .min_serial = 9};
	uint8_t bytes[64];
	revlist = (struct blob){.bytes = bytes, .len = (uint32_t)revlist_encode(&again, 1, bytes, sizeof bytes)};
	r = revocations_read(&revlist, &t.m, t.section, &n);
	assert_true(r && n == 1 && r[0].min_serial == 9); /* the harder word counts */
	free(r);
	clear();
	revoked(SECTION_REVOKED_SHARD + 2, one, 7);
	assert_null(revocations_read(&revlist, &t.m, t.section, &n));
}

/* ---- pieces --------------------------------------------------------------------------------------------------------------- */

static bool piece(unsigned i, uint32_t off, uint32_t total)
{
	struct fetch *f = &t.net.fetch;
	struct body_blob b = {.off = off, .total = total, .piece = t.bytes + off, .piece_len = total - off};
	memcpy(b.hash, f->blob[i].hash, 32);
	if (b.piece_len > BLOB_PIECE_MAX)
		b.piece_len = BLOB_PIECE_MAX;
	return piece_take(f, i, off, &b);
}

/* The sum of a manifest bounds nothing if what it says of a section need not be so. */
static void lengths(void **state)
{
	(void)state;
	static const uint8_t hash[32] = {1};
	want(&t.net, SECTION_BLOBS, hash, 0);
	assert_false(piece(SECTION_BLOBS, 0, SECTION_MAX));
	assert_null(t.net.fetch.blob[SECTION_BLOBS].bytes);
	want(&t.net, SECTION_BLOBS, hash, 1000);
	assert_false(piece(SECTION_BLOBS, 0, 2000));
	assert_false(piece(SECTION_BLOBS, 0, 900));
	assert_true(piece(SECTION_BLOBS, 0, 1000));
	want(&t.net, MANIFEST_BLOB, hash, 0);
	assert_false(piece(MANIFEST_BLOB, 0, MANIFEST_MAX + 1));
	assert_null(t.net.fetch.blob[MANIFEST_BLOB].bytes);
	assert_true(piece(MANIFEST_BLOB, 0, MANIFEST_MAX));
	assert_false(piece(MANIFEST_BLOB, BLOB_PIECE_MAX, MANIFEST_MAX - 1));
	want(&t.net, REVLIST_BLOB, hash, 0);
	assert_false(piece(REVLIST_BLOB, 0, SECTION_MAX + 1));
	assert_true(piece(REVLIST_BLOB, 0, SECTION_MAX));
	/* Nor is what is held taken for it under another length. */
	config_fetch_end(&t.net);
	t.net.manifest.n = 1;
	t.net.section[0] = (struct blob){.hash = {1}, .bytes = calloc(1, 500), .len = 500};
	want(&t.net, SECTION_BLOBS, hash, 0);
	assert_null(t.net.fetch.blob[SECTION_BLOBS].bytes);
	want(&t.net, SECTION_BLOBS, hash, 500);
	assert_true(complete(&t.net.fetch, SECTION_BLOBS));
}

static size_t spare_bytes(void)
{
	size_t sum = 0;
	for (unsigned i = 0; i < t.net.fetch.n_spare; i++)
		sum += t.net.fetch.spare[i].len;
	return sum;
}

/* HEAD after HEAD that is never fetched to its end. */
static void spares(void **state)
{
	(void)state;
	uint8_t hash[32] = {0};
	for (unsigned k = 0; k < SPARE_STEPS; k++) {
		hash[0] = (uint8_t)k;
		want(&t.net, SECTION_BLOBS, hash, SECTION_MAX);
		for (uint32_t off = 0; off < SECTION_MAX; off += BLOB_PIECE_MAX)
			assert_true(piece(SECTION_BLOBS, off, SECTION_MAX));
		assert_true(complete(&t.net.fetch, SECTION_BLOBS));
		hash[0] = 0xff; /* one that is not whole is not kept */
		want(&t.net, SECTION_BLOBS + 1, hash, SECTION_MAX);
		assert_true(piece(SECTION_BLOBS + 1, 0, SECTION_MAX));
		fetch_supersede(&t.net);
		assert_true(spare_bytes() <= EDITION_MAX);
	}
	assert_int_equal(t.net.fetch.n_spare, EDITION_MAX / SECTION_MAX);
	/* The youngest are there, and are taken for what they are. */
	hash[0] = SPARE_STEPS - 1;
	want(&t.net, SECTION_BLOBS + 7, hash, SECTION_MAX - 1);
	assert_false(complete(&t.net.fetch, SECTION_BLOBS + 7));
	want(&t.net, SECTION_BLOBS + 7, hash, SECTION_MAX);
	assert_true(complete(&t.net.fetch, SECTION_BLOBS + 7));
	hash[0] = 0;
	want(&t.net, SECTION_BLOBS + 8, hash, SECTION_MAX);
	assert_false(complete(&t.net.fetch, SECTION_BLOBS + 8));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {CASE(overlaps), CASE(too_many), CASE(revocations), CASE(lengths), CASE(spares)};
	return cmocka_run_group_tests_name("edition", tests, NULL, NULL);
}
