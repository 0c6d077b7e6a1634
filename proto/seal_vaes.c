/* seal_vaes.c: AES-256-GCM by VAES and VPCLMULQDQ on 256-bit registers, for CPUs that have both and no AVX-512.
 *
 * libipsec-mb 1.3, Debian 12's, uses the two only together with AVX-512. Elsewhere it takes one block per instruction, where the CPU
 * could take two: 1400 bytes are sealed in 425 ns by it, in 203 here (test/bench/README.md), and the cipher is the largest part of the
 * data plane's work. When a newer library does this on AVX2 as well and test/bench/seal sees no difference, this file can go.
 *
 * Written from NIST SP 800-38D, FIPS 197 and Gueron and Kounavis, "Intel Carry-Less Multiplication Instruction and its Usage for
 * Computing the GCM Mode". 16 blocks a step, two to a register: eight registers of counters go through AES, and between the rounds 16
 * blocks of ciphertext are hashed: those at hand when opening, those of the step before when sealing, and of a run the end of one packet with the
 * first counters of the next. Each block of up to 96, AAD and lengths included, is multiplied by a power of H of its own, and all are added up,
 * so that a datagram needs one reduction.
 *
 * Nothing branches on or indexes by a secret; lengths are none. No text is read or written outside its bounds: what is no full register is
 * put together from words. Key stream that stays on the stack is worth no more than the text in the slab.
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

#include "proto/seal_vaes_ghash.h"

/* Eight registers by name: an array would have to be unrolled first. */
#define EACH5(DO) DO(0) DO(1) DO(2) DO(3) DO(4)
#define EACH8(DO) EACH5(DO) DO(5) DO(6) DO(7)

/* Block 0 of the counter is nobody's and 1 covers the tag; text has 2 and on. With them 16 blocks of a step begin at a multiple of 16, so that
 * counting is one XOR. To the hash, a pair of nothing and AAD stands there. */
static const _Alignas(PAIR) uint8_t counts[8][PAIR] = {
#define ROW(i)    {[15] = 2 * (i), [31] = 2 * (i) + 1},
    EACH8(ROW)
#undef ROW
};
#define COUNT(i) __m256i s##i = _mm256_xor_si256(base, load(counts[i]));

/* One packet on its way: what its counters begin with (under round key 0), its products so far, the power of the next block to be hashed,
 * and the blocks up to the one of lengths. carry is added to the next pair, turned: AAD, or what was reduced on the way. */
struct text {
	__m256i counters, carry;
	__m128i lengths;
	struct sums s;
	uint8_t *at;
	size_t len, left;
	uint32_t counter;
	unsigned power;
};

/* The end of a packet, sealed but not hashed: pairs ready for it, the lengths among them. The right half of a last pair may be zero. */
#define OWED_MAX 9 /* 8 pairs of text, the lengths */
struct owed {
	__m256i x[OWED_MAX];
	struct sums s;
	__m128i cover;
	uint8_t *tag;
	unsigned n, power;
};

INLINE __m256i base_of(const struct text *t)
{
	__m128i counter = _mm_set_epi32((int)__builtin_bswap32(t->counter), 0, 0, 0);
	return _mm256_xor_si256(t->counters, _mm256_broadcastsi128_si256(counter));
}

/* All that is left, or else as many full steps as there are powers for: 16 blocks may be text that is no full step, and with the lengths they need
 * a chain of 17. */
INLINE unsigned power_of(size_t left)
{
	if (left <= POWERS)
		return (unsigned)left;
	return left == POWERS + 1 ? POWERS - 16 : POWERS;
}
_Static_assert(POWERS >= 17 && POWERS % 16 == 0, "the last text of a packet and its lengths are hashed with one chain of powers");

/* Where no power is left, a new chain begins. */
INLINE void renew(struct text *t)
{
	if (t->power)
		return;
	t->carry = _mm256_xor_si256(t->carry, _mm256_zextsi128_si256(reduce(&t->s)));
	t->s = no_sums();
	t->power = power_of(t->left);
}

INLINE void pass(struct text *t)
{
	t->at += STEP;
	t->len -= STEP;
	t->counter += 16;
}

INLINE void hashed(struct text *t)
{
	t->power -= 16;
	t->left -= 16;
}

/* Ciphers 16 blocks of t while 16 blocks of ciphertext are hashed: the carry, which is the first pair, and those behind it at hash. first: of these
 * 16 the first cover the tag. Products of two pairs at a time,
 * so that they share the sum of halves.
 *
 * A multiplication is four operations for this CPU (Zen 3), and those of AES go through two of its four pipes: AES alone takes 60 cycles, the
 * hash 57, both like this 92 to 96. It makes little difference how they are mixed as long as they are: a random search over some thousand orders
 * ended within 2 % of this one. But compilers left alone compute all products first and spill them, which takes twice as long. */
