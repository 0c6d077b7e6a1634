/* seal.c: what sealing and opening cost, by suite, backend and size: medians over runs as the data plane makes them, up to 64 packets
 * or 64 KiB of one session, in place, masking of the counter included. Sizes are bytes of plaintext, inner header included.
 *
 * Pins nothing, asks for no counters, takes 3 s. cycles/byte are those of the time stamp counter, which does not know turbo. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/seal.h"
#include "proto/wire.h"

#define SLICE_NS  150000000ull /* of one row, both directions */
#define RUNS_MAX  65536
#define RUN_BYTES 65536
#define SLOT      9216

static const uint32_t sizes[] = {64, 110, 512, 1400, 8900};
static uint8_t slab[BATCH_MAX * SLOT];
static struct packet run[BATCH_MAX];

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Ticks of the time stamp counter per ns; 0 where there is none. */
static double tsc_rate(void)
{
#ifdef __x86_64__
	uint64_t ns = now_ns(), ticks = __builtin_ia32_rdtsc();
	while (now_ns() - ns < 20000000)
		;
	return (double)(__builtin_ia32_rdtsc() - ticks) / (double)(now_ns() - ns);
#else
	return 0;
#endif
}

struct times {
	uint32_t ns[RUNS_MAX]; /* of a whole run */
	unsigned n;
};

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static double median(struct times *t, unsigned packets)
{
	qsort(t->ns, t->n, sizeof(t->ns[0]), by_size);
	return (double)t->ns[t->n / 2] / packets;
}

/* Datagrams back to back, as the outbound side lays them. */
static void lay(unsigned n, uint32_t size)
{
	uint32_t pitch = DATA_HEADER + size + DATA_TAG;
	for (unsigned i = 0; i < n; i++)
		run[i] = (struct packet){.data = slab + (size_t)i * pitch, .len = DATA_HEADER + size, .room = pitch};
}

static void row(const struct seal *s, const char *suite, uint32_t size, double ticks)
{
	static struct times sealed, opened;
	unsigned n = RUN_BYTES / size < BATCH_MAX ? RUN_BYTES / size : BATCH_MAX;
	uint64_t pn = 0, end = now_ns() + SLICE_NS;
	sealed.n = opened.n = 0;
	for (; sealed.n < RUNS_MAX && now_ns() < end; pn += n) {
		lay(n, size);
		uint64_t begun = now_ns();
		seal_batch(s, 0x1231, pn, run, n);
		uint64_t middle = now_ns();
		for (unsigned i = 0; i < n; i++)
			run[i].idx = 0x1231;
		seal_unmask_batch(s, run, n);
		open_batch(s, run, n);
		sealed.ns[sealed.n++] = (uint32_t)(middle - begun);
		opened.ns[opened.n++] = (uint32_t)(now_ns() - middle);
		for (unsigned i = 0; i < n; i++)
			if (run[i].verdict) {
				fprintf(stderr, "seal: packet %u of %u does not open\n", i, n);
				exit(1);
			}
	}
	double ns[] = {median(&sealed, n), median(&opened, n)};
	for (unsigned i = 0; i < 2; i++)
		printf("%-18s %-10s %6u  %-5s %8.1f ns %7.2f GB/s %7.2f cycles/byte\n", suite, seal_backend(s->suite), size,
		       i ? "open" : "seal", ns[i], size / ns[i], ns[i] * ticks / size);
}

int main(void)
{
	static const struct {
		uint8_t suite;
		const char *name;
	} suites[] = {{SUITE_AES256_GCM, "aes256-gcm"}, {SUITE_CHACHA20_POLY1305, "chacha20-poly1305"}};
	static const char *const backends[] = {"libsodium", "ipsec-mb", "avx2", "vaes"};
	static const uint8_t key[32] = {1, 2, 3};
	static struct seal s;
	if (seal_setup() < 0)
		return 1;
	double ticks = tsc_rate();
	for (unsigned i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		for (unsigned k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++)
			for (unsigned b = 0; b < sizeof(backends) / sizeof(backends[0]); b++) {
				if (!seal_force_backend(backends[b]) || strcmp(seal_backend(suites[i].suite), backends[b]) != 0 ||
				    !seal_init(&s, suites[i].suite, key))
					continue;
				row(&s, suites[i].name, sizes[k], ticks);
			}
	seal_fini(&s);
	return 0;
}
