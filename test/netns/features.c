/* features: the offloads of a device, shown, switched off or switched on.
 *
 *     features DEV show|off|on
 *
 * off and on: checksums, scatter-gather, segmentation (TCP, UDP, generic) and GRO, as far as the device lets them be changed; what it
 * does not have stays off. The names are asked of the kernel, so a feature that an older one lacks is simply not there. Always prints
 * what holds afterwards as one JSON object of booleans.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define FEATURES_MAX 256 /* 64 today */
#define BLOCKS_MAX   (FEATURES_MAX / 32)

/* The kernel's structs end in arrays without a size: the room behind them comes by the unions. */
static union {
	struct ethtool_gstrings head;
	uint8_t room[sizeof(struct ethtool_gstrings) + FEATURES_MAX * ETH_GSTRING_LEN];
} strings = {.head = {.cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES}};
static union {
	struct ethtool_gfeatures head;
	uint8_t room[sizeof(struct ethtool_gfeatures) + BLOCKS_MAX * sizeof(struct ethtool_get_features_block)];
} now = {.head = {.cmd = ETHTOOL_GFEATURES, .size = BLOCKS_MAX}};
static union {
	struct ethtool_sfeatures head;
	uint8_t room[sizeof(struct ethtool_sfeatures) + BLOCKS_MAX * sizeof(struct ethtool_set_features_block)];
} wanted = {.head = {.cmd = ETHTOOL_SFEATURES}};
static union {
	struct ethtool_sset_info head;
	uint8_t room[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)];
} count = {.head = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_FEATURES}};
static struct ifreq request;
static int sock;

static bool ask(void *command)
{
	request.ifr_data = command;
	return ioctl(sock, SIOCETHTOOL, &request) >= 0;
}

static bool ours(const char *name)
{
	/* not rx-gro-list and the like: they are off by default, and "on" must not bring what was not there */
	static const char *const prefixes[] = {"tx-checksum-ip", "tx-tcp", "tx-udp-seg", "tx-generic-", "tx-scatter-gather", "rx-checksum"};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return true;
	return !strcmp(name, "rx-gro");
}

static const char *name_of(unsigned i)
{
	return (const char *)strings.head.data + (size_t)i * ETH_GSTRING_LEN;
}

static bool change(unsigned n, bool on)
{
	for (unsigned i = 0; i < n; i++) {
		const struct ethtool_get_features_block *is = &now.head.features[i / 32];
		uint32_t bit = 1u << i % 32;
		if (!ours(name_of(i)) || !(is->available & bit) || is->never_changed & bit)
			continue;
		wanted.head.features[i / 32].valid |= bit;
		wanted.head.features[i / 32].requested |= on ? bit : 0;
	}
	wanted.head.size = now.head.size;
	return ask(&wanted) && ask(&now);
}

int main(int argc, char **argv)
{
	if (argc != 3 || strlen(argv[1]) >= IFNAMSIZ ||
	    (strcmp(argv[2], "show") != 0 && strcmp(argv[2], "on") != 0 && strcmp(argv[2], "off") != 0)) {
		fprintf(stderr, "usage: features DEV show|off|on\n");
		return 2;
	}
	strcpy(request.ifr_name, argv[1]);
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool good = sock >= 0 && ask(&count);
	uint32_t n = count.head.data[0];
	strings.head.len = n;
	good = good && n <= FEATURES_MAX && ask(&strings) && ask(&now);
	if (good && strcmp(argv[2], "show") != 0)
		good = change(n, !strcmp(argv[2], "on"));
	if (!good) {
		fprintf(stderr, "features: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	for (unsigned i = 0; i < n; i++)
		printf("%s\"%.*s\": %s", i ? ", " : "{", ETH_GSTRING_LEN, name_of(i),
		       now.head.features[i / 32].active & 1u << i % 32 ? "true" : "false");
	printf("}\n");
	close(sock);
	return 0;
}
