/* The config reader: what it takes, and where, why and with what mend it refuses. */
#include "ui/options.c"
#include "ui/home.c"
#include "ui/config.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define KEY    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw"
#define ROOT_A "fln1:7f3a91c04e:" KEY "@192.0.2.1:9993"
#define ROOT_B "fln1:7f3a91c04e:" KEY "@192.0.2.2:9993"
#define GATE   "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"

static char why[CONFIG_WHY];

static bool parse(struct config *c, enum home_kind kind, const char *text)
{
	return config_parse(c, kind, "farland.conf", text, strlen(text), NULL, why);
}

static void refused(enum home_kind kind, const char *text, const char *begins, const char *holds)
{
	struct config c, before;
	config_init(&c);
	before = c;
	assert_false(parse(&c, kind, text));
	if (strncmp(why, begins, strlen(begins)) != 0 || !strstr(why, holds))
		fail_msg("\"%s\" gave: %s", text, why);
	assert_memory_equal(&c, &before, sizeof(c));
}

static void test_all_keys(void **state)
{
	(void)state;
	struct config c;
	config_init(&c);
	assert_true(parse(
	    &c, HOME_NODE,
	    "\xef\xbb\xbf# a comment\r\n\n  ; another\nlisten = 0.0.0.0:9993\nlisten=[::]:9993\t\n"
	    "\troot = yes\r\nroot-gate = " GATE
	    "\nworkers = 16\nsuite = chacha\nbackend = libsodium\noffload = none\nport-mapping = none\nlan-discovery = no\nlog = debug\n"
	    "add-root = " ROOT_A "\nadd-root = " ROOT_B "\nadd-root = " ROOT_A));
	assert_int_equal(c.n_listen, 2);
	assert_int_equal(c.listen[0].family, 4);
	assert_int_equal(c.listen[1].family, 6);
	assert_true(c.root);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(c.root_gate[i], i + 1);
	assert_int_equal(c.workers, 16);
	assert_int_equal(c.suite, SUITE_CHACHA20_POLY1305);
	assert_string_equal(c.backend, "libsodium");
	assert_true(c.no_offload);
	assert_true(c.no_mapping);
	assert_true(c.no_lan);
	assert_int_equal(c.log, LOG_DEBUG);
	assert_int_equal(c.n_roots, 2); /* the same line twice is one root */

	config_init(&c);
	assert_string_equal(c.backend, "auto");
	assert_true(parse(&c, HOME_NODE, "backend = ipsec-mb\n"));
	assert_string_equal(c.backend, "ipsec-mb");
	assert_true(parse(&c, HOME_NODE, "backend = avx2\n"));
	assert_string_equal(c.backend, "avx2");
	assert_true(parse(&c, HOME_NODE, "backend = vaes\n"));
	assert_string_equal(c.backend, "vaes");
	assert_true(parse(&c, HOME_NODE, "backend = auto\n"));
	assert_false(c.tls_none || c.tls.family || c.proxy_set || c.fallback != FALLBACK_AUTO || *c.tls_cert);
	assert_int_equal(c.tls.port, 443);
	assert_true(parse(&c, HOME_NODE, "tls = 8443\nfallback = only\nproxy = http://proxy.example:3128/\ntls-cert = /etc/a.pem\n"));
	assert_true(c.tls.family == 0 && c.tls.port == 8443 && c.fallback == FALLBACK_ONLY && c.proxy_set);
	assert_string_equal(c.proxy, "proxy.example:3128");
	assert_string_equal(c.tls_cert, "/etc/a.pem");
	assert_true(parse(&c, HOME_NODE, "tls = [2001:db8::1]:444\nfallback = none\nproxy = none\n"));
	assert_true(c.tls.family == 6 && c.tls.port == 444 && c.fallback == FALLBACK_NONE && !*c.proxy && !c.tls_none);
	assert_true(parse(&c, HOME_NODE, "tls = none\nfallback = auto\n"));
	assert_true(c.tls_none && c.fallback == FALLBACK_AUTO);
	assert_true(parse(&c, HOME_CONTROLLER, "fallback = only\nproxy = 192.0.2.1:8080\n"));
	assert_false(c.no_spray);
	assert_true(parse(&c, HOME_NODE, "spray = no\n") && c.no_spray);
	assert_true(parse(&c, HOME_CONTROLLER, "spray = yes\n") && !c.no_spray);
	assert_false(parse(&c, HOME_NODE, "spray = 1\n"));
	assert_false(c.no_relay);
	assert_false(c.relay_rate_set);
	assert_true(parse(&c, HOME_NODE, "relay = no\nrelay-rate = 50M\nrelay-total = 800k\n"));
	assert_true(c.no_relay && c.relay_rate_set);
	assert_int_equal(c.relay_rate, 50000000);
	assert_int_equal(c.relay_total, 800000);
	assert_true(parse(&c, HOME_NODE, "relay = yes\nrelay-rate = 0\nrelay-total = 2G\n"));
	assert_true(!c.no_relay && c.relay_rate_set && !c.relay_rate);
	assert_true(c.relay_total == 2000000000);
	assert_true(parse(&c, HOME_NODE, "relay-rate = 64000\n"));
	assert_int_equal(c.relay_rate, 64000);
	assert_false(c.no_lan);
	assert_true(parse(&c, HOME_NODE, "lan-discovery = no\n"));
	assert_true(c.no_lan);
	assert_true(parse(&c, HOME_NODE, "lan-discovery = yes\n"));
	assert_false(c.no_lan);
	assert_false(c.no_mapping);
	assert_true(parse(&c, HOME_NODE, "port-mapping = none\n"));
	assert_true(c.no_mapping);
	assert_true(parse(&c, HOME_NODE, "port-mapping = auto\n"));
	assert_false(c.no_mapping);
	assert_false(c.no_offload);
	assert_true(parse(&c, HOME_NODE, "offload = none\n"));
	assert_true(c.no_offload);
	assert_true(parse(&c, HOME_NODE, "offload = auto\n"));
	assert_false(c.no_offload);
	assert_false(c.no_affinity);
	assert_true(parse(&c, HOME_NODE, "affinity = none\n"));
	assert_true(c.no_affinity);
	assert_true(parse(&c, HOME_NODE, "affinity = auto\n"));
	assert_false(c.no_affinity);
	refused(HOME_NODE, "affinity = 2\n", "farland.conf:1:12: error: ", "auto or none");
	assert_string_equal(c.backend, "auto");

	config_init(&c);
	assert_int_equal(c.http.port, 8080);
	assert_true(parse(&c, HOME_CONTROLLER, "members-max = 10240\npending-max = 100000\njoin-rate = 6000\n"));
	assert_true(c.limits.members == 10240 && c.limits.pending == 100000 && c.limits.joins == 6000);
	assert_true(parse(&c, HOME_CONTROLLER, "http = none\n"));
	assert_int_equal(c.http.family, 0);
	assert_true(parse(&c, HOME_CONTROLLER, "http = 127.0.0.1:81\n"));
	assert_int_equal(c.http.port, 81);
}

