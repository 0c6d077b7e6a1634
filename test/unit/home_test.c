/* The home: names, folder, lock, identity, socket. Each test has a folder of its own under /tmp. */
#include "ui/home.c"

#include <poll.h>
#include <sys/wait.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "proto/seal.h"

static char why[HOME_WHY];
static char base[64];

static int set_up(void **state)
{
	(void)state;
	snprintf(base, sizeof(base), "/tmp/home_test.XXXXXX");
	return mkdtemp(base) ? 0 : -1;
}

static int tear_down(void **state)
{
	static const char *const names[] = {IDENTITY_NAME, LOCK_NAME, "farland.sock", "target"};
	char path[128];
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", base, names[i]);
		unlink(path);
	}
	return rmdir(base); /* fails when something was left behind, a temp file of the identity for one */
}

static void open_home(struct home *home)
{
	assert_int_equal(home_resolve(home, HOME_NODE, base, why), 0);
	assert_int_equal(home_make(home, why), 0);
}

static const char *in(const char *name)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/%s", base, name);
	return path;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(in(name), O_WRONLY | O_CREAT | O_TRUNC, mode);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static size_t read_file(const char *name, char *buf, size_t room)
{
	int fd = open(in(name), O_RDONLY);
	assert_true(fd >= 0);
	ssize_t n = read(fd, buf, room);
	close(fd);
	assert_true(n >= 0);
	return (size_t)n;
}

static void test_resolve(void **state)
{
	(void)state;
	struct home h = {0};
	char longer[HOME_PATH_MAX + 8];
	unsetenv("FARLAN_HOME");
	assert_int_equal(home_resolve(&h, HOME_NODE, NULL, why), 0);
	assert_false(h.given);
	assert_string_equal(h.dir, "/var/lib/farlan");
	assert_string_equal(h.config, "/etc/farlan/farland.conf");
	assert_string_equal(h.socket, "/run/farlan/farland.sock");
	assert_int_equal(home_resolve(&h, HOME_CONTROLLER, NULL, why), 0);
	assert_string_equal(h.dir, "/var/lib/farlan-controller");
	assert_string_equal(h.config, "/etc/farlan/farlan-controller.conf");
	setenv("FARLAN_HOME", "/x//", 1);
	assert_int_equal(home_resolve(&h, HOME_CONTROLLER, NULL, why), 0);
	assert_true(h.given);
	assert_string_equal(h.socket, "/x/farlan-controller.sock");
	assert_int_equal(home_resolve(&h, HOME_NODE, "/y", why), 0); /* --home comes first */
	assert_string_equal(h.config, "/y/farland.conf");
	unsetenv("FARLAN_HOME");
	assert_int_equal(home_resolve(&h, HOME_NODE, "", why), -EINVAL);
	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	assert_int_equal(home_resolve(&h, HOME_NODE, longer, why), -ENAMETOOLONG);
	assert_string_equal(h.config, "/y/farland.conf");
}

static void test_make(void **state)
{
	(void)state;
	struct home h = {0};
	struct stat st;
	char dir[128];
	snprintf(dir, sizeof(dir), "%s/new", base);
	assert_int_equal(home_resolve(&h, HOME_NODE, dir, why), 0);
	assert_int_equal(home_make(&h, why), 0);
	assert_int_equal(home_make(&h, why), 0);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(home_make(&h, why), -EPERM);
	assert_non_null(strstr(why, "chmod 700"));
	assert_int_equal(rmdir(dir), 0);
	write_file("target", "x", 0600);
	assert_int_equal(home_resolve(&h, HOME_NODE, in("target"), why), 0);
	assert_int_equal(home_make(&h, why), -ENOTDIR);
}

/* flock belongs to the open file, so a second open in this process is as foreign as another program's. */
static void test_lock(void **state)
{
	(void)state;
	struct home one = {0}, two = {0};
	char pid[32];
	open_home(&one);
	assert_int_equal(home_resolve(&two, HOME_CONTROLLER, base, why), 0);
	assert_int_equal(home_lock(&one, why), 0);
	assert_int_equal(home_lock(&two, why), -EBUSY);
	snprintf(pid, sizeof(pid), "(pid %ld)", (long)getpid());
	assert_non_null(strstr(why, "farland is already running"));
	assert_non_null(strstr(why, pid));
	assert_int_equal(two.lock, -1);
	home_unlock(&one);
	assert_int_equal(home_lock(&two, why), 0);
	home_unlock(&two);
}

