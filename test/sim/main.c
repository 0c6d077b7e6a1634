/* main.c: runs scenarios: `sim [--list] [--scenario NAME] [--seed N] [--seeds N] [--from N] [--jobs N]`; the last line is "N passed, N failed".
 *
 * A scenario is decided by its seed alone, so they run in as many processes as there are cores, each taking the next one. A process that
 * dies is a failure, and those it had not come to are taken by the others.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/sim/sim.h"

static const struct scenario *const lists[] = {scenarios_basic,     scenarios_handshake, scenarios_network,  scenarios_long,
                                               scenarios_discovery, scenarios_path,      scenarios_roots,    scenarios_relay,
                                               scenarios_fallback,  scenarios_hostile,   scenarios_approval, scenarios_lan,
                                               scenarios_invite,    scenarios_crowd,     scenarios_shards};

#define JOBS_MAX 64

struct choice {
	const char *name; /* NULL = all */
	uint64_t from;
	unsigned seeds; /* 0 = each scenario's own number */
	unsigned jobs;
	bool list;
};

/* What the processes share. */
struct tally {
	_Atomic unsigned next, passed, failed; /* next: of the scenarios, in their order */
};

static int usage(void)
{
	fputs("usage: sim [--list] [--scenario NAME] [--seed N | --from N] [--seeds N] [--jobs N]\n", stderr);
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
		} else if (!strcmp(argv[i], "--jobs") && number(value, &n) && n && n <= JOBS_MAX) {
			c->jobs = (unsigned)n;
			i++;
		} else {
			return false;
		}
	}
	return true;
}

static void scenario_run(const struct scenario *s, const struct choice *c, struct tally *tally)
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
	tally->failed += bad;
	tally->passed += seeds - bad;
}

static void jobs_run(const struct scenario *const *list, unsigned n, const struct choice *c, struct tally *tally)
{
	fflush(stdout);
	for (unsigned i = 0; i < c->jobs; i++) {
		pid_t pid = fork();
		if (pid < 0)
			tally->failed++;
		if (pid)
			continue;
		for (unsigned k; (k = tally->next++) < n;)
			scenario_run(list[k], c, tally);
		exit(0);
	}
	for (int status; wait(&status) > 0;)
		if (!WIFEXITED(status) || WEXITSTATUS(status)) {
			printf("FAILED: a process ended by %s %d\n", WIFEXITED(status) ? "exit" : "signal",
			       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
			tally->failed++;
		}
}

int main(int argc, char **argv)
{
	struct choice c = {.from = 1, .jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN)};
	const struct scenario *chosen[512];
	unsigned found = 0;
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
		for (const struct scenario *s = lists[i]; s->name && found < sizeof chosen / sizeof *chosen; s++)
			if (!c.name || !strcmp(c.name, s->name))
				chosen[found++] = s;
	if (!found)
		return usage();
	for (unsigned i = 0; c.list && i < found; i++)
		printf("%-16s %s\n", chosen[i]->name, chosen[i]->what);
	if (c.list)
		return 0;
	struct tally *tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED)
		return 1;
	if (found == 1)
		scenario_run(chosen[0], &c, tally); /* in this process: for debuggers */
	else
		jobs_run(chosen, found, &c, tally);
	printf("%u passed, %u failed\n", tally->passed, tally->failed);
	return tally->failed ? 1 : 0;
}