/* Files of root sets: beside the config, each once, four at most. */
static void test_sets(void **state)
{
	(void)state;
	struct config c;
	static const char text[] = "root-set = a.frs\nroot-set = /b/c.frs\nroot-set = a.frs\n";
	config_init(&c);
	assert_true(config_parse(&c, HOME_CONTROLLER, "farlan-controller.conf", text, strlen(text), "/etc/farlan", why));
	assert_int_equal(c.n_sets, 2);
	assert_string_equal(c.sets[0], "/etc/farlan/a.frs");
	assert_string_equal(c.sets[1], "/b/c.frs");
	refused(HOME_NODE, "root-set = 1\nroot-set = 2\nroot-set = 3\nroot-set = 4\nroot-set = 5\n",
	        "farland.conf:5:12: error: ", "at most 4");
	refused(HOME_NODE, "root-set =\n", "farland.conf:1:11: error: ", "missing");
	config_fini(&c);
}

static void test_addresses(void **state)
{
	(void)state;
	struct config c;
	char text[64];
	config_init(&c);
	assert_int_equal(c.n_external + c.n_avoid, 0);
	assert_true(parse(&c, HOME_NODE,
	                  "external = 203.0.113.5:40000\nexternal = [2001:db8::5]:9993\nexternal = 203.0.113.5:40000\n"
	                  "avoid = 10.8.0.0/16\navoid = fd00:8::/32\navoid = 192.0.2.7\navoid = 10.8.0.0/16\navoid = 10.8.0.0/17\n"));
	assert_int_equal(c.n_external, 2); /* twice the same is one */
	endpoint_format(&c.external[0], text, sizeof(text));
	assert_string_equal(text, "203.0.113.5:40000");
	endpoint_format(&c.external[1], text, sizeof(text));
	assert_string_equal(text, "[2001:db8::5]:9993");
	assert_int_equal(c.n_avoid, 4);
	static const char *const avoided[] = {"10.8.0.0/16", "fd00:8::/32", "192.0.2.7/32", "10.8.0.0/17"};
	for (unsigned i = 0; i < 4; i++) {
		prefix_format(&c.avoid[i], text, sizeof(text));
		assert_string_equal(text, avoided[i]);
	}
	config_init(&c);
	assert_true(parse(&c, HOME_CONTROLLER, "external = 203.0.113.5:1\navoid = 0.0.0.0/0\n"));
	assert_true(c.n_external == 1 && c.n_avoid == 1 && c.avoid[0].bits == 0 && c.avoid[0].family == 4);
	static const char *const nowhere[] = {"203.0.113.5", "0.0.0.0:1",   "127.0.0.1:1",  "169.254.1.1:1",
	                                      "[fe80::1]:1", "224.0.0.1:1", "example.org:1"};
	for (unsigned i = 0; i < sizeof nowhere / sizeof *nowhere; i++) {
		char line[64];
		snprintf(line, sizeof line, "external = %s\n", nowhere[i]);
		refused(HOME_NODE, line, "farland.conf:1:12: error: ", "where others reach this node");
	}
	refused(HOME_NODE, "external = 9.0.0.1:1\nexternal = 9.0.0.2:1\nexternal = 9.0.0.3:1\nexternal = 9.0.0.4:1\nexternal = 9.0.0.5:1\n",
	        "farland.conf:5:12: error: ", "at most 4");
	refused(HOME_NODE, "avoid = 10.8.0.1/16\n", "farland.conf:1:9: error: ", "without bits behind");
	refused(HOME_NODE, "avoid = eth0\n", "farland.conf:1:9: error: ", "10.8.0.0/16");
	static char many[1024];
	for (int i = 0, n = 0; i <= AVOID_MAX; i++)
		n += snprintf(many + n, sizeof(many) - (size_t)n, "avoid = 10.%d.0.0/16\n", i);
	refused(HOME_NODE, many, "farland.conf:17:9: error: ", "at most 16");
}

