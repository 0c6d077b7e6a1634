/* pmtu.c: how large a datagram a path carries, found by padded probes alone (RFC 8899).
 *
 * DATAGRAM_BASE is taken for granted, so that even a path of IPv6's least MTU works from its first packet. When a path comes into use, and every ten
 * minutes while it is, all sizes of the ladder up to what our own link carries are tried at once, three times: the largest that is
 * answered counts. A path may shrink under way without a word, or with an ICMP that a firewall ate: while large datagrams flow their
 * size is confirmed, and three confirmations lost in a row while small ones are answered are a black hole. Then the base serves at once
 * and the search begins anew. ICMP is never believed, so none can make us shrink.
 */
#include "node/control.h"

#define ROUNDS        3
#define SEARCH_MS     (10 * 60 * 1000)
#define CONFIRM_MS    1500 /* one padded probe in so much time of bulk: a stream that stalled moves on before its user gives up */
#define AGAIN_MS      300
#define LOST_MAX      3
#define BIG_MS        2000 /* large datagrams flow while one left in so much time */
#define UDP4_HEADERS  28
#define UDP6_HEADERS  48
#define ETHERNET_LINK 1500

/* UDP payload. What PPPoE, tunnels, and both address families leave of 1500; then jumbo frames. */
static const uint16_t sizes[] = {1252, 1280, 1352, 1392, 1412, 1424, 1432, 1444, 1452, 1464, 1472, 4052, 8952, 8972};

static bool fixed(const struct path *p)
{
	return p->to.family & ENDPOINT_STREAM;
}

void pmtu_search(struct peer *peer, int i)
{
	struct path *p = &peer->path[i];
	if (fixed(p))
		return;
	p->pmtu = (struct pmtu){.rounds = ROUNDS, .search_ms = peer->node->now, .confirm_ms = peer->node->now};
}

static unsigned link_most(const struct node *node, const struct path *p)
{
	unsigned link = ETHERNET_LINK;
	for (unsigned i = 0; i < node->n_hosts; i++)
		if (node->host_mtu[i] > link)
			link = node->host_mtu[i];
	return link - (p->to.family == 6 ? UDP6_HEADERS : UDP4_HEADERS) - (p->circuit ? LEG_HEADER : 0);
}

static void search(struct peer *peer, struct session *s, int i, uint64_t now)
{
	struct path *p = &peer->path[i];
	if (!p->pmtu.rounds) {
		p->pmtu.rounds = ROUNDS;
		if (session_last_frame(s) + SEARCH_MS < now) { /* nothing to carry: look again later */
			p->pmtu.search_ms = now + SEARCH_MS;
			return;
		}
	}
	p->pmtu.rounds--;
	p->pmtu.search_ms = now + (p->pmtu.rounds == ROUNDS - 1 ? 250 : p->pmtu.rounds ? 1000 : SEARCH_MS);
	unsigned most = link_most(peer->node, p);
	for (unsigned k = 0; k < sizeof sizes / sizeof *sizes && sizes[k] <= most; k++)
		if (sizes[k] > p->datagram)
			path_probe(peer, s, i, sizes[k]);
}

static void confirm(struct peer *peer, struct session *s, int i, uint64_t now)
{
	struct path *p = &peer->path[i];
	if (p->pmtu.lost >= LOST_MAX) {
		/* Only if small ones come through is it the size; else the path is dead, and that is another's business. */
		p->pmtu.lost = 0;
		if (p->proved_ms + LOST_MAX * AGAIN_MS >= now) {
			p->datagram = DATAGRAM_BASE;
			pmtu_search(peer, i);
			path_choose(peer);
			return;
		}
	}
	p->pmtu.lost++;
	p->pmtu.confirm_ms = now + (p->srtt_us / 800 > AGAIN_MS ? p->srtt_us / 800 : AGAIN_MS);
	path_probe(peer, s, i, p->datagram);
	if (p->pmtu.lost > 1)
		path_probe(peer, s, i, 0); /* the control experiment */
}

void pmtu_tick(struct peer *peer, uint64_t now)
{
	struct session *s = peer_session(peer, CLASS_DATA); /* control messages all fit into the least, and need not know */
	struct path *p = peer->best >= 0 ? &peer->path[peer->best] : NULL;
	if (!p || !s || fixed(p))
		return;
	if (p->pmtu.search_ms <= now)
		search(peer, s, peer->best, now);
	bool big = p->datagram > DATAGRAM_BASE && session_last_big(s) + BIG_MS > now;
	if (big && p->pmtu.confirm_ms <= now)
		confirm(peer, s, peer->best, now);
}

void pmtu_acked(struct peer *peer, int i, uint16_t size)
{
	struct path *p = &peer->path[i];
	if (size < p->datagram)
		return;
	p->pmtu.lost = 0;
	p->pmtu.confirm_ms = peer->node->now + CONFIRM_MS;
	if (size > p->datagram) {
		p->datagram = size;
		path_choose(peer);
	}
}

/* The confirmation comes with the polls that follow frames. */
uint64_t pmtu_deadline(const struct path *p)
{
	return fixed(p) ? NEVER : p->pmtu.search_ms;
}
