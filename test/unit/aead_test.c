/* aead_test.c: the bare AEADs of every backend this build and machine have.
 *
 * Published vectors (the GCM paper's cases of 256-bit keys, RFC 8439), Poly1305 driven to its edges (aead_vectors.py), every flipped
 * bit of what is authenticated; the backends sealing for each other at all lengths; each argument between two pages that do not exist,
 * for code that no sanitizer sees into; one schedule in two threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __x86_64__
#include <cpuid.h>
#endif
#include <pthread.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/seal.h"
#include "proto/seal_backend.h"
#include "test/unit/hex.h"

#define TEXT_MAX 9216

static const struct {
	uint8_t suite;
	const char *backend;
	const struct aead *(*find)(uint8_t suite);
} candidates[] = {
    {SUITE_AES256_GCM, "libsodium", seal_sodium},
    {SUITE_AES256_GCM, "ipsec-mb", seal_ipsecmb},
    {SUITE_AES256_GCM, "vaes", seal_vaes},
    {SUITE_CHACHA20_POLY1305, "libsodium", seal_sodium},
    {SUITE_CHACHA20_POLY1305, "ipsec-mb", seal_ipsecmb},
    {SUITE_CHACHA20_POLY1305, "avx2", seal_avx2},
};
#define CANDIDATES (sizeof(candidates) / sizeof(candidates[0]))

/* Those of a suite that exist here; 0 to BACKENDS. */
#define BACKENDS 3
static unsigned aeads(uint8_t suite, const struct aead *ret[BACKENDS])
{
	unsigned n = 0;
	for (unsigned i = 0; i < CANDIDATES; i++) {
		const struct aead *a = candidates[i].suite == suite ? candidates[i].find(suite) : NULL;
		if (a)
			ret[n++] = a;
	}
	return n;
}

struct schedule {
	_Alignas(SEAL_ALIGN) uint8_t bytes[SEAL_SCHEDULE];
};

static int setup(void **state)
{
	(void)state;
	return seal_setup();
}

/* What must be there is not skipped in silence. */
static void present(void **state)
{
	(void)state;
	assert_non_null(seal_sodium(SUITE_CHACHA20_POLY1305));
#ifdef __x86_64__
	bool aes = __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("avx");
	if (aes)
		assert_non_null(seal_sodium(SUITE_AES256_GCM));
	unsigned eax, ebx, ecx = 0, edx;
	bool vaes =
	    __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ecx & bit_VAES) && (ecx & bit_VPCLMULQDQ);
#ifdef WITH_IPSECMB
	const bool other = __builtin_cpu_supports("avx512f"); /* then the library is the better one */
#else
	const bool other = false;
#endif
	assert_int_equal(seal_vaes(SUITE_AES256_GCM) != NULL, aes && vaes && !other);
	assert_null(seal_vaes(SUITE_CHACHA20_POLY1305));
	assert_int_equal(seal_avx2(SUITE_CHACHA20_POLY1305) != NULL,
	                 __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && !other);
	assert_null(seal_avx2(SUITE_AES256_GCM));
#ifdef WITH_IPSECMB
	if (aes)
		assert_non_null(seal_ipsecmb(SUITE_AES256_GCM));
	if (aes && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
		assert_non_null(seal_ipsecmb(SUITE_CHACHA20_POLY1305));
#endif
#endif
	for (unsigned i = 0; i < CANDIDATES; i++) {
		const struct aead *a = candidates[i].find(candidates[i].suite);
		if (a)
			assert_string_equal(a->backend, candidates[i].backend);
		assert_null(candidates[i].find(0));
		assert_null(candidates[i].find(3));
		assert_null(candidates[i].find(255));
	}
}

