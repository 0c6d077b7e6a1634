/* ident.c: an identity is two public keys, and everything else follows from their bytes
 * (PROTOCOL.md, Identity).
 *
 * key_hash names it (256 bits, every decision); the 40-bit address comes out of an Argon2id whose
 * first byte must be zero, so that an address costs about 256 evaluations; MAC and IPv6 address are
 * the address mixed with a hash of the network, reversible without a table. Text forms: formatting
 * always terminates, parsing accepts a whole text or nothing and leaves its outputs alone when it
 * refuses. Hex is written in lower case and read in both.
 */
#include "proto/ident.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/cursor.h"

#define WORK_SALT                                                                                                                          \
	"fln1-identity-01" /* exactly crypto_pwhash_argon2id_SALTBYTES, without the NUL  \
				      */
#define WORK_MEMORY (8u << 20)
#define WORK_PASSES 1
/* 256 evaluations are expected; this many fail with probability e^-64, then something is broken. */
#define GENERATE_TRIES_MAX (64 * 256)
#define KEY_TEXT           86 /* base64url of 64 bytes without padding */
#define SECRET_TAG         "fln1-secret:"
#define SECRET_TEXT        (sizeof(SECRET_TAG) - 1 + 10 + 1 + KEY_TEXT + 1 + 8)
#define ADDRESS_MAX        UINT64_C(0xffffffffff)
#define PIN_TEXT           26 /* base32 digits: 130 bits */

_Static_assert(SECRET_TEXT + 2 <= SECRET_TEXT_MAX, "line, newline and NUL");
_Static_assert(sizeof(WORK_SALT) - 1 == crypto_pwhash_argon2id_SALTBYTES, "salt length");

static void hash_parts(uint8_t *out, size_t out_len, const char *label, const void *x, size_t n, const void *y, size_t m)
{
	crypto_generichash_state state;
	uint8_t len = (uint8_t)strlen(label);
	crypto_generichash_init(&state, NULL, 0, out_len);
	crypto_generichash_update(&state, &len, 1);
	crypto_generichash_update(&state, (const uint8_t *)label, len);
	if (n)
		crypto_generichash_update(&state, x, n);
	if (m)
		crypto_generichash_update(&state, y, m);
	crypto_generichash_final(&state, out, out_len);
	sodium_memzero(&state, sizeof(state)); /* some inputs are secrets */
}

void hash256(uint8_t out[32], const char *label, const void *x, size_t n)
{
	hash_parts(out, 32, label, x, n, NULL, 0);
}

void hash256_parts(uint8_t out[32], const char *label, const void *x, size_t n, const void *y, size_t m)
{
	hash_parts(out, 32, label, x, n, y, m);
}

bool bytes_equal(const void *a, const void *b, size_t n)
{
	return sodium_memcmp(a, b, n) == 0;
}

void identity_hash(struct identity *id)
{
	hash256_parts(id->key_hash, "fln1 key", id->x, sizeof(id->x), id->ed, sizeof(id->ed));
}

/* ---- proof of work ---- */

/* First byte of an address: 0 and 255 are reserved. */
static bool address_valid(uint64_t address)
{
	return address <= ADDRESS_MAX && address >> 32 != 0x00 && address >> 32 != 0xff;
}

/* 0 and *ret_address, -EINVAL without valid work, -ENOMEM. */
static int work(const uint8_t x[32], const uint8_t ed[32], uint64_t *ret_address)
{
	uint8_t pre[64], d[32];
	hash_parts(pre, sizeof(pre), "fln1 id", x, 32, ed, 32);
	if (crypto_pwhash(d, sizeof(d), (const char *)pre, sizeof(pre), (const uint8_t *)WORK_SALT, WORK_PASSES, WORK_MEMORY,
	                  crypto_pwhash_ALG_ARGON2ID13))
		return -ENOMEM; /* its only failure with these constants */
	struct reader r = reader_over(d + 27, 5);
	uint64_t address = get_be(&r, 5);
	if (d[0] != 0 || !address_valid(address))
		return -EINVAL;
	*ret_address = address;
	return 0;
}

bool ident_work(const uint8_t x[32], const uint8_t ed[32], uint64_t *ret_address)
{
	return work(x, ed, ret_address) == 0;
}

/* Public keys and key_hash from the secrets; false if X25519 gives the zero point's error. */
static bool secret_publish(struct secret *s, const uint8_t x[32], const uint8_t ed_seed[32])
{
	memcpy(s->x, x, 32);
	crypto_sign_seed_keypair(s->self.ed, s->ed, ed_seed);
	if (crypto_scalarmult_base(s->self.x, s->x))
		return false;
	identity_hash(&s->self);
	return true;
}

