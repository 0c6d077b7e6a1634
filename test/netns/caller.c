/* caller: a node that is known to a root and asks it for circuits without end: CONNECT after CONNECT.
 *
 *     caller SECRET-FILE EPOCH ROOT-LINE PORT RATE SECONDS ADDRESS:KEY-HASH-HEX...
 *
 * It is a whole node of libnode that joins nothing: handshake and registration are the real ones, so the root owes it a hearing. As
 * soon as its session stands it prints {"ready": true} and sends RATE CONNECTs a second, sealed like any control message but past
 * the sender's own limits: every second one for one of the members named, with an index that was never used, so that each would be
 * a circuit; the others for nobody. What stands in them for an INIT is random. At its end it prints how many it sent.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/control.h"
#include "proto/random.h"
#include "proto/seal.h"

#define TARGETS_MAX 16
#define INIT_LENGTH 400
#define READY_US    20000000u
#define SETTLE_US   1000000u
#define DRAIN_MAX   256

struct target {
	uint64_t address;
	uint8_t key_hash[KEY_HASH_BYTES];
};

struct caller {
	struct node *node;
	struct udp *udp;
	struct identity work;
	bool work_set;
	struct target target[TARGETS_MAX];
	unsigned n_targets;
	uint64_t sent, refused;
};

static uint64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- a state folder that forgets ---- */

static int port_save(void *self, const char *name, const void *bytes, size_t len, bool urgent)
{
	(void)self, (void)name, (void)bytes, (void)len, (void)urgent;
	return 0;
}

static long port_load(void *self, const char *name, void *buf, size_t room)
{
	(void)self, (void)name, (void)buf, (void)room;
	return -ENOENT;
}

static void port_remove(void *self, const char *name)
{
	(void)self, (void)name;
}

static void port_list(void *self, const char *folder, void (*each)(void *, const char *), void *each_self)
{
	(void)self, (void)folder, (void)each, (void)each_self;
}

/* Whoever it is: a hostile node does not check the work of others. */
static bool port_work(void *self, const struct identity *claimed)
{
	struct caller *c = self;
	if (c->work_set)
		return false;
	c->work = *claimed;
	c->work_set = true;
	return true;
}

static bool secret_read(const char *path, struct secret *ret)
{
	char text[1024];
	FILE *in = fopen(path, "r");
	size_t n = in ? fread(text, 1, sizeof text, in) : 0;
	if (in)
		fclose(in);
	return n && secret_parse(text, n, ret);
}

/* ---- the flood ---- */

static void turn(struct caller *c)
{
	for (unsigned i = 0; i < DRAIN_MAX && worker_turn(node_worker(c->node, 0), now_us()); i++)
		;
	if (c->work_set) {
		c->work_set = false;
		node_work_done(c->node, &c->work, true, now_us() / 1000);
	}
	node_turn(c->node, now_us());
}

static void call(struct caller *c, struct peer *root, struct session *s)
{
	static uint32_t number = UINT32_MAX / 2;
	const struct target *t = &c->target[c->sent / 2 % c->n_targets];
	uint8_t init[INIT_LENGTH], body[BODY_MAX], plain[INNER_HEADER + BODY_MAX + 64] = {INNER_CTRL};
	struct body_connect b = {.key_hash_set = true, .first = init, .first_len = sizeof init};
	struct message m = {.req = ++number, .op = OP_CONNECT, .body = body};
	random_bytes(init, sizeof init);
	random_bytes(&b.rx_idx, sizeof b.rx_idx);
	b.rx_idx &= IDX_MASK;
	if (c->sent % 2) {
		random_bytes(b.key_hash, sizeof b.key_hash);
		b.address = 1 + c->sent;
	} else {
		memcpy(b.key_hash, t->key_hash, sizeof b.key_hash);
		b.address = t->address;
	}
	m.len = body_connect_encode(&b, body, sizeof body);
	size_t len = m.len ? message_encode(&m, plain + INNER_HEADER, sizeof plain - INNER_HEADER) : 0;
	if (len && root->best >= 0 && node_seal(c->node, s, &root->path[root->best], plain, INNER_HEADER + len))
		c->sent++;
	else
		c->refused++;
}

