/* seal_proof.c: a cipher of our own is used once it has made libsodium's bytes.
 *
 * Every daemon that starts seals and opens a text of each length at which one of them turns from one way to another (a register, a step,
 * the powers at hand), one by one and then all in a run, and has every second tag refused. A compiler, a CPU or a hypervisor that gets an
 * instruction wrong then costs speed, and no packet. It takes four tenths of a millisecond.
 *
 * Keys, nonces and texts have no two words alike: what takes the wrong one of them must not get away with it. Of
 * the two keys one gives a GCM key H with its top bit set and one without.
 */
#include <assert.h>
#include <string.h>

#include "proto/seal_backend.h"

static const size_t lens[] = {0,   1,   15,  16,  31,  63,  64,  65,  110,  128,  129,  192,  193,  255,  256,  257,  447,
                              448, 449, 511, 512, 700, 959, 960, 961, 1023, 1400, 1488, 1489, 1503, 1504, 1505, 3025, 3040};
#define TRIED (sizeof(lens) / sizeof(lens[0]))
#define ROOM  28672 /* bytes: all texts, with header and tag each */

/* Header, text and tag of each text behind those of the one before. */
struct sample {
	_Alignas(SEAL_ALIGN) uint8_t schedule[SEAL_SCHEDULE];
	struct piece piece[TRIED];
	uint8_t bytes[ROOM];
};

static void lay(struct sample *s, const struct aead *a, unsigned salt)
{
	uint8_t key[SEAL_KEY], *at = &s->bytes[0];
	for (unsigned i = 0; i < SEAL_KEY; i++)
		key[i] = (uint8_t)((i + 1) * 37 + salt * 3);
	a->expand(s->schedule, key);
	for (size_t i = 0; i < ROOM; i++)
		s->bytes[i] = (uint8_t)((i * 167 + 13) ^ i >> 8);
	for (unsigned i = 0; i < TRIED; i++) {
		struct piece *p = &s->piece[i];
		*p = (struct piece){.aad = at, .aad_len = DATA_HEADER, .text = at + DATA_HEADER, .len = lens[i]};
		p->tag = p->text + lens[i];
		for (unsigned k = 0; k < SEAL_NONCE; k++)
			p->nonce[k] = (uint8_t)(k * 59 + i * 101);
		at = p->tag + DATA_TAG;
		assert(at <= s->bytes + ROOM);
	}
}

static void seal(const struct aead *a, struct sample *s, bool run)
{
	if (run)
		a->encrypt_run(s->schedule, s->piece, TRIED);
	else
		for (struct piece *p = s->piece; p < s->piece + TRIED; p++)
			a->encrypt(s->schedule, p->nonce, p->aad, p->aad_len, p->text, p->len, p->tag);
}

/* Every second one has a bit of its tag wrong, and is to be refused. */
static bool opens(const struct aead *a, struct sample *s, const uint8_t *plain, bool run, unsigned odd)
{
	for (unsigned i = 0; i < TRIED; i++) {
		struct piece *p = &s->piece[i];
		p->good = i % 2 == odd;
		if (p->good)
			p->tag[i / 2 % DATA_TAG] ^= (uint8_t)(1 << i % 8);
	}
	if (run)
		a->decrypt_run(s->schedule, s->piece, TRIED);
	else
		for (struct piece *p = s->piece; p < s->piece + TRIED; p++)
			p->good = a->decrypt(s->schedule, p->nonce, p->aad, p->aad_len, p->text, p->len, p->tag);
	for (unsigned i = 0; i < TRIED; i++) {
		const struct piece *p = &s->piece[i];
		if (p->good != (i % 2 != odd) || (p->good && memcmp(p->text, plain + (p->text - s->bytes), p->len) != 0))
			return false;
	}
	return true;
}

static bool agrees(const struct aead *own, const struct aead *sodium, bool run)
{
	struct sample mine, book;
	uint8_t plain[ROOM];
	lay(&mine, own, run);
	lay(&book, sodium, run);
	memcpy(plain, mine.bytes, ROOM);
	seal(own, &mine, run && own->encrypt_run);
	seal(sodium, &book, false);
	if (memcmp(mine.bytes, book.bytes, ROOM) != 0)
		return false;
	for (unsigned odd = 0; odd < 2; odd++) {
		memcpy(mine.bytes, book.bytes, ROOM);
		if (!opens(own, &mine, plain, run && own->decrypt_run, odd))
			return false;
	}
	return true;
}

/* What libsodium has not (a build without AES) is not proved and not used. */
bool seal_proved(const struct aead *own, uint8_t suite)
{
	const struct aead *sodium = seal_sodium(suite);
	return sodium && agrees(own, sodium, false) && agrees(own, sodium, true);
}
