/* What members carried: whatever is lost, restarted or retold, the slots add up to what the members told, in each of the three tables; and
 * liars, clocks and full disks spoil no more than they must. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller/traffic_parts.h"
#include "test/unit/controller_bed.h"

#define WALL    1700000000 /* 20 minutes and 2 h 40 min into their slots */
#define MEMBERS 4
#define REASONS 5

static struct controller *c;
static struct secret self;
static char dir[64];
static uint64_t nwid, now, wall;
static unsigned told_changes;
static struct traffic_view *view; /* of the last look */

static void port_changed(void *to, const struct change *change)
{
	(void)to;
	told_changes += change->kind == CHANGE_TRAFFIC && change->nwid == nwid;
}

static void open_again(void)
{
	struct controller_port port = {.send = bed_send, .changed = port_changed};
	const char *why = "";
	assert_int_equal(controller_open(&c, dir, &self, &port, now, wall, &why), 0);
}

static void pass(uint64_t s)
{
	for (; s; s -= s < 10 ? s : 10) {
		now += (s < 10 ? s : 10) * 1000;
		wall += s < 10 ? s : 10;
		controller_settle(c, now, wall);
	}
}

static int setup(void **state)
{
	struct network_settings s = {.set = SET_NET_NAME, .name = "carriers"};
	struct admin_error e;
	(void)state;
	bed_secret(&self);
	/* months of commits: where that costs nothing, if there is such a place */
	snprintf(dir, sizeof(dir), "%s/traffic_test.XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	view = malloc(sizeof(*view));
	if (!view || !mkdtemp(dir))
		return -1;
	now = 1000;
	wall = WALL;
	open_again();
	if (controller_network_create(c, &s, &nwid, &e))
		return -1;
	pass(1);
	return 0;
}

static int teardown(void **state)
{
	static const char *const files[] = {"controller.db", "controller.db-wal", "controller.db-shm", "head.bak"};
	char path[128];
	(void)state;
	controller_close(c);
	for (unsigned i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		unlink(path);
	}
	rmdir(dir);
	free(view);
	return 0;
}

static void member_new(unsigned n)
{
	struct identity who = person(n);
	uint8_t body[BODY_MAX];
	struct admin_error e;
	struct body_join_req req = {
	    .nwid = nwid, .identity = who, .hostname = "h", .os = "o", .version = "v", .asked = now}; /* typed anew */
	struct message m = {.req = 1, .op = OP_JOIN_REQ, .body = body, .len = body_join_req_encode(&req, body, sizeof(body))};
	controller_request(c, &who, NULL, &m, now, wall);
	controller_settle(c, now, wall);
	assert_int_equal(controller_member_approve(c, nwid, who.address, NULL, &e), ADMIN_OK);
	controller_settle(c, now, wall);
}

static void report_send(unsigned n, const struct body_report *b)
{
	struct identity who = person(n);
	uint8_t body[BODY_MAX];
	struct message m = {.req = 1, .op = OP_REPORT, .body = body, .len = body_report_encode(b, body, sizeof(body))};
	assert_int_not_equal(m.len, 0);
	controller_request(c, &who, NULL, &m, now, wall);
	controller_settle(c, now, wall);
}

static void report(unsigned n, uint64_t seq, uint64_t rx_bytes, uint64_t tx_bytes)
{
	struct body_report b = {.nwid = nwid, .seq = seq, .counted = true, .count = {rx_bytes, rx_bytes / 1000, tx_bytes, tx_bytes / 1000}};
	report_send(n, &b);
}

static void look(unsigned n, enum traffic_range range)
{
	struct admin_error e;
	assert_int_equal(controller_traffic(c, nwid, n ? person(n).address : 0, range, view, &e), ADMIN_OK);
}

static void assert_count(const struct traffic_count *a, const struct traffic_count *b)
{
	assert_int_equal(a->rx_bytes, b->rx_bytes);
	assert_int_equal(a->rx_frames, b->rx_frames);
	assert_int_equal(a->tx_bytes, b->tx_bytes);
	assert_int_equal(a->tx_frames, b->tx_frames);
}

/* ---- arithmetic ----------------------------------------------------------------------- */

static void pieces_add_up(void **state)
{
	(void)state;
	srand(11);
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t total = (uint64_t)rand() * (i % 3 ? 1 : (uint64_t)1 << 31), from = (uint64_t)rand() % 10000,
			 to = from + (uint64_t)rand() % 3601;
		uint64_t step = i % 2 ? 60 : 600, sum = 0, last = to > from ? to - 1 : to;
		for (uint64_t slot = from / step; slot <= last / step; slot++)
			sum += spread_piece(total, from, to, slot * step, slot * step + step);
		assert_int_equal(sum, total);
	}
	assert_int_equal(spread_piece(100, 50, 100, 0, 60), 20);
	assert_int_equal(spread_piece(100, 50, 100, 60, 120), 80);
	assert_int_equal(spread_piece(100, 50, 100, 120, 180), 0);
	assert_int_equal(spread_piece(INT64_MAX, 0, 3600, 0, 3600), INT64_MAX);
}

