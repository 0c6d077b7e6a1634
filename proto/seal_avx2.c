/* seal_avx2.c: ChaCha20-Poly1305 (RFC 8439) on 256-bit registers, for CPUs with AVX2 and BMI2.
 *
 * ChaCha20 makes eight blocks at once: each register holds one word of the state for all eight, and at the end they are turned into rows.
 * The block of counter 0, Poly1305's key, is the first of the first eight; a short text gets two or four blocks from registers that hold
 * whole rows, which takes as long as one block alone.
 *
 * The vector units are busy with that for 500 cycles, the integer units have nothing to do, and Poly1305 on 64-bit words takes 16 cycles
 * for 16 bytes, nearly all of them waiting for products. So both run at once, by turns in the source: while one key stream is made, the text
 * of the one before is authenticated, be it of the same packet or of the one before it in the run. It costs a tenth more than ChaCha20
 * alone. What is opened is deciphered after it has been authenticated, and so waits for one key stream, too.
 *
 * Nothing branches on or indexes by a secret; lengths are none. No text is read or written outside its bounds.
 */
#include "proto/seal_backend.h"

#ifndef __x86_64__

bool seal_avx2_setup(void)
{
	return false;
}

const struct aead *seal_avx2(uint8_t suite)
{
	(void)suite;
	return NULL;
}

#else

#include <assert.h>
#include <immintrin.h>
#include <sodium.h>
#include <string.h>

#define AVX2   __attribute__((target("avx2,bmi2")))
#define INLINE static inline AVX2 __attribute__((always_inline))

#define BLOCK    64
#define STEP     (8 * BLOCK)
#define PART     16                         /* of Poly1305 */
#define TEXT_MAX ((UINT64_C(1) << 38) - 64) /* RFC 8439, 2.8 */

/* ChaCha20's input, row by row (2.3): constants, key, key, counter and nonce. The last row is written and read by eight bytes: one load
 * across two recent stores waits until all that came before has retired, and that would be the text before. */
struct input {
	_Alignas(16) uint32_t word[16];
};

/* h < 2^130 + 2^64 in words of 64 bits, modulo 2^130 - 5. fold: r1 * 5 / 4, what r1 times 2^128 comes down to, as r1 divides by 4. */
struct poly {
	uint64_t h0, h1, h2, r0, r1, fold, s0, s1;
};

/* What has been made (key stream) or sealed, and is authenticated while the next key stream is made. */
struct pending {
	struct poly h;
	uint8_t *text;
	size_t n;
	const uint8_t *stream;
	struct piece *ends; /* here, or NULL */
};

INLINE __m256i load(const uint8_t *at)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

INLINE void store(uint8_t *at, __m256i x)
{
	_mm256_storeu_si256((__m256i *)(void *)at, x);
}

/* h = (h + part + 2^128) * r, for 16 bytes. By hand, since gcc 12 takes 27 cycles for the same in C, by way of the stack. h2 is at most 6
 * when it is multiplied, r0 and r1 have 60 bits (2.5), fold a quarter more: so sums of two products fit in 126, and those with h2 in 63. */
INLINE void absorb(struct poly *p, const uint8_t *part)
{
	uint64_t t0, t1, t2, t3, a, b;
	__asm__("add %[low], %[h0]\n\t"
	        "adc %[high], %[h1]\n\t"
	        "adc $1, %[h2]\n\t"
	        "mov %[h0], %%rdx\n\t"
	        "mulx %[r0], %[t0], %[t1]\n\t"
	        "mulx %[r1], %[t2], %[t3]\n\t"
	        "mov %[h1], %%rdx\n\t"
	        "mulx %[fold], %[a], %[b]\n\t"
	        "mulx %[r0], %[h0], %[h1]\n\t"
	        "mov %[h2], %%rdx\n\t"
	        "imul %[r0], %[h2]\n\t"
	        "imul %[fold], %%rdx\n\t"
	        "add %[a], %[t0]\n\t"
	        "adc %[b], %[t1]\n\t"
	        "add %[h0], %[t2]\n\t"
	        "adc %[h1], %[t3]\n\t"
	        "add %%rdx, %[t1]\n\t"
	        "add %[t1], %[t2]\n\t"
	        "adc %[t3], %[h2]\n\t"
	        /* What is above 2^130 comes back five times: four times where it stands, once from the bottom. */
	        "mov %[h2], %[a]\n\t"
	        "mov %[h2], %[b]\n\t"
	        "shr $2, %[a]\n\t"
	        "and $-4, %[b]\n\t"
	        "and $3, %[h2]\n\t"
	        "add %[b], %[a]\n\t"
	        "mov %[t0], %[h0]\n\t"
	        "mov %[t2], %[h1]\n\t"
	        "add %[a], %[h0]\n\t"
	        "adc $0, %[h1]\n\t"
	        "adc $0, %[h2]\n\t"
	        : [h0] "+&r"(p->h0), [h1] "+&r"(p->h1), [h2] "+&r"(p->h2), [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2), [t3] "=&r"(t3),
	          [a] "=&r"(a), [b] "=&r"(b)
	        : [low] "m"(*(const uint8_t(*)[8])part), [high] "m"(*(const uint8_t(*)[8])(part + 8)), [r0] "rm"(p->r0), [r1] "rm"(p->r1),
	          [fold] "rm"(p->fold)
	        : "rdx", "cc");
}

