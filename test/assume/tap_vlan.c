/* Belief: a tagged frame written to a TAP reaches a packet socket without its outer tag, which
 * PACKET_AUXDATA tells with TPID and TCI, for 802.1Q and for the outer tag of QinQ (the inner one
 * stays); a tagged frame sent out of the device comes out of the TAP with its tags in place; and a
 * full-size frame may be 4 bytes longer for its tag. */
#include "test/assume/assume.h"

#define MTU 1500

static const uint8_t addresses[12] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9};

static size_t frame_make(uint8_t *f, const uint8_t *tags, size_t tag_bytes, size_t payload)
{
	memcpy(f, addresses, 12);
	memcpy(f + 12, tags, tag_bytes);
	f[12 + tag_bytes] = 0x88;
	f[13 + tag_bytes] = 0xb5;
	for (size_t i = 0; i < payload; i++)
		f[14 + tag_bytes + i] = (uint8_t)(i * 7);
	return 14 + tag_bytes + payload;
}

/* Written to the TAP: what a packet socket gets must be the frame with its first tag cut out and
 * told beside. */
static void inward(int tap, int ps, const uint8_t *tags, size_t tag_bytes, size_t payload)
{
	uint8_t sent[2048], got[2048], control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	size_t len = frame_make(sent, tags, tag_bytes, payload);
	struct iovec part = {got, sizeof(got)};
	struct tpacket_auxdata aux = {0};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};

	believe(write(tap, sent, len) == (ssize_t)len, "write of %zu bytes with %zu of tags", len, tag_bytes);
	believe(readable(ps), "nothing at the packet socket for %zu bytes of tags", tag_bytes);
	ssize_t n = recvmsg(ps, &m, 0);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA)
			memcpy(&aux, CMSG_DATA(c), sizeof(aux));
	believe(n == (ssize_t)len - 4, "%zd bytes, wanted %zu", n, len - 4);
	believe(!memcmp(got, sent, 12) && !memcmp(got + 12, sent + 16, len - 16), "the rest of the frame changed");
	believe((aux.tp_status & TP_STATUS_VLAN_VALID) && (aux.tp_status & TP_STATUS_VLAN_TPID_VALID), "tag not told, status %#x",
	        aux.tp_status);
	believe(aux.tp_vlan_tpid == (tags[0] << 8 | tags[1]) && aux.tp_vlan_tci == (tags[2] << 8 | tags[3]), "told %#x %#x",
	        aux.tp_vlan_tpid, aux.tp_vlan_tci);
}

static void outward(int tap, int ps, const uint8_t *tags, size_t tag_bytes, size_t payload)
{
	uint8_t sent[2048], got[2048];
	size_t len = frame_make(sent, tags, tag_bytes, payload);
	believe(send(ps, sent, len, 0) == (ssize_t)len, "send of %zu bytes with %zu of tags", len, tag_bytes);
	ssize_t n = tap_frame(tap, (unsigned)(sent[12] << 8 | sent[13]), got, sizeof(got));
	believe(n == (ssize_t)len && !memcmp(got, sent, len), "the TAP gave %zd bytes for %zu", n, len);
}

int main(void)
{
	static const uint8_t dot1q[] = {0x81, 0x00, 0x60, 0x05}, qinq[] = {0x88, 0xa8, 0x00, 0x07, 0x81, 0x00, 0x20, 0x05};
	private_net();
	int tap = tap_queue("vl0", IFF_TUN_EXCL);
	if (tap == -ENOENT || tap == -ENODEV)
		cannot_try("no TAP driver");
	believe(tap >= 0, "TAP: %d", tap);
	device_up("vl0", MTU);
	int in = packet_socket("vl0", 0x0003 /* ETH_P_ALL */), out = packet_socket("vl0", 0);

	inward(tap, in, dot1q, sizeof(dot1q), 46);
	inward(tap, in, dot1q, sizeof(dot1q), MTU);
	inward(tap, in, qinq, sizeof(qinq), 46);
	inward(tap, in, qinq, sizeof(qinq), MTU); /* 1522 bytes */
	close(in);
	outward(tap, out, NULL, 0, MTU);
	outward(tap, out, dot1q, sizeof(dot1q), 46);
	outward(tap, out, dot1q, sizeof(dot1q), MTU); /* 1518 bytes */
	outward(tap, out, qinq, sizeof(qinq), 46);
	close(out);
	close(tap);
	return 0;
}
