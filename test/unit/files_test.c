/* The state folder on a real file system: what is on disk after each call, what a crash or a stranger may have left there. */
#include "node/files.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
	char home[64];
	struct files *files;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	strcpy(p->home, "/tmp/files-test-XXXXXX");
	if (!mkdtemp(p->home) || files_open(&p->files, p->home))
		return -1;
	*state = p;
	return 0;
}

static int drop(const char *path, const struct stat *st, int flag, struct FTW *at)
{
	(void)st, (void)flag, (void)at;
	return remove(path);
}

static int teardown(void **state)
{
	struct place *p = *state;
	files_free(p->files);
	nftw(p->home, drop, 8, FTW_DEPTH | FTW_PHYS);
	free(p);
	return 0;
}

static const char *path(const struct place *p, const char *name)
{
	static char full[512];
	snprintf(full, sizeof(full), "%s/%s", p->home, name);
	return full;
}

/* Around the code under test: exactly these bytes are on disk. */
static void assert_disk(const struct place *p, const char *name, const char *text)
{
	char got[256] = "";
	int fd = open(path(p, name), O_RDONLY | O_NOFOLLOW);
	assert_true(fd >= 0);
	ssize_t n = read(fd, got, sizeof(got) - 1);
	close(fd);
	assert_int_equal(n, strlen(text));
	assert_string_equal(got, text);
}

