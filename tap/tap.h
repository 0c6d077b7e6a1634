/* tap.h: an Ethernet port. Opaque; one struct tap is one device with one queue per worker: a TAP device made here, or an interface that was
 * there before (nic.h).
 *
 * tap_open, tap_close and the setters belong to the control thread; tap_read and tap_write(queue) to the worker that owns
 * the queue. The simulator links another implementation of this header. Errors are -errno, logged by the caller who
 * gives up. tap_why() says in a sentence what is missing and the mend after tap_open failed.
 */
#ifndef FARLAN_TAP_TAP_H
#define FARLAN_TAP_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/batch.h"

#define TAP_NAME_MAX   16
#define TAP_QUEUES_MAX 16

struct tap;

/* What a device takes and gives besides complete frames; the same for all queues and for its life. */
#define TAP_CSUM 1u /* partial checksums */
#define TAP_TSO  2u /* TCP superframes, both IP versions; always with TAP_CSUM */
#define TAP_USO  4u /* UDP superframes, both IP versions; always with TAP_CSUM */
#define TAP_ALL  (TAP_CSUM | TAP_TSO | TAP_USO)

/* Creates the device (name "" = kernel's choice) with MAC and MTU, down. may: the offloads it may have (0 = none, and without
 * TAP_CSUM none); the kernel may grant less, tap_offloads() tells. ret_name: the name it got. 0 or -errno. */
int tap_open(struct tap **ret, const char *name, unsigned queues, const uint8_t mac[6], uint16_t mtu, unsigned may,
             char ret_name[TAP_NAME_MAX]);
void tap_close(struct tap *); /* the device disappears */
const char *tap_why(int error);
int tap_set_mtu(struct tap *, uint16_t mtu); /* -EBADFD: the device was deleted */
int tap_up(struct tap *, bool up);
unsigned tap_ifindex(const struct tap *);
int tap_fd(const struct tap *, unsigned queue); /* for poll; -1 in the simulator */

unsigned tap_offloads(const struct tap *);

/* Reads up to n frames into the slab, back to back (each begins at an address of 16 x k), and makes p[i] of them: data, len, room = len,
 * verdict NONE, offload. Ends early when the slab has no room for another superframe (SUPERFRAME_MAX and what the device puts in
 * front), so a slab that is to bring any frame has at least TAP_SLAB_MIN. Returns the number read, 0 when there is none now, or -errno
 * when the device is gone. Never blocks. All queues must be read. */
#define TAP_SLAB_MIN (SUPERFRAME_MAX + 64)
int tap_read(struct tap *, unsigned queue, struct slab *, struct packet *p, unsigned n);
/* Writes the frames whose verdict is NONE. A packet with tails k > 0 is one frame with the data of the k packets behind it (k <=
 * TAP_TAILS_MAX; their own verdicts are not read). offload must be of what tap_offloads() says and checked against the frame: the
 * kernel believes it. DROP_TAP_WRITE for those the kernel refuses, DROP_FRAME_LONG for those longer than an interface of nic.h carries, on the
 * first packet and its tails. Never blocks. */
#define TAP_TAILS_MAX 127
void tap_write(struct tap *, unsigned queue, struct packet *p, unsigned n);

#endif