/* n bytes and zeros to the next multiple of 16. */
INLINE void absorb_padded(struct poly *p, const uint8_t *at, size_t n)
{
	for (; n >= PART; at += PART, n -= PART)
		absorb(p, at);
	if (n == 0)
		return;
	uint8_t part[PART];
	le64_to(part, n < 8 ? word_at(at, n) : le64_at(at));
	le64_to(part + 8, n < 8 ? 0 : word_at(at + 8, n - 8));
	absorb(p, part);
}

/* 2.5: r is clamped. */
INLINE void poly_begin(struct poly *p, const uint8_t key[32])
{
	p->h0 = p->h1 = p->h2 = 0;
	p->r0 = le64_at(key) & UINT64_C(0x0ffffffc0fffffff);
	p->r1 = le64_at(key + 8) & UINT64_C(0x0ffffffc0ffffffc);
	p->fold = p->r1 + (p->r1 >> 2);
	p->s0 = le64_at(key + 16);
	p->s1 = le64_at(key + 24);
}

/* h modulo 2^130 - 5, plus s. h + 5 passes 2^130 if h is not below the modulus. */
INLINE __m128i poly_end(const struct poly *p)
{
	unsigned long long h0, h1, g0, g1;
	unsigned char c = _addcarry_u64(0, p->h0, 5, &g0);
	c = _addcarry_u64(c, p->h1, 0, &g1);
	uint64_t over = 0 - ((p->h2 + c) >> 2 & 1), keep = ~over;
	c = _addcarry_u64(0, (p->h0 & keep) | (g0 & over), p->s0, &h0);
	_addcarry_u64(c, (p->h1 & keep) | (g1 & over), p->s1, &h1);
	return _mm_set_epi64x((int64_t)h1, (int64_t)h0);
}

#define ROT16 _mm256_broadcastsi128_si256(_mm_set_epi8(13, 12, 15, 14, 9, 8, 11, 10, 5, 4, 7, 6, 1, 0, 3, 2))
#define ROT8  _mm256_broadcastsi128_si256(_mm_set_epi8(14, 13, 12, 15, 10, 9, 8, 11, 6, 5, 4, 7, 2, 1, 0, 3))

/* Steps of many to a line, for the eye. */
/* clang-format off */
#define ADD(x, y) x = _mm256_add_epi32(x, y);
#define XOR(x, y) x = _mm256_xor_si256(x, y);
#define BYTES(x, places) x = _mm256_shuffle_epi8(x, places);
#define BITS(x, n) x = _mm256_or_si256(_mm256_slli_epi32(x, n), _mm256_srli_epi32(x, 32 - (n)));
/* Two quarter rounds (2.1). */
#define QUARTERS(a, b, c, d, e, f, g, h) \
	ADD(a, b) ADD(e, f) XOR(d, a) XOR(h, e) BYTES(d, rot16) BYTES(h, rot16) \
	ADD(c, d) ADD(g, h) XOR(b, c) XOR(f, g) BITS(b, 12) BITS(f, 12) \
	ADD(a, b) ADD(e, f) XOR(d, a) XOR(h, e) BYTES(d, rot8) BYTES(h, rot8) \
	ADD(c, d) ADD(g, h) XOR(b, c) XOR(f, g) BITS(b, 7) BITS(f, 7)

