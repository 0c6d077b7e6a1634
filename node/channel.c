/* channel.c: opening networks to peers, and frames that could not take the workers' road.
 *
 * A channel is open when each side holds a valid credential of the other: then tx_chan and rx_open of the member are set and workers pass frames.
 * Credentials ride in INIT and RESP for one shared network, NET_OPEN brings the others. After every new HEAD all channels are judged again; who
 * is revoked loses channel and keys at once and is never answered. Frames for a member without a session wait here, 64 per peer.
 */
#include "node/control.h"

#include <stdlib.h>
#include <string.h>

#include "node/encap.h"
#include "node/layout.h"
#include "node/police.h"
#include "tap/mirror.h"
#include "node/owners.h"

#define OPEN_AGAIN_MS 1000
#define CHAN_TLV      10

static bool ready(const struct net *net)
{
	return net && net->cred_ok && net->head_ok && net->gate_set && net->state == NET_JOINED;
}

static struct net_member *member_of(struct net *net, const struct peer *peer)
{
	struct member *m = atomic_load(&peer->remote->member[net->chan - 1]);
	return m ? roster_member(net, m->address, peer->identity.key_hash) : NULL;
}

static bool valid(const struct net *net, const struct cred *cred, const uint8_t key_hash[KEY_HASH_BYTES])
{
	return cred_check(cred, net->nwid, key_hash, cred->address, config_min_serial(net, key_hash), config_ctime(net)) == CRED_OK;
}

/* Smallest network id first, so that both sides name the same one. */
struct net *channel_shared(struct peer *peer)
{
	struct net *best = NULL;
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		struct net *net = peer->node->net[i];
		struct net_member *m = ready(net) ? member_of(net, peer) : NULL;
		if (m && (m->listed || m->cred_ok) &&
		    config_min_serial(net, peer->identity.key_hash) <= (m->cred_ok ? m->cred.serial : UINT64_MAX) &&
		    (!best || net->nwid < best->nwid))
			best = net;
	}
	return best;
}

/* ---- credentials ---------------------------------------------------------------------------------------------------------- */

bool channel_cred(struct net *net, struct peer *peer, const uint8_t *envelope, size_t len)
{
	struct cred cred;
	if (!ready(net) || len > CRED_ENVELOPE_MAX || !cred_open(envelope, len, net->controller.ed, &cred) ||
	    !valid(net, &cred, peer->identity.key_hash))
		return false;
	struct net_member *m = roster_get(net, peer, cred.address);
	if (!m || (m->cred_ok && cred.serial < m->cred.serial))
		return m != NULL && m->cred_ok; /* an older one of a member whose newer one is held */
	bool fresh = !m->cred_ok, other = atomic_load(&m->member->flags) != cred.flags;
	if (!peer->identity.address)
		peer->identity.address = peer->remote->address = cred.address;
	m->cred = cred;
	m->cred_ok = true;
	roster_rights(net, m, cred.flags);
	rights_member(net, m);
	if (fresh && !atomic_load(&m->member->rx_open)) {
		memcpy(m->member->macs, cred.macs, sizeof cred.macs);
		m->member->n_macs = cred.n_macs;
	}
	if (fresh && !m->listed)
		roster_publish(net);
	if (other)
		group_roster(net);
	if (!m->listed || owners_disputed(atomic_load(&net->port->owners)))
		neighbour_publish(net);
	return true;
}

bool channel_greeted(struct node *node, const struct identity *who, const uint8_t *tlvs, size_t len, struct greeting *ret)
{
	struct greeting g = {0};
	struct reader r = reader_over(tlvs, len);
	uint8_t type;
	const uint8_t *value;
	size_t n;
	bool good = false;
	while (tlv_next(&r, &type, &value, &n)) {
		if (type == TLV_CHAN && n == CHAN_TLV && g.n < sizeof g.offer / sizeof *g.offer) {
			struct reader v = reader_over(value, n);
			g.offer[g.n].nwid = get_be64(&v);
			g.offer[g.n++].chan = get_le16(&v);
		}
		struct cred cred;
		if (type != TLV_CREDENTIAL || good || n > sizeof g.cred || !cred_parse(value, n, &cred))
			continue;
		struct net *net = net_find(node, cred.nwid);
		if (!ready(net) || !cred_open(value, n, net->controller.ed, &cred) || !valid(net, &cred, who->key_hash))
			continue;
		good = true;
		g.nwid = cred.nwid;
		g.cred_len = n;
		memcpy(g.cred, value, n);
	}
	if (good)
		*ret = g;
	return good;
}

