/* wire: a cable between two network namespaces that delays, loses, reorders, doubles and throttles frames.
 *
 *     wire --a-netns NAME --a-dev DEV --b-netns NAME --b-dev DEV [--seed N] [--dev-mtu N] [--stats] [IMPAIRMENT...]
 *
 * It makes a TAP device in each namespace, brings them up, prints "ready" and forwards frame by frame until SIGTERM; then
 * one line of counters as JSON. An impairment holds for both directions; with a- or b- in front of its name (--a-loss 1%)
 * for the frames that leave that side. A line of impairments on standard input changes them under way and is answered by
 * "ok" or an error; the line "stats" is answered by the counters so far.
 *
 * Every frame draws the same number of random numbers whatever the settings are, from a generator of its direction: what
 * happens to the n-th frame depends on the seed and n alone. A frame passes first the misfortunes, then the line:
 * - misfortunes: too long for the MTU, lost, held back (so that 1 to HOPS_MAX later frames overtake it, or HOLD_NS end), doubled;
 * - line: waits for its turn at the rate, at most --queue, else it is dropped at the tail; then delay +- jitter, never
 *   overtaking: under jitter a dense stream has the delay of its slowest frames. Both together hold at most LINE_MAX frames.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX   65536
#define LINE_MAX    16384 /* 100 ms of 1514-byte frames at 2 Gbit/s; a power of two */
#define HELD_MAX    64
#define HOPS_MAX    5
#define HOLD_NS     10000000u
#define TURN_MAX    64
#define WORDS_MAX   64
#define DEVICE_QLEN 8000 /* what the kernel keeps for us; its default of 1000 loses bursts before any setting does */
#define MTU_LEAST   68
#define MTU_MOST    65500

struct settings {
	uint64_t loss, reorder, duplicate;            /* chances as 64-bit thresholds */
	uint64_t delay_ns, jitter_ns, queue_ns, rate; /* bit/s, 0 = no limit */
	unsigned mtu;
};

struct frame {
	uint64_t due;
	int64_t jitter_ns;
	size_t len;
	unsigned hops; /* held back: how many have yet to overtake it */
	bool overtaken;
	uint8_t bytes[];
};

struct direction {
	const char *name, *netns, *dev; /* of the side the frames leave */
	int in, out;
	struct settings set;
	uint64_t random, line_free, last_due;
	struct frame *held[HELD_MAX], *line[LINE_MAX];
	unsigned n_held, head, tail;
	uint64_t frames, forwarded, lost, reordered, duplicated, tail_dropped, too_long, refused;
};

static struct direction side[2] = {{.name = "a"}, {.name = "b"}};
static uint64_t seed = 1;
static unsigned dev_mtu;
static bool stats;
static volatile sig_atomic_t ended;

/* ---- options ---- */

enum kind { CHANCE, TIME, RATE, MTU };

static const struct row {
	const char *name;
	enum kind kind;
	size_t at;
	const char *form;
} rows[] = {
    {"loss", CHANCE, offsetof(struct settings, loss), "a chance like 1% or 0.5%"},
    {"reorder", CHANCE, offsetof(struct settings, reorder), "a chance like 1% or 0.5%"},
    {"duplicate", CHANCE, offsetof(struct settings, duplicate), "a chance like 1% or 0.5%"},
    {"delay", TIME, offsetof(struct settings, delay_ns), "a time like 10ms, 250us or 1s, at most 60s"},
    {"jitter", TIME, offsetof(struct settings, jitter_ns), "a time like 10ms, 250us or 1s, at most 60s"},
    {"queue", TIME, offsetof(struct settings, queue_ns), "a time like 10ms, 250us or 1s, at most 60s"},
    {"rate", RATE, offsetof(struct settings, rate), "a rate like 100mbit, 64kbit or 1gbit; 0bit = no limit"},
    {"mtu", MTU, offsetof(struct settings, mtu), "a number of bytes from 68 to 65500"},
};

static bool unit(const char *text, const char *const *names, const double *factors, double *value)
{
	for (unsigned i = 0; names[i]; i++)
		if (!strcmp(text, names[i])) {
			*value *= factors[i];
			return true;
		}
	return false;
}