/* Seals to the given bytes, opens again; then each bit of tag, nonce and AAD, and some of the text, is flipped. */
static void agrees(const struct aead *a, const uint8_t *key, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *plain,
                   size_t len, const uint8_t *cipher, const uint8_t *tag)
{
	static uint8_t text[TEXT_MAX];
	struct schedule s;
	uint8_t got[16], n[12], d[64], t[16];
	a->expand(s.bytes, key);
	memcpy(text, plain, len);
	a->encrypt(s.bytes, nonce, aad, aad_len, text, len, got);
	assert_memory_equal(text, cipher, len);
	assert_memory_equal(got, tag, 16);
	assert_true(a->decrypt(s.bytes, nonce, aad, aad_len, text, len, tag));
	assert_memory_equal(text, plain, len);

	for (size_t bit = 0; bit < 8 * (16 + 12 + aad_len + len); bit += bit < 8 * (28 + aad_len) || len <= 64 ? 1 : 97) {
		size_t byte = bit / 8;
		uint8_t flip = (uint8_t)(1 << bit % 8);
		memcpy(t, tag, 16);
		memcpy(n, nonce, 12);
		memcpy(d, aad, aad_len);
		memcpy(text, cipher, len);
		*(byte < 16             ? &t[byte]
		  : byte < 28           ? &n[byte - 16]
		  : byte < 28 + aad_len ? &d[byte - 28]
		                        : &text[byte - 28 - aad_len]) ^= flip;
		assert_false(a->decrypt(s.bytes, n, d, aad_len, text, len, t));
	}
	for (size_t cut = 0; cut < len && cut < 40; cut++) {
		memcpy(text, cipher, len);
		assert_false(a->decrypt(s.bytes, nonce, aad, aad_len, text, cut, tag));
	}
	if (aad_len) {
		memcpy(text, cipher, len);
		assert_false(a->decrypt(s.bytes, nonce, aad, aad_len - 1, text, len, tag));
	}
}

struct published {
	const char *key, *nonce, *aad, *plain, *cipher, *tag;
};

static void published(uint8_t suite, const struct published *v, unsigned n)
{
	const struct aead *a[BACKENDS];
	unsigned have = aeads(suite, a);
	for (unsigned i = 0; i < n; i++) {
		uint8_t key[32], nonce[12], aad[64], plain[512], cipher[512], tag[16];
		assert_int_equal(unhex(key, 32, v[i].key), 32);
		assert_int_equal(unhex(nonce, 12, v[i].nonce), 12);
		assert_int_equal(unhex(tag, 16, v[i].tag), 16);
		size_t aad_len = unhex(aad, sizeof(aad), v[i].aad), len = unhex(plain, sizeof(plain), v[i].plain);
		assert_int_equal(unhex(cipher, sizeof(cipher), v[i].cipher), len);
		for (unsigned k = 0; k < have; k++)
			agrees(a[k], key, nonce, aad, aad_len, plain, len, cipher, tag);
	}
}

