/* capture.c: a network's frames on the terminal or in a pcap file.
 *
 * What the device shows is already decrypted and only this machine's: no key leaves the daemon. The daemon is asked for the
 * device's name; the frames come from the kernel, which wants CAP_NET_RAW. The file is the point of it, so Ctrl-C ends
 * with a whole file and exit 0.
 */
#include "tap/capture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ui/cli/client.h"
#include "ui/cli/output.h"

#define FILTER_MAX      2048
#define ETHERTYPE_LEAST 0x600 /* below it stands a length (IEEE 802.3) */

static volatile sig_atomic_t over;

static void end(int signal_number)
{
	(void)signal_number;
	over = 1;
}

static bool is_over(void *self)
{
	(void)self;
	return over != 0;
}

static const char *type_name(unsigned type)
{
	static const struct {
		unsigned type;
		const char *name;
	} names[] = {
	    {0x0800, "IPv4"}, {0x0806, "ARP"},         {0x86dd, "IPv6"}, {0x8100, "VLAN"},  {0x88a8, "QinQ"},
	    {0x8137, "IPX"},  {0x0842, "Wake-on-LAN"}, {0x88cc, "LLDP"}, {0x8863, "PPPoE"}, {0x8864, "PPPoE"},
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].type == type)
			return names[i].name;
	return NULL;
}

static bool print_frame(void *self, uint64_t time_us, const uint8_t *f, uint32_t len, uint32_t wire_len)
{
	time_t s = (time_t)(time_us / 1000000);
	struct tm tm = {0};
	(void)self;
	if (len < 14)
		return true;
	unsigned type = (unsigned)f[12] << 8 | f[13];
	const char *name = type_name(type);
	localtime_r(&s, &tm);
	printf("%02d:%02d:%02d.%06u %02x:%02x:%02x:%02x:%02x:%02x > %02x:%02x:%02x:%02x:%02x:%02x ", tm.tm_hour, tm.tm_min, tm.tm_sec,
	       (unsigned)(time_us % 1000000), f[6], f[7], f[8], f[9], f[10], f[11], f[0], f[1], f[2], f[3], f[4], f[5]);
	if (type < ETHERTYPE_LEAST)
		printf("802.3, length %u\n", wire_len);
	else
		printf("ethertype 0x%04x%s%s%s, length %u\n", type, name ? " (" : "", name ? name : "", name ? ")" : "", wire_len);
	return fflush(stdout) == 0;
}

static bool write_frame(void *self, uint64_t time_us, const uint8_t *frame, uint32_t len, uint32_t wire_len)
{
	(void)wire_len;
	return capture_frame(self, time_us, frame, len);
}

/* The network's device, from the daemon. */
static int device(struct call *call, char ret[IFNAMSIZ])
{
	struct client *client;
	char nwid[NWID_TEXT], path[64], state[CELL_MAX];
	json_t *net = NULL;
	int code = word_nwid(call->words[0], nwid, NULL);
	if (code == 0)
		code = client_open(&client, call);
	if (code)
		return code;
	snprintf(path, sizeof(path), "/v1/networks/%s", nwid);
	code = client_ask(client, "GET", path, NULL, &net);
	client_close(client);
	if (code)
		return code;
	const char *dev = field(net, "dev");
	if (!*dev || strlen(dev) >= IFNAMSIZ || !if_nametoindex(dev))
		code = complain(EXIT_PENDING, "%s has no device here yet (state %s); farlan wait %s", nwid,
		                cell_text(net, "state", CELL_TEXT, state), nwid);
	else
		snprintf(ret, IFNAMSIZ, "%s", dev);
	json_decref(net);
	return code;
}

static int filter_of(const struct call *call, char buf[FILTER_MAX])
{
	size_t n = 0;
	*buf = 0;
	for (unsigned i = 1; i < call->n_words; i++) {
		n += (size_t)snprintf(buf + n, FILTER_MAX - n, "%s%s", i > 1 ? " " : "", call->words[i]);
		if (n >= FILTER_MAX)
			return complain(EXIT_USAGE, "a filter has at most %d characters", FILTER_MAX - 1);
	}
	return 0;
}

/* libpcap's own message does not name what is missing. */
static int permission(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(0));
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (errno == EPERM || errno == EACCES)
		return complain(EXIT_PERMISSION, "to see frames CAP_NET_RAW is needed: use sudo");
	return complain(EXIT_FAILED, "no packet socket: %s", strerror(errno));
}

int run_capture(struct call *call)
{
	struct sigaction action = {.sa_handler = end};
	char dev[IFNAMSIZ], filter[FILTER_MAX];
	const char *why = "", *file = options_value(&call->options, "write");
	struct capture *capture = NULL;
	if (!file && !isatty(STDOUT_FILENO))
		file = "-";
	int code = filter_of(call, filter);
	if (code == 0)
		code = device(call, dev);
	if (code == 0)
		code = permission();
	if (code)
		return code;
	if (file && !(capture = capture_open(file, &why)))
		return complain(EXIT_FAILED, "%s", why);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (capture_live(dev, filter, capture ? write_frame : print_frame, is_over, capture, &why) < 0)
		code = complain(strncmp(why, "filter:", 7) != 0 ? EXIT_FAILED : EXIT_USAGE, "%s: %s", dev, why);
	int rc = capture_close(capture);
	if (rc < 0 && code == 0)
		code = complain(EXIT_FAILED, "the capture is not whole: %s", strerror(-rc));
	return code;
}
