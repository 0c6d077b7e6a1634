/* top_test.c: farlan top's arithmetic and its picture: counters that begin anew, a peer that comes and goes, names that mean harm, any width. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <cmocka.h>
#include <locale.h>

/* Verbs are no library. */
#include "ui/cli/top_draw.c"
#include "ui/cli/top_sample.c"

const char *field(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));
	return s ? s : "";
}

static const char *net_id = "fe000000010000aa";

static json_t *traffic_object(uint64_t rx, uint64_t tx)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "rx_bytes", (json_int_t)rx * 100, "rx_frames", (json_int_t)rx, "tx_bytes",
	                 (json_int_t)tx * 1000, "tx_frames", (json_int_t)tx);
}

static json_t *peer_object_of(const char *address, const char *name, uint64_t rx, uint64_t tx)
{
	json_t *by = json_object();
	json_object_set_new(by, net_id, traffic_object(rx / 2, tx / 2));
	return json_pack("{s:s, s:s, s:s, s:s, s:n, s:i, s:f, s:i, s:o, s:o}", "address", address, "name", name, "link", "direct",
	                 "endpoint", "192.0.2.1:9993", "relay", "rtt_us", 1500, "loss", 0.25, "networks", 1, "traffic",
	                 traffic_object(rx, tx), "traffic_by_network", by);
}

/* Takes peers. */
static json_t *sample_of(uint64_t at, uint64_t rx, uint64_t tx, json_t *peers)
{
	json_t *net = traffic_object(rx, tx), *other = traffic_object(7, 7);
	json_object_set_new(net, "id", json_string(net_id));
	json_object_set_new(net, "name", json_string("lab"));
	json_object_set_new(net, "state", json_string("joined"));
	json_object_set_new(net, "drops", json_pack("{s:I, s:i}", "storm", (json_int_t)rx, "flap", 2));
	json_object_set_new(other, "id", json_string("fe000000010000bb"));
	return json_pack("{s:s, s:I, s:s, s:[o, o], s:o}", "schema", "farlan.sample/1", "at_ms", (json_int_t)at, "address", "0000000001",
	                 "networks", net, other, "peers", peers);
}

static void about(double got, double wanted)
{
	assert_true(got > wanted - 0.001 && got < wanted + 0.001);
}

static void rates(void **state)
{
	struct top t = {0};
	(void)state;
	top_take(&t, sample_of(1000, 0, 0, json_pack("[o]", peer_object_of("000000000a", "x", 10, 10))), NULL);
	assert_true(t.n_peers == 1 && !t.peer[0].rated && !t.net[0].rated && t.n_nets == 2);
	top_take(&t,
	         sample_of(3000, 40, 20,
	                   json_pack("[o, o]", peer_object_of("000000000b", "y", 99, 99), peer_object_of("000000000a", "x", 30, 14))),
	         NULL);
	assert_int_equal(t.n_peers, 2);
	top_sort(&t, TOP_ADDRESS, false);
	assert_true(t.peer[0].rated && !t.peer[1].rated && t.peer[0].n_past == 1);
	about(t.peer[0].rates.rx_frames, 10);
	about(t.peer[0].rates.rx_bits, 8000);
	about(t.peer[0].rates.tx_bits, 16000);
	about(t.net[0].rates.tx_frames, 10);
	about(t.net[0].rates.drops, 20);
	assert_string_equal(t.net[0].reasons, "storm 40, flap 2");
	/* as many of one as of another */
	char text[TOP_TEXT];
	json_t *drops = json_pack("{s:i, s:i, s:i, s:i, s:i}", "storm", 3, "flap", 3, "none", 0, "loop", 3, "off", 2);
	reasons(drops, text, sizeof(text));
	assert_string_equal(text, "storm 3, flap 3, loop 3");
	json_decref(drops);
	/* by network: at once, from the last two */
	top_only(&t, net_id, NULL);
	top_sort(&t, TOP_ADDRESS, false);
	about(t.peer[0].rates.rx_frames, 5);
	assert_int_equal(t.net[0].n_past, 2);
	top_only(&t, "fe000000010000bb", NULL);
	assert_int_equal(t.n_peers, 0);
	top_only(&t, "", NULL);
	/* a counter that is less began at 0; the peer that is gone is forgotten */
	top_take(&t, sample_of(4000, 44, 20, json_pack("[o]", peer_object_of("000000000a", "x", 6, 14))), NULL);
	assert_true(t.n_peers == 1);
	about(t.peer[0].rates.rx_frames, 6);
	about(t.peer[0].rates.tx_frames, 0);
	about(t.net[0].minute.rx_frames, 44.0 / 3);
	/* a daemon that began anew has another clock */
	top_take(&t, sample_of(500, 3, 3, json_pack("[o]", peer_object_of("000000000a", "x", 6, 14))), NULL);
	assert_true(!t.net[0].rated && t.net[0].n_past == 1);
	top_fini(&t);
}

