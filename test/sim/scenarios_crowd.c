/* scenarios_crowd.c: a thousand members whose frames go by replicators, each once.
 *
 * A thousand whole nodes that know each other are a million peers: too much for one machine. Here each member is its worker alone, the
 * whole data path with its sessions, and what control would have made stands still: sessions, rosters and lists are set by hand, as after a
 * network has come to rest. scenarios_lan.c does the same with a hundred whole nodes. Only the sender and the replicators have a session with everybody;
 * others have one with each of these.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/audience.h"
#include "node/fdb.h"
#include "proto/seal.h"
#include "test/sim/sim.h"

#define MEMBERS 1000
#define BY      8 /* replicators, behind the sender */
#define LIMIT   32
#define CHAN    1
#define NETWORK UINT64_C(0x1234567890abcdef)

struct one {
	struct host *host;
	struct secret secret;
	struct tap tap;
	struct guestbook book;
	struct index *index;
	struct port *port;
	struct roster *roster;
	struct audiences *audiences;
	unsigned n; /* whom it has sessions with: all, or the first ones */
	struct remote *remote;
	struct member *member;
	struct session **session;
	struct way *way;
};

struct crowd {
	struct sim *sim;
	struct one one[MEMBERS];
};

static const uint8_t group[6] = {0x01, 0x00, 0x5e, 0x01, 0x02, 0x03};

static bool central(unsigned i)
{
	return i <= BY;
}

static bool takes(unsigned i)
{
	return i % 3 == 1;
}

/* ---- making ------------------------------------------------------------------------------------------------------ */

static uint32_t index_at(unsigned peer)
{
	return (peer + 1) << 8;
}

static struct session *session_between(unsigned at, unsigned peer, struct remote *remote, uint64_t now)
{
	struct session_keys k = {{0}, {0}, {0}};
	le32_to(k.send, at << 16 | peer);
	le32_to(k.receive, peer << 16 | at);
	struct session *s =
	    session_new(CLASS_DATA, at < peer, SUITE_CHACHA20_POLY1305, &k, index_at(peer), index_at(at), 2, 2, remote, 1, now);
	assert(s);
	s->peer_caps = CAP_REPLICATE;
	atomic_store(&s->confirmed, true);
	return s;
}

static void one_new(struct crowd *c, unsigned i)
{
	struct one *o = &c->one[i];
	struct host *h = o->host = calloc(1, sizeof *h);
	assert(h && c->sim->n_hosts < SIM_ALL);
	o->secret.self.address = 0x1100000000 + i * UINT64_C(977);
	*h = (struct host){
	    .sim = c->sim, .number = c->sim->n_hosts, .kind = HOST_NODE, .secret = &o->secret, .workers = 1, .next_us = UINT64_MAX};
	h->at = (struct endpoint){.family = 4, .port = 9993, .ip = {198, (uint8_t)(18 + i / 250), (uint8_t)(i % 250), 7}};
	h->udp = (struct udp){.host = h, .workers = 1};
	h->udp.last[0] = &h->udp.first[0];
	o->tap = (struct tap){.host = h, .mtu = 1400, .queues = 1};
	o->tap.last[0] = &o->tap.first[0];
	h->tap = &o->tap;
	c->sim->host[c->sim->n_hosts++] = h;
	o->index = index_new(4096);
	guestbook_init(&o->book, 1);
	h->alone = worker_new(0, &o->book, &h->udp, -1);
	o->port = calloc(1, sizeof *o->port);
	assert(o->index && h->alone && o->port);
	o->port->nwid = NETWORK;
	o->port->chan = CHAN;
	o->port->address = o->secret.self.address;
	mac_derive(NETWORK, o->port->address, o->port->mac);
	atomic_store(&o->port->tap, &o->tap);
	atomic_store(&o->port->mtu, 1400);
	atomic_store(&o->port->mcast_limit, LIMIT);
	atomic_store(&o->port->own_flags, i && central(i) ? MEMBER_REPLICATOR : 0);
	atomic_store(&o->port->open, true);
	o->port->fdb = fdb_new();
	assert(o->port->fdb);
}

static void one_meet(struct crowd *c, unsigned i)
{
	struct one *o = &c->one[i];
	o->n = central(i) ? MEMBERS : BY + 1;
	o->remote = calloc(o->n, sizeof *o->remote);
	o->member = calloc(o->n, sizeof *o->member);
	o->session = calloc(o->n, sizeof *o->session);
	o->way = calloc(o->n, sizeof *o->way);
	o->roster = calloc(1, sizeof *o->roster + o->n * sizeof o->roster->member[0]);
	assert(o->remote && o->member && o->session && o->way && o->roster);
	for (unsigned k = 0; k < o->n; k++) {
		struct member *m = &o->member[k];
		if (k == i)
			continue;
		m->remote = &o->remote[k];
		m->address = o->remote[k].address = c->one[k].secret.self.address;
		mac_derive(NETWORK, m->address, m->mac);
		atomic_store(&m->flags, k && central(k) ? MEMBER_REPLICATOR : 0);
		atomic_store(&m->tx_chan, CHAN);
		atomic_store(&m->rx_open, true);
		o->way[k] = (struct way){.to = c->one[k].host->at, .datagram = 1472};
		o->session[k] = session_between(i, k, &o->remote[k], c->sim->now / 1000);
		assert(index_put(o->index, &o->session[k]->named));
		atomic_store(&o->remote[k].way, &o->way[k]);
		atomic_store(&o->remote[k].session, o->session[k]);
		atomic_store(&o->remote[k].member[CHAN - 1], m);
		o->roster->member[o->roster->n++] = m;
	}
	atomic_store(&o->port->roster, o->roster);
}