int secret_generate(struct secret *ret)
{
	struct secret s = {0};
	uint8_t x[32], seed[32];
	int rc = -EINVAL;
	for (int i = 0; rc == -EINVAL && i < GENERATE_TRIES_MAX; i++) {
		randombytes_buf(x, sizeof(x));
		randombytes_buf(seed, sizeof(seed));
		if (secret_publish(&s, x, seed))
			rc = work(s.self.x, s.self.ed, &s.self.address);
	}
	assert(rc != -EINVAL);
	if (rc == 0)
		*ret = s;
	sodium_memzero(x, sizeof(x));
	sodium_memzero(seed, sizeof(seed));
	secret_fini(&s);
	return rc;
}

bool secret_derive(struct secret *ret, const uint8_t x[32], const uint8_t ed_seed[32])
{
	struct secret s = {0};
	bool ok = secret_publish(&s, x, ed_seed) && ident_work(s.self.x, s.self.ed, &s.self.address);
	if (ok)
		*ret = s;
	secret_fini(&s);
	return ok;
}

void secret_fini(struct secret *s)
{
	sodium_memzero(s, sizeof(*s));
}

/* ---- text forms ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Exactly n digits at text; a NUL among them ends it as any other wrong character does. */
static bool hex_read(const char *text, unsigned n, uint64_t *ret)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < n; i++) {
		int digit = hex_digit(text[i]);
		if (digit < 0)
			return false;
		v = v << 4 | (uint64_t)digit;
	}
	*ret = v;
	return true;
}

