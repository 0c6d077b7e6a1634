/* Belief: with IFF_VNET_HDR ten bytes stand before each frame of a TAP: flags, type, then in little endian (TUNSETVNETLE)
 * length of headers, segment size, checksum start and offset, the start counted from the first byte of the frame with its
 * VLAN tag; TUNSETOFFLOAD is all or nothing, for the whole device and all its queues; UDP superframes are granted from
 * Linux 6.2 on; and a superframe has at most 65535 bytes, the Ethernet header included: a longer one comes cut. */
#include "test/assume/assume.h"

#include <sys/uio.h>
#include <sys/utsname.h>

#define CSUM_TSO 0x0fu
#define USO      0x60u
#define VNET     10

/* A TCP superframe over IPv4 of len bytes with the pseudo-header's sum in place, tagged or not. Returns where TCP begins. */
static unsigned frame_make(uint8_t *f, int tagged, unsigned len)
{
	static const uint8_t macs[12] = {2, 0, 0, 0, 0, 8, 2, 0, 0, 0, 0, 9}, tag[4] = {0x81, 0, 0, 5};
	static const uint8_t ip[20] = {0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
	unsigned at = tagged ? 16 : 12;
	memset(f, 0, len);
	memcpy(f, macs, 12);
	if (tagged)
		memcpy(f + 12, tag, 4);
	f[at] = 8;
	memcpy(f + at + 2, ip, 20);
	f[at + 4] = (uint8_t)((len - at - 2) >> 8);
	f[at + 5] = (uint8_t)(len - at - 2);
	f[at + 22 + 12] = 0x50; /* five words of TCP header */
	for (unsigned i = at + 42; i < len; i++)
		f[i] = (uint8_t)(i * 5);
	return at + 22;
}

static void send_superframe(int ps, const uint8_t *f, unsigned len, unsigned tcp)
{
	/* A packet socket's header is in the machine's own order. */
	const uint16_t n[4] = {(uint16_t)(tcp + 20), 1000, (uint16_t)tcp, 16};
	uint8_t h[VNET] = {1, 1};
	memcpy(h + 2, n, 8);
	const struct iovec parts[2] = {{h, VNET}, {(void *)(uintptr_t)f, len}};
	believe(writev(ps, parts, 2) == (ssize_t)(VNET + len), "superframe of %u bytes", len);
}

static ssize_t next(const int *tap, uint8_t *got, size_t room)
{
	for (int i = 0; i < 200; i++) {
		for (int q = 0; q < 2; q++) {
			ssize_t n = read(tap[q], got, room);
			if (n > VNET + 14 && got[VNET + 11] == 9)
				return n;
		}
		usleep(2000);
	}
	return -1;
}

static void one_superframe(const int *tap, int ps, int tagged, unsigned len)
{
	static uint8_t f[70000], got[70000];
	unsigned tcp = frame_make(f, tagged, len);
	send_superframe(ps, f, len, tcp);
	ssize_t n = next(tap, got, sizeof(got));
	const uint8_t wanted[VNET] = {1, 1, got[2], got[3], 0xe8, 3, (uint8_t)tcp, 0, 16, 0};
	believe(n == (ssize_t)(VNET + len), "%zd bytes for a frame of %u", n, len);
	believe(!memcmp(got, wanted, VNET), "header %02x %02x .. size %02x%02x start %02x%02x offset %02x%02x", got[0], got[1], got[5],
	        got[4], got[7], got[6], got[9], got[8]);
	believe((got[2] | got[3] << 8) >= (int)tcp + 20, "headers of %d bytes", got[2] | got[3] << 8);
	believe(!memcmp(got + VNET, f, len), "the frame changed");
}

static void comes_cut(const int *tap, int ps, unsigned len)
{
	static uint8_t f[70000], got[70000];
	unsigned tcp = frame_make(f, 0, len), sum = 0;
	send_superframe(ps, f, len, tcp);
	while (sum < len - tcp - 20) {
		ssize_t n = next(tap, got, sizeof(got));
		believe(n > 0 && n <= VNET + (ssize_t)tcp + 20 + 1000 && got[1] == 0, "%zd bytes of type %d for a piece of %u", n, got[1],
		        len);
		sum += (unsigned)n - VNET - tcp - 20;
	}
	believe(sum == len - tcp - 20, "%u bytes of %u", sum, len - tcp - 20);
}

int main(void)
{
	struct utsname u;
	unsigned major = 0, minor = 0;
	private_net();
	int little = 1, size = VNET, tap[2] = {tap_queue("vh0", IFF_TUN_EXCL | IFF_VNET_HDR), tap_queue("vh0", IFF_VNET_HDR)};
	if (tap[0] == -ENOENT || tap[0] == -ENODEV)
		cannot_try("no TAP driver");
	believe(tap[0] >= 0 && tap[1] >= 0, "TAP with a header: %d, %d", tap[0], tap[1]);
	believe(ioctl(tap[0], TUNSETVNETHDRSZ, &size) == 0 && ioctl(tap[0], TUNSETVNETLE, &little) == 0, "form of the header");
	believe(ioctl(tap[0], TUNSETOFFLOAD, (unsigned long)CSUM_TSO | 0x40000000) < 0 && errno == EINVAL, "an unknown offload is taken");
	believe(ioctl(tap[0], TUNSETOFFLOAD, (unsigned long)CSUM_TSO) == 0, "checksums and TCP superframes");
	believe(uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2, "release %s", u.release);
	int uso = ioctl(tap[0], TUNSETOFFLOAD, (unsigned long)CSUM_TSO | USO) == 0;
	believe(uso || major < 6 || (major == 6 && minor < 2), "no UDP superframes in Linux %s", u.release);
	printf("UDP superframes: %s\n", uso ? "granted" : "not in this kernel");

	device_up("vh0", 1500);
	int ps = packet_socket("vh0", 0), on = 1;
	believe(setsockopt(ps, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) == 0, "PACKET_VNET_HDR");
	for (int tagged = 0; tagged < 2; tagged++) {
		one_superframe(tap, ps, tagged, 3500);
		one_superframe(tap, ps, tagged, 65535);
	}
	comes_cut(tap, ps, 65536);
	/* Once more as the second queue sets it: none. */
	believe(ioctl(tap[1], TUNSETOFFLOAD, 0ul) == 0, "no offloads");
	comes_cut(tap, ps, 3500);
	close(ps);
	close(tap[0]);
	close(tap[1]);
	return 0;
}
