/* Backup and restore on real folders: what comes back, what is refused, what stands there before, and how far the counters of a
 * restored controller go. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "controller/audit.h"
#include "controller/account.h"
#include "controller/backup.h"
#include "controller/state.h"
#include "controller/store_audit.h"
#include "controller/store_backup.h"
#include "controller/watermark.h"
#include "proto/vault.h"
#include "test/unit/controller_bed.h"

#define PASS "a long passphrase"

static struct secret self; /* its work costs a second: made once */
static char root[64], home[100], conf[140], file[140], into[140];
static struct controller *c;
static uint64_t now = 1000, wall = 1700000000;

static int open_it(const char **why)
{
	struct controller_port port = {.send = bed_send};
	return controller_open(&c, home, &self, &port, now, wall, why);
}

static void text_write(const char *path, const void *text, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), n);
	close(fd);
}

static void remove_all(const char *dir)
{
	char name[700];
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(name, sizeof(name), "%s/%s", dir, e->d_name);
		if (unlink(name))
			remove_all(name);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

static void home_make_up(void)
{
	char path[140], text[SECRET_TEXT_MAX];
	assert_int_equal(mkdir(home, 0700), 0);
	snprintf(path, sizeof(path), "%s/identity.secret", home);
	text_write(path, text, secret_format(&self, text, sizeof(text)));
}

static int setup(void **state)
{
	const char *why = "";
	(void)state;
	snprintf(root, sizeof(root), "/tmp/farlan-backup-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	snprintf(home, sizeof(home), "%s/home", root);
	snprintf(conf, sizeof(conf), "%s/farlan-controller.conf", home);
	snprintf(file, sizeof(file), "%s/file", root);
	snprintf(into, sizeof(into), "%s/into", root);
	home_make_up();
	text_write(conf, "http = none\n", 12);
	return open_it(&why);
}

static int teardown(void **state)
{
	(void)state;
	controller_close(c);
	c = NULL;
	remove_all(root);
	return 0;
}

static uint64_t network_new(const char *name)
{
	struct network_settings s = {.set = SET_NET_NAME};
	struct admin_error e;
	uint64_t nwid = 0;
	snprintf(s.name, sizeof(s.name), "%s", name);
	assert_int_equal(controller_network_create(c, &s, &nwid, &e), ADMIN_OK);
	return nwid;
}

static void settle(void)
{
	now += 1000;
	controller_settle(c, now, wall);
}

static uint64_t member_new(uint64_t nwid, unsigned n)
{
	struct member_record m = {.nwid = nwid, .address = 0x1000000000 + n, .state = MEMBER_PENDING};
	struct admin_error e;
	memset(m.identity.x, (int)n, 32);
	identity_hash(&m.identity);
	m.identity.address = m.address;
	assert_int_equal(store_member_insert(c->store, &m), 0);
	assert_int_equal(turn_commit(c), 0);
	assert_int_equal(controller_member_approve(c, nwid, m.address, NULL, &e), ADMIN_OK);
	return m.address;
}

static uint64_t serial_of(uint64_t nwid, uint64_t member)
{
	struct member_record m;
	unsigned n;
	assert_int_equal(store_member_address(c->store, nwid, member, &m, &n), 0);
	return m.serial;
}

static void backup(void)
{
	struct backup_source s = {.dir = home, .config = conf, .version = "0.1.0", .wall_s = wall};
	char why[BACKUP_WHY] = "";
	int fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600);
	int r = backup_write(&s, PASS, strlen(PASS), fd, why);
	if (r)
		fail_msg("%d: %s", r, why);
	close(fd);
}

static int restore(const char *passphrase, struct backup_facts *f, char why[BACKUP_WHY])
{
	int fd = open(file, O_RDONLY);
	remove_all(into);
	assert_int_equal(mkdir(into, 0700), 0);
	why[0] = '\0';
	int r = backup_read(fd, passphrase, strlen(passphrase), into, f, why);
	close(fd);
	return r;
}

static void place(const struct backup_facts *f)
{
	char kept[200], why[BACKUP_WHY];
	int r = backup_place(into, home, f, wall++, kept, sizeof(kept), why);
	if (r)
		fail_msg("%d: %s", r, why);
}

static void mode_is(const char *name, mode_t want)
{
	char path[300];
	struct stat st;
	snprintf(path, sizeof(path), "%s/%s", into, name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, want);
}

static void test_round(void **state)
{
	struct backup_facts f;
	struct backup_stand stand;
	char why[BACKUP_WHY], path[300];
	(void)state;
	uint64_t nwid = network_new("home");
	member_new(nwid, 1);
	member_new(nwid, 2);
	settle();
	backup();
	assert_int_not_equal(access(file, F_OK), -1);
	snprintf(path, sizeof(path), "%s/backup.tmp", home);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(restore(PASS, &f, why), 0);
	assert_memory_equal(f.controller.key_hash, self.self.key_hash, KEY_HASH_BYTES);
	assert_int_equal(f.controller.address, self.self.address);
	assert_string_equal(f.version, "0.1.0");
	assert_int_equal(f.written_wall_s, wall);
	assert_int_equal(f.networks, 1);
	assert_int_equal(f.members, 2);
	assert_int_equal(f.ceiling, c->ceiling);
	mode_is("controller.db", 0600);
	mode_is("identity.secret", 0600);
	mode_is("head.bak", 0600);
	mode_is("farlan-controller.conf", 0600);
	backup_compare(home, true, &f, &stand);
	assert_true(stand.there && stand.readable && stand.same && !stand.newer && !stand.signed_more);
	assert_int_equal(stand.members, 2);
	network_new("later");
	settle();
	backup_compare(home, true, &f, &stand);
	assert_true(stand.newer && stand.signed_more);
	assert_int_equal(stand.networks, 2);
	backup_compare(root, true, &f, &stand);
	assert_false(stand.there);
	/* while the controller goes on writing, and without its locks being lost */
	network_new("after all");
	settle();
	assert_string_equal(controller_health(c), "ok");
}

static void test_refused(void **state)
{
	struct backup_facts f = {.members = 77};
	char why[BACKUP_WHY];
	struct stat st;
	(void)state;
	member_new(network_new("home"), 1);
	backup();
	assert_int_equal(restore("another passphrase", &f, why), -EBADMSG);
	assert_non_null(strstr(why, "passphrase"));
	assert_int_equal(restore("short", &f, why), -EINVAL);
	assert_int_equal(stat(file, &st), 0);
	static const long cuts[] = {1, 16, 17, 18, 5000, 65536, 65553, 70000};
	for (unsigned i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
		backup();
		assert_int_equal(stat(file, &st), 0);
		if (cuts[i] >= st.st_size)
			continue;
		assert_int_equal(truncate(file, st.st_size - cuts[i]), 0);
		assert_int_equal(restore(PASS, &f, why), -EBADMSG);
		assert_non_null(strstr(why, "damaged"));
	}
	int fd = open(file, O_WRONLY | O_TRUNC);
	close(fd);
	assert_int_equal(restore(PASS, &f, why), -EBADMSG);
	backup();
	fd = open(file, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(restore(PASS, &f, why), -EBADMSG); /* something behind the end */
	assert_int_equal(f.members, 77);
}

/* A vault of anybody's making: names that lead elsewhere, parts twice, sizes that lie. */
static void forged(const void *plain, size_t n)
{
	static uint8_t sealed[VAULT_SEALED_MAX];
	uint8_t header[VAULT_HEADER];
	struct vault v;
	assert_int_equal(vault_lock(&v, PASS, strlen(PASS), header), 0);
	size_t len = vault_seal(&v, plain, n, true, sealed);
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, header, sizeof(header)), sizeof(header));
	assert_int_equal(write(fd, sealed, len), len);
	close(fd);
	vault_fini(&v);
}

