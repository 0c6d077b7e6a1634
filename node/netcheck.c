/* netcheck.c: what roots that see us tell of the NATs between: two of them, or two ports of one (nat.c).
 *
 * Both are asked from the same socket. A NAT that gives the second one the port of the first keeps one mapping for all
 * destinations (RFC 4787, endpoint-independent), and whoever knows that port may be told to come there; one that gives another port can be
 * reached at none that we could name. One port alone says nothing. What a NAT lets in (its filtering) cannot be told from answers to
 * what we sent, so nothing is said of it.
 */
#include "node/control.h"

#include <string.h>

static bool is_ours(const struct node *node, const struct endpoint *seen)
{
	bool address = false, port = false;
	for (unsigned i = 0; i < node->n_hosts; i++)
		address = address || (node->host[i].family == seen->family && !memcmp(node->host[i].ip, seen->ip, sizeof seen->ip));
	for (unsigned i = 0; i < node->config.n_bound; i++)
		port = port || (node->config.bound[i].family == seen->family && node->config.bound[i].port == seen->port);
	return address && port;
}

/* Roots of one address see the same whatever the NAT does with addresses: only those that differ in it count as two. */
static bool apart(const struct endpoint *a, const struct endpoint *b)
{
	return memcmp(a->ip, b->ip, sizeof a->ip) != 0;
}

static void family_fill(const struct node *node, uint8_t family, unsigned f, struct netcheck_view *v)
{
	struct endpoint first = {0};
	for (unsigned i = 0; i < node->n_hosts; i++)
		v->family[f].host = v->family[f].host || node->host[i].family == family;
	for (unsigned i = 0; i < node->n_roots; i++) {
		const struct peer *root = node->root[i];
		const struct endpoint *seen = &root->sight.seen[f], *by = &root->sight.by[f];
		const struct path *path = root->best >= 0 ? &root->path[root->best] : NULL;
		bool on = path && path->to.family == family;
		if (!path || path->circuit || !peer_up(root, CLASS_CTRL) || (!on && seen->family != family))
			continue;
		v->family[f].reached = true;
		v->family[f].roots++;
		if (seen->family != family)
			continue;
		if (is_ours(node, seen))
			v->family[f].mapping = NAT_NONE;
		else if (first.family && apart(&first, by) && v->family[f].mapping != NAT_DIFFERENT)
			v->family[f].mapping = endpoint_equal(&v->family[f].observed, seen) ? NAT_ALIKE : NAT_DIFFERENT;
		const struct endpoint *other = &root->sight.alt[f]; /* by its second port */
		if (other->family == family && v->family[f].mapping != NAT_NONE && v->family[f].mapping != NAT_DIFFERENT)
			v->family[f].mapping = endpoint_equal(other, seen) ? NAT_ALIKE : NAT_DIFFERENT;
		if (!first.family) {
			first = *by;
			v->family[f].observed = *seen;
		}
	}
}

void node_netcheck(struct node *node, struct netcheck_view *ret)
{
	struct netcheck_view v = {.n_bound = node->config.n_bound};
	family_fill(node, 4, 0, &v);
	family_fill(node, 6, 1, &v);
	for (unsigned i = 0; i < node->n_roots; i++) {
		const struct peer *root = node->root[i];
		v.tls = v.tls || (root->best >= 0 && path_tls(&root->path[root->best]));
	}
	memcpy(v.bound, node->config.bound, sizeof v.bound);
	*ret = v;
}
