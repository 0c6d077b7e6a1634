/* seal_run_test.c: runs of texts through the backends that take a run at once. Each text is finished while the next one is begun, so
 * what may go wrong lies between them: lengths follow each other in all ways in which their steps differ, texts, tags and AADs lie back to
 * back, and a wrong tag is told of its own text alone. The book is libsodium, one text at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "proto/base/batch.h"
#include "proto/seal.h"
#include "proto/seal_backend.h"

#define TEXT_MAX 2100
#define PITCH    (DATA_HEADER + TEXT_MAX + DATA_TAG)

struct schedule {
	_Alignas(SEAL_ALIGN) uint8_t bytes[SEAL_SCHEDULE];
};

static uint8_t slab[BATCH_MAX * PITCH + 1], book[BATCH_MAX * PITCH + 1], plain[BATCH_MAX * PITCH + 1];
static struct piece pieces[BATCH_MAX];
static bool spoiled[BATCH_MAX];
static uint64_t seed = 0x2545f4914f6cdd1d;

/* xorshift64: the same texts in every run. */
static uint64_t draw(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 11) % below;
}

static int setup(void **state)
{
	(void)state;
	return seal_setup();
}

static size_t some_length(void)
{
	static const size_t edges[] = {0,   1,   15,  16,  17,  63,  64,  65,  191, 192, 193, 319,
	                               320, 447, 448, 449, 511, 512, 513, 959, 960, 961, 1400};
	switch (draw(4)) {
	case 0: return edges[draw(sizeof(edges) / sizeof(edges[0]))];
	case 1: return draw(70);
	case 2: return draw(512);
	default: return draw(TEXT_MAX + 1);
	}
}

/* Header, text and tag of each behind those of the one before; the bytes of plain. */
static size_t lay(unsigned n, const size_t *lens)
{
	size_t at = 0;
	for (unsigned i = 0; i < n; i++) {
		pieces[i] = (struct piece){.aad = slab + at, .aad_len = DATA_HEADER, .text = slab + at + DATA_HEADER, .len = lens[i]};
		pieces[i].tag = pieces[i].text + lens[i];
		for (unsigned k = 0; k < SEAL_NONCE; k++)
			pieces[i].nonce[k] = (uint8_t)draw(256);
		at += DATA_HEADER + lens[i] + DATA_TAG;
	}
	for (size_t i = 0; i <= at; i++)
		slab[i] = plain[i] = book[i] = (uint8_t)draw(256);
	return at;
}

static void seal_by_the_book(uint8_t suite, const uint8_t *key, unsigned n)
{
	const struct aead *sodium = seal_sodium(suite);
	struct schedule s;
	sodium->expand(s.bytes, key);
	for (unsigned i = 0; i < n; i++) {
		const struct piece *p = &pieces[i];
		sodium->encrypt(s.bytes, p->nonce, book + (p->aad - slab), p->aad_len, book + (p->text - slab), p->len,
		                book + (p->tag - slab));
	}
}

/* A bit of one in four, in text, tag or AAD. */
static void spoil(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		size_t whole = DATA_HEADER + pieces[i].len + DATA_TAG;
		spoiled[i] = draw(4) == 0;
		if (spoiled[i])
			slab[(size_t)(pieces[i].aad - slab) + draw(whole)] ^= (uint8_t)(1 << draw(8));
	}
}

/* Which may have the one and not the other. */
static void encrypt(const struct aead *a, const struct schedule *s, unsigned n)
{
	if (a->encrypt_run)
		a->encrypt_run(s->bytes, pieces, n);
	else
		for (struct piece *p = pieces; p < pieces + n; p++)
			a->encrypt(s->bytes, p->nonce, p->aad, p->aad_len, p->text, p->len, p->tag);
}

static void decrypt(const struct aead *a, const struct schedule *s, unsigned n)
{
	if (a->decrypt_run)
		a->decrypt_run(s->bytes, pieces, n);
	else
		for (struct piece *p = pieces; p < pieces + n; p++)
			p->good = a->decrypt(s->bytes, p->nonce, p->aad, p->aad_len, p->text, p->len, p->tag);
}

static void run(const struct aead *a, uint8_t suite, unsigned n, const size_t *lens)
{
	uint8_t key[SEAL_KEY];
	struct schedule s;
	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)draw(256);
	size_t all = lay(n, lens);
	seal_by_the_book(suite, key, n);
	a->expand(s.bytes, key);
	encrypt(a, &s, n);
	assert_memory_equal(slab, book, all + 1);
	spoil(n);
	for (unsigned i = 0; i < n; i++)
		pieces[i].good = draw(2);
	memcpy(book, slab, all + 1);
	decrypt(a, &s, n);
	for (unsigned i = 0; i < n; i++) {
		const struct piece *p = &pieces[i];
		assert_int_equal(p->good, !spoiled[i]);
		if (!spoiled[i])
			assert_memory_equal(p->text, plain + (p->text - slab), p->len);
		assert_memory_equal(p->aad, book + (p->aad - slab), DATA_HEADER); /* nothing but text is written */
		assert_memory_equal(p->tag, book + (p->tag - slab), DATA_TAG);
	}
	assert_int_equal(slab[all], book[all]);
}

