/* Theory of operation: secretstream gives each chunk its place (a counter in the nonce) and its tag says whether it is the last, so
 * that cutting and swapping show; what it does not say is how the stream is cut into chunks, and that is fixed: full ones, then one
 * marked as the last. The costs of argon2id stand in the header and come from whoever made the file: they are judged before a byte
 * is allocated for them. The header is associated data of the first chunk, so that no other costs can be claimed for it. */
#include "proto/vault.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#define MAGIC      "farlan-vault\n\x1a"
#define MAGIC_LEN  14
#define VERSION    1
#define AT_VERSION 14
#define AT_PASSES  16
#define AT_MEMORY  20
#define AT_SALT    24
#define AT_STREAM  40

static_assert(sizeof(MAGIC) - 1 == MAGIC_LEN, "the magic fills its place");
static_assert(sizeof(crypto_secretstream_xchacha20poly1305_state) <= sizeof(((struct vault *)0)->state), "the state fits");
static_assert(crypto_secretstream_xchacha20poly1305_ABYTES == VAULT_OVERHEAD, "overhead of a chunk");
static_assert(AT_SALT + crypto_pwhash_argon2id_SALTBYTES == AT_STREAM, "salt");
static_assert(AT_STREAM + crypto_secretstream_xchacha20poly1305_HEADERBYTES == VAULT_HEADER, "header");

static crypto_secretstream_xchacha20poly1305_state *state_of(struct vault *v)
{
	return (crypto_secretstream_xchacha20poly1305_state *)v->state;
}

static void put_u32(uint8_t *at, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static int key_of(const uint8_t header[VAULT_HEADER], const char *passphrase, size_t len,
                  uint8_t ret[crypto_secretstream_xchacha20poly1305_KEYBYTES])
{
	if (len < VAULT_PASS_MIN || len > VAULT_PASS_MAX)
		return -EINVAL;
	return crypto_pwhash(ret, crypto_secretstream_xchacha20poly1305_KEYBYTES, passphrase, len, header + AT_SALT,
	                     get_u32(header + AT_PASSES), (size_t)get_u32(header + AT_MEMORY) * 1024, crypto_pwhash_ALG_ARGON2ID13)
	           ? -ENOMEM
	           : 0;
}

int vault_lock(struct vault *ret, const char *passphrase, size_t len, uint8_t ret_header[VAULT_HEADER])
{
	struct vault v = {0};
	uint8_t key[crypto_secretstream_xchacha20poly1305_KEYBYTES];
	memcpy(v.header, MAGIC, MAGIC_LEN);
	v.header[AT_VERSION] = VERSION;
	put_u32(v.header + AT_PASSES, VAULT_PASSES);
	put_u32(v.header + AT_MEMORY, VAULT_MEMORY_KIB);
	randombytes_buf(v.header + AT_SALT, crypto_pwhash_argon2id_SALTBYTES);
	int r = key_of(v.header, passphrase, len, key);
	if (r)
		return r;
	crypto_secretstream_xchacha20poly1305_init_push(state_of(&v), v.header + AT_STREAM, key);
	sodium_memzero(key, sizeof(key));
	memcpy(ret_header, v.header, VAULT_HEADER);
	*ret = v;
	sodium_memzero(&v, sizeof(v));
	return 0;
}

size_t vault_seal(struct vault *v, const uint8_t *plain, size_t n, bool last, uint8_t *out)
{
	unsigned long long len = 0;
	assert(!v->ended && (n == VAULT_CHUNK || (last && n < VAULT_CHUNK)));
	crypto_secretstream_xchacha20poly1305_push(
	    state_of(v), out, &len, plain, n, v->began ? NULL : v->header, v->began ? 0 : VAULT_HEADER,
	    last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE);
	v->began = true;
	v->ended = last;
	return (size_t)len;
}

int vault_unlock(struct vault *ret, const uint8_t header[VAULT_HEADER], const char *passphrase, size_t len)
{
	struct vault v = {0};
	uint8_t key[crypto_secretstream_xchacha20poly1305_KEYBYTES];
	uint32_t passes = get_u32(header + AT_PASSES), memory = get_u32(header + AT_MEMORY);
	if (memcmp(header, MAGIC, MAGIC_LEN))
		return -EBADMSG;
	if (header[AT_VERSION] != VERSION || header[AT_VERSION + 1])
		return -EPROTO;
	if (passes > VAULT_PASSES_MAX || memory > VAULT_MEMORY_KIB_MAX)
		return -E2BIG;
	/* below what argon2id takes at all: not ours */
	if (passes < crypto_pwhash_argon2id_OPSLIMIT_MIN || memory < crypto_pwhash_argon2id_MEMLIMIT_MIN / 1024)
		return -EBADMSG;
	memcpy(v.header, header, VAULT_HEADER);
	int r = key_of(header, passphrase, len, key);
	if (!r && crypto_secretstream_xchacha20poly1305_init_pull(state_of(&v), header + AT_STREAM, key))
		r = -EBADMSG;
	sodium_memzero(key, sizeof(key));
	if (!r)
		*ret = v;
	sodium_memzero(&v, sizeof(v));
	return r;
}

int vault_open(struct vault *v, const uint8_t *sealed, size_t n, uint8_t *out, size_t *ret_n, bool *ret_last)
{
	unsigned long long len = 0;
	unsigned char tag = 0;
	if (v->ended || n < VAULT_OVERHEAD || n > VAULT_SEALED_MAX)
		return -EBADMSG;
	if (crypto_secretstream_xchacha20poly1305_pull(state_of(v), out, &len, &tag, sealed, n, v->began ? NULL : v->header,
	                                               v->began ? 0 : VAULT_HEADER))
		return -EBADMSG;
	bool last = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
	if (!last && (tag != crypto_secretstream_xchacha20poly1305_TAG_MESSAGE || n != VAULT_SEALED_MAX))
		return -EBADMSG;
	v->began = true;
	v->ended = last;
	*ret_n = (size_t)len;
	*ret_last = last;
	return 0;
}

void vault_fini(struct vault *v)
{
	sodium_memzero(v, sizeof(*v));
}
