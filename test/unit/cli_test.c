/* The command line without a daemon: the verb table, argv judged by it, the files that must agree with it, when waiting ends,
 * and what a terminal is shown of a stranger's name. The verbs' own functions and the table printer are not linked; what they do
 * is tested against real daemons. */
#pragma weak run_id
#pragma weak run_root_line
#pragma weak run_status
#pragma weak run_networks
#pragma weak run_peers
#pragma weak run_top
#pragma weak run_drops
#pragma weak run_fdb
#pragma weak run_groups
#pragma weak run_ping
#pragma weak run_wake
#pragma weak run_set
#pragma weak run_port_add
#pragma weak run_port_remove
#pragma weak run_port_list
#pragma weak run_netcheck
#pragma weak run_events
#pragma weak run_capture
#pragma weak run_network_create
#pragma weak run_network_list
#pragma weak run_network_show
#pragma weak run_network_set
#pragma weak run_network_delete
#pragma weak run_member_list
#pragma weak run_member_approve
#pragma weak run_member_deny
#pragma weak run_member_revoke
#pragma weak run_member_delete
#pragma weak run_member_set
#pragma weak run_page
#pragma weak run_user_list
#pragma weak run_user_add
#pragma weak run_user_passwd
#pragma weak run_user_role
#pragma weak run_user_second_factor
#pragma weak run_user_recovery_codes
#pragma weak run_user_delete
#pragma weak run_token_list
#pragma weak run_token_create
#pragma weak run_token_revoke
#pragma weak run_root_set_new_key
#pragma weak run_root_set_create
#pragma weak run_root_set_add
#pragma weak run_root_set_remove
#pragma weak run_root_set_keys
#pragma weak run_root_set_sign
#pragma weak run_root_set_show
#pragma weak run_root_set_verify
#pragma weak run_invite_create
#pragma weak run_invite_list
#pragma weak run_invite_revoke
#pragma weak run_invite_qr
#pragma weak run_topology
#pragma weak run_traffic
#pragma weak run_metrics
#pragma weak run_member_show
#pragma weak run_member_ban
#pragma weak run_member_unban
#pragma weak run_member_preapprove
#pragma weak run_member_reserve
#pragma weak run_preapproval_list
#pragma weak run_preapproval_delete
#pragma weak run_server_up
#pragma weak run_server_status
#pragma weak run_server_down
#pragma weak run_webhook_list
#pragma weak run_webhook_add
#pragma weak run_webhook_show
#pragma weak run_webhook_set
#pragma weak run_webhook_test
#pragma weak run_webhook_log
#pragma weak run_webhook_retry
#pragma weak run_webhook_secret
#pragma weak run_webhook_delete
#pragma weak run_audit
#pragma weak run_backup
#pragma weak run_restore
#pragma weak run_controller_trust
#pragma weak client_open
#pragma weak client_close
#pragma weak client_ask
#pragma weak scols_init_debug
#pragma weak scols_new_table
#pragma weak scols_table_enable_noencoding
#pragma weak scols_table_new_column
#pragma weak scols_table_new_line
#pragma weak scols_line_set_data
#pragma weak scols_print_table
#pragma weak scols_unref_table

#include "ui/options.c"
#include "ui/home.c"
#include "ui/cli/verb.c"
#include "ui/cli/help.c"
#include "ui/cli/output.c"
#include "ui/cli/join.c"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define PARSE(call, ...)                                                                                                                   \
	verb_parse(call, (int)(sizeof((char *[]){"farlan", __VA_ARGS__}) / sizeof(char *)), (char *[]){"farlan", __VA_ARGS__})

static void test_parse(void **state)
{
	(void)state;
	struct call c;
	char *bare[] = {"farlan"};
	assert_int_equal(verb_parse(&c, 1, bare), -1);
	assert_string_equal(c.verb->name, "status");
	assert_int_equal(PARSE(&c, "--home", "x", "-o", "jsonl", "network", "create", "foo", "--mtu", "1500"), -1);
	assert_string_equal(c.verb->name, "network create");
	assert_int_equal(c.format, FORMAT_JSONL);
	assert_int_equal(c.n_words, 1);
	assert_string_equal(c.words[0], "foo");
	assert_int_equal(PARSE(&c, "--mtu", "1500", "network", "--home=x", "create", "foo"), -1);
	assert_string_equal(c.verb->name, "network create");
	assert_int_equal(PARSE(&c, "capture", "n", "arp", "or", "icmp"), -1);
	assert_int_equal(c.n_words, 4);
	assert_int_equal(PARSE(&c, "join", "--help"), -1);
	assert_string_equal(c.verb->name, "help");
	assert_string_equal(c.words[0], "join");
	assert_int_equal(PARSE(&c, "--version", "join"), -1);
	assert_string_equal(c.verb->name, "version");
}

