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
/* time in microseconds since the epoch. false when the disk refused. */
bool capture_frame(struct capture *, uint64_t time_us, const uint8_t *frame, uint32_t len);
int capture_close(struct capture *); /* flushes; 0 or -errno */

/* Live frames of a local interface with a filter expression: one call per frame until stop returns true or the
 * device is gone. 0, or -1 with *ret_why (borrowed until the next call). */
int capture_live(const char *device, const char *filter,
                 bool (*each)(void *self, uint64_t time_us, const uint8_t *frame, uint32_t len, uint32_t wire_len),
                 bool (*stop)(void *self), void *self, const char **ret_why);

#endif