static void round_trips(void **state)
{
	struct tallies t = {0};
	(void)state;
	assert_int_equal(rtt_median(&t), 0);
	for (uint32_t us = 16; us < 16000000; us += 1 + us / 37) {
		double is = rtt_of(rtt_bucket(us));
		assert_true(is > us * 0.95 - 1 && is < us * 1.05 + 1);
	}
	assert_int_equal(rtt_bucket(0), 0);
	assert_true(rtt_bucket(UINT32_MAX) < RTT_BUCKETS);
	for (uint32_t us = 1; us < 1u << 30; us += 1 + us / 50)
		assert_true(rtt_bucket(us) <= rtt_bucket(us + us / 50 + 1));
	for (unsigned i = 0; i < 99; i++)
		t.of[rtt_bucket(i < 50 ? 1000 : 90000)]++;
	assert_in_range(rtt_median(&t), 950, 1050);
}

static void packed(void **state)
{
	struct tallies t = {0}, back;
	uint8_t bytes[TALLIES_ROOM];
	(void)state;
	assert_int_equal(tallies_pack(&t, bytes), 0);
	for (unsigned i = 0; i < TALLIES; i++)
		t.of[i] = UINT64_MAX >> (i % 64);
	size_t n = tallies_pack(&t, bytes);
	assert_true(n <= sizeof(bytes));
	tallies_unpack(bytes, n, &back);
	assert_memory_equal(&t, &back, sizeof(t));
	srand(3);
	for (unsigned i = 0; i < 20000; i++) { /* whatever stands there */
		size_t len = (size_t)rand() % 40;
		for (size_t k = 0; k < len; k++)
			bytes[k] = (uint8_t)(i % 2 ? 0xff : rand());
		tallies_unpack(bytes, len, &back);
	}
}

/* ---- exact ---------------------------------------------------------------------------- */

struct truth {                                /* of a member */
	struct traffic_count now, told, done; /* its counters; as it told them; of the runs before */
	uint64_t drop[REASONS], drop_told[REASONS], drop_done[REASONS];
	uint64_t epoch, seq, due;
};

static void truth_carry(struct truth *t)
{
	t->now.rx_frames += (uint64_t)rand() % 5000;
	t->now.rx_bytes += (uint64_t)rand() % 5000000;
	t->now.tx_frames += (uint64_t)rand() % 777;
	t->now.tx_bytes += (uint64_t)rand() % 999999;
	for (unsigned i = 0; i < REASONS; i++)
		t->drop[i] += rand() % 3 ? 0 : (uint64_t)rand() % 50;
}

