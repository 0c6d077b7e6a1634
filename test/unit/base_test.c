/* base_test.c: the cellar: counters' words, heap against a sorted oracle, cursor, ring, log lines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/base/batch.h"
#include "proto/base/cursor.h"
#include "proto/base/drop.h"
#include "proto/base/heap.h"
#include "proto/base/log.h"
#include "proto/base/ring.h"

/* xorshift64*, fixed seed: a failure repeats. */
static uint64_t dice_state = 0x9e3779b97f4a7c15u;
static uint64_t dice(uint64_t below)
{
	dice_state ^= dice_state >> 12;
	dice_state ^= dice_state << 25;
	dice_state ^= dice_state >> 27;
	return (dice_state * 0x2545f4914f6cdd1du >> 11) % below;
}

static void drop_words(void **state)
{
	(void)state;
	for (unsigned i = 0; i < DROP_COUNT; i++) {
		const char *name = drop_name((enum drop)i);
		assert_true(strlen(name) >= 3 && strlen(name) <= 16);
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-0123456789"), strlen(name));
		assert_true(strlen(drop_text((enum drop)i)) > 5);
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(name, drop_name((enum drop)j));
	}
	assert_string_equal(drop_name(DROP_AEAD), "aead");
	assert_string_equal(drop_name(DROP_COUNT), "?");
	assert_string_equal(drop_text((enum drop)0xffffff), "?");
}

#define TIMERS 500

struct stamp {
	struct timer timer; /* first */
	uint64_t want;      /* oracle: NEVER = not set */
	unsigned fired;
};
static struct stamp stamps[TIMERS];
static uint64_t last_fired;

static void fire_stamp(struct timer *t, uint64_t now)
{
	struct stamp *s = (struct stamp *)(void *)t;
	assert_true(s->want <= now);
	assert_true(s->want >= last_fired);
	assert_int_equal(t->slot, 0);
	assert_true(t->at == NEVER);
	last_fired = s->want;
	s->want = NEVER;
	s->fired++;
}

static uint64_t oracle_next(void)
{
	uint64_t least = NEVER;
	for (int i = 0; i < TIMERS; i++)
		least = stamps[i].want < least ? stamps[i].want : least;
	return least;
}

static void heap_against_oracle(void **state)
{
	(void)state;
	struct heap h;
	heap_init(&h);
	assert_true(heap_next(&h) == NEVER);
	assert_int_equal(heap_fire(&h, 1000), 0);
	for (int i = 0; i < TIMERS; i++)
		stamps[i] = (struct stamp){.timer = {.at = NEVER, .fire = fire_stamp}, .want = NEVER};
	uint64_t now = 0;
	for (int round = 0; round < 20000; round++) {
		struct stamp *s = &stamps[dice(TIMERS)];
		switch (dice(8)) {
		case 0:
			heap_cancel(&h, &s->timer);
			s->want = NEVER;
			break;
		case 1:
			assert_int_equal(heap_set(&h, &s->timer, NEVER), 0);
			s->want = NEVER;
			break;
		case 2: {
			unsigned due = 0;
			now += dice(200);
			for (int i = 0; i < TIMERS; i++)
				due += stamps[i].want <= now;
			last_fired = 0;
			assert_int_equal(heap_fire(&h, now), due);
			break;
		}
		default: s->want = now + dice(5000); assert_int_equal(heap_set(&h, &s->timer, s->want), 0);
		}
		assert_true(heap_next(&h) == oracle_next());
	}
	heap_fini(&h);
	for (int i = 0; i < TIMERS; i++)
		assert_int_equal(stamps[i].timer.slot, 0);
}

static struct heap tricky;
static struct timer first, second;
static unsigned first_fired, second_fired;

static void fire_first(struct timer *t, uint64_t now)
{
	first_fired++;
	heap_cancel(&tricky, &second);
	assert_int_equal(heap_set(&tricky, t, now), 0); /* due at once again */
}

static void fire_second(struct timer *t, uint64_t now)
{
	(void)t, (void)now;
	second_fired++;
}

static void heap_fire_is_bounded(void **state)
{
	(void)state;
	heap_init(&tricky);
	first = (struct timer){.fire = fire_first};
	second = (struct timer){.fire = fire_second};
	assert_int_equal(heap_set(&tricky, &first, 5), 0);
	assert_int_equal(heap_set(&tricky, &second, 6), 0);
	assert_int_equal(heap_fire(&tricky, 4), 0);
	assert_int_equal(heap_fire(&tricky, 10), 2); /* two were due; the first took both turns */
	assert_int_equal(first_fired, 2);
	assert_int_equal(second_fired, 0);
	assert_true(heap_next(&tricky) == 10);
	heap_cancel(&tricky, &first);
	heap_cancel(&tricky, &first);
	assert_true(heap_next(&tricky) == NEVER);
	heap_fini(&tricky);
}

