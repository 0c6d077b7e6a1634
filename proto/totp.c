/* totp.c: HMAC-SHA1 is GnuTLS's, since libsodium has none: old and good for nothing else, but what people's phones compute.
 *
 * The dynamic truncation is RFC 4226, 5.3. A code is looked for in all steps of the range, so that how long it takes says nothing.
 */
#include "proto/totp.h"

#include <assert.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

uint32_t totp_code(const uint8_t secret[TOTP_SECRET], uint64_t step, unsigned digits)
{
	static const uint32_t power[] = {1000000, 10000000, 100000000};
	uint8_t counter[8], mac[20];
	assert(digits >= 6 && digits <= 8);
	for (unsigned i = 0; i < 8; i++)
		counter[i] = (uint8_t)(step >> (56 - 8 * i));
	if (gnutls_hmac_fast(GNUTLS_MAC_SHA1, secret, TOTP_SECRET, counter, sizeof(counter), mac))
		return TOTP_NONE;
	const uint8_t *at = mac + (mac[19] & 15);
	uint32_t value = (uint32_t)(at[0] & 0x7f) << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
	return value % power[digits - 6];
}

bool totp_find(const uint8_t secret[TOTP_SECRET], uint32_t code, uint64_t step, unsigned range, uint64_t *ret_step)
{
	uint64_t found = 0;
	bool good = false;
	for (unsigned away = range + 1; away-- > 0;) { /* the nearest last */
		for (unsigned ahead = 0; ahead < 2; ahead++) {
			uint64_t at = ahead ? step + away : step - away;
			bool fits = (ahead || away <= step) && totp_code(secret, at, TOTP_DIGITS) == code;
			found = fits ? at : found;
			good = good || fits;
		}
	}
	if (good)
		*ret_step = found;
	return good;
}

void base32_format(const uint8_t *bytes, size_t n, char *ret)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	assert(n % 5 == 0);
	for (; n; n -= 5, bytes += 5) {
		uint64_t bits = 0;
		for (unsigned i = 0; i < 5; i++)
			bits = bits << 8 | bytes[i];
		for (unsigned i = 0; i < 8; i++)
			*ret++ = letters[bits >> (35 - 5 * i) & 31];
	}
	*ret = '\0';
}
