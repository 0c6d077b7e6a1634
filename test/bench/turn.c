/* turn.c: what a worker's turn costs per frame when the kernel costs nothing.
 *
 * What one turn of a host NEAR sends is kept, and is what each turn of a host FAR receives (turn_bed.h). That it may be received
 * again, its bytes and the replay windows are put back before each turn, outside of the time that is taken; so FAR finds it in
 * the cache, where the kernel's copy would have left it as well. A row's figure is the median turn of some passes, for what else the
 * machine does makes outliers; quiet is the turn that nine of ten are slower than.
 * All that a turn is given must come out of it: a drop, a letter to control or a frame too few ends the program with 1.
 *
 *	turn [-b BACKEND] [NAME]         the table, or those rows whose names begin so
 *	turn names                       of the rows
 *	turn [-b BACKEND] instructions NAME N
 *	                                 N turns of one row, all within measured(): for callgrind's --toggle-collect (README.md)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "test/bench/turn_bed.h"

#define TURN_US      20 /* a turn later */
#define IDLE_TURNS   1000
#define PASSES       5         /* through all rows: a machine's speed changes from one second to the next */
#define PASS_NS      24000000u /* for one row, preparations included */
#define PASS_SAMPLES 1000
#define PASS_LEAST   2
#define HEADER_BYTES 62 /* of what dies */

/* How a row's turn is prepared and who takes it. */
struct row {
	const char *name;
	enum side side;
	void (*fill)(unsigned n); /* frames into NEAR's tap, or datagrams into bed.kept */
	unsigned n;               /* for NEAR's turn */
	unsigned n_far;           /* the same where FAR is measured: at most BATCH_MAX datagrams may come of it */
	uint16_t mtu;
	uint32_t caps;
	enum drop dies; /* DROP_NONE, or what every frame must die of */
};

/* ---- turns ------------------------------------------------------------------------------------------------------ */

#define CAPS (CAP_SEG | CAP_BUNDLE)

