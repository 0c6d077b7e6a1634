/* crowd.c: one controller with ten thousand members, five hundred of them online: what joins, lists, approvals and an hour cost it.
 *
 * The controller is the real one with its database on disk and its API; members are those of crowd_bed.h. Times are the machine's, but for the
 * hour, which is virtual. What other members do at the same time (fetching what changed) is done in between, as it would be.
 *
 *	crowd [-m MEMBERS] [-o ONLINE] [-k HOME]    -k: leave the home folder there, for farlan-controller --home HOME (crowd.sh)
 */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/invite.h"
#include "test/bench/crowd_bed.h"
#include "ui/controller_api.h"

#define JOINS_A_TURN 32 /* that come while the turn before is being written */
#define APPROVALS    200
#define HOUR_S       3600

static unsigned members = 10000, online = 500;
static char dir[512];

static double rss_mb(void)
{
	unsigned long size, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	bed_require(f && fscanf(f, "%lu %lu", &size, &resident) == 2);
	fclose(f);
	return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static int order(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

/* Median and the one of a hundred, in ms, of n seconds. */
static void told(const char *what, double *s, unsigned n)
{
	bed_require(n);
	qsort(s, n, sizeof(*s), order);
	printf("%-46s %8.2f ms median %8.2f ms p99\n", what, s[n / 2] * 1e3, s[n - 1 - n / 100] * 1e3);
}

static void quiet(void)
{
	for (unsigned i = 0; i < 20; i++) /* the slowest edition waits five seconds */
		bed_turn(1000);
	while (bed_turn(10))
		;
}

/* ---- joins ------------------------------------------------------------------------------------------------------ */

static struct invite_key key;

/* With the proof by an invitation, which is bound to the session; here each session has the same secret. */
static void proof(struct seat *s, struct body_join_req *req)
{
	req->invite = key.id;
	invite_sign(key.seed, bed.exporter, bed.nwid, s->identity.key_hash, req->proof);
}

static void fill(void)
{
	struct network_settings network = {
	    .set = SET_NET_NAME | SET_NET_POOL, .name = "crowd", .pool = {.family = 4, .bits = 16, .ip = {10, 20}}};
	struct controller_limits limits = {.members = MEMBERS_MAX};
	struct invite_row invite;
	struct admin_error e;
	controller_limits_set(bed.c, &limits);
	bed_require(!controller_network_create(bed.c, &network, &bed.nwid, &e));
	bed_require(!controller_invite_create(bed.c, bed.nwid, &(struct invite_terms){.name = "crowd"}, 0, &key, &invite, &e));
	bed.join = proof;
	double since = bed_clock();
	for (unsigned n = 0; n < members;) {
		unsigned first = n;
		for (; n < members && n < first + JOINS_A_TURN; n++) {
			bed_online(bed_seat(), true);
			bed_join(&bed.seat[n]);
		}
		bed_turn(20);
		for (unsigned i = first; i < n; i++) {
			bed_require(bed.seat[i].answer == JOIN_OK);
			if (i >= online)
				bed_online(&bed.seat[i], false);
		}
	}
	double took = bed_clock() - since;
	printf("%-46s %8.2f s      %8.0f joins/s, %.2f s in the controller, %.0f MB of blobs fetched\n", "joins", took, members / took,
	       bed.busy, (double)bed.bytes / 1e6);
	bed.join = NULL;
	quiet();
	printf("%-46s %8.1f MB\n", "resident when all are in", rss_mb());
}

/* ---- lists ------------------------------------------------------------------------------------------------------ */

static size_t drain(struct reply *reply)
{
	static char buf[1 << 16];
	size_t n = reply->body_len;
	for (ssize_t k = 0; reply->more && (k = reply->more(reply->stream, buf, sizeof(buf))) != -1; n += (size_t)k)
		bed_require(k >= 0);
	return n;
}

static void list(const char *what, const char *query, const char *value)
{
	static struct access access;
	static const struct visitor visitor = {.by = VISITOR_LOCAL};
	struct controller_api api = {.controller = bed.c, .self = &bed.self.self, .access = &access, .visitor = &visitor, .now = bed.now};
	double took[15];
	size_t bytes = 0;
	char path[64];
	clock_t began = clock();
	snprintf(path, sizeof(path), "/v1/networks/%016llx/members", (unsigned long long)bed.nwid);
	for (unsigned i = 0; i < sizeof(took) / sizeof(*took); i++) {
		struct request request = {.method = METHOD_GET, .local = true, .path = path, .body = ""};
		struct reply reply = {0};
		if (query)
			request.query[request.n_query++] = (struct query_argument){query, value};
		double since = bed_clock();
		controller_api_serve(&api, &request, &reply);
		bytes = drain(&reply);
		took[i] = bed_clock() - since;
		bed_require(reply.status == 200);
		reply_fini(&reply);
	}
	told(what, took, sizeof(took) / sizeof(*took));
	printf("%-46s %8.2f ms of the processor, %zu bytes\n", "",
	       (double)(clock() - began) * 1e3 / CLOCKS_PER_SEC / (double)(sizeof(took) / sizeof(*took)), bytes);
}

/* ---- decisions -------------------------------------------------------------------------------------------------- */

static const struct seat *newcomer;
static double papers_at, whole_at;

static void granted(struct seat *s)
{
	if (s == newcomer && papers_at == 0)
		papers_at = bed_clock();
}

static void whole(struct seat *s)
{
	if (s == newcomer && whole_at == 0)
		whole_at = bed_clock();
}

static void approvals(void)
{
	static double papers[APPROVALS], all[APPROVALS];
	struct admin_error e;
	bed.granted = granted;
	bed.whole = whole;
	for (unsigned i = 0; i < APPROVALS; i++) {
		struct seat *s = bed_seat();
		bed_online(s, true);
		bed_join(s);
		bed_turn(50);
		bed_require(s->answer == JOIN_PENDING);
		newcomer = s;
		papers_at = whole_at = 0;
		double since = bed_clock();
		bed_require(!controller_member_approve(bed.c, bed.nwid, s->identity.address, NULL, &e));
		for (unsigned k = 0; whole_at == 0 && k < 10000; k++)
			bed_turn(1);
		bed_require(papers_at > 0 && whole_at > 0);
		papers[i] = papers_at - since;
		all[i] = whole_at - since;
		bed_online(s, false);
		bed_turn(500);
	}
	bed.granted = bed.whole = NULL;
	told("approve to papers delivered", papers, APPROVALS);
	told("approve to the whole configuration held", all, APPROVALS);
}

static void revocation(void)
{
	struct admin_error e;
	struct seat *goes = &bed.seat[online + 1], *last = NULL;
	quiet();
	uint64_t before = bed.seat[0].version, since_ms = bed.now;
	bed_require(!controller_member_revoke(bed.c, bed.nwid, goes->identity.address, NULL, &e));
	double since = bed_clock();
	uint64_t bytes = bed.bytes;
	do {
		bed_turn(5);
		last = NULL;
		for (unsigned i = 0; i < online && !last; i++)
			if (bed.seat[i].online && bed.seat[i].version <= before)
				last = &bed.seat[i];
		bed_require(bed.now - since_ms < 5000);
	} while (last);
	printf("%-46s %8llu ms virtual, %.0f ms of work, %.1f kB for each\n", "revoke to held by all who are online",
	       (unsigned long long)(bed.now - since_ms), (bed_clock() - since) * 1e3, (double)(bed.bytes - bytes) / 1e3 / online);
}

/* Everybody renews once, a member changes each minute, and the controller does what it does by the hour. */
static void hour(unsigned which)
{
	struct admin_error e;
	double before = bed.busy, rss = rss_mb();
	for (unsigned s = 0, next = 0; s < HOUR_S; s++) {
		for (; next < members * (uint64_t)(s + 1) / HOUR_S; next++) {
			struct seat *m = &bed.seat[next];
			bool was = m->online;
			if (!was)
				bed_online(m, true);
			bed_join(m);
			if (!was)
				m->online = false; /* it has other things to do than to fetch */
		}
		if (s % 60 == 30) {
			struct member_settings name = {.set = SET_MEMBER_NAME};
			snprintf(name.name, sizeof(name.name), "renamed in %u", s);
			bed_require(!controller_member_set(bed.c, bed.nwid, bed.seat[s % members].identity.address, &name, &e));
		}
		bed_turn(1000);
		for (unsigned i = next > 64 ? next - 64 : 0; i < next; i++)
			if (!bed.seat[i].online)
				controller_online(bed.c, bed.seat[i].identity.key_hash, false, bed.now, bed.wall);
	}
	printf("hour %u: %5.1f s in the controller %*s %8.1f MB resident, %+.1f MB\n", which, bed.busy - before, 11, "", rss_mb(),
	       rss_mb() - rss);
}

/* ---- the program ------------------------------------------------------------------------------------------------ */

static void home_new(void)
{
	if (!*dir)
		snprintf(dir, sizeof(dir), "%s/farlan-crowd-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (strstr(dir, "XXXXXX"))
		bed_require(mkdtemp(dir));
	else
		bed_require(!mkdir(dir, 0700));
}

/* For the program that is to open the database. */
static void identity_leave(void)
{
	char path[600], text[SECRET_TEXT_MAX];
	size_t len = secret_format(&bed.self, text, sizeof(text));
	snprintf(path, sizeof(path), "%s/identity.secret", dir);
	FILE *f = fopen(path, "wx");
	bed_require(len && f && !chmod(path, 0600) && fwrite(text, len, 1, f) == 1 && !fclose(f));
}

static void home_end(void)
{
	char path[1024];
	DIR *d = opendir(dir);
	for (struct dirent *entry; d && (entry = readdir(d));) {
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

int main(int argc, char **argv)
{
	bool keep = false;
	for (int c; (c = getopt(argc, argv, "m:o:k:")) != -1;) {
		if (c == 'm')
			members = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'o')
			online = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'k' && (keep = true))
			snprintf(dir, sizeof(dir), "%s", optarg);
		else
			return 2;
	}
	bed_require(members >= 100 && members <= MEMBERS_MAX - APPROVALS && online >= 1 && online <= members / 2);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("%u members, %u online\n", members, online);
	home_new();
	bed_open(dir);
	fill();
	list("a page of 100 members", "limit", "100");
	list("all members", NULL, NULL);
	approvals();
	revocation();
	hour(1);
	hour(2);
	controller_close(bed.c);
	if (keep)
		identity_leave();
	else
		home_end();
	return 0;
}
