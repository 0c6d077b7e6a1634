/* options.h: command-line options that may stand anywhere, for all three programs.
 *
 * "--name VALUE", "--name=VALUE", "-x VALUE", "-xVALUE"; "--" ends them. Pure. Values and words are borrowed from argv.
 */
#ifndef FARLAN_UI_OPTIONS_H
#define FARLAN_UI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#define OPTIONS_GIVEN_MAX 64
#define OPTIONS_WORDS_MAX 128
#define OPTIONS_WHY       512

struct option {
	const char *name; /* without "--" */
	char letter;      /* "-o"; 0 = none */
	const char *arg;  /* "FILE", "on|off"; NULL = a flag */
	const char *help;
};

struct options {
	struct {
		const struct option *option;
		const char *value; /* NULL for a flag */
	} given[OPTIONS_GIVEN_MAX];
	unsigned n_given;
	const char *words[OPTIONS_WORDS_MAX];
	unsigned n_words;
};

/* table ends with a NULL name; argv[0] is skipped. false with a sentence in why. */
bool options_parse(struct options *ret, const struct option *table, int argc, char *const *argv, char why[OPTIONS_WHY]);
bool options_has(const struct options *, const char *name);
const char *options_value(const struct options *, const char *name); /* the last one; NULL if absent */
/* "  --name ARG   help" lines, for --help. */
void options_print(const struct option *table);
/* The nearest of the names (ends with NULL) within a distance that a typing error makes; NULL if none is near. */
const char *options_near(const char *wrong, const char *const *names);

#endif
