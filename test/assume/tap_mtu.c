/* Belief: a frame above the device's MTU is refused to its sender with EMSGSIZE and never reaches
 * the TAP; one of exactly MTU + 14 does; and a read with too little room is cut without a word. */
#include "test/assume/assume.h"

int main(void)
{
	private_net();
	static const int mtus[] = {576, 1500, 2800, 9000};
	static uint8_t f[10000], got[10000];
	int tap = tap_queue("mt0", IFF_TUN_EXCL);
	if (tap == -ENOENT || tap == -ENODEV)
		cannot_try("no TAP driver");
	believe(tap >= 0, "TAP: %d", tap);
	memset(f, 0xff, 6);
	memcpy(f + 6, (const uint8_t[]){2, 0, 0, 0, 0, 9, 0x88, 0xb5}, 8);
	for (size_t i = 14; i < sizeof(f); i++)
		f[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		device_up("mt0", mtus[i]);
		size_t most = (size_t)mtus[i] + 14;
		int ps = packet_socket("mt0", 0);
		errno = 0;
		believe(send(ps, f, most + 1, 0) < 0 && errno == EMSGSIZE, "%zu bytes at MTU %d are no EMSGSIZE", most + 1, mtus[i]);
		believe(send(ps, f, most, 0) == (ssize_t)most, "%zu bytes at MTU %d", most, mtus[i]);
		ssize_t n = tap_frame(tap, 0x88b5, got, sizeof(got));
		believe(n == (ssize_t)most && !memcmp(f, got, most), "the TAP gave %zd of %zu bytes", n, most);
		believe(send(ps, f, most, 0) == (ssize_t)most, "%zu bytes again", most);
		n = tap_frame(tap, 0x88b5, got, 100);
		believe(n == 100, "a read of 100 bytes gave %zd", n);
		close(ps);
	}
	close(tap);
	return 0;
}
