/* audience_test: lists by group as workers look them up, and the shares of a sender and its replicators: every address in exactly one part,
 * whatever the replicators know. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "node/audience.h"

#define ALL   ((UINT64_C(1) << RING_BITS) - 1)
#define MANY  1000
#define TURNS 1000

static uint64_t draw_state = 1;

static uint64_t draw(uint64_t below) /* splitmix64 */
{
	uint64_t z = draw_state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

static void group_of(unsigned i, uint8_t ret[6])
{
	const uint8_t group[6] = {0x33, 0x33, (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
	memcpy(ret, group, 6);
}

/* Workers never look behind the pointer here, so any will do that can be told from others. */
static struct member *named(uintptr_t i)
{
	return (struct member *)(i * 16);
}

static void nobody(void **state)
{
	(void)state;
	const uint8_t group[6] = {1, 0, 0x5e, 0, 0, 1};
	const struct audience *a = audience_find(NULL, group);
	assert_non_null(a);
	assert_false(a->complete);
	assert_int_equal(a->n, 0);
	audience_used(a, 5); /* has no stamp */
	assert_int_equal(audience_used_ms(NULL, group), 0);
}

static void lists(void **state)
{
	(void)state;
	struct audiences *all = audiences_new(AUDIENCE_GROUPS_MAX, 3 * AUDIENCE_GROUPS_MAX + 3);
	uint8_t group[6];
	assert_non_null(all);
	for (unsigned i = 0; i < AUDIENCE_GROUPS_MAX; i++) {
		group_of(i * 2, group);
		struct member **list = audiences_add(all, group, i % 4, i & 1, 100 + i);
		assert_non_null(list);
		for (unsigned k = 0; k < i % 4; k++)
			list[k] = named(i * 4 + k);
	}
	struct member **takers = audiences_takers(all, 2, true), **unknown = audiences_unknown(all, 1);
	assert_true(takers && unknown);
	takers[0] = named(7), takers[1] = named(8), unknown[0] = named(9);
	for (unsigned i = 0; i < AUDIENCE_GROUPS_MAX; i++) {
		group_of(i * 2, group);
		const struct audience *a = audience_find(all, group);
		assert_int_equal(a->n, i % 4);
		assert_int_equal(a->complete, i & 1);
		for (unsigned k = 0; k < a->n; k++)
			assert_ptr_equal(a->member[k], named(i * 4 + k));
		assert_int_equal(audience_used_ms(all, group), 100 + i);
		audience_used(a, 5000 + i);
		assert_int_equal(audience_used_ms(all, group), 5000 + i);
		group_of(i * 2 + 1, group);
		assert_ptr_equal(audience_find(all, group), &all->takers);
		assert_int_equal(audience_used_ms(all, group), 0);
	}
	assert_true(all->takers.complete && all->takers.member[1] == named(8));
	assert_true(all->unknown.n == 1 && all->unknown.member[0] == named(9));
	free(all);
}

static void own(void **state)
{
	(void)state;
	static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct audiences *all = audiences_new(0, 0);
	uint8_t group[6];
	group_of(5, group);
	assert_true(audience_own(NULL, group));
	assert_true(!audience_own(all, group) && audience_own(all, everybody));
	for (unsigned n = 1; n <= AUDIENCE_OWN_MAX; n++) {
		group_of(2 * n, all->own[n - 1]);
		all->n_own = n;
		for (unsigned i = 1; i <= 2 * n + 1; i++) {
			group_of(i, group);
			assert_int_equal(audience_own(all, group), i % 2 == 0);
		}
	}
	all->own_all = true;
	group_of(1, group);
	assert_true(audience_own(all, group));
	free(all);
}

/* What was told to audiences_new is all there is. */
static void room(void **state)
{
	(void)state;
	uint8_t group[6];
	struct audiences *all = audiences_new(3, 5);
	group_of(1, group);
	assert_non_null(audiences_add(all, group, 2, true, 0));
	assert_null(audiences_add(all, group, 1, true, 0)); /* each once */
	group_of(2, group);
	assert_null(audiences_add(all, group, 4, true, 0));
	assert_ptr_equal(audience_find(all, group), &all->takers);
	assert_non_null(audiences_add(all, group, 3, true, 0));
	group_of(3, group);
	assert_non_null(audiences_add(all, group, 0, true, 0));
	assert_null(audiences_takers(all, 1, true));
	assert_int_equal(all->n_groups, 3);
	for (unsigned i = 4; i < 100; i++) { /* the table never fills: a look for a group without a list ends */
		group_of(i, group);
		audiences_add(all, group, 0, true, 0);
	}
	group_of(100, group);
	assert_ptr_equal(audience_find(all, group), &all->takers);
	free(all);
}

/* ---- shares ----------------------------------------------------------------------------------------------------- */

static void stretches(void **state)
{
	(void)state;
	assert_true(stretch_holds(5, 9, 5) && stretch_holds(5, 9, 8));
	assert_false(stretch_holds(5, 9, 9) || stretch_holds(5, 9, 4) || stretch_holds(5, 9, 0) || stretch_holds(5, 9, ALL));
	assert_true(stretch_holds(ALL - 1, 3, ALL) && stretch_holds(ALL - 1, 3, 0) && stretch_holds(ALL - 1, 3, 2));
	assert_false(stretch_holds(ALL - 1, 3, 3) || stretch_holds(ALL - 1, 3, ALL - 2));
	assert_true(stretch_holds(7, 7, 7) && stretch_holds(7, 7, 6) && stretch_holds(7, 7, ALL));
}

static int ascending(const void *a, const void *b)
{
	uint64_t x, y;
	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return x < y ? -1 : x > y;
}

static uint32_t addresses(uint64_t *to, uint32_t n, uint64_t span)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < n; i++)
		to[i] = (ALL - span / 2 + draw(span)) & ALL; /* some worlds around the ring's end */
	qsort(to, n, sizeof *to, ascending);
	for (uint32_t i = 0; i < n; i++)
		if (!kept || to[kept - 1] != to[i])
			to[kept++] = to[i];
	return kept;
}

static bool direct(const struct shares *s, uint32_t n, uint32_t i)
{
	return (i + n - s->first) % n < s->direct;
}

static unsigned ranges(const struct shares *s, uint64_t address)
{
	unsigned in = 0;
	for (uint32_t k = 0; k < s->n; k++)
		in += stretch_holds(s->share[k].from, s->share[k].to, address);
	return in;
}

/* The window as a stretch: what lies between the addresses that are served directly. */
static bool window(const struct shares *s, const uint64_t *address, uint32_t n, uint64_t one)
{
	return s->direct && (s->direct == n || stretch_holds(address[s->first], address[(s->first + s->direct) % n], one));
}

static void each_once(const uint64_t *address, uint32_t n, uint32_t replicators, uint32_t limit, uint32_t turn)
{
	struct shares s;
	audience_split(address, n, replicators, limit, turn, &s);
	if (!replicators || n <= limit || !limit) {
		assert_true(s.n == 0 && s.direct == n);
	} else {
		assert_true(s.n >= 1 && s.n <= replicators && s.n <= REPLICATORS_MAX);
		assert_int_equal(s.n + s.direct, limit); /* what the sender sends */
	}
	uint32_t seen = 0;
	for (uint32_t k = 0; k < s.n; k++) {
		assert_true(s.share[k].replicator < replicators && !(seen >> s.share[k].replicator & 1));
		seen |= 1u << s.share[k].replicator;
	}
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(direct(&s, n, i) + ranges(&s, address[i]), 1);
	for (unsigned i = 0; i < 64 && s.n; i++) { /* of another view of the same network */
		uint64_t other = draw(ALL + 1);
		assert_int_equal(window(&s, address, n, other) + ranges(&s, other), 1);
	}
}

static void splits(void **state)
{
	(void)state;
	static uint64_t address[MANY];
	for (unsigned round = 0; round < 3000; round++) {
		uint32_t n = addresses(address, 1 + (uint32_t)draw(round % 3 ? MANY : 50), round & 1 ? ALL : 5000);
		each_once(address, n, (uint32_t)draw(11), (uint32_t)draw(70), (uint32_t)draw(UINT32_MAX));
	}
	address[0] = 1, address[1] = 2;
	each_once(address, 2, 1, 1, 0);
	each_once(address, 2, 8, 1, 1);
	each_once(address, 1, 8, 1, 7);
	struct shares s;
	audience_split(address, 0, 8, 32, 9, &s);
	assert_true(!s.n && !s.direct);
}

/* A thousand members that share one way of splitting, but each replicator knows some of them only and some that the sender does not: nobody gets it
 * twice, and whom both know gets it. */
static void views(void **state)
{
	(void)state;
	static uint64_t all[MANY], mine[MANY];
	static uint8_t got[MANY], due[MANY];
	for (unsigned round = 0; round < 200; round++) {
		uint32_t n = addresses(all, MANY, ALL), n_mine = 0;
		struct shares s;
		memset(got, 0, sizeof got);
		memset(due, 0, sizeof due);
		for (uint32_t i = 0; i < n; i++)
			if (draw(10))
				mine[n_mine++] = all[i];
		audience_split(mine, n_mine, 8, 32, round, &s);
		assert_int_equal(s.n, 8);
		for (uint32_t i = 0; i < n; i++) {
			const uint64_t *at = bsearch(&all[i], mine, n_mine, sizeof mine[0], ascending);
			if (at && direct(&s, n_mine, (uint32_t)(at - mine)))
				got[i]++, due[i]++;
			for (uint32_t k = 0; k < s.n; k++) {
				bool knows = draw(10);
				if (!knows || !stretch_holds(s.share[k].from, s.share[k].to, all[i]))
					continue;
				got[i]++;
				if (at)
					due[i]++;
			}
		}
		for (uint32_t i = 0; i < n; i++)
			assert_true(got[i] <= 1 && due[i] <= got[i]);
	}
}

/* T87. Over many frames everybody is served by the sender itself about as often as anybody else, and nobody is always the last of all. */
static void fair(void **state)
{
	(void)state;
	static uint64_t address[MANY];
	static unsigned served[MANY], last[MANY];
	uint32_t n = addresses(address, MANY, ALL), limit = 32, by = 4;
	double chi = 0;
	memset(served, 0, sizeof served);
	for (uint32_t turn = 0; turn < TURNS; turn++) {
		struct shares s;
		audience_split(address, n, by, limit, turn, &s);
		for (uint32_t i = 0; i < s.direct; i++)
			served[(s.first + i) % n]++;
		audience_split(address, n, 0, limit, turn, &s);
		last[(s.first + s.direct - 1) % n]++;
	}
	double want = (double)TURNS * (limit - by) / n;
	for (uint32_t i = 0; i < n; i++) {
		chi += (served[i] - want) * (served[i] - want) / want;
		assert_true(served[i] > 0 && last[i] <= 2);
	}
	assert_true(chi < n + 5 * 45); /* of n - 1 degrees of freedom: mean n, deviation sqrt(2 n) = 45 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(nobody), cmocka_unit_test(lists),     cmocka_unit_test(room),
	                                   cmocka_unit_test(own),    cmocka_unit_test(stretches), cmocka_unit_test(splits),
	                                   cmocka_unit_test(views),  cmocka_unit_test(fair)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
