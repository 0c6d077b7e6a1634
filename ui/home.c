/* home.c: the files a program lives by, opened so that nothing can slip in between.
 *
 * All names are opened relative to the folder's descriptor, without following a link at the end. The identity is written
 * to a file of its own, synced, and given its name by link(), which fails when the name exists: two programs that start at
 * once end with one identity, and a file that is there is never replaced, whatever stands in it. The lock is a flock, so
 * it dies with its holder and needs no guess about stale pids; the pid inside is for people only.
 */
#include "ui/home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/base/log.h"

#define IDENTITY_NAME "identity.secret"
#define LOCK_NAME     "lock"
#define LISTEN_QUEUE  64 /* a client whose connect does not wait is turned away by a full one, at once */

static const struct place {
	const char *program, *dir, *config, *run, *user;
} places[] = {
    [HOME_NODE] = {"farland", "/var/lib/farlan", "/etc/farlan", "/run/farlan", "_farlan"},
    [HOME_CONTROLLER] = {"farlan-controller", "/var/lib/farlan-controller", "/etc/farlan", "/run/farlan-controller", "_farlan-controller"},
};

const char *home_program(enum home_kind kind)
{
	return places[kind].program;
}

/* Paths come from outside: the whole sentence is escaped at once. */
__attribute__((format(printf, 3, 4))) static int fail(char why[HOME_WHY], int error, const char *format, ...)
{
	char text[HOME_WHY];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_text(why, HOME_WHY, text, strlen(text));
	return error;
}

/* The sentence for a call that failed on a file of the home. */
static int fail_errno(const struct home *home, char why[HOME_WHY], const char *verb, const char *name, int error)
{
	const char *mend = "";
	char user[96];
	if (error == EACCES || error == EPERM || error == EROFS) {
		snprintf(user, sizeof(user), "; run it as root or %s, or give --home DIR", places[home->kind].user);
		mend = user;
	} else if (error == ENOENT || error == ENOTDIR) {
		mend = "; make the folder above it first";
	}
	return fail(why, -error, "cannot %s %s/%s: %s%s", verb, home->dir, name, strerror(error), mend);
}

static bool join(char buf[HOME_PATH_MAX], const char *dir, const char *name, const char *tail)
{
	return (size_t)snprintf(buf, HOME_PATH_MAX, "%s/%s%s", dir, name, tail) < HOME_PATH_MAX;
}

int home_resolve(struct home *ret, enum home_kind kind, const char *dir, char why[HOME_WHY])
{
	const struct place *place = &places[kind];
	struct home home = {.kind = kind, .lock = -1};
	if (dir && !*dir)
		return fail(why, -EINVAL, "--home needs the name of a folder");
	if (!dir) {
		dir = getenv("FARLAN_HOME");
		if (dir && !*dir)
			dir = NULL;
	}
	home.given = dir != NULL;
	const char *state = dir ? dir : place->dir;
	size_t len = strlen(state);
	while (len > 1 && state[len - 1] == '/')
		len--;
	if (len >= sizeof(home.dir) - 64) /* the longest name below it */
		return fail(why, -ENAMETOOLONG, "--home: a path of at most %zu bytes, please", sizeof(home.dir) - 65);
	memcpy(home.dir, state, len);
	bool fits = join(home.config, dir ? home.dir : place->config, place->program, ".conf") &&
	            join(home.socket, dir ? home.dir : place->run, place->program, ".sock");
	if (!fits)
		return fail(why, -ENAMETOOLONG, "--home: too long");
	*ret = home;
	return 0;
}

int home_make(const struct home *home, char why[HOME_WHY])
{
	struct stat st;
	if (mkdir(home->dir, 0700) < 0 && errno != EEXIST)
		return fail_errno(home, why, "make", "", errno);
	if (stat(home->dir, &st) < 0)
		return fail_errno(home, why, "look at", "", errno);
	if (!S_ISDIR(st.st_mode))
		return fail(why, -ENOTDIR, "%s is not a folder; --home names the folder of config and state", home->dir);
	/* Who may write here may put another identity in place of ours. */
	if ((st.st_mode & 0002) && !(st.st_mode & S_ISVTX))
		return fail(why, -EPERM, "%s is writable for everybody; mend it: chmod 700 %s", home->dir, home->dir);
	return 0;
}

