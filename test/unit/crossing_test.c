/* crossing_test.c: which of two sessions that crossed a side sends on, by what it heard under each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/control.h"

#define START 100000 /* ms */

static struct side {
	struct node node;
	struct remote remote;
	struct peer peer;
	struct session *ours, *theirs; /* initiated by us, by them */
} side;

static struct session *make(bool initiator, uint64_t born_ms)
{
	struct session_keys k = {0};
	struct session *s = session_new(CLASS_DATA, initiator, SUITE_CHACHA20_POLY1305, &k, 0, 0x1230, 1, 1, &side.remote, 1, born_ms);
	assert_non_null(s);
	s->peer_epoch = 7;
	return s;
}

static void side_make(bool smaller)
{
	memset(&side, 0, sizeof side);
	guestbook_init(&side.node.book, 1);
	side.node.config.self.self.key_hash[0] = smaller ? 1 : 3;
	side.peer.identity.key_hash[0] = 2;
	side.peer.node = &side.node;
	side.peer.remote = &side.remote;
	side.node.now = START;
	side.ours = make(true, START);
	side.theirs = make(false, START - 100);
}

static void side_free(void)
{
	session_free(side.peer.current[CLASS_DATA]);
	session_free(side.peer.previous[CLASS_DATA]);
	guestbook_fini(&side.node.book);
}

static void use(struct session *current, struct session *previous)
{
	side.peer.current[CLASS_DATA] = current;
	side.peer.previous[CLASS_DATA] = previous;
	atomic_store(&side.remote.session, current);
}

static void heard(struct session *s, uint64_t at, bool chosen)
{
	atomic_store(&s->foot[0].rx_ms, at);
	if (chosen)
		atomic_store(&s->foot[0].chosen_ms, at);
	side.node.now = at;
}

static bool sends_on(const struct session *s)
{
	crossing_follow(&side.peer, CLASS_DATA);
	assert_ptr_equal(side.peer.current[CLASS_DATA], atomic_load(&side.remote.session));
	return side.peer.current[CLASS_DATA] == s;
}

/* The smaller one goes to its own at the first sign that the other side has it, be it an answer, and whatever else it hears. */
static void smaller_takes_its_own(void **state)
{
	(void)state;
	side_make(true);
	use(side.theirs, side.ours);
	heard(side.theirs, START + 3000, true);
	assert_true(sends_on(side.theirs));
	heard(side.ours, START + 3001, false);
	assert_true(sends_on(side.ours));
	heard(side.theirs, START + 60000, true);
	assert_true(sends_on(side.ours));
	side_free();
}

static void births_far_apart(void **state)
{
	(void)state;
	side_make(true);
	use(side.theirs, side.ours);
	side.theirs->born_ms = side.ours->born_ms + 10000;
	heard(side.ours, START + 12000, true);
	assert_true(sends_on(side.theirs));
	side.theirs->born_ms--;
	assert_true(sends_on(side.ours));
	side_free();
}

/* The larger one follows what the other side chose for 1.5 s after it last chose ours, however often that comes and goes. */
static void larger_follows(void **state)
{
	(void)state;
	side_make(false);
	use(side.ours, side.theirs);
	uint64_t at = START + 3000;
	heard(side.ours, at, true);
	for (unsigned round = 0; round < 3; round++) {
		struct session *from = round % 2 ? side.theirs : side.ours, *to = round % 2 ? side.ours : side.theirs;
		heard(to, at + 1499, true);
		assert_true(sends_on(from));
		heard(to, at + 1500, true);
		assert_true(sends_on(to));
		at += 1500;
	}
	side_free();
}

/* Its own PROBEs are answered under its own session for ever. With a round trip of seconds such an answer comes as often as the other side's
 * frames: it says that the session stands, not that it was chosen. */
static void answers_choose_nothing(void **state)
{
	(void)state;
	side_make(false);
	use(side.ours, side.theirs);
	heard(side.ours, START + 3000, true);
	heard(side.theirs, START + 4000, true);
	heard(side.ours, START + 4400, false);
	assert_true(sends_on(side.ours));
	heard(side.theirs, START + 4600, true);
	assert_true(sends_on(side.theirs));
	/* Nor does an answer pull it back. */
	heard(side.ours, START + 9000, false);
	assert_true(sends_on(side.theirs));
	side_free();
}

/* ... even if the other side never chose ours at all; but not before it answered once: it may not have the keys yet. */
static void heard_first(void **state)
{
	(void)state;
	side_make(false);
	use(side.ours, side.theirs);
	heard(side.theirs, START + 2000, true);
	assert_true(sends_on(side.ours));
	heard(side.ours, START + 2100, false);
	assert_true(sends_on(side.theirs));
	side_free();
}

/* A session of ours that stays silent while the one before is heard is given up, on either side. */
static void unheard(void **state)
{
	(void)state;
	for (unsigned smaller = 0; smaller < 2; smaller++) {
		side_make(smaller);
		use(side.ours, side.theirs);
		heard(side.theirs, START + 5000, false);
		assert_true(sends_on(side.ours));
		heard(side.theirs, START + 5001, false);
		assert_true(sends_on(side.theirs));
		assert_null(side.peer.previous[CLASS_DATA]);
		side_free();
	}
}

/* The other side started anew, or the session ended: nothing to go back to. */
static void gone(void **state)
{
	(void)state;
	side_make(true);
	use(side.theirs, side.ours);
	heard(side.ours, START + 1000, true);
	side.ours->peer_epoch = 6;
	assert_true(sends_on(side.theirs));
	side.ours->peer_epoch = 7;
	side.ours->reject_ms = side.node.now;
	assert_true(sends_on(side.theirs));
	side.ours->reject_ms++;
	assert_true(sends_on(side.ours));
	side_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(smaller_takes_its_own),
	    cmocka_unit_test(births_far_apart),
	    cmocka_unit_test(larger_follows),
	    cmocka_unit_test(answers_choose_nothing),
	    cmocka_unit_test(heard_first),
	    cmocka_unit_test(unheard),
	    cmocka_unit_test(gone),
	};
	assert_int_equal(seal_setup(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