size_t channel_greet(struct peer *peer, uint8_t *tlvs, size_t room, bool with_cred)
{
	struct net *net = channel_shared(peer);
	struct writer w = writer_over(tlvs, room);
	uint8_t offer[CHAN_TLV];
	if (!net)
		return 0;
	struct writer v = writer_over(offer, sizeof offer);
	put_be64(&v, net->nwid);
	put_le16(&v, (uint16_t)net->chan);
	if ((with_cred && !tlv_put(&w, TLV_CREDENTIAL, net->cred_env, net->cred_len)) || !tlv_put(&w, TLV_CHAN, offer, sizeof offer))
		return 0;
	return writer_len(&w);
}

/* ---- opening and closing ----------------------------------------------------------------------------------------------------- */

static void opened(struct net *net, struct net_member *m, uint16_t chan)
{
	if (!m->cred_ok || !chan || chan > NETWORKS_MAX)
		return;
	if (!atomic_load(&m->member->traffic)) /* of all who are listed few are ever met */
		atomic_store(&m->member->traffic, traffic_new(net->node->config.workers + 1));
	atomic_store(&m->member->tx_chan, chan);
	atomic_store(&m->member->rx_open, true);
	m->opening = false;
	if (m->head_told < net->head.version)
		net->gossip = true;
	channel_flush(m->peer);
	group_opened(net, m);
	node_changed(net->node);
}

void channel_apply_greeting(struct peer *peer, const struct greeting *g)
{
	struct net *net = net_find(peer->node, g->nwid);
	if (!net || !channel_cred(net, peer, g->cred, g->cred_len))
		return;
	struct net_member *m = member_of(net, peer);
	for (unsigned i = 0; m && i < g->n; i++)
		if (g->offer[i].nwid == g->nwid)
			opened(net, m, g->offer[i].chan);
}

static size_t open_encode(const struct net *net, uint8_t *body, size_t room)
{
	struct body_net_open b = {.nwid = net->nwid,
	                          .chan = (uint16_t)net->chan,
	                          .cred = net->cred_env,
	                          .cred_len = net->cred_len,
	                          .head = net->head_env,
	                          .head_len = net->head_len};
	return body_net_open_encode(&b, body, room);
}

static void open_done(struct peer *peer, const struct request *r, const struct message *reply)
{
	struct net *net = net_find(peer->node, r->context);
	struct net_member *m = net ? member_of(net, peer) : NULL;
	struct body_net_open b;
	if (!m)
		return;
	m->opening = false;
	if (!reply || reply->status != STATUS_OK || !body_net_open_parse(reply->body, reply->len, &b) || b.nwid != net->nwid)
		return;
	if (b.head)
		config_head(net, peer, b.head, b.head_len);
	if (channel_cred(net, peer, b.cred, b.cred_len) && (m = member_of(net, peer)))
		opened(net, m, b.chan);
}

void channel_open(struct net *net, struct net_member *m)
{
	uint8_t body[BODY_MAX];
	uint64_t now = net->node->now;
	if (!ready(net))
		return;
	/* Also when the channel is open: handles outlive a session that ended because nobody said a word. */
	if (!peer_up(m->peer, CLASS_DATA) || m->peer->best < 0) {
		initiator_want(m->peer, CLASS_DATA);
		return;
	}
	if (atomic_load(&m->member->tx_chan) || m->opening || m->open_ms > now)
		return;
	m->open_ms = now + OPEN_AGAIN_MS;
	size_t n = open_encode(net, body, sizeof body);
	m->opening = n && request_send(m->peer, CLASS_DATA, OP_NET_OPEN, body, n, open_done, net->nwid, NULL);
}

void channel_net_open(struct peer *peer, uint32_t req, const uint8_t *body, size_t len)
{
	struct body_net_open b;
	struct net *net = body_net_open_parse(body, len, &b) ? net_find(peer->node, b.nwid) : NULL;
	uint8_t out[BODY_MAX];
	/* A network we are not in and a credential that does not hold look the same. */
	bool good = net && channel_cred(net, peer, b.cred, b.cred_len);
	size_t n = good ? open_encode(net, out, sizeof out) : 0;
	request_reply(peer, CLASS_DATA, req, OP_NET_OPEN, n ? STATUS_OK : STATUS_DENIED, out, n);
	struct net_member *m = good ? member_of(net, peer) : NULL;
	if (m)
		opened(net, m, b.chan);
	if (net && b.head)
		config_head(net, peer, b.head, b.head_len);
}

