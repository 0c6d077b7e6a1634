/* INIT and RESP around the Noise messages, and the TLVs inside them.
 *
 *	INIT  0 salt 12 | 12 hint 4 | 16 ver kind len2 idx4 | 24 e 32 | 56 enc(s) 48 | 104 enc(64 + TLV) | pad | mac1 | mac2
 *	      bytes 16 .. n-33 under XChaCha20(gate.mask, salt || hint || 0^8), the clear of bytes 16..23 in the prologue
 *	RESP  0 idx 4 | 4 salt 12 | 16 ver kind len2 | 20 e 32 | 52 enc(36 + TLV) | pad | mac 16
 *	      bytes 16 .. n-17 under ChaCha20, the mask and the mac keyed from ck after message 1
 *
 * create and consume mirror each other, in this order of steps. Whatever can fail works on a copy of the state (or on
 * a fresh one) which replaces the caller's at the end, so a forged message costs time and changes nothing. */
#include <assert.h>
#include <string.h>

#include <sodium.h>

#include "proto/handshake.h"

#define VERSION      1
#define KIND_INIT    1
#define KIND_RESP    2
#define TAG          16
#define MAC          16
#define PAD_MAX      63
#define CRYPTED      16 /* both messages: where the mask begins */
#define INIT_NOISE   24 /* e */
#define INIT_PAYLOAD 104
#define INIT_FIXED   64 /* payload before the TLVs */
#define RESP_NOISE   20
#define RESP_PAYLOAD 52
#define RESP_FIXED   36

struct init_header {
	uint8_t random[12], hint[4];
	uint8_t version, kind, len[2], idx[4];
	uint8_t e[32], es_s[48];
};
_Static_assert(sizeof(struct init_header) == INIT_PAYLOAD, "INIT header");

struct resp_header {
	uint8_t idx[4], salt[12];
	uint8_t version, kind, len[2];
	uint8_t e[32];
};
_Static_assert(sizeof(struct resp_header) == RESP_PAYLOAD, "RESP header");
_Static_assert(INIT_PAYLOAD + INIT_FIXED + TAG + 2 * MAC == INIT_MIN, "shortest INIT");
_Static_assert(RESP_PAYLOAD + RESP_FIXED + TAG + MAC == RESP_MIN, "shortest RESP");

/* TLVs: u8 type, u8 flags, u16 len, value. */

bool tlv_put(struct writer *w, uint8_t type, const void *value, size_t len)
{
	if (len > UINT16_MAX || writer_left(w) < 4 + len) {
		w->bad = true; /* never a header without its value */
		return false;
	}
	put_u8(w, type);
	put_u8(w, 0);
	put_le16(w, (uint16_t)len);
	put_bytes(w, value, len);
	return true;
}

static bool tlv_read(struct reader *r, uint8_t *ret_type, uint8_t *ret_flags, const uint8_t **ret_value, size_t *ret_len)
{
	if (reader_left(r) == 0)
		return false;
	uint8_t type = get_u8(r), flags = get_u8(r);
	size_t len = get_le16(r);
	const uint8_t *value = get_bytes(r, len);
	if (r->bad)
		return false;
	*ret_type = type;
	*ret_flags = flags;
	*ret_value = value;
	*ret_len = len;
	return true;
}

bool tlv_next(struct reader *r, uint8_t *ret_type, const uint8_t **ret_value, size_t *ret_len)
{
	uint8_t flags;
	return tlv_read(r, ret_type, &flags, ret_value, ret_len);
}

/* The types of later stages count as unknown: what this build cannot honour, it must not accept as critical. */
bool tlvs_check(const uint8_t *tlvs, size_t len)
{
	struct reader r = reader_over(tlvs, len);
	const uint8_t *value;
	uint8_t type, flags;
	size_t n;

	while (tlv_read(&r, &type, &flags, &value, &n))
		if ((flags & TLV_CRITICAL) && type != TLV_CREDENTIAL && type != TLV_CHAN)
			return false;
	return !r.bad;
}

/* Length of the leading TLVs that fit room. */
static size_t tlvs_fitting(const uint8_t *tlvs, size_t len, size_t room)
{
	struct reader r = reader_over(tlvs, len);
	const uint8_t *value;
	uint8_t type;
	size_t n, fit = 0;

	while (tlv_next(&r, &type, &value, &n)) {
		size_t at = (size_t)(r.p - tlvs);
		if (at > room)
			break;
		fit = at;
	}
	return fit;
}

