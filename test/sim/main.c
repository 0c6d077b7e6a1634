/* main.c: runs scenarios: `sim [--list] [--scenario NAME] [--seed N] [--seeds N] [--from N]`; the last line is "N passed, N failed". */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/sim/sim.h"

static const struct scenario *const lists[] = {scenarios_basic,     scenarios_handshake, scenarios_network,  scenarios_long,
                                               scenarios_discovery, scenarios_path,      scenarios_roots,    scenarios_relay,
                                               scenarios_fallback,  scenarios_hostile,   scenarios_approval, scenarios_lan,
                                               scenarios_invite,    scenarios_crowd,     scenarios_shards};

struct choice {
	const char *name; /* NULL = all */
	uint64_t from;
	unsigned seeds; /* 0 = each scenario's own number */
	bool list;
};

static int usage(void)
{
	fputs("usage: sim [--list] [--scenario NAME] [--seed N | --from N] [--seeds N]\n", stderr);
	return 2;
}

static bool number(const char *text, uint64_t *ret)
{
	char *end;
	if (!text || *text < '0' || *text > '9')
		return false;
	*ret = strtoull(text, &end, 10);
	return !*end;
}

static bool options(int argc, char **argv, struct choice *c)
{
	for (int i = 1; i < argc; i++) {
		uint64_t n;
		const char *value = argv[i + 1]; /* argv ends with NULL */
		if (!strcmp(argv[i], "--list")) {
			c->list = true;
		} else if (!strcmp(argv[i], "--scenario") && value) {
			c->name = argv[++i];
		} else if (!strcmp(argv[i], "--seed") && number(value, &n)) {
			c->from = n;
			c->seeds = 1;
			i++;
		} else if (!strcmp(argv[i], "--from") && number(value, &n)) {
			c->from = n;
			i++;
		} else if (!strcmp(argv[i], "--seeds") && number(value, &n) && n && n <= 1000000) {
			c->seeds = (unsigned)n;
			i++;
		} else {
			return false;
		}
	}
	return true;
}

static unsigned passed, failed;

static void scenario_run(const struct scenario *s, const struct choice *c)
{
	unsigned seeds = c->seeds ? c->seeds : s->seeds, bad = 0;
	for (uint64_t seed = c->from; seed < c->from + seeds; seed++) {
		char why[256] = "";
		s->run(seed, why);
		if (!*why)
			continue;
		printf("FAILED %s --seed %" PRIu64 ": %s\n", s->name, seed, why);
		bad++;
	}
	printf("%s: %s, %u seed%s from %" PRIu64 "\n", s->name, bad ? "FAILED" : "ok", seeds, seeds == 1 ? "" : "s", c->from);
	fflush(stdout);
	failed += bad;
	passed += seeds - bad;
}

int main(int argc, char **argv)
{
	struct choice c = {.from = 1};
	bool found = false;
	uint64_t n;
	if (argc == 3 && !strcmp(argv[1], "--identities") && number(argv[2], &n) && n <= 1000) {
		random_seed(NULL);
		identities_print((unsigned)n);
		return 0;
	}
	if (!options(argc, argv, &c))
		return usage();
	random_seed(NULL);
	log_level_set(getenv("SIM_LOG") ? LOG_DEBUG : LOG_ERROR);
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		for (const struct scenario *s = lists[i]; s->name; s++) {
			if (c.name && strcmp(c.name, s->name))
				continue;
			found = true;
			if (c.list)
				printf("%-16s %s\n", s->name, s->what);
			else
				scenario_run(s, &c);
		}
	if (!found)
		return usage();
	if (!c.list)
		printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
