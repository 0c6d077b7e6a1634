/* mail_test.c: two rings, their order, their limits, and a writer and a reader at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "node/mail.h"

static void write_one(struct mail *m, enum letter_kind kind, uint32_t idx)
{
	struct letter *l = mail_begin(m, kind);
	assert_non_null(l);
	l->idx = idx;
	mail_post(m, l);
}

static uint32_t read_one(struct mail *m)
{
	struct letter *l = mail_take(m);
	if (!l)
		return 0;
	uint32_t idx = l->idx;
	mail_done(m, l);
	return idx;
}

static void order(void **state)
{
	(void)state;
	struct mail m;
	assert_int_equal(mail_init(&m), 0);
	assert_null(mail_take(&m));
	write_one(&m, LETTER_INIT, 1);
	write_one(&m, LETTER_CTRL, 2);
	write_one(&m, LETTER_INIT, 3);
	struct letter *l = mail_begin_relayed_init(&m);
	assert_int_equal(l->kind, LETTER_INIT);
	l->idx = 4;
	mail_post(&m, l);
	assert_int_equal(read_one(&m), 2); /* known ones first */
	assert_int_equal(read_one(&m), 4);
	assert_int_equal(read_one(&m), 1);
	assert_int_equal(read_one(&m), 3);
	assert_int_equal(read_one(&m), 0);
	mail_fini(&m);
}

static void full(void **state)
{
	(void)state;
	struct mail m;
	mail_init(&m);
	for (unsigned i = 0; i < MAIL_STRANGERS; i++)
		write_one(&m, LETTER_INIT, i + 1);
	assert_null(mail_begin(&m, LETTER_INIT));
	for (unsigned i = 0; i < MAIL_LETTERS; i++) { /* strangers take no room from these */
		struct letter *l = mail_begin(&m, LETTER_FRAME_IN);
		assert_non_null(l);
		memset(l->data, 0xee, LETTER_DATA_MAX);
		memset(l->place, 0xee, sizeof(l->place));
		l->len = LETTER_DATA_MAX;
		l->idx = 1000 + i;
		mail_post(&m, l);
	}
	assert_null(mail_begin(&m, LETTER_CTRL));
	assert_int_equal(read_one(&m), 1000);
	struct letter *l = mail_begin(&m, LETTER_PROBE); /* a used slot comes back with clean fields */
	assert_int_equal(l->kind, LETTER_PROBE);
	assert_int_equal(l->idx, 0);
	assert_int_equal(l->len, 0);
	for (unsigned i = 1; i < MAIL_LETTERS; i++)
		assert_int_equal(read_one(&m), 1000 + i);
	for (unsigned i = 0; i < MAIL_STRANGERS; i++)
		assert_int_equal(read_one(&m), i + 1);
	mail_fini(&m);
}

#define LETTERS 20000
static void *writer(void *arg)
{
	for (unsigned i = 1; i <= LETTERS;) {
		struct letter *l = mail_begin(arg, i % 5 ? LETTER_CTRL : LETTER_INIT);
		if (!l) {
			sched_yield();
			continue;
		}
		l->idx = i;
		l->len = 64;
		memset(l->data, (int)(i & 0xff), 64);
		mail_post(arg, l);
		i++;
	}
	return NULL;
}

static void both_ends(void **state)
{
	(void)state;
	struct mail m;
	pthread_t t;
	mail_init(&m);
	pthread_create(&t, NULL, writer, &m);
	uint32_t last[2] = {0}, n = 0;
	while (n < LETTERS) {
		struct letter *l = mail_take(&m);
		if (!l) {
			sched_yield();
			continue;
		}
		bool init = l->kind == LETTER_INIT;
		assert_true(l->idx > last[init]);
		assert_int_equal(l->idx % 5 == 0, init);
		last[init] = l->idx;
		for (unsigned i = 0; i < l->len; i++)
			assert_int_equal(l->data[i], l->idx & 0xff);
		mail_done(&m, l);
		n++;
	}
	pthread_join(t, NULL);
	assert_null(mail_take(&m));
	mail_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(order), cmocka_unit_test(full), cmocka_unit_test(both_ends)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
