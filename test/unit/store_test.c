/* The store on real files: what it keeps, what it refuses, and that a broken turn leaves nothing behind. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "controller/query.h"
#include "controller/store.h"

static const uint8_t owner[KEY_HASH_BYTES] = {1, 2, 3}, stranger[KEY_HASH_BYTES] = {9};
static char dir[64], path[100];
static const uint64_t NWID = 0xfe00000001aaaaaa; /* top bit set */

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/farlan-store-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/controller.db", dir);
	return 0;
}

static int teardown(void **state)
{
	char name[400];
	(void)state;
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.') {
			snprintf(name, sizeof(name), "%s/%s", dir, e->d_name);
			unlink(name);
		}
	closedir(d);
	return rmdir(dir);
}

static struct store *opened(void)
{
	struct store *s = NULL;
	const char *why = "";
	int r = store_open(&s, path, owner, &why);
	if (r)
		fail_msg("%d: %s", r, why);
	return s;
}

static struct network_record a_network(uint64_t nwid, const char *name)
{
	struct network_record n = {.nwid = nwid,
	                           .mtu = 1400,
	                           .pool = {4, 24, {10, 1, 2, 0}},
	                           .flags = 1,
	                           .serials = 1,
	                           .rev_epoch = 1,
	                           .version = UINT64_MAX / 2,
	                           .created_wall_s = 5};
	snprintf(n.name, sizeof(n.name), "%s", name);
	memset(n.gate, 0xab, 32);
	return n;
}

static struct member_record a_member(uint64_t nwid, unsigned n)
{
	struct member_record m = {.nwid = nwid,
	                          .address = 0xff00000000 + n,
	                          .state = MEMBER_PENDING,
	                          .first_seen_wall_s = n,
	                          .last_seen_wall_s = n,
	                          .seen = n,
	                          .flags_on = 9,
	                          .flags_off = 16};
	memset(m.identity.x, (int)n, 32);
	memset(m.identity.ed, 0x33, 32);
	m.identity.address = m.address;
	identity_hash(&m.identity);
	snprintf(m.hostname, sizeof(m.hostname), "h'\"%u", n);
	return m;
}

