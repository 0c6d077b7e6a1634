/* keepalive.c: which paths are asked when: to keep them, to find out that they died, and what follows.
 *
 * A path in use that is silent for a second although we send is asked each 300 ms. One question missed: what else there is is asked too, and a way
 * through a relay is made ready. Two missed while another way answered, or three missed at all: it is STALE and the best of the others takes
 * over. So traffic finds another way in less than two seconds, and a lost answer alone changes nothing. A STALE path is asked a few more
 * times: what broke for a moment is used again a moment later. When nothing is left a new handshake looks for a way.
 *
 * A path without traffic is kept for five minutes by a question now and then, for that is how long a NAT's or a firewall's memory of it
 * is worth the bytes. How often follows from what is seen: a mapping that was gone after a pause makes pauses shorter, one that
 * was there makes them longer (RFC 4787, REQ-5 asks NATs for two minutes; many forget after thirty seconds).
 */
#include "node/control.h"

#define POLL_LEG_MS     5000
#define POLL_MS         1000 /* how often footprints are read */
#define POLL_BUSY_MS    250  /* while frames are on their way */
#define SILENCE_MS      1000
#define PROBE_AGAIN_MS  300
#define LOST_MAX        3
#define LOST_OTHER      2    /* ... while another path answers */
#define LOST_MOVED      1    /* ... from which the peer was heard of late */
#define MOVED_MS        5000 /* how long a new place counts as a move */
#define NEW_ROUNDS      3
#define LAST_ROUND_MS   3500 /* the slowest answer to the last probe of a new path */
#define STALE_ROUNDS    6    /* 1, 2, 4 ... s apart */
#define STALE_FIRST_MS  1000
#define KEEP_MS         25000
#define KEEP_LEAST_MS   10000
#define KEEP_MOST_MS    110000
#define CIRCUIT_IDLE_MS 110000
#define CANDS_AGAIN_MS  35000 /* while relayed: longer than a NAT keeps a bad mapping (30 s) */
#define CANDS_FIRST_MS  5000
#define CANDS_IDLE_MS   (10 * 60 * 1000) /* while nothing but our own questions goes that way */
#define STANDBY_MS      30000            /* how often a busy pair's second best way is asked */
#define DETOUR_MS       2000
#define STREAMING       3   /* looks in a row at which something had come */
#define BROKE_MS        500 /* of nothing after that */
#define BUSY_MS         5000

/* How long to wait for an answer: on a slow path the usual time would give up before any could come. */
static uint64_t patience(const struct path *p, uint64_t least)
{
	uint64_t ms = p->srtt_us / 800;
	return ms > least ? ms : least;
}

void path_ask(struct peer *peer, int i)
{
	struct path *p = &peer->path[i];
	if (p->next_probe_ms != NEVER)
		return;
	p->next_probe_ms = p->asked_ms = peer->node->now;
	p->lost = 0;
}

void path_ask_new(struct peer *peer, int i, uint64_t after_ms)
{
	struct path *p = &peer->path[i];
	if (p->state == PATH_VALID)
		return;
	p->state = PATH_PROBING;
	p->rounds = 0;
	p->next_probe_ms = peer->node->now + after_ms;
}

static bool valid_relayed(const struct peer *peer)
{
	for (int i = 0; i < PATHS_MAX; i++)
		if (peer->path[i].state == PATH_VALID && peer->path[i].circuit)
			return true;
	return false;
}

/* The best path has missed a question: see what else there is before it is needed. */
static void others_ask(struct peer *peer, const struct session *s)
{
	for (int i = 0; i < PATHS_MAX; i++)
		if (i != peer->best && peer->path[i].state == PATH_VALID && path_probe_allowed(peer))
			path_ask(peer, i);
	/* Only frames are in such a hurry: one lost question to a controller is not worth a handshake by a relay. */
	if (s->class == CLASS_DATA && !peer->path[peer->best].circuit && !valid_relayed(peer))
		initiator_relayed(peer, s->class);
}

/* How many questions path i may miss, given what others said since the first of them. */
static unsigned lost_most(const struct peer *peer, int i)
{
	unsigned most = LOST_MAX;
	for (int k = 0; k < PATHS_MAX && i == peer->best; k++) {
		const struct path *p = &peer->path[k];
		if (k == i || p->state != PATH_VALID)
			continue;
		if (!p->circuit && p->roamed_ms && peer->node->now - p->roamed_ms < MOVED_MS)
			most = LOST_MOVED;
		else if (p->proved_ms >= peer->path[i].asked_ms && most > LOST_OTHER)
			most = LOST_OTHER;
	}
	return most;
}

static void gone(struct peer *peer, int i, const struct session *s)
{
	struct path *p = &peer->path[i];
	bool best = i == peer->best;
	path_stale(peer, i);
	p->next_probe_ms = peer->node->now + STALE_FIRST_MS;
	/* To a root, or to a relay that is kept for itself, our own question opens what was shut: three lost ones are loss, and say nothing of memory. */
	bool memory = best && !p->circuit && !peer->is_root;
	if (memory && peer->kept_ms && p->asked_ms >= peer->kept_ms && p->asked_ms - peer->kept_ms < SILENCE_MS &&
	    peer->keep_ms > KEEP_LEAST_MS)
		peer->keep_ms = peer->keep_ms / 2 > KEEP_LEAST_MS ? peer->keep_ms / 2 : KEEP_LEAST_MS;
	if (peer->best < 0)
		initiator_again(peer, s->class);
}

