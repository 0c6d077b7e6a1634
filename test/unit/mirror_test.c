/* Copies for those who watch: what they say, who is left out, when the sockets close. */
#include "tap/mirror.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static uint8_t bytes[sizeof(struct mirror_head) + MIRROR_BYTES_MAX + 1], frame[65535];

static const char *name_of(unsigned i)
{
	static char name[MIRROR_NAME_MAX];
	snprintf(name, sizeof(name), "%stest-%d-%u", MIRROR_NAME, (int)getpid(), i);
	return name;
}

static int listener(unsigned i)
{
	struct sockaddr_un here = {.sun_family = AF_UNIX};
	size_t n = strlen(name_of(i));
	memcpy(here.sun_path + 1, name_of(i), n);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&here, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)), 0);
	return fd;
}

static struct mirror_head copy_at(int fd, size_t len)
{
	struct mirror_head h;
	assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), sizeof(h) + len);
	memcpy(&h, bytes, sizeof(h));
	assert_memory_equal(bytes + sizeof(h), frame, len);
	return h;
}

static void copies(void **state)
{
	(void)state;
	struct mirrors *one = NULL, *two = NULL, *left = NULL, *none = (struct mirrors *)frame;
	for (unsigned i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7);
	assert_int_equal(mirrors_next(NULL, name_of(0), &one), -ECONNREFUSED);
	assert_int_equal(mirrors_next(NULL, "someone-else", &one), -EINVAL);
	char longer[200];
	memset(longer, 'x', sizeof(longer) - 1);
	memcpy(longer, MIRROR_NAME, strlen(MIRROR_NAME));
	longer[sizeof(longer) - 1] = 0;
	assert_int_equal(mirrors_next(NULL, longer, &one), -EINVAL);
	assert_null(one);
	int a = listener(0), b = listener(1);
	assert_int_equal(mirrors_next(NULL, name_of(0), &one), 0);
	assert_int_equal(mirrors_next(one, name_of(1), &two), 0);
	mirrors_free(one); /* a's socket goes on in the next set */
	mirrors_copy(two, MIRROR_OUT, DROP_STORM, frame, 60);
	mirrors_copy(two, MIRROR_IN, DROP_NONE, frame, sizeof(frame));
	for (int i = 0; i < 2; i++) {
		struct mirror_head h = copy_at(i ? b : a, 60);
		assert_true(h.way == MIRROR_OUT && h.verdict == DROP_STORM && h.wire_len == 60 && !h.lost && h.time_us > 1700000000000000);
		h = copy_at(i ? b : a, MIRROR_BYTES_MAX);
		assert_true(h.way == MIRROR_IN && h.verdict == DROP_NONE && h.wire_len == sizeof(frame));
	}
	assert_false(mirrors_stale(two));
	close(a);
	mirrors_copy(two, MIRROR_IN, DROP_NONE, frame, 60);
	assert_true(mirrors_stale(two));
	copy_at(b, 60);
	assert_int_equal(mirrors_next(two, NULL, &left), 0);
	assert_int_equal(mirrors_count(left), 1);
	mirrors_free(two);
	/* Who does not read loses copies, and is told how many; nobody waits for him. */
	unsigned sent = 0, got = 0;
	for (; sent < 100000; sent++)
		mirrors_copy(left, MIRROR_IN, DROP_NONE, frame, 1500);
	while (recv(b, bytes, sizeof(bytes), 0) > 0)
		got++;
	assert_true(got > 0 && got < sent);
	mirrors_copy(left, MIRROR_IN, DROP_NONE, frame, 60);
	assert_int_equal(copy_at(b, 60).lost, sent - got);
	close(b);
	mirrors_copy(left, MIRROR_IN, DROP_NONE, frame, 60);
	assert_int_equal(mirrors_next(left, NULL, &none), 0);
	assert_null(none);
	mirrors_free(left);
	mirrors_free(NULL);
}

static void few(void **state)
{
	(void)state;
	struct mirrors *m = NULL, *next;
	int fd[MIRRORS_MAX + 1];
	for (unsigned i = 0; i < MIRRORS_MAX; i++) {
		fd[i] = listener(10 + i);
		assert_int_equal(mirrors_next(m, name_of(10 + i), &next), 0);
		mirrors_free(m);
		m = next;
	}
	fd[MIRRORS_MAX] = listener(99);
	assert_int_equal(mirrors_next(m, name_of(99), &next), -ENOSPC);
	assert_int_equal(mirrors_count(m), MIRRORS_MAX);
	mirrors_free(m);
	for (unsigned i = 0; i <= MIRRORS_MAX; i++)
		close(fd[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(copies), cmocka_unit_test(few)};
	return cmocka_run_group_tests_name("mirror", tests, NULL, NULL);
}
