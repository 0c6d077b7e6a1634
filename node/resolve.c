/* resolve.c: when to look names up, and what to do with the answers (resolve.h).
 *
 * A root that answers is asked for by name every half hour only, so that its next address is known before the old one dies. One that is
 * silent for five seconds has its names looked up at once, then after a minute, then ever more rarely: a resolver that is down must not be
 * asked for ever, and one minute is how fast a moved root is followed. A new address of this host (the network came up) begins anew.
 * Answers are data of strangers: what lies in an overlay of ours would carry the tunnel in the tunnel, and what no host can have is
 * no root's; such addresses are left out. IPv6 and IPv4 are not weighed here: an INIT goes to all known places at once.
 */
#include "node/control.h"

#include <stdio.h>
#include <string.h>

#define SILENT_MS  5000
#define AGAIN_MS   60000
#define RARELY_MS  (10 * 60 * 1000)
#define REFRESH_MS (30 * 60 * 1000)
#define HOSTS_MS   5000
#define ANSWER_MS  120000 /* no resolver waits so long: that answer was lost */

static struct resolve_root *slot_of(const struct peer *root)
{
	struct node *node = root->node;
	for (unsigned i = 0; i < node->n_roots; i++)
		if (node->root[i] == root)
			return node->resolve[i].line == root->root_line ? &node->resolve[i] : NULL;
	return NULL;
}

static bool online(const struct peer *root)
{
	return peer_up(root, CLASS_CTRL) && root->best >= 0;
}

static bool endpoint_in(const struct endpoint *e, const struct endpoint *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (endpoint_equal(e, &list[i]))
			return true;
	return false;
}

static void endpoint_add(const struct node *node, const struct endpoint *e, struct endpoint *list, unsigned *n, unsigned room)
{
	if (*n < room && e->family && e->port && !endpoint_in(e, list, *n) && !path_avoided(node, e))
		list[(*n)++] = *e;
}

unsigned resolve_endpoints(const struct peer *root, struct endpoint ret[ROOT_KNOWN_MAX])
{
	const struct root_line *line = root->root_line;
	const struct resolve_root *slot = slot_of(root);
	unsigned n = 0;
	for (unsigned i = 0; i < root->n_cached; i++)
		if (!(root->cached[i].family & ENDPOINT_STREAM))
			endpoint_add(root->node, &root->cached[i], ret, &n, ROOT_KNOWN_MAX);
	for (unsigned i = 0; line && i < line->n_endpoints; i++)
		endpoint_add(root->node, &line->endpoints[i], ret, &n, ROOT_KNOWN_MAX);
	/* In turns, so that one name with many addresses leaves room for the others. */
	for (unsigned k = 0; slot && k < RESOLVED_MAX; k++)
		for (unsigned i = 0; i < line->n_names; i++)
			if (k < slot->name[i].n)
				endpoint_add(root->node, &slot->name[i].at[k], ret, &n, ROOT_KNOWN_MAX);
	return n;
}

const char *resolve_host(const struct peer *root, const struct endpoint *e)
{
	const struct resolve_root *slot = slot_of(root);
	uint8_t family = e->family & (uint8_t)~ENDPOINT_STREAM;
	for (unsigned i = 0; slot && i < slot->line->n_names; i++)
		for (unsigned k = 0; k < slot->name[i].n; k++)
			if (slot->name[i].at[k].family == family && !memcmp(slot->name[i].at[k].ip, e->ip, sizeof e->ip))
				return slot->line->names[i].host;
	return "";
}

void resolve_reason(const struct peer *root, char ret[RESOLVE_WHY_MAX])
{
	const struct resolve_root *slot = slot_of(root);
	*ret = 0;
	for (unsigned i = 0; slot && i < slot->line->n_names; i++) {
		const struct resolve_name *name = &slot->name[i];
		if (!name->nothing)
			continue;
		snprintf(ret, RESOLVE_WHY_MAX,
		         name->overlay ? "%.80s lies in a network of ours: give an address outside of it"
		                       : "no address found for %.80s: look at the name and at this host's DNS",
		         slot->line->names[i].host);
		return;
	}
}

/* May a root be there? */
static bool usable(const struct node *node, const struct endpoint *e, bool *overlay)
{
	static const uint8_t any[16];
	if ((e->family != 4 && e->family != 6) || !memcmp(e->ip, any, 16) || e->ip[0] == (e->family == 4 ? 0 : 0xff))
		return false;
	if (e->family == 4 && e->ip[0] >= 224)
		return false;
	if (e->family == 6 && e->ip[0] == 0xfe && (e->ip[1] & 0xc0) == 0x80)
		return false; /* means nothing without its link */
	bool inside = path_in_overlay(node, e);
	*overlay = *overlay || inside;
	return !inside;
}

