/* argument.h: what a list is asked with, read from the query of a request; a wrong argument is answered with 400 naming it.
 *
 * Control thread only. Absent arguments leave the output as it was; false: answered.
 */
#ifndef FARLAN_UI_ARGUMENT_H
#define FARLAN_UI_ARGUMENT_H

#include "ui/api.h"

bool argument_wrong(struct reply *, const char *name, const char *should); /* false, for its caller to return */
bool argument_count(const struct request *, struct reply *, const char *name, uint64_t max, uint64_t *ret); /* 1 to max */
bool argument_text(const struct request *, struct reply *, const char *name, char *ret, size_t room);
/* One of the words, which end with NULL, by its place. */
bool argument_word(const struct request *, struct reply *, const char *name, const char *const *words, const char *should, unsigned *ret);
/* Some of n names, with commas between: bits by their numbers, added to *ret. */
bool argument_names(const struct request *, struct reply *, const char *argument, const char *(*name)(unsigned), unsigned n,
                    const char *should, unsigned *ret);

#endif