static void test_refusals(void **state)
{
	(void)state;
	refused(HOME_NODE, "log = info\nlisen = 1.2.3.4:5\n", "farland.conf:2:1: error: ", "did you mean \"listen\"?");
	refused(HOME_NODE, "  wrokers = 3\n", "farland.conf:1:3: error: ", "did you mean \"workers\"?");
	refused(HOME_NODE, "zzzzzzzz = 3\n", "farland.conf:1:1: error: unknown key \"zzzzzzzz\"", "");
	refused(HOME_NODE, "http = 1.2.3.4:5\n", "farland.conf:1:1: error: ", "key of farlan-controller.conf");
	refused(HOME_CONTROLLER, "members-max = 10241\n", "farland.conf:1:15: error: ", "from 1 to 10240");
	refused(HOME_CONTROLLER, "members-max = 0\n", "farland.conf:1:15: error: ", "from 1 to 10240");
	refused(HOME_CONTROLLER, "pending-max = -1\n", "farland.conf:1:15: error: ", "from 1 to 100000");
	refused(HOME_CONTROLLER, "join-rate = 10s\n", "farland.conf:1:13: error: ", "from 1 to 6000");
	refused(HOME_NODE, "join-rate = 10\n", "farland.conf:1:1: error: ", "key of farlan-controller.conf");
	refused(HOME_CONTROLLER, "workers = 1\n", "farland.conf:1:1: error: ", "key of farland.conf");
	refused(HOME_NODE, "listen = 1.2.3.4\n", "farland.conf:1:10: error: ", "looks like");
	refused(HOME_NODE, "workers = 17\n", "farland.conf:1:11: error: ", "1 to 16");
	refused(HOME_NODE, "workers = 1x\n", "farland.conf:1:12: error: ", "1 to 16");
	refused(HOME_NODE, "workers = 0\n", "farland.conf:1:11: error: ", "1 to 16");
	refused(HOME_NODE, "suite = gcm\n", "farland.conf:1:9: error: ", "auto, aes or chacha");
	refused(HOME_NODE, "backend = openssl\n", "farland.conf:1:11: error: ", "auto, libsodium, ipsec-mb, avx2 or vaes");
	refused(HOME_NODE, "backend = Auto\n", "farland.conf:1:11: error: ", "auto, libsodium, ipsec-mb, avx2 or vaes");
	refused(HOME_NODE, "relay = maybe\n", "farland.conf:1:9: error: ", "yes or no");
	static const char *const rates[] = {
	    "50 M", "50m", "M", "63999", "1001G", "-1", "50MM", "1.5M", "99999999999999999999", "0x10", "18446744073709551G"};
	for (unsigned i = 0; i < sizeof rates / sizeof *rates; i++) {
		char line[64];
		snprintf(line, sizeof line, "relay-rate = %s\n", rates[i]);
		refused(HOME_NODE, line, "farland.conf:1:14: error: ", "bits per second");
	}
	refused(HOME_NODE, "relay-total = fast\n", "farland.conf:1:15: error: ", "bits per second");
	refused(HOME_CONTROLLER, "relay-rate = 50M\n", "farland.conf:1:1: error: ", "key of farland.conf");
	refused(HOME_NODE, "lan-discovery = none\n", "farland.conf:1:17: error: ", "yes or no");
	refused(HOME_CONTROLLER, "lan-discovery = no\n", "farland.conf:1:1: error: ", "key of farland.conf");
	refused(HOME_NODE, "port-mapping = yes\n", "farland.conf:1:16: error: ", "auto or none");
	refused(HOME_CONTROLLER, "port-mapping = none\n", "farland.conf:1:1: error: ", "key of farland.conf");
	refused(HOME_NODE, "offload = yes\n", "farland.conf:1:11: error: ", "auto or none");
	refused(HOME_NODE, "tls = 0\n", "farland.conf:1:7: error: ", "a port like 443");
	refused(HOME_NODE, "tls = 65536\n", "farland.conf:1:7: error: ", "a port like 443");
	refused(HOME_NODE, "tls = yes\n", "farland.conf:1:7: error: ", "a port like 443");
	refused(HOME_NODE, "fallback = always\n", "farland.conf:1:12: error: ", "auto, none or only");
	refused(HOME_NODE, "proxy = ftp://x\n", "farland.conf:1:9: error: ", "HOST:PORT");
	refused(HOME_NODE, "proxy = a:b@c:1\n", "farland.conf:1:9: error: ", "password");
	refused(HOME_CONTROLLER, "tls = 443\n", "farland.conf:1:1: error: ", "is a key of farland.conf");
	refused(HOME_CONTROLLER, "backend = auto\n", "farland.conf:1:1: error: ", "key of farland.conf");
	refused(HOME_NODE, "root = maybe\n", "farland.conf:1:8: error: ", "yes or no");
	refused(HOME_NODE, "root = yes\nlog = info\nroot = no\n", "farland.conf:3:1: error: ", "line 1");
	refused(HOME_NODE, "log =\n", "farland.conf:1:6: error: ", "missing");
	refused(HOME_NODE, "[node]\n", "farland.conf:1:1: error: ", "reserved");
	refused(HOME_NODE, "listen\n", "farland.conf:1:1: error: ", "key = value");
	refused(HOME_NODE, "add-root = " ROOT_A "x\n", "farland.conf:1:115: error: ", "looks like");
	refused(HOME_NODE, "add-root = @roots\n", "farland.conf:1:12: error: ", "@FILE");
	refused(HOME_NODE, "root-gate = " GATE "A\n", "farland.conf:1:13: error: ", "43 characters");
	/* 43 characters whose last carries bits beyond the 32nd byte: two spellings of one gate are not taken */
	refused(HOME_NODE, "root-gate = AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyB\n", "farland.conf:1:13: error: ", "43 characters");
	refused(HOME_NODE, "root-gate = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", "farland.conf:1:13: error: ", "43 characters");
	refused(HOME_NODE, "\x1b[31m = 1\n", "farland.conf:1:1: error: unknown key \"\\x1b[31m\"", "\\x1b");
}