static void ask_new(struct peer *peer, int i, struct session *s)
{
	static const uint64_t next_ms[NEW_ROUNDS] = {250, 750, LAST_ROUND_MS};
	struct path *p = &peer->path[i];
	if (p->rounds >= NEW_ROUNDS) {
		path_free(peer, i);
		return;
	}
	p->next_probe_ms = peer->node->now + next_ms[p->rounds++];
	if (path_probe_allowed(peer))
		path_probe(peer, s, i, 0);
}

static void ask_stale(struct peer *peer, int i, struct session *s)
{
	struct path *p = &peer->path[i];
	if (p->rounds >= STALE_ROUNDS)
		return;
	p->next_probe_ms = peer->node->now + ((uint64_t)STALE_FIRST_MS << ++p->rounds);
	if (path_probe_allowed(peer))
		path_probe(peer, s, i, 0);
}

/* A probe is due: one more on a path whose answer we wait for, unless that was the last. */
static void ask_again(struct peer *peer, int i)
{
	struct path *p = &peer->path[i];
	struct session *s = peer_any_session(peer);
	p->next_probe_ms = NEVER;
	if (!s)
		return;
	if (p->state == PATH_PROBING) {
		ask_new(peer, i, s);
		return;
	}
	if (p->state == PATH_STALE) {
		ask_stale(peer, i, s);
		return;
	}
	if (p->lost)
		path_missed(p);
	if (p->lost >= lost_most(peer, i)) {
		gone(peer, i, s);
		return;
	}
	if (p->lost++ == 1 && i == peer->best)
		others_ask(peer, s);
	p->next_probe_ms = peer->node->now + patience(p, PROBE_AGAIN_MS);
	path_probe(peer, s, i, 0);
}

/* ---- what is due -------------------------------------------------------------------------------------------------- */

/* Through a relay: look for a straight way from time to time. */
static void relayed_tick(struct peer *peer, const struct session *s, uint64_t now)
{
	uint64_t sent = session_last_tx(s), frames = session_last_frame(s), carried = frames > peer->carried_ms ? frames : peer->carried_ms;
	bool relayed = peer->best >= 0 && peer->path[peer->best].circuit;
	if (!relayed)
		peer->relayed_ms = 0;
	else if (!peer->relayed_ms)
		peer->relayed_ms = now;
	/* A controller is kept for ever, and each round of candidates would be a reason for the next. */
	uint64_t again = carried && now - carried < PEER_IN_USE_MS ? CANDS_AGAIN_MS : CANDS_IDLE_MS;
	uint64_t pause = now - peer->relayed_ms < CANDS_AGAIN_MS ? CANDS_FIRST_MS : again;
	if (relayed && sent + PEER_IN_USE_MS > now && now - peer->relayed_ms >= CANDS_FIRST_MS && now - peer->cands_ms >= pause)
		path_cands_send(peer);
}

static void keep_tick(struct peer *peer, const struct session *s, uint64_t heard, uint64_t now)
{
	/* Control messages alone are no use of a path: each side's would be a reason for the other's, for ever. */
	uint64_t used = peer->carried_ms > peer->legs_used_ms ? peer->carried_ms : peer->legs_used_ms, frames = session_last_frame(s);
	used = frames > used ? frames : used;
	bool ours = peer->is_root || peer->is_controller, in_use = ours || now - used < PEER_IN_USE_MS;
	if (!peer->keep_ms)
		peer->keep_ms = KEEP_MS;
	/* What was learned of a straight way's memory is not about a relay's. */
	bool usual = peer->path[peer->best].circuit || (ours && peer->keep_ms > KEEP_MS);
	uint64_t pause = usual ? KEEP_MS : peer->keep_ms;
	if (in_use && now - heard >= pause && now - peer->kept_ms >= pause) {
		peer->kept_ms = now;
		path_ask(peer, peer->best);
	}
	/* A straight way that seemed slow is measured again soon while frames go round by a relay. */
	bool detour = peer->path[peer->best].circuit;
	if (frames + BUSY_MS <= now || now - peer->standby_ms < (detour ? DETOUR_MS : STANDBY_MS))
		return;
	peer->standby_ms = now;
	for (int i = 0; i < PATHS_MAX; i++) {
		const struct path *p = &peer->path[i];
		uint64_t old = detour && !p->circuit ? DETOUR_MS : STANDBY_MS;
		if (i != peer->best && p->state == PATH_VALID && now - p->proved_ms >= old / 2)
			path_ask(peer, i);
	}
}

