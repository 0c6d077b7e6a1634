/* roots.c: the list of roots in use, and those that invitations bring.
 *
 * A root is on the list by the configuration, by a set, or by the invitation of a network: whoever came first says how it is reached. What
 * an invitation brings stays as long as one network's does: when a network is left, the roots that nothing else names any more end
 * as those do that a set no longer names.
 */
#include "node/control.h"

#include <stdlib.h>
#include <string.h>

#include "node/federation.h"
#include "proto/random.h"

void roots_add(struct node *node, struct peer *root)
{
	node->resolve[node->n_roots] = (struct resolve_root){0};
	node->root[node->n_roots++] = root;
	node_view_changed(node); /* gates */
}

void roots_remove(struct node *node, const struct peer *root)
{
	for (unsigned i = 0; i < node->n_roots; i++) {
		if (node->root[i] != root)
			continue;
		unsigned last = --node->n_roots;
		node->root[i] = node->root[last];
		node->resolve[i] = node->resolve[last];
		node->root[last] = NULL;
		node->resolve[last] = (struct resolve_root){0};
	}
	node_view_changed(node);
}

static void legs_forget(struct peer *peer, void *root)
{
	for (int i = 0; i < PATHS_MAX; i++)
		if (peer->path[i].state != PATH_FREE && peer->path[i].circuit && peer->path[i].relay == root)
			path_forget_circuit(peer, peer->path[i].circuit);
}

void roots_end(struct node *node, struct peer *root)
{
	homes_session_end(root);
	peers_each(node, legs_forget, root);
	for (unsigned i = 0; i < INCOMING_MAX; i++) {
		struct circuit *c = node_circuit(node, node->incoming[i]);
		if (c && c->far == root->remote)
			circuit_drop(node, c);
	}
	root->is_root = root->root_idle = false;
	root->root_line = NULL;
}

void roots_again(struct node *node)
{
	for (unsigned i = 0; i < NETWORKS_MAX; i++)
		if (node->net[i] && node->net[i]->invitation)
			roots_bring(node, node->net[i]->invitation->root, node->net[i]->invitation->n_roots);
}

/* ---- brought by invitations --------------------------------------------------------------------------------------------- */

static void bring(struct node *node, const struct root_line *line)
{
	struct root_line *own = NULL;
	struct peer *peer = NULL;
	if (bytes_equal(line->identity.key_hash, node->config.self.self.key_hash, KEY_HASH_BYTES))
		return;
	peer = peer_get(node, &line->identity);
	if (peer && peer->is_root)
		return;
	if (peer && node->n_roots < ROOTS_MAX)
		own = malloc(sizeof *own);
	if (!own) {
		log_warning("root %010llx of an invitation is not used: at most %d roots in all",
		            (unsigned long long)line->identity.address, ROOTS_MAX);
		return;
	}
	*own = *line;
	node->brought[node->n_brought++] = own;
	peer->is_root = true;
	peer->root_idle = false;
	peer->root_line = own;
	/* The word of who invites says whom to ask, not whose an address is: else a link's root could stand for the controller of another network. */
	if (!peer->work)
		node->port.work(node->port.self, &peer->identity);
	roots_add(node, peer);
	initiator_want(peer, CLASS_CTRL);
}

void roots_bring(struct node *node, const struct root_line *line, unsigned n)
{
	unsigned before = node->n_brought;
	for (unsigned i = 0; i < n; i++)
		bring(node, &line[i]);
	if (node->n_brought == before)
		return;
	resolve_tick(node, node->now);
	node_changed(node);
}

static bool named(const struct node *node, const struct root_line *line)
{
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		const struct invitation *v = node->net[i] ? node->net[i]->invitation : NULL;
		for (unsigned k = 0; v && k < v->n_roots; k++)
			if (bytes_equal(v->root[k].identity.key_hash, line->identity.key_hash, KEY_HASH_BYTES))
				return true;
	}
	return false;
}

void roots_sweep(struct node *node)
{
	for (unsigned i = node->n_brought; i-- > 0;) {
		struct root_line *line = node->brought[i];
		struct peer *root = peer_find(node, line->identity.key_hash);
		if (named(node, line) || (root && federation_set_root(root))) /* a set that came to name it takes it as configured */
			continue;
		if (root && root->root_line == line) {
			roots_remove(node, root);
			roots_end(node, root);
		}
		node->brought[i] = node->brought[--node->n_brought];
		wipe(line, sizeof *line); /* a gate */
		free(line);
	}
	node_changed(node);
}

void roots_fini(struct node *node)
{
	while (node->n_brought) {
		struct root_line *line = node->brought[--node->n_brought];
		wipe(line, sizeof *line);
		free(line);
	}
}

unsigned node_root_lines(const struct node *node, struct root_line *ret, unsigned max)
{
	unsigned n = 0;
	for (unsigned i = 0; i < node->n_roots && n < max; i++)
		if (node->root[i]->root_line)
			ret[n++] = *node->root[i]->root_line;
	return n;
}