static int dir_open(const struct home *home, char why[HOME_WHY])
{
	int fd = open(home->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? fail_errno(home, why, "open", "", errno) : fd;
}

static int lock_busy(const struct home *home, int fd, char why[HOME_WHY])
{
	char text[64] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	long pid = 0;
	bool controller = n > 0 && strstr(text, "farlan-controller");
	char *space = n > 0 ? strchr(text, ' ') : NULL;
	if (space)
		pid = strtol(space + 1, NULL, 10);
	if (pid <= 0) /* between its flock and its write */
		return fail(why, -EBUSY, "another daemon is running on %s; give this one a --home of its own", home->dir);
	return fail(why, -EBUSY, "%s is already running on %s (pid %ld); stop it (kill %ld) or give this one a --home of its own",
	            controller ? "farlan-controller" : "farland", home->dir, pid, pid);
}

int home_lock(struct home *home, char why[HOME_WHY])
{
	int rc = 0, fd = -1, dir = dir_open(home, why);
	if (dir < 0)
		return dir;
	fd = openat(dir, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0) {
		rc = fail_errno(home, why, "open", LOCK_NAME, errno);
		goto out;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		rc = errno == EWOULDBLOCK ? lock_busy(home, fd, why) : fail_errno(home, why, "lock", LOCK_NAME, errno);
		goto out;
	}
	char text[64];
	int n = snprintf(text, sizeof(text), "%s %ld\n", home_program(home->kind), (long)getpid());
	/* The pid is a courtesy: a full disk must not keep the daemon from running. */
	if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) != n)
		log_warning("%s/%s: pid not written", home->dir, LOCK_NAME);
	home->lock = fd;
	fd = -1;
out:
	if (fd >= 0)
		close(fd);
	close(dir);
	return rc;
}

void home_unlock(struct home *home)
{
	if (home->lock < 0)
		return;
	/* The file stays: taking it away would let two others lock two files of one name. */
	if (ftruncate(home->lock, 0) < 0)
		log_debug("lock file not emptied");
	close(home->lock);
	home->lock = -1;
}

/* ---- identity ---- */

/* 0, -ENOENT, or another -errno with why. */
static int identity_read(const struct home *home, int dir, struct secret *ret, char why[HOME_WHY])
{
	char text[SECRET_TEXT_MAX + 1];
	struct stat st;
	int rc = 0;
	/* O_NONBLOCK: a FIFO of that name must not hold the start. */
	int fd = openat(dir, IDENTITY_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		if (errno == ENOENT)
			return -ENOENT;
		if (errno == ELOOP)
			return fail(why, -ELOOP, "%s/%s is a symbolic link; put the file itself there", home->dir, IDENTITY_NAME);
		return fail_errno(home, why, "open", IDENTITY_NAME, errno);
	}
	if (fstat(fd, &st) < 0) {
		rc = fail_errno(home, why, "look at", IDENTITY_NAME, errno);
		goto out;
	}
	if (S_ISREG(st.st_mode) && (st.st_mode & 077)) {
		rc = fail(why, -EPERM, "%s/%s can be read by others (mode %04o); mend it: chmod 600 %s/%s", home->dir, IDENTITY_NAME,
		          (unsigned)(st.st_mode & 07777), home->dir, IDENTITY_NAME);
		goto out;
	}
	ssize_t n = S_ISREG(st.st_mode) ? read(fd, text, sizeof(text)) : 0;
	if (n < 0)
		rc = fail_errno(home, why, "read", IDENTITY_NAME, errno);
	else if (!secret_parse(text, (size_t)n, ret))
		rc = fail(why, -EBADMSG,
		          "%s/%s is damaged and was left as it is; put back a copy, or move it away to get a new identity (every "
		          "network must then approve this machine anew)",
		          home->dir, IDENTITY_NAME);
out:
	explicit_bzero(text, sizeof(text));
	close(fd);
	return rc;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Names the synced file; -EEXIST when another was first. */
static int name_new(int dir, const char *temp)
{
	if (linkat(dir, temp, dir, IDENTITY_NAME, 0) == 0)
		return 0;
	if (errno == EEXIST)
		return -EEXIST;
	/* File systems without hard links: vfat, some network mounts. */
	return renameat2(dir, temp, dir, IDENTITY_NAME, RENAME_NOREPLACE) == 0 ? 0 : -errno;
}

static int identity_write(const struct home *home, int dir, const struct secret *secret, char why[HOME_WHY])
{
	char text[SECRET_TEXT_MAX], temp[64];
	size_t len = secret_format(secret, text, sizeof(text));
	snprintf(temp, sizeof(temp), IDENTITY_NAME ".%ld.tmp", (long)getpid());
	unlinkat(dir, temp, 0); /* of a process that had this pid and was killed */
	int rc = 0, fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		rc = -errno;
		goto out;
	}
	struct stat st;
	/* root makes it for the daemon's user, to whom the folder belongs */
	if (geteuid() == 0 && fstat(dir, &st) == 0 && st.st_uid != 0 && fchown(fd, st.st_uid, st.st_gid) < 0)
		rc = -errno;
	if (rc == 0)
		rc = write_all(fd, text, len);
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	if (rc == 0)
		rc = name_new(dir, temp);
	if (rc == 0 && fsync(dir) < 0)
		rc = -errno;
out:
	explicit_bzero(text, sizeof(text));
	if (fd >= 0) {
		close(fd);
		unlinkat(dir, temp, 0);
	}
	return rc == 0 || rc == -EEXIST ? rc : fail_errno(home, why, "write", IDENTITY_NAME, -rc);
}