/* false: it was lost. */
static bool truth_report(unsigned n, struct truth *t)
{
	static const char *const names[REASONS] = {"storm", "acl", "other", "loop-guard", "queue"};
	struct body_report b = {.nwid = nwid, .seq = t->epoch << 32 | ++t->seq, .counted = true};
	b.count = (struct report_count){t->now.rx_bytes, t->now.rx_frames, t->now.tx_bytes, t->now.tx_frames};
	for (unsigned i = 0; i < REASONS; i++) {
		if (!t->drop[i])
			continue;
		b.drop[b.n_drops].count = t->drop[i];
		snprintf(b.drop[b.n_drops++].name, REPORT_DROP_NAME, "%s", names[i]);
	}
	if (rand() % 8 == 0)
		return false;
	report_send(n, &b);
	t->told = t->now;
	memcpy(t->drop_told, t->drop, sizeof(t->drop));
	return true;
}

/* What was not told of it is lost with it. */
static void truth_restart(struct truth *t)
{
	count_add(&t->done, &t->told);
	for (unsigned i = 0; i < REASONS; i++)
		t->drop_done[i] += t->drop_told[i];
	t->now = t->told = (struct traffic_count){0};
	memset(t->drop, 0, sizeof(t->drop));
	memset(t->drop_told, 0, sizeof(t->drop_told));
	t->epoch++;
	t->seq = 0;
}

static void controller_restart(bool crash)
{
	c->trusted = !crash; /* it writes nothing any more */
	controller_close(c);
	now += 3000;
	wall += 3;
	open_again();
	controller_settle(c, now, wall);
}

static void truth_check(const struct truth *t, enum traffic_range range)
{
	struct traffic_count sum = {0};
	uint64_t drops[REASONS] = {0}, all = 0;
	for (unsigned n = 1; n <= MEMBERS; n++) {
		struct traffic_count want = t[n].done;
		uint64_t drop_sum = 0;
		count_add(&want, &t[n].told);
		look(n, range);
		assert_count(&view->total, &want);
		count_add(&sum, &want);
		for (unsigned i = 0; i < REASONS; i++) {
			drops[i] += t[n].drop_done[i] + t[n].drop_told[i];
			drop_sum += t[n].drop_done[i] + t[n].drop_told[i];
		}
		assert_int_equal(view->drops, drop_sum);
		all += drop_sum;
	}
	look(0, range);
	assert_count(&view->total, &sum);
	assert_int_equal(view->drops, all);
	assert_int_equal(view->n_members, MEMBERS);
	struct traffic_count total = {0};
	uint64_t dropped = 0;
	assert_true(controller_traffic_total(c, nwid, &total, &dropped));
	assert_count(&total, &sum);
	assert_int_equal(dropped, all);
	for (unsigned i = 0; i < view->n_reasons; i++) {
		uint64_t slots = 0;
		for (unsigned k = 0; k < traffic_rings[range].slots; k++)
			slots += view->reason[i].slot[k];
		assert_int_equal(slots, view->reason[i].total);
		if (!strcmp(view->reason[i].name, "acl"))
			assert_int_equal(view->reason[i].total, drops[1]);
		if (!strcmp(view->reason[i].name, "other"))
			assert_int_equal(view->reason[i].total, drops[2]);
	}
	assert_int_equal(view->n_reasons, REASONS);
}

static void life(uint64_t seconds, unsigned seed, enum traffic_range finest)
{
	struct truth t[MEMBERS + 1] = {0};
	srand(seed);
	for (unsigned n = 1; n <= MEMBERS; n++) {
		member_new(n);
		t[n].due = wall + 200 + n;
	}
	for (uint64_t until = wall + seconds, restarted = 0; wall < until;) {
		pass(1 + (uint64_t)rand() % 20);
		for (unsigned n = 1; n <= MEMBERS; n++) {
			if (wall < t[n].due)
				continue;
			truth_carry(&t[n]);
			truth_report(n, &t[n]);
			t[n].due = wall + 48 + (uint64_t)rand() % 25;
			if (rand() % 40)
				continue;
			truth_restart(&t[n]);
			restarted = wall;
		}
		bool crash = rand() % 2 && wall > restarted + 11; /* else its last words are lost in earnest */
		if (rand() % 150)
			continue;
		controller_restart(crash);
		for (unsigned n = 1; crash && n <= MEMBERS; n++) /* what was not written yet comes again, if only they still run */
			while (!truth_report(n, &t[n]))
				;
	}
	for (unsigned n = 1; n <= MEMBERS; n++)
		while (!truth_report(n, &t[n]))
			;
	pass(11);
	for (unsigned range = finest; range < TRAFFIC_RANGES; range++)
		truth_check(t, (enum traffic_range)range);
}

