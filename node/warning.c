/* warning.c: standing warnings, and those that follow from what the node knows of its roots and of clones.
 *
 * A node that has just started has no root yet, and one that changes its network loses them for a moment; only what lasts is worth a line.
 */
#include "node/control.h"
#include "node/net.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ROOTS_PATIENCE_MS 10000

void node_warn(struct node *node, const char *code, const char *text)
{
	struct warning *slot = NULL;
	for (unsigned i = 0; i < WARNINGS_MAX; i++) {
		struct warning *w = &node->warnings.standing[i];
		if (w->code && !strcmp(w->code, code)) {
			slot = w;
			break;
		}
		if (!w->code && !slot)
			slot = w;
	}
	if (!slot || (!slot->code && !*text) || (slot->code && !strcmp(slot->text, text)))
		return;
	slot->code = *text ? code : NULL;
	snprintf(slot->text, sizeof slot->text, "%s", text);
	node_changed(node);
}

static void clone_warn(struct node *node, void (*each)(void *, const struct warning *), void *self)
{
	char at[ENDPOINT_TEXT_MAX];
	struct warning w = {.code = "clone"};
	struct endpoint seen;
	uint64_t ago;
	if (!node_clone(node, node->now, &seen, &ago))
		return;
	endpoint_format(&seen, at, sizeof at);
	snprintf(w.text, sizeof w.text,
	         "another machine uses this identity (seen from %s, %" PRIu64 " s ago): give one of them a new one: stop its farland, move "
	         "identity.secret away, start it",
	         at, ago / 1000);
	each(self, &w);
}

/* By the network's own guard, so that each network has a line of its own. */
static void loops_warn(struct node *node, void (*each)(void *, const struct warning *), void *self)
{
	struct warning w = {.code = "loop"};
	char text[LOOP_TEXT];
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		if (!node->net[i])
			continue;
		loopguard_text(node->net[i], text);
		if (!*text)
			continue;
		snprintf(w.text, sizeof w.text, "network %s, %s: %s", node->net[i]->base.name, node->net[i]->dev, text);
		each(self, &w);
	}
}

struct telling {
	void (*each)(void *, const struct warning *);
	void *self;
};

static void clone_at_root(void *self, const struct identity *who, const struct endpoint *other, uint64_t ago)
{
	const struct telling *t = self;
	char address[ADDRESS_TEXT], at[ENDPOINT_TEXT_MAX];
	struct warning w = {.code = "clone-of"};
	address_format(who->address, address);
	endpoint_format(other, at, sizeof at);
	snprintf(w.text, sizeof w.text, "two machines use the identity of %s, one of them at %s (%" PRIu64 " s ago)", address, at,
	         ago / 1000);
	t->each(t->self, &w);
}

static void roots_warn(struct node *node, void (*each)(void *, const struct warning *), void *self)
{
	unsigned online = 0, by_tls = 0, late = 0;
	struct warning w = {.code = "no-root"};
	for (unsigned i = 0; i < node->n_roots; i++) {
		const struct peer *root = node->root[i];
		bool up = peer_up(root, CLASS_CTRL) && root->best >= 0;
		online += up;
		by_tls += up && path_tls(&root->path[root->best]);
		late += !up && !root->root_idle && node->now - root->made_ms >= ROOTS_PATIENCE_MS;
	}
	if (node->n_roots && !online && late) {
		snprintf(w.text, sizeof w.text,
		         "no root answers: is this machine online, may UDP leave it, is a root up?  farlan netcheck");
		each(self, &w);
	} else if (online && online == by_tls) {
		w.code = "no-udp";
		snprintf(w.text, sizeof w.text, "UDP is blocked here: roots are reached by TLS only, which is slower");
		each(self, &w);
	}
}

void node_warnings(struct node *node, void (*each)(void *, const struct warning *), void *self)
{
	for (unsigned i = 0; i < WARNINGS_MAX; i++)
		if (node->warnings.standing[i].code)
			each(self, &node->warnings.standing[i]);
	clone_warn(node, each, self);
	roots_warn(node, each, self);
	loops_warn(node, each, self);
	node_clones(node, node->now, clone_at_root, &(struct telling){each, self});
}
