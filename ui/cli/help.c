/* help.c: help, synopsis and completion, all told by the table.
 *
 * The completion is a script without calls into the program: it works where farlan is slow to start, and the file in
 * contrib/ can be installed without running anything (a unit check holds the two together).
 */
#include "ui/cli/help.h"

#include <string.h>

static const char *const services[] = {
    [SERVICE_NONE] = "Works without a daemon.",
    [SERVICE_NODE] = "Asks farland.",
    [SERVICE_CONTROLLER] = "Asks farlan-controller.",
    [SERVICE_EITHER] = "Asks farland, or farlan-controller where that one runs.",
};

static bool is_general(const struct option *option)
{
	const struct verb none = {.options = ""};
	return verb_takes(&none, option);
}

void help_synopsis(const struct verb *verb, char buf[SYNOPSIS_MAX])
{
	size_t n = (size_t)snprintf(buf, SYNOPSIS_MAX, "%s%s%s", verb->name, *verb->args ? " " : "", verb->args);
	for (const struct option *o = cli_options; o->name && n < SYNOPSIS_MAX; o++)
		if (!is_general(o) && verb_takes(verb, o))
			n += (size_t)snprintf(buf + n, SYNOPSIS_MAX - n, " [%s%s%s%s]", o->letter ? "-" : "--",
			                      o->letter ? (char[]){o->letter, 0} : o->name, o->arg ? " " : "", o->arg ? o->arg : "");
}

static void print_options(FILE *out, const struct verb *verb)
{
	for (const struct option *o = cli_options; o->name; o++) {
		char left[64], letter[8] = "    ";
		if (verb ? is_general(o) || !verb_takes(verb, o) : !is_general(o))
			continue;
		if (o->letter)
			snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
		fprintf(out, "  %-26s %s\n", left, o->help);
	}
}

void help_verb(FILE *out, const struct verb *verb)
{
	char line[SYNOPSIS_MAX];
	help_synopsis(verb, line);
	fprintf(out, "usage: farlan [--home DIR] %s\n\n%s: %s.\n%s\n", line, verb->name, verb->help, services[verb->service]);
	if (*verb->options) {
		fprintf(out, "\n");
		print_options(out, verb);
	}
}

static void print_group(FILE *out, const char *title, unsigned services_shown)
{
	fprintf(out, "\n%s\n", title);
	for (const struct verb *verb = verbs; verb->name; verb++) {
		char left[80];
		if (!(services_shown & 1u << verb->service))
			continue;
		snprintf(left, sizeof(left), "%s %s", verb->name, verb->args);
		fprintf(out, "  %-28s %s\n", left, verb->help);
	}
}

void help_all(FILE *out)
{
	fprintf(out, "usage: farlan [--home DIR] [VERB] [WORD]... [OPTION]...\n");
	print_group(out, "this machine (farland):", 1u << SERVICE_NODE | 1u << SERVICE_EITHER);
	print_group(out, "networks it controls (farlan-controller):", 1u << SERVICE_CONTROLLER);
	print_group(out, "without a daemon:", 1u << SERVICE_NONE);
	fprintf(out, "\noptions, anywhere on the line:\n");
	print_options(out, NULL);
	fprintf(out, "\nfarlan help VERB says more. Exit: 0 ok, 1 failed, 2 usage, 3 no daemon, 4 permission, 5 not found,\n"
	             "6 pending or time-out, 7 refused, 8 conflict, 130 interrupted.\n");
}

/* ---- completion ---- */

static bool is_first_of_group(const struct verb *verb, size_t len)
{
	for (const struct verb *v = verbs; v < verb; v++)
		if (!strncmp(v->name, verb->name, len) && (v->name[len] == ' ' || !v->name[len]))
			return false;
	return true;
}

/* The words that may follow nothing (group NULL) or the first word of a group. */
static void print_words(FILE *out, const char *group)
{
	const char *blank = "";
	for (const struct verb *verb = verbs; verb->name; verb++) {
		size_t len = strcspn(verb->name, " ");
		if (group && !strncmp(verb->name, group, len) && strlen(group) == len && verb->name[len]) {
			fprintf(out, "%s%s", blank, verb->name + len + 1);
			blank = " ";
		} else if (!group && is_first_of_group(verb, len)) {
			fprintf(out, "%s%.*s", blank, (int)len, verb->name);
			blank = " ";
		}
	}
}

