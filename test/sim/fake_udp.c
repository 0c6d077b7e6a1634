/* fake_udp.c: the node's UDP port on the simulated network. Its datagrams wait here until the worker's turn; a datagram goes to the
 * worker its lane names, as the steering program of the real one does. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "test/sim/sim.h"

int udp_open(struct udp **ret, const struct endpoint *listen, unsigned n, unsigned workers, struct endpoint *ret_bound)
{
	(void)ret, (void)listen, (void)n, (void)workers, (void)ret_bound;
	abort(); /* hosts hand their own to the node */
}

static void datagrams_free(struct datagram *d)
{
	while (d) {
		struct datagram *next = d->next;
		free(d);
		d = next;
	}
}

void udp_close(struct udp *udp)
{
	for (unsigned w = 0; w < udp->workers; w++) {
		datagrams_free(udp->first[w]);
		datagrams_free(udp->lent[w]);
		udp->first[w] = udp->lent[w] = NULL;
		udp->last[w] = &udp->first[w];
	}
}

unsigned udp_sockets(const struct udp *udp)
{
	(void)udp;
	return 1;
}

int udp_fd(const struct udp *udp, unsigned socket, unsigned worker)
{
	(void)udp, (void)socket, (void)worker;
	return -1;
}

unsigned udp_recv(struct udp *udp, unsigned worker, uint32_t *look, struct packet *p, unsigned n)
{
	unsigned i = 0;
	datagrams_free(udp->lent[worker]);
	udp->lent[worker] = NULL;
	for (; i < n && udp->first[worker]; i++) {
		struct datagram *d = udp->first[worker];
		udp->first[worker] = d->next;
		if (!udp->first[worker])
			udp->last[worker] = &udp->first[worker];
		d->next = udp->lent[worker];
		udp->lent[worker] = d;
		p[i].data = d->bytes;
		p[i].len = p[i].room = d->len;
		p[i].from = d->from;
		p[i].socket = 0;
		p[i].verdict = DROP_NONE;
	}
	if (!udp->first[worker])
		*look = 0;
	return i;
}

/* Hosts of this network have one socket each; what looks for more does without. */
int udp_spray_open(struct udp *udp, unsigned n)
{
	(void)udp, (void)n;
	return -EMFILE;
}

bool udp_spray_send(struct udp *udp, unsigned i, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	(void)udp, (void)i, (void)to, (void)bytes, (void)len;
	return false;
}

int udp_spray_adopt(struct udp *udp, udp_expected *expected, const void *self, uint32_t in_use, int *ret_old)
{
	(void)udp, (void)expected, (void)self, (void)in_use, (void)ret_old;
	return -EAGAIN;
}

void udp_spray_close(struct udp *udp)
{
	(void)udp;
}

unsigned udp_extras(const struct udp *udp)
{
	(void)udp;
	return 0;
}

void udp_without(struct udp *udp, bool segment, bool gro)
{
	(void)udp, (void)segment, (void)gro; /* this network has neither */
}

void udp_send(struct udp *udp, unsigned worker, struct packet *p, unsigned n)
{
	assert(worker < udp->workers && n <= BATCH_MAX);
	for (unsigned i = 0; i < n && !udp->host->discard_saves; i++) { /* who is killed says nothing more */
		if (p[i].verdict != DROP_NONE)
			continue;
		if (p[i].from.family & ENDPOINT_STREAM)
			p[i].verdict = sim_stream_send(udp->host, &p[i].from, p[i].data, p[i].len) ? DROP_NONE : DROP_SEND;
		else if (p[i].len > UDP_MTU || p[i].from.family != 4)
			p[i].verdict = DROP_SEND;
		else
			sim_send(udp->host, &p[i].from, p[i].data, p[i].len);
	}
}
