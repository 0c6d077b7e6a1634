/* seal_vaes.c: AES-256-GCM by VAES and VPCLMULQDQ on 256-bit registers, for CPUs that have both and no AVX-512.
 *
 * libipsec-mb 1.3, Debian 12's, uses the two only together with AVX-512. Elsewhere it takes one block per instruction, where the CPU
 * could take two: 1400 bytes are sealed in 425 ns by it, in 243 here (test/bench/README.md), and the cipher is the largest part of the
 * data plane's work. When a newer library does this on AVX2 as well and test/bench/seal sees no difference, this file can go.
 *
 * Written from NIST SP 800-38D, FIPS 197 and Gueron and Kounavis, "Intel Carry-Less Multiplication Instruction and its Usage for
 * Computing the GCM Mode". 16 blocks a step, two to a register: eight registers of counters go through AES, and between the rounds 16
 * blocks of ciphertext are hashed: those at hand when opening, those of the step before when sealing. The 16 are multiplied by
 * H^16 .. H^1 and added up, so that they need one reduction, and what is left over goes the same way with the powers that fit.
 *
 * GHASH counts a block's bits from the other end than the multiplier. Here blocks are turned over bytewise, and H carries a factor x
 * that makes up for the one bit by which the product of two turned numbers is off. Nothing branches on or indexes by a secret; lengths
 * are none. No text is read or written outside its bounds: what is no full register is put together from words.
 */
#include "proto/seal_backend.h"

#ifndef __x86_64__

bool seal_vaes_setup(void)
{
	return false;
}

const struct aead *seal_vaes(uint8_t suite)
{
	(void)suite;
	return NULL;
}

#else

#include <assert.h>
#include <cpuid.h>
#include <immintrin.h>
#include <sodium.h>
#include <string.h>

#define VAES   __attribute__((target("aes,pclmul,avx2,vaes,vpclmulqdq")))
#define INLINE static inline VAES __attribute__((always_inline))

#define BLOCK     16
#define PAIR      32 /* blocks of one register, bytes */
#define STEP      (16 * BLOCK)
#define POWERS    18 /* up to 16 blocks left over, the block of lengths, and an even number */
#define ROUNDS    14
#define TEXT_MAX  ((UINT64_C(1) << 36) - 32) /* SP 800-38D, 5.2.1.1 */

/* power[i] = H^(POWERS - i) times x, turned over; sum[i] = its halves added, in both halves. A pair of blocks that are multiplied by
 * H^k and H^(k-1) loads its two factors at once. */
struct schedule {
	_Alignas(SEAL_ALIGN) __m128i power[POWERS];
	__m128i sum[POWERS];
	__m128i round[ROUNDS + 1];
};
_Static_assert(sizeof(struct schedule) <= SEAL_SCHEDULE, "room for the key schedule");

/* A product before its reduction: low, high and middle (Karatsuba) part, one sum for each half of the registers. */
struct sums {
	__m256i low, mid, high;
};

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

/* n < 8. Words as they were written: a header of 12 bytes comes out of the store buffer as 8 and 4. */
INLINE uint64_t word_at(const uint8_t *p, size_t n)
{
	uint64_t x = 0;
	if (n & 1)
		x = p[n - 1];
	if (n & 2)
		x = x << 16 | le16_at(p + (n & 4));
	if (n & 4)
		x = x << 32 | le32_at(p);
	return x;
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
	__m256i h = load((const uint8_t *)&k->power[POWERS - power]), both = load((const uint8_t *)&k->sum[POWERS - power]);
	__m256i added = _mm256_xor_si256(x, _mm256_shuffle_epi32(x, 0x4e));
	s->low = _mm256_xor_si256(s->low, _mm256_clmulepi64_epi128(x, h, 0x00));
	s->high = _mm256_xor_si256(s->high, _mm256_clmulepi64_epi128(x, h, 0x11));
	s->mid = _mm256_xor_si256(s->mid, _mm256_clmulepi64_epi128(added, both, 0x00));
	__asm__("" : "+x"(s->low), "+x"(s->mid), "+x"(s->high)); /* summed up one by one, see FENCE */
}

