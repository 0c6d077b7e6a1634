/* options.c: one pass over argv, against one table.
 *
 * An option is known or an error, never passed on: a misspelt --home must not make a daemon run on the system's files. What
 * is misspelt by a letter or two is answered with what was probably meant. getopt_long is not used because it takes
 * abbreviations (which turn into other options when new ones come) and prints its own messages.
 */
#include "ui/options.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/log.h"

#define NAME_MAX_NEAR 32 /* longer words are no misspelt name of ours */
#define NAMES_MAX     64

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edit distance with transposed neighbours as one step (Damerau 1964, the restricted form). */
static size_t distance(const char *a, const char *b)
{
	size_t d[NAME_MAX_NEAR + 1][NAME_MAX_NEAR + 1];
	size_t n = strlen(a), m = strlen(b);
	if (n > NAME_MAX_NEAR || m > NAME_MAX_NEAR)
		return NAME_MAX_NEAR;
	for (size_t i = 0; i <= n; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		for (size_t j = 1; j <= m; j++) {
			d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[n][m];
}

const char *options_near(const char *wrong, const char *const *names)
{
	const char *best = NULL;
	size_t limit = strlen(wrong) < 3 ? 1 : strlen(wrong) < 6 ? 2 : 3, best_d = limit + 1;
	for (unsigned i = 0; i < NAMES_MAX && names[i]; i++) {
		size_t d = distance(wrong, names[i]);
		/* a word of nothing but changes is not near */
		if (d < best_d && d < strlen(names[i])) {
			best = names[i];
			best_d = d;
		}
	}
	return best;
}

static bool unknown(const struct option *table, const char *name, char why[OPTIONS_WHY])
{
	const char *names[NAMES_MAX + 1] = {NULL};
	char shown[128];
	for (unsigned i = 0; i < NAMES_MAX && table[i].name; i++)
		names[i] = table[i].name;
	const char *near = options_near(name, names);
	log_text(shown, sizeof(shown), name, strlen(name));
	if (near)
		snprintf(why, OPTIONS_WHY, "unknown option --%s; did you mean --%s?", shown, near);
	else
		snprintf(why, OPTIONS_WHY, "unknown option --%s; --help lists them", shown);
	return false;
}

static const struct option *by_name(const struct option *table, const char *name, size_t len)
{
	for (; table->name; table++)
		if (strlen(table->name) == len && !memcmp(table->name, name, len))
			return table;
	return NULL;
}

static const struct option *by_letter(const struct option *table, char letter)
{
	for (; table->name; table++)
		if (table->letter && table->letter == letter)
			return table;
	return NULL;
}

static bool take(struct options *ret, const struct option *option, const char *value, char why[OPTIONS_WHY])
{
	if (ret->n_given == OPTIONS_GIVEN_MAX) {
		snprintf(why, OPTIONS_WHY, "more than %d options; put roots into a file: --add-root @FILE", OPTIONS_GIVEN_MAX);
		return false;
	}
	ret->given[ret->n_given].option = option;
	ret->given[ret->n_given++].value = value;
	return true;
}

/* The option of argv[*at], with its value taken from behind '=', from the letter's own word or from the next word. */
static bool one(struct options *ret, const struct option *table, int argc, char *const *argv, int *at, char why[OPTIONS_WHY])
{
	const char *word = argv[*at], *value = NULL;
	const struct option *option;
	char shown[128];
	if (word[1] == '-') {
		const char *equals = strchr(word, '=');
		size_t len = equals ? (size_t)(equals - word - 2) : strlen(word + 2);
		option = by_name(table, word + 2, len);
		if (!option) {
			snprintf(shown, sizeof(shown), "%.*s", (int)(len < 100 ? len : 100), word + 2);
			return unknown(table, shown, why);
		}
		value = equals ? equals + 1 : NULL;
	} else {
		option = by_letter(table, word[1]);
		if (!option) {
			log_text(shown, sizeof(shown), word, strlen(word));
			snprintf(why, OPTIONS_WHY, "unknown option %s; --help lists them", shown);
			return false;
		}
		value = word[2] ? word + 2 : NULL;
	}
	if (!option->arg && value) {
		snprintf(why, OPTIONS_WHY, "--%s takes no value", option->name);
		return false;
	}
	if (option->arg && !value) {
		if (*at + 1 >= argc) {
			snprintf(why, OPTIONS_WHY, "--%s needs a value: --%s %s", option->name, option->name, option->arg);
			return false;
		}
		value = argv[++*at];
	}
	return take(ret, option, value, why);
}

bool options_parse(struct options *ret, const struct option *table, int argc, char *const *argv, char why[OPTIONS_WHY])
{
	struct options options = {0};
	bool ended = false;
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];
		if (!ended && !strcmp(word, "--")) {
			ended = true;
		} else if (!ended && word[0] == '-' && word[1]) {
			if (!one(&options, table, argc, argv, &i, why))
				return false;
		} else if (options.n_words == OPTIONS_WORDS_MAX) {
			snprintf(why, OPTIONS_WHY, "more than %d words", OPTIONS_WORDS_MAX);
			return false;
		} else {
			options.words[options.n_words++] = word;
		}
	}
	*ret = options;
	return true;
}

bool options_has(const struct options *options, const char *name)
{
	for (unsigned i = 0; i < options->n_given; i++)
		if (!strcmp(options->given[i].option->name, name))
			return true;
	return false;
}

const char *options_value(const struct options *options, const char *name)
{
	for (unsigned i = options->n_given; i-- > 0;)
		if (!strcmp(options->given[i].option->name, name))
			return options->given[i].value;
	return NULL;
}

void options_print(const struct option *table)
{
	for (; table->name; table++) {
		char left[64];
		int n = table->letter ? snprintf(left, sizeof(left), "-%c, ", table->letter) : snprintf(left, sizeof(left), "    ");
		snprintf(left + n, sizeof(left) - (size_t)n, "--%s%s%s", table->name, table->arg ? " " : "", table->arg ? table->arg : "");
		printf("  %-28s %s\n", left, table->help);
	}
}
