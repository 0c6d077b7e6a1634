/* Belief: libsodium's Argon2id takes a salt of exactly 16 bytes ("fln1-identity-01" is that long),
 * one pass and 8 MiB are within its bounds, zero passes are not, memory counts in whole KiB, and
 * the same input gives the same answer. (The bytes themselves are a vector of
 * test/unit/ident_test.c.) */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
	static const char salt[] = "fln1-identity-01";
	unsigned char a[32], b[32], password[64];
	int wrong = 0;
	alarm(20);
	if (sodium_init() < 0) {
		fprintf(stderr, "argon2: sodium_init failed\n");
		return 1;
	}
#define believe(condition)                                                                                                                 \
	do {                                                                                                                               \
		if (!(condition)) {                                                                                                        \
			fprintf(stderr, "argon2: not so: %s\n", #condition);                                                               \
			wrong = 1;                                                                                                         \
		}                                                                                                                          \
	} while (0)
	believe(crypto_pwhash_argon2id_SALTBYTES == 16);
	believe(crypto_pwhash_argon2id_saltbytes() == sizeof(salt) - 1);
	believe(crypto_pwhash_argon2id_opslimit_min() <= 1);
	believe(crypto_pwhash_argon2id_memlimit_min() <= 8u << 20);
	believe(crypto_pwhash_argon2id_bytes_min() <= 32);
	believe(crypto_pwhash_argon2id_passwd_max() >= 64);
	believe(crypto_pwhash_alg_argon2id13() == 2);
	memset(password, 7, sizeof(password));
	believe(crypto_pwhash(a, 32, (const char *)password, 64, (const unsigned char *)salt, 1, 8u << 20, crypto_pwhash_ALG_ARGON2ID13) ==
	        0);
	believe(crypto_pwhash(b, 32, (const char *)password, 64, (const unsigned char *)salt, 1, 8u << 20, crypto_pwhash_ALG_ARGON2ID13) ==
	        0);
	believe(!memcmp(a, b, 32));
	believe(crypto_pwhash(b, 32, (const char *)password, 64, (const unsigned char *)salt, 1, (8u << 20) + 1023,
	                      crypto_pwhash_ALG_ARGON2ID13) == 0);
	believe(!memcmp(a, b, 32));
	password[63] ^= 1;
	believe(crypto_pwhash(b, 32, (const char *)password, 64, (const unsigned char *)salt, 1, 8u << 20, crypto_pwhash_ALG_ARGON2ID13) ==
	        0);
	believe(memcmp(a, b, 32) != 0);
	believe(crypto_pwhash(b, 32, (const char *)password, 64, (const unsigned char *)salt, 0, 8u << 20, crypto_pwhash_ALG_ARGON2ID13) !=
	        0);
	return wrong;
}