static void an_hour(void **state)
{
	(void)state;
	life(50 * 60, 1, TRAFFIC_HOUR);
}
static void another_hour(void **state)
{
	(void)state;
	life(50 * 60, 2, TRAFFIC_HOUR);
}
static void a_day(void **state)
{
	(void)state;
	life(23 * 3600, 3, TRAFFIC_DAY);
}
static void two_days(void **state)
{
	(void)state;
	life(48 * 3600, 4, TRAFFIC_MONTH);
}

/* ---- where it lies -------------------------------------------------------------------- */

static void evenly(void **state)
{
	(void)state;
	member_new(1);
	pass(60 - wall % 60); /* a slot begins */
	report(1, 1, 0, 0);
	pass(30);
	report(1, 2, 3000, 600);
	pass(60);
	report(1, 3, 9000, 600);
	pass(11);
	look(1, TRAFFIC_HOUR);
	assert_int_equal(view->start % 60, 0);
	assert_int_equal(view->start, wall - wall % 60 - 59 * 60);
	assert_true(view->slot[58].told && view->slot[59].told);
	assert_int_equal(view->slot[58].count.rx_bytes, 6000); /* 3000 of its first half minute and half of the next 6000 */
	assert_int_equal(view->slot[59].count.rx_bytes, 3000);
	assert_int_equal(view->slot[58].count.tx_bytes, 600);
	assert_int_equal(view->slot[59].count.tx_bytes, 0);
	assert_false(view->slot[50].told);
	look(0, TRAFFIC_HOUR);
	assert_int_equal(view->reporting, 1);
	assert_int_equal(view->n_members, 1);
	assert_int_equal(view->member[0].address, person(1).address);
	assert_int_equal(view->member[0].count.rx_bytes, 9000);
}

static void rates(void **state)
{
	struct member_row row;
	struct network_row n;
	struct admin_error e;
	(void)state;
	member_new(1);
	member_new(2);
	controller_online(c, person(1).key_hash, true, now, wall);
	controller_online(c, person(2).key_hash, true, now, wall);
	report(1, 1, 0, 0);
	report(2, 1, 0, 0);
	pass(60);
	report(1, 2, 60000, 30000);
	report(2, 2, 6000, 0);
	assert_int_equal(controller_member_get(c, nwid, person(1).address, &row, &e), ADMIN_OK);
	assert_true(row.carries);
	assert_int_equal(row.rx_bps, 8000);
	assert_int_equal(row.tx_bps, 4000);
	assert_int_equal(controller_network_get(c, nwid, &n, &e), ADMIN_OK);
	assert_true(n.carries);
	assert_int_equal(n.rx_bps, 8800);
	pass(200); /* nobody says anything any more */
	assert_int_equal(controller_network_get(c, nwid, &n, &e), ADMIN_OK);
	assert_false(n.carries);
	assert_int_equal(n.rx_bps, 0);
}

static void told_seldom(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= MEMBERS; n++)
		member_new(n);
	told_changes = 0;
	for (unsigned i = 1; i <= 30; i++) { /* five minutes, each of them every 10 s */
		pass(10);
		for (unsigned n = 1; n <= MEMBERS; n++)
			report(n, i, i * 1000, 0);
	}
	pass(11);
	assert_in_range(told_changes, 25, 31);
}

/* ---- liars, clocks, disks ------------------------------------------------------------- */

