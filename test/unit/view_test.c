/* view_test.c: the index table against an oracle, the roster, and the guest book with readers that look where control frees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "node/view.h"

static uint64_t dice_state = 0x1234567890abcdefu;
static uint32_t dice(void)
{
	dice_state ^= dice_state >> 12;
	dice_state ^= dice_state << 25;
	dice_state ^= dice_state >> 27;
	return (uint32_t)(dice_state * 0x2545f4914f6cdd1du >> 32);
}

#define THINGS 400

/* Few different start slots, so that chains, tombstones and their reuse all happen. */
static void index_oracle(void **state)
{
	(void)state;
	static struct named thing[THINGS];
	static bool in[THINGS];
	struct index *x = index_new(64);
	for (unsigned i = 0; i < THINGS; i++)
		thing[i] = (struct named){.idx = (i + 1) << 4 << (i % 3 * 8), .kind = INDEX_SESSION};
	for (unsigned i = 0; i < THINGS; i++)
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(thing[i].idx, thing[j].idx);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = dice() % THINGS;
		if (in[i]) {
			index_take(x, &thing[i]);
			in[i] = false;
		} else {
			while (!index_put(x, &thing[i])) {
				struct index *larger = index_larger(x);
				assert_non_null(larger);
				free(x);
				x = larger;
			}
			in[i] = true;
		}
		unsigned look = dice() % THINGS;
		assert_ptr_equal(index_find(x, thing[look].idx | (dice() & LANE_MASK)), in[look] ? &thing[look] : NULL);
		if (step % 500 == 0)
			for (unsigned k = 0; k < THINGS; k++)
				assert_ptr_equal(index_find(x, thing[k].idx), in[k] ? &thing[k] : NULL);
	}
	assert_null(index_find(x, 0));
	assert_null(index_find(x, 7));
	free(x);
}

static void index_half_full(void **state)
{
	(void)state;
	struct named thing[9];
	struct index *x = index_new(16);
	for (unsigned i = 0; i < 9; i++) {
		thing[i] = (struct named){.idx = (i * 16 + 5) << 4, .kind = INDEX_CIRCUIT};
		assert_int_equal(index_put(x, &thing[i]), i < 8);
	}
	/* All in one chain, the middle taken: what is behind is found, and the place is used again. */
	index_take(x, &thing[3]);
	assert_null(index_find(x, thing[3].idx));
	assert_ptr_equal(index_find(x, thing[7].idx), &thing[7]);
	assert_true(index_put(x, &thing[8]));
	assert_int_equal(x->used, 8);
	struct index *y = index_larger(x);
	assert_int_equal(y->mask, 31);
	assert_ptr_equal(index_find(y, thing[8].idx), &thing[8]);
	assert_null(index_find(y, thing[3].idx));
	free(x);
	free(y);
}

static void roster(void **state)
{
	(void)state;
	static struct member m[101];
	struct roster *r = calloc(1, sizeof(*r) + sizeof(m) / sizeof(m[0]) * sizeof(r->member[0]));
	assert_null(roster_find(r, 5));
	for (unsigned i = 0; i < 101; i++) {
		m[i].address = 10 + 3 * i;
		r->member[r->n++] = &m[i];
		for (unsigned k = 0; k <= i; k++) {
			assert_ptr_equal(roster_find(r, 10 + 3 * k), &m[k]);
			assert_null(roster_find(r, 11 + 3 * k));
		}
		assert_null(roster_find(r, 9));
	}
	free(r);
}

/* ---- guest book ------------------------------------------------------------------------------------------------- */

static unsigned freed;
static void count_free(void *p)
{
	freed++;
	free(p);
}

static struct view *view_make(void)
{
	return calloc(1, sizeof(struct view));
}

