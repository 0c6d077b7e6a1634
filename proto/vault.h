/* vault.h: a stream of bytes behind a passphrase: argon2id, then chunks of secretstream (XChaCha20-Poly1305).
 *
 * Pure but for the memory of argon2id, which vault_lock() and vault_unlock() take for about 200 ms: never on a control thread.
 * A vault is its header and then chunks: all but the last carry VAULT_CHUNK bytes, the last fewer or as many and says that it
 * is the last. Whatever is cut, swapped, changed or appended does not open. Header: "farlan-vault\n" ‖ 0x1a ‖ u16le version ‖
 * u32le passes ‖ u32le memory in KiB ‖ salt 16 ‖ secretstream header 24; it is bound to the first chunk as associated data.
 */
#ifndef FARLAN_PROTO_VAULT_H
#define FARLAN_PROTO_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VAULT_HEADER     64
#define VAULT_CHUNK      65536
#define VAULT_OVERHEAD   17
#define VAULT_SEALED_MAX (VAULT_CHUNK + VAULT_OVERHEAD)
#define VAULT_PASS_MIN   8
#define VAULT_PASS_MAX   1024
/* What a stranger's file may ask of us: four times the memory and the passes of our own. */
#define VAULT_MEMORY_KIB     65536
#define VAULT_MEMORY_KIB_MAX 262144
#define VAULT_PASSES         3
#define VAULT_PASSES_MAX     12

struct vault {
	_Alignas(16) uint8_t state[64]; /* of secretstream */
	uint8_t header[VAULT_HEADER];
	bool began, ended;
};

/* A new vault with a salt of its own. 0, -EINVAL (length of the passphrase) or -ENOMEM. End with vault_fini(). */
int vault_lock(struct vault *, const char *passphrase, size_t len, uint8_t ret_header[VAULT_HEADER]);
/* n <= VAULT_CHUNK, and exactly that unless last. Writes n + VAULT_OVERHEAD bytes; returns how many. */
size_t vault_seal(struct vault *, const uint8_t *plain, size_t n, bool last, uint8_t *out);

/* 0, -EBADMSG (no vault), -EPROTO (a later version), -E2BIG (asks for more work than we allow; nothing was allocated), -EINVAL
 * (length of the passphrase) or -ENOMEM. Whether the passphrase is right shows at the first chunk. */
int vault_unlock(struct vault *, const uint8_t header[VAULT_HEADER], const char *passphrase, size_t len);
/* n = VAULT_SEALED_MAX, or less at the end of the stream. 0 with *ret_n bytes in out, or -EBADMSG: wrong passphrase or damaged. */
int vault_open(struct vault *, const uint8_t *sealed, size_t n, uint8_t *out, size_t *ret_n, bool *ret_last);
void vault_fini(struct vault *);

#endif
