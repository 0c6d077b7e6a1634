/* fake_tap.c: an Ethernet device whose other side is the scenario: frames it sends are queued here, frames that arrive are counted by
 * frames.c. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap/groups.h"
#include "test/sim/sim.h"

int tap_open(struct tap **ret, const char *name, unsigned queues, const uint8_t mac[6], uint16_t mtu, unsigned may,
             char ret_name[TAP_NAME_MAX])
{
	(void)may; /* scenarios send complete frames */
	assert(host_running && !host_running->tap && queues <= TAP_QUEUES_MAX);
	struct tap *tap = calloc(1, sizeof *tap);
	assert(tap);
	*tap = (struct tap){.host = host_running, .mtu = mtu, .queues = queues};
	for (unsigned q = 0; q < queues; q++)
		tap->last[q] = &tap->first[q];
	memcpy(tap->mac, mac, 6);
	snprintf(ret_name, TAP_NAME_MAX, "%s", name);
	*ret = host_running->tap = tap;
	return 0;
}

void tap_close(struct tap *tap)
{
	for (unsigned q = 0; q < tap->queues; q++) {
		while (tap->first[q]) {
			struct datagram *d = tap->first[q];
			tap->first[q] = d->next;
			free(d);
		}
	}
	if (tap->host->tap == tap)
		tap->host->tap = NULL;
	free(tap);
}

const char *tap_why(int error)
{
	return strerror(-error);
}

int tap_set_mtu(struct tap *tap, uint16_t mtu)
{
	tap->mtu = mtu;
	return 0;
}

int tap_up(struct tap *tap, bool up)
{
	tap->up = up;
	return 0;
}

unsigned tap_ifindex(const struct tap *tap)
{
	return 100 + tap->host->number;
}

int tap_fd(const struct tap *tap, unsigned queue)
{
	(void)tap, (void)queue;
	return -1;
}

unsigned tap_offloads(const struct tap *tap)
{
	(void)tap;
	return 0;
}

int tap_read(struct tap *tap, unsigned queue, struct slab *slab, struct packet *p, unsigned n)
{
	unsigned i = 0;
	for (; i < n && tap->first[queue] && slab->room >= TAP_SLAB_MIN; i++) {
		struct datagram *d = tap->first[queue];
		uint8_t *data = slab->at + -(uintptr_t)slab->at % 16;
		tap->first[queue] = d->next;
		if (!tap->first[queue])
			tap->last[queue] = &tap->first[queue];
		assert(d->len <= tap->mtu + 18u);
		memcpy(data, d->bytes, d->len);
		p[i] = (struct packet){.data = data, .len = d->len, .room = d->len};
		slab->room -= (uint32_t)(data + d->len - slab->at);
		slab->at = data + d->len;
		free(d);
	}
	return (int)i;
}

void tap_write(struct tap *tap, unsigned queue, struct packet *p, unsigned n)
{
	static uint8_t frame[SUPERFRAME_MAX]; /* the scenario runs in one thread */
	assert(queue < tap->queues);
	for (unsigned i = 0, next; i < n; i = next) {
		uint32_t len = 0;
		next = i + 1 + p[i].tails;
		assert(next <= n && p[i].tails <= TAP_TAILS_MAX);
		if (p[i].verdict != DROP_NONE)
			continue;
		assert(!p[i].offload.csum && !p[i].offload.gso);
		for (unsigned k = i; k < next; k++) {
			assert(p[k].len <= sizeof frame - len);
			memcpy(frame + len, p[k].data, p[k].len);
			len += p[k].len;
		}
		frame_arrived(tap->host, frame, len);
	}
}

void host_group(struct host *host, const uint8_t group[6], bool takes)
{
	unsigned at = 0;
	while (at < host->n_groups && memcmp(host->group[at], group, 6) < 0)
		at++;
	bool known = at < host->n_groups && !memcmp(host->group[at], group, 6);
	unsigned behind = host->n_groups - at;
	if (takes && !known) {
		assert(host->n_groups < SIM_GROUPS);
		memmove(host->group[at + 1], host->group[at], behind * sizeof *host->group);
		memcpy(host->group[at], group, 6);
		host->n_groups++;
	} else if (!takes && known) {
		memmove(host->group[at], host->group[at + 1], (behind - 1) * sizeof *host->group);
		host->n_groups--;
	}
}

int tap_groups(unsigned ifindex, const char *dev, uint8_t (*ret)[6], unsigned room, bool *ret_all)
{
	const struct host *host = host_running;
	(void)dev;
	assert(host && host->tap && ifindex == tap_ifindex(host->tap));
	unsigned n = host->n_groups < room ? host->n_groups : room;
	memcpy(ret, host->group, n * sizeof *ret);
	*ret_all = host->group_all || host->n_groups > room;
	return (int)n;
}
