/* root_line.c: parts cut at '@', ',' and '#', each given to the parser of its kind.
 *
 * No identity, address or gate contains one of the three separators, so a cut needs no look at what
 * it cuts. Each refusal names the offset of the part and says what should stand there, for the
 * config reader prints it under the line.
 */
#include "proto/root_line.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define GATE_TAG  "#gate="
#define GATE_TEXT 43 /* base64url of 32 bytes without padding */

static bool refuse(size_t at, const char *why, size_t *ret_at, const char **ret_why)
{
	*ret_at = at;
	*ret_why = why;
	return false;
}

static bool gate_parse(const char *text, uint8_t gate[32])
{
	return strlen(text) == GATE_TEXT && base64_parse(text, GATE_TEXT, gate, 32) && !sodium_is_zero(gate, 32);
}

bool root_line_parse(const char *text, struct root_line *ret, size_t *ret_at, const char **ret_why)
{
	char buf[ROOT_LINE_MAX];
	struct root_line line = {0};
	size_t len = strnlen(text, sizeof(buf)), at = 0;
	bool ok = false;
	if (len == sizeof(buf))
		return refuse(sizeof(buf) - 1, "a root line has at most 511 characters", ret_at, ret_why);
	memcpy(buf, text, len + 1);

	char *hash = strchr(buf, '#');
	if (hash) {
		size_t tag = sizeof(GATE_TAG) - 1;
		if (strncmp(hash, GATE_TAG, tag)) {
			refuse((size_t)(hash - buf), "after '#' only gate=KEY may follow", ret_at, ret_why);
			goto out;
		}
		if (!gate_parse(hash + tag, line.gate)) {
			refuse((size_t)(hash - buf) + tag, "the gate is 43 characters of base64url; copy the root's line anew", ret_at,
			       ret_why);
			goto out;
		}
		*hash = 0;
	}
	char *part = strchr(buf, '@');
	if (!part) {
		refuse(strlen(buf), "add '@' and the address of the root, like @192.0.2.1:9993", ret_at, ret_why);
		goto out;
	}
	*part++ = 0;
	if (!identity_parse(buf, &line.identity)) {
		refuse(0,
		       "an identity looks like fln1:<10 hex>:<86 characters>; copy the root's line "
		       "anew",
		       ret_at, ret_why);
		goto out;
	}
	for (char *next; part; part = next) {
		at = (size_t)(part - buf);
		next = strchr(part, ',');
		if (next)
			*next++ = 0;
		if (line.n_endpoints == ROOT_ENDPOINTS_MAX) {
			refuse(at, "a root has at most 4 addresses", ret_at, ret_why);
			goto out;
		}
		if (!endpoint_parse(part, &line.endpoints[line.n_endpoints++])) {
			refuse(at, "an address looks like 192.0.2.1:9993 or [2001:db8::1]:9993", ret_at, ret_why);
			goto out;
		}
	}
	*ret = line;
	ok = true;
out:
	sodium_memzero(buf, sizeof(buf)); /* a gate may have stood here */
	sodium_memzero(&line, sizeof(line));
	return ok;
}

size_t root_line_format(const struct root_line *line, char *buf, size_t room)
{
	char whole[ROOT_LINE_MAX], endpoint[ENDPOINT_TEXT_MAX], gate[GATE_TEXT + 1];
	identity_format(&line->identity, whole);
	size_t n = strlen(whole);
	for (unsigned i = 0; i < line->n_endpoints && i < ROOT_ENDPOINTS_MAX; i++) {
		endpoint_format(&line->endpoints[i], endpoint, sizeof(endpoint));
		n += (size_t)snprintf(whole + n, sizeof(whole) - n, "%c%s", i ? ',' : '@', endpoint);
	}
	if (!sodium_is_zero(line->gate, sizeof(line->gate))) {
		sodium_bin2base64(gate, sizeof(gate), line->gate, sizeof(line->gate), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
		n += (size_t)snprintf(whole + n, sizeof(whole) - n, GATE_TAG "%s", gate);
		sodium_memzero(gate, sizeof(gate));
	}
	if (n < room)
		memcpy(buf, whole, n + 1);
	sodium_memzero(whole, sizeof(whole));
	return n < room ? n : 0;
}
