/* resolve_test.c: a root known by name only, on a real loop with the system's resolver: the INIT goes to where the name leads. */
#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "node/loop.h"
#include "proto/base/log.h"
#include "proto/seal.h"
#include "proto/wire.h"
#include "test/unit/hex.h"

static struct secret secret; /* the identity of PROTOCOL.md's vectors */

struct place {
	char home[64];
	uv_loop_t uv;
};

static int group_setup(void **state)
{
	(void)state;
	uint8_t x[32], seed[32];
	unhex(x, sizeof(x), "b9dab2f91e55257b1dcb073c53afbac11e8704987dd2431f818c866fc395fe91");
	unhex(seed, sizeof(seed), "20666ef189d264b82d40ae213746371d0d3c0dd7f3cb11c195ceeffc0a4e945a");
	log_level_set(LOG_ERROR);
	return seal_setup() == 0 && secret_derive(&secret, x, seed) ? 0 : -1;
}

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	strcpy(p->home, "/tmp/resolve-test-XXXXXX");
	*state = p;
	return mkdtemp(p->home) ? uv_loop_init(&p->uv) : -1;
}

static int drop(const char *path, const struct stat *st, int flag, struct FTW *at)
{
	(void)st, (void)flag, (void)at;
	return remove(path);
}

static int teardown(void **state)
{
	struct place *p = *state;
	int left = uv_loop_close(&p->uv); /* UV_EBUSY: a request or a handle was forgotten */
	nftw(p->home, drop, 8, FTW_DEPTH | FTW_PHYS);
	free(p);
	return left;
}

static struct loop_config config_of(const struct place *p, const char *name, uint16_t port)
{
	struct loop_config c = {.home = p->home, .node = {.self = secret, .workers = 1, .n_roots = 1}};
	struct root_line *line = &c.node.roots[0];
	memset(line->identity.x, 9, 32); /* X25519's base point: nobody is there to answer */
	memset(line->identity.ed, 5, 32);
	identity_hash(&line->identity);
	line->identity.address = 0x7f3a91c04e;
	snprintf(line->names[0].host, sizeof(line->names[0].host), "%s", name);
	line->names[0].port = port;
	line->n_names = 1;
	return c;
}

static void stop_due(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

static void run(struct place *p, uint64_t ms)
{
	uv_timer_t timer;
	uv_timer_init(&p->uv, &timer);
	uv_update_time(&p->uv);
	uv_timer_start(&timer, stop_due, ms, 0);
	uv_run(&p->uv, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&p->uv, UV_RUN_NOWAIT);
}

static void view_take(void *self, const struct root_view *v)
{
	*(struct root_view *)self = *v;
}

static void follows_a_name(void **state)
{
	struct place *p = *state;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	struct loop *loop = NULL;
	const char *why = "";
	uint8_t got[2048];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	struct loop_config config = config_of(p, "localhost", ntohs(at.sin_port));
	assert_int_equal(loop_new(&loop, &p->uv, &config, &why), 0);
	assert_int_equal(recv(fd, got, sizeof(got), 0), -1); /* nothing is known yet */
	ssize_t n = -1;
	for (unsigned i = 0; i < 50 && n < 0; i++) {
		run(p, 100);
		n = recv(fd, got, sizeof(got), 0);
	}
	assert_in_range(n, INIT_MIN, INIT_MAX);
	struct root_view view = {0};
	node_roots(loop_node(loop), view_take, &view);
	assert_false(view.online);
	assert_string_equal(view.reason, "");
	assert_int_equal(view.endpoint.port, ntohs(at.sin_port));
	loop_free(loop);
	close(fd);
}

/* RFC 6761: no resolver knows a name under .invalid. */
static void says_what_is_wrong(void **state)
{
	struct place *p = *state;
	struct loop *loop = NULL;
	const char *why = "";
	struct root_view view = {0};
	struct loop_config config = config_of(p, "root.invalid", 9993);
	assert_int_equal(loop_new(&loop, &p->uv, &config, &why), 0);
	for (unsigned i = 0; i < 300 && !*view.reason; i++) {
		run(p, 100);
		node_roots(loop_node(loop), view_take, &view);
	}
	assert_non_null(strstr(view.reason, "root.invalid"));
	assert_non_null(strstr(view.reason, "DNS"));
	assert_int_equal(view.endpoint.family, 0);
	loop_free(loop);
}

/* The loop ends while a look-up is under way: it is waited for, and its answer comes to nobody. */
static void ends_in_between(void **state)
{
	struct place *p = *state;
	struct loop *loop = NULL;
	const char *why = "";
	struct loop_config config = config_of(p, "localhost", 9993);
	assert_int_equal(loop_new(&loop, &p->uv, &config, &why), 0);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(follows_a_name, setup, teardown),
	    cmocka_unit_test_setup_teardown(says_what_is_wrong, setup, teardown),
	    cmocka_unit_test_setup_teardown(ends_in_between, setup, teardown),
	};
	return cmocka_run_group_tests_name("resolve", tests, group_setup, NULL);
}