int home_identity(const struct home *home, struct secret *ret, bool *ret_created, char why[HOME_WHY])
{
	struct secret made = {0};
	bool created = false;
	int dir = dir_open(home, why);
	if (dir < 0)
		return dir;
	int rc = identity_read(home, dir, &made, why);
	if (rc == -ENOENT) {
		rc = secret_generate(&made);
		if (rc < 0) {
			fail(why, rc, "no new identity: %s; 8 MiB of memory are needed", strerror(-rc));
			goto out;
		}
		rc = identity_write(home, dir, &made, why);
		created = rc == 0;
		if (rc == -EEXIST)
			rc = identity_read(home, dir, &made, why);
		if (rc == -ENOENT)
			fail(why, rc, "%s/%s came and went; look who moves it", home->dir, IDENTITY_NAME);
	}
	if (rc == 0) {
		*ret = made;
		*ret_created = created;
	}
out:
	secret_fini(&made);
	close(dir);
	return rc;
}

/* ---- socket ---- */

int home_socket_name(const struct home *home, char name[108], int *ret_fd)
{
	char parent[HOME_PATH_MAX];
	size_t len = strlen(home->socket);
	*ret_fd = -1;
	if (len < 108) {
		memcpy(name, home->socket, len + 1);
		return 0;
	}
	const char *slash = strrchr(home->socket, '/');
	size_t cut = (size_t)(slash - home->socket);
	memcpy(parent, home->socket, cut);
	parent[cut] = 0;
	int fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	snprintf(name, 108, "/proc/self/fd/%d%s", fd, slash);
	*ret_fd = fd;
	return 0;
}

static int socket_refuse(const struct home *home, char why[HOME_WHY], int error)
{
	if (error == ENOENT)
		return fail(why, -error, "cannot make %s: its folder is missing; start it by systemd, or give --home DIR", home->socket);
	return fail(why, -error, "cannot make %s: %s", home->socket, strerror(error));
}

int home_listen(const struct home *home, char why[HOME_WHY])
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct stat st;
	int rc = 0, at = -1, fd = -1;
	rc = home_socket_name(home, sa.sun_path, &at);
	if (rc < 0)
		return socket_refuse(home, why, -rc);
	if (lstat(sa.sun_path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode)) {
			rc = fail(why, -EEXIST, "%s is there and is no socket; move it away", home->socket);
			goto out;
		}
		if (unlink(sa.sun_path) < 0) {
			rc = socket_refuse(home, why, errno);
			goto out;
		}
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Under umask 077 the name is ours alone until the mode is widened for the group. */
	mode_t mask = umask(077);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || chmod(sa.sun_path, 0660) < 0 || listen(fd, LISTEN_QUEUE) < 0)
		rc = socket_refuse(home, why, errno);
	umask(mask);
	if (rc == 0) {
		rc = fd;
		fd = -1;
	}
out:
	if (fd >= 0)
		close(fd);
	if (at >= 0)
		close(at);
	return rc;
}

void home_unlisten(const struct home *home)
{
	unlink(home->socket);
}

int home_exit(int error)
{
	switch (-error) {
	case EACCES:
	case EPERM:
	case EROFS: return 4;
	case EINVAL:
	case ENAMETOOLONG: return 2;
	}
	return 1;
}
