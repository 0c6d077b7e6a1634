/* ident.h: identities, addresses and what derives from them (PROTOCOL.md, Identity).
 *
 * Pure functions; no clock, no I/O. Any thread, but ident_work() costs about 5 ms and 8 MiB: never on the control
 * thread while it serves. Secrets are wiped by secret_fini.
 */
#ifndef FARLAN_PROTO_IDENT_H
#define FARLAN_PROTO_IDENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IDENTITY_BYTES    64
#define KEY_HASH_BYTES    32
#define IDENTITY_TEXT_MAX 112 /* "fln1:<10 hex>:<86 base64url>" and NUL */
#define NWID_TEXT         17  /* 16 hex and NUL */
#define ADDRESS_TEXT      11  /* 10 hex and NUL */
#define WORDS_TEXT        64  /* four fingerprint words and NUL */

/* The public half. address is what the text or the document claims until ident_work() agreed; 40 bits never carry
 * security alone (rule I1): decisions use key_hash. */
struct identity {
	uint8_t x[32];  /* X25519 */
	uint8_t ed[32]; /* Ed25519 */
	uint8_t key_hash[KEY_HASH_BYTES];
	uint64_t address; /* 40 bits */
};

struct secret {
	struct identity self;
	uint8_t x[32];
	uint8_t ed[64]; /* libsodium form: seed and public key */
};

/* Fills key_hash from x and ed; address is left alone. */
void identity_hash(struct identity *);
/* Argon2id of the identity: true and *ret_address if the proof of work holds. *ret_address untouched otherwise. */
bool ident_work(const uint8_t x[32], const uint8_t ed[32], uint64_t *ret_address);
/* A new identity: about 256 evaluations, 1-5 s. 0 or -ENOMEM. */
int secret_generate(struct secret *ret);
/* From the two secrets; fills the public half, key_hash and address (computed, so it costs one evaluation).
 * false if they carry no valid work. */
bool secret_derive(struct secret *ret, const uint8_t x[32], const uint8_t ed_seed[32]);
void secret_fini(struct secret *);

/* Text forms. Format functions terminate; parse functions return true only for the whole text. */
void identity_format(const struct identity *, char buf[IDENTITY_TEXT_MAX]);
bool identity_parse(const char *text, struct identity *ret); /* claims an address, verifies no work */
void address_format(uint64_t address, char buf[ADDRESS_TEXT]);
bool address_parse(const char *text, uint64_t *ret); /* first byte neither 00 nor ff: no identity has such a one */
void nwid_format(uint64_t nwid, char buf[NWID_TEXT]);
/* "<16 hex>" or "<16 hex>-<26 base32>"; low 24 bits must not be 0, the first 40 an address. *ret_pin = true when the long form gave the first
 * 130 bits of the controller's key_hash, which stand in ret_bits (17 bytes, the last 6 bits zero). */
bool nwid_parse(const char *text, uint64_t *ret_nwid, bool *ret_pin, uint8_t ret_bits[17]);
void nwid_format_long(uint64_t nwid, const uint8_t key_hash[KEY_HASH_BYTES], char buf[NWID_TEXT + 27]);
/* Exactly n bytes from len characters of base64url without padding, spare bits zero; no branch depends on the text, so
 * that secrets may pass. What stands in ret after false means nothing. */
bool base64_parse(const char *text, size_t len, uint8_t *ret, size_t n);
void base64_format(const uint8_t *bytes, size_t n, char *buf, size_t room); /* the same way back; room >= (4 n + 2) / 3 + 1 */
/* Four words of a fixed list of 256 from key_hash, "lamp-otter-brick-nine": for people to compare. */
void fingerprint_words(const uint8_t key_hash[KEY_HASH_BYTES], char buf[WORDS_TEXT]);
/* identity.secret: one line, "fln1-secret:<10 hex>:<base64url x seed>:<8 hex check>\n". format returns its length, 0 when room
 * is below SECRET_TEXT_MAX; parse returns false if anything is off, the work included (so it costs one evaluation). */
#define SECRET_TEXT_MAX 128
size_t secret_format(const struct secret *, char *buf, size_t room);
bool secret_parse(const char *text, size_t len, struct secret *ret);

/* Derivations. */
void mac_derive(uint64_t nwid, uint64_t address, uint8_t ret_mac[6]);
/* The address whose derived MAC this would be; false when byte 0 does not fit the network. */
bool mac_address(uint64_t nwid, const uint8_t mac[6], uint64_t *ret_address);
void ula_derive(uint64_t nwid, uint64_t address, uint8_t ret_ip[16]); /* on a /64 */
/* H256(label, x): BLAKE2b-256 of u8(len) label x. One definition for all of proto/. */
void hash256(uint8_t out[32], const char *label, const void *x, size_t n);
void hash256_parts(uint8_t out[32], const char *label, const void *x, size_t n, const void *y, size_t m);
/* Constant time. */
bool bytes_equal(const void *, const void *, size_t);

#include "proto/root_line.h"

#endif
