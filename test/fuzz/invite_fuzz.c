/* invite_fuzz.c: any text as an invitation, as it is and with its check made right, so that what stands behind the check is reached too.
 * What is accepted is written again as the same text; what is refused is refused inside the text, with a reason, and touches nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/ident.h"
#include "proto/invite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(x) ((x) ? (void)0 : abort())
#define FRONT      "farlan://v1/"

static void attempt(const char *text)
{
	struct invite_link link, before;
	char again[INVITE_LINK_MAX];
	const char *why = NULL;
	size_t at = SIZE_MAX;
	memset(&before, 0x5a, sizeof before);
	memcpy(&link, &before, sizeof link);
	if (!invite_link_parse(text, &link, &at, &why)) {
		require(why && at <= strlen(text) && !memcmp(&link, &before, sizeof link));
		return;
	}
	require(link.n_roots <= INVITE_ROOTS_MAX && link.key.id && link.nwid & 0xffffff);
	require(invite_link_format(&link, again, sizeof again) == strlen(text) && !strcmp(text, again));
}

static void checked(char *text, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint8_t hash[32];
	if (len > 9 && !strncmp(text + len - 9, "&c=", 3))
		len -= 9;
	hash256(hash, "fln1 link", text, len);
	uint64_t v = (uint64_t)hash[0] << 28 | (uint64_t)hash[1] << 20 | (uint64_t)hash[2] << 12 | (uint64_t)hash[3] << 4;
	memcpy(text + len, "&c=", 3);
	for (unsigned i = 0; i < 6; i++)
		text[len + 3 + i] = digits[v >> 6 * (5 - i) & 63];
	text[len + 9] = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(sizeof(FRONT) + size + 16);
	require(text);
	memcpy(text, data, size);
	text[size] = 0;
	attempt(text);
	size = strlen(text);
	checked(text, size);
	attempt(text);
	memcpy(text, FRONT, strlen(FRONT)); /* behind a beginning that is right */
	memcpy(text + strlen(FRONT), data, size);
	checked(text, strlen(FRONT) + size);
	attempt(text);
	free(text);
	return 0;
}
