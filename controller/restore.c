/* Theory of operation: a restored controller takes the place of what stands there in one exchange of two folders, so that at no
 * moment there is none, or half of one. What it must not do is sign again what was signed after the backup: versions, serials. How far
 * those had come is told by the head.bak of the old folder, which is taken over: the controller sees that its database is behind it and
 * asks. On a machine that knows nothing of it nobody can tell, so a mark has the first start go beyond whatever can have been
 * signed (watermark.c). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "controller/backup.h"
#include "controller/backup_parts.h"
#include "controller/store_backup.h"
#include "controller/watermark.h"

static bool is_there(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

void backup_compare(const char *home, bool running, const struct backup_facts *f, struct backup_stand *ret)
{
	char path[4096], wal[4096];
	const char *what = "";
	struct store_facts s;
	uint64_t revision;
	*ret = (struct backup_stand){0};
	if (!path_of(path, home, "identity.secret"))
		return;
	ret->there = is_there(path);
	if (!path_of(path, home, "controller.db") || !is_there(path) || !path_of(wal, home, "controller.db-wal"))
		return;
	ret->there = true;
	/* what was killed left a log behind that belongs to it, and is read like the database of a running one */
	int r = store_look(path, !running && !is_there(wal), &s, &what);
	if (r) {
		snprintf(ret->what, sizeof(ret->what), "the database there %s", what);
		return;
	}
	ret->readable = true;
	ret->same = !memcmp(s.owner, f->controller.key_hash, KEY_HASH_BYTES);
	ret->revision = s.revision;
	ret->networks = s.networks;
	ret->members = s.members;
	ret->newer = ret->same && s.revision > f->revision;
	path_of(path, home, "head.bak");
	ret->signed_more = ret->same && !watermark_revision(path, &revision) && revision > f->revision;
}

static int folder_sync(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fsync(fd) ? -errno : 0;
	close(fd);
	return r;
}

static int file_copy(const char *from, const char *to)
{
	char buf[4096];
	ssize_t n = 0;
	int r = 0, in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		r = -errno;
	while (!r && (n = read(in, buf, sizeof(buf))) > 0)
		r = write(out, buf, (size_t)n) == n ? 0 : -EIO;
	if (!r && (n < 0 || fsync(out)))
		r = -errno;
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return r;
}

/* What tells the restored controller how far the counters may have come. */
static int mark(const char *dir, const char *home, const struct backup_facts *f)
{
	char from[4096], to[4096], text[128];
	struct backup_stand stand;
	uint64_t revision;
	backup_compare(home, false, f, &stand);
	if (!path_of(from, home, "head.bak") || !path_of(to, dir, "head.bak"))
		return -ENAMETOOLONG;
	if (stand.same && !watermark_revision(from, &revision))
		return file_copy(from, to);
	if (!path_of(to, dir, "head.bak.accepted"))
		return -ENAMETOOLONG;
	int n = snprintf(text, sizeof(text), "farlan-watermark 1 revision %" PRIu64 " ceiling %" PRIu64 "\nend\n", f->revision, f->ceiling);
	int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int r = write(fd, text, (size_t)n) != n ? -EIO : fsync(fd) ? -errno : 0;
	close(fd);
	return r;
}

/* root restores for the user to whom the folder belongs */
static int owner_keep(const char *dir, const char *home)
{
	static const char *const names[] = {"controller.db",          "identity.secret", "head.bak", "head.bak.accepted",
	                                    "farlan-controller.conf", "tls.crt",         "tls.key",  "."};
	char path[4096];
	struct stat st;
	if (stat(home, &st) || geteuid() != 0)
		return 0;
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (path_of(path, dir, names[i]) && is_there(path) && lchown(path, st.st_uid, st.st_gid))
			return -errno;
	return chmod(dir, st.st_mode & 07777) ? -errno : 0;
}

static int swap(const char *dir, const char *home, const char *kept)
{
	if (!is_there(home))
		return rename(dir, home) ? -errno : 0;
	if (!renameat2(AT_FDCWD, dir, AT_FDCWD, home, RENAME_EXCHANGE)) {
		if (!rename(dir, kept)) /* dir names the old one now */
			return 0;
		int undone = -errno;
		renameat2(AT_FDCWD, dir, AT_FDCWD, home, RENAME_EXCHANGE);
		return undone;
	}
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* A file system that cannot exchange: between the two there is none, which a start takes for a new home. */
	if (rename(home, kept))
		return -errno;
	if (!rename(dir, home))
		return 0;
	int error = -errno;
	return rename(kept, home) ? -errno : error;
}

int backup_place(const char *dir, const char *home, const struct backup_facts *f, uint64_t wall_s, char *ret_kept, size_t room,
                 char why[BACKUP_WHY])
{
	char kept[4096], parent[4096], stamp[32];
	time_t at = (time_t)wall_s;
	struct tm tm;
	bool was = is_there(home);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&at, &tm));
	int n = snprintf(kept, sizeof(kept), "%s.old-%s", home, stamp);
	if (n < 0 || (size_t)n >= sizeof(kept) || (size_t)n >= room)
		return fail(why, -ENAMETOOLONG, "the path of the home folder is too long");
	if (is_there(kept))
		return fail(why, -EEXIST, "%s is there already; wait a second", kept);
	int r = mark(dir, home, f);
	if (!r && was)
		r = owner_keep(dir, home);
	if (!r)
		r = folder_sync(dir);
	if (r)
		return fail(why, r, "%s cannot be made ready: %s", dir, strerror(-r));
	r = swap(dir, home, kept);
	if (r == -EBUSY || r == -EXDEV)
		return fail(why, r, "%s is a mount of its own and cannot be exchanged; restore to another --home and copy the files", home);
	if (r)
		return fail(why, r, "%s cannot be put in the place of %s: %s", dir, home, strerror(-r));
	snprintf(parent, sizeof(parent), "%s", home);
	char *slash = strrchr(parent, '/');
	if (slash)
		slash[slash == parent] = '\0';
	r = folder_sync(slash ? parent : ".");
	if (r)
		return fail(why, r, "the folder above %s cannot be synced: %s", home, strerror(-r));
	snprintf(ret_kept, room, "%s", was ? kept : "");
	return 0;
}
