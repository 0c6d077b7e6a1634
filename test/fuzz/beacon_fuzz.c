/* beacon_fuzz.c: datagrams at the beacons' port, under a fixed gate.
 *
 * First byte odd: the next 25 bytes are a beacon's words; sealed it must come back as it went, and not at all once a bit is spoiled. Even:
 * the bytes are the datagram; they must not open: a tag of 128 bits is not met by chance.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cursor.h"
#include "proto/beacon.h"
#include "proto/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(x) ((x) ? (void)0 : abort())

static void round_trip(const uint8_t gate[32], const uint8_t *data, size_t size)
{
	struct reader r = reader_over(data, size);
	struct beacon b = {.address = get_be(&r, 5)}, back;
	uint8_t bytes[BEACON_BYTES], again[BEACON_BYTES];
	get_copy(&r, b.x, sizeof b.x);
	get_copy(&r, b.ed, sizeof b.ed);
	b.port4 = get_le16(&r);
	b.port6 = get_le16(&r);
	b.epoch = get_be32(&r);
	b.seq = get_be32(&r);
	unsigned spoil = get_le16(&r) % (BEACON_BYTES * 8);
	if (r.bad)
		return;
	beacon_create(gate, &b, NULL, bytes);
	require(beacon_parse(gate, bytes, sizeof bytes, &back));
	beacon_create(gate, &back, bytes, again);
	require(!memcmp(bytes, again, sizeof bytes));
	bytes[spoil / 8] ^= (uint8_t)(1u << spoil % 8);
	require(!beacon_parse(gate, bytes, sizeof bytes, &back));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t gate[32] = {7};
	static int ready;
	if (!ready) {
		require(seal_setup() == 0);
		ready = 1;
	}
	if (!size)
		return 0;
	if (data[0] & 1) {
		round_trip(gate, data + 1, size - 1);
		return 0;
	}
	struct beacon b;
	uint8_t *exact = malloc(size); /* its end is where the datagram's is */
	require(exact);
	memcpy(exact, data + 1, size - 1);
	require(!beacon_parse(gate, exact, size - 1, &b));
	free(exact);
	return 0;
}