/* Shared by both messages. */

static void begin(struct noise *ns, const struct identity *responder, const uint8_t header[8])
{
	uint8_t prologue[4 + 1 + KEY_HASH_BYTES + 8] = "fln1";
	prologue[4] = VERSION;
	memcpy(prologue + 5, responder->key_hash, KEY_HASH_BYTES);
	memcpy(prologue + 5 + KEY_HASH_BYTES, header, 8);
	noise_begin(ns, prologue, sizeof prologue, responder->x, NULL);
}

static void mask_init(const struct gate *gate, uint8_t *datagram, size_t len)
{
	uint8_t nonce[24] = {0};
	memcpy(nonce, datagram, CRYPTED);
	crypto_stream_xchacha20_xor(datagram + CRYPTED, datagram + CRYPTED, len - CRYPTED - 2 * MAC, nonce, gate->mask);
}

uint32_t init_peek_idx(const struct gate *gate, const uint8_t *datagram, size_t len)
{
	uint8_t nonce[24] = {0}, head[8];
	if (len < INIT_MIN)
		return 0;
	memcpy(nonce, datagram, CRYPTED);
	crypto_stream_xchacha20_xor(head, datagram + CRYPTED, sizeof head, nonce, gate->mask);
	return le32_at(head + 4);
}

static void key_of_ck1(uint8_t out[32], const struct noise *ns, const char *label)
{
	uint8_t text[1 + 16];
	size_t n = strlen(label);
	assert(n <= 16);
	text[0] = (uint8_t)n;
	memcpy(text + 1, label, n);
	crypto_generichash_blake2b(out, 32, text, n + 1, ns->ck1, sizeof ns->ck1);
}

static void mask_resp(const struct noise *ns, uint8_t *datagram, size_t len)
{
	uint8_t key[32];
	key_of_ck1(key, ns, "fln1 resp");
	crypto_stream_chacha20_ietf_xor(datagram + CRYPTED, datagram + CRYPTED, len - CRYPTED - MAC, datagram + 4, key);
	sodium_memzero(key, sizeof key);
}

static void mac_resp(const struct noise *ns, const uint8_t *datagram, size_t len, uint8_t ret[MAC])
{
	uint8_t key[32];
	key_of_ck1(key, ns, "fln1 rmac");
	crypto_generichash_blake2b(ret, MAC, datagram, len - MAC, key, sizeof key);
	sodium_memzero(key, sizeof key);
}

/* Padding that still fits under limit, written at out + end. Returns its length. */
static size_t pad(uint8_t *out, size_t end, size_t limit, const struct handshake_draw *draw)
{
	size_t n = draw ? draw->pad_len : randombytes_uniform(PAD_MAX + 1);
	assert(n <= PAD_MAX);
	if (n > limit - end)
		n = limit - end;
	if (draw)
		memcpy(out + end, draw->pad, n);
	else
		randombytes_buf(out + end, n);
	return n;
}

/* An ephemeral secret: drawn, or given for a vector. */
static void draw_e(uint8_t e[32], const struct handshake_draw *draw)
{
	if (draw)
		memcpy(e, draw->e, 32);
	else
		randombytes_buf(e, 32);
}

static bool idx_valid(uint32_t idx)
{
	return idx != 0 && (idx & LANE_MASK) == 0;
}

/* INIT */

static void init_header_put(struct init_header *h, const struct gate *gate, uint32_t idx, size_t end, const struct handshake_draw *draw)
{
	uint8_t hint[8];
	if (draw)
		memcpy(h->random, draw->salt, sizeof h->random);
	else
		randombytes_buf(h->random, sizeof h->random);
	crypto_shorthash(hint, h->random, sizeof h->random, gate->hint);
	memcpy(h->hint, hint, sizeof h->hint);
	h->version = VERSION;
	h->kind = KIND_INIT;
	le16_to(h->len, (uint16_t)end);
	le32_to(h->idx, idx);
}

static void init_payload_put(struct writer *w, const struct init_payload *p, const uint8_t ed[32])
{
	put_le32(w, p->caps);
	put_bytes(w, p->ts, sizeof p->ts);
	put_bytes(w, ed, 32);
	put_bytes(w, p->fresh, sizeof p->fresh);
	put_bytes(w, p->tlvs, p->tlvs_len);
}

