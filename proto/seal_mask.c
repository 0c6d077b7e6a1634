/* seal_mask.c: the masks of packet numbers, SipHash-2-4 of their tags (PROTOCOL.md, DATA packet), many at a time.
 *
 * One SipHash is a chain in which every operation waits for the one before it: 20 ns by libsodium, of which the CPU is busy for a
 * quarter. Tags of a run are hashed side by side instead, one to each quarter of a 256-bit register (AVX2) and two registers at once, 5 ns each. Whether
 * that gives libsodium's masks is tried at setup; elsewhere, and for a tag or two, libsodium does it.
 *
 * Written from Aumasson and Bernstein, "SipHash: a fast short-input PRF". A tag is two words, so there are three to compress, the last
 * of which is the length alone. Nothing branches on or indexes by key or tag.
 */
#include <sodium.h>

#include "proto/seal_backend.h"

_Static_assert(DATA_TAG == 16 && crypto_shorthash_BYTES == 8 && crypto_shorthash_KEYBYTES == SEAL_MASK_KEY, "two words in, one out");

static void by_sodium(const uint8_t *key, const uint8_t **tags, uint64_t *ret_masks, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint8_t mask[8];
		crypto_shorthash(mask, tags[i], DATA_TAG, key);
		ret_masks[i] = le64_at(mask);
	}
}

#ifdef __x86_64__

#include <immintrin.h>

#define AVX2    __attribute__((target("avx2")))
#define INLINE  static inline AVX2 __attribute__((always_inline))
#define ABREAST 8
#define FEW     2 /* not faster than one after the other */

struct state {
	__m256i v0, v1, v2, v3;
};

#define TURN(x, n) _mm256_or_si256(_mm256_slli_epi64(x, n), _mm256_srli_epi64(x, 64 - (n)))

INLINE void add_turn(__m256i *a, __m256i *b, __m256i turned)
{
	*a = _mm256_add_epi64(*a, *b);
	*b = _mm256_xor_si256(turned, *a);
}

/* Turns by 16 and 32 bits move whole bytes. */
INLINE void sip_round(struct state *s)
{
	const __m256i by16 = _mm256_broadcastsi128_si256(_mm_set_epi8(13, 12, 11, 10, 9, 8, 15, 14, 5, 4, 3, 2, 1, 0, 7, 6));
	add_turn(&s->v0, &s->v1, TURN(s->v1, 13));
	add_turn(&s->v2, &s->v3, _mm256_shuffle_epi8(s->v3, by16));
	s->v0 = _mm256_shuffle_epi32(s->v0, 0xb1);
	add_turn(&s->v0, &s->v3, TURN(s->v3, 21));
	add_turn(&s->v2, &s->v1, TURN(s->v1, 17));
	s->v2 = _mm256_shuffle_epi32(s->v2, 0xb1);
}

/* Two registers, so that the one fills the waits of the other. */
INLINE void compress(struct state s[2], const __m256i word[2])
{
	for (unsigned i = 0; i < 2; i++)
		s[i].v3 = _mm256_xor_si256(s[i].v3, word[i]);
	for (unsigned r = 0; r < 2; r++) {
		sip_round(&s[0]);
		sip_round(&s[1]);
	}
	for (unsigned i = 0; i < 2; i++)
		s[i].v0 = _mm256_xor_si256(s[i].v0, word[i]);
}

INLINE __m256i words(uint64_t x)
{
	return _mm256_set1_epi64x((int64_t)x);
}

INLINE __m256i two_tags(const uint8_t *left, const uint8_t *right)
{
	return _mm256_set_m128i(_mm_loadu_si128((const __m128i *)(const void *)right),
	                        _mm_loadu_si128((const __m128i *)(const void *)left));
}

AVX2 static void abreast(const uint8_t *key, const uint8_t **tags, uint64_t ret_masks[ABREAST])
{
	uint64_t k0 = le64_at(key), k1 = le64_at(key + 8);
	struct state one = {words(k0 ^ 0x736f6d6570736575), words(k1 ^ 0x646f72616e646f6d), words(k0 ^ 0x6c7967656e657261),
	                    words(k1 ^ 0x7465646279746573)};
	struct state s[2] = {one, one};
	__m256i low[2], high[2], length[2];
	for (unsigned i = 0; i < 2; i++) {
		__m256i even = two_tags(tags[4 * i], tags[4 * i + 2]), odd = two_tags(tags[4 * i + 1], tags[4 * i + 3]);
		low[i] = _mm256_unpacklo_epi64(even, odd);
		high[i] = _mm256_unpackhi_epi64(even, odd);
		length[i] = words((uint64_t)DATA_TAG << 56);
	}
	compress(s, low);
	compress(s, high);
	compress(s, length);
	for (unsigned i = 0; i < 2; i++)
		s[i].v2 = _mm256_xor_si256(s[i].v2, words(0xff));
	for (unsigned r = 0; r < 4; r++) {
		sip_round(&s[0]);
		sip_round(&s[1]);
	}
	for (unsigned i = 0; i < 2; i++) {
		__m256i mask = _mm256_xor_si256(_mm256_xor_si256(s[i].v0, s[i].v1), _mm256_xor_si256(s[i].v2, s[i].v3));
		_mm256_storeu_si256((__m256i *)(void *)(ret_masks + 4 * i), mask);
	}
}

static bool wide;

/* What is no full eight is filled up with one that is there. */
void seal_masks(const uint8_t key[SEAL_MASK_KEY], const uint8_t **tags, uint64_t *ret_masks, unsigned n)
{
	for (; wide && n >= ABREAST; tags += ABREAST, ret_masks += ABREAST, n -= ABREAST)
		abreast(key, tags, ret_masks);
	if (!wide || n <= FEW) {
		by_sodium(key, tags, ret_masks, n);
		return;
	}
	const uint8_t *at[ABREAST];
	uint64_t masks[ABREAST];
	for (unsigned i = 0; i < ABREAST; i++)
		at[i] = tags[i < n ? i : 0];
	abreast(key, at, masks);
	for (unsigned i = 0; i < n; i++)
		ret_masks[i] = masks[i];
}

bool seal_mask_setup(void)
{
	uint8_t key[SEAL_MASK_KEY], tag[ABREAST][DATA_TAG];
	const uint8_t *tags[ABREAST];
	uint64_t mine[ABREAST], book[ABREAST];
	__builtin_cpu_init();
	wide = __builtin_cpu_supports("avx2");
	for (unsigned round = 0; wide && round < 16; round++) {
		for (unsigned i = 0; i < sizeof(key); i++)
			key[i] = (uint8_t)(i * 29 + round * 113);
		for (unsigned i = 0; i < ABREAST; i++) {
			for (unsigned j = 0; j < DATA_TAG; j++)
				tag[i][j] = (uint8_t)(i * 83 + j * 151 + round * 7);
			tags[i] = tag[i];
		}
		abreast(key, tags, mine);
		by_sodium(key, tags, book, ABREAST);
		for (unsigned i = 0; i < ABREAST; i++)
			wide = wide && mine[i] == book[i];
	}
	return wide;
}

#else

void seal_masks(const uint8_t key[SEAL_MASK_KEY], const uint8_t **tags, uint64_t *ret_masks, unsigned n)
{
	by_sodium(key, tags, ret_masks, n);
}

bool seal_mask_setup(void)
{
	return false;
}

#endif
