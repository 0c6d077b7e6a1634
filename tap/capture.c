/* Frames into pcap files and off live interfaces, by libpcap (the only place that includes it).
 *
 * Writing: a dead handle gives the file its link type and snap length; libpcap's dump functions
 * report nothing, so the stdio error flag behind them is asked after each record. Standard output
 * is flushed per frame, because there a person or tshark waits at the other end; a file is flushed
 * when it is closed. Live: the handle is non-blocking and we wait in poll ourselves, so that stop
 * is asked at least ten times a second whatever the packet ring does.
 */
#include "tap/capture.h"

#include <errno.h>
#include <net/if.h>
#include <pcap.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SNAP_BYTES      65535
#define STOP_ASKED_MS   100
#define FRAMES_PER_LOOK 64

struct capture {
	pcap_t *dead;
	pcap_dumper_t *file;
	bool flush;
};

static _Thread_local char why[PCAP_ERRBUF_SIZE + 64];

struct capture *capture_open(const char *path, const char **ret_why)
{
	struct capture *c = calloc(1, sizeof(*c));
	if (!c) {
		*ret_why = "out of memory";
		return NULL;
	}
	c->flush = !strcmp(path, "-");
	c->dead = pcap_open_dead(DLT_EN10MB, SNAP_BYTES);
	c->file = c->dead ? pcap_dump_open(c->dead, path) : NULL;
	if (!c->file) {
		snprintf(why, sizeof(why), "%s", c->dead ? pcap_geterr(c->dead) : "out of memory");
		*ret_why = why;
		if (c->dead)
			pcap_close(c->dead);
		free(c);
		return NULL;
	}
	return c;
}

bool capture_frame(struct capture *c, uint64_t time_us, const uint8_t *frame, uint32_t len)
{
	struct pcap_pkthdr h = {.caplen = len < SNAP_BYTES ? len : SNAP_BYTES, .len = len};
	h.ts.tv_sec = (time_t)(time_us / 1000000);
	h.ts.tv_usec = (suseconds_t)(time_us % 1000000);
	pcap_dump((u_char *)c->file, &h, frame);
	if (c->flush && pcap_dump_flush(c->file) < 0)
		return false;
	return !ferror(pcap_dump_file(c->file));
}

int capture_close(struct capture *c)
{
	if (!c)
		return 0;
	errno = 0;
	bool failed = pcap_dump_flush(c->file) < 0;
	int err = failed ? (errno ? -errno : -EIO) : ferror(pcap_dump_file(c->file)) ? -EIO : 0;
	pcap_dump_close(c->file);
	pcap_close(c->dead);
	free(c);
	return err;
}

struct live {
	bool (*each)(void *self, uint64_t time_us, const uint8_t *frame, uint32_t len, uint32_t wire_len);
	void *self;
	pcap_t *handle;
	bool stop;
};

static void live_frame(u_char *self, const struct pcap_pkthdr *h, const u_char *frame)
{
	struct live *l = (struct live *)(void *)self;
	uint64_t time_us = (uint64_t)h->ts.tv_sec * 1000000 + (uint64_t)h->ts.tv_usec;
	if (!l->each(l->self, time_us, frame, h->caplen, h->len)) {
		l->stop = true;
		pcap_breakloop(l->handle);
	}
}

/* A handle on device with the filter set, or NULL with why filled. */
static pcap_t *live_open(const char *device, const char *filter)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	struct bpf_program program;
	pcap_t *p = pcap_create(device, text);
	if (!p) {
		snprintf(why, sizeof(why), "%s", text);
		return NULL;
	}
	pcap_set_snaplen(p, SNAP_BYTES);
	pcap_set_promisc(p, 1);
	pcap_set_immediate_mode(p, 1);
	pcap_set_timeout(p, STOP_ASKED_MS);
	int r = pcap_activate(p);
	if (r < 0) {
		const char *detail = pcap_geterr(p);
		snprintf(why, sizeof(why), "%s: %s", pcap_statustostr(r), detail[0] ? detail : device);
	} else if (pcap_datalink(p) != DLT_EN10MB) {
		r = PCAP_ERROR;
		snprintf(why, sizeof(why), "%s does not carry Ethernet frames", device);
	} else if (filter && filter[0]) {
		r = pcap_compile(p, &program, filter, 1, PCAP_NETMASK_UNKNOWN);
		if (r >= 0) {
			r = pcap_setfilter(p, &program);
			pcap_freecode(&program);
		}
		if (r < 0)
			snprintf(why, sizeof(why), "filter: %s", pcap_geterr(p));
	}
	if (r >= 0 && pcap_setnonblock(p, 1, text) < 0) {
		r = PCAP_ERROR;
		snprintf(why, sizeof(why), "%s", text);
	}
	if (r < 0) {
		pcap_close(p);
		return NULL;
	}
	return p;
}

int capture_live(const char *device, const char *filter,
                 bool (*each)(void *self, uint64_t time_us, const uint8_t *frame, uint32_t len, uint32_t wire_len),
                 bool (*stop)(void *self), void *self, const char **ret_why)
{
	struct live l = {.each = each, .self = self, .handle = live_open(device, filter)};
	int err = 0;

	if (!l.handle) {
		*ret_why = why;
		return -1;
	}
	while (!l.stop && !stop(self)) {
		struct pollfd ready = {.fd = pcap_get_selectable_fd(l.handle), .events = POLLIN};
		if (poll(&ready, 1, STOP_ASKED_MS) < 0 && errno != EINTR) {
			snprintf(why, sizeof(why), "poll: %m");
			err = -1;
			break;
		}
		if (pcap_dispatch(l.handle, FRAMES_PER_LOOK, live_frame, (u_char *)&l) == PCAP_ERROR) {
			/* A device that was deleted is an end, not a failure. */
			if (if_nametoindex(device)) {
				snprintf(why, sizeof(why), "%s", pcap_geterr(l.handle));
				err = -1;
			}
			break;
		}
	}
	pcap_close(l.handle);
	if (err)
		*ret_why = why;
	return err;
}
