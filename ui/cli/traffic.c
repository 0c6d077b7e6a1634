/* traffic.c: what a network or one of its members carried, as its controller was told: a line of bars for each direction, then who and why.
 *
 * As members see their own ports: rx was given to them, tx came from them. A bar is the mean of its time against the highest one; a gap is a time
 * of which nobody told anything.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ui/cli/client.h"
#include "ui/cli/output.h"

#define BARS_MAX 72 /* 60 minutes, 24 hours in thirds, 30 days in 10 hours */

static const struct column member_columns[] = {
    {"MEMBER", "address", CELL_TEXT}, {"NAME", "name", CELL_TEXT}, {"RX", "rx_bytes", CELL_BYTES}, {"TX", "tx_bytes", CELL_BYTES}, {0}};
static const struct column reason_columns[] = {{"DROPS", "total", CELL_COUNT}, {"REASON", "reason", CELL_TEXT}, {0}};

/* What a number of slots make one bar of; false: none of them was told. */
static bool bar_sum(const json_t *slots, size_t from, size_t n, double *ret)
{
	bool told = false;
	*ret = 0;
	for (size_t i = from; i < from + n; i++) {
		const json_t *slot = json_array_get(slots, i);
		told = told || json_is_integer(slot);
		*ret += json_number_value(slot);
	}
	return told;
}

static void rate_text(double bits, char *buf, size_t room)
{
	static const char *const units[] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"};
	unsigned unit = 0;
	for (; bits >= 1000 && unit < 4; unit++)
		bits /= 1000;
	snprintf(buf, room, "%.*f %s", bits < 10 && unit ? 1 : 0, bits, units[unit]);
}

static void print_bars(const char *title, const json_t *slots, double seconds, bool bits)
{
	static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	size_t n = json_array_size(slots), each = (n + BARS_MAX - 1) / BARS_MAX;
	double most = 0, sum;
	char text[32];
	for (size_t i = 0; each && i < n; i += each)
		if (bar_sum(slots, i, each, &sum) && sum > most)
			most = sum;
	printf("%-5s ", title);
	for (size_t i = 0; each && i < n; i += each) {
		bool told = bar_sum(slots, i, each, &sum);
		unsigned height = most > 0 ? (unsigned)(sum / most * 7 + 0.5) : 0;
		fputs(told ? bars[height] : " ", stdout);
	}
	if (bits) {
		rate_text(most * 8 / (seconds * (double)(each ? each : 1)), text, sizeof(text));
		printf("  at most %s\n", text);
	} else {
		printf("  at most %.0f\n", most);
	}
}

static void print_total(const json_t *totals, const char *title, const char *bytes, const char *frames)
{
	char room[CELL_MAX], more[CELL_MAX];
	printf("%-5s %s in %s frames\n", title, cell_text(totals, bytes, CELL_BYTES, room), cell_text(totals, frames, CELL_COUNT, more));
}

static int print(const json_t *o)
{
	const json_t *totals = json_object_get(o, "totals"), *members = json_object_get(o, "members"),
		     *reasons = json_object_get(o, "drop_reasons");
	double step = json_number_value(json_object_get(o, "step"));
	time_t start = (time_t)json_integer_value(json_object_get(o, "start"));
	char when[32] = "";
	struct tm tm;
	int code = 0;
	if (localtime_r(&start, &tm))
		strftime(when, sizeof(when), "%F %R", &tm);
	printf("%s%s%s from %s until now\n\n", field(o, "network"), *field(o, "member") ? " member " : "", field(o, "member"), when);
	print_bars("rx", json_object_get(o, "rx_bytes"), step, true);
	print_bars("tx", json_object_get(o, "tx_bytes"), step, true);
	if (json_integer_value(json_object_get(totals, "drops")))
		print_bars("drops", json_object_get(o, "drops"), step, false);
	printf("\n");
	print_total(totals, "rx", "rx_bytes", "rx_frames");
	print_total(totals, "tx", "tx_bytes", "tx_frames");
	if (json_array_size(members)) {
		printf("\n");
		code = output_table(members, member_columns);
	}
	if (code == 0 && json_array_size(reasons)) {
		printf("\n");
		code = output_table(reasons, reason_columns);
	}
	return code;
}

/* A line for each slot. */
static void print_slots(const json_t *o)
{
	static const char *const columns[] = {"rx_bytes", "tx_bytes", "rx_frames", "tx_frames", "rtt_us", "drops"};
	json_int_t start = json_integer_value(json_object_get(o, "start")), step = json_integer_value(json_object_get(o, "step"));
	for (size_t i = 0; i < json_array_size(json_object_get(o, columns[0])); i++) {
		json_t *row = json_pack("{s:s, s:I}", "schema", "farlan.traffic.slot/1", "time", start + (json_int_t)i * step);
		for (unsigned k = 0; k < sizeof(columns) / sizeof(columns[0]); k++)
			json_object_set(row, columns[k], json_array_get(json_object_get(o, columns[k]), i));
		output_object(row, false);
		json_decref(row);
	}
}

static int path_of(const struct call *call, char *ret, size_t room)
{
	const char *last = options_value(&call->options, "last"), *member = options_value(&call->options, "member");
	char nwid[NWID_TEXT];
	int code = word_nwid(call->words[0], nwid, NULL);
	if (code)
		return code;
	if (last && strcmp(last, "1h") && strcmp(last, "24h") && strcmp(last, "30d"))
		return complain(EXIT_USAGE, "--last must be 1h, 24h or 30d, not \"%s\"", last);
	if (member && (strspn(member, "0123456789abcdef") != 10 || member[10]))
		return complain(EXIT_USAGE, "\"%s\" is not an address of 10 hex digits; farlan member list %s shows them", member, nwid);
	snprintf(ret, room, "/v1/networks/%s%s%s/traffic?range=%s", nwid, member ? "/members/" : "", member ? member : "",
	         last ? last : "1h");
	return 0;
}

int run_traffic(struct call *call)
{
	char path[128];
	json_t *o = NULL;
	int code = path_of(call, path, sizeof(path));
	if (code == 0)
		code = client_once(call, "GET", path, NULL, &o);
	if (code)
		return code;
	if (call->format == FORMAT_TABLE)
		code = print(o);
	else if (call->format == FORMAT_JSONL)
		print_slots(o);
	else
		code = output_json(call, o, NULL, NULL);
	json_decref(o);
	return code;
}