static void print_value_options(FILE *out, const char *arg, const char *reply)
{
	const char *bar = "";
	fprintf(out, "\t");
	for (const struct option *o = cli_options; o->name; o++) {
		if (!o->arg || (arg && strcmp(o->arg, arg) != 0))
			continue;
		if (o->letter)
			fprintf(out, "%s-%c", bar, o->letter), bar = " | ";
		fprintf(out, "%s--%s", bar, o->name);
		bar = " | ";
	}
	fprintf(out, ") %s ;;\n", reply);
}

static void print_verb_cases(FILE *out)
{
	for (const struct verb *verb = verbs; verb->name; verb++) {
		size_t len = strcspn(verb->name, " ");
		if (verb->name[len] && is_first_of_group(verb, len)) {
			char group[32];
			snprintf(group, sizeof(group), "%.*s", (int)len, verb->name);
			fprintf(out, "\t\"%s\") words=\"", group);
			print_words(out, group);
			fprintf(out, "\" ;;\n");
		}
		fprintf(out, "\t\"%s\"*) options=\"", verb->name);
		for (const struct option *o = cli_options; o->name; o++)
			if (!is_general(o) && verb_takes(verb, o))
				fprintf(out, "--%s ", o->name);
		fprintf(out, "\"");
		if (!strcmp(verb->name, "help")) {
			fprintf(out, " words=\"");
			print_words(out, NULL);
			fprintf(out, "\"");
		}
		fprintf(out, " ;;\n");
	}
}

void help_completion_bash(FILE *out)
{
	fprintf(out, "# bash completion of farlan: the output of \"farlan completion bash\"\n"
	             "_farlan()\n{\n"
	             "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
	             "\tlocal said= words= options= i skip=\n"
	             "\tcase $prev in\n");
	print_value_options(out, "DIR", "COMPREPLY=($(compgen -d -- \"$cur\")); return");
	print_value_options(out, "FILE", "COMPREPLY=($(compgen -f -- \"$cur\")); return");
	print_value_options(out, "FORMAT", "COMPREPLY=($(compgen -W \"table json jsonl\" -- \"$cur\")); return");
	print_value_options(out, "on|off", "COMPREPLY=($(compgen -W \"on off\" -- \"$cur\")); return");
	print_value_options(out, NULL, "return");
	fprintf(out, "\tesac\n"
	             "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	             "\t\tif [[ $skip ]]; then skip=; continue; fi\n"
	             "\t\tcase ${COMP_WORDS[i]} in\n\t");
	print_value_options(out, NULL, "skip=1");
	fprintf(out, "\t\t-*) ;;\n"
	             "\t\t*) said=\"${said:+$said }${COMP_WORDS[i]}\" ;;\n"
	             "\t\tesac\n"
	             "\tdone\n"
	             "\tcase $said in\n"
	             "\t\"\") words=\"");
	print_words(out, NULL);
	fprintf(out, "\" ;;\n");
	print_verb_cases(out);
	fprintf(out, "\tesac\n"
	             "\tCOMPREPLY=($(compgen -W \"$words $options");
	for (const struct option *o = cli_options; o->name; o++)
		if (is_general(o))
			fprintf(out, "--%s ", o->name);
	fprintf(out, "\" -- \"$cur\"))\n}\ncomplete -F _farlan farlan\n");
}

int run_completion_bash(struct call *call)
{
	(void)call;
	help_completion_bash(stdout);
	return EXIT_OK;
}

int run_version(struct call *call)
{
	(void)call;
	printf("farlan %s\n", FARLAN_VERSION);
	return EXIT_OK;
}

int run_help(struct call *call)
{
	unsigned used;
	const struct verb *verb = call->n_words ? verb_find(call->words, call->n_words, &used) : NULL;
	if (verb) {
		help_verb(stdout, verb);
		return EXIT_OK;
	}
	if (!call->n_words) {
		help_all(stdout);
		return EXIT_OK;
	}
	/* A group alone: its verbs, one after the other. */
	size_t len = strlen(call->words[0]);
	bool any = false;
	for (verb = verbs; verb->name; verb++) {
		char line[SYNOPSIS_MAX];
		if (strncmp(verb->name, call->words[0], len) != 0 || verb->name[len] != ' ')
			continue;
		help_synopsis(verb, line);
		printf("farlan [--home DIR] %s\n    %s\n", line, verb->help);
		any = true;
	}
	return any ? EXIT_OK : complain(EXIT_USAGE, "there is no such verb; farlan --help lists them");
}
