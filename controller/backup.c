/* Theory of operation: what a backup holds is a small archive inside a vault: for each file a name, a size and the bytes, first a
 * manifest of when and by whom, at last an empty name. head.bak is read before the database is copied, so that the copy is never
 * behind it. Names are those of one table, here and when it is read: a file of anybody's making puts nothing anywhere else. */
#include "controller/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/backup_parts.h"
#include "controller/store_backup.h"
#include "proto/base/log.h"
#include "proto/random.h"
#include "proto/vault.h"

#define MANIFEST     "manifest"
#define DATABASE     "controller.db"
#define IDENTITY     "identity.secret"
#define CONFIG       "farlan-controller.conf"
#define SMALL_MAX    (1u << 20)
#define DATABASE_MAX (UINT64_C(16) << 30)
#define NAME_ROOM    64

static const struct part {
	const char *name;
	bool must;
	uint64_t max;
} parts[] = {
    {"head.bak", false, SMALL_MAX}, /* before the database */
    {IDENTITY, true, SMALL_MAX},    {CONFIG, false, SMALL_MAX},     {"tls.crt", false, SMALL_MAX},
    {"tls.key", false, SMALL_MAX},  {DATABASE, true, DATABASE_MAX},
};
#define PARTS (sizeof(parts) / sizeof(*parts))

/* ---- writing ------------------------------------------------------------------------ */

struct sink {
	struct vault vault;
	int fd;
	size_t n;
	uint8_t plain[VAULT_CHUNK], sealed[VAULT_SEALED_MAX];
};

static int write_all(int fd, const uint8_t *bytes, size_t n)
{
	while (n) {
		ssize_t k = write(fd, bytes, n);
		if (k < 0 && errno != EINTR)
			return -errno;
		bytes += k > 0 ? k : 0;
		n -= k > 0 ? (size_t)k : 0;
	}
	return 0;
}

static int sink_flush(struct sink *s, bool last)
{
	size_t n = vault_seal(&s->vault, s->plain, s->n, last, s->sealed);
	s->n = 0;
	return write_all(s->fd, s->sealed, n);
}

static int put(struct sink *s, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;
	int r = 0;
	while (!r && n) {
		size_t k = n < sizeof(s->plain) - s->n ? n : sizeof(s->plain) - s->n;
		memcpy(s->plain + s->n, at, k);
		s->n += k;
		at += k;
		n -= k;
		if (s->n == sizeof(s->plain) && n) /* a full one is kept back: it may be the last */
			r = sink_flush(s, false);
	}
	return r;
}

static int put_head(struct sink *s, const char *name, uint64_t size)
{
	uint8_t head[1 + NAME_ROOM + 8];
	size_t len = strlen(name);
	head[0] = (uint8_t)len;
	memcpy(head + 1, name, len);
	for (unsigned i = 0; i < 8; i++)
		head[1 + len + i] = (uint8_t)(size >> 8 * i);
	return put(s, head, 1 + len + 8);
}

/* A file that grows while it is read is read as far as it was at first; one that shrinks is an error. */
static int put_file(struct sink *s, const struct part *part, const char *path)
{
	uint8_t buf[16384];
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT && !part->must ? 0 : -errno;
	int r = fstat(fd, &st) ? -errno : !S_ISREG(st.st_mode) || (uint64_t)st.st_size > part->max ? -EINVAL : 0;
	uint64_t left = (uint64_t)st.st_size;
	if (!r)
		r = put_head(s, part->name, left);
	while (!r && left) {
		ssize_t k = read(fd, buf, left < sizeof(buf) ? (size_t)left : sizeof(buf));
		if (k < 0 && errno == EINTR)
			continue;
		r = k < 0 ? -errno : k == 0 ? -EIO : put(s, buf, (size_t)k);
		left -= k > 0 ? (uint64_t)k : 0;
	}
	close(fd);
	wipe(buf, sizeof(buf));
	return r;
}

static int put_manifest(struct sink *s, const struct backup_source *source)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "farlan-backup 1\nversion %.31s\nwritten %" PRIu64 "\n", source->version, source->wall_s);
	int r = put_head(s, MANIFEST, (uint64_t)n);
	return r ? r : put(s, text, (size_t)n);
}