static void test_rows(void **state)
{
	(void)state;
	struct store *s = opened();
	struct network_record n = a_network(NWID, "it's \"home\""), back;
	struct member_record m = a_member(NWID, 7), got;
	struct lease *leases;
	size_t n_leases;
	uint64_t found;
	unsigned count;
	assert_false(store_changed(s));
	assert_int_equal(store_network_get(s, NWID, &back), -ENOENT);
	assert_int_equal(store_network_insert(s, &n), 0);
	assert_true(store_changed(s));
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(store_member_insert(s, &m), 0);
	assert_int_equal(store_lease_put(s, NWID, &(struct lease){.ip = {10, 1, 2, 9}, .bits = 24, .member = m.id}), 0);
	assert_int_equal(store_commit(s), 0);
	store_close(s);

	s = opened();
	assert_int_equal(store_network_get(s, NWID, &back), 0);
	assert_string_equal(back.name, n.name);
	assert_memory_equal(&back.pool, &n.pool, sizeof(n.pool));
	assert_memory_equal(back.gate, n.gate, 32);
	assert_int_equal(back.version, n.version);
	assert_int_equal(store_network_named(s, n.name, &found), 0);
	assert_true(found == NWID);
	assert_int_equal(store_network_named(s, "other", &found), -ENOENT);
	assert_int_equal(store_member_get(s, NWID, m.identity.key_hash, &got), 0);
	assert_true(got.nwid == NWID && got.address == m.address && got.id == m.id && got.flags_on == 9 && got.flags_off == 16);
	assert_memory_equal(&got.identity, &m.identity, sizeof(m.identity));
	assert_string_equal(got.hostname, m.hostname);
	assert_int_equal(got.n_ips, 1);
	assert_int_equal(got.ips[0].ip[3], 9);
	assert_int_equal(store_member_address(s, NWID, m.address, &got, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(store_member_get(s, NWID + 1, m.identity.key_hash, &got), -ENOENT);

	/* every change raises the row's revision */
	uint64_t revision = got.revision;
	assert_int_equal(store_member_update(s, &got), 0);
	assert_int_equal(store_member_id(s, m.id, &got), 0);
	assert_true(got.revision > revision);
	revision = got.revision;
	assert_int_equal(store_member_seen(s, m.id, 99), 0);
	assert_int_equal(store_member_id(s, m.id, &got), 0);
	assert_true(got.revision == revision && got.last_seen_wall_s == 99); /* but that nobody decided */
	revision = back.revision;
	assert_int_equal(store_network_update(s, &back), 0);
	assert_int_equal(store_network_get(s, NWID, &back), 0);
	assert_true(back.revision > revision);

	/* counters never fall */
	assert_int_equal(store_network_counters(s, NWID, 5, 9, 1001), 0);
	assert_int_equal(store_network_get(s, NWID, &back), 0);
	assert_true(back.version == n.version && back.rev_epoch == 9 && back.serials == 1001);

	/* a member with an address in use cannot vanish; a freed address outlives it */
	unsigned n_expired = 9;
	assert_int_equal(store_lease_free(s, m.id, 1234), 0);
	assert_int_equal(store_member_delete(s, m.id), 0);
	assert_int_equal(store_leases(s, NWID, &leases, &n_leases), 0);
	assert_int_equal(n_leases, 1);
	assert_true(leases[0].member == 0 && leases[0].freed == 1234);
	free(leases);
	assert_int_equal(store_lease_expire(s, NWID, 1234, &n_expired), 0);
	assert_int_equal(n_expired, 0);
	assert_int_equal(store_leases(s, NWID, &leases, &n_leases), 0);
	assert_int_equal(n_leases, 1);
	free(leases);
	assert_int_equal(store_lease_expire(s, NWID, 1235, &n_expired), 0);
	assert_int_equal(n_expired, 1);
	assert_int_equal(store_leases(s, NWID, &leases, &n_leases), 0);
	assert_int_equal(n_leases, 0);
	free(leases);
	assert_int_equal(store_commit(s), 0);
	store_close(s);
}

static void test_rollback(void **state)
{
	(void)state;
	struct store *s = opened();
	struct network_record n = a_network(NWID, "a"), twin = a_network(NWID, "b"), back;
	assert_int_equal(store_network_insert(s, &n), 0);
	store_rollback(s);
	assert_int_equal(store_network_get(s, NWID, &back), -ENOENT);

	/* the first failure breaks the turn: nothing before or after it remains */
	assert_int_equal(store_network_insert(s, &n), 0);
	assert_int_equal(store_network_insert(s, &twin), -EEXIST);
	twin.nwid++;
	assert_int_not_equal(store_network_insert(s, &twin), 0);
	assert_int_equal(store_commit(s), -EEXIST);
	assert_int_equal(store_network_get(s, NWID, &back), -ENOENT);
	assert_int_equal(store_network_get(s, NWID + 1, &back), -ENOENT);
	/* and the next turn is as good as new */
	assert_int_equal(store_network_insert(s, &n), 0);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(store_network_get(s, NWID, &back), 0);
	/* foreign keys are enforced */
	struct member_record m = a_member(NWID, 1);
	assert_int_equal(store_member_insert(s, &m), 0);
	assert_int_equal(store_lease_put(s, NWID, &(struct lease){.ip = {10, 1, 2, 1}, .bits = 24, .member = m.id}), 0);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(store_member_delete(s, m.id), -EEXIST);
	assert_int_equal(store_commit(s), -EEXIST);
	assert_int_equal(store_network_delete(s, NWID), 0); /* takes everything along */
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(store_member_id(s, m.id, &m), -ENOENT);
	store_close(s);
}

static void test_revocations(void **state)
{
	(void)state;
	struct store *s = opened();
	struct network_record n = a_network(NWID, "a");
	struct revocation *list;
	size_t count;
	unsigned dropped = 9;
	uint8_t key[KEY_HASH_BYTES] = {0};
	assert_int_equal(store_network_insert(s, &n), 0);
	for (unsigned i = 40; i-- > 0;) { /* put in descending, read ascending */
		key[0] = (uint8_t)(i * 6);
		assert_int_equal(store_revoke(s, NWID, key, i + 1, 100 + i), 0);
	}
	key[0] = 0;
	assert_int_equal(store_revoke(s, NWID, key, 77, 50), 0); /* min_serial rises, the longer life counts */
	assert_int_equal(store_revocations(s, NWID, &list, &count), 0);
	assert_int_equal(count, 40);
	for (size_t i = 1; i < count; i++)
		assert_true(memcmp(list[i - 1].key_hash, list[i].key_hash, KEY_HASH_BYTES) < 0);
	assert_int_equal(list[0].min_serial, 77);
	free(list);
	assert_int_equal(store_revocations_purge(s, NWID, 100, &dropped), 0);
	assert_int_equal(dropped, 0); /* at its last second it still counts */
	assert_int_equal(store_revocations_purge(s, NWID, 101, &dropped), 0);
	assert_int_equal(dropped, 1);
	uint32_t left;
	assert_int_equal(store_revocation_count(s, NWID, &left), 0);
	assert_int_equal(left, 39);
	store_close(s);
}

static void test_evict(void **state)
{
	(void)state;
	struct store *s = opened();
	struct network_record n = a_network(NWID, "a");
	struct member_record m[3], got;
	uint32_t pending;
	assert_int_equal(store_network_insert(s, &n), 0);
	for (unsigned i = 0; i < 3; i++) {
		m[i] = a_member(NWID, 10 - i);
		m[i].state = i == 2 ? MEMBER_APPROVED : MEMBER_PENDING; /* the oldest of all is approved */
		assert_int_equal(store_member_insert(s, &m[i]), 0);
	}
	uint64_t evicted = 0;
	assert_int_equal(store_member_evict(s, NWID, 0, &evicted), 0);
	assert_true(evicted);
	assert_int_equal(store_member_id(s, m[0].id, &got), 0);
	assert_int_equal(store_member_id(s, m[1].id, &got), -ENOENT);
	assert_int_equal(store_member_id(s, m[2].id, &got), 0);
	assert_int_equal(store_network_count(s, NWID, MEMBER_PENDING, &pending), 0);
	assert_int_equal(pending, 1);
	store_close(s);
}

static void test_ceiling(void **state)
{
	(void)state;
	struct store *s = opened();
	uint64_t ceiling, revision, later;
	assert_int_equal(store_ceiling_set(s, 500), 0);
	assert_int_equal(store_ceiling(s, &ceiling, &revision), 0);
	assert_int_equal(ceiling, 500);
	assert_int_equal(store_ceiling_set(s, 400), 0); /* never falls */
	assert_int_equal(store_ceiling(s, &ceiling, &later), 0);
	assert_int_equal(ceiling, 500);
	assert_true(later > revision);
	assert_int_equal(store_commit(s), 0);
	store_close(s);
}

/* ---- refusals ------------------------------------------------------------------------------------------------- */

static void sql(const char *text)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static uint8_t *file_read(size_t *ret_len)
{
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	uint8_t *bytes = malloc(1 << 20);
	*ret_len = fread(bytes, 1, 1 << 20, f);
	fclose(f);
	return bytes;
}

static void refused(const uint8_t *who, int expected, const char *word)
{
	struct store *s = (struct store *)&path; /* stays untouched */
	const char *why = "";
	size_t before_len, after_len;
	uint8_t *before = file_read(&before_len);
	assert_int_equal(store_open(&s, path, who, &why), expected);
	assert_ptr_equal(s, &path);
	if (!strstr(why, path) || !strstr(why, word))
		fail_msg("the sentence names not both file and mend: %s", why);
	uint8_t *after = file_read(&after_len);
	assert_int_equal(before_len, after_len);
	assert_memory_equal(before, after, before_len);
	free(before);
	free(after);
}

static void test_newer(void **state)
{
	(void)state;
	char version[64];
	store_close(opened());
	snprintf(version, sizeof(version), "PRAGMA user_version = %d", STORE_VERSION + 1);
	sql(version);
	refused(owner, -EPROTO, "newer");
	snprintf(version, sizeof(version), "PRAGMA user_version = %d", STORE_VERSION);
	sql(version);
	store_close(opened());
}

static void number_is(const char *query, sqlite3_int64 wanted)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, query, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int64(st, 0), wanted);
	sqlite3_finalize(st);
	sqlite3_close(db);
}