static void test_secret_is_not_shown(void **state)
{
	(void)state;
	struct config c;
	config_init(&c);
	assert_false(parse(&c, HOME_NODE, "root-gate = " GATE "A\n"));
	assert_null(strstr(why, GATE));
	assert_false(parse(&c, HOME_NODE, "add-root = " ROOT_A "#gate=" GATE "A\n"));
	assert_null(strstr(why, GATE));
}

static void test_lengths(void **state)
{
	(void)state;
	static char text[CONFIG_LINE_MAX + 32];
	struct config c;
	config_init(&c);
	/* exactly the longest line, and one more byte */
	memset(text, '#', CONFIG_LINE_MAX);
	memcpy(text + CONFIG_LINE_MAX, "\nlog = info", 12);
	assert_true(parse(&c, HOME_NODE, text));
	assert_int_equal(c.log, LOG_INFO);
	memset(text, '#', CONFIG_LINE_MAX + 1);
	text[CONFIG_LINE_MAX + 1] = 0;
	refused(HOME_NODE, text, "farland.conf:1:4097: error: ", "4096");
	assert_false(config_parse(&c, HOME_NODE, "f", "log\0= info\n", 11, NULL, why));
	assert_true(!strncmp(why, "f:1:4: error: ", 14));
	assert_true(config_parse(&c, HOME_NODE, "f", "", 0, NULL, why));
	for (int i = 0, n = 0; i < CONFIG_LISTEN_MAX + 1; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "listen = 0.0.0.0:%d\n", 1000 + i);
	refused(HOME_NODE, text, "farland.conf:9:10: error: ", "at most 8");
}