/* McGrew and Viega, The Galois/Counter Mode of Operation, appendix B: test cases 13 to 16. 17 and 18 have nonces of other lengths. */
static void gcm_published(void **state)
{
	(void)state;
#define ZEROS "00000000000000000000000000000000"
#define FEFF  "feffe9928665731c6d6a8f9467308308"
#define P60   "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
#define C60   "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
	static const struct published v[] = {
	    {ZEROS ZEROS, "000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
	    {ZEROS ZEROS, "000000000000000000000000", "", ZEROS, "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
	    {FEFF FEFF, "cafebabefacedbaddecaf888", "", P60 "1aafd255", C60 "898015ad", "b094dac5d93471bdec1a502270e3cc6c"},
	    {FEFF FEFF, "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2", P60, C60,
	     "76fc6ece0f4e1768cddf8853bb2d551b"},
	};
	published(SUITE_AES256_GCM, v, sizeof(v) / sizeof(v[0]));
}

/* RFC 8439, 2.8.2. */
static void chacha_published(void **state)
{
	(void)state;
	static const struct published v[] = {
	    {"808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
	     "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920636f756c64206f6666657220796f75"
	     "206f6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73637265656e20776f756c642062652069742e",
	     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3"
	     "b"
	     "3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116",
	     "1ae10b594f09e26a7e902ecbd0600691"},
	};
	published(SUITE_CHACHA20_POLY1305, v, sizeof(v) / sizeof(v[0]));
}

/* RFC 8439, A.5: here the tag speaks for the ciphertext. */
static void chacha_internet_drafts(void **state)
{
	(void)state;
	static const char plain[] =
	    "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, or "
	    "obsoleted by other documents at any time. It is inappropriate to use Internet-Drafts as reference material "
	    "or to cite them other than as /\xe2\x80\x9cwork in progress./\xe2\x80\x9d";
	const struct aead *a[BACKENDS];
	uint8_t key[32], nonce[12], aad[12], tag[16], text[sizeof(plain)];
	const size_t len = sizeof(plain) - 1;
	unsigned have = aeads(SUITE_CHACHA20_POLY1305, a);
	unhex(key, 32, "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
	unhex(nonce, 12, "000000000102030405060708");
	unhex(aad, 12, "f33388860000000000004e91");
	assert_int_equal(len, 265);
	for (unsigned k = 0; k < have; k++) {
		struct schedule s;
		a[k]->expand(s.bytes, key);
		memcpy(text, plain, len);
		a[k]->encrypt(s.bytes, nonce, aad, 12, text, len, tag);
		assert_hex(text, "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2");
		assert_hex(tag, "eead9d67890cbb22392336fea1851f38");
	}
}

static void poly1305_edges(void **state)
{
	(void)state;
	static const struct {
		unsigned nonce;
		uint8_t fill;
		size_t more;
		const char *first, *tag;
	} v[] = {
#include "test/unit/aead_vectors.inc"
	};
	static uint8_t cipher[TEXT_MAX], plain[TEXT_MAX];
	const struct aead *a[BACKENDS];
	unsigned have = aeads(SUITE_CHACHA20_POLY1305, a);
	uint8_t key[32], aad[12], tag[16];
	for (unsigned i = 0; i < 32; i++)
		key[i] = (uint8_t)i;
	memcpy(aad, key, 12);
	for (unsigned i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		size_t len = 16 + v[i].more;
		uint8_t nonce[12] = {[10] = (uint8_t)(v[i].nonce >> 8), [11] = (uint8_t)v[i].nonce};
		unhex(cipher, 16, v[i].first);
		memset(cipher + 16, v[i].fill, v[i].more);
		unhex(tag, 16, v[i].tag);
		for (unsigned k = 0; k < have; k++) {
			struct schedule s;
			a[k]->expand(s.bytes, key);
			memcpy(plain, cipher, len);
			assert_true(a[k]->decrypt(s.bytes, nonce, aad, 12, plain, len, tag));
			agrees(a[k], key, nonce, aad, 12, plain, len, cipher, tag);
		}
	}
}

/* xorshift64: the same texts in every run. */
static uint64_t draw(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	return *x ^= *x << 17;
}

static void crossed(const struct aead *from, const struct aead *to, const uint8_t key[32], const uint8_t nonce[12], size_t aad_len,
                    size_t len)
{
	static uint8_t plain[TEXT_MAX], text[TEXT_MAX];
	static uint64_t seed = 88172645463325252;
	struct schedule a, b;
	uint8_t aad[128], tag[16], own[16];
	for (size_t i = 0; i < len; i += 8)
		memcpy(plain + i, &(uint64_t){draw(&seed)}, 8);
	memset(aad, (int)len, sizeof(aad));
	memcpy(text, plain, len);
	memset(text + len, 0x77, 64);
	from->expand(a.bytes, key);
	to->expand(b.bytes, key);
	from->encrypt(a.bytes, nonce, aad, aad_len, text, len, tag);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(text[len + i], 0x77);
	assert_true(to->decrypt(b.bytes, nonce, aad, aad_len, text, len, tag));
	assert_memory_equal(text, plain, len);
	to->encrypt(b.bytes, nonce, aad, aad_len, text, len, own);
	assert_memory_equal(own, tag, 16);
}

/* Each backend opens what the next sealed, and seals what the next opens: every length to 300 and around the seams (4096 and 8192: where the low byte of the block
 * counter wraps, 16 or 64 bytes a block), AADs of every length to 96, nonces and keys of all zeros and all ones. */
static void cross(void **state)
{
	(void)state;
	static const uint8_t fills[][2] = {{0, 0}, {0, 0xff}, {0xff, 0}, {0xff, 0xff}, {0x5a, 0xa5}};
	for (uint8_t suite = SUITE_AES256_GCM; suite <= SUITE_CHACHA20_POLY1305; suite++) {
		const struct aead *a[BACKENDS];
		unsigned have = aeads(suite, a);
		if (have < 2)
			continue;
		for (unsigned f = 0; f < sizeof(fills) / sizeof(fills[0]); f++) {
			uint8_t key[32], nonce[12];
			memset(key, fills[f][0], 32);
			memset(nonce, fills[f][1], 12);
			for (size_t len = 0; len <= 9000; len += len < 300 || len % 4096 < 140 || len % 4096 > 3960 ? 1 : 61)
				for (unsigned i = 0; i < have; i++)
					crossed(a[i], a[(i + 1) % have], key, nonce, 12, len);
			for (size_t aad = 0; aad <= 96; aad++)
				for (unsigned i = 0; i < have; i++)
					crossed(a[i], a[(i + 1) % have], key, nonce, aad, 96 - aad);
		}
	}
}

/* Every length through four and more of the longest steps (512 bytes), at all alignments, AADs, keys and nonces drawn: libsodium's bytes,
 * and of those one bit wrong in the text, then in the tag. */
static void every_length_of(uint8_t suite)
{
	static uint8_t plain[2176], book[2176], slab[2176 + 64];
	uint64_t seed = 0x9e3779b97f4a7c15;
	const struct aead *a[BACKENDS];
	unsigned have = aeads(suite, a);
	for (size_t len = 0; len <= 2100; len++) {
		uint8_t key[32], nonce[12], aad[40], want[16], tag[16], *text = slab + draw(&seed) % 64;
		size_t aad_len = len % 3 ? draw(&seed) % 41 : 12;
		struct schedule book_key, s;
		for (size_t i = 0; i < sizeof(plain); i++)
			plain[i] = (uint8_t)(draw(&seed) >> 32);
		memcpy(key, plain + len % 1000, 32);
		memcpy(nonce, plain + len % 900 + 32, 12);
		memcpy(aad, plain + len % 800 + 44, 40);
		memcpy(book, plain, len);
		if (have) {
			seal_sodium(suite)->expand(book_key.bytes, key);
			seal_sodium(suite)->encrypt(book_key.bytes, nonce, aad, aad_len, book, len, want);
		}
		for (unsigned k = 0; k < have; k++) {
			memcpy(text, plain, len);
			a[k]->expand(s.bytes, key);
			a[k]->encrypt(s.bytes, nonce, aad, aad_len, text, len, tag);
			assert_memory_equal(text, book, len);
			assert_memory_equal(tag, want, 16);
			assert_true(a[k]->decrypt(s.bytes, nonce, aad, aad_len, text, len, tag));
			assert_memory_equal(text, plain, len);
			if (len) {
				memcpy(text, book, len);
				text[draw(&seed) % len] ^= (uint8_t)(1 << draw(&seed) % 8);
				assert_false(a[k]->decrypt(s.bytes, nonce, aad, aad_len, text, len, tag));
			}
			memcpy(text, book, len);
			tag[draw(&seed) % 16] ^= (uint8_t)(1 << draw(&seed) % 8);
			assert_false(a[k]->decrypt(s.bytes, nonce, aad, aad_len, text, len, tag));
		}
	}
}

static void every_length(void **state)
{
	(void)state;
	every_length_of(SUITE_AES256_GCM);
	every_length_of(SUITE_CHACHA20_POLY1305);
}

/* Where the 32-bit counter's low bytes wrap: the 65536th block of GCM, and a few on both sides; ChaCha20's 16384th. */
static void many_blocks_of(uint8_t suite)
{
	const size_t len = 65536 * 16 + 300;
	const struct aead *a[BACKENDS];
	unsigned have = aeads(suite, a);
	static const uint8_t key[32] = {5}, nonce[12] = {6};
	uint8_t *first = calloc(1, len), *text = malloc(len), tag[16], want[16];
	assert_true(first && text);
	for (unsigned k = 0; k < have; k++) {
		struct schedule s;
		a[k]->expand(s.bytes, key);
		memset(text, 0, len);
		a[k]->encrypt(s.bytes, nonce, NULL, 0, k ? text : first, len, k ? tag : want);
		if (k) {
			assert_memory_equal(text, first, len);
			assert_memory_equal(tag, want, 16);
			assert_true(a[k]->decrypt(s.bytes, nonce, NULL, 0, text, len, tag));
			assert_int_equal(text[0] | text[len - 1], 0);
		}
	}
	free(first);
	free(text);
}

static void many_blocks(void **state)
{
	(void)state;
	many_blocks_of(SUITE_AES256_GCM);
	many_blocks_of(SUITE_CHACHA20_POLY1305);
}

/* Pages with none around them; island_at: a block of n bytes that ends where they end, or begins where they begin. */
struct island {
	uint8_t *page;
	size_t size;
};

static struct island island_new(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (bytes + page - 1) / page * page;
	uint8_t *all = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(all != MAP_FAILED);
	assert_int_equal(mprotect(all + page, size, PROT_READ | PROT_WRITE), 0);
	return (struct island){all + page, size};
}

static uint8_t *island_at(const struct island *i, size_t n, bool end)
{
	return end ? i->page + i->size - n : i->page;
}

static void no_byte_outside(void **state)
{
	(void)state;
	struct island text = island_new(9000), aad = island_new(12), nonce = island_new(12), tag = island_new(16),
		      key = island_new(SEAL_SCHEDULE);
	for (unsigned i = 0; i < CANDIDATES; i++) {
		const struct aead *a = candidates[i].find(candidates[i].suite);
		if (!a)
			continue;
		for (unsigned end = 0; end < 2; end++) {
			uint8_t *k = island_at(&key, SEAL_SCHEDULE, end), *n = island_at(&nonce, 12, end), *d = island_at(&aad, 12, end);
			uint8_t *t = island_at(&tag, 16, end), raw[32] = {1};
			a->expand(k, raw);
			for (size_t len = 0; len <= 8972; len += len < 1500 ? 1 : 113) {
				uint8_t *p = island_at(&text, len, end);
				memset(p, 0, len);
				a->encrypt(k, n, d, 12, p, len, t);
				assert_true(a->decrypt(k, n, d, 12, p, len, t));
				for (size_t b = 0; b < len; b++)
					assert_int_equal(p[b], 0);
			}
		}
	}
}

#define ROUNDS 400
static void *carry(void *arg)
{
	const struct seal *s = arg;
	static _Thread_local uint8_t slab[8][1500];
	static _Thread_local struct packet run[8];
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < 8; i++) {
			run[i] = (struct packet){.data = slab[i], .len = 1400 - 100 * i, .room = 1500};
			memset(slab[i], (int)(round + i), run[i].len);
		}
		seal_batch(s, 0x1231, 8 * round, run, 8);
		for (unsigned i = 0; i < 8; i++) {
			run[i].pn = seal_unmask(s, run[i].data, run[i].len);
			run[i].idx = 0x1231;
		}
		run[5].data[100] ^= 1;
		open_batch(s, run, 8);
		for (unsigned i = 0; i < 8; i++) {
			if (run[i].pn != 8 * round + i || run[i].verdict != (i == 5 ? DROP_AEAD : DROP_NONE))
				return arg;
			for (unsigned b = 0; i != 5 && b < run[i].len; b++)
				if (run[i].data[b] != (uint8_t)(round + i))
					return arg;
		}
	}
	return NULL;
}

/* Two threads, one schedule, all backends. */
static void two_threads(void **state)
{
	(void)state;
	static const uint8_t key[32] = {7};
	static struct seal s;
	for (unsigned i = 0; i < CANDIDATES; i++) {
		if (!candidates[i].find(candidates[i].suite))
			continue;
		assert_true(seal_force_backend(candidates[i].backend));
		assert_true(seal_init(&s, candidates[i].suite, key));
		assert_string_equal(s.aead->backend, candidates[i].backend);
		pthread_t other;
		void *bad = NULL;
		assert_int_equal(pthread_create(&other, NULL, carry, &s), 0);
		assert_null(carry(&s));
		pthread_join(other, &bad);
		assert_null(bad);
		seal_fini(&s);
	}
	assert_true(seal_force_backend("auto"));
}

/* Runs of any lengths and AAD are sealed to what comes of them one by one, and open; one that is spoiled spoils no other. */
#define RUN 9
static void runs_of(uint8_t suite)
{
	static uint8_t slab[RUN][TEXT_MAX], book[TEXT_MAX], plain[TEXT_MAX], aad[RUN][40], tags[RUN][16];
	static const size_t whole[] = {0,   1,   31,   32,   96,   97,   128,  129,  223,  224, 225,
	                               479, 480, 1400, 1414, 1487, 1489, 1504, 1505, 3040, 9000};
	uint64_t seed = 0x9e3779b97f4a7c15;
	const struct aead *a[BACKENDS];
	unsigned have = aeads(suite, a);
	uint8_t key[32] = {7}, want[16];
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(draw(&seed) >> 32);
	for (unsigned round = 0; have && round < 400; round++) {
		struct schedule book_key, s;
		unsigned n = 1 + (unsigned)(draw(&seed) % RUN), spoiled = (unsigned)(draw(&seed) % n);
		size_t most = round % 4 ? 300 : TEXT_MAX - 16;
		key[1] = (uint8_t)round;
		seal_sodium(suite)->expand(book_key.bytes, key);
		for (unsigned k = 0; k < have; k++) {
			struct piece run[RUN];
			if (!a[k]->encrypt_run)
				continue;
			a[k]->expand(s.bytes, key);
			for (unsigned i = 0; i < n; i++) {
				size_t len = draw(&seed) % 3 ? draw(&seed) % most : whole[draw(&seed) % (sizeof(whole) / sizeof(whole[0]))];
				run[i] = (struct piece){.aad = aad[i],
				                        .aad_len = draw(&seed) % 41,
				                        .text = slab[i] + draw(&seed) % 16,
				                        .len = len,
				                        .tag = tags[i]};
				for (unsigned b = 0; b < 12; b++)
					run[i].nonce[b] = (uint8_t)(draw(&seed) >> 32);
				memcpy(aad[i], plain + draw(&seed) % 999, 40);
				memcpy(run[i].text, plain, len);
			}
			a[k]->encrypt_run(s.bytes, run, n);
			for (unsigned i = 0; i < n; i++) {
				memcpy(book, plain, run[i].len);
				seal_sodium(suite)->encrypt(book_key.bytes, run[i].nonce, aad[i], run[i].aad_len, book, run[i].len, want);
				assert_memory_equal(run[i].text, book, run[i].len);
				assert_memory_equal(run[i].tag, want, 16);
			}
			if (!a[k]->decrypt_run)
				continue;
			tags[spoiled][draw(&seed) % 16] ^= 0x10;
			a[k]->decrypt_run(s.bytes, run, n);
			for (unsigned i = 0; i < n; i++) {
				assert_int_equal(run[i].good, i != spoiled);
				if (i != spoiled)
					assert_memory_equal(run[i].text, plain, run[i].len);
			}
		}
	}
}

static void runs(void **state)
{
	(void)state;
	runs_of(SUITE_AES256_GCM);
	runs_of(SUITE_CHACHA20_POLY1305);
#ifdef __x86_64__
	if (seal_vaes(SUITE_AES256_GCM))
		assert_non_null(seal_vaes(SUITE_AES256_GCM)->encrypt_run);
#endif
}

/* Every number of tags, at any alignment, as the one-shot call makes their masks; nothing is written behind them. */
static void masks(void **state)
{
	(void)state;
	static uint8_t bytes[64 * 17 + 16];
	uint8_t key[SEAL_MASK_KEY], want[8];
	for (unsigned n = 0; n <= 64; n++) {
		const uint8_t *tags[64];
		uint64_t got[65];
		randombytes_buf(key, sizeof(key));
		randombytes_buf(bytes, sizeof(bytes));
		if (n % 3 == 0)
			memset(bytes, n % 2 ? 0xff : 0, sizeof(bytes));
		for (unsigned i = 0; i < n; i++)
			tags[i] = bytes + (size_t)i * 17 + (n + i) % 16;
		got[n] = 0x0123456789abcdef;
		seal_masks(key, tags, got, n);
		assert_true(got[n] == 0x0123456789abcdef);
		for (unsigned i = 0; i < n; i++) {
			crypto_shorthash(want, tags[i], DATA_TAG, key);
			assert_true(got[i] == le64_at(want));
		}
	}
#ifdef __x86_64__
	assert_int_equal(seal_mask_setup(), __builtin_cpu_supports("avx2") != 0);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(present),
	    cmocka_unit_test(gcm_published),
	    cmocka_unit_test(chacha_published),
	    cmocka_unit_test(chacha_internet_drafts),
	    cmocka_unit_test(poly1305_edges),
	    cmocka_unit_test(cross),
	    cmocka_unit_test(every_length),
	    cmocka_unit_test(many_blocks),
	    cmocka_unit_test(no_byte_outside),
	    cmocka_unit_test(two_threads),
	    cmocka_unit_test(masks),
	    cmocka_unit_test(runs),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
