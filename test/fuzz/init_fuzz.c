/* init_fuzz: the doors of the handshake. The first byte of the input picks one:
 *
 *	0 the bytes as they came: gate_check, mac2, init_consume
 *	1 an INIT: the rest is its inside from byte 16 on, masked and given its hint and mac1, so that the header is reached
 *	2 an INIT with a good Noise message whose TLVs are the input
 *	3 a RESP as it came   4 a RESP under the right mac
 *	5 a RETRY as it came  6 TLVs alone
 *
 * All keys are fixed: one input always does the same. */
#include <assert.h>
#include <string.h>

#include <sodium.h>

#include "proto/handshake.h"

#define CAPS (CAP_GCM | CAP_CHACHA)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct secret a, b;
static struct gate gate;
static struct handshake waiting;
static bool ready;

static void make_secret(struct secret *s, uint8_t fill)
{
	uint8_t seed[32];
	memset(s->x, fill, 32);
	memset(seed, fill, 32);
	crypto_scalarmult_curve25519_base(s->self.x, s->x);
	crypto_sign_seed_keypair(s->self.ed, s->ed, seed);
	identity_hash(&s->self);
}

static size_t good_init(struct handshake *hs, const uint8_t *tlvs, size_t len, uint8_t out[INIT_SEND_MAX])
{
	struct handshake_draw draw = {.e = {5}, .pad_len = 7};
	struct init_payload p = {.caps = CAPS, .tlvs = tlvs, .tlvs_len = len};
	return init_create(hs, &a, &b.self, &gate, NULL, 0x10, &p, out, INIT_SEND_MAX, &draw);
}

static void setup(void)
{
	uint8_t d[INIT_SEND_MAX];
	if (ready || sodium_init() < 0)
		return;
	make_secret(&a, 1);
	make_secret(&b, 2);
	gate_derive(&gate, b.self.key_hash, gate_zero);
	size_t n = good_init(&waiting, NULL, 0, d);
	assert(n > 0);
	ready = true;
}

static void walk(const uint8_t *tlvs, size_t n)
{
	struct reader r = reader_over(tlvs, n);
	const uint8_t *value;
	uint8_t type;
	size_t len, sum = 0;
	while (tlv_next(&r, &type, &value, &len)) {
		assert(value >= tlvs && value + len <= tlvs + n);
		sum += 4 + len;
	}
	assert(!tlvs_check(tlvs, n) || (!r.bad && sum == n));
}

static bool try_init(uint8_t *d, size_t n)
{
	struct handshake hs;
	struct init_payload got;
	if (init_consume(&hs, &b, &gate, NULL, d, n, &got) != DROP_NONE)
		return false;
	assert(got.tlvs >= d && got.tlvs + got.tlvs_len <= d + n);
	walk(got.tlvs, got.tlvs_len);
	handshake_fini(&hs);
	return true;
}

static void try_masked_init(const uint8_t *data, size_t size)
{
	uint8_t d[INIT_MAX] = {0}, nonce[24] = {0}, hint[8];
	size_t n = 16 + size + 32;
	if (n < INIT_MIN || n > INIT_MAX)
		return;
	crypto_shorthash(hint, d, 12, gate.hint);
	memcpy(d + 12, hint, 4);
	memcpy(d + 16, data, size);
	memcpy(nonce, d, 16);
	crypto_stream_xchacha20_xor(d + 16, d + 16, size, nonce, gate.mask);
	crypto_generichash_blake2b(d + n - 32, 16, d, n - 32, gate.mac1, 32);
	bool pass = gate_check(&gate, d, n);
	assert(pass);
	try_init(d, n);
}

static void try_tlvs(const uint8_t *data, size_t size)
{
	uint8_t d[INIT_SEND_MAX];
	struct handshake hs;
	size_t n = good_init(&hs, data, size, d);
	assert((n == 0) == (INIT_MIN + size > INIT_SEND_MAX));
	if (n == 0)
		return;
	bool taken = try_init(d, n);
	assert(taken == tlvs_check(data, size));
}

static void try_resp(uint8_t *d, size_t n, bool mac)
{
	struct handshake hs = waiting;
	struct resp_payload got;
	struct session_keys keys;
	uint8_t key[32];
	if (mac && n >= RESP_MIN) {
		le32_to(d, hs.idx);
		crypto_generichash_blake2b(key, 32,
		                           (const uint8_t *)"\x09"
		                                            "fln1 rmac",
		                           10, hs.noise.ck1, 64);
		crypto_generichash_blake2b(d + n - 16, 16, d, n - 16, key, 32);
	}
	if (resp_consume(&hs, &a, CAPS, d, n, &got, &keys) == DROP_NONE)
		walk(got.tlvs, got.tlvs_len);
	else
		assert(memcmp(&hs, &waiting, sizeof hs) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t d[2048], value[16] = {0};
	enum retry_kind kind;
	setup();
	if (size < 1 || size > sizeof d)
		return 0;
	uint8_t door = *data++;
	size--;
	memcpy(d, data, size);
	switch (door % 7) {
	case 0:
		if (gate_check(&gate, d, size))
			init_mac1(d, size);
		init_mac2_check(d, size, value);
		try_init(d, size);
		break;
	case 1: try_masked_init(data, size); break;
	case 2: try_tlvs(data, size); break;
	case 3:
	case 4: try_resp(d, size, door % 7 == 4); break;
	case 5: retry_consume(&waiting, &gate, d, size, &kind, value); break;
	case 6: walk(data, size); break;
	}
	return 0;
}