void channel_close(struct net *net, struct net_member *m, bool tell)
{
	struct body_net_close b = {.nwid = net->nwid, .chan = atomic_load(&m->member->tx_chan)};
	uint8_t body[32];
	bool was = atomic_load(&m->member->rx_open);
	atomic_store(&m->member->tx_chan, 0);
	atomic_store(&m->member->rx_open, false);
	m->opening = false;
	group_closed(net, m);
	size_t n = body_net_close_encode(&b, body, sizeof body);
	if (was && tell && peer_up(m->peer, CLASS_DATA))
		request_send(m->peer, CLASS_DATA, OP_NET_CLOSE, body, n, NULL, 0, NULL);
}

void channel_net_close(struct peer *peer, const uint8_t *body, size_t len)
{
	struct body_net_close b;
	struct net *net = body_net_close_parse(body, len, &b) ? net_find(peer->node, b.nwid) : NULL;
	struct net_member *m = net ? member_of(net, peer) : NULL;
	if (m) {
		channel_close(net, m, false);
		m->open_ms = peer->node->now + OPEN_AGAIN_MS;
	}
}

void channel_cred_in(struct peer *peer, uint32_t req, const uint8_t *body, size_t len)
{
	struct body_cred b;
	struct net *net = body_cred_parse(body, len, &b) ? net_find(peer->node, b.nwid) : NULL;
	bool good = net && channel_cred(net, peer, b.cred, b.cred_len);
	request_reply(peer, CLASS_DATA, req, OP_CRED, good ? STATUS_OK : STATUS_DENIED, NULL, 0);
}

void channel_push_cred(struct net *net)
{
	struct body_cred b = {.nwid = net->nwid, .cred = net->cred_env, .cred_len = net->cred_len};
	uint8_t body[BODY_MAX];
	size_t n = body_cred_encode(&b, body, sizeof body);
	for (unsigned i = 0; n && i < net->n_members; i++)
		if (atomic_load(&net->member[i]->member->rx_open) && peer_up(net->member[i]->peer, CLASS_DATA))
			request_send(net->member[i]->peer, CLASS_DATA, OP_CRED, body, n, NULL, 0, NULL);
}

void channel_recheck(struct net *net)
{
	bool closed = false;
	for (unsigned i = net->n_members; i-- > 0;) {
		struct net_member *m = net->member[i];
		if (!m->cred_ok || valid(net, &m->cred, m->peer->identity.key_hash))
			continue;
		struct peer *peer = m->peer;
		m->cred_ok = false;
		closed = true;
		channel_close(net, m, false);
		if (!m->listed)
			roster_rights(net, m, 0);
		/* Nothing shared any more: its keys go, and it is not told why. */
		if (!channel_shared(peer) && !peer->is_root && !peer->is_controller)
			peer_cut(peer);
	}
	if (closed)
		roster_apply(net);
}

void channel_peer_restarted(struct peer *peer)
{
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		struct net *net = peer->node->net[i];
		struct net_member *m = net ? member_of(net, peer) : NULL;
		if (m)
			channel_close(net, m, false);
	}
}

void channel_session_up(struct peer *peer)
{
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		struct net *net = peer->node->net[i];
		struct net_member *m = net ? member_of(net, peer) : NULL;
		if (m && (m->listed || m->cred_ok)) {
			m->open_ms = 0;
			channel_open(net, m);
			group_opened(net, m);
		}
	}
	channel_flush(peer);
}

/* ---- frames that waited -------------------------------------------------------------------------------------------------------- */

static bool sendable(const struct net_member *m)
{
	return peer_up(m->peer, CLASS_DATA) && m->peer->best >= 0 && atomic_load(&m->member->tx_chan);
}

/* Sends one frame now, our own or (origin) one that we copy for another member; false if this member cannot be sent to yet. */
static bool frame_send(struct port *port, struct net_member *m, uint64_t origin, const uint8_t *frame, uint32_t len)
{
	struct peer *peer = m->peer;
	struct node *node = peer->node;
	struct session *s = peer_session(peer, CLASS_DATA);
	uint16_t chan = atomic_load(&m->member->tx_chan);
	uint8_t plain[DATAGRAM_MAX];
	if (!s || !chan || peer->best < 0)
		return false;
	const struct path *path = &peer->path[peer->best];
	struct encap e = {.chan = chan,
	                  .datagram = path->datagram < DATAGRAM_MAX ? path->datagram : DATAGRAM_MAX,
	                  .frag_id =
	                      15u << 24 | (uint32_t)(atomic_load(&s->next[0]) & 0xffffff)}; /* lane 0; workers use numbers below 15 */
	memcpy(e.own_mac, port->mac, 6);
	memcpy(e.peer_mac, m->member->mac, 6);
	if (origin && !(s->peer_caps & CAP_REPLICATE)) {
		port_drop(node, port, DROP_REPLICATE);
		return true;
	}
	if (origin)
		e.note = note_replicated(origin);
	unsigned n = encap_pieces(&e, frame, len);
	if (!n) {
		port_drop(node, port, DROP_FRAME_LONG);
		return true;
	}
	for (unsigned i = 0; i < n; i++) {
		size_t size = encap_piece(&e, frame, len, i, n, plain);
		node_seal(node, s, path, plain, size);
	}
	/* The port's own counter had it when its worker left it to us. */
	struct traffic *t = atomic_load(&m->member->traffic);
	if (t)
		traffic_out(&t[node->config.workers], 1, len);
	peer->used_ms = peer->carried_ms = node->now;
	return true;
}

