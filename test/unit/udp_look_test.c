/* udp_look_test.c: which sockets udp_recv asks, and what it says of those it has asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "node/udp.h"

#define TRAIN 8

static const struct endpoint any[2] = {{.family = 4, .ip = {127, 0, 0, 1}}, {.family = 6, .ip = {[15] = 1}}};

static struct udp *opened(struct endpoint bound[2])
{
	struct udp *u;
	assert_int_equal(udp_open(&u, any, 2, 1, bound), 0);
	return u;
}

/* n datagrams of one length; bytes beyond the first are its number. */
static void send_to(struct udp *u, const struct endpoint *to, unsigned n, uint8_t lane)
{
	static uint8_t bytes[BATCH_MAX][100];
	struct packet p[BATCH_MAX];
	memset(p, 0, sizeof p);
	for (unsigned i = 0; i < n; i++) {
		memset(bytes[i], (int)i, sizeof bytes[i]);
		bytes[i][0] = lane;
		p[i] = (struct packet){.data = bytes[i], .len = sizeof bytes[i], .from = *to};
	}
	udp_send(u, 0, p, n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(p[i].verdict, DROP_NONE);
}

/* Loopback delivers before the send returns. */
static void test_only_what_is_named(void **state)
{
	(void)state;
	struct endpoint a[2], b[2];
	struct udp *from = opened(a), *to = opened(b);
	struct packet in[BATCH_MAX];
	send_to(from, &b[0], 1, 0);
	send_to(from, &b[1], 1, 0);
	uint32_t look = 0;
	assert_int_equal(udp_recv(to, 0, &look, in, BATCH_MAX), 0);
	assert_int_equal(look, 0);
	look = 1u << 1;
	assert_int_equal(udp_recv(to, 0, &look, in, BATCH_MAX), 1);
	assert_int_equal(in[0].from.family, 6);
	assert_int_equal(look, 0); /* it gave less than was asked for */
	look = 1u << 1;
	assert_int_equal(udp_recv(to, 0, &look, in, BATCH_MAX), 0);
	assert_int_equal(look, 0);
	look = UDP_LOOK_ALL;
	assert_int_equal(udp_recv(to, 0, &look, in, BATCH_MAX), 1);
	assert_int_equal(in[0].from.family, 4);
	assert_int_equal(look & 3, 0);
	assert_int_equal(look & UDP_LOOK_LEFT, 0);
	udp_close(from);
	udp_close(to);
}

/* A socket that gave all that was asked for may have more. */
static void test_full_keeps_its_bit(void **state)
{
	(void)state;
	struct endpoint a[2], b[2];
	struct udp *from = opened(a), *to = opened(b);
	struct packet in[BATCH_MAX];
	send_to(from, &b[0], 1, 0);
	send_to(from, &b[0], 1, 0);
	uint32_t look = 1;
	assert_int_equal(udp_recv(to, 0, &look, in, 1), 1);
	assert_int_equal(look, 1);
	assert_int_equal(udp_recv(to, 0, &look, in, 1), 1);
	assert_int_equal(udp_recv(to, 0, &look, in, 1), 0);
	assert_int_equal(look, 0);
	udp_close(from);
	udp_close(to);
}

/* What was read with others is told by LEFT, and comes without a socket being named. */
static void test_left(void **state)
{
	(void)state;
	struct endpoint a[2], b[2];
	struct udp *from = opened(a), *to = opened(b);
	struct packet in[BATCH_MAX];
	unsigned got = 0, calls = 0;
	for (unsigned i = 0; i < 3; i++)
		send_to(from, &b[0], TRAIN, (uint8_t)i);
	uint32_t look = 1;
	got += udp_recv(to, 0, &look, in, 2 * TRAIN + 1);
	/* With UDP_GRO the third train does not fit and waits; without, single datagrams do. Either way the rest is there. */
	while ((look & UDP_LOOK_LEFT || got < 3 * TRAIN) && calls++ < 3 * TRAIN) {
		look = look & UDP_LOOK_LEFT ? UDP_LOOK_LEFT : 1;
		got += udp_recv(to, 0, &look, in, BATCH_MAX);
	}
	assert_int_equal(got, 3 * TRAIN);
	assert_int_equal(look & UDP_LOOK_LEFT, 0);
	udp_close(from);
	udp_close(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_only_what_is_named),
	    cmocka_unit_test(test_full_keeps_its_bit),
	    cmocka_unit_test(test_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