static void init_macs(const struct gate *gate, const uint8_t *cookie, uint8_t *out, size_t n, const struct handshake_draw *draw)
{
	crypto_generichash_blake2b(out + n - 2 * MAC, MAC, out, n - 2 * MAC, gate->mac1, sizeof gate->mac1);
	if (cookie)
		crypto_generichash_blake2b(out + n - MAC, MAC, out, n - MAC, cookie, 16);
	else if (draw)
		memcpy(out + n - MAC, draw->mac2, MAC);
	else
		randombytes_buf(out + n - MAC, MAC);
}

size_t init_create(struct handshake *hs, const struct secret *self, const struct identity *responder, const struct gate *gate,
                   const uint8_t cookie[16], uint32_t idx, const struct init_payload *p, uint8_t *out, size_t room,
                   const struct handshake_draw *draw)
{
	struct handshake next = {.peer = *responder, .idx = idx, .initiator = true};
	uint8_t message[INIT_SEND_MAX], plain[INIT_SEND_MAX], e[32];
	size_t limit = room < INIT_SEND_MAX ? room : INIT_SEND_MAX, n = 0;

	assert(idx_valid(idx));
	if (p->tlvs_len > limit || INIT_MIN + p->tlvs_len > limit)
		return 0;
	size_t end = INIT_PAYLOAD + INIT_FIXED + p->tlvs_len + TAG;
	init_header_put((struct init_header *)message, gate, idx, end, draw);
	begin(&next.noise, responder, message + CRYPTED);

	struct writer w = writer_over(plain, sizeof plain);
	init_payload_put(&w, p, self->self.ed);
	draw_e(e, draw);
	if (!noise_write_1(&next.noise, self->x, self->self.x, responder->x, e, plain, writer_len(&w), message + INIT_NOISE))
		goto out;

	n = end + pad(message, end, limit - 2 * MAC, draw) + 2 * MAC;
	mask_init(gate, message, n);
	init_macs(gate, cookie, message, n, draw);
	memcpy(next.mac1, init_mac1(message, n), MAC);
	memcpy(out, message, n);
	*hs = next;
out:
	handshake_fini(&next);
	sodium_memzero(e, sizeof e);
	sodium_memzero(plain, sizeof plain);
	return n;
}

/* One look into the cache; a miss is remembered here and stored only after the payload decrypted, so that claimed
 * keys push nothing out. */
struct ss_ask {
	struct ss_cache *cache;
	uint8_t x[32], ss[32];
	bool computed;
};

static unsigned ss_slot(const uint8_t x[32])
{
	return x[0] % (sizeof((struct ss_cache *)0)->slot / sizeof((struct ss_cache *)0)->slot[0]);
}

static bool ss_lookup(void *self, const uint8_t s_secret[32], const uint8_t rs[32], uint8_t ret_ss[32])
{
	struct ss_ask *ask = self;
	unsigned i = ss_slot(rs);
	/* An empty slot is all zeros: a zero key must not find a zero result there. */
	if (ask->cache && !sodium_is_zero(rs, 32) && memcmp(ask->cache->slot[i].x, rs, 32) == 0) {
		memcpy(ret_ss, ask->cache->slot[i].ss, 32);
		return true;
	}
	if (crypto_scalarmult_curve25519(ask->ss, s_secret, rs) != 0)
		return false;
	memcpy(ask->x, rs, 32);
	memcpy(ret_ss, ask->ss, 32);
	ask->computed = true;
	return true;
}

static void ss_store(const struct ss_ask *ask)
{
	if (!ask->cache || !ask->computed)
		return;
	unsigned i = ss_slot(ask->x);
	memcpy(ask->cache->slot[i].x, ask->x, 32);
	memcpy(ask->cache->slot[i].ss, ask->ss, 32);
}

/* y of a point of order 1, 2, 4 or 8, or not canonical: anyone can sign under such a key. The two values of order 8
 * are those of RFC 8032's curve; x only decides the sign bit, which is ignored. */
