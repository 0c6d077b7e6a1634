/* leg.c: what a relay can check without any key of the traffic it carries.
 *
 * Four bytes of circuit index, the masked number and a 64-bit SipHash tag over the clear number,
 * the inner length and the first 32 inner bytes. Each direction of each leg has keys of its own,
 * bound to both indices, so a packet can be moved neither to another leg nor back on its own. The
 * tag keeps strangers from spending the relay's bandwidth; the inner datagram has its own AEAD,
 * therefore the tag need not cover all of it. The mask hides the counter from observers as DATA's
 * does.
 */
#include "proto/leg.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "proto/wire.h"

#define TAG_OVER 32 /* inner bytes below the tag */

static void derive(uint8_t out[16], const uint8_t exporter[32], const char *label, const uint8_t x[9])
{
	uint8_t in[1 + 16 + 9];
	size_t n = strlen(label);
	in[0] = (uint8_t)n;
	memcpy(in + 1, label, n);
	memcpy(in + 1 + n, x, 9);
	crypto_generichash(out, 16, in, 1 + n + 9, exporter, 32);
}

void leg_derive(struct leg_keys *ret, const uint8_t exporter[32], uint32_t receiver_idx, uint32_t other_idx, uint8_t direction)
{
	uint8_t x[9];
	le32_to(x, receiver_idx);
	le32_to(x + 4, other_idx);
	x[8] = direction;
	derive(ret->key, exporter, "fln1 leg", x);
	derive(ret->hp, exporter, "fln1 lhp", x);
}

static void tag_of(const struct leg_keys *k, const uint8_t idx[4], uint32_t seq, const uint8_t *inner, size_t inner_len, uint8_t tag[8])
{
	uint8_t in[12 + TAG_OVER];
	size_t n = inner_len < TAG_OVER ? inner_len : TAG_OVER;
	memcpy(in, idx, 4);
	le32_to(in + 4, seq);
	le32_to(in + 8, (uint32_t)inner_len);
	memcpy(in + 12, inner, n);
	crypto_shorthash(tag, in, 12 + n, k->key);
}

static uint32_t mask_of(const struct leg_keys *k, const uint8_t tag[8])
{
	uint8_t mask[8];
	crypto_shorthash(mask, tag, 8, k->hp);
	return le32_at(mask);
}

void leg_seal(const struct leg_keys *k, uint32_t idx, uint32_t seq, uint8_t *datagram, size_t inner_len)
{
	struct leg_header *h = (struct leg_header *)datagram;
	assert(inner_len > 0);
	le32_to(h->idx, idx);
	tag_of(k, h->idx, seq, datagram + LEG_HEADER, inner_len, h->tag);
	le32_to(h->wire_seq, seq ^ mask_of(k, h->tag));
}

bool leg_open(const struct leg_keys *k, const uint8_t *datagram, size_t len, uint32_t *ret_seq)
{
	const struct leg_header *h = (const struct leg_header *)datagram;
	if (len <= LEG_HEADER)
		return false;
	uint8_t tag[8];
	uint32_t seq = le32_at(h->wire_seq) ^ mask_of(k, h->tag);
	tag_of(k, h->idx, seq, datagram + LEG_HEADER, len - LEG_HEADER, tag);
	if (le64_at(tag) ^ le64_at(h->tag)) /* one comparison, so no byte of it tells anything */
		return false;
	*ret_seq = seq;
	return true;
}
