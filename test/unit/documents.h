/* documents.h: the vectors of PROTOCOL.md, "Vectors of documents", for the unit tests; made by a
 * second implementation. */
#ifndef FARLAN_TEST_UNIT_DOCUMENTS_H
#define FARLAN_TEST_UNIT_DOCUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/hex.h"

#define NWID      0xc5057629d8000001ull
#define ADDRESS   0xc5057629d8ull
#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

#define ED_SEED   "20666ef189d264b82d40ae213746371d0d3c0dd7f3cb11c195ceeffc0a4e945a"
#define ED_PUBLIC "76a8d5171af848c4654e3379ae01a931c6cb0d180f8cea5402409d59012e7c49"
#define KEY_HASH  "f497c59001a420db367cbce5ef08318fe81b922e8c262cb13092344ef5eda78a"
#define CRED_HEX                                                                                                                           \
	"9401c48f8e000101cfc5057629d800000102cd03e903c420f497c59001a420db367cbce5ef08318fe81b922e"                                         \
	"8c262cb1"                                                                                                                         \
	"3092344ef5eda78a04cf000000c5057629d805cd0e1006ce0001518007ce00093a8008090992c4050a931405"                                         \
	"18c411fd"                                                                                                                         \
	"baf4c92048000002c5057629d80000400a91c40602aabbccddee0b820102ce00011170ceee6b28000d070ea7"                                         \
	"62c3bc72"                                                                                                                         \
	"6f2d31c4400188de15b7fcb229e391a8176d40ba05f03c0ffc19052273345cdc1f7efe351f23e25331d242c8"                                         \
	"83d6b282"                                                                                                                         \
	"b4785c45a8cde9f711b4f4b0a6f3efc06bf2b57008c0"
#define HEAD_HEX                                                                                                                           \
	"9402c45f8800cfc5057629d8000001010002cd012c03cd1c2004c420eba46c0f1ee62d06381a9397dcdf1d0e"                                         \
	"40fa4c2e"                                                                                                                         \
	"5d8c769addb801dd601ed72305c420ef50c6c69123201998423430b76f53ff5949dd85d786d5e41efbf25cff"                                         \
	"65489a06"                                                                                                                         \
	"020700c4401aadefc17a7d553089c3760116e0f14aa943fe64172ade70992239cb83e6d10f67630493bbfa50"                                         \
	"8a3f519f"                                                                                                                         \
	"5764ae8532d54c8a8b4f0d8b6fadf173973c3c6b07c0"
#define REVLIST_HEX                                                                                                                        \
	"9292c420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0c92c420f497c590"                                         \
	"01a420db"                                                                                                                         \
	"367cbce5ef08318fe81b922e8c262cb13092344ef5eda78acd03e9"
#define BASE_HEX "8500a66f666669636501cd0af00220030004ce00278d00"
#define ROUTES_HEX                                                                                                                         \
	"938200c4050a9314001802008300c405c0a807001801c4040a93140502648300c41120010db8000100000000"                                         \
	"00000000"                                                                                                                         \
	"00003001c410fdbaf4c92048000002c5057629d8000002cd0400"
#define MEMBERS_HEX                                                                                                                        \
	"9294cf0000000a1b2c3d4ec420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e"                                         \
	"1f91c405"                                                                                                                         \
	"0a931406180094cf000000c5057629d8c420f497c59001a420db367cbce5ef08318fe81b922e8c262cb13092"                                         \
	"344ef5ed"                                                                                                                         \
	"a78a92c4050a93140518c411fdbaf4c92048000002c5057629d800004009"
#define MANIFEST_HEX                                                                                                                       \
	"830192c42027eb456306332cd74ac8b8598b0afff40607295149a6f6f715dfa9f7ae0069c5170392c420f295"                                         \
	"765679e0"                                                                                                                         \
	"a8f214c2036376c9fc0db36dfde4e334328514e051a142b09a314a0592c4204efb1e90e9e8887d6243fa4187"                                         \
	"cef9f0f1"                                                                                                                         \
	"6f1d221e4aa7488f15e15938f64c207e"