static bool ed_small_order(const uint8_t ed[32])
{
	static const uint8_t order8[2][32] = {
	    {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
	     0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
	    {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
	     0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
	};
	uint8_t y[32];
	memcpy(y, ed, 32);
	y[31] &= 0x7f;
	if (memcmp(y, order8[0], 32) == 0 || memcmp(y, order8[1], 32) == 0)
		return true;
	if (y[0] <= 1 && sodium_is_zero(y + 1, 31)) /* 0 (order 4) and 1 (neutral) */
		return true;
	if (y[31] != 0x7f || y[0] < 0xec) /* p - 1 (order 2) and everything above it */
		return false;
	for (unsigned i = 1; i < 31; i++)
		if (y[i] != 0xff)
			return false;
	return true;
}

/* ret->tlvs points into plain. */
static bool init_payload_get(const uint8_t *plain, size_t n, struct init_payload *ret, uint8_t ret_ed[32])
{
	struct reader r = reader_over(plain, n);
	ret->caps = get_le32(&r);
	get_copy(&r, ret->ts, sizeof ret->ts);
	get_copy(&r, ret_ed, 32);
	get_copy(&r, ret->fresh, sizeof ret->fresh);
	ret->tlvs_len = reader_left(&r);
	ret->tlvs = r.p;
	return !r.bad && (ret->caps & CAP_CHACHA) && !ed_small_order(ret_ed) && tlvs_check(ret->tlvs, ret->tlvs_len);
}

enum drop init_consume(struct handshake *hs, const struct secret *self, const struct gate *gate, struct ss_cache *cache, uint8_t *datagram,
                       size_t len, struct init_payload *ret)
{
	struct handshake next = {.initiator = false};
	struct init_payload payload;
	struct ss_ask ask = {.cache = cache};
	enum drop verdict = DROP_INIT_FORM;

	if (len < INIT_MIN || len > INIT_MAX)
		return DROP_INIT_FORM;
	memcpy(next.mac1, init_mac1(datagram, len), MAC);
	mask_init(gate, datagram, len);

	const struct init_header *h = (const struct init_header *)datagram;
	size_t end = le16_at(h->len);
	next.idx = le32_at(h->idx);
	if (h->version != VERSION || h->kind != KIND_INIT || !idx_valid(next.idx) || end < INIT_MIN - 2 * MAC || end > len - 2 * MAC)
		goto out;

	begin(&next.noise, &self->self, datagram + CRYPTED);
	verdict = DROP_INIT_CRYPTO;
	if (!noise_read_1(&next.noise, self->x, self->self.x, datagram + INIT_NOISE, end - INIT_NOISE, datagram + INIT_PAYLOAD, ss_lookup,
	                  &ask))
		goto out;
	ss_store(&ask);

	verdict = DROP_INIT_FORM;
	if (!init_payload_get(datagram + INIT_PAYLOAD, end - INIT_PAYLOAD - TAG, &payload, next.peer.ed))
		goto out;
	memcpy(next.peer.x, next.noise.rs, 32);
	identity_hash(&next.peer);
	*hs = next;
	*ret = payload;
	verdict = DROP_NONE;
out:
	handshake_fini(&next);
	sodium_memzero(&ask, sizeof ask);
	return verdict;
}

const uint8_t *init_mac1(const uint8_t *datagram, size_t len)
{
	assert(len >= INIT_MIN);
	return datagram + len - 2 * MAC;
}

bool init_mac2_check(const uint8_t *datagram, size_t len, const uint8_t cookie[16])
{
	uint8_t mac2[MAC];
	if (len < INIT_MIN || len > INIT_MAX)
		return false;
	crypto_generichash_blake2b(mac2, MAC, datagram, len - MAC, cookie, 16);
	return bytes_equal(mac2, datagram + len - MAC, MAC);
}

/* RESP */

static void split(const struct handshake *hs, struct session_keys *ret)
{
	noise_split(&hs->noise, hs->initiator ? ret->send : ret->receive, hs->initiator ? ret->receive : ret->send, ret->exporter);
}

static void resp_payload_put(struct writer *w, const struct resp_payload *p, size_t tlvs_len)
{
	put_le32(w, p->idx);
	put_u8(w, p->suite);
	put_u8(w, p->lanes);
	put_le16(w, p->max_datagram);
	put_le32(w, p->caps);
	put_endpoint(w, &p->observed);
	put_be32(w, p->epoch);
	put_bytes(w, p->tlvs, tlvs_len);
}

size_t resp_create(struct handshake *hs, const struct secret *self, const struct resp_payload *p, size_t init_len, uint8_t *out,
                   size_t room, struct session_keys *ret, const struct handshake_draw *draw)
{
	struct handshake next = *hs;
	uint8_t message[INIT_MAX], plain[INIT_MAX], e[32];
	size_t limit = room < init_len ? room : init_len, n = 0;
	(void)self; /* message 2 needs no static of the responder: es and ss were message 1 */

	assert(!hs->initiator && idx_valid(p->idx) && p->lanes >= 1 && p->lanes <= LANES_MAX);
	if (limit > INIT_MAX)
		limit = INIT_MAX;
	if (limit < RESP_MIN)
		goto out;
	size_t tlvs_len = tlvs_fitting(p->tlvs, p->tlvs_len, limit - RESP_MIN);
	size_t end = RESP_PAYLOAD + RESP_FIXED + tlvs_len + TAG;

	struct resp_header *h = (struct resp_header *)message;
	le32_to(h->idx, hs->idx);
	if (draw)
		memcpy(h->salt, draw->salt, sizeof h->salt);
	else
		randombytes_buf(h->salt, sizeof h->salt);
	h->version = VERSION;
	h->kind = KIND_RESP;
	le16_to(h->len, (uint16_t)end);

	struct writer w = writer_over(plain, sizeof plain);
	resp_payload_put(&w, p, tlvs_len);
	assert(!w.bad);
	draw_e(e, draw);
	if (!noise_write_2(&next.noise, e, plain, writer_len(&w), message + RESP_NOISE))
		goto out;

	n = end + pad(message, end, limit - MAC, draw) + MAC;
	mask_resp(&next.noise, message, n);
	mac_resp(&next.noise, message, n, message + n - MAC);
	memcpy(out, message, n);
	split(&next, ret);
	*hs = next;
out:
	handshake_fini(&next);
	sodium_memzero(e, sizeof e);
	sodium_memzero(plain, sizeof plain);
	return n;
}

/* The responder may choose only what was offered; class control is bound to suite 2 and must be echoed, or both ends
 * would run different timers. */
static bool resp_offered(const struct resp_payload *p, uint32_t offered)
{
	if (!(p->suite == SUITE_AES256_GCM && (offered & CAP_GCM)) && !(p->suite == SUITE_CHACHA20_POLY1305 && (offered & CAP_CHACHA)))
		return false;
	if ((p->caps ^ offered) & CAP_CTRL_CLASS)
		return false;
	return !(offered & CAP_CTRL_CLASS) || p->suite == SUITE_CHACHA20_POLY1305;
}

static bool resp_payload_get(const uint8_t *plain, size_t n, struct resp_payload *ret)
{
	struct reader r = reader_over(plain, n);
	ret->idx = get_le32(&r);
	ret->suite = get_u8(&r);
	ret->lanes = get_u8(&r);
	ret->max_datagram = get_le16(&r);
	ret->caps = get_le32(&r);
	get_endpoint(&r, &ret->observed);
	ret->epoch = get_be32(&r);
	ret->tlvs_len = reader_left(&r);
	ret->tlvs = r.p;
	return !r.bad && idx_valid(ret->idx) && ret->lanes >= 1 && ret->lanes <= LANES_MAX && tlvs_check(ret->tlvs, ret->tlvs_len);
}

enum drop resp_consume(struct handshake *hs, const struct secret *self, uint32_t offered_caps, uint8_t *datagram, size_t len,
                       struct resp_payload *ret, struct session_keys *ret_keys)
{
	struct handshake next;
	struct resp_payload payload;
	uint8_t mac[MAC];
	enum drop verdict = DROP_RESP_CRYPTO;

	assert(hs->initiator);
	if (len < RESP_MIN || len > INIT_MAX)
		return DROP_RESP_FORM;
	next = *hs;
	const struct resp_header *h = (const struct resp_header *)datagram;
	mac_resp(&next.noise, datagram, len, mac);
	if (le32_at(h->idx) != hs->idx || !bytes_equal(mac, datagram + len - MAC, MAC))
		goto out;
	mask_resp(&next.noise, datagram, len);

	size_t end = le16_at(h->len);
	verdict = DROP_RESP_FORM;
	if (h->version != VERSION || h->kind != KIND_RESP || end < RESP_MIN - MAC || end > len - MAC)
		goto out;
	verdict = DROP_RESP_CRYPTO;
	if (!noise_read_2(&next.noise, self->x, datagram + RESP_NOISE, end - RESP_NOISE, datagram + RESP_PAYLOAD))
		goto out;

	verdict = DROP_RESP_FORM;
	if (!resp_payload_get(datagram + RESP_PAYLOAD, end - RESP_PAYLOAD - TAG, &payload) || !resp_offered(&payload, offered_caps))
		goto out;
	split(&next, ret_keys);
	*hs = next;
	*ret = payload;
	verdict = DROP_NONE;
out:
	handshake_fini(&next);
	return verdict;
}

void handshake_fini(struct handshake *hs)
{
	sodium_memzero(hs, sizeof *hs);
}