static void waiting_oldest_drop(struct peer *peer)
{
	struct waiting *w = peer->wait_first;
	peer->wait_first = w->next;
	if (!peer->wait_first)
		peer->wait_last = &peer->wait_first;
	peer->waiting--;
	peer->node->waiting_bytes -= w->len;
	struct net *net = net_find(peer->node, w->nwid);
	if (net)
		port_drop(peer->node, net->port, DROP_WAIT_LIMIT);
	else
		node_drop(peer->node, DROP_WAIT_LIMIT);
	free(w);
}

static bool frame_queue(struct peer *peer, struct port *port, uint64_t origin, const uint8_t *frame, uint32_t len)
{
	struct node *node = peer->node;
	while (peer->waiting >= WAITING_MAX || (peer->waiting && node->waiting_bytes + len > WAITING_BYTES))
		waiting_oldest_drop(peer);
	struct waiting *w = node->waiting_bytes + len <= WAITING_BYTES ? malloc(sizeof *w + len) : NULL;
	if (!w) {
		port_drop(node, port, DROP_WAIT_LIMIT);
		return false;
	}
	*w = (struct waiting){.nwid = port->nwid, .origin = origin, .since_ms = node->now, .len = len};
	memcpy(w->frame, frame, len);
	*peer->wait_last = w;
	peer->wait_last = &w->next;
	peer->waiting++;
	node->waiting_bytes += len;
	return true;
}

/* A member that takes a session and never opens its channel must not keep its share of the daemon's room for ever. */
void channel_wait_tick(struct peer *peer, uint64_t now)
{
	while (peer->wait_first && peer->wait_first->since_ms + WAITING_MS <= now)
		waiting_oldest_drop(peer);
}

void channel_flush(struct peer *peer)
{
	struct waiting **at = &peer->wait_first;
	while (*at) {
		struct waiting *w = *at;
		struct net *net = net_find(peer->node, w->nwid);
		struct net_member *m = net ? member_of(net, peer) : NULL;
		if (m && !frame_send(net->port, m, w->origin, w->frame, w->len)) {
			at = &w->next;
			continue;
		}
		if (!m)
			node_drop(peer->node, DROP_NO_MEMBER);
		*at = w->next;
		peer->waiting--;
		peer->node->waiting_bytes -= w->len;
		free(w);
	}
	peer->wait_last = at;
}

static void copy_to(struct net *net, struct net_member *m, uint64_t origin, const uint8_t *frame, uint32_t len)
{
	if (!m || !(m->listed || m->cred_ok)) {
		port_drop(net->node, net->port, DROP_NO_MEMBER);
		return;
	}
	if (frame_send(net->port, m, origin, frame, len))
		return;
	frame_queue(m->peer, net->port, origin, frame, len);
	channel_open(net, m);
}

void channel_frame_to(struct net *net, struct net_member *m, const uint8_t *frame, uint32_t len)
{
	copy_to(net, m, 0, frame, len);
}

static struct net *net_of_letter(struct node *node, const struct letter *l)
{
	return l->chan && l->chan <= NETWORKS_MAX ? node->net[l->chan - 1] : NULL;
}

void channel_frame_out(struct node *node, const struct letter *l)
{
	struct net *net = net_of_letter(node, l);
	if (!net)
		return;
	channel_frame_to(net, roster_address(net, l->address), l->data, l->len);
}

