/* fallback.c: when to try TLS, and when to leave it.
 *
 * UDP works as long as one root has a VALID path over it; who of the others is reached how is then nobody's concern. Two seconds without one
 * (at the start counted from the first INIT; later path.c needs some two seconds itself to call a path dead) and each root that takes streams is
 * called by one, with an INIT of its own in the upgrade request. UDP is not given up meanwhile: INITs go on, and once a root is reached
 * by a stream its UDP endpoints are asked under that session each ASK_MS. The first answer moves the path, sessions and circuits stay; the
 * stream is kept for KEEP_MS more, in case UDP works only now and then, and then closed.
 *
 * A stream that ends takes its path with it. The next try goes to the root's next address, later and later, at a random time: a root that
 * restarts is not to be met by all its nodes at once.
 */
#include "node/control.h"

#include <assert.h>
#include <string.h>

#include "proto/random.h"

#define RACE_MS      2000
#define RACE_LOST_MS 500 /* when it worked before: whoever says that a path is dead has waited for it already */
#define HURRY_MS     200
#define OPENING_MS   100 /* how often a stream that has not come up is looked at */
#define ASK_MS       10000
#define KEEP_MS      60000
#define ANSWER_MS    20000 /* a stream the root has not answered by is of no use */
#define SPREAD_MS    3000u
#define RETRY_MS     1000u /* doubled */
#define RETRY_SHIFTS 6     /* 64 s */
#define ALONE_SHIFTS 2     /* 4 s while no root answers at all: there is nothing else to hope for */

static_assert(FALLBACK_ROOTS == ROOTS_MAX, "a slot for each root");

static bool streams_possible(const struct node *node)
{
	return node->port.stream_open && node->config.fallback != FALLBACK_NONE;
}

static const struct path *path_at(const struct peer *peer, const struct endpoint *e)
{
	for (int i = 0; e->family && i < PATHS_MAX; i++)
		if (peer->path[i].state != PATH_FREE && !peer->path[i].circuit && endpoint_equal(&peer->path[i].to, e))
			return &peer->path[i];
	return NULL;
}

static bool by_udp(const struct peer *root)
{
	for (int i = 0; peer_up(root, CLASS_CTRL) && i < PATHS_MAX; i++) {
		const struct path *p = &root->path[i];
		if (p->state == PATH_VALID && !p->circuit && !(p->to.family & ENDPOINT_STREAM))
			return true;
	}
	return false;
}

static bool any_by_udp(const struct node *node)
{
	for (unsigned i = 0; i < node->n_roots; i++)
		if (by_udp(node->root[i]))
			return true;
	return false;
}

const struct endpoint *fallback_endpoint(const struct peer *root)
{
	const struct fallback *f = &root->node->fallback;
	for (unsigned i = 0; i < FALLBACK_ROOTS; i++)
		if (f->root[i].root == root && f->root[i].up)
			return &f->root[i].at;
	return NULL;
}

/* ---- one root ---------------------------------------------------------------------------------------------------- */

static void tell(struct node *node, enum event_kind kind, const struct fallback_root *r)
{
	char text[ENDPOINT_TEXT_MAX];
	endpoint_format(&r->at, text, sizeof text);
	event_add(node, kind, r->root, text);
}

/* Those who look for a way begin anew instead of waiting for their next try: there is one now. */
static void hurry(struct peer *peer, void *self)
{
	(void)self;
	for (int c = 0; c < CLASS_COUNT; c++)
		if (!peer->is_root && peer->init_ms[c] != NEVER && peer->init_ms[c] > peer->node->now + HURRY_MS) {
			peer->init_ms[c] = peer->node->now + random_below(HURRY_MS);
			peer->init_tries[c] = 0;
			peer_schedule(peer);
		}
}

/* Its stream is gone. */
static void ended(struct node *node, struct fallback_root *r)
{
	const struct path *p = path_at(r->root, &r->at);
	if (r->up)
		tell(node, EVENT_STREAM_DOWN, r);
	unsigned most = node_root_up(node) ? RETRY_SHIFTS : ALONE_SHIFTS;
	uint32_t pause = RETRY_MS << (r->tries < most ? r->tries : most);
	r->next_ms = node->now + pause + random_below(r->up ? SPREAD_MS : pause / 2);
	r->tries += r->tries < 1000;
	r->up = false;
	r->at = (struct endpoint){0};
	if (p) {
		path_free(r->root, (int)(p - r->root->path));
		peer_schedule(r->root);
	}
}

static void stream_leave(struct node *node, struct fallback_root *r)
{
	if (!r->at.family)
		return;
	node->port.stream_close(node->port.self, &r->at);
	ended(node, r);
	r->tries = 0;
	r->next_ms = 0;
}

/* Where the n-th try goes: the root's addresses in turn, each once, for a name's and a line's may be the same. false: nowhere. */
static bool stream_address(const struct peer *root, unsigned try, struct endpoint *ret)
{
	struct endpoint known[ROOT_KNOWN_MAX], at[ROOT_KNOWN_MAX];
	unsigned n = resolve_endpoints(root, known), k = 0;
	if (!root->root_line || !root->root_line->tls_port)
		return false;
	for (unsigned i = 0; i < n; i++) {
		struct endpoint e = known[i];
		unsigned seen = 0;
		e.family |= ENDPOINT_STREAM;
		e.port = root->root_line->tls_port;
		while (seen < k && !endpoint_equal(&at[seen], &e))
			seen++;
		if (seen == k)
			at[k++] = e;
	}
	if (!k)
		return false;
	*ret = at[try % k];
	return true;
}

