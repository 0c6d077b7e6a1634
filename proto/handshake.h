/* handshake.h: INIT, RESP and RETRY (PROTOCOL.md, Handshake). Bytes in, bytes out; state in a struct of the caller.
 *
 * The responder's order of work lives in node/; the steps are separate functions here so that each is cheaper than
 * the next. On any failure outputs are untouched and the state may be used again where the comment says so.
 */
#ifndef FARLAN_PROTO_HANDSHAKE_H
#define FARLAN_PROTO_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/batch.h"
#include "proto/gate.h"
#include "proto/ident.h"
#include "proto/noise.h"
#include "proto/wire.h"

enum tlv_type {
	TLV_CREDENTIAL = 1,
	TLV_CREDENTIAL_HASH = 2,
	TLV_PSK_ID = 3,
	TLV_CHAN = 4, /* u64 nwid BE, u16 chan LE; repeated */
	TLV_REGISTER = 5,
	TLV_ROOTSET_SEQ = 6,
	TLV_PQ_CAPS = 7,
};
#define TLV_CRITICAL 1u /* f bit0: drop the message if the type is unknown */

/* TLVs are written by tlv_put and walked by tlv_next; tlvs_check refuses overruns and unknown critical types (those of
 * later stages are unknown). What init_consume and resp_consume hand out has passed tlvs_check. */
bool tlv_put(struct writer *, uint8_t type, const void *value, size_t len);
bool tlv_next(struct reader *, uint8_t *ret_type, const uint8_t **ret_value, size_t *ret_len); /* false at the end */
bool tlvs_check(const uint8_t *tlvs, size_t len);

/* What an INIT says besides its keys. tlvs borrows: the caller's buffer (create), the opened message (consume). */
struct init_payload {
	uint32_t caps;
	uint8_t ts[12]; /* be32 epoch, be64 monotonic ns */
	uint8_t fresh[16];
	const uint8_t *tlvs;
	size_t tlvs_len;
};

struct resp_payload {
	uint32_t idx; /* responder's index, lane 0 */
	uint8_t suite;
	uint8_t lanes; /* receive lanes 1..16 */
	uint16_t max_datagram;
	uint32_t caps;
	struct endpoint observed;
	uint32_t epoch;
	const uint8_t *tlvs;
	size_t tlvs_len;
};

/* One handshake in progress, either side. Wiped by handshake_fini. */
struct handshake {
	struct noise noise;
	struct identity peer;
	uint32_t idx;     /* initiator's index */
	uint8_t mac1[16]; /* of the INIT: AD of a RETRY */
	bool initiator;
};

/* What Split gives: 32 bytes per direction for seal_init, and the exporter. */
struct session_keys {
	uint8_t send[32], receive[32], exporter[32];
};

/* Fixed randomness for vectors; NULL = drawn. */
struct handshake_draw {
	uint8_t e[32];     /* ephemeral secret */
	uint8_t salt[12];  /* INIT: random part; RESP: whole */
	uint8_t nonce[24]; /* RETRY */
	uint8_t pad[64];
	unsigned pad_len; /* 0..63 */
	uint8_t mac2[16];
};

/* Writes an INIT of at most INIT_SEND_MAX bytes. gate is the responder's. cookie NULL = none held (mac2 random).
 * Returns its length, or 0 when the TLVs do not fit or the responder's key is of low order. */
size_t init_create(struct handshake *, const struct secret *self, const struct identity *responder, const struct gate *,
                   const uint8_t cookie[16], uint32_t idx, const struct init_payload *, uint8_t *out, size_t room,
                   const struct handshake_draw *);

/* Static-static results by the other's X25519 key, so that a repeated INIT costs one scalar multiplication less. */
struct ss_cache {
	struct {
		uint8_t x[32], ss[32];
	} slot[64];
};

/* Responder, steps 4 and 5: unmasks and decrypts datagram (modified in place), fills hs->peer (x, ed, key_hash; address
 * 0 = unknown), hs->idx, hs->mac1 and ret (tlvs point into datagram). The gate has been checked before. Verdict NONE,
 * INIT_FORM (header, TLVs, caps without CAP_CHACHA, Ed25519 key of small order) or INIT_CRYPTO. cache may be NULL. */
enum drop init_consume(struct handshake *, const struct secret *self, const struct gate *, struct ss_cache *cache, uint8_t *datagram,
                       size_t len, struct init_payload *ret);

/* The initiator's index of an INIT whose gate was checked, without any decryption of its payload: what a RETRY is addressed to. */
uint32_t init_peek_idx(const struct gate *, const uint8_t *datagram, size_t len);
/* mac1 as it stands in the datagram, for the memory of authentic ones. */
const uint8_t *init_mac1(const uint8_t *datagram, size_t len);
/* Is mac2 keyed with this cookie value? */
bool init_mac2_check(const uint8_t *datagram, size_t len, const uint8_t cookie[16]);

/* Responder, step 9: writes a RESP no longer than init_len (TLVs that do not fit are left out, in order from the last)
 * and Splits. 0 on failure (low-order ephemeral). */
size_t resp_create(struct handshake *, const struct secret *self, const struct resp_payload *, size_t init_len, uint8_t *out, size_t room,
                   struct session_keys *ret, const struct handshake_draw *);

/* Initiator: opens a RESP (modified in place; ret->tlvs points into it). Verdict NONE, RESP_CRYPTO or RESP_FORM (version,
 * kind, suite not offered, lanes, index, CAP_CTRL_CLASS other than offered, TLVs). The state stays usable after a failure:
 * it works on a copy. */
enum drop resp_consume(struct handshake *, const struct secret *self, uint32_t offered_caps, uint8_t *datagram, size_t len,
                       struct resp_payload *ret, struct session_keys *ret_keys);

enum retry_kind { RETRY_COOKIE = 1, RETRY_FRESH = 2, RETRY_VERSION = 3 };
/* gate = the gate the INIT was made with, as derived for this responder. Returns RETRY_BYTES. */
size_t retry_create(const struct gate *, uint32_t initiator_idx, const uint8_t init_mac1[16], enum retry_kind, const uint8_t value[16],
                    uint8_t out[RETRY_BYTES], const struct handshake_draw *);
enum drop retry_consume(const struct handshake *, const struct gate *, const uint8_t *datagram, size_t len, enum retry_kind *ret_kind,
                        uint8_t ret_value[16]);

void cookie_value(const uint8_t secret[32], const struct endpoint *, uint8_t ret[16]);
void fresh_value(const uint8_t secret[32], const uint8_t initiator_key_hash[32], const uint8_t stored_ts[12], uint8_t ret[16]);

void handshake_fini(struct handshake *);

#endif