/* The peer asked after a pause in which we sent nothing: our mapping, or whatever else lets it in, outlived the pause. */
void path_outlived(struct peer *peer, uint64_t idle_ms)
{
	if (peer->keep_ms && idle_ms * 5 / 4 > peer->keep_ms && idle_ms < KEEP_MOST_MS)
		peer->keep_ms = (uint32_t)(idle_ms * 5 / 4 < KEEP_MOST_MS ? idle_ms * 5 / 4 : KEEP_MOST_MS);
}

/* Frames came all the time and now none do, and nothing of ours is on the way whose answer could be missed: perhaps a NAT forgot how to reach us,
 * then only a word of ours opens it again. */
static bool stream_broke(struct peer *peer, uint64_t heard, uint64_t now)
{
	bool came = heard > peer->looked_ms, over = !came && now - heard >= BROKE_MS, broke = over && peer->streaming == STREAMING;
	if (over)
		peer->streaming = 0;
	else if (came && peer->streaming < STREAMING)
		peer->streaming++;
	peer->looked_ms = now;
	return broke;
}

/* Sent and heard nothing since: ask; still nothing and no path left: shake hands anew. */
static void silence_tick(struct peer *peer, uint64_t now)
{
	struct session *s = peer_any_session(peer);
	if (!s)
		return;
	uint64_t sent = session_last_tx(s), heard = session_last_rx(s);
	uint64_t base = heard > s->born_ms ? heard : s->born_ms;
	uint64_t silence = peer->best >= 0 ? patience(&peer->path[peer->best], SILENCE_MS) : SILENCE_MS;
	bool silent = sent > base && now - base >= silence;
	bool broke = s->class == CLASS_DATA && stream_broke(peer, heard, now);
	if ((silent || broke) && peer->best >= 0)
		path_ask(peer, peer->best);
	if (peer->best < 0 && (silent || peer->want[s->class]) && (peer->is_root || peer->is_controller || now - sent < 10000))
		initiator_again(peer, s->class);
	relayed_tick(peer, s, now);
	spray_consider(peer, session_last_frame(s));
	if (peer->best >= 0)
		keep_tick(peer, s, base, now);
}

void path_tick(struct peer *peer, uint64_t now)
{
	silence_tick(peer, now);
	for (int i = 0; i < PATHS_MAX; i++) {
		struct path *p = &peer->path[i];
		if (p->state == PATH_FREE)
			continue;
		uint64_t used = p->circuit ? atomic_load(&p->circuit->used_ms) : 0;
		uint64_t since = p->circuit && p->circuit->made_ms > used ? p->circuit->made_ms : used;
		if (p->circuit && i != peer->best && since + CIRCUIT_IDLE_MS < now) /* a worker's stamp may be ahead */
			path_free(peer, i);
		else if (p->next_probe_ms <= now)
			ask_again(peer, i);
	}
	pmtu_tick(peer, now);
	nat_tick(peer, now);
}

/* When to look at footprints again. Frames leave without control's knowledge, so a session that carries them is looked at often. On a control
 * session nothing is sent but by us: when all of it was answered the next thing to do is the keepalive. A leg alone may only become idle. */
static uint64_t poll_pause(const struct peer *peer, bool legs)
{
	const struct session *data = peer->current[CLASS_DATA], *ctrl = peer->current[CLASS_CTRL];
	uint64_t now = peer->node->now, keep = peer->keep_ms && peer->keep_ms < KEEP_MS ? peer->keep_ms : KEEP_MS;
	uint64_t most = legs ? POLL_LEG_MS : keep;
	if (data)
		return session_last_frame(data) + BUSY_MS > now || peer->streaming ? POLL_BUSY_MS : POLL_MS;
	if (!ctrl)
		return most;
	if (peer->best < 0 || session_last_tx(ctrl) > session_last_rx(ctrl))
		return POLL_MS;
	uint64_t idle = now - session_last_rx(ctrl), pause = idle + POLL_MS < keep ? keep - idle : POLL_MS;
	return pause < most ? pause : most;
}

uint64_t path_deadline(const struct peer *peer)
{
	uint64_t at = NEVER;
	bool any = false;
	for (int i = 0; i < PATHS_MAX; i++) {
		const struct path *p = &peer->path[i];
		if (p->state == PATH_FREE)
			continue;
		any = any || p->circuit;
		if (p->next_probe_ms < at)
			at = p->next_probe_ms;
	}
	bool up = peer_up(peer, CLASS_DATA); /* else pmtu_tick() does nothing and would be due for ever */
	uint64_t size = up && peer->best >= 0 ? pmtu_deadline(&peer->path[peer->best]) : NEVER;
	at = size < at ? size : at;
	at = nat_deadline(peer) < at ? nat_deadline(peer) : at;
	if (any || peer->current[CLASS_DATA] || peer->current[CLASS_CTRL]) {
		/* A poll that is set already is not put off by what else happens. */
		uint64_t now = peer->node->now, poll = now + poll_pause(peer, any);
		if (peer->timer.slot && peer->timer.at > now && peer->timer.at < poll)
			poll = peer->timer.at;
		at = poll < at ? poll : at;
	}
	return at;
}
