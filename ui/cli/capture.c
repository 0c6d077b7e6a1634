/* capture.c: a network's frames on the terminal or in a pcap file.
 *
 * The daemon sends a copy of each frame, decrypted, both ways, with what it decided of it, so what a rule or a guard dropped is seen too; no key
 * leaves it, and no right but that to talk to the daemon is needed. Which frames are wanted is decided here. The file is the point of it, so
 * Ctrl-C ends with a whole file and exit 0.
 */
#include "tap/capture.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/drop.h"
#include "tap/mirror.h"
#include "ui/cli/client.h"
#include "ui/cli/output.h"

#define SOCKET_ROOM     (4 << 20)
#define FILTER_MAX      2048
#define ETHERTYPE_LEAST 0x600 /* below it stands a length (IEEE 802.3) */

static volatile sig_atomic_t over;

static void end(int signal_number)
{
	(void)signal_number;
	over = 1;
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

struct watch {
	int fd;
	char nwid[NWID_TEXT], name[MIRROR_NAME_MAX + 1];
	struct capture *file; /* NULL = to the terminal */
	struct capture_filter *filter;
	bool passed, dropped, out, in; /* which ones are wanted */
	uint32_t lost;
};

static bool print_frame(const struct mirror_head *h, const uint8_t *f, uint32_t len)
{
	time_t s = (time_t)(h->time_us / 1000000);
	struct tm tm = {0};
	unsigned type = len < 14 ? 0 : (unsigned)f[12] << 8 | f[13];
	const char *name = type_name(type);
	localtime_r(&s, &tm);
	printf("%02d:%02d:%02d.%06u %s ", tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(h->time_us % 1000000),
	       h->way == MIRROR_IN ? "in " : "out");
	if (len < 14)
		printf("no frame, length %u", h->wire_len);
	else
		printf("%02x:%02x:%02x:%02x:%02x:%02x > %02x:%02x:%02x:%02x:%02x:%02x ", f[6], f[7], f[8], f[9], f[10], f[11], f[0], f[1],
		       f[2], f[3], f[4], f[5]);
	if (len >= 14 && type < ETHERTYPE_LEAST)
		printf("802.3, length %u", h->wire_len);
	else if (len >= 14)
		printf("ethertype 0x%04x%s%s%s, length %u", type, name ? " (" : "", name ? name : "", name ? ")" : "", h->wire_len);
	if (h->verdict)
		printf(", dropped: %s", drop_name((enum drop)h->verdict));
	printf("\n");
	return fflush(stdout) == 0;
}

/* false: the file, or the terminal, takes no more. */
static bool show(struct watch *w, const uint8_t *bytes, size_t n)
{
	struct mirror_head h;
	if (n < sizeof(h))
		return true;
	memcpy(&h, bytes, sizeof(h));
	const uint8_t *frame = bytes + sizeof(h);
	uint32_t len = (uint32_t)(n - sizeof(h));
	w->lost = h.lost;
	if (h.verdict >= DROP_COUNT || !(h.verdict ? w->dropped : w->passed) || !(h.way == MIRROR_IN ? w->in : w->out) ||
	    !capture_filter_match(w->filter, frame, len, h.wire_len))
		return true;
	return w->file ? capture_frame(w->file, h.time_us, frame, len, h.wire_len) : print_frame(&h, frame, len);
}

/* A socket that the daemon can find whatever folders it sees: an abstract one, of a name nobody guesses. */
static int listen_for_copies(struct watch *w)
{
	struct sockaddr_un here = {.sun_family = AF_UNIX};
	uint8_t random[12];
	int room = SOCKET_ROOM;
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return complain(EXIT_FAILED, "no random numbers: %s", strerror(errno));
	size_t n = (size_t)snprintf(w->name, sizeof(w->name), "%s", MIRROR_NAME);
	for (unsigned i = 0; i < sizeof(random); i++)
		n += (size_t)snprintf(w->name + n, sizeof(w->name) - n, "%02x", random[i]);
	memcpy(here.sun_path + 1, w->name, n);
	w->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (w->fd < 0 || bind(w->fd, (struct sockaddr *)&here, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)) < 0)
		return complain(EXIT_FAILED, "no socket for the frames: %s", strerror(errno));
	(void)setsockopt(w->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	return 0;
}

static int ask_for_copies(struct call *call, struct watch *w)
{
	struct client *client;
	char path[64];
	int code = word_nwid(call->words[0], w->nwid, NULL);
	if (code == 0)
		code = client_open(&client, call);
	if (code)
		return code;
	snprintf(path, sizeof(path), "/v1/networks/%s/watch", w->nwid);
	code = client_ask(client, "POST", path, json_pack("{s:s}", "socket", w->name), NULL);
	client_close(client);
	return code;
}

static int run_watch(struct watch *w)
{
	static uint8_t bytes[sizeof(struct mirror_head) + MIRROR_BYTES_MAX];
	while (!over) {
		struct pollfd ready = {.fd = w->fd, .events = POLLIN};
		if (poll(&ready, 1, -1) < 0 && errno != EINTR)
			return complain(EXIT_FAILED, "poll: %s", strerror(errno));
		ssize_t n = over ? -1 : recv(w->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n >= 0 && !show(w, bytes, (size_t)n))
			return w->file
			           ? 0
			           : complain(EXIT_FAILED, "cannot write: %s", strerror(errno)); /* the file says it when it is closed */
	}
	return 0;
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

static int wanted(const struct call *call, struct watch *w)
{
	const char *only = options_value(&call->options, "only");
	w->passed = !only || strcmp(only, "dropped") != 0;
	w->dropped = !only || strcmp(only, "passed") != 0;
	const char *way = options_value(&call->options, "direction");
	w->in = !way || strcmp(way, "out") != 0;
	w->out = !way || strcmp(way, "in") != 0;
	if (only && w->passed && w->dropped)
		return complain(EXIT_USAGE, "--only %s: passed or dropped", only);
	if (way && w->in && w->out)
		return complain(EXIT_USAGE, "--direction %s: in or out", way);
	return 0;
}

int run_capture(struct call *call)
{
	struct sigaction action = {.sa_handler = end};
	char filter[FILTER_MAX];
	const char *why = "", *file = options_value(&call->options, "write");
	struct watch w = {.fd = -1};
	if (!file && !isatty(STDOUT_FILENO) && !options_has(&call->options, "text"))
		file = "-";
	int code = filter_of(call, filter);
	if (code == 0)
		code = wanted(call, &w);
	if (code)
		return code;
	if (!(w.filter = capture_filter_new(filter, &why)))
		return complain(EXIT_USAGE, "%s", why);
	if (file && !(w.file = capture_open(file, &why))) {
		code = complain(EXIT_FAILED, "%s", why);
		goto out;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	code = listen_for_copies(&w);
	if (code == 0)
		code = ask_for_copies(call, &w);
	if (code == 0)
		code = run_watch(&w);
	if (w.lost)
		fprintf(stderr, "%u frames were too many: not captured\n", w.lost);
out:;
	int rc = capture_close(w.file);
	if (rc < 0 && code == 0)
		code = complain(EXIT_FAILED, "the capture is not whole: %s", strerror(-rc));
	capture_filter_free(w.filter);
	if (w.fd >= 0)
		close(w.fd);
	return code;
}
