/* event_test.c: what is told to whom, of changes as they come: order, resuming, falling behind, and how often members' doings are
 * told. Lists row by row and the limit of requests beside it: they share the clock that is a variable.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/event_api.h"
#include "ui/limit.h"
#include "ui/rows.h"

#define N 0x7f3a91c04e000001u

static uint64_t now;
static struct events *events;
static char text[1 << 20];

static uint64_t clock_read(void)
{
	return now;
}

static int setup(void **state)
{
	(void)state;
	now = 1000000;
	events = events_new(clock_read);
	return events == NULL;
}

static int teardown(void **state)
{
	(void)state;
	events_free(events);
	return 0;
}

static void note(enum change_kind kind, uint64_t nwid, uint64_t address)
{
	events_note(events, &(struct change){.kind = kind, .nwid = nwid, .address = address});
}

static struct reply open_stream(const char *id, bool local, const char *accept)
{
	struct request request = {.method = METHOD_GET, .path = "/v1/events", .local = local, .accept = accept, .last_event_id = id};
	struct reply reply = {0};
	events_stream(events, &request, &reply);
	assert_int_equal(reply.status, 200);
	return reply;
}

/* All that a stream has to say now, in small pieces; returns what it ended with: 0 or -1. */
static ssize_t hear(struct reply *reply)
{
	char piece[1024];
	size_t len = 0;
	ssize_t n;
	while ((n = reply->more(reply->stream, piece, sizeof(piece))) > 0) {
		memcpy(text + len, piece, (size_t)n);
		len += (size_t)n;
	}
	text[len] = '\0';
	return n;
}

static unsigned count(const char *what)
{
	unsigned n = 0;
	for (const char *at = text; (at = strstr(at, what)); at++)
		n++;
	return n;
}

/* The id of the last event heard. */
static void last_id(char ret[64])
{
	const char *at = NULL;
	for (const char *next = text; (next = strstr(next, "\nid: ")); next++)
		at = next;
	assert_non_null(at);
	snprintf(ret, 64, "%.*s", (int)strcspn(at + 5, "\n"), at + 5);
}

static void changes_are_told_in_order(void **state)
{
	uint64_t next;
	char id[64];
	(void)state;
	note(CHANGE_NETWORK, 1, 0); /* before anybody listens */
	struct reply a = open_stream(NULL, false, NULL), b = open_stream(NULL, true, "application/x-ndjson, */*;q=0.1");
	assert_string_equal(a.type, "text/event-stream");
	assert_string_equal(b.type, "application/x-ndjson");
	assert_int_equal(hear(&a), 0);
	assert_int_equal(strncmp(text, "event: hello\nid: ", 17), 0);
	assert_non_null(strstr(text, "\"seq\":1}\n\n"));
	assert_int_equal(count("event: "), 1);
	note(CHANGE_MEMBER, N, 0x1b22d9a077);
	events_note(events, &(struct change){.kind = CHANGE_INVITE, .nwid = N, .gone = true});
	assert_true(events_turn(events, &next));
	assert_true(next == UINT64_MAX);
	assert_false(events_turn(events, &next));
	assert_int_equal(hear(&a), 0);
	last_id(id);
	char want[512];
	snprintf(want, sizeof(want),
	         "event: change\nid: %.17s2\ndata: "
	         "{\"kind\":\"member\",\"network\":\"7f3a91c04e000001\",\"address\":\"1b22d9a077\",\"gone\":false}\n\n"
	         "event: change\nid: %.17s3\ndata: "
	         "{\"kind\":\"invite\",\"network\":\"7f3a91c04e000001\",\"address\":null,\"gone\":true}\n\n",
	         id, id);
	assert_string_equal(text, want);
	/* The same as lines, each an object. */
	assert_int_equal(hear(&b), 0);
	assert_int_equal(count("\n"), 3);
	for (char *at = text, *end; *at; at = end + 1) {
		end = strchr(at, '\n');
		*end = '\0';
		json_t *o = json_loads(at, 0, NULL);
		assert_non_null(json_object_get(o, "event"));
		assert_non_null(json_object_get(o, "id"));
		json_decref(o);
	}
	reply_fini(&a);
	reply_fini(&b);
	assert_int_equal(events_streams(events), 0);
}