/* One block by H, as the first summand. */
INLINE struct sums begin(const struct schedule *k, __m128i x)
{
	__m128i h = k->power[POWERS - 1], both = k->sum[POWERS - 1], added = _mm_xor_si128(x, _mm_shuffle_epi32(x, 0x4e));
	return (struct sums){
	    .low = _mm256_zextsi128_si256(_mm_clmulepi64_si128(x, h, 0x00)),
	    .mid = _mm256_zextsi128_si256(_mm_clmulepi64_si128(added, both, 0x00)),
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

/* Eight registers by name: an array would have to be unrolled first. */
#define EACH4(DO) DO(0) DO(1) DO(2) DO(3)
#define EACH8(DO) EACH4(DO) DO(4) DO(5) DO(6) DO(7)
#define COUNT(i)                                                                                                                           \
	__m256i s##i = _mm256_xor_si256(turned2(counter), key);                                                                            \
	counter = _mm256_add_epi32(counter, two);
#define ROUND(i) s##i = _mm256_aesenc_epi128(s##i, key);

/* For the compiler, which else computes all products first, adds them up in an order of its own and spills half of them on the way: that
 * took twice as long. */
#define FENCE    __asm__ volatile("" : "+x"(s0), "+x"(s1), "+x"(s2), "+x"(s3), "+x"(s4), "+x"(s5), "+x"(s6), "+x"(s7) : : "memory")

/* Counters are kept turned over: the 32 bits that count are then the lowest word, and wrap by themselves. */
INLINE __m256i two_blocks(void)
{
	return _mm256_broadcastsi128_si256(_mm_set_epi32(0, 0, 0, 2));
}

/* Ciphers 16 blocks; y takes in the 16 blocks of ciphertext at hash, if hashing. Both units draw on the same pipes of Zen 3: AES alone
 * takes 60 cycles, the hash 64, both like this 110. Tried, gaining 2 % or nothing: other orders, four products for three, counters without
 * the shuffle, the AAD after the first AES. */
INLINE void step(const struct schedule *k, uint8_t *text, const uint8_t *hash, bool hashing, __m256i *at, __m128i *y)
{
	const __m256i two = two_blocks();
	__m256i counter = *at, key = round_key(k, 0);
	struct sums s = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
	EACH8(COUNT)
	*at = counter;
#define AES(r)                                                                                                                             \
	do {                                                                                                                               \
		key = round_key(k, r);                                                                                                     \
		EACH8(ROUND)                                                                                                               \
	} while (0)
#define HASH(i)                                                                                                                            \
	do {                                                                                                                               \
		if (hashing)                                                                                                               \
			absorb(&s, k, 16 - 2 * (i), turned2(load(hash + PAIR * (i))));                                                     \
		FENCE;                                                                                                                     \
	} while (0)
	AES(1);
	HASH(1);
	AES(2);
	HASH(2);
	AES(3);
	AES(4);
	HASH(3);
	AES(5);
	HASH(4);
	AES(6);
	AES(7);
	HASH(5);
	AES(8);
	HASH(6);
	AES(9);
	AES(10);
	HASH(7);
	AES(11);
	/* y is the last to arrive. */
	if (hashing)
		absorb(&s, k, 16, _mm256_xor_si256(turned2(load(hash)), _mm256_zextsi128_si256(*y)));
	FENCE;
	AES(12);
	AES(13);
	FENCE;
#undef AES
#undef HASH
	if (hashing)
		*y = reduce(&s);
	key = round_key(k, ROUNDS);
#define FINISH(i) store(text + PAIR * (i), _mm256_aesenclast_epi128(s##i, _mm256_xor_si256(key, load(text + PAIR * (i)))));
	EACH8(FINISH)
#undef FINISH
}

INLINE __m128i hash_step(const struct schedule *k, const uint8_t *hash, __m128i y)
{
	struct sums s = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
	absorb(&s, k, 16, _mm256_xor_si256(turned2(load(hash)), _mm256_zextsi128_si256(y)));
	for (unsigned i = 1; i < 8; i++)
		absorb(&s, k, 16 - 2 * i, turned2(load(hash + PAIR * i)));
	return reduce(&s);
}

/* Key stream for up to 4 or 8 pairs, and the block that covers the tag: all at once, as one alone would take as long. */
INLINE __m128i stream4(const struct schedule *k, __m128i cover, __m256i counter, __m256i *out)
{
	const __m256i two = two_blocks();
	__m256i key = round_key(k, 0), c = _mm256_xor_si256(_mm256_zextsi128_si256(cover), key);
	EACH4(COUNT)
	for (unsigned r = 1; r < ROUNDS; r++) {
		key = round_key(k, r);
		c = _mm256_aesenc_epi128(c, key);
		EACH4(ROUND)
	}
	key = round_key(k, ROUNDS);
#define FINISH(i) out[i] = _mm256_aesenclast_epi128(s##i, key);
	EACH4(FINISH)
	return _mm256_castsi256_si128(_mm256_aesenclast_epi128(c, key));
}

INLINE __m128i stream8(const struct schedule *k, __m128i cover, __m256i counter, __m256i *out)
{
	const __m256i two = two_blocks();
	__m256i key = round_key(k, 0), c = _mm256_xor_si256(_mm256_zextsi128_si256(cover), key);
	EACH8(COUNT)
	for (unsigned r = 1; r < ROUNDS; r++) {
		key = round_key(k, r);
		c = _mm256_aesenc_epi128(c, key);
		EACH8(ROUND)
	}
	key = round_key(k, ROUNDS);
	EACH8(FINISH)
#undef FINISH
	return _mm256_castsi256_si128(_mm256_aesenclast_epi128(c, key));
}

INLINE __m128i hash_aad(const struct schedule *k, const uint8_t *aad, size_t len)
{
	__m128i y = _mm_setzero_si128();
	for (size_t n; len; aad += n, len -= n) {
		n = len < BLOCK ? len : BLOCK;
		y = times_h(k, _mm_xor_si128(y, turned(block_at(aad, n))));
	}
	return y;
}

/* What is no full step any more, 0 to 255 bytes, then the lengths: the blocks get the powers down to H^2, the lengths H. The right half
 * of a last register that has only a left one is zero, and so is its product with H. pending: the step sealed last, not hashed yet, or
 * NULL. The key stream comes first, as it takes longest to arrive;
 * what it leaves on the stack is worth no more than the text in the slab. Returns the tag. */
INLINE __m128i rest(const struct schedule *k, __m128i cover, __m256i counter, const uint8_t *pending, __m128i y, __m128i lengths,
                    uint8_t *text, size_t len, bool seal)
{
	__m256i stream[8];
	__m128i tag = len <= 4 * PAIR ? stream4(k, cover, counter, stream) : stream8(k, cover, counter, stream);
	unsigned power = (unsigned)((len + BLOCK - 1) / BLOCK) + 1;
	if (pending)
		y = hash_step(k, pending, y);
	if (len == 0)
		lengths = _mm_xor_si128(lengths, y);
	struct sums s = begin(k, lengths);
	__m256i carry = _mm256_zextsi128_si256(y);
	for (unsigned i = 0; len; i++) {
		size_t n = len < PAIR ? len : PAIR;
		__m256i x = pair_at(text, n), out = _mm256_xor_si256(x, stream[i]);
		pair_to(text, n, out);
		absorb(&s, k, power - 2 * i, _mm256_xor_si256(turned2(seal ? first(out, n) : x), carry));
		carry = _mm256_setzero_si256();
		text += n;
		len -= n;
	}
	return _mm_xor_si128(tag, turned(reduce(&s)));
}

INLINE __m128i gcm(const struct schedule *k, const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text, size_t len,
                   bool seal)
{
	assert(len <= TEXT_MAX);
	__m128i y = hash_aad(k, aad, aad_len), lengths = _mm_set_epi64x((int64_t)(aad_len * 8), (int64_t)(len * 8));
	__m128i cover = _mm_set_epi64x((int64_t)(le32_at(nonce + 8) | UINT64_C(1) << 56), (int64_t)le64_at(nonce));
	__m256i counter = _mm256_add_epi32(_mm256_broadcastsi128_si256(turned(cover)), _mm256_set_epi32(0, 0, 0, 2, 0, 0, 0, 1));
	const uint8_t *pending = NULL;
	if (seal && len >= STEP) {
		step(k, text, NULL, false, &counter, &y);
		pending = text;
		text += STEP;
		len -= STEP;
	}
	for (; len >= STEP; text += STEP, len -= STEP) {
		step(k, text, seal ? pending : text, true, &counter, &y);
		pending = seal ? text : NULL;
	}
	return rest(k, cover, counter, pending, y, lengths, text, len, seal);
}

VAES static void encrypt(const uint8_t *schedule, const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text,
                         size_t len, uint8_t tag[DATA_TAG])
{
	_mm_storeu_si128((__m128i *)(void *)tag, gcm(schedule_of(schedule), nonce, aad, aad_len, text, len, true));
}

VAES static bool decrypt(const uint8_t *schedule, const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text,
                         size_t len, const uint8_t tag[DATA_TAG])
{
	uint8_t want[DATA_TAG];
	_mm_storeu_si128((__m128i *)(void *)want, gcm(schedule_of(schedule), nonce, aad, aad_len, text, len, false));
	return crypto_verify_16(want, tag) == 0;
}

/* FIPS 197, 5.2: each word of a round key is the one before it, through the S-box for the first, added to the one eight before. */
INLINE __m128i next_key(__m128i eight_before, __m128i substituted)
{
	__m128i x = _mm_xor_si128(eight_before, _mm_slli_si128(eight_before, 4));
	return _mm_xor_si128(_mm_xor_si128(x, _mm_slli_si128(x, 8)), substituted);
}

INLINE void round_keys(__m128i r[ROUNDS + 1], const uint8_t key[SEAL_KEY])
{
	r[0] = _mm_loadu_si128((const __m128i *)(const void *)key);
	r[1] = _mm_loadu_si128((const __m128i *)(const void *)(key + BLOCK));
#define EVEN(i, rcon) r[i] = next_key(r[(i)-2], _mm_shuffle_epi32(_mm_aeskeygenassist_si128(r[(i)-1], rcon), 0xff));
#define ODD(i)        r[i] = next_key(r[(i)-2], _mm_shuffle_epi32(_mm_aeskeygenassist_si128(r[(i)-1], 0), 0xaa));
	EVEN(2, 0x01)
	ODD(3) EVEN(4, 0x02) ODD(5) EVEN(6, 0x04) ODD(7) EVEN(8, 0x08) ODD(9) EVEN(10, 0x10) ODD(11) EVEN(12, 0x20) ODD(13) EVEN(14, 0x40)
#undef EVEN
#undef ODD
}

/* x times the polynomial x, both turned over: one bit to the left, and what falls out comes back as the modulus. */
INLINE __m128i doubled(__m128i x)
{
	__m128i carries = _mm_srli_epi64(x, 63);
	__m128i fallen = _mm_sub_epi64(_mm_setzero_si128(), _mm_srli_si128(carries, 8)); /* low half all ones or zero */
	__m128i back = _mm_and_si128(_mm_unpacklo_epi64(fallen, fallen), _mm_set_epi64x((int64_t)0xc200000000000000, 1));
	x = _mm_or_si128(_mm_slli_epi64(x, 1), _mm_slli_si128(carries, 8));
	return _mm_xor_si128(x, back);
}

VAES static void expand(uint8_t *schedule, const uint8_t key[SEAL_KEY])
{
	struct schedule *k = (struct schedule *)(void *)schedule;
	round_keys(k->round, key);
	__m128i h = k->round[0];
	for (unsigned r = 1; r < ROUNDS; r++)
		h = _mm_aesenc_si128(h, k->round[r]);
	h = doubled(turned(_mm_aesenclast_si128(h, k->round[ROUNDS])));
	for (unsigned i = POWERS; i--; h = times_h(k, h)) {
		k->power[i] = h;
		k->sum[i] = _mm_xor_si128(h, _mm_shuffle_epi32(h, 0x4e));
	}
}

static const struct aead vaes = {"vaes", expand, encrypt, decrypt, NULL, NULL};
static bool up;

/* clang 14 does not know the name "vaes"; avx2 speaks for the operating system, too. */
static bool cpu_fits(void)
{
	unsigned a, b, c = 0, d;
	__builtin_cpu_init();
#ifdef WITH_IPSECMB /* which is as good with AVX-512 */
	if (__builtin_cpu_supports("avx512f"))
		return false;
#endif
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul") &&
	       __builtin_cpu_supports("vpclmulqdq") && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & bit_VAES);
}

bool seal_vaes_setup(void)
{
	up = cpu_fits() && seal_proved(&vaes, SUITE_AES256_GCM);
	return up;
}

const struct aead *seal_vaes(uint8_t suite)
{
	return up && suite == SUITE_AES256_GCM ? &vaes : NULL;
}

#endif