#define MANIFEST "\10manifest\x2d\0\0\0\0\0\0\0farlan-backup 1\nversion 0.1.0\nwritten 000001\n"

static void test_forged(void **state)
{
	struct backup_facts f;
	char why[BACKUP_WHY], path[200];
	(void)state;
	static const char foreign[] = "no backup of ours", damaged[] = "damaged";
	static const struct {
		const char *bytes;
		size_t n;
		const char *says;
	} made[] = {
#define MADE(s, says) {MANIFEST s, sizeof(MANIFEST s) - 1, says}
	    MADE("\14../elsewhere\1\0\0\0\0\0\0\0x\0", foreign),
	    MADE("\4lock\1\0\0\0\0\0\0\0x\0", foreign),
	    MADE("\10head.bak\1\0\0\0\0\0\0\0x\10head.bak\1\0\0\0\0\0\0\0x\0", foreign),
	    MADE("\10head.bak\xff\xff\xff\xff\xff\xff\xff\xffx\0", foreign),
	    MADE("\10head.bak\xff\xff\0\0\0\0\0\0x\0", damaged),
	    MADE("\x40nameofsixtyfourbytesnameofsixtyfourbytesnameofsixtyfourbytesname\1\0\0\0\0\0\0\0x\0", damaged),
	    MADE("\0", damaged), /* nothing that must be */
	    MADE("\0behind", damaged),
	    MADE("", damaged),
	    {"\0", 1, damaged},
	    {"", 0, damaged},
	    {"\10manifest\xff\xff\0\0\0\0\0\0", 17, damaged},
	};
	for (unsigned i = 0; i < sizeof(made) / sizeof(*made); i++) {
		forged(made[i].bytes, made[i].n);
		assert_int_equal(restore(PASS, &f, why), -EBADMSG);
		if (!strstr(why, made[i].says))
			fail_msg("%u: %s", i, why);
	}
	snprintf(path, sizeof(path), "%s/elsewhere", root);
	assert_int_equal(access(path, F_OK), -1);
	/* as large as it is said to be, but no database */
	forged(MANIFEST "\xd"
	                "controller.db\1\0\0\0\0\0\0\0x\17identity.secret\1\0\0\0\0\0\0\0x\0",
	       sizeof(MANIFEST) - 1 + 23 + 25 + 1);
	assert_int_equal(restore(PASS, &f, why), -EBADMSG);
	assert_non_null(strstr(why, "identity"));
	forged("\10manifest\x2d\0\0\0\0\0\0\0farlan-backup 2\nversion 0.1.0\nwritten 000001\n", sizeof(MANIFEST) - 1);
	assert_int_equal(restore(PASS, &f, why), -EPROTO);
}

