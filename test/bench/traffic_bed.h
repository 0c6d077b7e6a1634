/* traffic_bed.h: a month of a network's traffic in simulated time, by the controller's own code, for the bench and the unit test of its size.
 *
 * What bounds the tables is that every cell of every member is full. So that this takes seconds, the wall clock runs faster than the
 * time between two reports: each report is one of a minute, but in the first part of the month they are two hours apart, then ten
 * minutes, and in the last hour one follows the other.
 */
#ifndef FARLAN_TEST_TRAFFIC_BED_H
#define FARLAN_TEST_TRAFFIC_BED_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "controller/traffic_parts.h"
#include "test/unit/controller_bed.h"

#define MONTH_WALL  1700000000
#define MONTH_LINKS 8
#define MONTH_DROPS 6

struct month {
	struct controller *c;
	struct secret self;
	char dir[64];
	uint64_t nwid, now, wall, seq;
	unsigned members, bad; /* reports that were not taken */
	struct body_report *told;
};

/* Months of commits: where syncing costs nothing, if there is such a place. */
static inline bool month_open(struct month *m, unsigned members)
{
	struct controller_port port = {.send = bed_send};
	const char *why;
	*m = (struct month){.members = members, .now = 1000, .wall = MONTH_WALL};
	snprintf(m->dir, sizeof(m->dir), "%s/traffic.XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	bed_secret(&m->self);
	m->told = calloc(members, sizeof(*m->told));
	return m->told && mkdtemp(m->dir) && !controller_open(&m->c, m->dir, &m->self, &port, m->now, m->wall, &why);
}

static inline void month_member(struct month *m, unsigned n)
{
	struct identity who = person(n + 1);
	uint8_t body[BODY_MAX];
	struct body_join_req req = {.nwid = m->nwid, .identity = who, .hostname = "h", .os = "o", .version = "v"};
	struct message msg = {.req = 1, .op = OP_JOIN_REQ, .body = body, .len = body_join_req_encode(&req, body, sizeof(body))};
	controller_request(m->c, &who, NULL, &msg, m->now, m->wall);
}

static inline bool month_people(struct month *m)
{
	struct network_settings s = {.set = SET_NET_NAME | SET_NET_FLAGS, .name = "month", .flags_on = NETWORK_PUBLIC};
	struct controller_limits limits = {.members = MEMBERS_MAX, .pending = PENDING_MOST};
	struct admin_error e;
	struct network_row row;
	controller_limits_set(m->c, &limits);
	if (controller_network_create(m->c, &s, &m->nwid, &e))
		return false;
	for (unsigned n = 0; n < m->members; n++) {
		month_member(m, n);
		if (n % 500 == 499)
			controller_settle(m->c, m->now += 1000, m->wall += 1);
	}
	controller_settle(m->c, m->now += 10000, m->wall += 10);
	return !controller_network_get(m->c, m->nwid, &row, &e) && row.members == m->members;
}

static inline void month_close(struct month *m)
{
	static const char *const files[] = {"controller.db", "controller.db-wal", "controller.db-shm", "head.bak"};
	char path[128];
	controller_close(m->c);
	for (unsigned i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", m->dir, files[i]);
		unlink(path);
	}
	rmdir(m->dir);
	free(m->told);
}

static inline uint64_t month_bytes(const struct month *m)
{
	static const char *const files[] = {"controller.db", "controller.db-wal"};
	char path[128];
	uint64_t bytes = 0;
	struct stat st;
	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", m->dir, files[i]);
		bytes += stat(path, &st) ? 0 : (uint64_t)st.st_size;
	}
	return bytes;
}

static inline uint64_t month_cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* What a busy member says: up to 10 Mbit/s, round trips that vary, a drop now and then. */
static inline size_t month_report(struct month *m, unsigned n, uint8_t body[BODY_MAX])
{
	static const char *const names[MONTH_DROPS] = {"storm", "ip-guard", "too-big", "no-peer", "queue-full", "replay"};
	struct body_report *b = &m->told[n];
	b->nwid = m->nwid;
	b->seq = m->seq;
	b->counted = true;
	b->count.rx_frames += (uint64_t)rand() % 100000;
	b->count.rx_bytes += (uint64_t)rand() % 75000000;
	b->count.tx_frames += (uint64_t)rand() % 100000;
	b->count.tx_bytes += (uint64_t)rand() % 75000000;
	b->n = MONTH_LINKS;
	for (unsigned i = 0; i < MONTH_LINKS; i++)
		b->link[i] =
		    (struct report_link){.address = 0x2000000000 + i, .kind = LINK_DIRECT, .rtt_us = 10000 + (uint32_t)rand() % 30000};
	b->n_drops = MONTH_DROPS;
	for (unsigned i = 0; i < MONTH_DROPS; i++) {
		snprintf(b->drop[i].name, sizeof(b->drop[i].name), "%s", names[i]);
		b->drop[i].count += 1 + (rand() % 3 ? 0 : (uint64_t)rand() % 1000);
	}
	return body_report_encode(b, body, BODY_MAX);
}

/* All members report, and it is written. *ret_ns: of the CPU, for taking and writing; what a report is made of is not in it. */
static inline void month_round(struct month *m, uint64_t step_s, uint64_t *ret_ns)
{
	uint8_t(*body)[BODY_MAX] = malloc((size_t)m->members * BODY_MAX);
	size_t *len = malloc(m->members * sizeof(*len));
	assert(body && len);
	m->wall += step_s - 60;
	m->seq++;
	for (unsigned n = 0; n < m->members; n++)
		len[n] = month_report(m, n, body[n]);
	uint64_t began = month_cpu_ns();
	for (unsigned n = 0; n < m->members; n++) {
		struct identity who = person(n + 1);
		struct message msg = {.req = 1, .op = OP_REPORT, .body = body[n], .len = len[n]};
		m->bad += !len[n];
		controller_request(m->c, &who, NULL, &msg, m->now, m->wall);
	}
	for (unsigned i = 0; i < 6; i++)
		controller_settle(m->c, m->now += 10000, m->wall += 10);
	*ret_ns += month_cpu_ns() - began;
	free(body);
	free(len);
}

/* Fills all there is to fill. Returns reports told. */
static inline uint64_t month_pass(struct month *m, uint64_t *ret_ns, uint64_t *ret_last_ns)
{
	uint64_t ns = 0;
	for (unsigned i = 0; i < 360 - 12; i++)
		month_round(m, 7200, &ns);
	for (unsigned i = 0; i < 144 - 6; i++)
		month_round(m, 600, &ns);
	uint64_t before = ns;
	for (unsigned i = 0; i < 61; i++)
		month_round(m, 60, &ns);
	*ret_ns = ns;
	*ret_last_ns = ns - before;
	return (uint64_t)(360 - 12 + 144 - 6 + 61) * m->members;
}

/* Slots of that range of the last member (0: of the network) in which something was told. */
static inline unsigned month_told(struct month *m, unsigned n, enum traffic_range range, uint64_t *ret_us)
{
	struct traffic_view *v = malloc(sizeof(*v));
	struct admin_error e;
	unsigned told = 0;
	assert(v);
	uint64_t began = month_cpu_ns();
	bool good = !controller_traffic(m->c, m->nwid, n ? person(n).address : 0, range, v, &e);
	*ret_us = (month_cpu_ns() - began) / 1000;
	for (unsigned i = 0; good && i < traffic_rings[range].slots; i++)
		told += v->slot[i].told;
	free(v);
	return told;
}

#endif
