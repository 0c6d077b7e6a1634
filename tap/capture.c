/* Frames into pcap files, and which of them, by libpcap.
 *
 * Writing: a dead handle gives the file its link type and snap length; libpcap's dump functions
 * report nothing, so the stdio error flag behind them is asked after each record. Standard output
 * is flushed per frame, because there a person or tshark waits at the other end; a file is flushed
 * when it is closed.
 */
#include "tap/capture.h"

#include <errno.h>
#include <pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SNAP_BYTES 65535

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

bool capture_frame(struct capture *c, uint64_t time_us, const uint8_t *frame, uint32_t len, uint32_t wire_len)
{
	struct pcap_pkthdr h = {.caplen = len < SNAP_BYTES ? len : SNAP_BYTES, .len = wire_len};
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

struct capture_filter {
	struct bpf_program program;
};

struct capture_filter *capture_filter_new(const char *expression, const char **ret_why)
{
	struct capture_filter *f = calloc(1, sizeof(*f));
	pcap_t *dead = f ? pcap_open_dead(DLT_EN10MB, SNAP_BYTES) : NULL;
	if (!dead || pcap_compile(dead, &f->program, expression, 1, PCAP_NETMASK_UNKNOWN) < 0) {
		snprintf(why, sizeof(why), "filter: %s", dead ? pcap_geterr(dead) : "out of memory");
		*ret_why = why;
		free(f);
		f = NULL;
	}
	if (dead)
		pcap_close(dead);
	return f;
}

bool capture_filter_match(const struct capture_filter *f, const uint8_t *frame, uint32_t len, uint32_t wire_len)
{
	struct pcap_pkthdr h = {.caplen = len, .len = wire_len};
	return pcap_offline_filter(&f->program, &h, frame) != 0;
}

void capture_filter_free(struct capture_filter *f)
{
	if (f)
		pcap_freecode(&f->program);
	free(f);
}
