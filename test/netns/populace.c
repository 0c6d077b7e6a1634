/* populace: members that nobody runs, into the database of a controller that stands still.
 *
 *     populace HOME NWID APPROVED PENDING
 *
 * What a table of thousands looks like does not depend on how its rows came: real joins of 3 000 nodes would take hours here. The rows
 * are written by the store itself, with keys of random bytes that nobody holds. Approved ones get addresses 10.x of the network's pool.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controller/store.h"
#include "proto/random.h"

#define COMMIT_EVERY 500

static _Noreturn void fail(const char *what, int error)
{
	fprintf(stderr, "populace: %s: %s\n", what, strerror(-error));
	exit(1);
}

static void secret_of(const char *home, struct secret *ret)
{
	char path[512], line[256] = "";
	snprintf(path, sizeof(path), "%s/identity.secret", home);
	FILE *file = fopen(path, "re");
	size_t n = file ? fread(line, 1, sizeof(line) - 1, file) : 0;
	if (file)
		fclose(file);
	if (!secret_parse(line, n, ret))
		fail(path, -EINVAL);
}

static void member_make(struct member_record *m, uint64_t nwid, unsigned number, bool approved)
{
	static const char *const systems[] = {"Debian 12", "Ubuntu 24.04", "OpenWrt 23.05", "Arch Linux"};
	memset(m, 0, sizeof(*m));
	m->nwid = nwid;
	random_bytes(m->identity.x, sizeof(m->identity.x));
	random_bytes(m->identity.ed, sizeof(m->identity.ed));
	identity_hash(&m->identity);
	m->identity.address = 0x1000000000u + (uint64_t)number * 7919;
	m->address = m->identity.address;
	m->state = approved ? MEMBER_APPROVED : MEMBER_PENDING;
	if (approved)
		snprintf(m->name, sizeof(m->name), "desk-%04u", number);
	snprintf(m->hostname, sizeof(m->hostname), "host-%04u", number);
	snprintf(m->os, sizeof(m->os), "%s", systems[number % 4]);
	snprintf(m->version, sizeof(m->version), "0.1.0");
	m->first_seen_wall_s = (uint64_t)time(NULL) - number * 61;
	m->last_seen_wall_s = m->first_seen_wall_s + number;
}

int main(int argc, char **argv)
{
	struct secret self;
	struct store *store;
	const char *why = "";
	char path[512];
	uint8_t bits[17];
	uint64_t nwid;
	bool pin;

	if (argc != 5 || !nwid_parse(argv[2], &nwid, &pin, bits)) {
		fprintf(stderr, "usage: populace HOME NWID APPROVED PENDING\n");
		return 2;
	}
	unsigned approved = (unsigned)strtoul(argv[3], NULL, 10), all = approved + (unsigned)strtoul(argv[4], NULL, 10);
	secret_of(argv[1], &self);
	snprintf(path, sizeof(path), "%s/controller.db", argv[1]);
	int r = store_open(&store, path, self.self.key_hash, &why);
	if (r < 0)
		fail(why, r);
	struct network_record network;
	if ((r = store_network_get(store, nwid, &network)) < 0)
		fail("the network", r);
	for (unsigned i = 1; i <= all; i++) {
		struct member_record m;
		uint32_t ip;
		memcpy(&ip, network.pool.ip, 4);
		member_make(&m, nwid, i, i <= approved);
		r = store_member_insert(store, &m);
		struct lease lease = {.bits = network.pool.bits, .member = m.id};
		ip = htonl(ntohl(ip) + 256 + i);
		memcpy(lease.ip, &ip, 4);
		if (r == 0 && i <= approved)
			r = store_lease_put(store, nwid, &lease);
		if (r == 0 && (i % COMMIT_EVERY == 0 || i == all))
			r = store_commit(store);
		if (r < 0)
			fail("a member", r);
	}
	store_close(store);
	printf("%u\n", all);
	return 0;
}
