/* files.c: the state folder.
 *
 * Two locks. The lock guards the queue and is held for moments; the pen is held by whoever changes the folder, so one writer at a
 * time. A writer takes the pen first and its note second: with the pen in hand no older bytes of any name are on their way, which
 * is all that the order of an urgent save needs. A note being written stays visible until it is on disk, so that a load never sees
 * something older than the last save.
 * A failed fsync is a failed save (the kernel may have dropped the pages and a second fsync would lie): the temporary file goes,
 * the old file stays, and the next save of the name starts anew.
 */
#include "node/files.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/log.h"

#define FAILED_MAX  64 /* names whose failing we remember; the log of further ones may repeat */
#define HOME_SHOWN  200
#define NUMBER_TEXT 12

/* A save that waits; bytes NULL = remove. */
struct note {
	struct note *next;
	char name[FILES_NAME_MAX + 1];
	uint8_t *bytes;
	size_t len;
};

struct files {
	int folder;
	char shown[HOME_SHOWN]; /* the folder's path for the log */
	pthread_mutex_t pen;
	char failed[FAILED_MAX][FILES_NAME_MAX + 1]; /* under the pen; "" = free */
	pthread_mutex_t lock;
	struct note *first, **end; /* all below under the lock */
	unsigned n;
	struct note *writing; /* out of the queue, on its way to disk */
};

/* ---- names ------------------------------------------------------------------------------------------------------ */

static size_t part_length(const char *at)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t n = *at == '.' ? 0 : strspn(at, letters);
	return n <= FILES_PART_MAX ? n : 0;
}

/* The last part is at ret_leaf; ret_folder is the part before the '/', "" without one. */
static bool name_split(const char *name, char ret_folder[FILES_PART_MAX + 1], const char **ret_leaf)
{
	size_t n = part_length(name);
	ret_folder[0] = '\0';
	if (n && name[n] == '/') {
		memcpy(ret_folder, name, n);
		ret_folder[n] = '\0';
		name += n + 1;
		n = part_length(name);
	}
	*ret_leaf = name;
	return n && name[n] == '\0';
}

static bool name_ok(const char *name)
{
	char folder[FILES_PART_MAX + 1];
	const char *leaf;
	return name_split(name, folder, &leaf);
}

