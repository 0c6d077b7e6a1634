/* roster_test.c: whose addresses workers see, as directory and credentials come and go. The node is bare memory with the fields roster.c reads; nothing
 * runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/control.h"
#include "node/owners.h"

#define NWID    0x7f3a91c04e000001
#define OWN     0x1122334455
#define FIRST   0x0900000001
#define MEMBERS 3

static struct {
	struct node *node;
	struct net *net;
	struct net_member *member[MEMBERS];
} t;

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.node = calloc(1, sizeof(*t.node));
	t.net = calloc(1, sizeof(*t.net));
	assert_true(t.node && t.net);
	guestbook_init(&t.node->book, 0);
	t.net->node = t.node;
	t.net->nwid = NWID;
	t.net->port = calloc(1, sizeof(*t.net->port));
	t.net->member = t.member;
	assert_non_null(t.net->port);
	mac_derive(NWID, OWN, t.net->port->mac);
	for (unsigned i = 0; i < MEMBERS; i++) {
		struct net_member *m = t.member[i] = calloc(1, sizeof(*m));
		assert_non_null(m);
		m->member = calloc(1, sizeof(*m->member));
		assert_non_null(m->member);
		m->member->address = FIRST + i;
		mac_derive(NWID, FIRST + i, m->member->mac);
	}
	t.net->n_members = MEMBERS;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MEMBERS; i++) {
		free(t.member[i]->member);
		free(t.member[i]);
	}
	guestbook_fini(&t.node->book);
	free((void *)atomic_load(&t.net->port->owners));
	free(t.net->port);
	free(t.net);
	free(t.node);
	return 0;
}

static struct prefix ip4(uint8_t last)
{
	return (struct prefix){.family = 4, .bits = 24, .ip = {10, 77, 0, last}};
}

static void listed(unsigned i, uint8_t last)
{
	t.member[i]->listed = true;
	t.member[i]->entry.n_ips = 1;
	t.member[i]->entry.ips[0] = ip4(last);
}

static void credential(unsigned i, uint8_t last, uint64_t serial)
{
	t.member[i]->cred_ok = true;
	t.member[i]->cred.serial = serial;
	t.member[i]->cred.n_ips = 1;
	t.member[i]->cred.ips[0] = ip4(last);
}

/* Which member has 10.77.0.last; -1: nobody. */
static int owner4(uint8_t last, bool *ret_router)
{
	neighbour_publish(t.net);
	struct owner who;
	struct prefix p = ip4(last);
	if (!owners_find(atomic_load(&t.net->port->owners), 4, p.ip, &who))
		return -1;
	if (ret_router)
		*ret_router = who.router;
	for (int i = 0; i < MEMBERS; i++)
		if (!memcmp(who.mac, t.member[i]->member->mac, 6))
			return i;
	return -2;
}

static bool has_derived(uint64_t address)
{
	struct owner who;
	uint8_t ula[16], mac[6];
	neighbour_publish(t.net);
	ula_derive(NWID, address, ula);
	mac_derive(NWID, address, mac);
	return owners_find(atomic_load(&t.net->port->owners), 6, ula, &who) && !memcmp(who.mac, mac, 6);
}

static void directory_and_credential(void **state)
{
	(void)state;
	assert_int_equal(owner4(2, NULL), -1);
	assert_int_equal(owners_count(atomic_load(&t.net->port->owners)), 0);
	listed(0, 2);
	assert_int_equal(owner4(2, NULL), 0);
	assert_true(has_derived(FIRST));
	assert_false(has_derived(FIRST + 1));
	/* The directory speaks for who is listed; the credential for who is not. */
	credential(0, 7, 5);
	assert_int_equal(owner4(2, NULL), 0);
	assert_int_equal(owner4(7, NULL), -1);
	credential(1, 8, 6);
	assert_int_equal(owner4(8, NULL), 1);
	assert_true(has_derived(FIRST + 1));
	t.member[1]->cred_ok = false;
	assert_int_equal(owner4(8, NULL), -1);
	assert_false(has_derived(FIRST + 1));
	t.member[0]->listed = false;
	assert_int_equal(owner4(2, NULL), -1);
	assert_int_equal(owner4(7, NULL), 0);
}