static void who_comes_back_goes_on(void **state)
{
	static const char *const strange[] = {
	    "", "7", "0123456789abcdef-1", "zz23456789abcdef-1", "0123456789abcdef-", "0123456789abcdef-99x"};
	char id[64], more[80];
	(void)state;
	struct reply a = open_stream(NULL, false, NULL);
	note(CHANGE_NETWORK, 1, 0);
	hear(&a);
	last_id(id);
	reply_fini(&a);
	note(CHANGE_NETWORK, 2, 0);
	note(CHANGE_NETWORK, 3, 0);
	a = open_stream(id, false, NULL);
	hear(&a);
	assert_int_equal(count("event: change"), 2);
	assert_int_equal(count("event: reset"), 0);
	assert_null(strstr(text, "\"0000000000000001\""));
	reply_fini(&a);
	/* The hello's own id loses nothing either: the connection may break right behind it. */
	a = open_stream(id, false, NULL);
	char piece[1024];
	ssize_t n = a.more(a.stream, piece, sizeof(piece));
	assert_true(n > 0);
	assert_non_null(memmem(piece, (size_t)n, id, strlen(id)));
	reply_fini(&a);
	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) { /* of another run, or nobody's */
		a = open_stream(strange[i], false, NULL);
		hear(&a);
		assert_int_equal(count("event: reset"), 1);
		assert_int_equal(count("event: change"), 0);
		reply_fini(&a);
	}
	snprintf(more, sizeof(more), "%.17s4", id); /* of the future */
	a = open_stream(more, false, NULL);
	hear(&a);
	assert_int_equal(count("event: reset"), 1);
	note(CHANGE_NETWORK, 4, 0);
	hear(&a);
	assert_int_equal(count("event: change"), 1);
	reply_fini(&a);
}

static void who_falls_behind_looks_anew(void **state)
{
	(void)state;
	struct reply slow = open_stream(NULL, true, NULL);
	hear(&slow);
	for (unsigned i = 0; i < EVENTS_KEPT; i++)
		note(CHANGE_MEMBER, N, i + 1);
	hear(&slow);
	assert_int_equal(count("event: change"), EVENTS_KEPT); /* the ring holds all of these */
	for (unsigned i = 0; i < EVENTS_KEPT + 1; i++)
		note(CHANGE_MEMBER, N, i + 1);
	hear(&slow);
	assert_int_equal(count("event: reset"), 1);
	assert_int_equal(count("event: change"), 0);
	note(CHANGE_MEMBER, N, 1);
	hear(&slow);
	assert_int_equal(count("event: change"), 1);
	reply_fini(&slow);
}

static void members_doings_once_a_second(void **state)
{
	uint64_t next;
	(void)state;
	struct reply a = open_stream(NULL, true, NULL);
	hear(&a);
	for (unsigned i = 0; i < 10; i++)
		note(CHANGE_LIVE, N, 7);
	note(CHANGE_LIVE, N, 8);
	assert_true(events_turn(events, &next)); /* the first at once */
	hear(&a);
	assert_int_equal(count("\"live\""), 2);
	now += 300;
	note(CHANGE_LIVE, N, 7);
	assert_false(events_turn(events, &next));
	assert_true(next == now - 300 + EVENT_LIVE_MS);
	hear(&a);
	assert_int_equal(count("\"live\""), 0);
	now = next;
	assert_true(events_turn(events, &next));
	assert_true(next == UINT64_MAX);
	hear(&a);
	assert_int_equal(count("\"live\""), 1);
	/* A crowd is told as its network, crowds in many networks as all of it. */
	for (unsigned i = 0; i < EVENT_LIVE_MAX + 1; i++)
		note(CHANGE_LIVE, N, i + 1);
	now += EVENT_LIVE_MS;
	assert_true(events_turn(events, &next));
	hear(&a);
	assert_int_equal(count("\"live\""), 1);
	assert_non_null(strstr(text, "\"network\":\"7f3a91c04e000001\",\"address\":null"));
	for (unsigned i = 0; i < 100000; i++)
		note(CHANGE_LIVE, N + i % 100, i + 1);
	now += EVENT_LIVE_MS;
	assert_true(events_turn(events, &next));
	hear(&a);
	assert_int_equal(count("\"live\""), 1);
	assert_non_null(strstr(text, "\"network\":null,\"address\":null"));
	reply_fini(&a);
}