/* Seconds are counted from the first CONNECT; false: the root never let us in. */
static bool flood(struct caller *c, uint64_t rate, uint64_t us)
{
	struct peer *root = c->node->root[0];
	uint64_t begun = now_us(), first = 0, stands = begun;
	while (!first || now_us() < first + us) {
		struct pollfd ready[] = {{.fd = udp_fd(c->udp, 0, 0), .events = POLLIN}, {.fd = node_wake_fd(c->node), .events = POLLIN}};
		turn(c);
		struct session *s = root->best >= 0 ? peer_session(root, CLASS_CTRL) : NULL;
		stands = s && c->node->root[0]->sight.seen[0].family ? stands : now_us();
		if (!first && now_us() > stands + SETTLE_US) { /* REGISTER follows the session at once */
			first = now_us();
			printf("{\"ready\": true}\n");
			fflush(stdout);
		}
		if (!first && now_us() > begun + READY_US)
			return false;
		uint64_t due = first ? (now_us() - first) * rate / 1000000 : 0;
		for (unsigned i = 0; i < BATCH_MAX && s && c->sent + c->refused < due; i++)
			call(c, root, s);
		node_turn(c->node, now_us()); /* out with them */
		if (c->sent + c->refused >= due)
			poll(ready, 2, 1);
	}
	return true;
}

static bool targets_read(struct caller *c, char **argv, int n)
{
	for (; c->n_targets < (unsigned)n && c->n_targets < TARGETS_MAX; c->n_targets++) {
		struct target *t = &c->target[c->n_targets];
		char *end;
		t->address = strtoull(argv[c->n_targets], &end, 16);
		for (unsigned i = 0; i < KEY_HASH_BYTES; i++) {
			unsigned byte;
			if (*end != ':' || sscanf(end + 1 + 2 * i, "%2x", &byte) != 1)
				return false;
			t->key_hash[i] = (uint8_t)byte;
		}
	}
	return c->n_targets > 0;
}

int main(int argc, char **argv)
{
	static struct caller c;
	struct node_config config = {.workers = 1};
	struct node_port port = {
	    .self = &c, .save = port_save, .load = port_load, .remove = port_remove, .list = port_list, .work = port_work};
	struct endpoint any = {.family = 4};
	const char *why = "";
	size_t at;
	if (argc < 8 || !targets_read(&c, argv + 7, argc - 7)) {
		fprintf(stderr, "usage: caller SECRET-FILE EPOCH ROOT-LINE PORT RATE SECONDS ADDRESS:KEY-HASH-HEX...\n");
		return 2;
	}
	config.epoch = (uint32_t)strtoul(argv[2], NULL, 10);
	any.port = (uint16_t)atoi(argv[4]);
	if (!secret_read(argv[1], &config.self) || !root_line_parse(argv[3], &config.roots[0], &at, &why)) {
		fprintf(stderr, "caller: no secret or no root line: %s\n", why);
		return 2;
	}
	config.n_roots = 1;
	int rc = seal_setup() < 0 ? -EINVAL : udp_open(&c.udp, &any, 1, 1, &config.bound[0]);
	config.n_bound = 1;
	if (!rc)
		rc = node_new(&c.node, &config, &port, c.udp, now_us() / 1000);
	if (rc) {
		fprintf(stderr, "caller: %s\n", strerror(-rc));
		return 1;
	}
	bool good = flood(&c, strtoull(argv[5], NULL, 10), strtoull(argv[6], NULL, 10) * 1000000);
	printf("{\"sent\": %llu, \"refused\": %llu}\n", (unsigned long long)c.sent, (unsigned long long)c.refused);
	node_free(c.node);
	udp_close(c.udp);
	secret_fini(&config.self);
	return good ? 0 : 1;
}
