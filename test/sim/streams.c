/* streams.c: TLS streams of the simulated network: reliable, in order, and not cut with what is cut for datagrams.
 *
 * A stream is two endpoints: the root's as the node opened it, the node's as its root sees it. A root that runs takes them, one that was killed
 * has none; what is opened to nobody ends after a while. */
#include <string.h>

#include "test/sim/sim.h"

#define OPEN_US (30 * MS) /* TCP, TLS, upgrade */
#define WAY_US  (10 * MS)

static struct stream_pair *find(struct sim *sim, const struct host *h, const struct endpoint *other)
{
	for (unsigned i = 0; i < SIM_STREAMS; i++) {
		struct stream_pair *p = &sim->stream[i];
		if ((p->node == h && endpoint_equal(&p->far, other)) || (p->root == h && p->root && endpoint_equal(&p->near, other)))
			return p;
	}
	return NULL;
}

static void ended(struct host *h, const struct endpoint *at)
{
	if (h->n_ended < SIM_ENDED) {
		h->ended[h->n_ended].at = *at;
		h->ended[h->n_ended++].when = h->sim->now + WAY_US;
		if (h->next_us > h->sim->now + WAY_US)
			h->next_us = h->sim->now + WAY_US;
	}
}

void sim_stream_open(void *self, const struct endpoint *to, const char *name, const uint8_t pin[32], const uint8_t *init, size_t len)
{
	struct host *h = self, *root = NULL;
	struct sim *sim = h->sim;
	struct stream_pair *p = NULL;
	(void)name;
	(void)pin;
	h->opened++;
	if (find(sim, h, to))
		return;
	for (unsigned i = 0; i < sim->n_hosts; i++)
		if (!memcmp(sim->host[i]->at.ip, to->ip, sizeof to->ip))
			root = sim->host[i];
	for (unsigned i = 0; i < SIM_STREAMS && !p; i++)
		if (!sim->stream[i].node)
			p = &sim->stream[i];
	if (!p || !root || !root->node || !sim->streams || to->port != ROOT_TLS_PORT) {
		ended(h, to);
		return;
	}
	*p = (struct stream_pair){.node = h, .root = root, .far = *to, .near = h->at};
	p->near.family |= ENDPOINT_STREAM;
	p->near.port = (uint16_t)(20000 + sim->stream_ports++ % 10000);
	sim_inject(sim, &p->near, &root->at, init, len, OPEN_US);
}

void sim_stream_close(void *self, const struct endpoint *to)
{
	struct host *h = self;
	struct stream_pair *p = find(h->sim, h, to);
	if (p)
		*p = (struct stream_pair){0};
}

bool sim_stream_send(struct host *from, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	const struct stream_pair *p = find(from->sim, from, to);
	if (!p)
		return false;
	const struct host *other = p->node == from ? p->root : p->node;
	sim_inject(from->sim, p->node == from ? &p->near : &p->far, &other->at, bytes, len, WAY_US);
	return true;
}

/* Its end of all streams is gone with a host; the others are told. */
void sim_streams_end(struct host *h)
{
	for (unsigned i = 0; i < SIM_STREAMS; i++) {
		struct stream_pair *p = &h->sim->stream[i];
		if (p->root == h && p->root)
			ended(p->node, &p->far);
		if (p->node == h || p->root == h)
			*p = (struct stream_pair){0};
	}
}

unsigned sim_streams_of(const struct host *h)
{
	unsigned n = 0;
	for (unsigned i = 0; i < SIM_STREAMS; i++)
		n += h->sim->stream[i].node == h;
	return n;
}