static const struct aead *runner(uint8_t suite, unsigned i)
{
	static const struct aead *(*const all[])(uint8_t) = {seal_sodium, seal_ipsecmb, seal_avx2, seal_vaes};
	const struct aead *a = all[i](suite);
	if (!a)
		return NULL;
	return a->encrypt_run || a->decrypt_run ? a : NULL;
}

#define EACH_RUNNER(a, suite)                                                                                                              \
	for (uint8_t suite = SUITE_AES256_GCM; suite <= SUITE_CHACHA20_POLY1305; suite++)                                                  \
		for (unsigned which = 0; which < 4; which++)                                                                               \
			if ((a = runner(suite, which)))

static void drawn(void **state)
{
	(void)state;
	const struct aead *a;
	EACH_RUNNER(a, suite)
	{
		for (unsigned round = 0; round < 300; round++) {
			size_t lens[BATCH_MAX];
			unsigned n = round % 3 ? 1 + (unsigned)draw(5) : 1 + (unsigned)draw(BATCH_MAX);
			for (unsigned i = 0; i < n; i++)
				lens[i] = some_length();
			run(a, suite, n, lens);
		}
	}
}

/* All pairs of lengths whose steps or remainders differ. */
static void pairs(void **state)
{
	(void)state;
	const struct aead *a;
	EACH_RUNNER(a, suite)
	{
		for (size_t x = 0; x <= 1030; x += x % 64 == 0 ? 1 : x % 64 == 1 ? 14 : x % 64 == 15 ? 2 : x % 64 == 17 ? 46 : 1)
			for (size_t y = 0; y <= 520; y += 13)
				run(a, suite, 3, (const size_t[]){x, y, x});
	}
}

static void nothing(void **state)
{
	(void)state;
	const struct aead *a;
	EACH_RUNNER(a, suite)
	{
		struct schedule s;
		a->expand(s.bytes, (const uint8_t[SEAL_KEY]){1});
		encrypt(a, &s, 0);
		decrypt(a, &s, 0);
	}
}

#define STACK (512 * 1024) /* bytes; enough for a thread with sanitizers */
static _Alignas(4096) uint8_t stack[STACK];
static struct {
	const struct aead *aead;
	const struct schedule *schedule;
	const uint8_t *key;
	bool keeps, found;
} worked;

/* keeps: as a backend would that forgets to wipe. */
static __attribute__((noinline)) void work(void)
{
	volatile uint8_t copy[SEAL_KEY];
	for (unsigned i = 0; i < SEAL_KEY; i++)
		copy[i] = worked.keeps ? worked.key[i] : 0;
	encrypt(worked.aead, worked.schedule, 5);
	decrypt(worked.aead, worked.schedule, 5);
	(void)copy[0]; /* the frame lasts until here */
}

/* Deep enough for the search not to write over it. */
static __attribute__((noinline)) void deep(void)
{
	volatile uint8_t depth[8 * 1024];
	depth[0] = 1;
	work();
	(void)depth[0];
}

/* It looks below itself: the library may give the stack of a thread that ends back to the system. */
static void *look(void *own)
{
	deep();
	worked.found = memmem(stack, sizeof(stack), worked.key, SEAL_KEY);
	return own;
}

/* The whole key, somewhere below the thread that worked. */
static bool key_stays(const struct aead *a, const struct schedule *s, const uint8_t *key, bool keeps)
{
	pthread_attr_t attr;
	pthread_t thread;
	worked.aead = a, worked.schedule = s, worked.key = key, worked.keeps = keeps;
	memset(stack, 0, sizeof(stack));
	assert_int_equal(pthread_attr_init(&attr), 0);
	assert_int_equal(pthread_attr_setstack(&attr, stack, sizeof(stack)), 0);
	assert_int_equal(pthread_create(&thread, &attr, look, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	pthread_attr_destroy(&attr);
	return worked.found;
}

static void no_key_stays(void **state)
{
	(void)state;
	const struct aead *a;
	EACH_RUNNER(a, suite)
	{
		struct schedule s;
		uint8_t key[SEAL_KEY];
		for (unsigned i = 0; i < sizeof(key); i++)
			key[i] = (uint8_t)(1 + draw(255));
		lay(5, (const size_t[]){0, 70, 300, 1400, 2100});
		a->expand(s.bytes, key);
		assert_true(key_stays(a, &s, key, true)); /* it would be seen */
		assert_false(key_stays(a, &s, key, false));
	}
}

/* What must be there is not skipped in silence. */
static void present(void **state)
{
	(void)state;
	const struct aead *a = seal_avx2(SUITE_CHACHA20_POLY1305);
	if (a)
		assert_ptr_equal(runner(SUITE_CHACHA20_POLY1305, 2), a);
	assert_null(runner(SUITE_CHACHA20_POLY1305, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(present), cmocka_unit_test(drawn),        cmocka_unit_test(pairs),
	    cmocka_unit_test(nothing), cmocka_unit_test(no_key_stays),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
