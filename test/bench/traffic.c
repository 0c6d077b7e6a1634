/* traffic.c: what 30 days of a network of a thousand members weigh in the controller's database, and what a report costs.
 *
 * Ends with 1 when the database is larger than it may be, goes on growing in the next month, or is not as full as it should be.
 *
 *	traffic [MEMBERS]
 */
#include <stdio.h>
#include <stdlib.h>

#include "test/bench/traffic_bed.h"

#define BYTES_MOST UINT64_C(200000000) /* with a thousand members */

static bool full(struct month *m)
{
	bool good = true;
	for (unsigned i = 0; i < TRAFFIC_RANGES; i++) {
		uint64_t member_us, network_us;
		unsigned member = month_told(m, m->members, (enum traffic_range)i, &member_us);
		unsigned network = month_told(m, 0, (enum traffic_range)i, &network_us);
		printf("%-4s %3u of %3u slots of a member, read in %5.1f ms; %3u of the network, with its 20 largest, in %5.1f ms\n",
		       traffic_rings[i].name, member, traffic_rings[i].slots, (double)member_us / 1000, network, (double)network_us / 1000);
		good = good && member >= traffic_rings[i].slots - 1 && network >= traffic_rings[i].slots - 1;
	}
	return good;
}

int main(int argc, char **argv)
{
	struct month m;
	uint64_t ns, last_ns, again_ns = 0;
	unsigned members = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000;
	srand(1);
	if (!members || members > MEMBERS_MAX || !month_open(&m, members) || !month_people(&m)) {
		fprintf(stderr, "traffic: the controller cannot be made\n");
		return 1;
	}
	uint64_t empty = month_bytes(&m);
	uint64_t reports = month_pass(&m, &ns, &last_ns), bytes = month_bytes(&m);
	double us = (double)last_ns / 1000 / (61.0 * members);
	printf("%u members, %lu reports: %.1f MB of database, of which %.1f MB are traffic\n", members, (unsigned long)reports,
	       (double)bytes / 1e6, (double)(bytes - empty) / 1e6);
	printf("%.1f us of CPU a report with full tables: %.2f %% of a core with one a minute of each\n", us, us * members / 60 / 1e4);
	bool good = full(&m) && !m.bad && bytes < BYTES_MOST * (members > 1000 ? members : 1000) / 1000;
	for (unsigned i = 0; i < 90; i++) /* a quarter of the next month */
		month_round(&m, 7200, &again_ns);
	uint64_t later = month_bytes(&m);
	printf("after a week more: %.1f MB\n", (double)later / 1e6);
	good = good && later < bytes + bytes / 50 + 1000000;
	month_close(&m);
	printf("%s\n", good ? "ok" : "FAILED");
	return !good;
}