static bool value_parse(enum kind kind, const char *text, uint64_t *ret)
{
	static const char *const times[] = {"us", "ms", "s", NULL}, *const rates[] = {"bit", "kbit", "mbit", "gbit", NULL};
	static const double time_factors[] = {1e3, 1e6, 1e9}, rate_factors[] = {1, 1e3, 1e6, 1e9};
	char *end;
	double n = strtod(text, &end);
	if (!isdigit((unsigned char)*text) || !(n >= 0 && n < 1e12))
		return false;
	switch (kind) {
	case CHANCE:
		if (strcmp(end, "%") != 0 || n > 100)
			return false;
		*ret = n >= 100 ? UINT64_MAX : (uint64_t)(n / 100 * 18446744073709551616.0);
		return true;
	case TIME:
		if (!unit(end, times, time_factors, &n) || n > 60e9)
			return false;
		break;
	case RATE:
		if (!unit(end, rates, rate_factors, &n))
			return false;
		break;
	case MTU:
		if (*end || n < MTU_LEAST || n > MTU_MOST)
			return false;
		break;
	}
	*ret = (uint64_t)n;
	return true;
}

static void settings_put(struct settings *s, const struct row *r, uint64_t value)
{
	char *at = (char *)s + r->at;
	unsigned small = (unsigned)value;
	if (r->kind == MTU)
		memcpy(at, &small, sizeof(small));
	else
		memcpy(at, &value, sizeof(value));
}

/* One impairment; which: 0 a, 1 b, 2 both. Says into error what is wrong. */
static bool impair(struct settings set[2], const char *name, unsigned which, const char *text, char *error, size_t room)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t value;
		if (strcmp(name, rows[i].name) != 0)
			continue;
		if (!text || !value_parse(rows[i].kind, text, &value)) {
			snprintf(error, room, "--%s wants %s%s%s", name, rows[i].form, text ? ", not " : "", text ? text : "");
			return false;
		}
		for (unsigned d = 0; d < 2; d++)
			if (which == 2 || which == d)
				settings_put(&set[d], &rows[i], value);
		return true;
	}
	snprintf(error, room, "no option --%s%s", which == 0 ? "a-" : which == 1 ? "b-" : "", name);
	return false;
}

/* The options of the start alone. *ret_used: how many words it took, 0 = not one of them. */
static bool fixed_option(char **words, int n, int *ret_used, char *error, size_t room)
{
	char *end;
	uint64_t mtu;
	const char *text = n > 1 ? words[1] : "";
	*ret_used = 2;
	for (unsigned d = 0; d < 2; d++) {
		char netns[16], dev[16];
		snprintf(netns, sizeof(netns), "--%s-netns", side[d].name);
		snprintf(dev, sizeof(dev), "--%s-dev", side[d].name);
		if (!strcmp(words[0], netns) && *text)
			return side[d].netns = text, true;
		if (!strcmp(words[0], dev) && *text && strlen(text) < IFNAMSIZ)
			return side[d].dev = text, true;
		if (!strcmp(words[0], netns) || !strcmp(words[0], dev)) {
			snprintf(error, room, "%s wants a name", words[0]);
			return false;
		}
	}
	if (!strcmp(words[0], "--seed")) {
		seed = strtoull(text, &end, 10);
		if (isdigit((unsigned char)*text) && !*end)
			return true;
		snprintf(error, room, "--seed wants a number");
		return false;
	}
	if (!strcmp(words[0], "--dev-mtu")) {
		if (value_parse(MTU, text, &mtu))
			return dev_mtu = (unsigned)mtu, true;
		snprintf(error, room, "--dev-mtu wants a number of bytes from 68 to 65500");
		return false;
	}
	*ret_used = !strcmp(words[0], "--stats");
	stats = stats || *ret_used;
	return true;
}

