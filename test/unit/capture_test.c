/* Capture files read back with libpcap's own reader; live capture on a TAP device in a namespace of
 * its own. */
#include "tap/capture.h"
#include "tap/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define START_US 1700000000999999ull

static const uint32_t frame_bytes[3] = {60, 1522, 9018};
static const char *no_root;

static int private_net(void **state)
{
	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", F_OK) < 0)
		no_root = "no namespace of our own or no /dev/net/tun";
	return 0;
}

static uint32_t frame_make(uint8_t *f, uint8_t mark, uint16_t ethertype, uint32_t len)
{
	memset(f, 0xff, 6);
	memcpy(f + 6, (const uint8_t[]){2, 0, 0, 0, 0, 9, (uint8_t)(ethertype >> 8), (uint8_t)ethertype}, 8);
	for (uint32_t i = 14; i < len; i++)
		f[i] = (uint8_t)(mark + i);
	return len;
}

/* Reads the file of three frames back and compares all that was written. */
static void file_check(const char *path)
{
	static uint8_t frame[9018];
	char text[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *h;
	const u_char *data;
	pcap_t *p = pcap_open_offline(path, text);
	if (!p)
		fail_msg("%s", text);
	assert_int_equal(pcap_datalink(p), DLT_EN10MB);
	assert_int_equal(pcap_get_tstamp_precision(p), PCAP_TSTAMP_PRECISION_MICRO);
	for (unsigned i = 0; i < 3; i++) {
		frame_make(frame, (uint8_t)i, 0x88b5, frame_bytes[i]);
		assert_int_equal(pcap_next_ex(p, &h, &data), 1);
		assert_int_equal(h->caplen, frame_bytes[i]);
		assert_int_equal(h->len, frame_bytes[i]);
		assert_memory_equal(data, frame, frame_bytes[i]);
		assert_int_equal((uint64_t)h->ts.tv_sec * 1000000 + (uint64_t)h->ts.tv_usec, START_US + i);
	}
	assert_int_equal(pcap_next_ex(p, &h, &data), PCAP_ERROR_BREAK);
	pcap_close(p);
}

static void file_write(struct capture *c)
{
	static uint8_t frame[9018];
	for (unsigned i = 0; i < 3; i++)
		assert_true(capture_frame(c, START_US + i, frame, frame_make(frame, (uint8_t)i, 0x88b5, frame_bytes[i])));
}

static void test_file(void **state)
{
	(void)state;
	char path[] = "/tmp/capture_test.XXXXXX";
	const char *why = "untouched";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	struct capture *c = capture_open(path, &why);
	assert_non_null(c);
	assert_string_equal(why, "untouched");
	file_write(c);
	assert_int_equal(capture_close(c), 0);
	file_check(path);
	unlink(path);
	assert_int_equal(capture_close(NULL), 0);
}

/* "-" is standard output, and each frame is there at once. In a child, since closing it closes
 * standard output. */
static void test_standard_output(void **state)
{
	(void)state;
	char path[] = "/tmp/capture_test.XXXXXX";
	static uint8_t frame[9018];
	int file = mkstemp(path), status = -1;
	assert_true(file >= 0);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		const char *why = NULL;
		struct stat before, after;
		dup2(file, STDOUT_FILENO);
		struct capture *c = capture_open("-", &why);
		if (!c || fstat(file, &before) < 0 || !capture_frame(c, START_US, frame, frame_make(frame, 0, 0x88b5, 60)))
			_exit(1);
		if (fstat(file, &after) < 0 || after.st_size - before.st_size < 60)
			_exit(2);
		for (unsigned i = 1; i < 3; i++)
			if (!capture_frame(c, START_US + i, frame, frame_make(frame, (uint8_t)i, 0x88b5, frame_bytes[i])))
				_exit(3);
		_exit(capture_close(c) < 0 ? 4 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	file_check(path);
	close(file);
	unlink(path);
}

static void test_errors(void **state)
{
	(void)state;
	const char *why = NULL;
	static uint8_t frame[60000];
	assert_null(capture_open("/nonexistent/x.pcap", &why));
	assert_non_null(strstr(why, "No such file"));
	/* A full disk is told, by the frame that meets it or at the end. */
	struct capture *c = capture_open("/dev/full", &why);
	assert_non_null(c);
	assert_true(capture_frame(c, 0, frame, 60));
	assert_int_equal(capture_close(c), -ENOSPC);
	c = capture_open("/dev/full", &why);
	assert_false(capture_frame(c, 0, frame, sizeof(frame)));
	assert_true(capture_close(c) < 0);
}

struct watch {
	struct tap *tap;
	atomic_uint got, asked;
	unsigned enough, limit;
	uint32_t len, wire_len;
	uint64_t time_us;
	uint8_t frame[2048];
};

static bool watch_each(void *self, uint64_t time_us, const uint8_t *frame, uint32_t len, uint32_t wire_len)
{
	struct watch *w = self;
	memcpy(w->frame, frame, len < sizeof(w->frame) ? len : sizeof(w->frame));
	w->len = len;
	w->wire_len = wire_len;
	w->time_us = time_us;
	return ++w->got < w->enough;
}

/* Asked before the first frame can come: feeds the device, then says when to give up. */
static bool watch_stop(void *self)
{
	struct watch *w = self;
	uint8_t f[3][100];
	struct packet p[3];
	if (w->asked++ == 0 && w->tap) {
		for (unsigned i = 0; i < 3; i++)
			p[i] = (struct packet){.data = f[i], .len = frame_make(f[i], (uint8_t)i, i == 1 ? 0x88b6 : 0x88b5, 100)};
		tap_write(w->tap, 0, p, 3);
	}
	return w->asked > w->limit;
}

static struct tap *device(void)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	char name[TAP_NAME_MAX];
	struct tap *t = NULL;
	int err = tap_open(&t, "ca0", 1, mac, 1500, 0, name);
	if (err)
		fail_msg("%s", tap_why(err));
	assert_int_equal(tap_up(t, true), 0);
	return t;
}

static void test_live(void **state)
{
	(void)state;
	if (no_root) {
		print_message("skipped: %s\n", no_root);
		skip();
	}
	const char *why = NULL;
	uint8_t wanted[100];
	struct tap *t = device();
	/* The filter takes the second frame alone. */
	struct watch w = {.tap = t, .enough = 1, .limit = 20};
	assert_int_equal(capture_live("ca0", "ether proto 0x88b6", watch_each, watch_stop, &w, &why), 0);
	assert_int_equal(w.got, 1);
	assert_int_equal(w.len, 100);
	assert_int_equal(w.wire_len, 100);
	assert_true(w.time_us > START_US);
	frame_make(wanted, 1, 0x88b6, 100);
	assert_memory_equal(w.frame, wanted, 100);
	/* each says when it has enough: no frame after that. */
	w = (struct watch){.tap = t, .enough = 2, .limit = 20};
	assert_int_equal(capture_live("ca0", "ether proto 0x88b5 or ether proto 0x88b6", watch_each, watch_stop, &w, &why), 0);
	assert_int_equal(w.got, 2);
	/* stop is asked although nothing comes. */
	w = (struct watch){.enough = 1, .limit = 2};
	assert_int_equal(capture_live("ca0", "ether proto 0x1234", watch_each, watch_stop, &w, &why), 0);
	assert_int_equal(w.asked, 3);
	assert_int_equal(w.got, 0);

	assert_null(why);
	assert_int_equal(capture_live("ca0", "no such word", watch_each, watch_stop, &w, &why), -1);
	assert_non_null(strstr(why, "filter: "));
	assert_int_equal(capture_live("none9", "", watch_each, watch_stop, &w, &why), -1);
	assert_true(strlen(why) > 5);
	tap_close(t);
}

static bool deleting_stop(void *self)
{
	struct watch *w = self;
	if (w->asked++ == 2) {
		tap_close(w->tap);
		w->tap = NULL;
	}
	return w->asked > w->limit;
}

static void test_live_device_gone(void **state)
{
	(void)state;
	if (no_root) {
		print_message("skipped: %s\n", no_root);
		skip();
	}
	const char *why = NULL;
	struct watch w = {.tap = device(), .enough = 1000, .limit = 50};
	assert_int_equal(capture_live("ca0", NULL, watch_each, deleting_stop, &w, &why), 0);
	assert_true(w.asked < w.limit);
	assert_null(w.tap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_file), cmocka_unit_test(test_standard_output),  cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_live), cmocka_unit_test(test_live_device_gone),
	};
	alarm(60);
	return cmocka_run_group_tests_name("capture", tests, private_net, NULL);
}
