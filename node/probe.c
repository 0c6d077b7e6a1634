/* probe.c: questions along a path and their answers, and what an authentic packet from elsewhere leads to.
 *
 * A PROBE carries a token, its answer comes back by the path it was asked on: then the path leads both ways, and how long that takes is known. A
 * packet that proved itself and came from another place than we send to makes that place a path, PROBING; the old one is asked
 * too, and traffic moves only if the new one answers and the old one does not (RFC 9000, 9.3 in spirit), so that one who forwards our
 * packets faster than the real way gains nothing by it.
 */
#include "node/control.h"

#include <string.h>

#include "proto/random.h"

#define PROBES_PER_10S 48
#define LOSS_SHIFT     4
#define LEG_PROOF_MS   2000
#define DOUBT_MS       500
#define TASTE_MS       1000

bool path_probe_allowed(struct peer *peer)
{
	uint64_t now = peer->node->now;
	if (now - peer->probes_since_ms >= 10000) {
		peer->probes_since_ms = now;
		peer->probes_10s = 0;
	}
	return peer->probes_10s < PROBES_PER_10S && ++peer->probes_10s;
}

void probe_send(struct peer *peer, struct session *s, const struct path *by, uint64_t token, uint16_t flags, uint16_t size)
{
	struct node *node = peer->node;
	uint8_t plain[DATAGRAM_MAX] = {0};
	struct writer w = writer_over(plain, sizeof plain);
	put_u8(&w, INNER_PROBE);
	put_u8(&w, 0);
	put_le16(&w, 0);
	put_le64(&w, token);
	put_le32(&w, (uint32_t)node->now_us);
	put_le16(&w, flags);
	put_le16(&w, 0);
	node_seal(node, s, by, plain, (size_t)size - DATA_HEADER - DATA_TAG);
}

void path_probe(struct peer *peer, struct session *s, int i, uint16_t size)
{
	struct node *node = peer->node;
	struct probe *probe = &peer->probe[peer->probe_at++ % PROBES_MAX];
	if (size < PROBE_DATAGRAM_MIN)
		size = PROBE_DATAGRAM_MIN;
	*probe = (struct probe){.sent_us = node->now_us, .path = (uint8_t)i, .size = size, .plain = size == PROBE_DATAGRAM_MIN};
	random_bytes(&probe->token, sizeof probe->token);
	probe_send(peer, s, &peer->path[i], probe->token, (uint16_t)(i == peer->best ? 0 : PROBE_STANDBY), size);
}

/* What it sends us comes from there now: ask, and ask where it was too. If that one answers, the other side only prefers another way, and asking each
 * time it says so would make it ask us, for ever: once a second will do. */
static void moved(struct peer *peer, int i)
{
	struct path *p = &peer->path[i];
	const struct path *best = peer->best >= 0 ? &peer->path[peer->best] : NULL;
	uint64_t now = peer->node->now;
	p->roamed_ms = now;
	if (p->state != PATH_VALID && (p->state != PATH_PROBING || p->next_probe_ms == NEVER))
		path_ask_new(peer, i, 0);
	if (best && best != p && p->moved_ms && best->proved_ms >= p->moved_ms && now - p->moved_ms < TASTE_MS)
		return;
	p->moved_ms = now;
	if (p->state == PATH_VALID)
		path_ask(peer, i);
	if (best && best != p)
		path_ask(peer, peer->best);
}

void path_probe_in(struct node *node, const struct letter *l)
{
	struct session *s = node_session(node, l->idx);
	struct peer *peer = s ? peer_find(node, s->remote->key_hash) : NULL;
	struct reader r = reader_over(l->data, l->len);
	uint64_t token = get_le64(&r);
	uint32_t t_us = get_le32(&r);
	uint16_t flags = get_le16(&r);
	if (!peer || r.bad || l->size < PROBE_DATAGRAM_MIN) {
		node_drop(node, DROP_MALFORMED);
		return;
	}
	if (!l->circuit && path_barred(node, &l->from)) { /* an answer would make it a way of the other side's */
		node_drop(node, DROP_BARRED);
		return;
	}
	uint64_t tx = session_last_tx(s);
	struct path back = {.to = l->from, .socket = l->socket, .circuit = node_circuit(node, l->circuit)};
	uint8_t plain[INNER_HEADER + PROBE_ACK_BODY] = {INNER_PROBE_ACK};
	struct writer w = writer_over(plain + INNER_HEADER, PROBE_ACK_BODY);
	put_le64(&w, token);
	put_le32(&w, t_us);
	put_le32(&w, 0);
	put_le16(&w, (uint16_t)(l->size > UINT16_MAX ? UINT16_MAX : l->size));
	put_le16(&w, 0);
	put_endpoint(&w, l->circuit ? &(struct endpoint){0} : &l->from);
	if (!l->circuit || back.circuit)
		node_seal(node, s, &back, plain, sizeof plain);
	int i = flags & PROBE_MEASURE ? -1 : path_of_letter(peer, l);
	if (i < 0)
		return;
	if (i == peer->best && node->now > tx)
		path_outlived(peer, node->now - tx);
	if (!(flags & PROBE_STANDBY) && !l->circuit && i != peer->best)
		moved(peer, i);
	else if (i != peer->best && peer->best >= 0 && peer->path[peer->best].proved_ms + DOUBT_MS < node->now)
		path_ask(peer, peer->best);    /* it looks for other ways than ours: does ours still lead to it? */
	if (peer->path[i].state != PATH_VALID) /* someone authentic is there: ask back at once, it has opened its side */
		path_ask_new(peer, i, 0);
	path_tick(peer, node->now);
	peer_schedule(peer);
}

