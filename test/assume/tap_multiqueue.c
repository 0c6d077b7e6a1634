/* Belief: TUNSETIFF with IFF_MULTI_QUEUE on an existing name adds a queue to that device, whoever
 * made it, unless IFF_TUN_EXCL asks for a new one (EBUSY); each frame comes out of exactly one
 * queue, flows are spread over the queues, a frame may be written to any queue; and the device is
 * gone with its last descriptor. */
#include "test/assume/assume.h"

#define QUEUES 4
#define FLOWS  64

/* An Ethernet+IPv4+UDP frame whose source port makes a flow of its own; 42 bytes, checksums do not
 * matter here. */
static void flow_frame(uint8_t *f, unsigned flow)
{
	static const uint8_t head[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0,  0, 9, 8, 0, 0x45, 0,    0,    28, 0, 0, 0,
	                                 0,    64,   17,   0,    0,    10,   0, 0, 1, 10, 0, 0, 2, 0, 0,    0x12, 0x34, 0,  8, 0, 0};
	memcpy(f, head, sizeof(head));
	f[34] = (uint8_t)(0x40 + flow);
	f[35] = (uint8_t)(flow * 37);
}

int main(void)
{
	private_net();
	int q[QUEUES], other;
	q[0] = tap_queue("mq0", IFF_TUN_EXCL);
	if (q[0] == -ENOENT || q[0] == -ENODEV)
		cannot_try("no TAP driver");
	believe(q[0] >= 0, "first queue: %d", q[0]);
	other = tap_queue("mq0", IFF_TUN_EXCL);
	believe(other == -EBUSY, "a second maker of the device got %d, wanted EBUSY", other);
	for (int i = 1; i < QUEUES; i++) {
		q[i] = tap_queue("mq0", 0);
		believe(q[i] >= 0, "queue %d: %d", i, q[i]);
	}
	device_up("mq0", 1500);

	int ps = packet_socket("mq0", 0x0800);
	unsigned seen[FLOWS] = {0}, used = 0;
	uint8_t f[2048];
	for (unsigned i = 0; i < FLOWS; i++) {
		flow_frame(f, i);
		believe(send(ps, f, 42, 0) == 42, "send of flow %u", i);
	}
	for (int i = 0; i < QUEUES; i++) {
		unsigned here = 0;
		ssize_t n;
		while ((n = read(q[i], f, sizeof(f))) > 0) {
			if (n < 42 || f[12] != 8 || f[13] != 0 || f[34] < 0x40 || f[34] >= 0x40 + FLOWS)
				continue;
			seen[f[34] - 0x40]++;
			here++;
		}
		used += here > 0;
	}
	for (unsigned i = 0; i < FLOWS; i++)
		believe(seen[i] == 1, "flow %u came out %u times", i, seen[i]);
	believe(used > 1, "%d flows used %u queue(s)", FLOWS, used);

	for (int i = 0; i < QUEUES; i++) {
		flow_frame(f, (unsigned)i);
		believe(write(q[i], f, 42) == 42, "write by queue %d", i);
		believe(readable(ps) && recv(ps, f, sizeof(f), 0) == 42 && f[34] == 0x40 + i, "frame written by queue %d", i);
	}
	for (int i = 0; i < QUEUES; i++)
		close(q[i]);
	believe(if_nametoindex("mq0") == 0, "the device outlived its last descriptor");
	return 0;
}
