/* crossing.c: which of the sessions of one pair and class both sides send on.
 *
 * Both sides may ask at the same time, and each attempt may be answered twice, so for a while a pair has up to four sessions. Frames arrive under
 * any of them; what is sent goes out on `current`. Two that crossed: the initiator with the smaller key_hash has its way (PROTOCOL.md, Sessions).
 * It decides by what it heard and never follows; the other side follows what is chosen over there, so the two cannot chase each other. What
 * is chosen shows in frames and PROBEs alone: an answer goes back under the session of its question, and so does one to our own PROBE, which
 * would show us our own choice as theirs.
 */
#include "node/control.h"

#include <string.h>

#define TWIN_BIRTH_MS 10000
#define FOLLOW_MS     1500 /* more than datagrams overtake each other */
#define UNHEARD_MS    5000

static uint64_t births_apart(const struct session *a, const struct session *b)
{
	return a->born_ms > b->born_ms ? a->born_ms - b->born_ms : b->born_ms - a->born_ms;
}

static bool we_smaller(const struct peer *peer)
{
	return memcmp(peer->node->config.self.self.key_hash, peer->identity.key_hash, KEY_HASH_BYTES) < 0;
}

static void session_swap(struct peer *peer, enum session_class class)
{
	struct session *s = peer->current[class];
	peer->current[class] = peer->previous[class];
	peer->previous[class] = s;
	if (class == CLASS_DATA)
		atomic_store(&peer->remote->session, peer->current[class]);
}

/* A session that was displaced here is the one that the other side sends on: each of several attempts of one initiator was answered, and the answers
 * came in another order. The side that follows takes it back before its time is over. */
static void displaced_follow(struct peer *peer, enum session_class class)
{
	struct session *s = peer->current[class];
	for (unsigned i = 0; i < 2 && s; i++) {
		struct session **slot = &peer->next[class][i], *other = *slot;
		if (!other || !atomic_load(&other->confirmed) || other->reject_ms <= peer->node->now || other->peer_epoch != s->peer_epoch)
			continue;
		uint64_t chosen = session_last_chosen(other);
		if (chosen < session_last_chosen(s) + FOLLOW_MS || chosen < s->born_ms + FOLLOW_MS)
			continue;
		*slot = s;
		peer->current[class] = s = other;
		if (class == CLASS_DATA)
			atomic_store(&peer->remote->session, other);
	}
}

/* Two sessions crossed, and the sides judged differently which one to send on: births are each side's own, and one may not have heard under the
 * session that should win. The side with the smaller key_hash takes its own as soon as it is heard; the other follows what is sent to it.
 * A session of ours that is never heard at all is unknown over there (newer INITs displaced it): the one before serves on. */
void crossing_follow(struct peer *peer, enum session_class class)
{
	if (!we_smaller(peer))
		displaced_follow(peer, class);
	struct session *s = peer->current[class], *other = peer->previous[class];
	uint64_t now = peer->node->now;
	if (!s || !other || other->reject_ms <= now || other->peer_epoch != s->peer_epoch)
		return;
	uint64_t heard = session_last_rx(s), heard_other = session_last_rx(other), chosen_other = session_last_chosen(other);
	if (s->initiator && !heard && now - s->born_ms > UNHEARD_MS && heard_other > s->born_ms) {
		session_swap(peer, class);
		peer_retire_session(peer, &peer->previous[class]);
	} else if (we_smaller(peer)) {
		if (!s->initiator && other->initiator && heard_other && births_apart(s, other) < TWIN_BIRTH_MS)
			session_swap(peer, class);
	} else if (heard && chosen_other >= session_last_chosen(s) + FOLLOW_MS && chosen_other >= s->born_ms + FOLLOW_MS) {
		session_swap(peer, class);
	}
}

/* A third one within seconds: what is on its way under its keys still arrives, so it ends with those that are never confirmed. */
static void displace(struct peer *peer, const struct session *winner, struct session **slot)
{
	struct session **last = peer->next[winner->class];
	last += *last != NULL;
	if (!*slot || *last || (*slot)->peer_epoch != winner->peer_epoch) {
		peer_retire_session(peer, slot);
		return;
	}
	*last = *slot;
	*slot = NULL;
}

/* Makes a fresh session current; the one it displaces receives on. Two that crossed within ten seconds: both sides send on the one whose
 * initiator has the smaller key_hash (PROTOCOL.md, Sessions). */
void peer_adopt(struct peer *peer, struct session *s, int path)
{
	struct session *old = peer->current[s->class];
	/* Ours is no match before it was heard: the other side may not have it any more. */
	bool unheard = old && old->initiator && !session_last_rx(old);
	bool crossed = old && old->initiator != s->initiator && old->peer_epoch == s->peer_epoch && !unheard &&
	               births_apart(s, old) < TWIN_BIRTH_MS && old->reject_ms > peer->node->now;
	struct session *winner = crossed && s->initiator != we_smaller(peer) ? old : s;
	struct session *loser = winner == s ? old : s;
	struct session *previous = peer->previous[s->class];
	bool twin = loser && previous && loser->initiator == winner->initiator && previous->initiator != winner->initiator &&
	            births_apart(previous, winner) < TWIN_BIRTH_MS;
	if (twin) {
		/* Of one initiator the newer serves. The other's stays, for it may be the one that the other side chose. */
		if (peer->current[s->class] == loser)
			peer->current[s->class] = NULL;
		displace(peer, winner, &loser);
	} else if (loser) {
		displace(peer, winner, &peer->previous[s->class]);
		peer->previous[s->class] = loser;
	}
	peer->current[s->class] = winner;
	peer_session_up(peer, s, path);
}