static void put(const struct place *p, const char *name, const void *bytes, size_t len)
{
	int fd = open(path(p, name), O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static bool there(const struct place *p, const char *name)
{
	struct stat st;
	return lstat(path(p, name), &st) == 0;
}

static int save(struct place *p, const char *name, const char *text, bool urgent)
{
	return files_save(p->files, name, text, strlen(text), urgent);
}

static void assert_loads(struct place *p, const char *name, const char *text)
{
	char got[256] = "";
	assert_int_equal(files_load(p->files, name, got, sizeof(got) - 1), strlen(text));
	assert_string_equal(got, text);
}

static unsigned write_all(struct place *p)
{
	unsigned n = 0;
	while (files_write(p->files))
		n++;
	return n;
}

static void urgent_is_on_disk(void **state)
{
	struct place *p = *state;
	struct stat st;
	mode_t before = umask(0);
	assert_int_equal(save(p, "epoch", "7\n", true), 0);
	assert_int_equal(save(p, "networks/8056c2e21c000001", "pin", true), 0);
	umask(before);
	assert_disk(p, "epoch", "7\n");
	assert_disk(p, "networks/8056c2e21c000001", "pin");
	assert_int_equal(stat(path(p, "epoch"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(path(p, "networks/8056c2e21c000001"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(path(p, "networks"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_false(files_waiting(p->files));
	/* A longer file gives way to a shorter one whole, and to an empty one. */
	assert_int_equal(save(p, "epoch", "", true), 0);
	assert_disk(p, "epoch", "");
}

static void waiting_is_loaded_and_coalesced(void **state)
{
	struct place *p = *state;
	char text[16];
	assert_int_equal(save(p, "peers.cache", "on disk", true), 0);
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "%d", i);
		assert_int_equal(save(p, "peers.cache", text, false), 0);
		assert_int_equal(save(p, "other", text, false), 0);
	}
	assert_disk(p, "peers.cache", "on disk");
	assert_false(there(p, "other"));
	assert_loads(p, "peers.cache", "99");
	assert_true(files_waiting(p->files));
	assert_int_equal(write_all(p), 2);
	assert_false(files_waiting(p->files));
	assert_disk(p, "peers.cache", "99");
	assert_disk(p, "other", "99");
}

static void urgent_overtakes_only_older(void **state)
{
	struct place *p = *state;
	assert_int_equal(save(p, "a", "first", false), 0);
	assert_int_equal(save(p, "b", "waits", false), 0);
	assert_int_equal(save(p, "c", "last", false), 0);
	assert_int_equal(save(p, "a", "urgent", true), 0);
	assert_disk(p, "a", "urgent");
	assert_int_equal(write_all(p), 2); /* the older save of a is gone */
	assert_disk(p, "a", "urgent");
	assert_disk(p, "b", "waits");
	/* The end of the queue was right all the while. */
	assert_int_equal(save(p, "c", "x", false), 0);
	assert_int_equal(save(p, "c", "taken out", true), 0);
	assert_int_equal(save(p, "d", "after", false), 0);
	assert_int_equal(write_all(p), 1);
	assert_disk(p, "c", "taken out");
	assert_disk(p, "d", "after");
}

static void remove_keeps_its_order(void **state)
{
	struct place *p = *state;
	char buf[16];
	assert_int_equal(save(p, "networks/n", "x", true), 0);
	files_remove(p->files, "networks/n");
	assert_int_equal(files_load(p->files, "networks/n", buf, sizeof(buf)), -ENOENT);
	assert_true(there(p, "networks/n"));
	assert_int_equal(write_all(p), 1);
	assert_false(there(p, "networks/n"));
	/* Removed and saved again: it is there. Saved and removed: it is not. */
	files_remove(p->files, "networks/n");
	assert_int_equal(save(p, "networks/n", "again", false), 0);
	assert_int_equal(write_all(p), 1);
	assert_disk(p, "networks/n", "again");
	assert_int_equal(save(p, "networks/n", "no more", false), 0);
	files_remove(p->files, "networks/n");
	assert_int_equal(write_all(p), 1);
	assert_false(there(p, "networks/n"));
	files_remove(p->files, "never/was");
	assert_int_equal(write_all(p), 1);
	assert_false(there(p, "never"));
}

static void bad_names(void **state)
{
	struct place *p = *state;
	char longest[FILES_NAME_MAX + 1], longer[FILES_NAME_MAX + 3], buf[8];
	static const char *const bad[] = {"",   "/",    "/etc/passwd", "..",      "../x",      "a/..", "a/../b", ".",    "./a",
	                                  "a/", "a//b", "a/b/c",       ".hidden", "a/.hidden", "a b",  "a\nb",   "a\\b", "\xc3\xa4"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(save(p, bad[i], "x", true), -EINVAL);
		assert_int_equal(save(p, bad[i], "x", false), -EINVAL);
		assert_int_equal(files_load(p->files, bad[i], buf, sizeof(buf)), -EINVAL);
		files_remove(p->files, bad[i]);
	}
	assert_false(files_waiting(p->files));
	memset(longest, 'x', sizeof(longest));
	longest[FILES_PART_MAX] = '/';
	longest[FILES_NAME_MAX] = '\0';
	assert_int_equal(save(p, longest, "longest", true), 0);
	assert_disk(p, longest, "longest");
	snprintf(longer, sizeof(longer), "%sx", longest);
	assert_int_equal(save(p, longer, "x", true), -EINVAL);
}

static void links_are_not_followed(void **state)
{
	struct place *p = *state;
	char buf[64];
	put(p, "victim", "secret", 6);
	char victim[512];
	strcpy(victim, path(p, "victim"));
	assert_int_equal(symlink(victim, path(p, "link")), 0);
	assert_int_equal(files_load(p->files, "link", buf, sizeof(buf)), -ELOOP);
	/* A draft that points elsewhere is not written through, and the save replaces the link, not what it names. */
	assert_int_equal(symlink(victim, path(p, ".link.new")), 0);
	assert_int_equal(save(p, "link", "mine", true), 0);
	assert_disk(p, "link", "mine");
	assert_disk(p, "victim", "secret");
	/* A folder that is a link is refused. */
	assert_int_equal(mkdir(path(p, "real"), 0700), 0);
	char real[512];
	strcpy(real, path(p, "real"));
	assert_int_equal(symlink(real, path(p, "networks")), 0);
	assert_int_equal(save(p, "networks/x", "x", true), -ENOTDIR);
	assert_false(there(p, "real/x"));
	/* Neither a FIFO nor a folder is a file, and neither holds us. */
	assert_int_equal(mkfifo(path(p, "fifo"), 0600), 0);
	assert_int_equal(files_load(p->files, "fifo", buf, sizeof(buf)), -EINVAL);
	assert_int_equal(files_load(p->files, "real", buf, sizeof(buf)), -EINVAL);
}

static void loads(void **state)
{
	struct place *p = *state;
	char buf[4] = "abc";
	assert_int_equal(files_load(p->files, "none", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(files_load(p->files, "no/ne", buf, sizeof(buf)), -ENOENT);
	put(p, "five", "12345", 5);
	assert_int_equal(files_load(p->files, "five", buf, sizeof(buf)), -EFBIG);
	assert_string_equal(buf, "abc");
	assert_int_equal(save(p, "later", "12345", false), 0);
	assert_int_equal(files_load(p->files, "later", buf, sizeof(buf)), -EFBIG);
	put(p, "four", "1234", 4);
	assert_int_equal(files_load(p->files, "four", buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "1234", 4);
	put(p, "empty", "", 0);
	assert_int_equal(files_load(p->files, "empty", buf, sizeof(buf)), 0);
}

/* A write that breaks off half-way leaves the old file and no draft; the next one succeeds. */
static void never_torn(void **state)
{
	struct place *p = *state;
	static char big[64 * 1024];
	struct rlimit limit, before;
	memset(big, 'x', sizeof(big));
	assert_int_equal(save(p, "state", "old", true), 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = 1000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	int error = files_save(p->files, "state", big, sizeof(big), true);
	int later = files_save(p->files, "state", big, sizeof(big), false);
	unsigned written = write_all(p);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(error, -EFBIG);
	assert_int_equal(later, 0);
	assert_int_equal(written, 1);
	assert_disk(p, "state", "old");
	assert_false(there(p, ".state.new"));
	/* The bytes that could not be written are gone, not sold as saved. */
	assert_loads(p, "state", "old");
	assert_int_equal(files_save(p->files, "state", big, sizeof(big), true), 0);
	struct stat st;
	assert_int_equal(stat(path(p, "state"), &st), 0);
	assert_int_equal(st.st_size, sizeof(big));
}

/* stderr of what f does, as text. */
static size_t log_of(void (*f)(struct place *), struct place *p, char *buf, size_t room)
{
	int saved = dup(2), fd = open(path(p, "log"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	dup2(fd, 2);
	f(p);
	dup2(saved, 2);
	close(saved);
	ssize_t n = pread(fd, buf, room - 1, 0);
	close(fd);
	assert_true(n >= 0);
	buf[n] = '\0';
	return (size_t)n;
}

static unsigned lines(const char *text)
{
	unsigned n = 0;
	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void fail_often(struct place *p)
{
	for (int i = 0; i < 5; i++) {
		assert_int_equal(save(p, "blocked/x", "x", true), -ENOTDIR);
		assert_int_equal(save(p, "blocked/y", "y", true), -ENOTDIR);
	}
}

static void succeed(struct place *p)
{
	assert_int_equal(save(p, "blocked/x", "x", true), 0);
	assert_int_equal(save(p, "blocked/x", "x", true), 0);
}

static void failure_is_logged_once(void **state)
{
	struct place *p = *state;
	char text[4096];
	put(p, "blocked", "a file, not a folder", 20);
	log_of(fail_often, p, text, sizeof(text));
	assert_int_equal(lines(text), 2);
	assert_non_null(strstr(text, "blocked/x"));
	assert_non_null(strstr(text, "blocked/y"));
	assert_non_null(strstr(text, "Not a directory"));
	unlink(path(p, "blocked"));
	log_of(succeed, p, text, sizeof(text));
	assert_int_equal(lines(text), 1);
	assert_non_null(strstr(text, "blocked/x can be written again"));
	nftw(path(p, "blocked"), drop, 8, FTW_DEPTH | FTW_PHYS);
	put(p, "blocked", "", 0);
	log_of(fail_often, p, text, sizeof(text));
	assert_int_equal(lines(text), 1); /* x anew; y never stopped failing */
	assert_non_null(strstr(text, "blocked/x"));
}

static void note_name(void *self, const char *name)
{
	char *names = self;
	strcat(strcat(names, name), " ");
}

static void lists(void **state)
{
	struct place *p = *state;
	char names[512] = "";
	files_list(p->files, "networks", note_name, names);
	assert_string_equal(names, "");
	assert_int_equal(save(p, "networks/one", "1", true), 0);
	assert_int_equal(save(p, "networks/two", "2", false), 0);
	put(p, "networks/.three.new", "torn", 4);
	put(p, "networks/with space", "", 0);
	assert_int_equal(mkdir(path(p, "networks/folder"), 0700), 0);
	files_list(p->files, "networks", note_name, names);
	assert_true(!strcmp(names, "one two ") || !strcmp(names, "two one "));
	files_remove(p->files, "networks/one");
	names[0] = '\0';
	files_list(p->files, "networks", note_name, names);
	assert_string_equal(names, "two ");
	for (int i = 0; i < 2; i++) { /* twice: a reading leaves nothing behind */
		assert_int_equal(save(p, "top", "t", true), 0);
		names[0] = '\0';
		files_list(p->files, "", note_name, names);
		assert_string_equal(names, "top ");
	}
	names[0] = '\0';
	files_list(p->files, "..", note_name, names);
	files_list(p->files, "/etc", note_name, names);
	assert_string_equal(names, "");
}

static void numbers(void **state)
{
	struct place *p = *state;
	static const char *const bad[] = {
	    "", "\n", "12", "12a\n", " 12\n", "-1\n", "4294967296\n", "99999999999\n", "999999999999\n", "12\n\n", "0x10\n", "12\n3\n"};
	uint32_t n = 77;
	assert_false(files_number_load(p->files, "epoch", &n));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put(p, "epoch", bad[i], strlen(bad[i]));
		assert_false(files_number_load(p->files, "epoch", &n));
	}
	put(p, "epoch", "1\0002\n", 4);
	assert_false(files_number_load(p->files, "epoch", &n));
	assert_int_equal(n, 77);
	put(p, "epoch", "12\n", 3);
	assert_true(files_number_load(p->files, "epoch", &n));
	assert_int_equal(n, 12);
	assert_int_equal(files_number_save(p->files, "epoch", UINT32_MAX), 0);
	assert_disk(p, "epoch", "4294967295\n");
	assert_true(files_number_load(p->files, "epoch", &n));
	assert_int_equal(n, UINT32_MAX);
}

static void free_flushes(void **state)
{
	struct place *p = *state;
	assert_int_equal(save(p, "a", "a", false), 0);
	assert_int_equal(save(p, "networks/b", "b", false), 0);
	files_free(p->files);
	p->files = NULL;
	assert_disk(p, "a", "a");
	assert_disk(p, "networks/b", "b");
	assert_int_equal(files_open(&p->files, path(p, "nowhere")), -ENOENT);
	assert_null(p->files);
	assert_int_equal(files_open(&p->files, p->home), 0);
}

static void more_names_than_room(void **state)
{
	struct place *p = *state;
	char name[32];
	for (int i = 0; i < FILES_WAITING_MAX + 3; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(save(p, name, name, false), 0);
	}
	/* Those beyond the maximum went straight to disk; nothing was lost. */
	assert_false(there(p, "n0"));
	assert_disk(p, "n258", "n258");
	assert_int_equal(write_all(p), FILES_WAITING_MAX);
	assert_disk(p, "n0", "n0");
	assert_disk(p, "n255", "n255");
}

struct pen {
	struct files *files;
	_Atomic bool stop;
};

static void *writer(void *self)
{
	struct pen *pen = self;
	while (!atomic_load(&pen->stop))
		if (!files_write(pen->files))
			usleep(50);
	return NULL;
}

/* The order of one name against a writer thread: no load and no urgent save ever meets older bytes. */
static void order_with_a_writer(void **state)
{
	struct place *p = *state;
	struct pen pen = {.files = p->files};
	pthread_t thread;
	char text[16], got[16];
	assert_int_equal(pthread_create(&thread, NULL, writer, &pen), 0);
	for (int i = 0; i < 400; i++) {
		snprintf(text, sizeof(text), "%d", i);
		assert_int_equal(save(p, "state", text, i % 5 == 4), 0);
		if (i % 5 == 4)
			assert_disk(p, "state", text);
		if (i % 7 == 0)
			usleep(200);
		long n = files_load(p->files, "state", got, sizeof(got));
		assert_int_equal(n, strlen(text));
		assert_memory_equal(got, text, (size_t)n);
	}
	atomic_store(&pen.stop, true);
	pthread_join(thread, NULL);
	write_all(p);
	assert_disk(p, "state", "399");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(urgent_is_on_disk),
	    TEST(waiting_is_loaded_and_coalesced),
	    TEST(urgent_overtakes_only_older),
	    TEST(remove_keeps_its_order),
	    TEST(bad_names),
	    TEST(links_are_not_followed),
	    TEST(loads),
	    TEST(never_torn),
	    TEST(failure_is_logged_once),
	    TEST(lists),
	    TEST(numbers),
	    TEST(free_flushes),
	    TEST(more_names_than_room),
	    TEST(order_with_a_writer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