/* A database of version 1 gets what came later: each network the limits that its members held to anyway. */
static void test_version_1(void **state)
{
	(void)state;
	struct network_record n = a_network(NWID, "old"), back;
	char row[512];
	n.limits = (struct network_limits){7, 8, 9};
	sql(store_schema_first);
	snprintf(row, sizeof(row),
	         "INSERT INTO meta VALUES (1, x'010203%058d', 1, 1);"
	         "INSERT INTO network VALUES (%lld, 'old', %u, NULL, 0, 0, x'%064d', 1, 0, 0, 5, 1);"
	         "PRAGMA application_id = %d; PRAGMA user_version = 1",
	         0, (long long)NWID, n.mtu, 0, STORE_APPLICATION_ID);
	sql(row);
	struct store *s = opened();
	assert_int_equal(store_network_get(s, NWID, &back), 0);
	assert_string_equal(back.name, "old");
	assert_int_equal(back.mtu, n.mtu);
	assert_int_equal(back.limits.storm_frames, STORM_FRAMES_DEFAULT);
	assert_int_equal(back.limits.mcast_kbit, MCAST_KBIT_DEFAULT);
	assert_int_equal(back.limits.mcast_limit, MCAST_LIMIT_DEFAULT);
	back.limits = n.limits;
	assert_int_equal(store_network_update(s, &back), 0);
	assert_int_equal(store_commit(s), 0);
	store_close(s);
	number_is("PRAGMA user_version", STORE_VERSION);
	s = opened();
	assert_int_equal(store_network_get(s, NWID, &back), 0);
	assert_memory_equal(&back.limits, &n.limits, sizeof(n.limits));
	store_close(s);
}