/* A descriptor of the folder, or -errno. A new folder is on disk before anything is put into it. */
static int folder_open(const struct files *f, const char *folder, bool make)
{
	if (make && *folder) {
		if (mkdirat(f->folder, folder, 0700) == 0) {
			if (fsync(f->folder) < 0)
				return -errno;
		} else if (errno != EEXIST) {
			return -errno;
		}
	}
	int fd = openat(f->folder, *folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* ---- the disk, with the pen ------------------------------------------------------------------------------------- */

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(fd, bytes, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int file_replace(int folder, const char *leaf, const uint8_t *bytes, size_t len)
{
	char draft[FILES_PART_MAX + 6];
	snprintf(draft, sizeof(draft), ".%s.new", leaf);
	/* What a crash left. Unlinked, not reused: it might be anything by now. */
	unlinkat(folder, draft, 0);
	int fd = openat(folder, draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int error = write_all(fd, bytes, len);
	if (!error && fsync(fd) < 0)
		error = -errno;
	if (close(fd) < 0 && !error)
		error = -errno;
	if (!error && renameat(folder, draft, folder, leaf) < 0)
		error = -errno;
	if (error)
		unlinkat(folder, draft, 0);
	else if (fsync(folder) < 0)
		error = -errno;
	return error;
}

static int file_unlink(int folder, const char *leaf)
{
	if (unlinkat(folder, leaf, 0) < 0)
		return errno == ENOENT ? 0 : -errno;
	return fsync(folder) < 0 ? -errno : 0;
}

static void report(struct files *f, const char *name, int error)
{
	char(*slot)[FILES_NAME_MAX + 1] = NULL;
	bool known = false;
	for (unsigned i = 0; i < FAILED_MAX && !known; i++) {
		known = !strcmp(f->failed[i], name);
		if (known || !*f->failed[i])
			slot = &f->failed[i];
	}
	if (error && !known) {
		log_error("cannot write %s/%s: %s. What was there before stays; make the folder writable and give it room", f->shown, name,
		          strerror(-error));
		if (slot)
			strcpy(*slot, name);
	} else if (!error && known) {
		log_notice("%s/%s can be written again", f->shown, name);
		(*slot)[0] = '\0';
	}
}

/* bytes NULL = remove. */
static int apply(struct files *f, const char *name, const uint8_t *bytes, size_t len)
{
	char folder[FILES_PART_MAX + 1];
	const char *leaf;
	if (!name_split(name, folder, &leaf))
		return -EINVAL;
	int fd = folder_open(f, folder, bytes != NULL), error = fd < 0 ? fd : 0;
	if (!bytes && error == -ENOENT)
		return 0;
	if (!error) {
		error = bytes ? file_replace(fd, leaf, bytes, len) : file_unlink(fd, leaf);
		close(fd);
	}
	report(f, name, error);
	return error;
}

/* ---- the queue, with the lock ----------------------------------------------------------------------------------- */

static struct note **note_find(struct files *f, const char *name)
{
	struct note **at = &f->first;
	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	return at;
}

static struct note *note_take(struct files *f, struct note **at)
{
	struct note *note = *at;
	*at = note->next;
	if (!*at)
		f->end = at;
	f->n--;
	return note;
}

static void note_free(struct note *note)
{
	if (!note)
		return;
	free(note->bytes);
	free(note);
}

/* bytes NULL = remove; len 0 with bytes is an empty file. */
static struct note *note_new(const char *name, const void *bytes, size_t len)
{
	struct note *note = calloc(1, sizeof(*note));
	if (!note)
		return NULL;
	strcpy(note->name, name);
	note->len = len;
	if (bytes) {
		note->bytes = malloc(len ? len : 1);
		if (!note->bytes) {
			free(note);
			return NULL;
		}
		memcpy(note->bytes, bytes, len);
	}
	return note;
}

/* Takes the note. The one of its name that waits gives up its place. False: no room, the note is the caller's still. */
static bool note_queue(struct files *f, struct note *note)
{
	struct note *old = NULL;
	bool room = true;
	pthread_mutex_lock(&f->lock);
	struct note **at = note_find(f, note->name);
	if (*at) {
		old = *at;
		note->next = old->next;
		*at = note;
		if (!note->next)
			f->end = &note->next;
	} else if (f->n < FILES_WAITING_MAX) {
		*f->end = note;
		f->end = &note->next;
		f->n++;
	} else {
		room = false;
	}
	pthread_mutex_unlock(&f->lock);
	note_free(old);
	return room;
}

/* ---- what the node asks ----------------------------------------------------------------------------------------- */

static int write_now(struct files *f, const char *name, const void *bytes, size_t len)
{
	struct note *stale = NULL;
	pthread_mutex_lock(&f->pen);
	pthread_mutex_lock(&f->lock);
	struct note **at = note_find(f, name);
	if (*at)
		stale = note_take(f, at);
	pthread_mutex_unlock(&f->lock);
	int error = apply(f, name, bytes, len);
	pthread_mutex_unlock(&f->pen);
	note_free(stale);
	return error;
}

int files_save(struct files *f, const char *name, const void *bytes, size_t len, bool urgent)
{
	if (!name_ok(name))
		return -EINVAL;
	if (urgent)
		return write_now(f, name, len ? bytes : "", len);
	struct note *note = note_new(name, len ? bytes : "", len);
	if (!note)
		return -ENOMEM;
	if (note_queue(f, note))
		return 0;
	note_free(note);
	return write_now(f, name, len ? bytes : "", len);
}

void files_remove(struct files *f, const char *name)
{
	if (!name_ok(name))
		return;
	struct note *note = note_new(name, NULL, 0);
	if (note && note_queue(f, note))
		return;
	note_free(note);
	write_now(f, name, NULL, 0);
}

static long disk_load(struct files *f, const char *name, void *buf, size_t room)
{
	char folder[FILES_PART_MAX + 1];
	const char *leaf;
	if (!name_split(name, folder, &leaf))
		return -EINVAL;
	int at = folder_open(f, folder, false);
	if (at < 0)
		return at;
	/* O_NONBLOCK: a FIFO in the place of a file must not hold the start. */
	int fd = openat(at, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	long result = fd < 0 ? -errno : 0;
	struct stat st;
	if (fd >= 0 && fstat(fd, &st) < 0)
		result = -errno;
	else if (fd >= 0 && !S_ISREG(st.st_mode))
		result = -EINVAL;
	else if (fd >= 0 && (uint64_t)st.st_size > room)
		result = -EFBIG;
	while (result >= 0 && fd >= 0 && (size_t)result < room) {
		ssize_t n = read(fd, (uint8_t *)buf + result, room - (size_t)result);
		if (n < 0 && errno == EINTR)
			continue;
		result = n < 0 ? -errno : result + n;
		if (n <= 0)
			break;
	}
	if (fd >= 0)
		close(fd);
	close(at);
	return result;
}

long files_load(struct files *f, const char *name, void *buf, size_t room)
{
	long result = 0;
	pthread_mutex_lock(&f->lock);
	const struct note *note = *note_find(f, name);
	if (!note && f->writing && !strcmp(f->writing->name, name))
		note = f->writing;
	if (note) {
		result = !note->bytes ? -ENOENT : note->len > room ? -EFBIG : (long)note->len;
		if (result > 0)
			memcpy(buf, note->bytes, note->len);
	}
	pthread_mutex_unlock(&f->lock);
	return note ? result : disk_load(f, name, buf, room);
}

bool files_waiting(struct files *f)
{
	pthread_mutex_lock(&f->lock);
	bool waiting = f->first != NULL;
	pthread_mutex_unlock(&f->lock);
	return waiting;
}

bool files_write(struct files *f)
{
	pthread_mutex_lock(&f->pen);
	pthread_mutex_lock(&f->lock);
	struct note *note = f->first ? note_take(f, &f->first) : NULL;
	f->writing = note;
	pthread_mutex_unlock(&f->lock);
	if (note)
		apply(f, note->name, note->bytes, note->len);
	pthread_mutex_lock(&f->lock);
	f->writing = NULL;
	pthread_mutex_unlock(&f->lock);
	pthread_mutex_unlock(&f->pen);
	note_free(note);
	return note != NULL;
}

void files_list(struct files *f, const char *folder, void (*each)(void *, const char *name), void *each_self)
{
	while (files_write(f))
		;
	if (*folder && (!name_ok(folder) || strchr(folder, '/')))
		return;
	int fd = folder_open(f, folder, false);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	const struct dirent *e;
	for (unsigned n = 0; n < FILES_LISTED_MAX && (e = readdir(dir)); n++) {
		struct stat st;
		size_t len = part_length(e->d_name);
		if (len && !e->d_name[len] && fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			each(each_self, e->d_name);
	}
	closedir(dir);
}

/* ---- numbers ---------------------------------------------------------------------------------------------------- */

bool files_number_load(struct files *f, const char *name, uint32_t *ret)
{
	char text[NUMBER_TEXT];
	uint64_t value = 0;
	long len = files_load(f, name, text, sizeof(text));
	/* Without the newline it may be the beginning of a longer number. */
	if (len < 2 || len > 11 || text[--len] != '\n')
		return false;
	for (long i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	if (value > UINT32_MAX)
		return false;
	*ret = (uint32_t)value;
	return true;
}

int files_number_save(struct files *f, const char *name, uint32_t value)
{
	char text[NUMBER_TEXT];
	int len = snprintf(text, sizeof(text), "%u\n", value);
	return files_save(f, name, text, (size_t)len, true);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

int files_open(struct files **ret, const char *home)
{
	struct files *f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->folder = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->folder < 0) {
		int error = -errno;
		free(f);
		return error;
	}
	log_text(f->shown, sizeof(f->shown), home, strlen(home));
	pthread_mutex_init(&f->pen, NULL);
	pthread_mutex_init(&f->lock, NULL);
	f->end = &f->first;
	*ret = f;
	return 0;
}

void files_free(struct files *f)
{
	if (!f)
		return;
	while (files_write(f))
		;
	assert(!f->first && !f->writing);
	pthread_mutex_destroy(&f->lock);
	pthread_mutex_destroy(&f->pen);
	close(f->folder);
	free(f);
}
