/* Belief: a superframe that join.c made and a TAP took is cut by the kernel, for a port that takes none, into exactly the frames
 * it was made of: TCP and UDP, both IP versions, options, extension headers, VLAN tags, FIN, PSH and CWR. Two TAPs under a bridge. */
#include "test/assume/assume.h"

#include <linux/sockios.h>

#include "node/join.h"
#include "tap/tap.h"
#include "test/unit/superframe.h"

#define MTU       9000
#define ROUNDS    432 /* twice all shapes */
#define PIECES    40
#define FRAME_MAX 2000

static void bridged(const char *bridge, const char *port)
{
	struct ifreq request = {.ifr_ifindex = (int)if_nametoindex(port)};
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", bridge);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	believe(fd >= 0 && ioctl(fd, SIOCBRADDIF, &request) == 0, "%s under %s", port, bridge);
	close(fd);
}

static int bridge_new(const char *name)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = fd < 0 || ioctl(fd, SIOCBRADDBR, name) < 0 ? -errno : 0;
	close(fd);
	return err;
}

/* The next frame that is none of the kernel's own. */
static ssize_t next_of_ours(int fd, const uint8_t *macs, uint8_t *ret, size_t room)
{
	for (int i = 0; i < 64 && readable(fd); i++) {
		ssize_t n = read(fd, ret, room);
		if (n >= 14 && !memcmp(ret, macs, 12))
			return n;
	}
	return -1;
}

static struct recipe shape(unsigned i, uint64_t *seed, const uint8_t *payload, uint32_t *ret_size)
{
	struct recipe r = {.v6 = i & 1, .udp = i & 2, .df = i & 4, .ttl = 64, .tos = 2, .ack = 9, .window = 99, .payload = payload};
	r.vlans = (uint8_t)(i / 8 % 3);
	r.ip_extra = (uint8_t)(i / 24 % 3 * (r.v6 ? 8 : 20));
	r.tcp_extra = (uint8_t)(i / 72 % 3 * 12);
	r.id = (uint16_t)dice(seed);
	r.seq = dice(seed);
	r.flags = (uint8_t)(0x10 | (dice(seed) & 0xc9));
	uint32_t size = 1 + dice(seed) % 1400;
	r.bytes = size * (1 + dice(seed) % (PIECES - 1)) + 1 + dice(seed) % size;
	*ret_size = size;
	return r;
}

int main(void)
{
	static uint8_t payload[65536], frame[PIECES][FRAME_MAX], expected[FRAME_MAX], got[65536];
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 9};
	struct packet p[PIECES];
	char name[TAP_NAME_MAX];
	struct tap *in;
	uint64_t seed = 5;
	private_net();
	if (tap_open(&in, "cut0", 1, mac, MTU, TAP_CSUM | TAP_TSO | TAP_USO, name) < 0)
		cannot_try("no TAP");
	unsigned may = tap_offloads(in);
	int out = tap_queue("cut1", 0);
	believe(out >= 0, "TAP: %d", out);
	if (!(may & TAP_TSO) || bridge_new("cut") < 0)
		cannot_try("no superframes or no bridge");
	bridged("cut", name);
	bridged("cut", "cut1");
	device_up("cut", MTU);
	device_up(name, MTU);
	device_up("cut1", MTU);
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)dice(&seed);
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint32_t size;
		struct recipe r = shape(round, &seed, payload, &size);
		unsigned n = (r.bytes + size - 1) / size;
		bool partial = round & 16;
		if (r.udp && !(may & TAP_USO))
			continue;
		for (unsigned i = 0; i < n; i++) {
			struct recipe s = recipe_segment(&r, size, i);
			p[i] = (struct packet){.data = frame[i], .room = FRAME_MAX};
			p[i].len = (uint32_t)recipe_frame(&s, partial, frame[i]);
			if (partial)
				p[i].offload = recipe_offload(&s, 0);
		}
		join_batch(p, n, may);
		believe(p[0].tails == n - 1, "round %u: %u tails of %u", round, p[0].tails, n);
		tap_write(in, 0, p, n);
		believe(p[0].verdict == DROP_NONE, "round %u: refused", round);
		for (unsigned i = 0; i < n; i++) {
			struct recipe s = recipe_segment(&r, size, i);
			size_t len = recipe_frame(&s, false, expected);
			ssize_t k = next_of_ours(out, expected, got, sizeof(got));
			believe(k == (ssize_t)len, "round %u: frame %u of %u has %zd bytes, not %zu", round, i, n, k, len);
			believe(!memcmp(got, expected, len), "round %u: frame %u of %u differs", round, i, n);
		}
	}
	tap_close(in);
	close(out);
	return 0;
}