/* Of one machine: what was signed since is known, and the older database asks. */
static void test_trust(void **state)
{
	struct backup_facts f;
	struct admin_error e;
	struct network_record n, then;
	struct audit_verdict v;
	const char *why = "";
	char said[BACKUP_WHY], path[300];
	(void)state;
	uint64_t nwid = network_new("home"), member = member_new(nwid, 1);
	settle();
	backup();
	for (unsigned i = 0; i < 5; i++) {
		member_new(nwid, 10 + i);
		settle();
	}
	assert_int_equal(store_network_get(c->store, nwid, &n), 0);
	uint64_t ceiling = c->ceiling;
	controller_close(c);
	c = NULL;
	assert_int_equal(restore(PASS, &f, said), 0);
	place(&f);
	assert_int_equal(open_it(&why), 0);
	assert_false(controller_trusted(c));
	assert_non_null(strstr(controller_health(c), "farlan controller trust"));
	settle();
	assert_int_equal(publication_find(c, nwid)->head_len, 0); /* nothing is signed */
	assert_int_equal(controller_trust(c, &e), ADMIN_OK);
	assert_string_equal(controller_health(c), "ok");
	settle();
	assert_true(publication_find(c, nwid)->head_len > 0);
	assert_int_equal(store_network_get(c->store, nwid, &then), 0);
	assert_true(then.version > n.version + (UINT64_C(1) << 31));
	assert_true(then.rev_epoch > n.rev_epoch + (UINT64_C(1) << 31));
	assert_true(serial_of(nwid, member) > n.serials);
	assert_true(then.serials > serial_of(nwid, member));
	assert_true(c->ceiling > ceiling);
	assert_true(serial_of(nwid, member_new(nwid, 3)) >= then.serials);
	snprintf(path, sizeof(path), "%s/controller.db", home);
	assert_int_equal(store_audit_verify(path, NULL, &v), 0);
	assert_int_equal(v.broken_at, 0);
	assert_true(v.entries > 0);
	/* once is enough */
	assert_int_equal(controller_trust(c, &e), ADMIN_OK);
	controller_close(c);
	assert_int_equal(open_it(&why), 0);
	assert_true(controller_trusted(c));
}