static void streams_beat_and_end(void **state)
{
	struct reply a = open_stream(NULL, false, NULL), b = open_stream(NULL, true, "application/x-ndjson");
	(void)state;
	assert_int_equal(a.stream_beat_ms, EVENT_BEAT_MS);
	hear(&a);
	hear(&b);
	now += EVENT_BEAT_MS - 1;
	hear(&a);
	assert_string_equal(text, "");
	now++;
	hear(&a);
	assert_string_equal(text, ": hb\n\n");
	hear(&b);
	assert_string_equal(text, "{\"event\":\"heartbeat\"}\n");
	hear(&a);
	assert_string_equal(text, "");
	/* What becomes of accounts is told, then those by TCP come anew; by the socket nobody is judged. */
	note(CHANGE_ACCOUNT, 0, 0);
	assert_int_equal(hear(&a), -1);
	assert_int_equal(count("\"account\""), 1);
	assert_int_equal(hear(&b), 0);
	reply_fini(&a);
	a = open_stream(NULL, false, NULL);
	assert_int_equal(hear(&a), 0);
	now += EVENT_STREAM_MS;
	assert_int_equal(hear(&a), -1);
	assert_int_equal(hear(&b), 0);
	reply_fini(&a);
	reply_fini(&b);
	struct reply many[EVENT_STREAMS_MAX], more = {0};
	for (unsigned i = 0; i < EVENT_STREAMS_MAX; i++)
		many[i] = open_stream(NULL, false, NULL);
	events_stream(events, &(struct request){.path = "/v1/events"}, &more);
	assert_int_equal(more.status, 503);
	assert_int_equal(more.retry_after, 5);
	reply_fini(&more);
	for (unsigned i = 0; i < EVENT_STREAMS_MAX; i++)
		reply_fini(&many[i]);
}

/* ---- rows ---- */

struct numbers {
	unsigned at, end, pages, ended, breaks_at;
};

static int numbers_page(void *self, json_t *array)
{
	struct numbers *numbers = self;
	numbers->pages++;
	if (numbers->breaks_at && numbers->pages == numbers->breaks_at)
		return -1;
	for (unsigned i = 0; i < ROWS_PAGE && numbers->at < numbers->end; i++)
		json_array_append_new(array, json_integer(numbers->at++));
	return numbers->at < numbers->end;
}

static void numbers_tail(void *self, json_t *o)
{
	const struct numbers *numbers = self;
	json_object_set_new(o, "total", json_integer(numbers->end));
}

static void numbers_end(void *self)
{
	((struct numbers *)self)->ended++;
}

