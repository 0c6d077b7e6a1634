/* seal.c: DATA packets, sealed and opened by runs (PROTOCOL.md, DATA packet).
 *
 * One direction's 32-byte key gives three: AEAD key, IV and counter mask key. The nonce is the IV xor (lane, number); the AAD is the clear
 * header, index and number. Only after the tag is known can the number be masked, with a SipHash of the tag, and the opener goes the other
 * way round. The AEADs themselves are the backends' (seal_vaes.c, seal_avx2.c, seal_ipsecmb.c, seal_sodium.c): which one is settled at seal_init, with its key
 * schedule, so that a run finds both at hand. Everything is in place.
 */
#include "proto/seal.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "proto/seal_backend.h"

_Static_assert(sizeof(((struct seal *)0)->schedule) == SEAL_SCHEDULE, "what a backend may fill");
_Static_assert(offsetof(struct seal, schedule) % SEAL_ALIGN == 0 && _Alignof(struct seal) == SEAL_ALIGN, "and as it wants it");

#define SUITES (SUITE_CHACHA20_POLY1305 + 1)

/* Written by seal_setup and seal_force_backend, before there are threads. */
static const struct aead *chosen[SUITES];

/* From fast to slow (test/bench/seal.c), whoever is there: vaes and avx2 have one suite each, ipsec-mb may have two, libsodium fills what is left. */
static const struct {
	const char *name;
	const struct aead *(*find)(uint8_t suite);
} backends[] = {{"vaes", seal_vaes}, {"avx2", seal_avx2}, {"ipsec-mb", seal_ipsecmb}, {"libsodium", seal_sodium}};
#define BACKENDS (sizeof(backends) / sizeof(backends[0]))

static void choose(size_t from)
{
	for (uint8_t suite = 0; suite < SUITES; suite++) {
		chosen[suite] = NULL;
		for (size_t i = from; i < BACKENDS && !chosen[suite]; i++)
			chosen[suite] = backends[i].find(suite);
	}
}

int seal_setup(void)
{
	static bool done; /* a second call must not undo what was forced between */
	if (done)
		return 0;
	if (!seal_sodium_setup())
		return -1;
	(void)seal_mask_setup();
	seal_ipsecmb_setup();
	seal_vaes_setup();
	seal_avx2_setup();
	choose(0);
	done = true;
	return 0;
}

/* Forcing one skips those before it. */
bool seal_force_backend(const char *name)
{
	size_t from = 0;
	if (strcmp(name, "auto") != 0) {
		while (from < BACKENDS && strcmp(name, backends[from].name) != 0)
			from++;
		if (from == BACKENDS || (!backends[from].find(SUITE_AES256_GCM) && !backends[from].find(SUITE_CHACHA20_POLY1305)))
			return false;
	}
	choose(from);
	return true;
}

static const struct aead *aead_of(uint8_t suite)
{
	return suite < SUITES ? chosen[suite] : NULL;
}

bool seal_has_aes(void)
{
	return aead_of(SUITE_AES256_GCM);
}

const char *seal_backend(uint8_t suite)
{
	const struct aead *a = aead_of(suite);
	return a ? a->backend : "none";
}

static void kdf(uint8_t *out, size_t len, uint64_t id, const uint8_t key[32])
{
	crypto_kdf_blake2b_derive_from_key(out, len, id, "fln1data", key);
}

bool seal_init(struct seal *s, uint8_t suite, const uint8_t key[32])
{
	const struct aead *a = aead_of(suite);
	if (!a)
		return false;
	uint8_t aead[32], iv[16];
	kdf(aead, sizeof(aead), 1, key);
	kdf(iv, sizeof(iv), 2, key);
	kdf(s->hp, sizeof(s->hp), 3, key);
	memcpy(s->iv, iv, sizeof(s->iv));
	s->suite = suite;
	s->aead = a;
	memset(s->schedule, 0, sizeof(s->schedule));
	a->expand(s->schedule, aead);
	sodium_memzero(aead, sizeof(aead));
	sodium_memzero(iv, sizeof(iv));
	return true;
}

void seal_fini(struct seal *s)
{
	sodium_memzero(s, sizeof(*s));
}

/* Twelve bytes as one word of eight and one of four, the way the backends load them: a load that begins in one recent store and ends in
 * another waits for both to reach the cache; for nonce and AAD that was about 10 ns per packet. */
static inline void put12(uint8_t at[12], uint64_t head, uint32_t tail)
{
	le64_to(at, head);
	le32_to(at + 8, tail);
}

static inline void aad_put(uint8_t at[DATA_HEADER], uint32_t idx, uint64_t pn)
{
	put12(at, idx | pn << 32, (uint32_t)(pn >> 32));
}

static inline void nonce_put(const struct seal *s, uint32_t lane, uint64_t pn, uint8_t nonce[SEAL_NONCE])
{
	uint64_t low = le64_at(s->iv + 4) ^ __builtin_bswap64(pn);
	put12(nonce, (le32_at(s->iv) ^ lane << 24) | low << 32, (uint32_t)(low >> 32));
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "nonce_put swaps to big endian");

/* The clear header, which is the AAD, the text and the place of the tag. Word by word and in place: as a value it would be copied by registers of 16
 * bytes, each across two stores that were just made, and wait for them, 17 ns per packet. */
