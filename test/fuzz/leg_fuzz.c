/* leg_fuzz.c: leg packets at a relay's door, under a fixed key.
 *
 * First byte odd: the bytes are an inner datagram, sealed first; it must open, and must not open
 * once a covered bit is spoiled. Even: the bytes are the leg packet. A 64-bit tag met by chance
 * (2^-64) would stop the run.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/leg.h"
#include "proto/seal.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(x) ((x) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct leg_keys keys;
	static int ready;
	if (!ready) {
		static const uint8_t exporter[32] = {7};
		require(seal_setup() == 0);
		leg_derive(&keys, exporter, 0x10, 0x20, LEG_TO_RELAY);
		ready = 1;
	}
	if (size < 6)
		return 0;
	uint32_t seq = 0, wanted = le32_at(data + 1);
	const uint8_t *bytes = data + 5;
	size_t len = size - 5, header = data[0] & 1 ? LEG_HEADER : 0;
	uint8_t *packet = malloc(header + len);
	require(packet);
	memcpy(packet + header, bytes, len);
	if (!header) {
		require(!leg_open(&keys, packet, len, &seq) && seq == 0);
	} else {
		leg_seal(&keys, 0x10, wanted, packet, len);
		require(leg_open(&keys, packet, header + len, &seq) && seq == wanted);
		size_t covered = header + (len < 32 ? len : 32);
		packet[bytes[0] % covered] ^= (uint8_t)(1 << (data[0] >> 5));
		require(!leg_open(&keys, packet, header + len, &seq));
	}
	free(packet);
	return 0;
}