INLINE void step(struct text *t, const struct schedule *k, const uint8_t *hash, bool first, __m128i *ret_cover)
{
	__m256i base = base_of(t), low = t->s.low, mid = t->s.mid, high = t->s.high, left, right, added, p, key = round_key(k, 1);
	const __m128i *power = &k->power[POWERS - t->power], *sum = &k->mid[POWERS - t->power];
	uint8_t *text = t->at;
	EACH8(COUNT)
#define ROUND(i)                                                                                                                           \
	s##i = _mm256_aesenc_epi128(s##i, key);                                                                                            \
	PIN(s##i);
#define AES(r, ONE, OTHER) ROUND(0) ROUND(1) ONE ROUND(2) ROUND(3) ROUND(4) ROUND(5) OTHER ROUND(6) ROUND(7) key = round_key(k, (r) + 1);
#define LOAD(g)                                                                                                                            \
	p = (g) ? turned2(load(hash + 2 * PAIR * (g))) : t->carry;                                                                         \
	PIN(p);                                                                                                                            \
	added = turned2(load(hash + 2 * PAIR * (g) + PAIR));                                                                               \
	PIN(added);                                                                                                                        \
	left = _mm256_unpacklo_epi64(p, added);                                                                                            \
	PIN(left);                                                                                                                         \
	right = _mm256_unpackhi_epi64(p, added);                                                                                           \
	PIN(right);                                                                                                                        \
	added = _mm256_xor_si256(left, right);                                                                                             \
	PIN(added);
#define TIMES(to, x, factor, which)                                                                                                        \
	p = _mm256_clmulepi64_epi128(x, load((const uint8_t *)(factor)), which);                                                           \
	PIN(p);                                                                                                                            \
	to = _mm256_xor_si256(to, p);                                                                                                      \
	PIN(to);
#define AES_AND_HASH(r, g)                                                                                                                 \
	LOAD(g)                                                                                                                            \
	AES(r, TIMES(low, left, power + 4 * (g), 0x00), TIMES(high, right, power + 4 * (g), 0x10))                                         \
	AES((r) + 1, TIMES(mid, added, sum + 4 * (g), 0x00), TIMES(low, left, power + 4 * (g) + 2, 0x01))                                  \
	AES((r) + 2, TIMES(high, right, power + 4 * (g) + 2, 0x11), TIMES(mid, added, sum + 4 * (g), 0x11))
	AES_AND_HASH(1, 1)
	AES_AND_HASH(4, 2)
	AES_AND_HASH(7, 3)
	AES_AND_HASH(10, 0) /* what was carried is the last to arrive */
	AES(13, , )
	t->s = (struct sums){low, mid, high};
#define FINISH(i) store(text + PAIR * (i), _mm256_aesenclast_epi128(s##i, _mm256_xor_si256(key, load(text + PAIR * (i)))));
	if (first) {
		*ret_cover = _mm256_extracti128_si256(_mm256_aesenclast_epi128(s0, key), 1);
	} else {
		FINISH(0)
	}
	FINISH(1) FINISH(2) FINISH(3) FINISH(4) FINISH(5) FINISH(6) FINISH(7)
#undef FINISH
#undef AES_AND_HASH
#undef TIMES
#undef LOAD
#undef AES
#undef ROUND
}

/* Key stream for 5 or 8 pairs, and between its rounds n pairs are absorbed: turned ones, or ciphertext of which the first is in hand. */
#define ROUND(i) s##i = _mm256_aesenc_epi128(s##i, key);
#define AES(r)                                                                                                                             \
	key = round_key(k, r);                                                                                                             \
	EACH(ROUND)
#define MIX(r)                                                                                                                             \
	AES(r)                                                                                                                             \
	if ((r) <= n)                                                                                                                      \
		absorb(&s, k, power - 2 * ((r)-1),                                                                                         \
		       !raw       ? load(from + PAIR * ((r)-1))                                                                            \
		       : (r) == 1 ? first                                                                                                  \
		                  : turned2(load(from + PAIR * ((r)-1))));
#define STREAM                                                                                                                             \
	__m256i key;                                                                                                                       \
	struct sums s = *sums;                                                                                                             \
	EACH(COUNT)                                                                                                                        \
	MIX(1)                                                                                                                             \
	MIX(2)                                                                                                                             \
	MIX(3)                                                                                                                             \
	MIX(4)                                                                                                                             \
	MIX(5)                                                                                                                             \
	MIX(6)                                                                                                                             \
	MIX(7)                                                                                                                             \
	MIX(8)                                                                                                                             \
	MIX(9)                                                                                                                             \
	AES(10)                                                                                                                            \
	AES(11)                                                                                                                            \
	AES(12)                                                                                                                            \
	AES(13)                                                                                                                            \
	key = round_key(k, ROUNDS);                                                                                                        \
	EACH(FINISH)                                                                                                                       \
	*sums = s;
#define FINISH(i) out[i] = _mm256_aesenclast_epi128(s##i, key);
_Static_assert(OWED_MAX <= 9, "as many as STREAM takes in");

INLINE void stream5(const struct schedule *k, __m256i base, __m256i *out, struct sums *sums, const uint8_t *from, unsigned n, bool raw,
                    unsigned power, __m256i first){
#define EACH      EACH5
    STREAM
#undef EACH
}

INLINE void stream8(const struct schedule *k, __m256i base, __m256i *out, struct sums *sums, const uint8_t *from, unsigned n, bool raw,
                    unsigned power, __m256i first)
{
#define EACH EACH8
	STREAM
#undef EACH
}
#undef FINISH
#undef STREAM
#undef MIX
#undef AES
#undef ROUND

/* ... for pairs of t, and what is owed is absorbed. */
INLINE void stream_and_pay(const struct text *t, const struct schedule *k, size_t pairs, __m256i *out, struct owed *o)
{
	if (pairs <= 5)
		stream5(k, base_of(t), out, &o->s, (const uint8_t *)o->x, o->n, false, o->power, no_pair());
	else
		stream8(k, base_of(t), out, &o->s, (const uint8_t *)o->x, o->n, false, o->power, no_pair());
}

INLINE struct text text_of(const struct schedule *k, const struct piece *j)
{
	assert(j->len <= TEXT_MAX);
	__m128i y = _mm_setzero_si128();
	const uint8_t *aad = j->aad;
	size_t n = j->aad_len, left = (j->len + BLOCK - 1) / BLOCK + 3;
	for (; n > BLOCK; aad += BLOCK, n -= BLOCK)
		y = times_h(k, _mm_xor_si128(y, turned(block_at(aad, BLOCK))));
	if (n)
		y = _mm_xor_si128(y, turned(block_at(aad, n)));
	__m128i nonce = _mm_set_epi64x((int64_t)le32_at(j->nonce + 8), (int64_t)le64_at(j->nonce));
	return (struct text){
	    .counters = _mm256_xor_si256(_mm256_broadcastsi128_si256(nonce), round_key(k, 0)),
	    .carry = _mm256_set_m128i(y, _mm_setzero_si128()),
	    .lengths = _mm_set_epi64x((int64_t)(j->aad_len * 8), (int64_t)(j->len * 8)),
	    .s = no_sums(),
	    .at = j->text - PAIR,
	    .len = j->len + PAIR,
	    .left = left,
	    .power = power_of(left),
	};
}

/* The last text of a packet, up to 8 pairs: sealed with the stream, unless it is NULL, and owed with the lengths behind it. These fit into the last
 * pair where it has one block. */
INLINE void owe(const struct text *t, struct owed *o, const __m256i *stream)
{
	__m256i x, carry = t->carry;
	uint8_t *at = t->at;
	size_t len = t->len;
	unsigned n = 0;
	if (t->counter == 0) { /* the packet begins here, too */
		o->x[n++] = carry;
		carry = no_pair();
		at += PAIR;
		len -= PAIR;
		if (stream)
			stream++;
	}
	for (; len >= PAIR; at += PAIR, len -= PAIR) {
		x = load(at);
		if (stream) {
			x = _mm256_xor_si256(x, *stream++);
			store(at, x);
		}
		o->x[n++] = _mm256_xor_si256(turned2(x), carry);
		carry = no_pair();
	}
	if (len) {
		x = pair_at(at, len);
		if (stream) {
			x = _mm256_xor_si256(x, *stream);
			pair_to(at, len, x);
			x = first(x, len);
		}
		x = _mm256_xor_si256(turned2(x), carry);
		carry = no_pair();
		o->x[n++] = len <= BLOCK ? _mm256_inserti128_si256(x, t->lengths, 1) : x;
	}
	if (len == 0 || len > BLOCK)
		o->x[n++] = _mm256_xor_si256(_mm256_zextsi128_si256(t->lengths), carry);
	o->n = n;
	o->s = t->s;
	o->power = t->power;
}

INLINE __m128i tag_of(const struct sums *s, __m128i cover)
{
	return _mm_xor_si128(cover, turned(reduce(s)));
}

INLINE void settle(struct owed *o)
{
	if (o->n)
		_mm_storeu_si128((__m128i *)(void *)o->tag, tag_of(&o->s, o->cover));
	o->n = 0;
}

INLINE size_t pairs(size_t len)
{
	return (len + PAIR - 1) / PAIR;
}

/* While the first counters of a packet are ciphered, the end of the one before is hashed, and each step hashes what the step before it
 * sealed: so both units have work all the time. o: in, what the packet before owes; out, what this one does. */
INLINE void seal_one(const struct schedule *k, const struct piece *j, struct owed *o)
{
	struct text t = text_of(k, j);
	__m256i stream[8];
	stream_and_pay(&t, k, pairs(t.len), stream, o);
	settle(o);
	o->cover = _mm256_extracti128_si256(stream[0], 1);
	o->tag = j->tag;
	if (t.len >= STEP) {
		for (unsigned i = 1; i < 8; i++)
			store(t.at + PAIR * i, _mm256_xor_si256(stream[i], load(t.at + PAIR * i)));
		for (pass(&t); t.len >= STEP; pass(&t), hashed(&t)) {
			renew(&t);
			step(&t, k, t.at - STEP, false, NULL);
			t.carry = turned2(load(t.at));
		}
		renew(&t);
		if (t.len <= 5 * PAIR)
			stream5(k, base_of(&t), stream, &t.s, t.at - STEP, 8, true, t.power, t.carry);
		else
			stream8(k, base_of(&t), stream, &t.s, t.at - STEP, 8, true, t.power, t.carry);
		t.carry = no_pair();
		hashed(&t);
		renew(&t);
	}
	owe(&t, o, stream);
}

INLINE void pay(const struct schedule *k, struct owed *o)
{
	struct sums s = o->s;
	for (unsigned i = 0; i < o->n; i++)
		absorb(&s, k, o->power - 2 * i, o->x[i]);
	o->s = s;
	settle(o);
}

/* Here both units have the same text at hand. */
INLINE __m128i open_one(const struct schedule *k, const struct piece *j)
{
	struct text t = text_of(k, j);
	struct owed o;
	__m256i stream[8], *from = stream;
	if (t.len >= STEP) {
		step(&t, k, t.at, true, &o.cover);
		hashed(&t);
		for (pass(&t); t.len >= STEP; pass(&t), hashed(&t)) {
			t.carry = turned2(load(t.at));
			renew(&t);
			step(&t, k, t.at, false, NULL);
		}
		t.carry = no_pair();
		renew(&t);
	}
	owe(&t, &o, NULL);
	stream_and_pay(&t, k, pairs(t.len), stream, &o);
	if (t.counter == 0) {
		o.cover = _mm256_extracti128_si256(stream[0], 1);
		from++;
		t.at += PAIR;
		t.len -= PAIR;
	}
	for (; t.len >= PAIR; t.at += PAIR, t.len -= PAIR)
		store(t.at, _mm256_xor_si256(load(t.at), *from++));
	if (t.len)
		pair_to(t.at, t.len, _mm256_xor_si256(pair_at(t.at, t.len), *from));
	return tag_of(&o.s, o.cover);
}

VAES static void encrypt_run(const uint8_t *schedule, struct piece *run, unsigned n)
{
	struct owed o = {.n = 0, .s = no_sums(), .cover = _mm_setzero_si128()};
	for (unsigned i = 0; i < n; i++)
		seal_one(schedule_of(schedule), &run[i], &o);
	pay(schedule_of(schedule), &o);
}

static struct piece piece_of(const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text, size_t len)
{
	struct piece one = {.aad = aad, .aad_len = aad_len, .text = text, .len = len};
	le64_to(one.nonce, le64_at(nonce)); /* as it is read */
	le32_to(one.nonce + 8, le32_at(nonce + 8));
	return one;
}

static void encrypt(const uint8_t *schedule, const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text, size_t len,
                    uint8_t tag[DATA_TAG])
{
	struct piece one = piece_of(nonce, aad, aad_len, text, len);
	one.tag = tag;
	encrypt_run(schedule, &one, 1);
}

VAES static bool decrypt(const uint8_t *schedule, const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text,
                         size_t len, const uint8_t tag[DATA_TAG])
{
	struct piece one = piece_of(nonce, aad, aad_len, text, len);
	__m128i wrong = _mm_xor_si128(open_one(schedule_of(schedule), &one), _mm_loadu_si128((const __m128i *)(const void *)tag));
	return _mm_testz_si128(wrong, wrong);
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
		k->mid[i] = _mm_xor_si128(h, _mm_shuffle_epi32(h, 0x4e));
	}
	for (unsigned i = 0; i + 2 < POWERS; i++)
		k->mid[i] = _mm_unpacklo_epi64(k->mid[i], k->mid[i + 2]);
}

static const struct aead vaes = {"vaes", expand, encrypt, decrypt, encrypt_run, NULL};
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