static int write_parts(struct sink *s, const struct backup_source *source, char why[BACKUP_WHY])
{
	char path[4096], copy[4096];
	int r = put_manifest(s, source);
	if (!path_of(path, source->dir, DATABASE) || !path_of(copy, source->dir, "backup.tmp"))
		return fail(why, -ENAMETOOLONG, "the path of the home folder is too long");
	for (unsigned i = 0; !r && i < PARTS; i++) {
		const struct part *part = &parts[i];
		bool config = !strcmp(part->name, CONFIG), database = !strcmp(part->name, DATABASE);
		if (!config && !database && !path_of(path, source->dir, part->name))
			r = -ENAMETOOLONG;
		if (database) {
			path_of(path, source->dir, DATABASE);
			r = store_snapshot(path, copy);
			if (r)
				return fail(why, r, "the database cannot be copied beside itself (%s); is there room on its disk?",
				            strerror(-r));
		}
		if (!r)
			r = put_file(s, part, config ? source->config : database ? copy : path);
		if (database)
			unlink(copy);
		if (r)
			return fail(why, r, "%s cannot be put into the backup: %s", part->name, strerror(-r));
	}
	uint8_t end = 0;
	if (!r)
		r = put(s, &end, 1);
	if (!r)
		r = sink_flush(s, true);
	return r ? fail(why, r, "the backup cannot be written: %s", strerror(-r)) : 0;
}

int backup_write(const struct backup_source *source, const char *passphrase, size_t len, int fd, char why[BACKUP_WHY])
{
	uint8_t header[VAULT_HEADER];
	struct sink *s = calloc(1, sizeof(*s));
	if (!s)
		return fail(why, -ENOMEM, "out of memory");
	s->fd = fd;
	int r = vault_lock(&s->vault, passphrase, len, header);
	if (r == -EINVAL)
		fail(why, r, "a passphrase has %d to %d bytes", VAULT_PASS_MIN, VAULT_PASS_MAX);
	else if (r)
		fail(why, r, "no memory for the passphrase's work: %d MiB are needed", VAULT_MEMORY_KIB / 1024);
	if (!r && (r = write_all(fd, header, sizeof(header))))
		fail(why, r, "the backup cannot be written: %s", strerror(-r));
	if (!r)
		r = write_parts(s, source, why);
	wipe(s, sizeof(*s));
	free(s);
	return r;
}

/* ---- reading ------------------------------------------------------------------------ */

struct source {
	struct vault vault;
	int fd;
	size_t at, n;
	bool last;
	uint8_t plain[VAULT_CHUNK], sealed[VAULT_SEALED_MAX];
};