/* On a machine that knows nothing: it goes on at once, beyond whatever was signed. */
static void test_elsewhere(void **state)
{
	struct backup_facts f;
	struct network_record n, then;
	const char *why = "";
	char said[BACKUP_WHY], path[300];
	(void)state;
	uint64_t nwid = network_new("home"), member = member_new(nwid, 1);
	settle();
	backup();
	assert_int_equal(store_network_get(c->store, nwid, &n), 0);
	controller_close(c);
	c = NULL;
	snprintf(path, sizeof(path), "%s/gone", root);
	assert_int_equal(rename(home, path), 0);
	assert_int_equal(restore(PASS, &f, said), 0);
	place(&f);
	assert_int_equal(open_it(&why), 0);
	assert_true(controller_trusted(c));
	assert_int_equal(store_network_get(c->store, nwid, &then), 0);
	assert_true(then.version > n.version + (UINT64_C(1) << 31));
	assert_true(serial_of(nwid, member) > n.serials);
	snprintf(path, sizeof(path), "%s/head.bak.accepted", home);
	assert_int_equal(access(path, F_OK), -1);
	settle();
	assert_true(publication_find(c, nwid)->head_len > 0);
}

/* What stood there is kept whole, also when it is of another controller. */
static void test_kept(void **state)
{
	struct backup_facts f;
	struct backup_stand stand;
	char said[BACKUP_WHY], kept[200], path[300];
	(void)state;
	network_new("home");
	backup();
	controller_close(c);
	c = NULL;
	snprintf(path, sizeof(path), "%s/note", home);
	text_write(path, "mine", 4);
	assert_int_equal(restore(PASS, &f, said), 0);
	assert_int_equal(backup_place(into, home, &f, wall, kept, sizeof(kept), said), 0);
	snprintf(path, sizeof(path), "%s/note", kept);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(access(into, F_OK), -1);
	backup_compare(home, false, &f, &stand);
	assert_true(stand.readable && stand.same && !stand.newer);
	/* twice within a second must not lose the first */
	assert_int_equal(restore(PASS, &f, said), 0);
	assert_int_equal(backup_place(into, home, &f, wall, kept, sizeof(kept), said), -EEXIST);
	/* another identity's head.bak says nothing about this one, and its database is said to be another's */
	sqlite3 *db;
	snprintf(path, sizeof(path), "%s/controller.db", home);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE meta SET owner = zeroblob(32), revision = 999999", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	backup_compare(home, false, &f, &stand);
	assert_true(stand.readable && !stand.same && !stand.newer && !stand.signed_more);
	text_write(path, "no database at all, but some bytes of text that look like nothing", 65);
	backup_compare(home, false, &f, &stand);
	assert_true(stand.there && !stand.readable && stand.what[0]);
	const char *why = "";
	wall++;
	place(&f);
	assert_int_equal(open_it(&why), 0);
}