static void liars(void **state)
{
	struct traffic_figures f;
	struct body_report b = {.nwid = nwid, .counted = true};
	(void)state;
	member_new(1);
	report(1, 1, 0, 0);
	pass(60);
	report(1, 2, UINT64_MAX, 1000); /* in a minute */
	pass(11);
	look(1, TRAFFIC_HOUR);
	assert_int_equal(view->total.rx_bytes, 60 * UINT64_C(50000000000));
	assert_int_equal(view->total.tx_bytes, 1000);
	pass(49);
	report(1, 3, 500, 2000); /* and back: it began anew, all of it */
	pass(11);
	look(1, TRAFFIC_HOUR);
	assert_int_equal(view->total.rx_bytes, 60 * UINT64_C(50000000000) + 500);
	assert_int_equal(view->total.tx_bytes, 3000);
	controller_traffic_figures(c, &f);
	assert_true(f.clamped >= 1);
	assert_int_equal(f.restarted, 1);
	for (unsigned i = 0; i < 40; i++) { /* names without end */
		pass(60);
		b.seq = 10 + i;
		b.count.rx_bytes = 1000 + i;
		b.n_drops = REPORT_DROPS_MAX;
		for (unsigned k = 0; k < REPORT_DROPS_MAX; k++) {
			snprintf(b.drop[k].name, REPORT_DROP_NAME, "lie-%u-%u", i, k);
			b.drop[k].count = 5;
		}
		report_send(1, &b);
	}
	pass(11);
	look(0, TRAFFIC_DAY);
	assert_int_equal(view->n_reasons, TRAFFIC_REASONS_MAX);
	assert_string_equal(view->reason[TRAFFIC_REASONS_MAX - 1].name, "other");
	const struct carried *e = publication_find(c, nwid)->traffic->list[0];
	assert_in_range(e->n_drops, NAMES_MAX, NAMES_MAX + 1);
}

static void names_send(unsigned n, unsigned seq, unsigned from)
{
	struct body_report b = {.nwid = nwid, .seq = seq, .counted = true, .n_drops = REPORT_DROPS_MAX};
	for (unsigned k = 0; k < REPORT_DROPS_MAX; k++) {
		snprintf(b.drop[k].name, REPORT_DROP_NAME, "lie-%u-%u", n, from + k);
		b.drop[k].count = 5;
	}
	report_send(n, &b);
}

static void assert_reason(unsigned n, const char *name)
{
	struct body_report b = {.nwid = nwid, .seq = 1, .counted = true, .n_drops = 1};
	member_new(n);
	snprintf(b.drop[0].name, REPORT_DROP_NAME, "%s", name);
	b.drop[0].count = 7;
	report_send(n, &b);
	pass(11);
	look(n, TRAFFIC_HOUR);
	assert_int_equal(view->n_reasons, 1);
	assert_string_equal(view->reason[0].name, name);
}

/* Who makes up names takes none away from the others. */
static void names_of_others(void **state)
{
	(void)state;
	member_new(1);
	for (unsigned i = 0; i < 40; i++)
		names_send(1, i + 1, i * REPORT_DROPS_MAX);
	assert_reason(2, "of-a-later-version");
	for (unsigned n = 3; n < 20; n++) {
		member_new(n);
		names_send(n, 1, 0);
		names_send(n, 2, REPORT_DROPS_MAX);
	}
	assert_reason(21, "storm");
	controller_restart(false);
	assert_reason(22, "flap");
}

/* A first report may tell of a month; of many such the sums are beyond what the database can hold, and all others' must be written still. */
static void liars_together(void **state)
{
	struct traffic_figures f;
	(void)state;
	for (unsigned n = 1; n < 90; n++) {
		member_new(n);
		report(n, UINT32_MAX, UINT64_MAX, UINT64_MAX);
		if (n % 8 == 0)
			pass(11);
	}
	pass(120);
	member_new(100);
	report(100, 1, 1000, 0);
	pass(120);
	controller_traffic_figures(c, &f);
	assert_int_equal(f.failed, 0);
	look(100, TRAFFIC_MONTH);
	assert_int_equal(view->total.rx_bytes, 1000);
	look(0, TRAFFIC_MONTH);
	assert_int_equal(view->total.rx_bytes, INT64_MAX);
	assert_int_equal(view->n_members, TRAFFIC_MEMBERS_MAX);
}

