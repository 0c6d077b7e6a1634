/* totp.h: codes that follow from a secret and the time: RFC 6238 with SHA-1, six digits, 30 s, which is what every generator knows.
 *
 * Pure; any thread.
 */
#ifndef FARLAN_PROTO_TOTP_H
#define FARLAN_PROTO_TOTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOTP_SECRET 20 /* bytes: SHA-1's */
#define TOTP_STEP_S 30
#define TOTP_DIGITS 6
#define TOTP_BASE32 33 /* the secret as text: 32 characters and NUL */

#define TOTP_NONE UINT32_MAX

/* TOTP_NONE, which nobody can type: no memory, or a policy of this machine that forbids SHA-1. */
uint32_t totp_code(const uint8_t secret[TOTP_SECRET], uint64_t step, unsigned digits); /* digits 6 to 8 */
/* The step nearest to that one, at most range away, which has this code; false: none. Takes the same time whatever fits. */
bool totp_find(const uint8_t secret[TOTP_SECRET], uint32_t code, uint64_t step, unsigned range, uint64_t *ret_step);
void base32_format(const uint8_t *bytes, size_t n, char *ret); /* n a multiple of 5: 8 characters each, and a NUL */

#endif
