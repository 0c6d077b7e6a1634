/* seal_vaes_ghash.h: the words and the multiplications of seal_vaes.c; for it alone.
 *
 * GHASH counts a block's bits from the other end than the multiplier. Here blocks are turned over bytewise, and H carries a factor x
 * that makes up for the one bit by which the product of two turned numbers is off. Products are summed up before they are reduced, each
 * block by a power of H of its own.
 */
#ifndef FARLAN_PROTO_SEAL_VAES_GHASH_H
#define FARLAN_PROTO_SEAL_VAES_GHASH_H

#include <immintrin.h>

#include "proto/seal_backend.h"

#define VAES   __attribute__((target("aes,pclmul,avx2,vaes,vpclmulqdq")))
#define INLINE static inline VAES __attribute__((always_inline))

#define BLOCK    16
#define PAIR     32 /* blocks of one register, bytes */
#define STEP     (16 * BLOCK)
#define POWERS   96 /* even; a step of text more than the largest datagrams of an Ethernet have: one reduction serves them */
#define ROUNDS   14
#define TEXT_MAX ((UINT64_C(1) << 36) - 32) /* SP 800-38D, 5.2.1.1 */

/* power[i] = H^(POWERS - i) times x, turned over; mid[i] = the sum of its halves, and that of the power two below. Pairs of blocks that are
 * multiplied by H^k, H^(k-1) and H^(k-2), H^(k-3) load their factors by three words. */
struct schedule {
	_Alignas(SEAL_ALIGN) __m128i round[ROUNDS + 1];
	__m128i power[POWERS];
	__m128i mid[POWERS + 1];
};
_Static_assert(sizeof(struct schedule) <= SEAL_SCHEDULE, "room for the key schedule");

/* A product before its reduction: low, high and middle (Karatsuba) part, one sum for each half of the registers. */
struct sums {
	__m256i low, mid, high;
};

INLINE __m256i no_pair(void)
{
	return _mm256_setzero_si256();
}

INLINE struct sums no_sums(void)
{
	return (struct sums){no_pair(), no_pair(), no_pair()};
}

/* Keeps what stands here in its place among others so marked: the order is what the compilers do not get right, see step(). */
#define PIN(x) __asm__ volatile("" : "+x"(x))

static const struct schedule *schedule_of(const uint8_t *schedule)
{
	return (const struct schedule *)(const void *)schedule;
}

