/* data_fuzz.c: DATA packets under a fixed key: unmask, open in place, window.
 *
 * First byte: bit 0 the suite, bit 1 whether the bytes are the ciphertext (nothing of the kind may
 * open) or a text that is sealed first and must come back, bits 2 to 4 the packets the bytes are
 * cut into, bits 5 to 7 where one bit is spoiled. Every backend that has the suite gets them.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/replay.h"
#include "proto/seal.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(x) ((x) ? (void)0 : abort())

#define BACKENDS 4
static struct seal seals[2][BACKENDS];
static bool have[2][BACKENDS];
static struct window *window;

static void once(void)
{
	static const uint8_t key[32] = {9, 9, 9};
	if (window)
		return;
	require(seal_setup() == 0);
	static const char *const names[BACKENDS] = {"libsodium", "ipsec-mb", "avx2", "vaes"};
	for (unsigned b = 0; b < BACKENDS; b++) {
		if (!seal_force_backend(names[b]))
			continue;
		have[0][b] = seal_init(&seals[0][b], SUITE_AES256_GCM, key);
		have[1][b] = seal_init(&seals[1][b], SUITE_CHACHA20_POLY1305, key);
	}
	window = malloc(window_bytes(WINDOW_BITS_DATA));
	require(window && have[1][0]);
	window_init(window, WINDOW_BITS_DATA);
}

static void open_strange(const struct seal *s, struct packet *run, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (run[i].len < DATA_OVERHEAD)
			continue; /* the door has refused it; open_batch must stand it all the same
				   */
		run[i].idx = le32_at(run[i].data);
		run[i].pn = seal_unmask(s, run[i].data, run[i].len);
		(void)window_maybe(window, run[i].pn);
	}
	open_batch(s, run, n);
	/* 2^-128 would be a discovery. */
	for (unsigned i = 0; i < n; i++)
		require(run[i].verdict == (run[i].len < DATA_OVERHEAD ? DROP_SHORT : DROP_AEAD));
}

static void open_own(const struct seal *s, struct packet *run, unsigned n, const uint8_t *text, size_t piece, unsigned spoil)
{
	uint64_t pn = window_top(window);
	seal_batch(s, 0x1230u | 3, pn, run, n);
	for (unsigned i = 0; i < n; i++) {
		if (i == spoil)
			run[i].data[text[0] % run[i].len] ^= (uint8_t)(1 << (text[1] & 7));
		run[i].idx = le32_at(run[i].data);
		run[i].pn = seal_unmask(s, run[i].data, run[i].len);
		require(i == spoil || run[i].pn == pn + i);
	}
	open_batch(s, run, n);
	for (unsigned i = 0; i < n; i++) {
		require(run[i].verdict == (i == spoil ? DROP_AEAD : DROP_NONE));
		if (i == spoil)
			continue;
		require(run[i].len == piece && !memcmp(run[i].data, text + i * piece, piece));
		require(window_commit(window, run[i].pn) && !window_commit(window, run[i].pn));
	}
}

static void carried(const struct seal *s, const uint8_t *data, size_t size)
{
	unsigned n = 1 + (data[0] >> 2 & 7), spoil = data[0] >> 5;
	bool own = data[0] & 2;
	const uint8_t *bytes = data + 1;
	size_t piece = (size - 1) / n, extra = own ? DATA_HEADER + DATA_TAG : 0;
	if (own && piece < INNER_HEADER)
		return;
	struct packet run[8] = {0};
	for (unsigned i = 0; i < n; i++) {
		/* Of exactly the size, so that a byte too far is seen. */
		uint8_t *at = malloc(piece + extra ? piece + extra : 1);
		require(at);
		memcpy(at + (own ? DATA_HEADER : 0), bytes + i * piece, piece);
		run[i].data = at;
		run[i].len = (uint32_t)(piece + (own ? DATA_HEADER : 0));
		run[i].room = (uint32_t)(piece + extra);
		run[i].session = at;
	}
	if (own)
		open_own(s, run, n, bytes, piece, spoil);
	else
		open_strange(s, run, n);
	for (unsigned i = 0; i < n; i++)
		free(run[i].session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	once();
	for (unsigned b = 0; size && b < BACKENDS; b++)
		if (have[data[0] & 1][b])
			carried(&seals[data[0] & 1][b], data, size);
	return 0;
}
