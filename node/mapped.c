/* mapped.c: where routers let us in from outside, as the mapping thread found it (mapping.h).
 *
 * The endpoints are candidates like the host's own addresses (candidate.c). When they change, whoever we talk to by a detour now is told at once:
 * the new one may be the direct way that was missing. Peers with a direct way need none and learn of it with the next candidates.
 */
#include "node/control.h"

#include <string.h>

#include "proto/endpoint.h"

void node_mapped(struct node *node, const struct endpoint *mapped, unsigned n, uint64_t now)
{
	bool news = false;
	node->now = now;
	if (n > MAPPED_MAX)
		n = MAPPED_MAX;
	for (unsigned i = 0; i < n; i++) {
		unsigned k = 0;
		while (k < node->n_mapped && !endpoint_equal(&node->mapped[k], &mapped[i]))
			k++;
		news = news || k == node->n_mapped;
	}
	memcpy(node->mapped, mapped, n * sizeof(mapped[0]));
	bool fewer = n < node->n_mapped;
	node->n_mapped = n;
	if (news || fewer)
		event_mapped(node);
	if (news) /* one that went away is nothing to tell: what used it will notice */
		path_candidates_changed(node);
}