/* Who signed out after the backup was made is not in again because it was restored; who was in signs in anew. */
static void test_sessions(void **state)
{
	struct backup_facts f;
	char said[BACKUP_WHY], session[SESSION_TEXT];
	const char *why = "";
	(void)state;
	network_new("home");
	assert_int_equal(controller_session_open(c, "", session), 0);
	settle();
	controller_close(c);
	assert_int_equal(open_it(&why), 0);
	const struct session_row *row = controller_session_find(c, session, strlen(session));
	assert_non_null(row); /* it outlasts a start */
	backup();
	controller_session_close(c, row->hash);
	settle();
	controller_close(c);
	c = NULL;
	assert_int_equal(restore(PASS, &f, said), 0);
	place(&f);
	assert_int_equal(open_it(&why), 0);
	assert_null(controller_session_find(c, session, strlen(session)));
}

static void look_left(const char *name, mode_t mode, const char *more)
{
	char path[300];
	snprintf(path, sizeof(path), "%s/%s", home, name);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/%s/identity.secret", home, name);
	text_write(path, "secret", 6);
	if (more) {
		snprintf(path, sizeof(path), "%s/%s/%s", home, name, more);
		text_write(path, "more", 4);
	}
	snprintf(path, sizeof(path), "%s/%s", home, name);
	assert_int_equal(chmod(path, mode), 0);
}

static bool stands(const char *dir, const char *name, const char *below)
{
	char path[300];
	struct stat st;
	snprintf(path, sizeof(path), "%s/%s%s", dir, name, below);
	return lstat(path, &st) == 0;
}

/* What a look that ended in the middle left is taken away at the next start; what only resembles it stays whole. */
static void test_swept(void **state)
{
	static const char *const others[] = {"restore.abc",    "restore.abcdefg", "restore.abc-ef", "restore.abcde\xc3",
	                                     "xrestore.abcde", "restore_abcdef",  "Restore.abcdef", "restore.open00"};
	char path[300], link[300];
	(void)state;
	assert_int_equal(backup_sweep(home), 0);
	look_left("restore.aB3xYz", 0700, "controller.db-wal");
	look_left("restore.XXXXXX", 0700, NULL);
	look_left("restore.strang", 0700, "note"); /* the identity goes, what is none of ours stays */
	for (unsigned i = 0; i < sizeof(others) / sizeof(*others); i++)
		look_left(others[i], strstr(others[i], "open") ? 0755 : 0700, NULL);
	if (geteuid() == 0) {
		look_left("restore.nobody", 0700, NULL);
		snprintf(path, sizeof(path), "%s/restore.nobody", home);
		assert_int_equal(chown(path, 65534, 65534), 0);
	}
	/* links: to a folder elsewhere in place of one of ours, and to a file elsewhere in one of ours */
	look_left("elsewhere", 0700, NULL);
	snprintf(path, sizeof(path), "%s/elsewhere", home);
	snprintf(link, sizeof(link), "%s/restore.linked", home);
	assert_int_equal(symlink(path, link), 0);
	snprintf(path, sizeof(path), "%s/elsewhere/identity.secret", home);
	snprintf(link, sizeof(link), "%s/restore.aB3xYz/tls.key", home);
	assert_int_equal(symlink(path, link), 0);
	snprintf(path, sizeof(path), "%s/restore.afile0", home);
	text_write(path, "file", 4);

	assert_int_equal(backup_sweep(home), 2);
	assert_false(stands(home, "restore.aB3xYz", ""));
	assert_false(stands(home, "restore.XXXXXX", ""));
	assert_false(stands(home, "restore.strang", "/identity.secret"));
	assert_true(stands(home, "restore.strang", "/note"));
	for (unsigned i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_true(stands(home, others[i], "/identity.secret"));
	assert_true(geteuid() != 0 || stands(home, "restore.nobody", "/identity.secret"));
	assert_true(stands(home, "restore.linked", ""));
	assert_true(stands(home, "elsewhere", "/identity.secret"));
	assert_true(stands(home, "restore.afile0", ""));
	assert_true(stands(home, "identity.secret", ""));
	assert_true(stands(home, "controller.db", ""));
}

static int group_setup(void **state)
{
	(void)state;
	return secret_generate(&self);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_round, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_forged, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_trust, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_elsewhere, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_sessions, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_swept, setup, teardown),
	};
	return cmocka_run_group_tests(tests, group_setup, NULL);
}