static void disputes(void **state)
{
	(void)state;
	listed(0, 2);
	listed(1, 2);
	assert_int_equal(owner4(2, NULL), -1);
	assert_true(owners_disputed(atomic_load(&t.net->port->owners)));
	credential(0, 2, 5);
	assert_int_equal(owner4(2, NULL), -1);
	credential(1, 2, 6);
	assert_int_equal(owner4(2, NULL), 1);
	credential(0, 2, 7);
	assert_int_equal(owner4(2, NULL), 0);
	assert_true(has_derived(FIRST) && has_derived(FIRST + 1));
}

/* What another claims of our own is answered for by nobody: our kernel has it. */
static void ours(void **state)
{
	(void)state;
	listed(0, 1);
	credential(0, 1, 99);
	assert_int_equal(owner4(1, NULL), 0);
	t.net->cred_ok = true;
	t.net->cred.n_ips = 1;
	t.net->cred.ips[0] = ip4(1);
	assert_int_equal(owner4(1, NULL), -1);
	assert_false(has_derived(OWN));
	t.net->cred_ok = false;
	assert_int_equal(owner4(1, NULL), 0);
}

static void routers(void **state)
{
	(void)state;
	bool router = true;
	listed(0, 2);
	assert_int_equal(owner4(2, &router), 0);
	assert_false(router);
	t.member[0]->entry.flags = MEMBER_ROUTER | MEMBER_BRIDGE;
	assert_int_equal(owner4(2, &router), 0);
	assert_true(router);
	credential(0, 2, 5); /* newer than what the directory says of its flags, or as old */
	assert_int_equal(owner4(2, &router), 0);
	assert_false(router);
	t.member[0]->cred.flags = MEMBER_ROUTER;
	assert_int_equal(owner4(2, &router), 0);
	assert_true(router);
}

/* Workers keep the table they have while it says the same, and the old one lives until they let go of it. */
static void kept(void **state)
{
	(void)state;
	listed(0, 2);
	neighbour_publish(t.net);
	const struct owners *first = atomic_load(&t.net->port->owners);
	neighbour_publish(t.net);
	assert_ptr_equal(atomic_load(&t.net->port->owners), first);
	assert_null(t.node->book.first);
	listed(1, 3);
	neighbour_publish(t.net);
	assert_ptr_not_equal(atomic_load(&t.net->port->owners), first);
	assert_int_equal(owners_count(first), 2); /* readable still: retired, not freed */
	assert_non_null(t.node->book.first);
	guestbook_reap(&t.node->book);
	assert_null(t.node->book.first);
}

/* Whom a frame is for that more could not be sent to than a letter names. */
static void left_over(void **state)
{
	(void)state;
	static const uint8_t unicast[14] = {0x02, 1}, lldp[14] = {0x01, 0x80, 0xc2, 0, 0, 0x0e}, group[14] = {0x33, 0x33, 0, 0, 0, 1},
			     everybody[14] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	listed(0, 2);
	listed(1, 3);
	atomic_store(&t.member[1]->member->flags, MEMBER_BRIDGE);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(gather_meets(t.net, t.member[i], unicast), i == 1); /* what nobody knows is behind a bridge */
		assert_int_equal(gather_meets(t.net, t.member[i], lldp), i == 1);
		assert_true(gather_meets(t.net, t.member[i], group) && gather_meets(t.net, t.member[i], everybody));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(directory_and_credential, setup, teardown),
	    cmocka_unit_test_setup_teardown(disputes, setup, teardown),
	    cmocka_unit_test_setup_teardown(ours, setup, teardown),
	    cmocka_unit_test_setup_teardown(routers, setup, teardown),
	    cmocka_unit_test_setup_teardown(kept, setup, teardown),
	    cmocka_unit_test_setup_teardown(left_over, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
