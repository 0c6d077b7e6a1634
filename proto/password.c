/* password.c: argon2id by libsodium, with costs of our own choice.
 *
 * 64 MiB and three passes are OPSLIMIT_MODERATE's passes over OPSLIMIT_INTERACTIVE's memory: more than the interactive
 * profile asks for, yet two at once stay within the memory of the smallest rented machine. The string libsodium makes carries
 * salt and costs, so costs may rise later and old ones still verify; but a kept string that asks for much more than ours did
 * not come from here (a database is a file) and is refused before it costs anything.
 *
 * Whoever asks for an unknown user must wait as long as for a known one: there is a string that no password fits, made of
 * the same costs.
 */
#include "proto/password.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(PASSWORD_ROOM >= crypto_pwhash_STRBYTES, "the kept string fits");

/* Salt and hash are zeros: nobody knows a password of it, and nobody need. */
static const char nobody[] = "$argon2id$v=19$m=65536,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

int password_hash(const char *password, size_t len, char ret[PASSWORD_ROOM])
{
	char kept[crypto_pwhash_STRBYTES];
	if (len < PASSWORD_MIN || len > PASSWORD_MAX)
		return -EINVAL;
	if (crypto_pwhash_str_alg(kept, password, len, PASSWORD_PASSES, PASSWORD_MEMORY, crypto_pwhash_ALG_ARGON2ID13))
		return -ENOMEM;
	snprintf(ret, PASSWORD_ROOM, "%s", kept);
	return 0;
}

/* What we would have made, or cheaper. */
static bool affordable(const char *kept)
{
	static const char begin[] = "$argon2id$v=19$m=";
	char *end;
	if (strlen(kept) >= crypto_pwhash_STRBYTES || strncmp(kept, begin, sizeof(begin) - 1) != 0)
		return false;
	unsigned long memory = strtoul(kept + sizeof(begin) - 1, &end, 10);
	if (strncmp(end, ",t=", 3) != 0)
		return false;
	unsigned long passes = strtoul(end + 3, &end, 10);
	return *end == ',' && memory <= 4 * (PASSWORD_MEMORY >> 10) && passes <= 4 * PASSWORD_PASSES;
}

bool password_verify(const char *kept, const char *password, size_t len)
{
	char copy[crypto_pwhash_STRBYTES] = {0};
	bool known = kept && affordable(kept);
	if (len > PASSWORD_MAX)
		return false;
	snprintf(copy, sizeof(copy), "%s", known ? kept : nobody);
	bool fits = crypto_pwhash_str_verify(copy, password, len) == 0;
	return known && fits;
}

bool password_old(const char *kept)
{
	char copy[crypto_pwhash_STRBYTES] = {0};
	snprintf(copy, sizeof(copy), "%.*s", (int)sizeof(copy) - 1, kept);
	return crypto_pwhash_str_needs_rehash(copy, PASSWORD_PASSES, PASSWORD_MEMORY) != 0;
}