static void test_identity(void **state)
{
	(void)state;
	struct home h = {0};
	struct secret first, again;
	struct stat st;
	char before[256], after[256];
	bool created = false;
	open_home(&h);
	assert_int_equal(home_identity(&h, &first, &created, why), 0);
	assert_true(created);
	assert_int_equal(stat(in(IDENTITY_NAME), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(home_identity(&h, &again, &created, why), 0);
	assert_false(created);
	assert_memory_equal(&first, &again, sizeof(first));

	/* readable by the group: refused, with the mend */
	assert_int_equal(chmod(in(IDENTITY_NAME), 0640), 0);
	assert_int_equal(home_identity(&h, &again, &created, why), -EPERM);
	assert_non_null(strstr(why, "chmod 600"));
	assert_int_equal(chmod(in(IDENTITY_NAME), 0600), 0);

	/* each kind of damage stops the start and leaves every byte as it is */
	size_t n = read_file(IDENTITY_NAME, before, sizeof(before) - 1);
	for (int damage = 0; damage < 4; damage++) {
		char text[256];
		memcpy(text, before, n);
		text[n] = 0;
		if (damage == 0)
			text[n / 2] = text[n / 2] == 'A' ? 'B' : 'A';
		else if (damage == 1)
			text[n / 2] = 0;
		else if (damage == 2)
			text[0] = 0;
		else
			memcpy(text + n, "more\n", 6);
		write_file(IDENTITY_NAME, text, 0600);
		assert_int_equal(home_identity(&h, &again, &created, why), -EBADMSG);
		assert_non_null(strstr(why, "damaged"));
		assert_int_equal(read_file(IDENTITY_NAME, after, sizeof(after)), strlen(text));
		assert_memory_equal(after, text, strlen(text));
	}
}

static void test_identity_link(void **state)
{
	(void)state;
	struct home h = {0};
	struct secret s;
	bool created = true;
	char target[128];
	open_home(&h);
	write_file("target", "someone's file\n", 0600);
	snprintf(target, sizeof(target), "%s", in("target"));
	assert_int_equal(symlink(target, in(IDENTITY_NAME)), 0);
	assert_int_equal(home_identity(&h, &s, &created, why), -ELOOP);
	assert_int_equal(unlink(in(IDENTITY_NAME)), 0);
	assert_int_equal(mkfifo(in(IDENTITY_NAME), 0600), 0); /* must not hold the start */
	assert_int_equal(home_identity(&h, &s, &created, why), -EBADMSG);
	assert_true(created);
}

/* Two programs that start at once end with one identity. */
static void test_identity_race(void **state)
{
	(void)state;
	struct home h = {0};
	struct secret made, other;
	int dir;
	open_home(&h);
	dir = open(base, O_RDONLY | O_DIRECTORY);
	assert_true(dir >= 0);
	assert_int_equal(secret_generate(&made), 0);
	assert_int_equal(secret_generate(&other), 0);
	assert_int_equal(identity_write(&h, dir, &made, why), 0);
	assert_int_equal(identity_write(&h, dir, &other, why), -EEXIST);
	assert_int_equal(identity_read(&h, dir, &other, why), 0);
	assert_memory_equal(&made, &other, sizeof(made));
	close(dir);
}

static void connects(const char *name, int expect)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", name);
	int rc = connect(fd, (struct sockaddr *)&sa, sizeof(sa));
	assert_int_equal(rc < 0 ? errno : 0, expect);
	close(fd);
}

static void test_listen(void **state)
{
	(void)state;
	struct home h = {0};
	struct stat st;
	open_home(&h);
	int fd = home_listen(&h, why);
	assert_true(fd >= 0);
	assert_int_equal(stat(h.socket, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	connects(h.socket, 0);
	close(fd);
	connects(h.socket, ECONNREFUSED); /* stale: replaced by the next */
	fd = home_listen(&h, why);
	assert_true(fd >= 0);
	connects(h.socket, 0);
	close(fd);
	home_unlisten(&h);
	assert_int_equal(stat(h.socket, &st), -1);
	write_file("farland.sock", "not a socket", 0600);
	assert_int_equal(home_listen(&h, why), -EEXIST);
	assert_int_equal(stat(h.socket, &st), 0);
}

/* A folder longer than sockaddr_un works too. */
static void test_listen_long(void **state)
{
	(void)state;
	struct home h = {0};
	char dir[320], name[108];
	int at;
	memset(dir, 0, sizeof(dir));
	snprintf(dir, sizeof(dir), "%s/", base);
	memset(dir + strlen(dir), 'd', 200);
	assert_int_equal(home_resolve(&h, HOME_NODE, dir, why), 0);
	assert_int_equal(home_make(&h, why), 0);
	int fd = home_listen(&h, why);
	assert_true(fd >= 0);
	assert_int_equal(home_socket_name(&h, name, &at), 0);
	assert_true(at >= 0);
	connects(name, 0);
	close(at);
	close(fd);
	home_unlisten(&h);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_resolve), T(test_make),          T(test_lock),   T(test_identity),
	    T(test_identity_link),          T(test_identity_race), T(test_listen), T(test_listen_long),
	};
	umask(077);
	if (seal_setup() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
