/* affinity.c: where a worker's thread runs.
 *
 * A worker with little to do goes where the scheduler puts it: then nothing counts but how soon it is awake. One that works
 * through a load keeps to a core of its own, number modulo cores: its slabs lie in that core's cache, and a scheduler
 * that wakes it wherever the last frame came from has been seen to put sender, daemon and reader on one core while another slept
 * (select_idle_sibling looks at no other core once the machine is busy, and balancing leaves alone what ran half a millisecond
 * ago). Other programs on that core can still go elsewhere, and the balancer sends them. Against those that cannot (a virtual
 * machine's pinned processors) there is a look once a second: who had to wait for a fourth of the time moves to a core
 * that had nothing to do for half of it.
 * A mask that somebody else has set meanwhile (taskset) is the new frame for all this, and is never widened. Where cores are not alike
 * (efficiency cores) the scheduler knows better which one a load is for, and nothing is kept.
 */
#include "node/affinity.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FREE_US 20000 /* looks while free: a load is known after a fiftieth of a second; its end after a second, not in each pause */
#define BUSY    4     /* it keeps to a core from a fourth of the core's time on, */
#define QUIET   16    /* until a sixteenth */
#define CROWDED 4     /* it moves when it waited for a fourth */
#define IDLE    2     /* to a core that was idle for half */
#define LINE    256   /* of /proc/stat, longest that is understood */

