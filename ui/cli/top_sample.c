/* top_sample.c: rates of networks and peers out of the counters of two samples.
 *
 * The daemon counts and never forgets; what is shown is the difference over the time that the daemon itself says went by, so neither a slow answer nor a
 * paused screen makes a rate wrong. A counter below the one before began anew: then all of it is new. Peers are kept by address, and what was
 * remembered of one goes with it from sample to sample. Texts come from other machines and are escaped here, once.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/base/log.h"
#include "ui/cli/output.h"
#include "ui/cli/top.h"

#define MINUTE_MS 60000

/* ---- reading ---- */

static uint64_t number(const json_t *o, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(o, name));
	return n > 0 ? (uint64_t)n : 0;
}

static void text(const json_t *o, const char *name, char *to, size_t room)
{
	const char *s = field(o, name);
	log_text(to, room, s, strlen(s));
}

static struct top_count count_of(const json_t *o)
{
	struct top_count c = {number(o, "rx_bytes"), number(o, "rx_frames"), number(o, "tx_bytes"), number(o, "tx_frames"), 0};
	json_t *drops = json_object_get(o, "drops"), *n;
	const char *reason;
	json_object_foreach(drops, reason, n)
	{
		c.drops += json_integer_value(n) > 0 ? (uint64_t)json_integer_value(n) : 0;
	}
	return c;
}

static double rate(uint64_t now, uint64_t before, uint64_t ms)
{
	return (double)(now < before ? now : now - before) * 1000 / (double)ms;
}

static struct top_rates rates_of(const struct top_count *now, const struct top_count *before, uint64_t ms)
{
	return (struct top_rates){.rx_bits = 8 * rate(now->rx_bytes, before->rx_bytes, ms),
	                          .tx_bits = 8 * rate(now->tx_bytes, before->tx_bytes, ms),
	                          .rx_frames = rate(now->rx_frames, before->rx_frames, ms),
	                          .tx_frames = rate(now->tx_frames, before->tx_frames, ms),
	                          .drops = rate(now->drops, before->drops, ms)};
}

/* ---- networks ---- */

/* The three largest, like "storm 120, flap 3". */
static void reasons(const json_t *drops, char *to, size_t room)
{
	const char *taken[3] = {NULL};
	size_t len = 0;
	*to = 0;
	for (unsigned i = 0; i < 3; i++) {
		json_int_t best = 0;
		const char *reason, *name = NULL;
		json_t *n;
		json_object_foreach((json_t *)drops, reason, n)
		{
			json_int_t v = json_integer_value(n);
			if (v > best && reason != taken[0] && reason != taken[1]) {
				best = v;
				name = reason;
			}
		}
		if (!name)
			break;
		char shown[32];
		log_text(shown, sizeof(shown), name, strlen(name));
		int k = snprintf(to + len, room - len, "%s%s %lld", i ? ", " : "", shown, (long long)best);
		if (k < 0 || (size_t)k >= room - len)
			break;
		len += (size_t)k;
		taken[i] = name; /* the object's own: the same pointer each time */
	}
}

static void net_past(struct top_net *n, uint64_t at_ms, const struct top_count *c)
{
	unsigned old = 0;
	if (n->n_past && at_ms <= n->past[n->n_past - 1].at_ms) /* the daemon began anew */
		n->n_past = 0;
	while (old < n->n_past && at_ms - n->past[old].at_ms > MINUTE_MS)
		old++;
	if (old == 0 && n->n_past == TOP_PAST + 1)
		old = 1;
	memmove(n->past, n->past + old, (n->n_past - old) * sizeof(n->past[0]));
	n->n_past -= old;
	n->past[n->n_past].at_ms = at_ms;
	n->past[n->n_past].count = *c;
	n->n_past++;
}

static void net_read(struct top_net *n, const json_t *o, uint64_t at_ms)
{
	struct top_count c = count_of(o);
	text(o, "name", n->name, sizeof(n->name));
	text(o, "state", n->state, sizeof(n->state));
	text(o, "dev", n->dev, sizeof(n->dev));
	reasons(json_object_get(o, "drops"), n->reasons, sizeof(n->reasons));
	net_past(n, at_ms, &c);
	n->rated = n->n_past > 1;
	if (!n->rated)
		return;
	n->rates = rates_of(&c, &n->past[n->n_past - 2].count, at_ms - n->past[n->n_past - 2].at_ms);
	n->minute = rates_of(&c, &n->past[0].count, at_ms - n->past[0].at_ms);
}

