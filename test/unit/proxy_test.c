/* proxy_test: how a proxy may be written, and what the daemon tells root-line of its TLS port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/base/log.h"
#include "ui/proxy.h"
#include "ui/tls_file.h"

static void test_texts(void **state)
{
	static const struct {
		const char *text, *wanted; /* NULL: refused */
	} cases[] = {
	    {"none", ""},
	    {"proxy:3128", "proxy:3128"},
	    {"http://proxy.example:8080", "proxy.example:8080"},
	    {"http://192.0.2.1:8080/", "192.0.2.1:8080"},
	    {"[2001:db8::1]:3128", "[2001:db8::1]:3128"},
	    {"", NULL},
	    {"proxy", NULL},
	    {"proxy:", NULL},
	    {":3128", NULL},
	    {"proxy:0", NULL},
	    {"proxy:65536", NULL},
	    {"proxy:31x8", NULL},
	    {"proxy:999999999999999999999999999999", NULL},
	    {"https://proxy:3128", NULL},
	    {"http://proxy:3128/path", NULL},
	    {"http://user:word@proxy:3128", NULL},
	    {"pro xy:3128", NULL},
	};
	char got[STREAM_PROXY_MAX];
	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		strcpy(got, "untouched");
		const char *bad = proxy_parse(cases[i].text, got);
		assert_int_equal(bad == NULL, cases[i].wanted != NULL);
		assert_string_equal(got, cases[i].wanted ? cases[i].wanted : "untouched");
	}
	char text[STREAM_PROXY_MAX + 10];
	memset(text, 'a', sizeof(text));
	strcpy(text + sizeof(text) - 5, ":312");
	assert_non_null(proxy_parse(text, got));
}

static void test_environment(void **state)
{
	char got[STREAM_PROXY_MAX];
	(void)state;
	log_level_set(LOG_ERROR);
	unsetenv("https_proxy");
	unsetenv("HTTPS_PROXY");
	proxy_environment(got);
	assert_string_equal(got, "");
	setenv("HTTPS_PROXY", "http://upper:1", 1);
	proxy_environment(got);
	assert_string_equal(got, "upper:1");
	setenv("https_proxy", "http://lower:2", 1);
	proxy_environment(got);
	assert_string_equal(got, "lower:2");
	setenv("https_proxy", "nonsense", 1);
	proxy_environment(got);
	assert_string_equal(got, "");
	setenv("https_proxy", "", 1);
	proxy_environment(got);
	assert_string_equal(got, "");
}

static void put(const char *folder, const char *text)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/tls", folder);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void test_file(void **state)
{
	char folder[] = "/tmp/proxy-test-XXXXXX", path[128];
	struct tls_file tls = {.port = 8443, .pin_set = true}, got = {.port = 1};
	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_false(tls_file_read(folder, &got));
	for (unsigned i = 0; i < 32; i++)
		tls.pin[i] = (uint8_t)(i * 9);
	assert_int_equal(tls_file_write(folder, &tls), 0);
	assert_true(tls_file_read(folder, &got));
	assert_memory_equal(&got, &tls, sizeof(got));
	tls = (struct tls_file){.port = 443};
	assert_int_equal(tls_file_write(folder, &tls), 0);
	assert_true(tls_file_read(folder, &got));
	assert_true(got.port == 443 && !got.pin_set);
	tls.port = 0;
	assert_int_equal(tls_file_write(folder, &tls), 0);
	assert_true(tls_file_read(folder, &got));
	assert_int_equal(got.port, 0);
	static const char *const bad[] = {"", "none", "0 -\n", "65536 -\n", "x\n", "443\n", "443 abc\n", "443 0123456789abcdefg\n"};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put(folder, bad[i]);
		got.port = 77;
		assert_false(tls_file_read(folder, &got));
		assert_int_equal(got.port, 77);
	}
	snprintf(path, sizeof(path), "%s/tls", folder);
	unlink(path);
	assert_int_equal(rmdir(folder), 0);
	assert_true(tls_file_write(folder, &tls) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_texts),
	    cmocka_unit_test(test_environment),
	    cmocka_unit_test(test_file),
	};
	return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