static void minute(void **state)
{
	struct top t = {0};
	(void)state;
	for (unsigned i = 0; i < 200; i++)
		top_take(&t,
		         sample_of(1000 + i * 1000, i < 100 ? i * 50 : 5000 + (i - 100) * 10, 0,
		                   json_pack("[o]", peer_object_of("000000000a", "x", i * i, 0))),
		         NULL);
	about(t.net[0].minute.rx_frames, 10);
	assert_int_equal(t.net[0].n_past, TOP_PAST + 1);
	assert_int_equal(t.peer[0].n_past, TOP_PAST);
	assert_true(t.peer[0].past[0] < t.peer[0].past[TOP_PAST - 1]);
	json_t *o = top_json(&t);
	about(json_real_value(json_object_get(json_object_get(json_array_get(json_object_get(o, "networks"), 0), "minute"), "rx_fps")), 10);
	assert_true(json_object_get(o, "peers") && json_array_size(json_object_get(o, "networks")) == 2);
	json_decref(o);
	top_fini(&t);
}

/* Cells of a line without its escape sequences; each of those must be one that we make. */
static unsigned cells(const char *line, size_t len)
{
	unsigned n = 0;
	mbstate_t s = {0};
	for (size_t i = 0; i < len;) {
		if (line[i] == '\033') {
			size_t k = strcspn(line + i, "mHK");
			assert_true(k < 6 && strspn(line + i + 1, "[0123456789") == k - 1);
			i += k + 1;
			continue;
		}
		wchar_t c;
		size_t k = mbrtowc(&c, line + i, len - i, &s);
		assert_true(k > 0 && k <= 4 && wcwidth(c) >= 0);
		n += (unsigned)wcwidth(c);
		i += k;
	}
	return n;
}

static void picture(void **state)
{
	static const char *const names[] = {
	    "plain",
	    "\033[2J\033]0;x\007",
	    "\xe2\x80\xaegnp",
	    "\xe7\xbd\x91\xe7\xbb\x9c\xe7\xbd\x91\xe7\xbb\x9c\xe7\xbd\x91\xe7\xbb\x9c\xe7\xbd\x91\xe7\xbb\x9c",
	    "e\xcc\x81\xcc\x81\xcc\x81\xcc\x81",
	    "a\nb\rc\td",
	    ""};
	struct top t = {0};
	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		json_t *peers = json_array();
		for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			char address[ADDRESS_TEXT];
			snprintf(address, sizeof(address), "%010x", i + 1);
			json_array_append_new(peers, peer_object_of(address, names[i], round * 1000000000ull * i, round * i));
		}
		top_take(&t, sample_of(1000 + round * 1000, round * 5, 1, peers), NULL);
	}
	for (unsigned width = 1; width < 260; width++)
		for (unsigned height = 1; height < 20; height += width % 7 + 1)
			for (unsigned utf8 = 0; utf8 < 2; utf8++) {
				struct top_view v = {
				    .width = width, .height = height, .first = height % 9, .colour = width % 2, .utf8 = utf8};
				char *text = NULL;
				size_t len;
				FILE *out = open_memstream(&text, &len);
				assert_non_null(out);
				top_draw(out, &t, &v);
				assert_int_equal(fclose(out), 0);
				unsigned lines = 0;
				for (char *line = text, *end; line; line = end ? end + 2 : NULL, lines++) {
					end = strstr(line, "\r\n");
					assert_true(cells(line, end ? (size_t)(end - line) : strlen(line)) <= width);
				}
				assert_int_equal(lines, height);
				assert_null(strstr(text, "\033[2J"));
				assert_null(strstr(text, "\xe2\x80\xae"));
				if (!v.colour)
					assert_true(!strstr(text, "\033[7m") && !strstr(text, "\033[0m") && !strstr(text, "\033[3"));
				free(text);
			}
	top_fini(&t);
}

/* Answers that a daemon does not give. */
static void odd(void **state)
{
	struct top t = {0};
	(void)state;
	top_take(&t, json_object(), NULL);
	assert_true(!t.n_peers && !t.n_nets);
	top_take(&t, json_pack("{s:I, s:i, s:[i, {}]}", "at_ms", (json_int_t)-5, "networks", 3, "peers", 5), NULL);
	top_take(&t,
	         sample_of(1000, 1, 1,
	                   json_pack("[n, {s:i}, {s:s, s:i, s:[]}]", "networks", 1, "address", "far too long for an address", "networks", 2,
	                             "traffic")),
	         NULL);
	top_sort(&t, TOP_RTT, true);
	json_decref(top_json(&t));
	top_fini(&t);
}

static void figures(void **state)
{
	static const struct {
		double v;
		const char *text;
	} of[] = {{0, "0"},         {999, "999"},      {999.6, "1.00K"}, {1234, "1.23K"},
	          {99940, "99.9K"}, {999600, "1.00M"}, {2.5e9, "2.50G"}, {4e11, "400G"}};
	char buf[16];
	(void)state;
	for (unsigned i = 0; i < sizeof(of) / sizeof(of[0]); i++)
		assert_string_equal(top_rate_text(true, of[i].v, buf), of[i].text);
	assert_string_equal(top_rate_text(false, 5, buf), "-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rates), cmocka_unit_test(minute), cmocka_unit_test(picture), cmocka_unit_test(odd), cmocka_unit_test(figures),
	};
	if (!setlocale(LC_ALL, "C.UTF-8"))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