/* A file replaces nothing unless all of it is good; the command line adds to lists and overrides scalars. */
static void test_set(void **state)
{
	(void)state;
	struct config c;
	config_init(&c);
	assert_true(parse(&c, HOME_NODE, "workers = 2\nlisten = 0.0.0.0:1\n"));
	assert_true(config_set(&c, HOME_NODE, "workers", "3", why));
	assert_true(config_set(&c, HOME_NODE, "listen", "0.0.0.0:2", why));
	assert_true(config_set(&c, HOME_NODE, "root", "yes", why));
	assert_int_equal(c.workers, 3);
	assert_int_equal(c.n_listen, 2);
	assert_true(c.root);
	assert_false(config_set(&c, HOME_NODE, "listen", "here", why));
	assert_true(!strncmp(why, "--listen: ", 10));
	assert_int_equal(c.n_listen, 2);
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void test_files(void **state)
{
	(void)state;
	char dir[] = "/tmp/conf_test.XXXXXX", conf[128], roots[128];
	struct config c;
	struct home home = {0};
	assert_non_null(mkdtemp(dir));
	assert_int_equal(home_resolve(&home, HOME_NODE, dir, why), 0);
	snprintf(conf, sizeof(conf), "%s/farland.conf", dir);
	snprintf(roots, sizeof(roots), "%s/roots", dir);
	config_init(&c);
	assert_int_equal(config_load(&c, &home, why), 0); /* no file is fine */
	put(conf, "log = info\nadd-root = @roots\n");
	assert_int_equal(config_load(&c, &home, why), -EINVAL);
	assert_non_null(strstr(why, "farland.conf:2:13: error: cannot read"));
	assert_int_equal(c.log, LOG_NOTICE);
	put(roots, "# two roots\n" ROOT_A "\n\n" ROOT_B "\n");
	assert_int_equal(config_load(&c, &home, why), 0); /* relative to the config's folder */
	assert_int_equal(c.n_roots, 2);
	put(roots, ROOT_A "\n  fln1:oops\n");
	assert_int_equal(config_load(&c, &home, why), -EINVAL);
	assert_non_null(strstr(why, "/roots:2:12: error: "));
	put(roots, "@roots\n");
	assert_int_equal(config_load(&c, &home, why), -EINVAL);
	assert_non_null(strstr(why, "/roots:1:1: error: "));
	assert_int_equal(unlink(conf), 0);
	assert_int_equal(mkdir(conf, 0700), 0);
	assert_int_equal(config_load(&c, &home, why), -EISDIR);
	rmdir(conf);
	unlink(roots);
	assert_int_equal(rmdir(dir), 0);
}

/* The man page and the README tell of every key. */
static void test_told(void **state)
{
	static char man[65536], readme[65536];
	static const struct {
		const char *path;
		char *text;
	} files[] = {{"contrib/man/farlan.1", man}, {"README.md", readme}};
	const char *key;
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		long len = file_read(files[i].path, files[i].text, sizeof(man) - 1, NULL);
		if (len < 0)
			fail_msg("%s: %s (tests run in the tree's top folder)", files[i].path, strerror((int)-len));
	}
	for (enum home_kind kind = HOME_NODE;; kind = HOME_CONTROLLER) {
		for (unsigned i = 0; (key = config_key(kind, i)); i++) {
			char quoted[64], bold[64];
			size_t n = 0;
			snprintf(quoted, sizeof(quoted), "`%s`", key);
			if (!strstr(readme, quoted))
				fail_msg("README.md says nothing of %s", key);
			for (const char *c = key; *c; c++) {
				if (*c == '-')
					bold[n++] = '\\';
				bold[n++] = *c;
			}
			bold[n] = 0;
			bool found = false;
			for (const char *at = man; !found && (at = strstr(at, bold)); at++)
				found = at[-1] == ' ' && (at[n] == '\n' || at[n] == ' ' || at[n] == '"');
			if (!found)
				fail_msg("farlan.1 says nothing of %s", key);
		}
		if (kind == HOME_CONTROLLER)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all_keys),  cmocka_unit_test(test_refusals), cmocka_unit_test(test_sets),
	    cmocka_unit_test(test_addresses), cmocka_unit_test(test_told),     cmocka_unit_test(test_secret_is_not_shown),
	    cmocka_unit_test(test_lengths),   cmocka_unit_test(test_set),      cmocka_unit_test(test_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