/* As audience_publish would: a third of all take the group. */
static void one_lists(struct crowd *c, unsigned i)
{
	struct one *o = &c->one[i];
	unsigned n = 0;
	for (unsigned k = 0; k < o->n; k++)
		n += k != i && takes(k);
	o->audiences = audiences_new(1, n);
	assert(o->audiences && audiences_takers(o->audiences, 0, true) && audiences_unknown(o->audiences, 0));
	struct member **list = audiences_add(o->audiences, group, n, true, 0);
	for (unsigned k = 0, at = 0; k < o->n; k++)
		if (k != i && takes(k))
			list[at++] = &o->member[k];
	if (takes(i))
		memcpy(o->audiences->own[o->audiences->n_own++], group, 6);
	for (unsigned k = 1; k <= BY; k++)
		if (k != i)
			o->audiences->replicator[o->audiences->n_replicators++] = &o->member[k];
	atomic_store(&o->port->audiences, o->audiences);
	struct view *v = calloc(1, sizeof *v);
	assert(v);
	v->index = o->index;
	v->ports_generation = 1;
	v->ports[CHAN - 1] = o->port;
	guestbook_publish(&o->book, v);
}

static struct crowd *crowd_new(struct sim *sim)
{
	struct crowd *c = calloc(1, sizeof *c);
	assert(c && seal_setup() >= 0);
	c->sim = sim;
	sim->nwid = NETWORK;
	for (unsigned i = 0; i < MEMBERS; i++)
		one_new(c, i);
	for (unsigned i = 0; i < MEMBERS; i++) {
		one_meet(c, i);
		one_lists(c, i);
	}
	return c;
}

/* What the sim holds of it is its own and goes with it: hosts, what flies. */
static void crowd_free(struct crowd *c)
{
	for (unsigned i = 0; i < MEMBERS; i++) {
		struct one *o = &c->one[i];
		worker_free(o->host->alone);
		udp_close(&o->host->udp);
		guestbook_fini(&o->book);
		for (unsigned k = 0; k < o->n; k++)
			session_free(o->session[k]);
		fdb_free(o->port->fdb);
		free(o->port);
		free(o->index);
		free(o->roster);
		free(o->audiences);
		free(o->remote);
		free(o->member);
		free(o->session);
		free(o->way);
		o->host->alone = NULL;
	}
	free(c);
}

/* ---- what happens ------------------------------------------------------------------------------------------------ */

static unsigned datagrams;

static bool count_sender(void *self, struct sim *sim, const struct host *from, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	(void)sim, (void)to, (void)bytes, (void)len;
	datagrams += from == self;
	return true;
}

/* One frame: the sender makes LIMIT datagrams, those who are to get it have it (a second copy fails in frames.c), and nobody else. */
static void copied(struct crowd *c, unsigned from, bool broadcast)
{
	static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct sim *sim = c->sim;
	uint64_t letters = 0;
	datagrams = 0;
	sim->watch = count_sender;
	sim->watch_self = c->one[from].host;
	size_t number = frame_send_group(c->one[from].host, broadcast ? everybody : group, 60 + (size_t)sim_draw(sim, 1200));
	sim_run(sim, 100 * MS);
	sim->watch = NULL;
	expect(sim, datagrams == LIMIT, "%u datagrams of the sender for %u receivers", datagrams, MEMBERS - 1);
	for (unsigned i = 0; i < MEMBERS && !*sim->failed; i++) {
		bool due = i != from && (broadcast || takes(i)), got = frame_got(sim, number, c->one[i].host);
		expect(sim, got == due, "frame %zu %s member %u", number, got ? "came to" : "did not reach", i);
		struct letter *l = mail_take(worker_mail(c->one[i].host->alone));
		letters += l != NULL;
		if (l)
			mail_done(worker_mail(c->one[i].host->alone), l);
	}
	expect(sim, !letters, "%" PRIu64 " workers have something left for control", letters);
}

static void thousand(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	struct crowd *c = crowd_new(sim);
	for (unsigned i = 0; i < 20 && !*sim->failed; i++)
		copied(c, 0, !(i & 1));
	crowd_free(c);
	memcpy(failed, sim->failed, 256);
	sim_free(sim);
}

const struct scenario scenarios_crowd[] = {
    {"thousand", "a frame for 999 members costs its sender 32 datagrams", thousand, 1},
    {0},
};