static bool options_parse(struct settings set[2], char **words, int n, bool start, char *error, size_t room)
{
	for (int i = 0; i < n;) {
		int used = 0;
		if (start && !fixed_option(words + i, n - i, &used, error, room))
			return false;
		i += used;
		if (used)
			continue;
		const char *name = words[i];
		if (strncmp(name, "--", 2) != 0) {
			snprintf(error, room, "%s is no option", name);
			return false;
		}
		name += 2;
		unsigned which = !strncmp(name, "a-", 2) ? 0 : !strncmp(name, "b-", 2) ? 1 : 2;
		if (!impair(set, which < 2 ? name + 2 : name, which, i + 1 < n ? words[i + 1] : NULL, error, room))
			return false;
		i += 2;
	}
	return true;
}

/* ---- frames ---- */

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* splitmix64 */
static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static struct frame *frame_new(const uint8_t *bytes, size_t len)
{
	struct frame *f = malloc(sizeof(*f) + len);
	if (!f)
		abort();
	*f = (struct frame){.len = len};
	memcpy(f->bytes, bytes, len);
	return f;
}

/* Takes the frame. A device that is down refuses it. */
static void frame_out(struct direction *d, struct frame *f)
{
	if (write(d->out, f->bytes, f->len) == (ssize_t)f->len)
		d->forwarded++;
	else
		d->refused++;
	free(f);
}

/* Takes the frame: out at once or into the line. */
static void line_take(struct direction *d, struct frame *f, uint64_t now)
{
	uint64_t start = now;
	if (d->set.rate) {
		if (d->line_free > now + d->set.queue_ns) {
			d->tail_dropped++;
			free(f);
			return;
		}
		start = (d->line_free > now ? d->line_free : now) + f->len * 8 * 1000000000u / d->set.rate;
	}
	int64_t extra = (int64_t)d->set.delay_ns + f->jitter_ns;
	f->due = extra > 0 ? start + (uint64_t)extra : start;
	if (f->due < d->last_due)
		f->due = d->last_due;
	if (d->head == d->tail && f->due <= now) {
		frame_out(d, f);
		return;
	}
	if (d->tail - d->head == LINE_MAX) {
		d->tail_dropped++;
		free(f);
		return;
	}
	if (d->set.rate)
		d->line_free = start;
	d->last_due = f->due;
	d->line[d->tail++ % LINE_MAX] = f;
}

static void line_run(struct direction *d, uint64_t now)
{
	while (d->head != d->tail && d->line[d->head % LINE_MAX]->due <= now)
		frame_out(d, d->line[d->head++ % LINE_MAX]);
}

/* Those nobody has to overtake any more go on, in the order they were held. `passed`: one frame just went by. */
static void held_run(struct direction *d, bool passed, uint64_t now)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < d->n_held; i++) {
		struct frame *f = d->held[i];
		f->overtaken = f->overtaken || passed;
		f->hops -= passed;
		if (f->hops && f->due > now) {
			d->held[kept++] = f;
			continue;
		}
		d->reordered += f->overtaken;
		line_take(d, f, now);
	}
	d->n_held = kept;
}

static bool too_long(const struct direction *d, const uint8_t *bytes, size_t len)
{
	bool tagged = len > 14 && ((bytes[12] == 0x81 && bytes[13] == 0) || (bytes[12] == 0x88 && bytes[13] == 0xa8));
	return len > (size_t)d->set.mtu + 14 + 4 * tagged;
}

static void frame_in(struct direction *d, const uint8_t *bytes, size_t len, uint64_t now)
{
	uint64_t lose = next(&d->random), hold = next(&d->random), twice = next(&d->random), hops = next(&d->random),
		 jitter = next(&d->random);
	d->frames++;
	if (too_long(d, bytes, len)) {
		d->too_long++;
		return;
	}
	if (lose < d->set.loss) {
		d->lost++;
		return;
	}
	struct frame *f = frame_new(bytes, len), *copy = twice < d->set.duplicate ? frame_new(bytes, len) : NULL;
	if (d->set.jitter_ns)
		f->jitter_ns = (int64_t)(jitter % (2 * d->set.jitter_ns + 1)) - (int64_t)d->set.jitter_ns;
	if (hold < d->set.reorder && d->n_held < HELD_MAX) {
		f->hops = 1 + (unsigned)(hops % HOPS_MAX);
		f->due = now + HOLD_NS;
		d->held[d->n_held++] = f;
	} else {
		line_take(d, f, now);
		held_run(d, true, now);
	}
	if (copy) {
		d->duplicated++;
		copy->jitter_ns = d->set.jitter_ns ? (int64_t)d->set.jitter_ns : 0;
		line_take(d, copy, now);
	}
}