/* Tries what is new at once; a root that answers is left alone. */
static void root_again(struct peer *root)
{
	uint64_t now = root->node->now;
	if (online(root))
		return;
	root->init_ms[CLASS_CTRL] = root->init_since_ms[CLASS_CTRL] = now;
	root->init_tries[CLASS_CTRL] = 0;
	peer_schedule(root);
}

static void name_take(struct peer *root, const struct root_name *line, struct resolve_name *name, const struct endpoint *addresses,
                      unsigned n)
{
	struct endpoint at[RESOLVED_MAX];
	unsigned kept = 0;
	bool fresh = false;
	name->asking = name->overlay = false;
	for (unsigned i = 0; i < n; i++) {
		struct endpoint e = addresses[i];
		e.port = line->port;
		if (usable(root->node, &e, &name->overlay))
			endpoint_add(root->node, &e, at, &kept, RESOLVED_MAX);
	}
	name->nothing = !kept;
	if (!kept && !name->warned) {
		char why[RESOLVE_WHY_MAX];
		name->warned = true;
		resolve_reason(root, why);
		log_warning("root %010llx: %s", (unsigned long long)root->identity.address, why);
	}
	name->fails = online(root) && kept ? 0 : (uint8_t)(name->fails < 6 ? name->fails + 1 : name->fails);
	if (!kept)
		return; /* what was found before may still be true */
	name->warned = false;
	for (unsigned i = 0; i < kept; i++)
		fresh = fresh || !endpoint_in(&at[i], name->at, name->n);
	memcpy(name->at, at, kept * sizeof *at);
	name->n = kept;
	if (fresh)
		root_again(root);
}

void node_resolved(struct node *node, const char *host, const struct endpoint *addresses, unsigned n, uint64_t now)
{
	node->now = now;
	for (unsigned i = 0; i < node->n_roots; i++) {
		struct resolve_root *slot = slot_of(node->root[i]);
		for (unsigned k = 0; slot && k < slot->line->n_names; k++)
			if (slot->name[k].asking && !strcmp(slot->line->names[k].host, host))
				name_take(node->root[i], &slot->line->names[k], &slot->name[k], addresses, n);
	}
	node_changed(node);
}

static uint64_t pause_of(const struct resolve_root *slot, const struct resolve_name *name, uint64_t now)
{
	bool silent = slot->silent_ms && now - slot->silent_ms >= SILENT_MS;
	if (!silent && !name->nothing)
		return REFRESH_MS;
	uint64_t pause = (uint64_t)AGAIN_MS << (name->fails > 1 ? name->fails - 1 : 0);
	return pause < RARELY_MS ? pause : RARELY_MS;
}

static void name_tick(struct node *node, struct resolve_root *slot, unsigned k, uint64_t now)
{
	struct resolve_name *name = &slot->name[k];
	if (name->asking && now - name->asked_ms < ANSWER_MS)
		return;
	if (name->asked_ms && now - name->asked_ms < pause_of(slot, name, now))
		return;
	if (!node->port.resolve(node->port.self, slot->line->names[k].host))
		return; /* too many under way: in a second again */
	name->asking = true;
	name->asked_ms = now ? now : 1;
}

void resolve_tick(struct node *node, uint64_t now)
{
	for (unsigned i = 0; node->port.resolve && i < node->n_roots; i++) {
		struct peer *root = node->root[i];
		struct resolve_root *slot = &node->resolve[i];
		if (!root->root_line || !root->root_line->n_names)
			continue;
		if (slot->line != root->root_line)
			*slot = (struct resolve_root){.line = root->root_line};
		if (online(root))
			slot->silent_ms = 0;
		else if (!slot->silent_ms)
			slot->silent_ms = now;
		for (unsigned k = 0; k < slot->line->n_names; k++)
			name_tick(node, slot, k, now);
	}
}

void resolve_hosts_changed(struct node *node)
{
	for (unsigned i = 0; i < node->n_roots; i++) {
		struct resolve_root *slot = slot_of(node->root[i]);
		for (unsigned k = 0; slot && k < slot->line->n_names; k++) {
			struct resolve_name *name = &slot->name[k];
			if (!name->asking && (name->nothing || slot->silent_ms) && node->now - name->asked_ms >= HOSTS_MS) {
				name->asked_ms = 0;
				name->fails = 0;
			}
		}
	}
	resolve_tick(node, node->now);
}
