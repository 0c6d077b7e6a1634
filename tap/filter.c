/* Capture filter expressions to classic BPF, by libpcap.
 *
 * The kernel takes the outer VLAN tag off before a packet socket's filter sees the frame, and keeps it beside the frame. libpcap knows how
 * to ask for it there ("vlan 5"), but only when it compiles for a live handle; so one is opened for the time of compiling, never
 * read and closed again. An expression may name hosts, whose lookup takes as long as the name server likes, and the control
 * thread must not wait for that: a thread of its own compiles, and is left to itself when it takes too long.
 */
#include "tap/filter.h"

#include <errno.h>
#include <pcap.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tap/tap.h"

#define PATIENCE_NS 500000000
#define SNAP_BYTES  262144 /* what a matching filter lets through: more than any superframe */

_Static_assert(sizeof(struct bpf_insn) == sizeof(struct sock_filter), "libpcap's instructions are the kernel's");

struct job {
	_Atomic int state; /* who frees it: whoever comes second */
	char device[TAP_NAME_MAX];
	char *expression;
	int error;
	struct sock_fprog program;
	char why[FILTER_WHY];
};
enum { RUNNING, DONE, LEFT };

static void job_free(struct job *j)
{
	free(j->program.filter);
	free(j->expression);
	free(j);
}

/* A handle on the device, or one of no device. */
static pcap_t *handle_open(const char *device)
{
	char text[PCAP_ERRBUF_SIZE];
	pcap_t *p = *device ? pcap_create(device, text) : NULL;
	if (p) {
		pcap_set_snaplen(p, SNAP_BYTES);
		pcap_set_buffer_size(p, 1 << 20);
		if (pcap_activate(p) >= 0 && pcap_datalink(p) == DLT_EN10MB)
			return p;
		pcap_close(p);
	}
	return pcap_open_dead(DLT_EN10MB, SNAP_BYTES);
}

static int program_copy(const struct bpf_program *from, struct sock_fprog *ret)
{
	size_t bytes = from->bf_len * sizeof(struct sock_filter);
	struct sock_filter *code = from->bf_len && from->bf_len <= BPF_MAXINSNS ? malloc(bytes) : NULL;
	if (!code)
		return from->bf_len > BPF_MAXINSNS ? -EINVAL : -ENOMEM;
	memcpy(code, from->bf_insns, bytes);
	*ret = (struct sock_fprog){.len = (unsigned short)from->bf_len, .filter = code};
	return 0;
}

static void *job_run(void *self)
{
	struct job *j = self;
	struct bpf_program compiled;
	pcap_t *p = handle_open(j->device);
	if (!p) {
		j->error = -ENOMEM;
		snprintf(j->why, sizeof(j->why), "out of memory");
	} else if (pcap_compile(p, &compiled, j->expression, 1, PCAP_NETMASK_UNKNOWN) < 0) {
		j->error = -EINVAL;
		snprintf(j->why, sizeof(j->why), "filter: %s", pcap_geterr(p));
	} else {
		j->error = program_copy(&compiled, &j->program);
		if (j->error)
			snprintf(j->why, sizeof(j->why), "filter: it makes a program longer than the kernel takes");
		pcap_freecode(&compiled);
	}
	if (p)
		pcap_close(p);
	if (atomic_exchange(&j->state, DONE) == LEFT)
		job_free(j);
	return NULL;
}

/* True if the thread is done; else it frees the job when it is. */
static bool job_wait(struct job *j, pthread_t thread)
{
	struct timespec end;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_nsec += PATIENCE_NS;
	end.tv_sec += end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	if (!pthread_timedjoin_np(thread, NULL, &end))
		return true;
	pthread_detach(thread);
	return atomic_exchange(&j->state, LEFT) == DONE;
}

static struct job *job_new(const char *device, const char *expression)
{
	struct job *j = calloc(1, sizeof(*j));
	if (!j)
		return NULL;
	snprintf(j->device, sizeof(j->device), "%s", device);
	j->expression = strdup(expression);
	if (j->expression)
		return j;
	free(j);
	return NULL;
}

int filter_compile(const char *device, const char *expression, struct sock_fprog *ret, char why[FILTER_WHY])
{
	struct job *j = job_new(device, expression);
	pthread_t thread;
	int error = j ? -pthread_create(&thread, NULL, job_run, j) : -ENOMEM;
	if (error) {
		snprintf(why, FILTER_WHY, "the filter cannot be compiled: out of memory or threads");
		if (j)
			job_free(j);
		return error;
	}
	if (!job_wait(j, thread)) {
		snprintf(why, FILTER_WHY, "filter: looking up its names takes too long; write addresses and numbers");
		return -EINVAL;
	}
	error = j->error;
	if (error) {
		memcpy(why, j->why, FILTER_WHY);
	} else {
		*ret = j->program;
		j->program.filter = NULL;
	}
	job_free(j);
	return error;
}