/* false: the device is gone. */
static bool side_read(struct direction *d)
{
	static uint8_t bytes[FRAME_MAX];
	for (unsigned i = 0; i < TURN_MAX; i++) {
		ssize_t n = read(d->in, bytes, sizeof(bytes));
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			fprintf(stderr, "wire: %s: %s\n", d->dev, strerror(errno));
			return false;
		}
		if (n <= 0)
			return true;
		frame_in(d, bytes, (size_t)n, now_ns());
	}
	return true;
}

/* ---- devices ---- */

static int netns_enter(const char *name)
{
	char path[256];
	snprintf(path, sizeof(path), "%s%s", strchr(name, '/') ? "" : "/run/netns/", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* MTU, queue, up; inside the namespace. */
static int device_prepare(const char *dev, unsigned mtu)
{
	struct ifreq mtu_set = {.ifr_mtu = (int)mtu}, qlen_set = {.ifr_qlen = DEVICE_QLEN}, flags = {0};
	strncpy(mtu_set.ifr_name, dev, IFNAMSIZ - 1);
	strncpy(qlen_set.ifr_name, dev, IFNAMSIZ - 1);
	strncpy(flags.ifr_name, dev, IFNAMSIZ - 1);
	int rc = 0, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCSIFMTU, &mtu_set) < 0 || ioctl(fd, SIOCSIFTXQLEN, &qlen_set) < 0 || ioctl(fd, SIOCGIFFLAGS, &flags) < 0)
		rc = -errno;
	flags.ifr_flags = (short)(flags.ifr_flags | IFF_UP);
	if (!rc && ioctl(fd, SIOCSIFFLAGS, &flags) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* No vnet_hdr and no offload: the kernel cuts and sums before it hands a frame out, as for a real cable. */
static int device_open(const struct direction *d, int *ret)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int rc = d->netns ? netns_enter(d->netns) : 0;
	if (rc) {
		fprintf(stderr, "wire: namespace %s: %s\n", d->netns, strerror(-rc));
		return rc;
	}
	strncpy(r.ifr_name, d->dev, IFNAMSIZ - 1);
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0)
		rc = -errno;
	else
		rc = device_prepare(d->dev, dev_mtu ? dev_mtu : d->set.mtu);
	if (rc) {
		fprintf(stderr, "wire: device %s%s%s: %s\n", d->dev, d->netns ? " in " : "", d->netns ? d->netns : "", strerror(-rc));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	*ret = fd;
	return 0;
}

/* ---- the life of it ---- */

static void counters_print(FILE *to)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct direction *d = &side[i];
		fprintf(to,
		        "%s\"%s\": {\"frames\": %llu, \"forwarded\": %llu, \"lost\": %llu, \"reordered\": %llu, \"duplicated\": %llu, "
		        "\"tail_dropped\": %llu, \"too_long\": %llu, \"refused\": %llu, \"waiting\": %u}%s",
		        i ? ", " : "{", d->name, (unsigned long long)d->frames, (unsigned long long)d->forwarded,
		        (unsigned long long)d->lost, (unsigned long long)d->reordered, (unsigned long long)d->duplicated,
		        (unsigned long long)d->tail_dropped, (unsigned long long)d->too_long, (unsigned long long)d->refused,
		        d->tail - d->head + d->n_held, i ? "}\n" : "");
	}
	fflush(to);
}

/* All of a line's settings hold, or none. */
static void command(char *line)
{
	char *words[WORDS_MAX], error[256], *rest = NULL;
	int n = 0;
	for (char *w = strtok_r(line, " \t\r\n", &rest); w && n < WORDS_MAX; w = strtok_r(NULL, " \t\r\n", &rest))
		words[n++] = w;
	if (n == 1 && !strcmp(words[0], "stats")) {
		counters_print(stdout);
		return;
	}
	struct settings set[2] = {side[0].set, side[1].set};
	if (!n || n == WORDS_MAX) {
		printf("error: a line of settings, or stats\n");
	} else if (!options_parse(set, words, n, false, error, sizeof(error))) {
		printf("error: %s\n", error);
	} else {
		for (unsigned d = 0; d < 2; d++)
			side[d].set = set[d];
		printf("ok\n");
	}
	fflush(stdout);
}