/* x0 .. x7: a word of eight blocks each; out: those eight words of each block, 64 bytes apart. */
INLINE void turn_over(uint8_t *out, __m256i x0, __m256i x1, __m256i x2, __m256i x3, __m256i x4, __m256i x5, __m256i x6, __m256i x7)
{
#define WORDS(i, j) __m256i t##i = _mm256_unpacklo_epi32(x##i, x##j), t##j = _mm256_unpackhi_epi32(x##i, x##j);
	WORDS(0, 1) WORDS(2, 3) WORDS(4, 5) WORDS(6, 7)
#undef WORDS
#define PAIRS(i, j, k, l) \
	__m256i u##i = _mm256_unpacklo_epi64(t##i, t##k), u##j = _mm256_unpackhi_epi64(t##i, t##k), \
		u##k = _mm256_unpacklo_epi64(t##j, t##l), u##l = _mm256_unpackhi_epi64(t##j, t##l);
	PAIRS(0, 1, 2, 3) PAIRS(4, 5, 6, 7)
#undef PAIRS
#define HALVES(i, j) \
	store(out + BLOCK * i, _mm256_permute2x128_si256(u##i, u##j, 0x20)); \
	store(out + BLOCK * j, _mm256_permute2x128_si256(u##i, u##j, 0x31));
	HALVES(0, 4) HALVES(1, 5) HALVES(2, 6) HALVES(3, 7)
#undef HALVES
}

/* For the compiler: what is parked in memory stays there, and the halves of a round do not run into each other, as 16 words and what the
 * rotations need are more than there are registers. */
#define FENCE \
	__asm__ volatile("" \
	                 : "+x"(x0), "+x"(x1), "+x"(x2), "+x"(x3), "+x"(x4), "+x"(x5), "+x"(x6), "+x"(x7), "+x"(x12), "+x"(x13), \
	                   "+x"(x14), "+x"(x15), "+m"(parked0), "+m"(parked1));
/* Words 8 and 9 against 10 and 11. */
#define SWAP(x, y, z, w) z = parked0, w = parked1, parked0 = x, parked1 = y;
#define TAKE absorb(&h, hash); hash += PART;
#define DOUBLE_ROUND(BESIDES) \
	BESIDES QUARTERS(x0, x4, x8, x12, x1, x5, x9, x13) \
	SWAP(x8, x9, x10, x11) \
	FENCE BESIDES QUARTERS(x2, x6, x10, x14, x3, x7, x11, x15) \
	FENCE BESIDES QUARTERS(x0, x5, x10, x15, x1, x6, x11, x12) \
	SWAP(x10, x11, x8, x9) \
	FENCE BESIDES QUARTERS(x2, x7, x8, x13, x3, x4, x9, x14) \
	FENCE

/* Eight blocks of key stream. Meanwhile p takes in blocks * 64 bytes, at most ten. */
INLINE void stream8(const struct input *in, uint8_t out[STEP], struct poly *p, const uint8_t *hash, unsigned blocks)
{
	struct poly h = *p; /* in registers */
	const __m256i rot16 = ROT16, rot8 = ROT8, places = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
	unsigned round = 0;
#define WORD(i)  _mm256_set1_epi32((int)in->word[i])
#define START(i) __m256i x##i = WORD(i);
	START(0) START(1) START(2) START(3) START(4) START(5) START(6) START(7) START(8) START(9) START(10) START(11)
	START(12) START(13) START(14) START(15)
#undef START
	ADD(x12, places)
	__m256i parked0 = x10, parked1 = x11;
	for (; round < blocks; round++) {
		DOUBLE_ROUND(TAKE)
	}
	for (; round < 10; round++) {
		DOUBLE_ROUND()
	}
	*p = h;
	x10 = parked0, x11 = parked1;
#define FINISH(i) ADD(x##i, WORD(i))
	FINISH(0) FINISH(1) FINISH(2) FINISH(3) FINISH(4) FINISH(5) FINISH(6) FINISH(7)
	turn_over(out, x0, x1, x2, x3, x4, x5, x6, x7);
	ADD(x12, places)
	FINISH(8) FINISH(9) FINISH(10) FINISH(11) FINISH(12) FINISH(13) FINISH(14) FINISH(15)
	turn_over(out + BLOCK / 2, x8, x9, x10, x11, x12, x13, x14, x15);
#undef FINISH
#undef WORD
}

/* Two blocks, or four if wide. Meanwhile p takes in pairs * 32 bytes, at most ten. */
INLINE void stream_rows(const struct input *in, uint8_t *out, bool wide, struct poly *p, const uint8_t *hash, unsigned pairs)
{
	struct poly own = *p;
	const __m256i rot16 = ROT16, rot8 = ROT8;
#define ROW(i) _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)&in->word[4 * (i)]))
	const uint8_t *last = (const uint8_t *)&in->word[12];
	const __m256i first = _mm256_add_epi32(_mm256_broadcastsi128_si256(_mm_set_epi64x((int64_t)le64_at(last + 8), (int64_t)le64_at(last))),
	                                       _mm256_set_epi32(0, 0, 0, 1, 0, 0, 0, 0));
	const __m256i second = _mm256_add_epi32(first, _mm256_set_epi32(0, 0, 0, 2, 0, 0, 0, 2));
	__m256i a = ROW(0), b = ROW(1), c = ROW(2), d = first;
	__m256i e = a, f = b, g = c, h = second;
/* Diagonals become columns; b stays, since it is the last to be known. */
#define LEAN(a, c, d, i, j) \
	a = _mm256_shuffle_epi32(a, i), d = _mm256_shuffle_epi32(d, 0x4e), c = _mm256_shuffle_epi32(c, j);
	for (unsigned round = 0; round < 10; round++) {
		QUARTERS(a, b, c, d, e, f, g, h)
		LEAN(a, c, d, 0x93, 0x39)
		LEAN(e, g, h, 0x93, 0x39)
		if (round < pairs) {
			absorb(&own, hash);
			absorb(&own, hash + PART);
			hash += 2 * PART;
		}
		QUARTERS(a, b, c, d, e, f, g, h)
		LEAN(a, c, d, 0x39, 0x93)
		LEAN(e, g, h, 0x39, 0x93)
	}
	*p = own;
#define FINISH(out, a, b, c, d, start) \
	ADD(a, ROW(0)) ADD(b, ROW(1)) ADD(c, ROW(2)) ADD(d, start) \
	store(out, _mm256_permute2x128_si256(a, b, 0x20)); \
	store((out) + 32, _mm256_permute2x128_si256(c, d, 0x20)); \
	store((out) + 64, _mm256_permute2x128_si256(a, b, 0x31)); \
	store((out) + 96, _mm256_permute2x128_si256(c, d, 0x31));
	FINISH(out, a, b, c, d, first)
	if (wide) {
		FINISH(out + 128, e, f, g, h, second)
	}
#undef FINISH
#undef LEAN
#undef ROW
}
/* clang-format on */

INLINE void xor_text(uint8_t *text, const uint8_t *stream, size_t n)
{
	for (; n >= 32; text += 32, stream += 32, n -= 32)
		store(text, _mm256_xor_si256(load(text), load(stream)));
	for (; n >= 8; text += 8, stream += 8, n -= 8)
		le64_to(text, le64_at(text) ^ le64_at(stream));
	if (n & 4)
		le32_to(text, le32_at(text) ^ le32_at(stream));
	text += n & 4, stream += n & 4;
	if (n & 2)
		le16_to(text, le16_at(text) ^ le16_at(stream));
	text += n & 2, stream += n & 2;
	if (n & 1)
		*text ^= *stream;
}

/* What the last stream has not taken in: all but the first `taken` bytes. */
INLINE void settle(struct pending *w, size_t taken, bool seal)
{
	absorb_padded(&w->h, w->text + taken, w->n - taken);
	if (!seal)
		xor_text(w->text, w->stream, w->n);
	if (!w->ends)
		return;
	uint8_t lengths[PART], tag[DATA_TAG];
	le64_to(lengths, w->ends->aad_len);
	le64_to(lengths + 8, w->ends->len);
	absorb(&w->h, lengths);
	_mm_storeu_si128((__m128i *)(void *)tag, poly_end(&w->h));
	if (seal)
		memcpy(w->ends->tag, tag, DATA_TAG);
	else
		w->ends->good = crypto_verify_16(tag, w->ends->tag) == 0;
}

/* Key stream for the next `len` bytes, or as many of them as it has room for, while what is pending is settled. first: after Poly1305's
 * key. */
INLINE void stream_and_settle(const struct input *in, uint8_t out[STEP], struct pending *w, size_t len, bool first, bool seal)
{
	size_t taken;
	if (first && len <= 3 * BLOCK) {
		unsigned pairs = w->n < 20 * PART ? (unsigned)(w->n / (2 * PART)) : 10;
		taken = pairs * 2 * PART;
		stream_rows(in, out, len > BLOCK, &w->h, w->text, pairs);
	} else {
		unsigned blocks = (unsigned)(w->n / BLOCK);
		taken = blocks * (size_t)BLOCK;
		stream8(in, out, &w->h, w->text, blocks);
	}
	settle(w, taken, seal);
}

/* Two buffers of key stream take turns, as what is opened waits for its part of the tag. They stay behind on the stack, where they are
 * worth no more than the text in the slab. The key is worth more than that, and its copy is wiped; registers that a compiler puts by it
 * cannot. */
INLINE void pass(const uint8_t *key, struct piece *pieces, unsigned n, bool seal)
{
	_Alignas(32) uint8_t buffers[2][STEP];
	struct input in = {{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}};
	struct pending w = {.text = buffers[0], .stream = buffers[0]}; /* nothing */
	unsigned turn = 0;
	memcpy(&in.word[4], key, SEAL_KEY);
	for (unsigned i = 0; i < n; i++) {
		struct piece *p = &pieces[i];
		assert(p->len <= TEXT_MAX);
		uint64_t head = le64_at(p->nonce);
		le64_to((uint8_t *)&in.word[12], head << 32);
		le64_to((uint8_t *)&in.word[14], head >> 32 | (uint64_t)le32_at(p->nonce + 8) << 32);
		uint8_t *text = p->text;
		size_t len = p->len;
		do {
			bool first = in.word[12] == 0;
			uint8_t *stream = buffers[turn++ % 2];
			stream_and_settle(&in, stream, &w, len, first, seal);
			in.word[12] += STEP / BLOCK;
			size_t room = STEP;
			if (first) {
				poly_begin(&w.h, stream);
				absorb_padded(&w.h, p->aad, p->aad_len);
				stream += BLOCK;
				room -= BLOCK;
			}
			w.text = text;
			w.n = len < room ? len : room;
			w.stream = stream;
			if (seal)
				xor_text(text, stream, w.n);
			text += w.n;
			len -= w.n;
			w.ends = len ? NULL : p;
		} while (len);
	}
	settle(&w, 0, seal);
	memset(&in, 0, sizeof(in));
	__asm__ volatile("" : : "m"(in)); /* else nobody would read that, and it would not be done */
}

AVX2 static void encrypt_run(const uint8_t *schedule, struct piece *pieces, unsigned n)
{
	if (n)
		pass(schedule, pieces, n, true);
}

AVX2 static void decrypt_run(const uint8_t *schedule, struct piece *pieces, unsigned n)
{
	if (n)
		pass(schedule, pieces, n, false);
}

static void expand(uint8_t *schedule, const uint8_t key[SEAL_KEY])
{
	memcpy(schedule, key, SEAL_KEY);
}

static void encrypt(const uint8_t *schedule, const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text, size_t len,
                    uint8_t tag[DATA_TAG])
{
	struct piece p = {.aad = aad, .aad_len = aad_len, .text = text, .len = len, .tag = tag};
	memcpy(p.nonce, nonce, SEAL_NONCE);
	encrypt_run(schedule, &p, 1);
}

static bool decrypt(const uint8_t *schedule, const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text, size_t len,
                    const uint8_t tag[DATA_TAG])
{
	uint8_t own[DATA_TAG];
	struct piece p = {.aad = aad, .aad_len = aad_len, .text = text, .len = len, .tag = own};
	memcpy(p.nonce, nonce, SEAL_NONCE);
	memcpy(own, tag, DATA_TAG);
	decrypt_run(schedule, &p, 1);
	return p.good;
}

static const struct aead avx2 = {"avx2", expand, encrypt, decrypt, encrypt_run, decrypt_run};
static bool up;

/* avx2 speaks for the operating system, too. */
static bool cpu_fits(void)
{
	__builtin_cpu_init();
#ifdef WITH_IPSECMB /* which has twice as wide registers then */
	if (__builtin_cpu_supports("avx512f"))
		return false;
#endif
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
}

bool seal_avx2_setup(void)
{
	up = cpu_fits() && seal_proved(&avx2, SUITE_CHACHA20_POLY1305);
	return up;
}

const struct aead *seal_avx2(uint8_t suite)
{
	return up && suite == SUITE_CHACHA20_POLY1305 ? &avx2 : NULL;
}

#endif