static void nets_take(struct top *t, const json_t *list)
{
	size_t n = json_array_size(list), i;
	const json_t *o;
	n = n < TOP_NETS_MAX ? n : TOP_NETS_MAX;
	struct top_net *fresh = calloc(n + 1, sizeof(*fresh));
	unsigned made = 0;
	json_array_foreach(list, i, o)
	{
		if (!fresh || made == n)
			break;
		struct top_net *to = &fresh[made++];
		char id[NWID_TEXT];
		text(o, "id", id, sizeof(id));
		for (unsigned k = 0; k < t->n_nets; k++)
			if (!strcmp(t->net[k].id, id))
				*to = t->net[k];
		memcpy(to->id, id, sizeof(id));
		net_read(to, o, t->at_ms);
	}
	free(t->net);
	t->net = fresh;
	t->n_nets = made;
}

/* ---- peers ---- */

static int by_address(const void *a, const void *b)
{
	return strcmp(((const struct top_peer *)a)->address, ((const struct top_peer *)b)->address);
}

static void peer_read(struct top_peer *p, const json_t *o, const json_t *names)
{
	const json_t *loss = json_object_get(o, "loss"), *name = json_object_get(names, field(o, "address"));
	bool up = strcmp(field(o, "link"), "offline") != 0;
	char relay[TOP_TEXT];
	text(o, "link", p->link, sizeof(p->link));
	text(o, "name", p->name, sizeof(p->name));
	if (json_is_string(name) && json_string_length(name))
		log_text(p->name, sizeof(p->name), json_string_value(name), json_string_length(name));
	*p->via = 0;
	text(o, "relay", relay, sizeof(relay));
	if (up && *relay)
		snprintf(p->via, sizeof(p->via), "via %.64s", relay);
	else if (up)
		text(o, "endpoint", p->via, sizeof(p->via));
	p->rtt_us = up ? (uint32_t)number(o, "rtt_us") : 0;
	p->loss = json_is_real(loss) ? json_real_value(loss) : -1;
}

static void peer_past(struct top_peer *p)
{
	if (p->n_past == TOP_PAST)
		memmove(p->past, p->past + 1, --p->n_past * sizeof(p->past[0]));
	p->past[p->n_past++] = p->rates.rx_bits + p->rates.tx_bits;
}

/* What of that peer is shown: NULL = it is not. */
static const json_t *traffic_of(const struct top *t, const json_t *o)
{
	if (*t->only)
		return json_object_get(json_object_get(o, "traffic_by_network"), t->only);
	return number(o, "networks") ? json_object_get(o, "traffic") : NULL;
}

static void peers_take(struct top *t, const json_t *list, const json_t *names)
{
	size_t n = json_array_size(list), i;
	const json_t *o;
	n = n < TOP_PEERS_MAX ? n : TOP_PEERS_MAX;
	struct top_peer *fresh = calloc(n + 1, sizeof(*fresh));
	unsigned made = 0;
	if (t->n_peers)
		qsort(t->peer, t->n_peers, sizeof(t->peer[0]), by_address);
	json_array_foreach(list, i, o)
	{
		const json_t *traffic = traffic_of(t, o);
		if (!fresh || made == n)
			break;
		if (!traffic)
			continue;
		struct top_peer *to = &fresh[made++], *old = NULL;
		text(o, "address", to->address, sizeof(to->address));
		if (t->n_peers)
			old = bsearch(to, t->peer, t->n_peers, sizeof(*to), by_address);
		if (old)
			*to = *old;
		peer_read(to, o, names);
		struct top_count c = count_of(traffic);
		if (old && t->interval_ms) {
			to->rates = rates_of(&c, &old->count, t->interval_ms);
			to->rated = true;
			peer_past(to);
		}
		to->count = c;
	}
	free(t->peer);
	t->peer = fresh;
	t->n_peers = made;
}

/* ---- both ---- */

static void read_sample(struct top *t, const json_t *sample, const json_t *names)
{
	uint64_t at = number(sample, "at_ms");
	t->interval_ms = t->at_ms && at > t->at_ms ? at - t->at_ms : 0;
	t->at_ms = at;
	text(sample, "address", t->address, sizeof(t->address));
	nets_take(t, json_object_get(sample, "networks"));
	peers_take(t, json_object_get(sample, "peers"), names);
}

void top_take(struct top *t, json_t *sample, const json_t *names)
{
	json_decref(t->sample[0]);
	t->sample[0] = t->sample[1];
	t->sample[1] = sample;
	read_sample(t, sample, names);
}

void top_only(struct top *t, const char *nwid, const json_t *names)
{
	snprintf(t->only, sizeof(t->only), "%s", nwid);
	t->n_peers = 0;
	t->at_ms = 0;
	for (unsigned i = 0; i < t->n_nets; i++) /* the last two are taken again */
		t->net[i].n_past -= t->net[i].n_past < 2 ? t->net[i].n_past : 2;
	for (unsigned i = 0; i < 2; i++)
		if (t->sample[i])
			read_sample(t, t->sample[i], names);
}