/* However often it is told: no more than a port carries in that time. */
static void flood(void **state)
{
	(void)state;
	member_new(1);
	report(1, 1, 0, 0);
	pass(60);
	for (unsigned i = 0; i < 2000; i++, now++)
		report(1, (uint64_t)i << 32 | 2, UINT64_MAX, 0);
	pass(11);
	look(1, TRAFFIC_DAY);
	assert_in_range(view->total.rx_bytes, 1, 63 * UINT64_C(50000000000));
}

/* Those who carried most yesterday and are silent since do not hide who carries now. */
static void silent(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 210; n++) {
		member_new(n);
		report(n, 1, 1000000, 0);
	}
	pass(2 * 3600);
	member_new(300);
	report(300, 1, 1000, 0);
	pass(20);
	look(0, TRAFFIC_HOUR);
	assert_int_equal(view->n_members, 1);
	assert_true(view->member[0].address == person(300).address);
	look(0, TRAFFIC_DAY);
	assert_int_equal(view->n_members, TRAFFIC_MEMBERS_MAX);
}

static void strangers(void **state)
{
	struct traffic_figures f;
	struct admin_error e;
	(void)state;
	report(7, 1, 1000, 1000);
	member_new(1);
	report(1, 1, 1000, 0);
	assert_int_equal(controller_member_revoke(c, nwid, person(1).address, NULL, &e), ADMIN_OK);
	pass(60);
	report(1, 2, 5000, 0);
	pass(11);
	controller_traffic_figures(c, &f);
	assert_int_equal(f.reports, 1);
	look(0, TRAFFIC_HOUR);
	assert_int_equal(view->total.rx_bytes, 1000); /* until it was revoked */
	assert_int_equal(controller_traffic(c, nwid, person(7).address, TRAFFIC_HOUR, view, &e), ADMIN_NOT_FOUND);
	assert_int_equal(controller_traffic(c, nwid + 1, 0, TRAFFIC_HOUR, view, &e), ADMIN_NOT_FOUND);
}

static void clocks(void **state)
{
	(void)state;
	member_new(1);
	report(1, 1, 0, 0);
	pass(60);
	report(1, 2, 1000, 0);
	pass(11);
	wall += 366 * 86400; /* a year ahead */
	pass(50);
	report(1, 3, 2000, 0);
	pass(11);
	look(1, TRAFFIC_MONTH);
	assert_int_equal(view->total.rx_bytes, 1000);
	wall -= 366 * 86400 + 600; /* and back, by a little more */
	pass(50);
	report(1, 4, 3000, 0);
	pass(11);
	look(1, TRAFFIC_HOUR);
	assert_int_equal(view->total.rx_bytes, 1000); /* the first is still to come, or was overwritten */
	for (unsigned i = 5; i < 60; i++) {
		pass(60);
		report(1, i, 3000 + (i - 4) * 100, 0);
	}
	pass(11);
	look(1, TRAFFIC_HOUR);
	assert_in_range(view->total.rx_bytes, 55 * 100 + 1000, 55 * 100 + 2000);
	wall = 5; /* no clock at all */
	pass(60);
	report(1, 60, 10000, 0);
	pass(11);
	look(1, TRAFFIC_HOUR);
	assert_int_equal(view->start, 0);
}

