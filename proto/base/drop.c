/* drop.c: the words and sentences of the verdicts, made from the one list in drop.h.
 *
 * Both tables are indexed by the enum, so a counter added to DROP_LIST appears here by itself. A
 * number from outside (an API client's, a newer program's) may be out of range and gets "?" instead
 * of a read past the table.
 */
#include "proto/base/drop.h"

static const char *const names[DROP_COUNT] = {
#define X(name, word, text) [DROP_##name] = word,
    DROP_LIST(X)
#undef X
};

static const char *const texts[DROP_COUNT] = {
#define X(name, word, text) [DROP_##name] = text,
    DROP_LIST(X)
#undef X
};

const char *drop_name(enum drop drop)
{
	return (unsigned)drop < DROP_COUNT ? names[drop] : "?";
}

const char *drop_text(enum drop drop)
{
	return (unsigned)drop < DROP_COUNT ? texts[drop] : "?";
}