/* false at the end of the input. */
static bool commands_read(void)
{
	static char text[4096];
	static size_t len;
	ssize_t n = read(STDIN_FILENO, text + len, sizeof(text) - 1 - len);
	if (n <= 0)
		return n < 0 && errno == EINTR;
	len += (size_t)n;
	text[len] = 0;
	for (char *end; (end = strchr(text, '\n')); memmove(text, end + 1, len + 1)) {
		*end = 0;
		len -= (size_t)(end + 1 - text);
		command(text);
	}
	if (len == sizeof(text) - 1)
		len = 0; /* no line is that long */
	return true;
}

/* When the next frame is due: the line's head or a held one's patience. */
static uint64_t next_due(void)
{
	uint64_t due = UINT64_MAX;
	for (const struct direction *d = side; d < side + 2; d++) {
		if (d->head != d->tail && d->line[d->head % LINE_MAX]->due < due)
			due = d->line[d->head % LINE_MAX]->due;
		for (unsigned i = 0; i < d->n_held; i++)
			due = d->held[i]->due < due ? d->held[i]->due : due;
	}
	return due;
}

static int forward(void)
{
	struct pollfd ready[3] = {{side[0].in, POLLIN, 0}, {side[1].in, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
	uint64_t report = now_ns() + 1000000000u;
	sigset_t none;
	sigemptyset(&none);
	while (!ended) {
		uint64_t due = next_due(), now = now_ns();
		if (stats && report < due)
			due = report;
		uint64_t left = due > now ? due - now : 0;
		struct timespec wait = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
		if (ppoll(ready, 3, due == UINT64_MAX ? NULL : &wait, &none) < 0) {
			if (errno != EINTR)
				return -errno;
			continue;
		}
		for (unsigned i = 0; i < 2; i++) {
			if (ready[i].revents && !side_read(&side[i]))
				return -ENODEV;
			now = now_ns();
			held_run(&side[i], false, now);
			line_run(&side[i], now);
		}
		if (ready[2].revents && !commands_read())
			ready[2].fd = -1;
		if (stats && now >= report) {
			counters_print(stderr);
			report += 1000000000u;
		}
	}
	return 0;
}

static void on_end(int signal)
{
	(void)signal;
	ended = 1;
}

static int usage(const char *error)
{
	fprintf(stderr, "wire: %s\nusage: wire --a-netns NAME --a-dev DEV --b-netns NAME --b-dev DEV [--seed N] [--dev-mtu N] [--stats]\n",
	        error);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		fprintf(stderr, "       [--[a-|b-]%s X]  %s\n", rows[i].name, rows[i].form);
	return 2;
}

int main(int argc, char **argv)
{
	char error[256];
	struct settings set[2] = {{.mtu = 1500, .queue_ns = 100000000}, {.mtu = 1500, .queue_ns = 100000000}};
	struct sigaction act = {.sa_handler = on_end};
	sigset_t ends;
	if (!options_parse(set, argv + 1, argc - 1, true, error, sizeof(error)))
		return usage(error);
	if (!side[0].dev || !side[1].dev)
		return usage("--a-dev and --b-dev are needed");
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL); /* they come in ppoll() only */
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_TIMERSLACK, 1);
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	for (unsigned d = 0; d < 2; d++) {
		side[d].set = set[d];
		side[d].random = seed * 2 + d;
		if (own < 0 || setns(own, CLONE_NEWNET) < 0) {
			perror("wire: setns");
			return 1;
		}
		if (device_open(&side[d], &side[d].in))
			return 1;
	}
	side[0].out = side[1].in;
	side[1].out = side[0].in;
	printf("ready\n");
	fflush(stdout);
	int rc = forward();
	if (rc && rc != -ENODEV)
		fprintf(stderr, "wire: %s\n", strerror(-rc));
	counters_print(stdout);
	return rc ? 1 : 0;
}
