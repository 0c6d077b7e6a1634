/* points.c: preloaded into farlan-controller: counts what it does to the files below a folder, and kills it at one of these points, or
 * has all of them fail.
 *
 * CRASH_HOME: the folder. CRASH_AT=N: SIGKILL before the N-th act (from 1), or with CRASH_HALF=1 in the middle of it, when it is a write:
 * half of its bytes are in the file then. CRASH_COUNT: a file of eight bytes that holds the count so far. CRASH_FAIL: a file of four
 * bytes; while the number in it is not 0, every act fails with that errno. Acts are write, pwrite, fsync, fdatasync, ftruncate,
 * rename, link, unlink, in all their spellings; what SQLite maps is not counted, since none of it must last. After an act is before the
 * next one, so that before is enough. Other programs, such as those that start the controller, are left alone.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static char home[PATH_MAX];
static size_t home_len;
static long kill_at;
static int half;
static _Atomic uint64_t no_count, *count = &no_count;
static _Atomic int32_t no_failure, *failure = &no_failure;

static void *shared(const char *variable, size_t n, void *otherwise)
{
	const char *path = getenv(variable);
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *map = fd < 0 ? MAP_FAILED : mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	return map == MAP_FAILED ? otherwise : map;
}

__attribute__((constructor)) static void begin(void)
{
	const char *folder = getenv("CRASH_HOME"), *at = getenv("CRASH_AT");
	char self[PATH_MAX] = "";
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 || !strstr(self, "/farlan-controller"))
		return;
	half = getenv("CRASH_HALF") != NULL;
	kill_at = at ? atol(at) : 0;
	count = shared("CRASH_COUNT", sizeof(*count), &no_count);
	failure = shared("CRASH_FAIL", sizeof(*failure), &no_failure);
	if (folder && strlen(folder) < sizeof(home)) { /* it need not be there yet */
		strcpy(home, folder);
		home_len = strlen(home);
	}
}

static int below(const char *path)
{
	return home_len && !strncmp(path, home, home_len) && path[home_len] == '/';
}

static int file_below(int fd)
{
	char link[64], path[PATH_MAX];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return 0;
	path[n] = '\0';
	return below(path) || !strcmp(path, home); /* the folder itself is synced too */
}

static int name_below(int dir, const char *name)
{
	return *name == '/' ? below(name) : dir == AT_FDCWD ? 0 : file_below(dir);
}

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

enum verdict { GO_ON, FAIL, DIE_IN_IT };

static enum verdict point(int here, int is_write)
{
	if (!here)
		return GO_ON;
	uint64_t n = atomic_fetch_add(count, 1) + 1;
	if (kill_at && n == (uint64_t)kill_at) {
		if (!half || !is_write)
			die();
		return DIE_IN_IT;
	}
	errno = atomic_load(failure);
	return errno ? FAIL : GO_ON;
}

#define REAL(type, name, ...)                                                                                                              \
	static type (*real)(__VA_ARGS__);                                                                                                  \
	if (!real)                                                                                                                         \
	*(void **)&real = dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *buf, size_t n)
{
	REAL(ssize_t, write, int, const void *, size_t);
	enum verdict v = point(file_below(fd), 1);
	if (v == DIE_IN_IT && real(fd, buf, n / 2) >= -1)
		die();
	if (v == FAIL)
		return -1;
	return real(fd, buf, n);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t at)
{
	REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
	enum verdict v = point(file_below(fd), 1);
	if (v == DIE_IN_IT && real(fd, buf, n / 2, at) >= -1)
		die();
	if (v == FAIL)
		return -1;
	return real(fd, buf, n, at);
}

ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t at)
{
	REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
	enum verdict v = point(file_below(fd), 1);
	if (v == DIE_IN_IT && real(fd, buf, n / 2, at) >= -1)
		die();
	if (v == FAIL)
		return -1;
	return real(fd, buf, n, at);
}

int fsync(int fd)
{
	REAL(int, fsync, int);
	if (point(file_below(fd), 0) == FAIL)
		return -1;
	return real(fd);
}

int fdatasync(int fd)
{
	REAL(int, fdatasync, int);
	if (point(file_below(fd), 0) == FAIL)
		return -1;
	return real(fd);
}

int ftruncate(int fd, off_t n)
{
	REAL(int, ftruncate, int, off_t);
	if (point(file_below(fd), 0) == FAIL)
		return -1;
	return real(fd, n);
}

int ftruncate64(int fd, off64_t n)
{
	REAL(int, ftruncate64, int, off64_t);
	if (point(file_below(fd), 0) == FAIL)
		return -1;
	return real(fd, n);
}

int rename(const char *from, const char *to)
{
	REAL(int, rename, const char *, const char *);
	if (point(below(from) || below(to), 0) == FAIL)
		return -1;
	return real(from, to);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	REAL(int, renameat, int, const char *, int, const char *);
	if (point(name_below(from_dir, from) || name_below(to_dir, to), 0) == FAIL)
		return -1;
	return real(from_dir, from, to_dir, to);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	REAL(int, renameat2, int, const char *, int, const char *, unsigned);
	if (point(name_below(from_dir, from) || name_below(to_dir, to), 0) == FAIL)
		return -1;
	return real(from_dir, from, to_dir, to, flags);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	REAL(int, linkat, int, const char *, int, const char *, int);
	if (point(name_below(from_dir, from) || name_below(to_dir, to), 0) == FAIL)
		return -1;
	return real(from_dir, from, to_dir, to, flags);
}

int unlink(const char *path)
{
	REAL(int, unlink, const char *);
	if (point(below(path), 0) == FAIL)
		return -1;
	return real(path);
}

int unlinkat(int dir, const char *path, int flags)
{
	REAL(int, unlinkat, int, const char *, int);
	if (point(name_below(dir, path), 0) == FAIL)
		return -1;
	return real(dir, path, flags);
}