static void full_disk(void **state)
{
	struct rlimit was, none;
	struct traffic_figures f;
	(void)state;
	member_new(1);
	report(1, 1, 0, 0);
	pass(60);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	none = was;
	none.rlim_cur = 0;
	store_ceiling_set(c->store, c->ceiling); /* a commit of others is due no sooner than the traffic's */
	controller_settle(c, now, wall);
	uint64_t ceiling = c->ceiling;
	c->ceiling += 1000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	report(1, 2, 1000, 0);
	pass(20);
	report(1, 3, 1500, 0);
	pass(20);
	controller_traffic_figures(c, &f);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	c->ceiling = ceiling;
	assert_true(f.failed >= 1);
	assert_string_equal(controller_health(c), "ok"); /* members do not feel it */
	look(1, TRAFFIC_HOUR);
	assert_int_equal(view->total.rx_bytes, 0);
	pass(80);
	look(1, TRAFFIC_HOUR);
	assert_int_equal(view->total.rx_bytes, 1500);
}

/* ---- what goes ------------------------------------------------------------------------ */

static void gone(void **state)
{
	struct traffic_cell cell;
	struct traffic_subject s;
	struct admin_error e;
	uint64_t member;
	unsigned cells = 0;
	(void)state;
	member_new(1);
	member_new(2);
	for (unsigned i = 1; i < 10; i++) {
		report(1, i, i * 1000, 0);
		report(2, i, i * 10, 0);
		pass(60);
	}
	assert_int_equal(store_traffic_subject(c->store, nwid, person(1).key_hash, &s, &member), 0);
	for (unsigned i = 0; i < TRAFFIC_CELLS; i++)
		cells += !store_traffic_cell(c->store, i, s.id, &cell);
	assert_true(cells >= 10);
	assert_int_equal(controller_member_delete(c, nwid, person(1).address, &e), ADMIN_OK);
	report(2, 10, 100, 0);
	pass(11);
	for (unsigned i = 0; i < TRAFFIC_CELLS; i++)
		assert_int_equal(store_traffic_cell(c->store, i, s.id, &cell), -ENOENT);
	look(0, TRAFFIC_HOUR);
	assert_int_equal(view->n_members, 1);
	assert_int_equal(view->total.rx_bytes, 9000 + 100); /* the network carried it all the same */
	member_new(1);                                      /* again, and its counters went on */
	report(1, 11, 9500, 0);
	pass(11);
	look(0, TRAFFIC_HOUR);
	assert_int_equal(view->total.rx_bytes, 9500 + 100);
	assert_int_equal(controller_network_delete(c, nwid, &e), ADMIN_OK);
	controller_restart(false);
	pass(20);
	unsigned left = 0;
	assert_int_equal(store_traffic_sweep(c->store, 1, &left), 0);
	assert_int_equal(left, 0);
	for (uint64_t subject = 1; subject < 8; subject++)
		for (unsigned i = 0; i < TRAFFIC_CELLS; i++)
			assert_int_equal(store_traffic_cell(c->store, i, subject, &cell), -ENOENT);
}

/* The number that stands in for the database's revision must not move: a backup is not older for what machines counted. */
static void no_revision(void **state)
{
	uint64_t ceiling, before, after;
	(void)state;
	member_new(1);
	assert_int_equal(store_ceiling(c->store, &ceiling, &before), 0);
	report(1, 1, 1000, 0);
	pass(11);
	look(1, TRAFFIC_HOUR);
	assert_int_equal(view->total.rx_bytes, 1000);
	assert_int_equal(store_ceiling(c->store, &ceiling, &after), 0);
	assert_int_equal(before, after);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {cmocka_unit_test(pieces_add_up),
	                                   TEST(names_of_others),
	                                   TEST(liars_together),
	                                   TEST(flood),
	                                   TEST(silent),
	                                   cmocka_unit_test(round_trips),
	                                   cmocka_unit_test(packed),
	                                   TEST(an_hour),
	                                   TEST(another_hour),
	                                   TEST(a_day),
	                                   TEST(two_days),
	                                   TEST(evenly),
	                                   TEST(rates),
	                                   TEST(told_seldom),
	                                   TEST(liars),
	                                   TEST(strangers),
	                                   TEST(clocks),
	                                   TEST(full_disk),
	                                   TEST(gone),
	                                   TEST(no_revision)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