static inline void piece_put(struct piece *to, const struct packet *p, const uint8_t *aad, size_t len)
{
	uint8_t *text = p->data + DATA_HEADER;
	to->aad = aad;
	to->aad_len = DATA_HEADER;
	to->text = text;
	to->len = len;
	to->tag = text + len;
	to->good = false;
}

static void encrypt_run(const struct seal *s, uint32_t lane, uint64_t pn, const struct packet *run, unsigned n)
{
	struct piece pieces[BATCH_MAX];
	for (unsigned i = 0; i < n; i++) {
		piece_put(&pieces[i], &run[i], run[i].data, run[i].len - DATA_HEADER);
		nonce_put(s, lane, pn + i, pieces[i].nonce);
	}
	s->aead->encrypt_run(s->schedule, pieces, n);
}

/* h = clear header = AAD, then text, then tag. */
void seal_batch(const struct seal *s, uint32_t idx, uint64_t pn, struct packet *run, unsigned n)
{
	const struct aead *aead = s->aead;
	const uint8_t *tags[BATCH_MAX];
	uint64_t masks[BATCH_MAX];
	assert(aead && n <= BATCH_MAX);
	for (unsigned i = 0; i < n; i++) {
		struct packet *p = &run[i];
		assert(p->len >= DATA_HEADER + INNER_HEADER && p->room >= p->len && p->room - p->len >= DATA_TAG);
		uint8_t *h = p->data, nonce[SEAL_NONCE];
		aad_put(h, idx, pn + i);
		tags[i] = h + p->len;
		if (aead->encrypt_run)
			continue;
		nonce_put(s, idx & LANE_MASK, pn + i, nonce);
		aead->encrypt(s->schedule, nonce, h, DATA_HEADER, h + DATA_HEADER, p->len - DATA_HEADER, h + p->len);
	}
	if (aead->encrypt_run)
		encrypt_run(s, idx & LANE_MASK, pn, run, n);
	seal_masks(s->hp, tags, masks, n);
	for (unsigned i = 0; i < n; i++) {
		le64_to(run[i].data + 4, (pn + i) ^ masks[i]);
		run[i].len += DATA_TAG;
	}
}

uint64_t seal_unmask(const struct seal *s, const uint8_t *datagram, uint32_t len)
{
	const uint8_t *tag = datagram + len - DATA_TAG;
	uint64_t mask;
	seal_masks(s->hp, &tag, &mask, 1);
	return le64_at(datagram + 4) ^ mask;
}

void seal_unmask_batch(const struct seal *s, struct packet *run, unsigned n)
{
	const uint8_t *tags[BATCH_MAX];
	uint64_t masks[BATCH_MAX];
	assert(n <= BATCH_MAX);
	for (unsigned i = 0; i < n; i++)
		tags[i] = run[i].data + run[i].len - DATA_TAG;
	seal_masks(s->hp, tags, masks, n);
	for (unsigned i = 0; i < n; i++)
		run[i].pn = le64_at(run[i].data + 4) ^ masks[i];
}

/* What a backend may have written before it knew better must not be found in the slab later. */
static void refuse(struct packet *p)
{
	memset(p->data + DATA_HEADER, 0, p->len - DATA_HEADER);
	p->verdict = DROP_AEAD;
}

static void opened(struct packet *p)
{
	p->data += DATA_HEADER;
	p->len -= DATA_HEADER + DATA_TAG;
	p->room -= DATA_HEADER;
}

/* Those that are to be tried. */
static void decrypt_run(const struct seal *s, struct packet *const *packets, unsigned n)
{
	struct piece pieces[BATCH_MAX];
	uint8_t aads[BATCH_MAX][DATA_HEADER];
	for (unsigned i = 0; i < n; i++) {
		const struct packet *p = packets[i];
		aad_put(aads[i], p->idx, p->pn);
		piece_put(&pieces[i], p, aads[i], p->len - DATA_HEADER - DATA_TAG);
		nonce_put(s, p->idx & LANE_MASK, p->pn, pieces[i].nonce);
	}
	s->aead->decrypt_run(s->schedule, pieces, n);
	for (unsigned i = 0; i < n; i++)
		if (pieces[i].good)
			opened(packets[i]);
		else
			refuse(packets[i]);
}

void open_batch(const struct seal *s, struct packet *run, unsigned n)
{
	const struct aead *aead = s->aead;
	struct packet *tried[BATCH_MAX];
	unsigned many = 0;
	assert(aead && n <= BATCH_MAX);
	for (unsigned i = 0; i < n; i++) {
		struct packet *p = &run[i];
		if (p->verdict != DROP_NONE)
			continue;
		if (p->len < DATA_OVERHEAD) {
			p->verdict = DROP_SHORT;
			continue;
		}
		if (aead->decrypt_run) {
			tried[many++] = p;
			continue;
		}
		uint8_t *text = p->data + DATA_HEADER, aad[DATA_HEADER], nonce[SEAL_NONCE];
		size_t len = p->len - DATA_HEADER - DATA_TAG;
		aad_put(aad, p->idx, p->pn);
		nonce_put(s, p->idx & LANE_MASK, p->pn, nonce);
		if (aead->decrypt(s->schedule, nonce, aad, DATA_HEADER, text, len, text + len))
			opened(p);
		else
			refuse(p);
	}
	if (many)
		decrypt_run(s, tried, many);
}
