/* neighbour_fuzz.c: anything as a question from the device: nothing is answered but what somebody owns, to whom asked, in the one form there is.
 *
 * The first byte says what is mended first (type, lengths, target, group, checksum), or nothing would come past the checks.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/layout.h"
#include "node/neighbour.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(x) ((x) ? (void)0 : abort())
#define MEND_TYPE  1u
#define MEND_V6    2u
#define MEND_GROUP 4u
#define MEND_SUM   8u
#define MEND_OWNED 16u /* who is asked for */

static const uint8_t own[6] = {0x52, 1, 1, 1, 1, 1};

static const struct owners *table(void)
{
	static const struct owners *o;
	static const struct claim c[] = {{.ip = {.family = 4, .ip = {10, 77, 0, 2}}, .mac = {0x52, 2}},
	                                 {.ip = {.family = 6, .ip = {0xfd, 0x77, [15] = 2}}, .mac = {0x52, 2}, .router = true},
	                                 {.ip = {.family = 4, .ip = {10, 77, 0, 1}}, .ours = true}};
	if (!o)
		o = owners_new(c, sizeof c / sizeof *c);
	require(o);
	return o;
}

/* The sum of RFC 8200, 8.1, word by word. */
static unsigned icmp6(const uint8_t *ip, size_t len)
{
	uint32_t sum = 58 + (uint32_t)len;
	for (unsigned i = 8; i < 40; i += 2)
		sum += be16_at(ip + i);
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? ip[40 + i] : ip[40 + i] * 256u;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void mend(uint8_t *f, size_t len, unsigned how)
{
	bool v6 = how & MEND_V6;
	if (how & MEND_TYPE && len >= 14)
		be16_to(f + 12, v6 ? 0x86dd : 0x0806);
	if (!v6 && how & MEND_TYPE && len >= 42) {
		memcpy(f + 14, "\0\1\10\0\6\4\0\1", 8);
		memcpy(f + 22, f + 6, 6);
		f[0] |= 1;
		if (how & MEND_OWNED)
			memcpy(f + 38, "\12\115\0\2", 4);
	}
	if (!v6 || len < 78)
		return;
	f[14] = 0x60;
	be16_to(f + 18, (uint32_t)(len - 54 < 0xffff ? len - 54 : 0xffff));
	f[20] = 58;
	f[21] = 255;
	f[54] = 135;
	if (how & MEND_OWNED)
		memcpy(f + 62, "\xfd\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 16);
	if (len >= 86 && f[78] == 1)
		memcpy(f + 80, f + 6, 6);
	if (how & MEND_GROUP) {
		memcpy(f, "\x33\x33\xff", 3);
		memcpy(f + 3, f + 75, 3);
		memcpy(f + 38, "\xff\2\0\0\0\0\0\0\0\0\0\1\xff", 13);
		memcpy(f + 51, f + 75, 3);
	}
	if (how & MEND_SUM) {
		be16_to(f + 56, 0);
		be16_to(f + 56, ~icmp6(f + 14, be16_at(f + 18)) & 0xffff);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	unsigned how = *data++;
	size_t len = size - 1;
	uint8_t *f = malloc(len ? len : 1), out[NEIGHBOUR_MAX];
	require(f);
	memcpy(f, data, len);
	mend(f, len, how);
	memset(out, 0xee, sizeof out);
	size_t n = neighbour_answer(table(), own, f, len, out);
	for (size_t i = n; i < sizeof out; i++)
		require(out[i] == 0xee);
	if (n) {
		static const uint8_t owner[6] = {0x52, 2};
		bool v6 = n == 86;
		require((v6 || n == 42) && f[0] & 1 && !(f[6] & 1));
		require(!memcmp(out, f + 6, 6) && !memcmp(out + 6, owner, 6) && !memcmp(out + 12, f + 12, 2));
		require(!memcmp(out + 38, v6 ? f + 22 : f + 28, v6 ? 16 : 4));
		require(out[v6 ? 37 : 31] == 2 && (!v6 || (icmp6(out + 14, 32) == 0xffff && icmp6(f + 14, be16_at(f + 18)) == 0xffff)));
	}
	free(f);
	return 0;
}
