/* nat.c: of what kind the NAT before us is, learned from one root alone.
 *
 * A root has a second port and names it when we register. A question to it from the socket that talks to the first one shows whether a
 * NAT gives each destination another port (RFC 4787, endpoint-dependent mapping): then the port that roots see is not the one a peer has
 * to send to. The question is a PROBE inside the session that asks for an answer and for nothing else, so no path comes of it.
 */
#include "node/control.h"

#include "proto/random.h"

#define ASKS     3
#define AGAIN_MS 500

void nat_measure(struct peer *root)
{
	if (!root->alt_port)
		return;
	root->alt.left = ASKS;
	root->alt.ask_ms = root->node->now;
	random_bytes(&root->alt.token, sizeof root->alt.token);
	peer_schedule(root);
}

void nat_tick(struct peer *root, uint64_t now)
{
	struct session *s = peer_session(root, CLASS_CTRL);
	if (!root->alt.left || root->alt.ask_ms > now || !s)
		return;
	root->alt.left--;
	root->alt.ask_ms = now + AGAIN_MS;
	const struct path *p = root->best >= 0 ? &root->path[root->best] : NULL;
	if (!p || p->circuit || (p->to.family & ENDPOINT_STREAM))
		return;
	struct path other = {.to = p->to, .socket = p->socket};
	other.to.port = root->alt_port;
	probe_send(root, s, &other, root->alt.token, PROBE_MEASURE, PROBE_DATAGRAM_MIN);
}

uint64_t nat_deadline(const struct peer *root)
{
	return root->alt.left && peer_up(root, CLASS_CTRL) ? root->alt.ask_ms : NEVER;
}

bool nat_answered(struct peer *root, uint64_t token, const struct endpoint *observed)
{
	if (!root->alt.token || token != root->alt.token)
		return false;
	root->alt.left = 0;
	root->alt.token = 0;
	root->alt.observed = *observed;
	node_changed(root->node);
	return true;
}