static void test_foreign(void **state)
{
	(void)state;
	sql("CREATE TABLE t (a)"); /* somebody's database without application_id */
	refused(owner, -EPROTOTYPE, "another program");
	sql("DROP TABLE t; PRAGMA application_id = 12345; VACUUM");
	refused(owner, -EPROTOTYPE, "another program");
	unlink(path);
	store_close(opened());
	sql("PRAGMA application_id = 12345");
	refused(owner, -EPROTOTYPE, "another program");
}

static void test_owner(void **state)
{
	(void)state;
	store_close(opened());
	refused(stranger, -EPERM, "identity");
	store_close(opened());
}

static void test_damaged(void **state)
{
	(void)state;
	struct store *s = opened();
	for (unsigned i = 0; i < 50; i++) {
		char name[32];
		snprintf(name, sizeof(name), "network %u", i);
		struct network_record n = a_network(NWID + i, name);
		assert_int_equal(store_network_insert(s, &n), 0);
	}
	assert_int_equal(store_commit(s), 0);
	store_close(s);
	size_t len;
	uint8_t *bytes = file_read(&len);
	assert_true(len >= 5 * 4096);

	FILE *f = fopen(path, "r+b"); /* one page of rubbish in the middle */
	assert_non_null(f);
	fseek(f, 3 * 4096, SEEK_SET);
	for (unsigned i = 0; i < 4096; i++)
		fputc((int)(i * 37 & 0xff), f);
	fclose(f);
	refused(owner, -EBADMSG, "damaged");

	assert_int_equal(truncate(path, 4096 * 2), 0); /* torn off */
	refused(owner, -EBADMSG, "damaged");

	f = fopen(path, "wb"); /* no database at all */
	fwrite("this is a shopping list, nothing more, but it is long enough to look like a header of something", 1, 95, f);
	for (unsigned i = 0; i < 1000; i++)
		fputc('x', f);
	fclose(f);
	refused(owner, -EBADMSG, "damaged");

	f = fopen(path, "wb");
	fwrite(bytes, 1, len, f);
	fclose(f);
	free(bytes);
	store_close(opened()); /* the backup is good again */
}

static void test_unwritable(void **state)
{
	(void)state;
	struct store *s = NULL;
	const char *why = "";
	assert_int_not_equal(store_open(&s, "/nonexistent/folder/controller.db", owner, &why), 0);
	assert_non_null(strstr(why, "/nonexistent/folder/controller.db"));
	assert_null(s);
}

/* A disk that is full, by the limit on the size of files: the write fails, the turn is undone, and when there is room
 * again the same store goes on. */
static void test_disk_full(void **state)
{
	(void)state;
	struct store *s = opened();
	struct network_record n = a_network(NWID, "kept"), back;
	struct rlimit was, tight;
	struct stat st;
	char wal[120];
	assert_int_equal(store_network_insert(s, &n), 0);
	assert_int_equal(store_commit(s), 0);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	assert_int_equal(stat(wal, &st), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	tight = was;
	tight.rlim_cur = (rlim_t)st.st_size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	n = a_network(NWID + 1, "lost");
	int r = store_network_insert(s, &n);
	if (!r)
		r = store_commit(s);
	else
		assert_int_not_equal(store_commit(s), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_not_equal(r, 0);
	assert_int_equal(store_network_get(s, NWID + 1, &back), -ENOENT);
	assert_int_equal(store_network_get(s, NWID, &back), 0);
	assert_int_equal(store_network_insert(s, &n), 0);
	assert_int_equal(store_commit(s), 0);
	store_close(s);
	s = opened();
	assert_int_equal(store_network_get(s, NWID + 1, &back), 0);
	store_close(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_rows),    TEST(test_rollback), TEST(test_revocations), TEST(test_evict),
	    TEST(test_ceiling), TEST(test_newer),    TEST(test_version_1),   TEST(test_foreign),
	    TEST(test_owner),   TEST(test_damaged),  TEST(test_unwritable),  TEST(test_disk_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