static void test_refusals(void **state)
{
	(void)state;
	struct call c;
	assert_int_equal(PARSE(&c, "jion", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&c, "network"), EXIT_USAGE);
	assert_int_equal(PARSE(&c, "network", "crate", "x"), EXIT_USAGE);
	assert_int_equal(PARSE(&c, "join"), EXIT_USAGE);
	assert_int_equal(PARSE(&c, "join", "a", "b"), EXIT_USAGE);
	assert_int_equal(PARSE(&c, "join", "a", "--mtu", "3"), EXIT_USAGE);
	assert_int_equal(PARSE(&c, "status", "-o", "yaml"), EXIT_USAGE);
	assert_int_equal(PARSE(&c, "status", "--hmoe", "x"), EXIT_USAGE);
}

static void test_words(void **state)
{
	(void)state;
	struct call c;
	char nwid[NWID_TEXT], pin[27];
	unsigned ms = 7;
	assert_int_equal(word_nwid("7f3a91c04e000001", nwid, pin), 0);
	assert_string_equal(nwid, "7f3a91c04e000001");
	assert_string_equal(pin, "");
	assert_int_equal(word_nwid("7F3A91C04E000001x", nwid, pin), EXIT_USAGE);
	assert_int_equal(word_nwid("7f3a91c04e000000", nwid, pin), EXIT_USAGE);
	assert_int_equal(word_nwid("", nwid, pin), EXIT_USAGE);
	assert_int_equal(word_nwid("../status", nwid, pin), EXIT_USAGE);
	static const uint8_t hash[KEY_HASH_BYTES] = {0x7f, 1, 2, 3};
	char whole[NWID_TEXT + 27];
	nwid_format_long(0x7f3a91c04e000001, hash, whole);
	assert_int_equal(word_nwid(whole, nwid, pin), 0);
	assert_int_equal(strlen(pin), 26);
	assert_string_equal(pin, whole + 17);
	assert_int_equal(word_nwid(whole, nwid, NULL), 0);

	assert_int_equal(PARSE(&c, "join", "x"), -1);
	assert_int_equal(call_wait(&c, 10, &ms), 0);
	assert_int_equal(ms, 10000);
	assert_int_equal(PARSE(&c, "join", "x", "--wait", "0"), -1);
	assert_int_equal(call_wait(&c, 10, &ms), 0);
	assert_int_equal(ms, 0);
	assert_int_equal(PARSE(&c, "join", "x", "--wait", "1.5"), -1);
	assert_int_equal(call_wait(&c, 10, &ms), 0);
	assert_int_equal(ms, 1500);
	static char *const wrong[] = {"-1", "x", "", "1e9", "nan", "inf", "0x10", "86401", "1.2.3"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(PARSE(&c, "join", "x", "--wait", wrong[i]), -1);
		assert_int_equal(call_wait(&c, 10, &ms), EXIT_USAGE);
	}
}

/* Every verb can be reached by its own name, names only options that exist, and has a line of help. */
static void test_table(void **state)
{
	(void)state;
	for (const struct verb *verb = verbs; verb->name; verb++) {
		const char *words[4];
		char name[64];
		unsigned n = 0, used = 0;
		snprintf(name, sizeof(name), "%s", verb->name);
		for (char *p = strtok(name, " "); p && n < 4; p = strtok(NULL, " "))
			words[n++] = p;
		assert_ptr_equal(verb_find(words, n, &used), verb);
		assert_int_equal(used, n);
		unsigned named = 0, taken = 0;
		for (const char *p = verb->options; *p; p += strcspn(p, " "), p += strspn(p, " "))
			named++;
		for (const struct option *o = cli_options; o->name; o++)
			taken += verb_takes(verb, o);
		assert_int_equal(taken, named + 8); /* home, output, help, version and those of a controller elsewhere go with all */
		assert_true(*verb->help);
	}
}

static size_t load(const char *path, char *buf, size_t room)
{
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	size_t n = fread(buf, 1, room - 1, f);
	fclose(f);
	assert_true(n < room - 1);
	buf[n] = 0;
	return n;
}

static void test_completion_file(void **state)
{
	(void)state;
	static char file[16384];
	char *made = NULL;
	size_t n = 0, len = load("contrib/completion/farlan.bash", file, sizeof(file));
	FILE *out = open_memstream(&made, &n);
	assert_non_null(out);
	help_completion_bash(out);
	fclose(out);
	assert_int_equal(n, len);
	assert_memory_equal(made, file, n);
	free(made);
}

