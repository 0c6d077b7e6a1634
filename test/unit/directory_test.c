/* directory_test.c: what a large network publishes: shards that only change with their members, and back again when it shrinks. Members are those of
 * the bench, who read every blob and compare it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/bench/crowd_bed.h"

static struct admin_error error;

static unsigned sections(const struct seat *s, unsigned first)
{
	struct manifest m;
	unsigned n = 0;
	for (unsigned i = 0; i < BED_POOL; i++) {
		const struct pooled *p = &bed.pool[i];
		if (!p->bytes || memcmp(p->hash, bed.head.cfg_root, 32))
			continue;
		assert_true(bed_has(s, p->hash) && manifest_parse(p->bytes, p->len, &m));
		for (unsigned k = 0; k < m.n; k++)
			n += first == SECTION_MEMBERS ? m.section[k].id == SECTION_MEMBERS : m.section[k].id - first < SHARDS;
	}
	return n;
}

static void quiet(void)
{
	for (unsigned i = 0; i < 15; i++)
		bed_turn(1000);
	while (bed_turn(1))
		;
}

static void join(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		bed_join(bed_seat());
	bed_turn(1);
	for (unsigned i = bed.n_seats - n; i < bed.n_seats; i++)
		assert_int_equal(bed.seat[i].answer, JOIN_OK);
}

static void growing(void **state)
{
	(void)state;
	struct network_settings network = {.set = SET_NET_NAME | SET_NET_POOL | SET_NET_FLAGS,
	                                   .name = "crowd",
	                                   .pool = {.family = 4, .bits = 16, .ip = {10, 20}},
	                                   .flags_on = NETWORK_PUBLIC};
	bed_open(":memory:");
	controller_limits_set(bed.c, &(struct controller_limits){.members = MEMBERS_MAX});
	assert_int_equal(controller_network_create(bed.c, &network, &bed.nwid, &error), ADMIN_OK);
	struct seat *reader = bed_seat();
	bed_online(reader, true);
	bed_join(reader);
	bed_turn(1);
	join(511);
	quiet();
	assert_int_equal(sections(reader, SECTION_MEMBERS), 1);
	assert_int_equal(sections(reader, SECTION_MEMBERS_SHARD), 0);
	join(1); /* the 513th */
	quiet();
	assert_int_equal(sections(reader, SECTION_MEMBERS), 0);
	assert_int_equal(sections(reader, SECTION_MEMBERS_SHARD), SHARDS);

	/* one more: the manifest and one shard are read, no more */
	uint64_t bytes = bed.bytes;
	join(1);
	quiet();
	assert_in_range(bed.bytes - bytes, 2000, 4500);
	/* a change that touches no member: HEAD alone, or the manifest and the base */
	bytes = bed.bytes;
	struct network_settings name = {.set = SET_NET_NAME, .name = "crowds"};
	assert_int_equal(controller_network_set(bed.c, bed.nwid, &name, &error), ADMIN_OK);
	quiet();
	assert_in_range(bed.bytes - bytes, 100, 3500);
}

static void shrinking(void **state)
{
	(void)state;
	struct seat *reader = &bed.seat[0];
	unsigned gone = 0;
	for (; gone < 129; gone++) /* 514 to 385 */
		assert_int_equal(controller_member_revoke(bed.c, bed.nwid, bed.seat[2 + gone].identity.address, NULL, &error), ADMIN_OK);
	uint64_t version = reader->version;
	bed_turn(250);
	bed_turn(1); /* the HEAD is there within a quarter of a second */
	assert_true(reader->reading && reader->reading->head.version > version);
	quiet();
	assert_int_equal(sections(reader, SECTION_MEMBERS_SHARD), SHARDS);
	assert_int_equal(sections(reader, SECTION_REVOKED_SHARD), 0);
	for (; gone < 131; gone++)
		assert_int_equal(controller_member_revoke(bed.c, bed.nwid, bed.seat[2 + gone].identity.address, NULL, &error), ADMIN_OK);
	quiet();
	assert_int_equal(sections(reader, SECTION_MEMBERS), 1);
	assert_int_equal(sections(reader, SECTION_MEMBERS_SHARD), 0);
	join(500);
	for (; gone < 520; gone++)
		assert_int_equal(controller_member_revoke(bed.c, bed.nwid, bed.seat[2 + gone].identity.address, NULL, &error), ADMIN_OK);
	quiet();
	assert_int_equal(sections(reader, SECTION_REVOKED_SHARD), SHARDS);
	struct network_row row;
	assert_int_equal(controller_network_get(bed.c, bed.nwid, &row, &error), ADMIN_OK);
	assert_int_equal(row.members, 514 + 500 - 520);
	/* nobody it turned out is served any more, those who are in are */
	assert_true(reader->version > version);
	controller_close(bed.c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(growing), cmocka_unit_test(shrinking)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
