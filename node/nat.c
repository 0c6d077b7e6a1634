/* nat.c: where roots see us, and of what kind the NAT before us is.
 *
 * Each answer of a root over UDP says where it came from, so a NAT that restarted is known with the next keepalive, and whoever reaches us by a
 * detour is told. A root has a second port and names it when we register: a question to it from the socket that talks to the first one shows
 * whether a NAT gives each destination another port (RFC 4787, endpoint-dependent mapping): then the port that roots see is not the one a
 * peer has to send to. Where the root has addresses of both families it is asked by the one that is not in use too, for a peer may have
 * that one only. The questions are PROBEs inside the session that ask for an answer and for nothing else, so no path comes of them.
 */
#include "node/control.h"

#include <string.h>

#include "proto/random.h"

#define TRIES       3
#define AGAIN_MS    500
#define MEASURED_MS 20000 /* what was learned is good for so long: shorter than any NAT forgets */

static bool host_has(const struct node *node, uint8_t family)
{
	bool host = false, bound = false;
	for (unsigned i = 0; i < node->n_hosts; i++)
		host = host || node->host[i].family == family;
	for (unsigned i = 0; i < node->config.n_bound; i++)
		bound = bound || node->config.bound[i].family == family;
	return host && bound;
}

static void ask(struct peer *root, const struct endpoint *to, bool alt)
{
	for (unsigned i = 0; i < NAT_ASKS; i++) {
		struct nat_ask *a = &root->sight.ask[i];
		if (a->left)
			continue;
		*a = (struct nat_ask){.to = *to, .alt = alt, .left = TRIES};
		if (alt)
			a->to.port = root->alt_port;
		random_bytes(&a->token, sizeof a->token);
		return;
	}
}

void nat_measure(struct peer *root)
{
	uint64_t now = root->node->now;
	struct endpoint known[ROOT_KNOWN_MAX];
	const struct path *p = root->best >= 0 ? &root->path[root->best] : NULL;
	if (!p || p->circuit || (p->to.family & ENDPOINT_STREAM) || !peer_up(root, CLASS_CTRL) || root->sight.measured_ms > now)
		return;
	root->sight.measured_ms = now + MEASURED_MS;
	root->sight.ask_ms = now;
	memset(root->sight.ask, 0, sizeof root->sight.ask);
	if (root->alt_port)
		ask(root, &p->to, true);
	unsigned n = resolve_endpoints(root, known);
	for (unsigned i = 0; i < n; i++) {
		if (known[i].family == p->to.family || !host_has(root->node, known[i].family))
			continue;
		ask(root, &known[i], false);
		if (root->alt_port)
			ask(root, &known[i], true);
		break;
	}
	peer_schedule(root);
}

void nat_tick(struct peer *root, uint64_t now)
{
	struct session *s = peer_session(root, CLASS_CTRL);
	if (nat_deadline(root) > now || !s)
		return;
	root->sight.ask_ms = now + AGAIN_MS;
	for (unsigned i = 0; i < NAT_ASKS; i++) {
		struct nat_ask *a = &root->sight.ask[i];
		if (!a->left)
			continue;
		a->left--;
		struct path by = {.to = a->to};
		probe_send(root, s, &by, a->token, PROBE_MEASURE, PROBE_DATAGRAM_MIN);
	}
}

uint64_t nat_deadline(const struct peer *root)
{
	if (!root->is_root || !peer_up(root, CLASS_CTRL))
		return NEVER;
	for (unsigned i = 0; i < NAT_ASKS; i++)
		if (root->sight.ask[i].left)
			return root->sight.ask_ms;
	return NEVER;
}

void nat_seen(struct peer *root, const struct endpoint *from, const struct endpoint *observed)
{
	unsigned f = observed->family == 6;
	if ((observed->family != 4 && observed->family != 6) || !root->is_root)
		return; /* by a stream: says nothing */
	struct endpoint was = root->sight.seen[f];
	root->sight.by[f] = *from;
	event_observed(root, &root->sight.seen[f], observed);
	if (!endpoint_equal(&was, observed))
		path_candidates_changed(root->node);
}

void nat_forget(struct peer *root)
{
	memset(&root->sight, 0, sizeof root->sight);
}

bool nat_answered(struct peer *root, uint64_t token, const struct endpoint *observed)
{
	for (unsigned i = 0; i < NAT_ASKS; i++) {
		struct nat_ask *a = &root->sight.ask[i];
		if (!a->token || a->token != token)
			continue;
		a->left = 0;
		a->token = 0;
		if (a->alt)
			root->sight.alt[observed->family == 6] = *observed;
		else
			nat_seen(root, &a->to, observed);
		node_changed(root->node);
		return true;
	}
	return false;
}
