/* warning.c: standing warnings, and those that the roots' state makes.
 *
 * A node that has just started has no root yet, and one that changes its network loses them for a moment; only what lasts is worth a line.
 */
#include "node/control.h"

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

void warning_clone(struct node *node, const struct endpoint *seen)
{
	char at[ENDPOINT_TEXT_MAX], before[WARNING_TEXT] = "", text[WARNING_TEXT];
	endpoint_format(seen, at, sizeof at);
	for (unsigned i = 0; i < WARNINGS_MAX; i++)
		if (node->warnings.standing[i].code && !strcmp(node->warnings.standing[i].code, "clone"))
			snprintf(before, sizeof before, "%s", node->warnings.standing[i].text);
	snprintf(
	    text, sizeof text,
	    "another machine uses this identity%s%s; give one of them a new one: stop its farland, move identity.secret away, start it",
	    seen->family ? ", seen from " : "", seen->family ? at : "");
	node_warn(node, "clone", text);
	if (strcmp(before, text) != 0)
		event_add(node, EVENT_IDENTITY_CLONE, NULL, seen->family ? at : "");
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
		late += !up && node->now - root->made_ms >= ROOTS_PATIENCE_MS;
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
	roots_warn(node, each, self);
}