static ssize_t read_full(int fd, uint8_t *buf, size_t room)
{
	size_t n = 0;
	while (n < room) {
		ssize_t k = read(fd, buf + n, room - n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		if (k == 0)
			break;
		n += (size_t)k;
	}
	return (ssize_t)n;
}

/* Exactly n bytes. -EBADMSG: it ends before, or does not open. */
static int get(struct source *s, void *to, size_t n)
{
	uint8_t *at = to;
	while (n) {
		if (s->at == s->n) {
			ssize_t got = s->last ? 0 : read_full(s->fd, s->sealed, sizeof(s->sealed));
			if (got <= 0)
				return got < 0 ? (int)got : -EBADMSG;
			int r = vault_open(&s->vault, s->sealed, (size_t)got, s->plain, &s->n, &s->last);
			s->at = 0;
			if (r) {
				s->n = 0;
				return r;
			}
			continue;
		}
		size_t k = n < s->n - s->at ? n : s->n - s->at;
		memcpy(at, s->plain + s->at, k);
		s->at += k;
		at += k;
		n -= k;
	}
	return 0;
}

/* Whose name this is, or NULL. */
static const struct part *part_named(const char *name)
{
	for (unsigned i = 0; i < PARTS; i++)
		if (!strcmp(parts[i].name, name))
			return &parts[i];
	return NULL;
}

/* *ret_name "" at the end. */
static int get_head(struct source *s, char name[NAME_ROOM], uint64_t *ret_size)
{
	uint8_t len, size[8];
	int r = get(s, &len, 1);
	if (!r && len >= NAME_ROOM)
		r = -EBADMSG;
	if (!r)
		r = get(s, name, len);
	if (r)
		return r;
	name[len] = '\0';
	*ret_size = 0;
	if (!len)
		return 0;
	r = get(s, size, sizeof(size));
	for (unsigned i = 0; !r && i < 8; i++)
		*ret_size |= (uint64_t)size[i] << 8 * i;
	return r;
}

static int get_manifest(struct source *s, struct backup_facts *f)
{
	char name[NAME_ROOM], text[256];
	uint64_t size;
	unsigned format = 0;
	int r = get_head(s, name, &size);
	if (!r && (strcmp(name, MANIFEST) || size >= sizeof(text)))
		r = -EBADMSG;
	if (!r)
		r = get(s, text, (size_t)size);
	if (r)
		return r;
	text[size] = '\0';
	if (sscanf(text, "farlan-backup %u version %31s written %" SCNu64, &format, f->version, &f->written_wall_s) != 3)
		return -EBADMSG;
	return format == 1 ? 0 : -EPROTO;
}

static int get_file(struct source *s, const char *path, uint64_t size)
{
	uint8_t buf[16384];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : 0;
	while (!r && size) {
		size_t k = size < sizeof(buf) ? (size_t)size : sizeof(buf);
		r = get(s, buf, k);
		if (!r)
			r = write_all(fd, buf, k);
		size -= k;
	}
	if (!r && fsync(fd))
		r = -errno;
	if (fd >= 0)
		close(fd);
	wipe(buf, sizeof(buf));
	return r;
}

static int read_parts(struct source *s, const char *dir, struct backup_facts *f, char why[BACKUP_WHY])
{
	char name[NAME_ROOM], path[4096];
	uint64_t size;
	unsigned seen = 0;
	uint8_t more;
	int r = get_manifest(s, f);
	if (r == -EPROTO)
		return fail(why, r, "the backup was made by a newer version; restore it with that one");
	while (!r) {
		r = get_head(s, name, &size);
		if (r || !*name)
			break;
		const struct part *part = part_named(name);
		if (!part || size > part->max || seen & 1u << (part - parts))
			return fail(why, -EBADMSG, "the backup holds what no backup of ours holds");
		seen |= 1u << (part - parts);
		if (!path_of(path, dir, name))
			return fail(why, -ENAMETOOLONG, "the path of the folder is too long");
		r = get_file(s, path, size);
		if (r && r != -EBADMSG)
			return fail(why, r, "%s cannot be written: %s", path, strerror(-r));
	}
	if (!r && (!s->last || s->at != s->n || read_full(s->fd, &more, 1) != 0))
		r = -EBADMSG; /* something comes behind the end */
	for (unsigned i = 0; !r && i < PARTS; i++)
		if (parts[i].must && !(seen & 1u << i))
			r = -EBADMSG;
	if (r)
		return fail(why, r,
		            s->vault.began ? "the backup is damaged or was cut short" : "wrong passphrase, or the backup is damaged");
	return 0;
}

static int identity_of(const char *dir, struct identity *ret)
{
	char path[4096], text[SECRET_TEXT_MAX + 1];
	struct secret secret;
	path_of(path, dir, IDENTITY);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	ssize_t n = read_full(fd, (uint8_t *)text, sizeof(text));
	close(fd);
	bool good = n > 0 && secret_parse(text, (size_t)n, &secret);
	wipe(text, sizeof(text));
	if (!good)
		return -EBADMSG;
	*ret = secret.self;
	secret_fini(&secret);
	return 0;
}

/* What was read is one controller, whole. */
static int judge(const char *dir, struct backup_facts *f, char why[BACKUP_WHY])
{
	char path[4096];
	const char *what = "";
	struct store_facts s;
	int r = identity_of(dir, &f->controller);
	if (r)
		return fail(why, r, "the identity in the backup is damaged");
	path_of(path, dir, DATABASE);
	r = store_look(path, true, &s, &what);
	if (r)
		return fail(why, r, "the database in the backup %s", what);
	if (memcmp(s.owner, f->controller.key_hash, KEY_HASH_BYTES))
		return fail(why, -EPERM, "the database in the backup is not that of the identity in it");
	f->networks = s.networks;
	f->members = s.members;
	f->ceiling = s.ceiling;
	f->revision = s.revision;
	return 0;
}

static int unlock(struct source *s, const char *passphrase, size_t len, char why[BACKUP_WHY])
{
	uint8_t header[VAULT_HEADER];
	ssize_t n = read_full(s->fd, header, sizeof(header));
	int r = n < 0 ? (int)n : n < VAULT_HEADER ? -EBADMSG : vault_unlock(&s->vault, header, passphrase, len);
	switch (r) {
	case 0: return 0;
	case -EBADMSG: return fail(why, r, "this is no backup of a controller");
	case -EPROTO: return fail(why, r, "the backup was made by a newer version; restore it with that one");
	case -E2BIG: return fail(why, r, "this is no backup of ours: it asks for far more work than any of them");
	case -EINVAL: return fail(why, r, "wrong passphrase: one has %d to %d bytes", VAULT_PASS_MIN, VAULT_PASS_MAX);
	case -ENOMEM: return fail(why, r, "no memory for the passphrase's work: %d MiB are needed", VAULT_MEMORY_KIB / 1024);
	default: return fail(why, r, "the backup cannot be read: %s", strerror(-r));
	}
}

int backup_read(int fd, const char *passphrase, size_t len, const char *dir, struct backup_facts *ret, char why[BACKUP_WHY])
{
	struct backup_facts f = {0};
	struct source *s = calloc(1, sizeof(*s));
	if (!s)
		return fail(why, -ENOMEM, "out of memory");
	s->fd = fd;
	int r = unlock(s, passphrase, len, why);
	if (!r)
		r = read_parts(s, dir, &f, why);
	wipe(s, sizeof(*s));
	free(s);
	if (!r)
		r = judge(dir, &f, why);
	if (!r)
		*ret = f;
	return r;
}

static void parts_unlink(int dir)
{
	static const char *const beside[] = {"controller.db-wal", "controller.db-shm", "head.bak.accepted"};
	for (unsigned i = 0; i < PARTS; i++)
		unlinkat(dir, parts[i].name, 0);
	for (unsigned i = 0; i < sizeof(beside) / sizeof(*beside); i++)
		unlinkat(dir, beside[i], 0);
}

void backup_remove(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0) {
		parts_unlink(fd);
		close(fd);
	}
	rmdir(dir);
}

