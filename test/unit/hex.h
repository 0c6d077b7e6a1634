/* hex.h: vectors as they stand in PROTOCOL.md, for the unit tests. Static functions only; aborts on a bad digit. */
#ifndef FARLAN_TEST_UNIT_HEX_H
#define FARLAN_TEST_UNIT_HEX_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline unsigned hex_value(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;
	assert(at);
	return (unsigned)(at - digits);
}

/* Fills out from text and returns the bytes written; room is checked. */
static inline size_t unhex(uint8_t *out, size_t room, const char *text)
{
	size_t n = strlen(text) / 2;
	assert(strlen(text) % 2 == 0 && n <= room);
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
	return n;
}

#define assert_hex(bytes, text)                                                                                                            \
	do {                                                                                                                               \
		uint8_t want_[2048];                                                                                                       \
		size_t n_ = unhex(want_, sizeof(want_), text);                                                                             \
		assert_memory_equal(bytes, want_, n_);                                                                                     \
	} while (0)

#endif
