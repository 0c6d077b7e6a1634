/* points.c: preloaded into farlan-controller: counts what it does to the files below a folder, and kills it at one of these points, or
 * has all of them fail.
 *
 * CRASH_HOME: the folder. CRASH_AT=N: SIGKILL before the N-th act (from 1), or with CRASH_HALF=1 in the middle of it, when it is a write:
 * half of its bytes are in the file then. CRASH_LOSE=SEED: with the kill the power goes, too: of what was written and not synced since then
 * all is undone (SEED 1), or what a die says. CRASH_COUNT: a file of eight bytes that holds the count so far. CRASH_FAIL: a file of four
 * bytes; while the number in it is not 0, every act fails with that errno. Acts are write, pwrite, fsync, fdatasync, ftruncate,
 * rename, link, unlink, in all their spellings; what SQLite maps is not counted, since none of it must last. After an act is before the
 * next one, so that before is enough. Other programs, such as those that start the controller, are left alone.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static char home[PATH_MAX];
static size_t home_len;
static long kill_at;
static int half;
static unsigned lose;
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
	lose = getenv("CRASH_LOSE") ? (unsigned)atol(getenv("CRASH_LOSE")) : 0;
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

/* ---- what would be lost: the bytes before each write that is not synced yet */

#define FILES_MAX 64
#define UNDO_MAX  65536

static struct lost_file {
	dev_t dev;
	ino_t ino;
	int fd; /* a descriptor of our own: theirs may be closed by then */
	off_t size;
	int dirty;
} files[FILES_MAX];
static struct undo {
	struct undo *before;
	struct lost_file *file; /* NULL: synced since */
	off_t at;
	size_t n;
	uint8_t bytes[];
} * undos;
static unsigned n_files, n_undos;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct lost_file *file_of(int fd)
{
	struct stat st;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return NULL;
	for (unsigned i = 0; i < n_files; i++)
		if (files[i].dev == st.st_dev && files[i].ino == st.st_ino)
			return &files[i];
	if (n_files == FILES_MAX)
		return NULL;
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int own = open(path, O_RDWR | O_CLOEXEC);
	if (own < 0)
		return NULL;
	files[n_files] = (struct lost_file){.dev = st.st_dev, .ino = st.st_ino, .fd = own, .size = st.st_size};
	return &files[n_files++];
}

/* n bytes at at are about to change; n 0: the end is about to move there. */
static void remember(int fd, off_t at, size_t n)
{
	struct stat st;
	if (!lose)
		return;
	pthread_mutex_lock(&lock);
	struct lost_file *f = file_of(fd);
	if (f && !fstat(f->fd, &st) && n_undos < UNDO_MAX) {
		if (!f->dirty)
			f->size = st.st_size;
		f->dirty = 1;
		if (!n && at < st.st_size)
			n = (size_t)(st.st_size - at);
		struct undo *u = calloc(1, sizeof(*u) + n);
		if (u) {
			*u = (struct undo){.before = undos, .file = f, .at = at, .n = n};
			if (n && pread(f->fd, u->bytes, n, at) < 0)
				u->n = 0;
			undos = u;
			n_undos++;
		}
	}
	pthread_mutex_unlock(&lock);
}

static void synced(int fd)
{
	if (!lose)
		return;
	pthread_mutex_lock(&lock);
	struct lost_file *f = file_of(fd);
	if (f)
		f->dirty = 0;
	for (struct undo *u = undos; f && u; u = u->before)
		if (u->file == f)
			u->file = NULL;
	pthread_mutex_unlock(&lock);
}

/* Where the next write goes. */
static off_t where(int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);
	if (flags >= 0 && flags & O_APPEND && !fstat(fd, &st))
		return st.st_size;
	return lseek(fd, 0, SEEK_CUR);
}

/* The newest first. With all of them undone the file has its old end, too. */
static void power_off(void)
{
	static ssize_t (*real)(int, const void *, size_t, off_t);
	*(void **)&real = dlsym(RTLD_NEXT, "pwrite");
	unsigned dice = lose;
	for (struct undo *u = undos; u; u = u->before) {
		dice = dice * 1103515245u + 12345u;
		if (u->file && u->n && (lose == 1 || dice >> 30 & 1) && real(u->file->fd, u->bytes, u->n, u->at) < 0)
			break;
	}
	for (unsigned i = 0; lose == 1 && i < n_files; i++)
		if (files[i].dirty && syscall(SYS_ftruncate, files[i].fd, files[i].size))
			break;
}

static void die(void)
{
	if (lose)
		power_off();
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
	if (file_below(fd))
		remember(fd, where(fd), n);
	return real(fd, buf, n);
}

/* off_t is off64_t where this runs; SQLite calls either name. */
static ssize_t put_at(ssize_t (*real)(int, const void *, size_t, off64_t), int fd, const void *buf, size_t n, off64_t at)
{
	enum verdict v = point(file_below(fd), 1);
	if (v == DIE_IN_IT && real(fd, buf, n / 2, at) >= -1)
		die();
	if (v == FAIL)
		return -1;
	if (file_below(fd))
		remember(fd, at, n);
	return real(fd, buf, n, at);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t at)
{
	REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
	return put_at(real, fd, buf, n, at);
}

ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t at)
{
	REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
	return put_at(real, fd, buf, n, at);
}

int fsync(int fd)
{
	REAL(int, fsync, int);
	if (point(file_below(fd), 0) == FAIL)
		return -1;
	int r = real(fd);
	if (!r && file_below(fd))
		synced(fd);
	return r;
}

int fdatasync(int fd)
{
	REAL(int, fdatasync, int);
	if (point(file_below(fd), 0) == FAIL)
		return -1;
	int r = real(fd);
	if (!r && file_below(fd))
		synced(fd);
	return r;
}

int ftruncate(int fd, off_t n)
{
	REAL(int, ftruncate, int, off_t);
	if (point(file_below(fd), 0) == FAIL)
		return -1;
	if (file_below(fd))
		remember(fd, n, 0);
	return real(fd, n);
}

int ftruncate64(int fd, off64_t n)
{
	REAL(int, ftruncate64, int, off64_t);
	if (point(file_below(fd), 0) == FAIL)
		return -1;
	if (file_below(fd))
		remember(fd, n, 0);
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