void top_fini(struct top *t)
{
	json_decref(t->sample[0]);
	json_decref(t->sample[1]);
	free(t->net);
	free(t->peer);
	memset(t, 0, sizeof(*t));
}

/* ---- order ---- */

static int down(double a, double b)
{
	return a > b ? -1 : a < b;
}

/* Who is not known to be far is not near: without a round trip one comes last. */
static double far(const struct top_peer *p)
{
	return p->rtt_us ? p->rtt_us : 1e12;
}

static int compare(const struct top_peer *a, const struct top_peer *b, enum top_order order)
{
	switch (order) {
	case TOP_RX: return down(a->rates.rx_bits, b->rates.rx_bits);
	case TOP_TX: return down(a->rates.tx_bits, b->rates.tx_bits);
	case TOP_RTT: return -down(far(a), far(b));
	case TOP_NAME: return strcmp(*a->name ? a->name : a->address, *b->name ? b->name : b->address);
	case TOP_ADDRESS: return 0;
	case TOP_TOTAL:
	case TOP_ORDERS: break;
	}
	return down(a->rates.rx_bits + a->rates.tx_bits, b->rates.rx_bits + b->rates.tx_bits);
}

struct order {
	enum top_order by;
	int sign;
};

static int in_order(const void *a, const void *b, void *arg)
{
	const struct order *o = arg;
	int c = compare(a, b, o->by);
	return o->sign * (c ? c : by_address(a, b));
}

void top_sort(struct top *t, enum top_order by, bool reverse)
{
	struct order o = {by, reverse ? -1 : 1};
	if (t->n_peers)
		qsort_r(t->peer, t->n_peers, sizeof(t->peer[0]), in_order, &o);
}

const char *top_order_name(enum top_order order)
{
	static const char *const names[TOP_ORDERS] = {"total", "rx", "tx", "rtt", "name", "address"};
	return (unsigned)order < TOP_ORDERS ? names[order] : "?";
}

/* ---- for programs ---- */

static void set_rates(json_t *o, bool rated, const struct top_rates *r)
{
	json_object_set_new(o, "rx_bps", rated ? json_real(r->rx_bits) : json_null());
	json_object_set_new(o, "tx_bps", rated ? json_real(r->tx_bits) : json_null());
	json_object_set_new(o, "rx_fps", rated ? json_real(r->rx_frames) : json_null());
	json_object_set_new(o, "tx_fps", rated ? json_real(r->tx_frames) : json_null());
}

static json_t *net_object(const struct top_net *n)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "id", n->id, "name", n->name, "state", n->state, "dev", n->dev),
	       *minute = json_object();
	set_rates(o, n->rated, &n->rates);
	json_object_set_new(o, "drops_per_s", n->rated ? json_real(n->rates.drops) : json_null());
	set_rates(minute, n->rated, &n->minute);
	json_object_set_new(minute, "drops_per_s", n->rated ? json_real(n->minute.drops) : json_null());
	json_object_set_new(o, "minute", minute);
	return o;
}

static json_t *peer_object(const struct top_peer *p)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "address", p->address, "name", p->name, "link", p->link, "via", p->via);
	json_object_set_new(o, "rtt_us", p->rtt_us ? json_integer(p->rtt_us) : json_null());
	json_object_set_new(o, "loss", p->loss < 0 ? json_null() : json_real(p->loss));
	set_rates(o, p->rated, &p->rates);
	json_object_set_new(o, "rx_bytes", json_integer((json_int_t)p->count.rx_bytes));
	json_object_set_new(o, "tx_bytes", json_integer((json_int_t)p->count.tx_bytes));
	json_object_set_new(o, "rx_frames", json_integer((json_int_t)p->count.rx_frames));
	json_object_set_new(o, "tx_frames", json_integer((json_int_t)p->count.tx_frames));
	return o;
}

json_t *top_json(const struct top *t)
{
	json_t *o = json_pack("{s:s, s:s, s:I, s:I}", "schema", "farlan.top/1", "address", t->address, "at_ms", (json_int_t)t->at_ms,
	                      "interval_ms", (json_int_t)t->interval_ms);
	json_t *nets = json_array(), *peers = json_array();
	for (unsigned i = 0; i < t->n_nets; i++)
		if (!*t->only || !strcmp(t->only, t->net[i].id))
			json_array_append_new(nets, net_object(&t->net[i]));
	for (unsigned i = 0; i < t->n_peers; i++)
		json_array_append_new(peers, peer_object(&t->peer[i]));
	json_object_set_new(o, "networks", nets);
	json_object_set_new(o, "peers", peers);
	return o;
}