/* ---- what a crash left -------------------------------------------------------------- */

/* As mkdtemp() makes them: the template's X are letters and digits. */
static bool look_name(const char *name)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t fixed = strcspn(BACKUP_LOOK, "X"), len = strlen(BACKUP_LOOK);
	return strlen(name) == len && strncmp(name, BACKUP_LOOK, fixed) == 0 && strspn(name + fixed, alphabet) == len - fixed;
}

/* 0 or -errno. Everything goes through the descriptor that was looked at: a name may be given to something else meanwhile. */
static int look_remove(int home, const char *name)
{
	struct stat st;
	int fd = openat(home, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fstat(fd, &st) < 0 ? -errno : st.st_uid != geteuid() || (st.st_mode & 07777) != 0700 ? -EPERM : 0;
	if (!r)
		parts_unlink(fd);
	close(fd);
	return r ? r : unlinkat(home, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

unsigned backup_sweep(const char *home)
{
	unsigned seen = 0, gone = 0;
	DIR *dir = opendir(home);
	if (!dir)
		return 0;
	for (struct dirent *e; seen < BACKUP_STALE_MAX && (e = readdir(dir));) {
		if (!look_name(e->d_name))
			continue;
		int r = look_remove(dirfd(dir), e->d_name);
		seen++;
		gone += r == 0;
		if (r)
			log_warning("%s was left by a look at a backup, or looks so, and may hold an identity; it was not taken away: %s",
			            e->d_name, strerror(-r));
	}
	closedir(dir);
	return gone;
}
