/* value.c: reading a rate.
 *
 * It is written by people and by programs, so there is one form: no blanks, no signs, no fractions, decimal thousands.
 */
#include "ui/value.h"

#include <string.h>

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
