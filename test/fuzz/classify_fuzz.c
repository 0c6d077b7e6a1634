/* classify_fuzz.c: the door for datagrams of strangers: what a worker does with bytes before
 * anybody proved anything.
 *
 * First byte: bits 0 and 1 what the first word would name here, bit 2 whether an INIT gets a
 * genuine hint and mac1 of the gate of bit 3 (no fuzzer would find them), bit 4 whether one bit
 * below mac1 is spoiled then. The rest is the datagram, in a buffer of exactly its length.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "proto/gate.h"
#include "proto/seal.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(x) ((x) ? (void)0 : abort())

static void knock(const struct gate gates[2], uint8_t how, uint8_t *datagram, size_t len)
{
	const struct gate *gate = &gates[how >> 3 & 1];
	if (how & 4) {
		uint8_t hint[8];
		crypto_shorthash(hint, datagram, 12, gate->hint);
		memcpy(datagram + 12, hint, 4);
		crypto_generichash(datagram + len - 32, 16, datagram, len - 32, gate->mac1, 32);
		if (how & 16)
			datagram[le32_at(datagram + len - 4) % (len - 16)] ^= (uint8_t)(1 << (how >> 5));
	}
	for (int i = 0; i < 2; i++)
		require(gate_check(&gates[i], datagram, len) == ((how & 4) && !(how & 16) && gate == &gates[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gate gates[2];
	static int ready;
	if (!ready) {
		static const uint8_t key_hash[32] = {1}, secret[32] = {2};
		require(seal_setup() == 0);
		gate_derive(&gates[0], key_hash, gate_zero);
		gate_derive(&gates[1], key_hash, secret);
		ready = 1;
	}
	if (size < 1)
		return 0;
	enum index_kind named = (enum index_kind)(data[0] & 3);
	size_t len = size - 1;
	uint8_t *datagram = malloc(len ? len : 1);
	require(datagram);
	memcpy(datagram, data + 1, len);
	enum wire_kind kind = wire_classify(named, len);
	require(kind == WIRE_DROP_SHORT || len >= DATA_OVERHEAD);
	switch (kind) {
	case WIRE_DATA: require(named == INDEX_SESSION); break;
	case WIRE_LEG: require(named == INDEX_CIRCUIT && len >= LEG_HEADER + DATA_OVERHEAD); break;
	case WIRE_RETRY: require(named == INDEX_PENDING && len == RETRY_BYTES); break;
	case WIRE_RESP: require(named == INDEX_PENDING && len >= RESP_MIN); break;
	case WIRE_INIT:
		require(named == INDEX_NONE && len >= INIT_MIN && len <= INIT_MAX);
		knock(gates, data[0], datagram, len);
		break;
	case WIRE_DROP_SHORT:
	case WIRE_DROP_INDEX:
	case WIRE_DROP_LENGTH: break;
	}
	free(datagram);
	return 0;
}