/* The manual's synopsis is that of the table, line by line, and nothing more. */
static void test_manual(void **state)
{
	(void)state;
	static char man[65536], block[16384];
	char line[SYNOPSIS_MAX];
	size_t n = 0;
	load("contrib/man/farlan.1", man, sizeof(man));
	char *begin = strstr(man, ".SH SYNOPSIS\n.nf\n"), *end = begin ? strstr(begin, ".fi\n") : NULL;
	if (!end)
		fail_msg("farlan.1 has no synopsis");
	assert(end);
	*end = 0;
	for (const char *p = begin + strlen(".SH SYNOPSIS\n.nf\n"); *p; p++)
		if (*p != '\\')
			block[n++] = *p;
	unsigned lines = 0, count = 0;
	for (const char *p = block; *p; p++)
		lines += *p == '\n';
	for (const struct verb *verb = verbs; verb->name; verb++, count++) {
		char want[SYNOPSIS_MAX + 32], by_name[96];
		help_synopsis(verb, line);
		snprintf(want, sizeof(want), "farlan [--home DIR] %s\n", line);
		if (!strstr(block, want))
			fail_msg("farlan.1 lacks: %s", want);
		snprintf(by_name, sizeof(by_name), "%.*s", (int)strcspn(verb->name, "-"), verb->name);
		assert_non_null(strstr(end + 1, by_name)); /* and the verb is described further down */
	}
	assert_int_equal(lines, count);
}

static bool was_joined;

static int judged(const char *state, uint64_t spent, unsigned wait_ms)
{
	struct joining j = {.begun = clock_ms() - spent, .wait_ms = wait_ms, .was_joined = was_joined};
	json_t *net = json_pack("{s:s}", "state", state);
	int code = judge(&j, net);
	json_decref(net);
	return code;
}

static void test_when_waiting_ends(void **state)
{
	(void)state;
	assert_int_equal(judged("joined", 0, 0), EXIT_OK);
	assert_int_equal(judged("asking", 0, 10000), -1);
	assert_int_equal(judged("pending", 9000, 10000), -1);
	assert_int_equal(judged("pending", 10000, 10000), EXIT_PENDING);
	assert_int_equal(judged("asking", 10000, 10000), EXIT_PENDING);
	assert_int_equal(judged("asking", 0, 0), EXIT_PENDING);
	/* a refusal seen at once may be an old one */
	assert_int_equal(judged("denied", 0, 10000), -1);
	assert_int_equal(judged("denied", OLD_STATE_MS, 10000), EXIT_REFUSED);
	assert_int_equal(judged("denied", 0, 0), EXIT_REFUSED);
	assert_int_equal(judged("error", OLD_STATE_MS, 10000), EXIT_FAILED);
	/* so may be a membership that stood before */
	was_joined = true;
	assert_int_equal(judged("joined", 0, 10000), -1);
	assert_int_equal(judged("denied", OLD_STATE_MS, 10000), EXIT_REFUSED);
	assert_int_equal(judged("joined", OLD_STATE_MS, 10000), EXIT_OK);
	assert_int_equal(judged("joined", 0, 0), EXIT_OK);
	was_joined = false;
}

static void test_cells(void **state)
{
	(void)state;
	char buf[CELL_MAX];
	json_t *o = json_pack("{s:s, s:s, s:n, s:I, s:I, s:b, s:[s,s], s:{s:b, s:b}, s:I}", "name", "a\x1b[2Jb\xe2\x80\xae", "empty", "",
	                      "null", "bytes", (json_int_t)1234567, "rtt", (json_int_t)1234, "yes", 1, "ips", "10.0.0.1/24", "fd00::1/64",
	                      "flags", "bridge", 1, "relay", 0, "ago", (json_int_t)130000);
	assert_non_null(o);
	assert_string_equal(cell_text(o, "name", CELL_TEXT, buf), "a\\x1b[2Jb\\xe2\\x80\\xae");
	assert_string_equal(cell_text(o, "empty", CELL_TEXT, buf), "-");
	assert_string_equal(cell_text(o, "null", CELL_TEXT, buf), "-");
	assert_string_equal(cell_text(o, "absent", CELL_TEXT, buf), "-");
	assert_string_equal(cell_text(o, "bytes", CELL_BYTES, buf), "1.2M");
	assert_string_equal(cell_text(o, "bytes", CELL_COUNT, buf), "1234567");
	assert_string_equal(cell_text(o, "rtt", CELL_RTT, buf), "1.2 ms");
	assert_string_equal(cell_text(o, "yes", CELL_YES_NO, buf), "yes");
	assert_string_equal(cell_text(o, "ips", CELL_LIST, buf), "10.0.0.1/24 fd00::1/64");
	assert_string_equal(cell_text(o, "flags", CELL_FLAGS, buf), "bridge");
	assert_string_equal(cell_text(o, "ago", CELL_AGO_MS, buf), "2m ago");
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse), cmocka_unit_test(test_refusals),          cmocka_unit_test(test_words),
	    cmocka_unit_test(test_table), cmocka_unit_test(test_completion_file),   cmocka_unit_test(test_manual),
	    cmocka_unit_test(test_cells), cmocka_unit_test(test_when_waiting_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
