/* capture.h: pcap files of a network's frames, by libpcap. Control or CLI thread; the writer owns its file.
 */
#ifndef FARLAN_TAP_CAPTURE_H
#define FARLAN_TAP_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct capture;

/* path "-" = standard output. Link type Ethernet, nanosecond-free classic pcap. NULL and *ret_why on failure. */
struct capture *capture_open(const char *path, const char **ret_why);
/* time in microseconds since the epoch; wire_len: of the whole frame, of which len bytes are here. false when the disk refused. */
bool capture_frame(struct capture *, uint64_t time_us, const uint8_t *frame, uint32_t len, uint32_t wire_len);
int capture_close(struct capture *); /* flushes; 0 or -errno */

/* A pcap-filter expression ("" = everything) for frames that are already here. NULL and *ret_why on failure. */
struct capture_filter;
struct capture_filter *capture_filter_new(const char *expression, const char **ret_why);
bool capture_filter_match(const struct capture_filter *, const uint8_t *frame, uint32_t len, uint32_t wire_len);
void capture_filter_free(struct capture_filter *);

#endif