static void lists_of_any_length(void **state)
{
	static const unsigned lengths[] = {0, 1, ROWS_PAGE, ROWS_PAGE + 1, 12345};
	(void)state;
	for (size_t i = 0; i < 2 * sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct numbers numbers = {.end = lengths[i / 2]};
		struct rows_source source = {numbers_page, i % 2 ? numbers_tail : NULL, numbers_end, &numbers};
		struct reply reply = {0};
		assert_true(reply_rows(&reply, "farlan.numbers/1", "numbers", &source));
		assert_int_equal(numbers.pages, 1); /* the rest when it is taken */
		assert_int_equal(!reply.more, numbers.end <= ROWS_PAGE);
		assert_true(reply_gather(&reply));
		assert_int_equal(numbers.ended, 1);
		json_t *o = json_loadb(reply.body, reply.body_len, JSON_REJECT_DUPLICATES, NULL);
		assert_string_equal(json_string_value(json_object_get(o, "schema")), "farlan.numbers/1");
		assert_int_equal(json_array_size(json_object_get(o, "numbers")), numbers.end);
		for (unsigned k = 0; k < numbers.end; k++)
			assert_int_equal(json_integer_value(json_array_get(json_object_get(o, "numbers"), k)), k);
		assert_int_equal(json_is_integer(json_object_get(o, "total")), i % 2);
		json_decref(o);
		reply_fini(&reply);
	}
}

static void lists_that_break(void **state)
{
	struct numbers numbers = {.end = 1000, .breaks_at = 1};
	struct rows_source source = {numbers_page, numbers_tail, numbers_end, &numbers};
	struct reply reply = {0};
	(void)state;
	assert_false(reply_rows(&reply, "farlan.numbers/1", "numbers", &source)); /* the handler can still say why */
	assert_int_equal(reply.status, 0);
	assert_int_equal(numbers.ended, 1);
	numbers = (struct numbers){.end = 1000, .breaks_at = 3};
	assert_true(reply_rows(&reply, "farlan.numbers/1", "numbers", &source));
	assert_false(reply_gather(&reply)); /* half a list must not look like a whole one */
	assert_int_equal(numbers.ended, 1);
	reply_fini(&reply);
}

/* ---- limits ---- */

static void not_too_often(void **state)
{
	static struct limits limits;
	struct limit_rate rate = {.per_s = 10, .burst = 20};
	char name[32];
	(void)state;
	for (unsigned i = 0; i < 20; i++)
		assert_true(limit_take(&limits, "192.0.2.7", rate, now) == 0);
	assert_in_range(limit_take(&limits, "192.0.2.7", rate, now), 1, 100);
	assert_true(limit_take(&limits, "192.0.2.8", rate, now) == 0); /* another */
	now += 100;
	assert_true(limit_take(&limits, "192.0.2.7", rate, now) == 0);
	assert_true(limit_take(&limits, "192.0.2.7", rate, now) > 0);
	now += 3600000; /* a long rest gives no more than the burst */
	for (unsigned i = 0; i < 20; i++)
		assert_true(limit_take(&limits, "192.0.2.7", rate, now) == 0);
	assert_true(limit_take(&limits, "192.0.2.7", rate, now) > 0);
	unsigned taken = 0; /* steady at the rate */
	for (unsigned i = 0; i < 1000; i++, now += 10)
		taken += limit_take(&limits, "192.0.2.7", rate, now) == 0;
	assert_in_range(taken, 98, 101);
	for (unsigned i = 0; i < 100000; i++) { /* a crowd costs no more memory, and each of it is let in */
		snprintf(name, sizeof(name), "2001:db8:%x:%x", i >> 8, i);
		assert_true(limit_take(&limits, name, rate, now) == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(changes_are_told_in_order, setup, teardown),
	    cmocka_unit_test_setup_teardown(who_comes_back_goes_on, setup, teardown),
	    cmocka_unit_test_setup_teardown(who_falls_behind_looks_anew, setup, teardown),
	    cmocka_unit_test_setup_teardown(members_doings_once_a_second, setup, teardown),
	    cmocka_unit_test_setup_teardown(streams_beat_and_end, setup, teardown),
	    cmocka_unit_test(lists_of_any_length),
	    cmocka_unit_test(lists_that_break),
	    cmocka_unit_test(not_too_often),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