INLINE __m128i turned(__m128i x)
{
	return _mm_shuffle_epi8(x, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

INLINE __m256i turned2(__m256i x)
{
	return _mm256_shuffle_epi8(x, _mm256_broadcastsi128_si256(_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)));
}

INLINE __m256i load(const uint8_t *at)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

INLINE void store(uint8_t *at, __m256i x)
{
	_mm256_storeu_si256((__m256i *)(void *)at, x);
}

INLINE void word_to(uint8_t *p, size_t n, uint64_t x)
{
	if (n & 4) {
		le32_to(p, (uint32_t)x);
		p += 4;
		x >>= 32;
	}
	if (n & 2) {
		le16_to(p, (uint16_t)x);
		p += 2;
		x >>= 16;
	}
	if (n & 1)
		*p = (uint8_t)x;
}

/* n <= 16 bytes, zeros behind them. */
INLINE __m128i block_at(const uint8_t *p, size_t n)
{
	if (n == BLOCK)
		return _mm_loadu_si128((const __m128i *)(const void *)p);
	if (n < 8)
		return _mm_set_epi64x(0, (int64_t)word_at(p, n));
	return _mm_set_epi64x((int64_t)word_at(p + 8, n - 8), (int64_t)le64_at(p));
}

INLINE void block_to(uint8_t *p, size_t n, __m128i x)
{
	uint64_t low = (uint64_t)_mm_cvtsi128_si64(x);
	if (n == BLOCK) {
		_mm_storeu_si128((__m128i *)(void *)p, x);
	} else if (n < 8) {
		word_to(p, n, low);
	} else {
		le64_to(p, low);
		word_to(p + 8, n - 8, (uint64_t)_mm_extract_epi64(x, 1));
	}
}

/* n <= 32. */
INLINE __m256i pair_at(const uint8_t *p, size_t n)
{
	if (n == PAIR)
		return load(p);
	if (n <= BLOCK)
		return _mm256_zextsi128_si256(block_at(p, n));
	return _mm256_set_m128i(block_at(p + BLOCK, n - BLOCK), block_at(p, BLOCK));
}

INLINE void pair_to(uint8_t *p, size_t n, __m256i x)
{
	if (n == PAIR) {
		store(p, x);
	} else if (n <= BLOCK) {
		block_to(p, n, _mm256_castsi256_si128(x));
	} else {
		block_to(p, BLOCK, _mm256_castsi256_si128(x));
		block_to(p + BLOCK, n - BLOCK, _mm256_extracti128_si256(x, 1));
	}
}

/* The first n bytes of x, zeros behind them. */
INLINE __m256i first(__m256i x, size_t n)
{
	const __m256i place = _mm256_set_epi8(31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8,
	                                      7, 6, 5, 4, 3, 2, 1, 0);
	return _mm256_and_si256(x, _mm256_cmpgt_epi8(_mm256_set1_epi8((char)n), place));
}

/* x: two turned blocks, the left by H^power, the right by H^(power-1). */
INLINE void absorb(struct sums *s, const struct schedule *k, unsigned power, __m256i x)
{
	__m256i h = load((const uint8_t *)&k->power[POWERS - power]), m = load((const uint8_t *)&k->mid[POWERS - power]);
	__m256i added = _mm256_xor_si256(x, _mm256_shuffle_epi32(x, 0x4e));
	s->low = _mm256_xor_si256(s->low, _mm256_clmulepi64_epi128(x, h, 0x00));
	s->high = _mm256_xor_si256(s->high, _mm256_clmulepi64_epi128(x, h, 0x11));
	s->mid = _mm256_xor_si256(s->mid, _mm256_clmulepi64_epi128(added, m, 0x00));
	PIN(s->low);
	PIN(s->mid);
	PIN(s->high);
}

/* One block by H, as the first summand. */
INLINE struct sums begin(const struct schedule *k, __m128i x)
{
	__m128i h = k->power[POWERS - 1], m = k->mid[POWERS - 1], added = _mm_xor_si128(x, _mm_shuffle_epi32(x, 0x4e));
	return (struct sums){
	    .low = _mm256_zextsi128_si256(_mm_clmulepi64_si128(x, h, 0x00)),
	    .mid = _mm256_zextsi128_si256(_mm_clmulepi64_si128(added, m, 0x00)),
	    .high = _mm256_zextsi128_si256(_mm_clmulepi64_si128(x, h, 0x11)),
	};
}

INLINE __m128i halves(__m256i x)
{
	return _mm_xor_si128(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
}

/* The modulus, turned over, is x^128 + c x^64 + 1: adding it times the lowest 64 bits makes these zero, and what was above moves down by
 * 64. Twice, and the low half is gone. */
INLINE __m128i reduce(const struct sums *s)
{
	const __m128i c = _mm_set_epi64x(0, (int64_t)0xc200000000000000);
	__m128i low = halves(s->low), high = halves(s->high), mid = _mm_xor_si128(halves(s->mid), _mm_xor_si128(low, high));
	low = _mm_xor_si128(low, _mm_slli_si128(mid, 8));
	high = _mm_xor_si128(high, _mm_srli_si128(mid, 8));
	low = _mm_xor_si128(_mm_shuffle_epi32(low, 0x4e), _mm_clmulepi64_si128(low, c, 0x00));
	low = _mm_xor_si128(_mm_shuffle_epi32(low, 0x4e), _mm_clmulepi64_si128(low, c, 0x00));
	return _mm_xor_si128(low, high);
}

INLINE __m128i times_h(const struct schedule *k, __m128i x)
{
	struct sums s = begin(k, x);
	return reduce(&s);
}

INLINE __m256i round_key(const struct schedule *k, unsigned i)
{
	return _mm256_broadcastsi128_si256(k->round[i]);
}

#endif