static uint64_t ran_ns(void)
{
	struct timespec t;
	return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) ? 0 : (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* schedstat: nanoseconds it ran, nanoseconds it waited to run, how often. 0 = not told. */
static uint64_t waited_ns(const struct affinity *a)
{
	char text[64], *at;
	ssize_t n = a->waits_fd < 0 ? -1 : pread(a->waits_fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = 0;
	strtoull(text, &at, 10);
	return strtoull(at, NULL, 10);
}

/* "cpu3 user nice system idle iowait ...", in ticks. */
static void idle_take(uint64_t idle_ns[AFFINITY_CORES], const char *line)
{
	char *at;
	unsigned long core = strtoul(line + 3, &at, 10);
	if (core >= AFFINITY_CORES)
		return;
	for (unsigned i = 0; i < 3; i++)
		strtoull(at, &at, 10);
	uint64_t ticks = strtoull(at, &at, 10);
	ticks += strtoull(at, NULL, 10);
	idle_ns[core] = ticks * (1000000000u / (unsigned long)sysconf(_SC_CLK_TCK));
}

/* Line by line, with nothing taken from the heap: the cores' come behind the first, which is their sum. */
static void idle_read(uint64_t idle_ns[AFFINITY_CORES])
{
	char text[4 * LINE + 1];
	size_t have = 0;
	int fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
	memset(idle_ns, 0, AFFINITY_CORES * sizeof(*idle_ns));
	for (ssize_t n = 1; fd >= 0 && n > 0;) {
		n = read(fd, text + have, sizeof(text) - 1 - have);
		have += n > 0 ? (size_t)n : 0;
		text[have] = 0;
		char *line = text, *end;
		while ((end = strchr(line, '\n')) && !strncmp(line, "cpu", 3)) {
			if (line[3] != ' ')
				idle_take(idle_ns, line);
			line = end + 1;
		}
		/* Neither a core's line nor the begin of one: they are over. */
		if (end || line == text)
			break;
		have -= (size_t)(line - text);
		memmove(text, line, have);
	}
	if (fd >= 0)
		close(fd);
}

/* Performance and efficiency cores: x86 has a PMU for each kind, others tell each core's capacity. */
static bool alike(const cpu_set_t *cores)
{
	unsigned long first = 0;
	if (!access("/sys/devices/cpu_atom", F_OK))
		return false;
	for (unsigned i = 0; i < AFFINITY_CORES; i++) {
		char path[64], text[32];
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/cpu_capacity", i);
		int fd = CPU_ISSET(i, cores) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		if (fd < 0)
			continue;
		ssize_t n = read(fd, text, sizeof(text) - 1);
		close(fd);
		text[n > 0 ? n : 0] = 0;
		unsigned long capacity = strtoul(text, NULL, 10);
		first = first ? first : capacity;
		if (capacity != first)
			return false;
	}
	return true;
}

void affinity_begin(struct affinity *a, unsigned number, uint64_t now_us)
{
	*a = (struct affinity){.look_us = now_us + FREE_US, .number = number, .since_us = now_us, .ran_ns = ran_ns()};
	a->waits_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	/* An error: more cores than a cpu_set_t has. */
	if (sched_getaffinity(0, sizeof(a->may), &a->may) || !alike(&a->may))
		a->look_us = UINT64_MAX;
}

void affinity_end(struct affinity *a)
{
	if (a->waits_fd >= 0)
		close(a->waits_fd);
	a->waits_fd = -1;
}

/* The worker's core of those that it may use. */
static unsigned home(const struct affinity *a)
{
	unsigned left = a->number % (unsigned)CPU_COUNT(&a->may), core = 0;
	while (!CPU_ISSET(core, &a->may) || left--)
		core++;
	return core;
}

static bool set(struct affinity *a, const cpu_set_t *cores)
{
	if (sched_setaffinity(0, sizeof(*cores), cores))
		return false;
	a->set = *cores;
	return true;
}

static bool keep(struct affinity *a, unsigned core)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(core, &one);
	return set(a, &one);
}

static bool come(struct affinity *a)
{
	if (sched_getaffinity(0, sizeof(a->may), &a->may) || CPU_COUNT(&a->may) < 2)
		return false;
	if (!keep(a, home(a)))
		return false;
	idle_read(a->idle_ns);
	a->waited_ns = waited_ns(a);
	return true;
}

/* Cores that come later are for it, too, where it might use all that there were. */
static void leave(struct affinity *a)
{
	cpu_set_t every;
	memset(&every, 0xff, sizeof(every));
	set(a, CPU_COUNT(&a->may) == sysconf(_SC_NPROCESSORS_ONLN) ? &every : &a->may);
}

/* false: somebody else has set where it runs. */
static bool as_set(const struct affinity *a)
{
	cpu_set_t now;
	return !sched_getaffinity(0, sizeof(now), &now) && CPU_EQUAL(&now, &a->set);
}

/* Two that crowd each other must not both go to the same core, so a coin decides for each. */
static void move(struct affinity *a, uint64_t span, bool coin)
{
	uint64_t before[AFFINITY_CORES], most = span / IDLE;
	unsigned best = AFFINITY_CORES;
	memcpy(before, a->idle_ns, sizeof(before));
	idle_read(a->idle_ns);
	for (unsigned i = 0; i < AFFINITY_CORES; i++)
		if (CPU_ISSET(i, &a->may) && !CPU_ISSET(i, &a->set) && before[i] && a->idle_ns[i] >= before[i] + most) {
			most = a->idle_ns[i] - before[i];
			best = i;
		}
	if (best < AFFINITY_CORES && coin)
		keep(a, best);
}

void affinity_look(struct affinity *a, uint64_t now_us)
{
	uint64_t ran = ran_ns(), span = (now_us - a->since_us) * 1000;
	if (a->kept && !as_set(a)) {
		a->kept = false;
	} else if (!a->kept && ran - a->ran_ns >= span / BUSY) {
		a->kept = come(a);
	} else if (a->kept && ran - a->ran_ns < span / QUIET) {
		leave(a);
		a->kept = false;
	} else if (a->kept) {
		uint64_t waited = waited_ns(a);
		move(a, span, waited - a->waited_ns >= span / CROWDED && now_us & 1);
		a->waited_ns = waited;
	}
	a->since_us = now_us;
	a->ran_ns = ran;
	a->look_us = now_us + (a->kept ? AFFINITY_KEPT_US : FREE_US);
}