void path_missed(struct path *p)
{
	p->loss_permille = (uint16_t)(p->loss_permille + ((1000 - p->loss_permille) >> LOSS_SHIFT));
}

static bool came_by(const struct node *node, const struct path *p, const struct letter *l)
{
	if (p->circuit)
		return l->circuit && node_circuit((struct node *)node, l->circuit) == p->circuit;
	return !l->circuit && endpoint_equal(&p->to, &l->from);
}

void path_probe_ack(struct node *node, const struct letter *l)
{
	struct session *s = node_session(node, l->idx);
	struct peer *peer = s ? peer_find(node, s->remote->key_hash) : NULL;
	struct reader r = reader_over(l->data, l->len);
	uint64_t token = get_le64(&r);
	struct endpoint observed;
	struct probe *probe = NULL;
	(void)get_le64(&r); /* its own clock's: t_us echoed, how long it was held */
	(void)get_le32(&r); /* the size it had there */
	get_endpoint(&r, &observed);
	if (peer && !r.bad && nat_answered(peer, token, &observed))
		return;
	for (unsigned k = 0; peer && token && k < PROBES_MAX; k++)
		if (peer->probe[k].token == token)
			probe = &peer->probe[k];
	if (!probe || r.bad || !came_by(node, &peer->path[probe->path], l)) {
		node_drop(node, DROP_PROBE);
		return;
	}
	int i = probe->path;
	struct path *p = &peer->path[i];
	probe->token = 0;
	uint64_t now_us = l->time_us > probe->sent_us ? l->time_us : probe->sent_us + 1;
	uint32_t rtt = (uint32_t)(now_us - probe->sent_us);
	if (probe->plain) { /* padded ones measure the link's rate too */
		/* The first answer may have waited for the neighbour's address or for a queue: good news is believed at once. */
		bool first = !p->srtt_us || p->guessed || rtt < p->srtt_us / 2;
		p->srtt_us = first ? rtt : (p->srtt_us * 7 + rtt) / 8;
		p->guessed = false;
		p->loss_permille = (uint16_t)(p->loss_permille - (p->loss_permille >> LOSS_SHIFT));
	}
	if (!p->circuit && !(p->to.family & ENDPOINT_STREAM))
		nat_seen(peer, &p->to, &observed);
	pmtu_acked(peer, i, probe->size);
	path_valid(peer, i);
	ping_answered(peer, i, rtt);
	federation_measured(peer, rtt);
	crossing_follow(peer, s->class); /* the first answer under a session says that it stands */
	peer_schedule(peer);
}

/* Whom a ROAM letter is about: a session's peer; at a relay, named by no session, the node behind a leg. */
static struct peer *roamer(struct node *node, const struct letter *l, int *ret_path)
{
	struct session *s = node_session(node, l->idx);
	struct circuit *c = node_circuit(node, l->circuit);
	if (s) {
		struct peer *peer = peer_find(node, s->remote->key_hash);
		*ret_path = peer ? path_of_letter(peer, l) : -1;
		return peer;
	}
	struct peer *peer = !l->idx && c && c->at_relay ? peer_find(node, c->far->key_hash) : NULL;
	*ret_path = peer ? path_direct(peer, &l->from, l->socket) : -1;
	return peer;
}

void path_roam(struct node *node, const struct letter *l)
{
	int i = -1;
	struct peer *peer = roamer(node, l, &i);
	if (!peer || i < 0)
		return;
	/* From one leg to another is no move. But a leg that we send on and never hear may lead nowhere, though the peer is not silent. */
	const struct path *best = peer->best >= 0 ? &peer->path[peer->best] : NULL;
	if (best && best->circuit && peer->path[i].circuit) {
		if (i != peer->best && best->proved_ms + LEG_PROOF_MS < node->now)
			path_ask(peer, peer->best);
	} else {
		moved(peer, i);
	}
	path_tick(peer, node->now);
	peer_schedule(peer);
}