#define MEMBERCONF_HEX                                                                                                                     \
	"8300c4d69401c48f8e000101cfc5057629d800000102cd03e903c420f497c59001a420db367cbce5ef08318f"                                         \
	"e81b922e"                                                                                                                         \
	"8c262cb13092344ef5eda78a04cf000000c5057629d805cd0e1006ce0001518007ce00093a8008090992c405"                                         \
	"0a931405"                                                                                                                         \
	"18c411fdbaf4c92048000002c5057629d80000400a91c40602aabbccddee0b820102ce00011170ceee6b2800"                                         \
	"0d070ea7"                                                                                                                         \
	"62c3bc726f2d31c4400188de15b7fcb229e391a8176d40ba05f03c0ffc19052273345cdc1f7efe351f23e253"                                         \
	"31d242c8"                                                                                                                         \
	"83d6b282b4785c45a8cde9f711b4f4b0a6f3efc06bf2b57008c001c4a69402c45f8800cfc5057629d8000001"                                         \
	"010002cd"                                                                                                                         \
	"012c03cd1c2004c420eba46c0f1ee62d06381a9397dcdf1d0e40fa4c2e5d8c769addb801dd601ed72305c420"                                         \
	"ef50c6c6"                                                                                                                         \
	"9123201998423430b76f53ff5949dd85d786d5e41efbf25cff65489a06020700c4401aadefc17a7d553089c3"                                         \
	"760116e0"                                                                                                                         \
	"f14aa943fe64172ade70992239cb83e6d10f67630493bbfa508a3f519f5764ae8532d54c8a8b4f0d8b6fadf1"                                         \
	"73973c3c"                                                                                                                         \
	"6b07c002c420404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
#define CRED_HASH     "b457155716734ec1f80ea8f8a0f55f1324952efd4f50144845075ddc744a5e9a"
#define HEAD_HASH     "bc9ffe12392fb5aec0da52f9f53bb63e8b1f76c91b331e9ef988326eecafb5ef"
#define REVLIST_HASH  "ef50c6c69123201998423430b76f53ff5949dd85d786d5e41efbf25cff65489a"
#define BASE_HASH     "27eb456306332cd74ac8b8598b0afff40607295149a6f6f715dfa9f7ae0069c5"
#define ROUTES_HASH   "f295765679e0a8f214c2036376c9fc0db36dfde4e334328514e051a142b09a31"
#define MEMBERS_HASH  "4efb1e90e9e8887d6243fa4187cef9f0f16f1d221e4aa7488f15e15938f64c20"
#define MANIFEST_HASH "eba46c0f1ee62d06381a9397dcdf1d0e40fa4c2e5d8c769addb801dd601ed723"

/* What every document of a signed or hashed kind must survive: cut anywhere, one byte more, any bit
 * flipped (a signed one is then refused). try gets a copy allocated to the byte, so that the
 * sanitizer sees a read beyond the end. */
static inline void document_abuse(const char *hex, bool (*try)(const uint8_t *, size_t), bool is_signed)
{
	size_t len = strlen(hex) / 2;
	uint8_t *bytes = malloc(len + 1);
	assert_non_null(bytes);
	unhex(bytes, len, hex);
	bytes[len] = 0;
	assert_false(try(bytes, len + 1));
	for (size_t n = 0; n <= len; n++) {
		uint8_t *copy = malloc(n ? n : 1);
		assert_non_null(copy);
		memcpy(copy, bytes, n);
		if (try(copy, n) != (n == len))
			fail_msg("cut at %zu of %zu", n, len);
		for (size_t bit = 0; n == len && bit < 8 * len; bit++) {
			copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (try(copy, len) && is_signed)
				fail_msg("accepted with bit %zu flipped", bit);
			copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		free(copy);
	}
	free(bytes);
}

#endif
