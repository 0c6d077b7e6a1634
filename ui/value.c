/* value.c: reading a gate, a rate, a duration and a prefix.
 *
 * They are written by people and by programs, so there is one form of each: no blanks, no signs, no fractions, decimal thousands.
 */
#include "ui/value.h"

#include <stdio.h>
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

static const struct {
	char letter;
	unsigned seconds;
} durations[] = {{'w', 7 * 86400}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

bool value_duration(const char *text, uint64_t *ret)
{
	uint64_t n = 0;
	size_t len = strspn(text, "0123456789");
	unsigned unit = text[len] ? 0 : 1;
	for (size_t i = 0; i < len && n <= DURATION_MOST; i++)
		n = 10 * n + (uint64_t)(text[i] - '0');
	for (size_t i = 0; text[len] && !text[len + 1] && i < sizeof(durations) / sizeof(durations[0]); i++)
		if (text[len] == durations[i].letter)
			unit = durations[i].seconds;
	if (!n || !unit || n > DURATION_MOST / unit)
		return false;
	*ret = n * unit;
	return true;
}

void duration_format(uint64_t seconds, char ret[DURATION_TEXT])
{
	size_t i = 1; /* from days on: weeks are how some people give it, days are how all read it */
	while (i < 4 && seconds < 2 * (uint64_t)durations[i].seconds)
		i++;
	uint64_t whole = seconds / durations[i].seconds, rest = seconds % durations[i].seconds;
	uint64_t part = i < 4 ? rest / durations[i + 1].seconds : 0;
	if (part)
		snprintf(ret, DURATION_TEXT, "%llu%c %llu%c", (unsigned long long)whole, durations[i].letter, (unsigned long long)part,
		         durations[i + 1].letter);
	else
		snprintf(ret, DURATION_TEXT, "%llu%c", (unsigned long long)whole, durations[i].letter);
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
