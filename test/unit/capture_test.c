/* Capture files read back with libpcap's own reader; which frames a filter takes. */
#include "tap/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap.h>
#include <setjmp.h>
#include <stdarg.h>
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
		assert_true(capture_frame(c, START_US + i, frame, frame_make(frame, (uint8_t)i, 0x88b5, frame_bytes[i]), frame_bytes[i]));
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
		if (!c || fstat(file, &before) < 0 || !capture_frame(c, START_US, frame, frame_make(frame, 0, 0x88b5, 60), 60))
			_exit(1);
		if (fstat(file, &after) < 0 || after.st_size - before.st_size < 60)
			_exit(2);
		for (unsigned i = 1; i < 3; i++)
			if (!capture_frame(c, START_US + i, frame, frame_make(frame, (uint8_t)i, 0x88b5, frame_bytes[i]), frame_bytes[i]))
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
	assert_true(capture_frame(c, 0, frame, 60, 60));
	assert_int_equal(capture_close(c), -ENOSPC);
	c = capture_open("/dev/full", &why);
	assert_false(capture_frame(c, 0, frame, sizeof(frame), sizeof(frame)));
	assert_true(capture_close(c) < 0);
}

static void test_filter(void **state)
{
	(void)state;
	static uint8_t frame[100];
	const char *why = NULL;
	struct capture_filter *f = capture_filter_new("ether proto 0x88b6 and greater 80", &why), *all = capture_filter_new("", &why);
	assert_true(f && all && !why);
	uint32_t n = frame_make(frame, 1, 0x88b6, 100);
	assert_true(capture_filter_match(f, frame, n, n));
	assert_true(capture_filter_match(f, frame, 60, 100)); /* cut: its own length counts */
	assert_false(capture_filter_match(f, frame, 60, 60));
	n = frame_make(frame, 1, 0x88b5, 100);
	assert_false(capture_filter_match(f, frame, n, n));
	assert_true(capture_filter_match(all, frame, n, n));
	assert_true(capture_filter_match(all, frame, 0, 0));
	assert_false(capture_filter_match(f, frame, 0, 0));
	capture_filter_free(f);
	capture_filter_free(all);
	capture_filter_free(NULL);
	assert_null(capture_filter_new("no such word", &why));
	assert_non_null(strstr(why, "filter: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_file),
	    cmocka_unit_test(test_standard_output),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_filter),
	};
	alarm(60);
	return cmocka_run_group_tests_name("capture", tests, NULL, NULL);
}