static void stream_try(struct node *node, struct fallback_root *r)
{
	struct peer *root = r->root;
	struct endpoint at;
	uint8_t init[INIT_SEND_MAX];
	size_t len = stream_address(root, r->tries, &at) ? initiator_init(root, CLASS_CTRL, init) : 0;
	if (!len)
		return;
	r->at = at;
	r->opened_ms = node->now;
	node->port.stream_open(node->port.self, &at, resolve_host(root, &at), root->root_line->pin_set ? root->root_line->pin : NULL, init,
	                       len);
	peer_schedule(root);
}

static void udp_ask(struct peer *root)
{
	struct endpoint known[ROOT_KNOWN_MAX];
	unsigned n = resolve_endpoints(root, known);
	for (unsigned i = 0; i < n; i++) {
		int path = path_direct(root, &known[i], 0);
		if (path >= 0)
			path_ask_new(root, path, 0);
	}
	peer_schedule(root);
}

static void root_tick(struct node *node, struct fallback_root *r, bool want, bool ask)
{
	const struct path *p = r->at.family ? path_at(r->root, &r->at) : NULL;
	if (r->at.family && !r->up && p && p->state == PATH_VALID) {
		r->up = true;
		r->tries = 0;
		peers_each(node, hurry, NULL);
		tell(node, EVENT_STREAM_UP, r);
	}
	bool mute = !r->up && node->now - r->opened_ms >= ANSWER_MS;
	bool dead = r->up && (!p || p->state != PATH_VALID) && !by_udp(r->root);
	if (r->at.family && (mute || dead)) {
		node->port.stream_close(node->port.self, &r->at);
		ended(node, r);
	}
	if (!r->at.family && want && r->next_ms <= node->now)
		stream_try(node, r);
	else if (r->up && ask && !by_udp(r->root))
		udp_ask(r->root);
}

/* ---- all of them -------------------------------------------------------------------------------------------------- */

/* How it is with UDP, and since when. */
static void judge(struct fallback *f, const struct node *node, uint64_t now)
{
	if (any_by_udp(node)) {
		f->lost_ms = 0;
		f->worked = true;
		if (!f->found_ms)
			f->found_ms = now;
	} else {
		f->found_ms = 0;
		if (!f->lost_ms)
			f->lost_ms = now ? now : 1;
	}
}

static bool opening(const struct fallback *f)
{
	for (unsigned i = 0; i < FALLBACK_ROOTS; i++)
		if (f->root[i].at.family && !f->root[i].up)
			return true;
	return false;
}

void fallback_tick(struct node *node, uint64_t now)
{
	struct fallback *f = &node->fallback;
	bool only = node->config.fallback == FALLBACK_ONLY;
	if (!streams_possible(node))
		return;
	judge(f, node, now);
	uint64_t race = f->worked ? RACE_LOST_MS : RACE_MS;
	bool want = only || (f->lost_ms && now - f->lost_ms >= race);
	bool leave = !only && f->found_ms && now - f->found_ms >= KEEP_MS;
	bool ask = !only && now - f->asked_ms >= ASK_MS;
	if (ask)
		f->asked_ms = now;
	for (unsigned i = 0; i < FALLBACK_ROOTS; i++) {
		struct fallback_root *r = &f->root[i];
		struct peer *root = i < node->n_roots ? node->root[i] : NULL;
		if (leave || (r->root && r->root != root))
			stream_leave(node, r);
		if (r->root != root)
			*r = (struct fallback_root){.root = root};
		if (r->root)
			root_tick(node, r, want, ask);
	}
	/* Everything else has the time until housekeeping calls. */
	uint64_t next = f->lost_ms && now < f->lost_ms + race ? f->lost_ms + race : NEVER;
	if (opening(f) && now + OPENING_MS < next)
		next = now + OPENING_MS;
	heap_set(&node->heap, &f->timer, next);
}

static void fire(struct timer *t, uint64_t now)
{
	fallback_tick((struct node *)((char *)t - offsetof(struct node, fallback.timer)), now);
}

void fallback_start(struct node *node)
{
	node->fallback.timer = (struct timer){.at = NEVER, .fire = fire};
	fallback_tick(node, node->now);
}

void fallback_hosts_changed(struct node *node)
{
	for (unsigned i = 0; i < FALLBACK_ROOTS; i++) {
		node->fallback.root[i].next_ms = 0;
		node->fallback.root[i].tries = 0;
	}
}

void node_stream_down(struct node *node, const struct endpoint *at, uint64_t now)
{
	node->now = now;
	for (unsigned i = 0; i < FALLBACK_ROOTS; i++) {
		struct fallback_root *r = &node->fallback.root[i];
		if (r->root && r->at.family && endpoint_equal(&r->at, at))
			ended(node, r);
	}
}
