/* seal_proof.c: a cipher of our own is used once it has made libsodium's bytes.
 *
 * Every daemon that starts seals and opens a text of each length at which one of them turns from one way to another (a register, a step,
 * the powers at hand), and refuses one wrong tag. A compiler, a CPU or a hypervisor that gets an instruction wrong then costs speed, and
 * no packet. It takes a tenth of a millisecond.
 */
#include <string.h>

#include "proto/seal_backend.h"

#define TRIED 1400
static bool agrees(const struct aead *own, const struct aead *book, size_t len)
{
	_Alignas(SEAL_ALIGN) uint8_t mine[SEAL_SCHEDULE], theirs[SEAL_SCHEDULE];
	uint8_t key[SEAL_KEY], nonce[SEAL_NONCE], aad[DATA_HEADER], text[TRIED], other[TRIED], tag[DATA_TAG], want[DATA_TAG];
	memset(key, (int)len + 1, sizeof(key));
	memset(nonce, 0xff, sizeof(nonce));
	memset(aad, 0xa5, sizeof(aad));
	for (size_t i = 0; i < len; i++)
		text[i] = other[i] = (uint8_t)(i * 7 + len);
	own->expand(mine, key);
	book->expand(theirs, key);
	own->encrypt(mine, nonce, aad, sizeof(aad), text, len, tag);
	book->encrypt(theirs, nonce, aad, sizeof(aad), other, len, want);
	if (memcmp(text, other, len) != 0 || memcmp(tag, want, sizeof(tag)) != 0)
		return false;
	if (!own->decrypt(mine, nonce, aad, sizeof(aad), text, len, tag))
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] != (uint8_t)(i * 7 + len))
			return false;
	tag[len % DATA_TAG] ^= 0x20;
	return !own->decrypt(mine, nonce, aad, sizeof(aad), other, len, tag);
}

/* What libsodium has not (a build without AES) is not proved and not used. */
bool seal_proved(const struct aead *own, uint8_t suite)
{
	static const size_t lens[] = {0,   1,   15,  16,  31,  63,  64,  65,  110, 128, 129, 192,  193,  255,
	                              256, 257, 447, 448, 449, 511, 512, 700, 959, 960, 961, 1023, TRIED};
	const struct aead *book = seal_sodium(suite);
	for (size_t i = 0; book && i < sizeof(lens) / sizeof(lens[0]); i++)
		if (!agrees(own, book, lens[i]))
			return false;
	return book;
}
