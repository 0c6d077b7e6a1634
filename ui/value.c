/* value.c: reading a gate, a rate and a prefix.
 *
 * They are written by people and by programs, so there is one form of each: no blanks, no signs, no fractions, decimal thousands.
 */
#include "ui/value.h"

#include <string.h>

#include "proto/ident.h"

bool value_gate(const char *text, uint8_t ret[32])
{
	uint8_t gate[32] = {0}, any = 0;
	size_t len = strlen(text);
	bool good = len == 43 && base64_parse(text, len, gate, sizeof(gate));
	for (unsigned i = 0; i < sizeof(gate); i++)
		any |= gate[i];
	good = good && any;
	if (good)
		memcpy(ret, gate, sizeof(gate));
	explicit_bzero(gate, sizeof(gate));
	return good;
}

bool value_rate(const char *text, uint64_t *ret)
{
	static const char units[] = "kMG";
	uint64_t n = 0;
	size_t len = strspn(text, "0123456789");
	for (size_t i = 0; i < len && n <= RATE_MOST; i++)
		n = 10 * n + (uint64_t)(text[i] - '0');
	const char *unit = text[len] ? strchr(units, text[len] == 'K' ? 'k' : text[len]) : NULL;
	if (!len || (text[len] && (!unit || text[len + 1])))
		return false;
	for (const char *u = units; unit && u <= unit && n <= RATE_MOST; u++)
		n *= 1000;
	if (n && (n < RATE_LEAST || n > RATE_MOST))
		return false;
	*ret = n;
	return true;
}

bool value_prefix(const char *text, struct prefix *ret)
{
	struct prefix p;
	if (!prefix_parse(text, false, &p))
		return false;
	if (!strchr(text, '/'))
		p.bits = p.family == 4 ? 32 : 128;
	if (!prefix_is_net(&p))
		return false;
	*ret = p;
	return true;
}