void channel_flood_out(struct node *node, const struct letter *l)
{
	struct net *net = net_of_letter(node, l);
	if (!net)
		return;
	/* The places may mean other members by now, or not all are named. Then it waits for those of its stretch who cannot be sent to: the worker had
	 * nobody else to leave over, and who can be sent to has had it. */
	if (l->generation != net->generation || l->places > LETTER_PLACES) {
		for (unsigned i = 0; i < net->n_members; i++) {
			struct net_member *m = net->member[i];
			if (m->member->address != l->origin && stretch_holds(l->ring_from, l->ring_to, m->member->address) &&
			    !sendable(m) && gather_meets(net, m, l->data))
				copy_to(net, m, l->origin, l->data, l->len);
		}
		return;
	}
	for (unsigned i = 0; i < l->places; i++)
		if (l->place[i] < net->n_members)
			copy_to(net, net->member[l->place[i]], l->origin, l->data, l->len);
}

/* One complete frame to the device. */
static void frame_up(struct net *net, struct member *sender, struct arrived *a)
{
	struct member *from = sender;
	uint8_t frame[FRAG_FRAME_MAX] = {0};
	struct packet p = {.verdict = DROP_NONE};
	struct noted noted;
	enum drop verdict = decap_note(a, &noted);
	/* Who has us copy for others has an open channel: what waited for one goes no further than here. */
	if (!verdict && noted.replicate)
		verdict = DROP_REPLICATE;
	if (!verdict && noted.origin) {
		const struct roster *r = atomic_load(&net->port->roster);
		bool may = atomic_load(&from->flags) & MEMBER_REPLICATOR;
		from = may && r ? roster_find(r, noted.origin) : NULL;
		verdict = from && from->address != net->port->address ? DROP_NONE : DROP_REPLICATE;
	}
	if (!verdict)
		verdict = decap_frame(a, from->mac, net->port->mac, frame, &p);
	if (!verdict)
		verdict = admit_frame(net->port, from, frame, p.len);
	struct tap *nic = atomic_load(&net->port->nic);
	bool own = !memcmp(frame, net->port->mac, 6), shut = atomic_load(&net->port->blocked);
	if (!verdict && loopguard_frame(frame, p.len))
		verdict = DROP_LOOP;
	if (!verdict && shut && !(nic && (own || frame[0] & 1)))
		verdict = DROP_BLOCKED;
	if (!verdict) /* fdb and limits: by its worker, once the channel is open */
		verdict = police_in(net->port, from, frame, p.len, false, net->node->now_us);
	struct mirrors *mirrors = atomic_load(&net->port->mirrors);
	if (mirrors && p.data)
		mirrors_copy(mirrors, MIRROR_IN, verdict, p.data, p.len);
	if (verdict) {
		police_blame(police_guilty(sender, from, verdict), verdict);
		port_drop(net->node, net->port, verdict);
		return;
	}
	offload_complete(frame, p.len, &p.offload);
	struct packet too = p; /* what one device refuses the other may take */
	if (nic && !own && !shut)
		tap_write(nic, 0, &too, 1);
	if (!nic || own || frame[0] & 1)
		tap_write(net->port->tap, 0, &p, 1);
	if (too.verdict)
		port_drop(net->node, net->port, too.verdict);
	if (p.verdict)
		port_drop(net->node, net->port, p.verdict);
	if (p.verdict || too.verdict)
		return;
	traffic_in(&net->port->count[WORKERS_MAX].carried, 1, p.len);
	struct traffic *t = atomic_load(&sender->traffic);
	if (t)
		traffic_in(&t[net->node->config.workers], 1, p.len);
}

void channel_frame_in(struct node *node, const struct letter *l)
{
	struct session *s = node_session(node, l->idx);
	/* Its handle of our network stands in the inner header, as every letter of a packet gives the packet and no more. */
	unsigned chan = l->len >= INNER_HEADER ? le16_at(l->data + 2) : 0;
	struct net *net = chan && chan <= NETWORKS_MAX ? node->net[chan - 1] : NULL;
	struct peer *peer = s ? peer_find(node, s->remote->key_hash) : NULL;
	struct net_member *m = net && peer ? member_of(net, peer) : NULL;
	if (!m || !atomic_load(&m->member->rx_open) || !net->device_up || !atomic_load(&net->port->open)) {
		node_drop(node, DROP_CHAN);
		if (m && ready(net) && (m->listed || m->cred_ok)) {
			/* It believes the channel open: let it hear that ours has to be opened anew. */
			atomic_store(&m->member->tx_chan, 0);
			channel_open(net, m);
		}
		return;
	}
	struct arrived arrived[BUNDLE_MAX];
	unsigned n = 0;
	enum drop verdict = decap_split(l->data, l->len, arrived, &n);
	if (verdict)
		node_drop(node, verdict);
	for (unsigned i = 0; i < n; i++)
		frame_up(net, m->member, &arrived[i]);
}