static void cursor_sticks(void **state)
{
	(void)state;
	const uint8_t in[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
	struct reader r = reader_over(in, sizeof(in));
	assert_int_equal(get_u8(&r), 1);
	assert_int_equal(get_le16(&r), 0x0302);
	assert_int_equal(get_be32(&r), 0x04050607);
	assert_int_equal(reader_left(&r), 4);
	assert_false(r.bad);
	assert_true(get_le64(&r) == 0);
	assert_true(r.bad);
	assert_int_equal(get_u8(&r), 0); /* 4 bytes are left, but the error sticks */
	assert_int_equal(reader_left(&r), 0);
	uint8_t copy[2] = {7, 7};
	get_copy(&r, copy, 2);
	assert_int_equal(copy[0] | copy[1], 0);
	assert_null(get_bytes(&r, 0));

	struct reader empty = reader_over(NULL, 0);
	assert_int_equal(reader_left(&empty), 0);
	assert_int_equal(get_u8(&empty), 0);
	assert_true(empty.bad);

	uint8_t out[8];
	memset(out, 0xee, sizeof(out));
	struct writer w = writer_over(out, 7);
	put_be16(&w, 0x0102);
	put_le32(&w, 0x06050403);
	assert_int_equal(writer_len(&w), 6);
	assert_int_equal(writer_left(&w), 1);
	put_le16(&w, 0xffff);
	assert_true(w.bad);
	put_u8(&w, 0xff); /* would fit, must do nothing */
	assert_int_equal(writer_len(&w), 6);
	const uint8_t want[] = {1, 2, 3, 4, 5, 6, 0xee, 0xee};
	assert_memory_equal(out, want, sizeof(want));
}

static void ring_wraps(void **state)
{
	(void)state;
	struct ring r;
	assert_int_equal(ring_init(&r, 4, sizeof(uint32_t)), 0);
	/* The counters pass 2^32 in a long life; start just below. */
	atomic_store(&r.head, UINT32_MAX - 5);
	atomic_store(&r.tail, UINT32_MAX - 5);
	uint32_t next_in = 0, next_out = 0;
	assert_null(ring_peek(&r));
	for (int i = 0; i < 10000; i++) {
		if (dice(2)) {
			uint32_t *slot = ring_reserve(&r);
			assert_int_equal(slot == NULL, next_in - next_out == 4);
			if (slot) {
				*slot = next_in++;
				ring_publish(&r);
			}
		} else {
			uint32_t *slot = ring_peek(&r);
			assert_int_equal(slot == NULL, next_in == next_out);
			if (slot) {
				assert_int_equal(*slot, next_out++);
				ring_release(&r);
			}
		}
	}
	assert_true(next_out > 1000);
	ring_fini(&r);
}

static void text_is(const char *in, size_t len, size_t room, const char *want)
{
	char buf[128];
	memset(buf, 'Z', sizeof(buf));
	assert_ptr_equal(log_text(buf, room, in, len), buf);
	assert_string_equal(buf, want);
}

static void log_escapes(void **state)
{
	(void)state;
	text_is("host-1", 6, 64, "host-1");
	text_is("a\nb\x1b[31m", 8, 64, "a\\x0ab\\x1b[31m");
	text_is("a\0b", 3, 64, "a\\x00b");
	text_is("\\x41", 4, 64, "\\x5cx41");
	text_is("Gr\xc3\xbc\xc3\x9f", 6, 64, "Gr\xc3\xbc\xc3\x9f");
	text_is("\xc3", 1, 64, "\\xc3");
	text_is("\xc0\xaf", 2, 64, "\\xc0\\xaf");                   /* overlong */
	text_is("\xed\xa0\x80", 3, 64, "\\xed\\xa0\\x80");          /* surrogate */
	text_is("\xf4\x90\x80\x80", 4, 64, "\\xf4\\x90\\x80\\x80"); /* above U+10FFFF */
	text_is("\xe2\x80\xae"
	        "x",
	        4, 64, "\\xe2\\x80\\xaex");       /* right-to-left override */
	text_is("\xc2\x85", 2, 64, "\\xc2\\x85"); /* C1 */
	text_is("\xf0\x9f\xa6\xa6", 4, 64, "\xf0\x9f\xa6\xa6");
	text_is("abcdef", 6, 4, "abc");
	text_is("ab\xc3\xbc", 4, 4, "ab"); /* no half character */
	text_is("ab\n", 3, 6, "ab");       /* no half escape */
	text_is("ab\n", 3, 7, "ab\\x0a");
	text_is("abc", 3, 1, "");
	char untouched = 'Q';
	log_text(&untouched, 0, "abc", 3);
	assert_int_equal(untouched, 'Q');
}

static size_t capture(enum log_level level, const char *text, char *buf, size_t room)
{
	int ends[2], old = dup(STDERR_FILENO);
	assert_int_equal(pipe(ends), 0);
	assert_true(old >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
	log_line(level, "%s", text);
	assert_true(dup2(old, STDERR_FILENO) >= 0);
	close(old);
	close(ends[1]);
	ssize_t n = read(ends[0], buf, room - 1);
	close(ends[0]);
	assert_true(n >= 0);
	buf[n] = 0;
	return (size_t)n;
}

static void log_lines(void **state)
{
	(void)state;
	char buf[8192], longer[4000];
	unsetenv("JOURNAL_STREAM");
	log_level_set(LOG_NOTICE);
	capture(LOG_ERROR, "no", buf, sizeof(buf));
	assert_string_equal(buf, "error: no\n");
	assert_int_equal(capture(LOG_DEBUG, "quiet", buf, sizeof(buf)), 0);
	log_level_set(LOG_DEBUG);
	capture(LOG_DEBUG, "loud", buf, sizeof(buf));
	assert_string_equal(buf, "debug: loud\n");
	setenv("JOURNAL_STREAM", "8:1", 1);
	capture(LOG_WARNING, "x", buf, sizeof(buf));
	assert_string_equal(buf, "<4>x\n");
	unsetenv("JOURNAL_STREAM");
	memset(longer, 'y', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	size_t n = capture(LOG_NOTICE, longer, buf, sizeof(buf));
	assert_true(n > 500 && n <= 1024);
	assert_ptr_equal(strchr(buf, '\n'), buf + n - 1);
	log_level_set(LOG_NOTICE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(drop_words),    cmocka_unit_test(heap_against_oracle), cmocka_unit_test(heap_fire_is_bounded),
	    cmocka_unit_test(cursor_sticks), cmocka_unit_test(ring_wraps),          cmocka_unit_test(log_escapes),
	    cmocka_unit_test(log_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