bool base64_parse(const char *text, size_t len, uint8_t *ret, size_t n)
{
	size_t got = 0;
	unsigned all = 0;
	for (size_t i = 0; i < len; i++)
		all |= (uint8_t)text[i];
	/* libsodium 1.0.18 also takes byte 0xdf for '_': one key would have two spellings. */
	return !(all & 0x80) && sodium_base642bin(ret, n, text, len, NULL, &got, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
	       got == n;
}

void base64_format(const uint8_t *bytes, size_t n, char *buf, size_t room)
{
	sodium_bin2base64(buf, room, bytes, n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static bool key_read(const char *text, size_t len, uint8_t out[64])
{
	return len == KEY_TEXT && base64_parse(text, len, out, 64);
}

void address_format(uint64_t address, char buf[ADDRESS_TEXT])
{
	snprintf(buf, ADDRESS_TEXT, "%010llx", (unsigned long long)(address & ADDRESS_MAX));
}

bool address_parse(const char *text, uint64_t *ret)
{
	uint64_t v;
	if (!hex_read(text, 10, &v) || text[10] || !address_valid(v))
		return false;
	*ret = v;
	return true;
}

void identity_format(const struct identity *id, char buf[IDENTITY_TEXT_MAX])
{
	char address[ADDRESS_TEXT], key[KEY_TEXT + 1];
	uint8_t both[IDENTITY_BYTES];
	memcpy(both, id->x, 32);
	memcpy(both + 32, id->ed, 32);
	address_format(id->address, address);
	sodium_bin2base64(key, sizeof(key), both, sizeof(both), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	snprintf(buf, IDENTITY_TEXT_MAX, "fln1:%s:%s", address, key);
}

bool identity_parse(const char *text, struct identity *ret)
{
	struct identity id = {0};
	uint8_t both[IDENTITY_BYTES];
	if (strncmp(text, "fln1:", 5) || !hex_read(text + 5, 10, &id.address) || !address_valid(id.address) || text[15] != ':')
		return false;
	/* Longer texts stay longer: nothing past KEY_TEXT + 1 matters. */
	if (!key_read(text + 16, strnlen(text + 16, KEY_TEXT + 1), both))
		return false;
	memcpy(id.x, both, 32);
	memcpy(id.ed, both + 32, 32);
	identity_hash(&id);
	*ret = id;
	return true;
}

void nwid_format(uint64_t nwid, char buf[NWID_TEXT])
{
	snprintf(buf, NWID_TEXT, "%016llx", (unsigned long long)nwid);
}

static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";

void nwid_format_long(uint64_t nwid, const uint8_t key_hash[KEY_HASH_BYTES], char buf[NWID_TEXT + 27])
{
	nwid_format(nwid, buf);
	char *out = buf + NWID_TEXT - 1;
	*out++ = '-';
	for (unsigned i = 0; i < PIN_TEXT; i++) {
		unsigned bit = 5 * i;
		unsigned two = (unsigned)key_hash[bit / 8] << 8 | key_hash[bit / 8 + 1];
		*out++ = base32[two >> (11 - bit % 8) & 31];
	}
	*out = 0;
}

static int base32_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		c = (char)(c - 'A' + 'a');
	const char *at = c ? strchr(base32, c) : NULL;
	return at ? (int)(at - base32) : -1;
}

bool nwid_parse(const char *text, uint64_t *ret_nwid, bool *ret_pin, uint8_t ret_bits[17])
{
	uint64_t nwid;
	uint8_t bits[17] = {0};
	if (!hex_read(text, 16, &nwid) || !(nwid & 0xffffff) || !address_valid(nwid >> 24))
		return false;
	bool pin = text[16] == '-';
	if (text[16] && !pin)
		return false;
	for (unsigned i = 0; pin && i < PIN_TEXT; i++) {
		int digit = base32_digit(text[17 + i]);
		if (digit < 0)
			return false;
		unsigned bit = 5 * i, two = (unsigned)digit << (11 - bit % 8);
		bits[bit / 8] |= (uint8_t)(two >> 8);
		if (bit / 8 + 1 < sizeof(bits))
			bits[bit / 8 + 1] |= (uint8_t)two;
	}
	if (pin && text[17 + PIN_TEXT])
		return false;
	*ret_nwid = nwid;
	*ret_pin = pin;
	if (pin)
		memcpy(ret_bits, bits, sizeof(bits));
	return true;
}

/* ---- secret file ---- */

/* The check word tells damage from a foreign file before the work is computed, and catches the five
 * bits of x that X25519 ignores. It is of no use to anyone who does not hold the secret. */
static void secret_check(const uint8_t both[64], char word[9])
{
	uint8_t h[32];
	hash256(h, "fln1 secret", both, 64);
	snprintf(word, 9, "%02x%02x%02x%02x", h[0], h[1], h[2], h[3]);
	sodium_memzero(h, sizeof(h));
}

size_t secret_format(const struct secret *s, char *buf, size_t room)
{
	char address[ADDRESS_TEXT], key[KEY_TEXT + 1], word[9];
	uint8_t both[64];
	if (room < SECRET_TEXT_MAX)
		return 0;
	memcpy(both, s->x, 32);
	memcpy(both + 32, s->ed, 32); /* libsodium's secret begins with the seed */
	address_format(s->self.address, address);
	sodium_bin2base64(key, sizeof(key), both, sizeof(both), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	secret_check(both, word);
	int n = snprintf(buf, room, SECRET_TAG "%s:%s:%s\n", address, key, word);
	sodium_memzero(both, sizeof(both));
	sodium_memzero(key, sizeof(key));
	return (size_t)n;
}

bool secret_parse(const char *text, size_t len, struct secret *ret)
{
	const size_t tag = sizeof(SECRET_TAG) - 1;
	uint8_t both[64];
	char word[9];
	uint64_t address;
	struct secret s = {0};
	bool ok = false;
	if (len == SECRET_TEXT + 1 && text[len - 1] == '\n')
		len--;
	if (len != SECRET_TEXT || memcmp(text, SECRET_TAG, tag) || !hex_read(text + tag, 10, &address) || text[tag + 10] != ':' ||
	    text[tag + 11 + KEY_TEXT] != ':')
		return false;
	if (!key_read(text + tag + 11, KEY_TEXT, both))
		goto out;
	secret_check(both, word);
	if (memcmp(word, text + tag + 12 + KEY_TEXT, 8) || !secret_derive(&s, both, both + 32) || s.self.address != address)
		goto out;
	*ret = s;
	ok = true;
out:
	sodium_memzero(both, sizeof(both));
	secret_fini(&s);
	return ok;
}

/* ---- derivations ---- */

static void network_hash(const char *label, uint64_t nwid, uint8_t h[32])
{
	uint8_t be[8];
	struct writer w = writer_over(be, sizeof(be));
	put_be64(&w, nwid);
	hash256(h, label, be, sizeof(be));
}

/* Locally administered, unicast, and neither 52:... (libvirt and Xen guests) nor 02:...
 * (containers). */
static uint8_t mac_first(uint8_t h)
{
	uint8_t first = (uint8_t)((h & 0xfc) | 0x02);
	if (first == 0x52)
		return 0x32;
	return first == 0x02 ? 0x06 : first;
}

void mac_derive(uint64_t nwid, uint64_t address, uint8_t ret_mac[6])
{
	uint8_t h[32];
	network_hash("fln1 mac", nwid, h);
	ret_mac[0] = mac_first(h[0]);
	for (unsigned i = 1; i < 6; i++)
		ret_mac[i] = h[i] ^ (uint8_t)(address >> (8 * (5 - i)));
}

bool mac_address(uint64_t nwid, const uint8_t mac[6], uint64_t *ret_address)
{
	uint8_t h[32];
	network_hash("fln1 mac", nwid, h);
	if (mac[0] != mac_first(h[0]))
		return false;
	uint64_t address = 0;
	for (unsigned i = 1; i < 6; i++)
		address = address << 8 | (uint64_t)(h[i] ^ mac[i]);
	*ret_address = address;
	return true;
}

void ula_derive(uint64_t nwid, uint64_t address, uint8_t ret_ip[16])
{
	uint8_t h[32];
	network_hash("fln1 ula", nwid, h);
	memset(ret_ip, 0, 16);
	ret_ip[0] = 0xfd;
	memcpy(ret_ip + 1, h, 5);
	ret_ip[8] = 0x02;
	for (unsigned i = 0; i < 5; i++)
		ret_ip[9 + i] = (uint8_t)(address >> (8 * (4 - i)));
}