static void guestbook_order(void **state)
{
	(void)state;
	struct guestbook b;
	guestbook_init(&b, 2);
	freed = 0;
	assert_null(guestbook_enter(&b, 0));
	guestbook_leave(&b, 0);
	struct view *v = view_make();
	guestbook_publish(&b, v);
	guestbook_retire(&b, malloc(1), count_free); /* nobody is in */
	guestbook_reap(&b);
	assert_int_equal(freed, 1);
	assert_ptr_equal(guestbook_enter(&b, 0), v);
	guestbook_retire(&b, malloc(1), count_free);
	assert_ptr_equal(guestbook_enter(&b, 1), v); /* began later: cannot hold the first, can hold the next */
	guestbook_retire(&b, malloc(1), count_free);
	guestbook_reap(&b);
	assert_int_equal(freed, 1);
	guestbook_enter(&b, 0);
	guestbook_reap(&b);
	assert_int_equal(freed, 2);
	guestbook_leave(&b, 1);
	guestbook_reap(&b);
	assert_int_equal(freed, 3);
	guestbook_retire(&b, malloc(1), count_free);
	guestbook_publish(&b, view_make());
	guestbook_reap(&b);
	assert_int_equal(freed, 3);
	guestbook_leave(&b, 0);
	guestbook_retire(&b, malloc(1), count_free);
	guestbook_fini(&b);
	assert_int_equal(freed, 5);
}

#define READERS 4
#define LIVE    16
#define ROUNDS  20000

/* What is taken out of sight is buried, not freed, so that a reader who still looks at it sees it without any sanitizer. */
struct thing {
	struct named named;
	uint32_t alive;
	struct thing *below;
};

static struct guestbook book;
static atomic_bool over;
static atomic_uint bad, seen;
static struct thing *graveyard;
static unsigned buried;

static void bury(void *p)
{
	struct thing *t = p;
	t->alive = 0;
	t->below = graveyard;
	graveyard = t;
	buried++;
}

static void *reader(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg, found = 0;
	for (unsigned turn = 0; !atomic_load(&over); turn++) {
		const struct view *v = guestbook_enter(&book, me);
		struct thing *held[LIVE];
		for (unsigned i = 0; i < LIVE; i++)
			held[i] = (struct thing *)index_find(v->index, (i + 1) << 4);
		for (unsigned i = 0; i < LIVE; i++)
			if (held[i]) {
				found++;
				if (held[i]->alive != 0xa11fe)
					atomic_fetch_add(&bad, 1);
			}
		if (turn % 7 == me)
			guestbook_leave(&book, me);
	}
	guestbook_leave(&book, me);
	atomic_fetch_add(&seen, found);
	return NULL;
}

static void guestbook_threads(void **state)
{
	(void)state;
	struct thing *live[LIVE] = {0};
	pthread_t thread[READERS];
	struct index *x = index_new(64);
	struct view *v = view_make();
	unsigned made = 0;
	v->index = x;
	guestbook_init(&book, READERS);
	guestbook_publish(&book, v);
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, reader, (void *)(uintptr_t)i), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned i = round % LIVE;
		if (live[i]) {
			index_take(x, &live[i]->named);
			guestbook_retire(&book, live[i], bury);
		}
		live[i] = calloc(1, sizeof(*live[i]));
		live[i]->named = (struct named){.idx = (i + 1) << 4, .kind = INDEX_SESSION};
		live[i]->alive = 0xa11fe;
		made++;
		assert_true(index_put(x, &live[i]->named));
		if (round % 64 == 0) { /* another table and view under their feet */
			struct index *old = x;
			x = index_larger(old);
			v = view_make();
			if (x->mask > 4095) {
				free(x);
				x = index_new(64);
				for (unsigned k = 0; k < LIVE; k++)
					if (live[k])
						assert_true(index_put(x, &live[k]->named));
			}
			v->index = x;
			guestbook_publish(&book, v);
			guestbook_retire(&book, old, free);
		}
		guestbook_reap(&book);
	}
	/* On a busy machine all rounds may be over before a reader has had its first slice. */
	for (unsigned i = 0; i < 10000 && !atomic_load(&seen); i++)
		usleep(1000);
	atomic_store(&over, true);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(atomic_load(&bad), 0);
	assert_true(atomic_load(&seen) > 0);
	guestbook_reap(&book);
	assert_int_equal(buried, made - LIVE);
	assert_null(book.first);
	guestbook_fini(&book);
	free(x);
	for (unsigned i = 0; i < LIVE; i++)
		free(live[i]);
	while (graveyard) {
		struct thing *t = graveyard;
		graveyard = t->below;
		free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(index_oracle),    cmocka_unit_test(index_half_full),   cmocka_unit_test(roster),
	    cmocka_unit_test(guestbook_order), cmocka_unit_test(guestbook_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