static const struct row rows[] = {
    {"tcp-out", NEAR, fill_tcp, 3, 0, 1400, CAPS, DROP_NONE},
    {"tcp-in", FAR, fill_tcp, 0, 1, 1400, CAPS, DROP_NONE},
    {"1400-out", NEAR, fill_1400, 64, 0, 1400, CAPS, DROP_NONE},
    {"1400-in", FAR, fill_1400, 0, 64, 1400, CAPS, DROP_NONE},
    {"udp64-out", NEAR, fill_64, 64, 0, 1400, CAPS, DROP_NONE},
    {"udp64-in", FAR, fill_64, 0, 64, 1400, CAPS, DROP_NONE},
    {"udp64-single-out", NEAR, fill_64, 64, 0, 1400, CAP_SEG, DROP_NONE},
    {"udp64-single-in", FAR, fill_64, 0, 64, 1400, CAP_SEG, DROP_NONE},
    {"ack-out", NEAR, fill_ack, 64, 0, 1400, CAPS, DROP_NONE},
    {"ack-in", FAR, fill_ack, 0, 64, 1400, CAPS, DROP_NONE},
    {"broadcast-out", NEAR, fill_broadcast, 8, 0, 1400, CAPS, DROP_NONE},
    {"broadcast-in", FAR, fill_broadcast_far, 0, 64, 1400, CAPS, DROP_NONE},
    {"storm-in", FAR, fill_storm_far, 0, 64, 1400, CAPS, DROP_STORM},
    {"guard-in", FAR, fill_router_far, 0, 64, 1400, CAPS, DROP_RA_GUARD},
    {"jumbo-out", NEAR, fill_9000, 14, 0, 9000, CAPS, DROP_NONE},
    {"jumbo-in", FAR, fill_9000, 0, 9, 9000, CAPS, DROP_NONE},
    {"relay", RELAY, fill_relay, 0, 64, 1400, CAPS, DROP_NONE},
    {"idle", NEAR, fill_nothing, 0, 0, 1400, CAPS, DROP_NONE},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Not inlined and no tail call, so that callgrind sees it begin and end. */
static __attribute__((noinline)) unsigned measured(struct worker *w, uint64_t now_us)
{
	unsigned moved = worker_turn(w, now_us);
	__asm__ volatile("" ::: "memory");
	return moved;
}

/* What was received becomes new again. */
static void renew(enum side side)
{
	struct host *h = &bed.host[side];
	if (!h->udp.n_give)
		return;
	memcpy(bed.wire, bed.kept, bed.kept_bytes);
	for (unsigned k = 0; k < 2 && h->leg[k]; k++)
		window_init(h->leg[k]->window, WINDOW_BITS_LEG);
	unsigned lane = h->session[0] ? session_lane_of(h->session[0], 0) : 0, peers = bed.n_kept < MEMBERS ? bed.n_kept : MEMBERS;
	for (unsigned k = 0; k < peers && h->session[k]; k++)
		window_init(h->session[k]->lane[lane].window, WINDOW_BITS_DATA);
}

struct tally {
	uint64_t frames, bytes, datagrams, device; /* device: reads or writes of the TAP device */
};

static struct tally tally_of(const struct host *h, enum side side)
{
	if (side == RELAY)
		return (struct tally){h->udp.sent, atomic_load(&bed.meter.bytes), h->udp.sent, 0};
	if (side == FAR)
		return (struct tally){atomic_load(&h->port->count[0].carried.rx_frames), atomic_load(&h->port->count[0].carried.rx_bytes),
		                      0, h->tap.written};
	return (struct tally){atomic_load(&h->port->count[0].carried.tx_frames), atomic_load(&h->port->count[0].carried.tx_bytes),
	                      h->udp.sent, 0};
}

static void prepare(const struct row *row, uint8_t suite)
{
	bed_make(row->mtu, suite, row->caps);
	struct host *near = &bed.host[NEAR], *h = &bed.host[row->side];
	near->udp.keep = row->side == FAR;
	row->fill(row->side == NEAR ? row->n : row->n_far);
	if (near->udp.keep && near->tap.n_give)
		(void)worker_turn(near->worker, bed.now_us);
	if (row->side != NEAR) {
		memcpy(h->udp.give, bed.packet, sizeof(bed.packet));
		h->udp.n_give = bed.n_kept;
	}
}

/* Per turn; and that all that went in came out. */
static struct tally check(const struct row *row, unsigned turns)
{
	struct host *h = &bed.host[row->side], *near = &bed.host[NEAR];
	struct tally t = tally_of(h, row->side);
	for (unsigned i = 1; i < DROP_COUNT; i++)
		need(worker_drop(h->worker, (enum drop)i) == (i == row->dies ? (uint64_t)row->n_far * turns : 0), drop_name((enum drop)i));
	need(!mail_take(worker_mail(h->worker)), "a letter to control");
	uint64_t frames = row->n_far;
	if (row->dies != DROP_NONE)
		return (struct tally){frames, frames * HEADER_BYTES, bed.n_kept, 0};
	if (row->side == FAR && near->tap.n_give)
		frames = tally_of(near, NEAR).frames;
	if (row->side == NEAR) {
		t.device = row->n * turns;
		frames = t.frames / turns;
		need(!row->n || (frames >= row->n && t.datagrams), "frames are missing");
	} else if (row->side == FAR) {
		t.datagrams = bed.n_kept * turns;
	}
	need(t.frames == frames * turns, "frames are missing");
	return (struct tally){t.frames / turns, t.bytes / turns, t.datagrams / turns, (t.device + turns / 2) / turns};
}

static uint64_t clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Of one turn, with what taking the time takes. times: an idle turn is too short for the clock. */
static uint64_t turn_ns(const struct row *row, unsigned times)
{
	renew(row->side);
	uint64_t begin = clock_ns();
	for (unsigned i = 0; i < times; i++)
		(void)measured(bed.host[row->side].worker, bed.now_us += TURN_US);
	return (clock_ns() - begin) / times;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* Sorts v. share 0.5: the median. */
static double quantile(uint64_t *v, unsigned n, double share)
{
	qsort(v, n, sizeof(v[0]), by_value);
	return (double)v[(unsigned)(n * share)];
}

/* What taking the time takes. */
static double clock_cost(void)
{
	uint64_t v[1001];
	for (unsigned i = 0; i < 1001; i++) {
		uint64_t begin = clock_ns();
		v[i] = clock_ns() - begin;
	}
	return quantile(v, 1001, 0.5);
}

/* ---- output ----------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint8_t suite;
} suites[] = {{"aes", SUITE_AES256_GCM}, {"chacha", SUITE_CHACHA20_POLY1305}};

/* The rows without encryption stand once. */
static bool row_name(char *ret, size_t room, const struct row *row, unsigned suite)
{
	bool plain = row->side == RELAY || row->fill == fill_nothing, last = suite == 1;
	snprintf(ret, room, "%s%s%s", row->name, plain ? "" : "-", plain ? "" : suites[suite].name);
	return plain ? last : last || seal_has_aes();
}

/* Turns of all passes. */
struct sample {
	uint64_t ns[PASSES * PASS_SAMPLES];
	unsigned n;
	struct tally tally;
};

static void measure(const struct row *row, uint8_t suite, struct sample *s)
{
	unsigned turns = 0;
	prepare(row, suite);
	for (uint64_t stop = clock_ns() + PASS_NS; turns < PASS_SAMPLES && (turns < PASS_LEAST || clock_ns() < stop); turns++)
		s->ns[s->n++] = turn_ns(row, row->fill == fill_nothing ? IDLE_TURNS : 1);
	s->tally = check(row, turns);
	bed_free();
}

static void print_row(const char *name, const struct row *row, struct sample *s, double clock)
{
	if (row->fill == fill_nothing)
		clock /= IDLE_TURNS;
	struct tally t = s->tally;
	double ns = quantile(s->ns, s->n, 0.5) - clock, quiet = quantile(s->ns, s->n, 0.1) - clock;
	double frames = t.frames ? (double)t.frames : 1;
	printf("%-24s %7.0f %7.0f %9.0f %11.0f %9.1f %9.1f", name, (double)t.frames, (double)t.datagrams, (double)t.bytes / frames, ns,
	       ns / frames, quiet / frames);
	if (t.device)
		printf(" %11.0f", ns / (double)t.device);
	else
		printf(" %11s", "-");
	printf(" %7.2f\n", (double)t.bytes / ns);
}

static int print_table(const char *prefix)
{
	static struct sample samples[2][ROWS];
	double clock = clock_cost();
	unsigned found = 0;
	char name[64];
	for (unsigned pass = 0; pass < PASSES; pass++)
		for (unsigned k = 0; k < 2 * ROWS; k++) {
			const struct row *row = &rows[k % ROWS];
			if (row_name(name, sizeof(name), row, k / ROWS) && !strncmp(name, prefix, strlen(prefix)))
				measure(row, suites[k / ROWS].suite, &samples[k / ROWS][k % ROWS]);
		}
	printf("# aes: %s, chacha: %s\n", seal_backend(SUITE_AES256_GCM), seal_backend(SUITE_CHACHA20_POLY1305));
	printf("%-24s %7s %7s %9s %11s %9s %9s %11s %7s\n", "row", "frames", "dgrams", "bytes/fr", "ns/turn", "ns/frame", "quiet",
	       "ns/device", "GB/s");
	for (unsigned k = 0; k < 2 * ROWS; k++) {
		struct sample *s = &samples[k / ROWS][k % ROWS];
		if (!s->n)
			continue;
		(void)row_name(name, sizeof(name), &rows[k % ROWS], k / ROWS);
		print_row(name, &rows[k % ROWS], s, clock);
		found++;
	}
	return found ? 0 : 2;
}

/* want NULL: only the names. */
static int instructions(const char *want, unsigned turns)
{
	char name[64];
	for (unsigned suite = 0; suite < 2; suite++)
		for (unsigned i = 0; i < ROWS; i++) {
			if (!row_name(name, sizeof(name), &rows[i], suite))
				continue;
			if (!want)
				puts(name);
			if (!want || strcmp(name, want))
				continue;
			prepare(&rows[i], suites[suite].suite);
			for (unsigned n = 0; n < turns; n++)
				(void)turn_ns(&rows[i], 1);
			struct tally t = check(&rows[i], turns);
			printf("frames %llu\n", (unsigned long long)(t.frames ? t.frames : 1) * turns);
			bed_free();
			return 0;
		}
	return want ? 2 : 0;
}

int main(int argc, char **argv)
{
	if (seal_setup())
		fail("no random numbers");
	int c = getopt(argc, argv, "+b:");
	if (c == 'b' && !seal_force_backend(optarg))
		fail("no such backend here");
	bool usable = c == -1 || (c == 'b' && getopt(argc, argv, "+b:") == -1);
	argc -= optind;
	argv += optind;
	if (usable && argc == 1 && !strcmp(argv[0], "names"))
		return instructions(NULL, 0);
	if (usable && argc == 3 && !strcmp(argv[0], "instructions") && atoi(argv[2]) >= 1)
		return instructions(argv[1], (unsigned)atoi(argv[2]));
	if (usable && argc <= 1)
		return print_table(argc ? argv[0] : "");
	fputs("usage: turn [-b BACKEND] [NAME] | names | instructions NAME N\n", stderr);
	return 2;
}
