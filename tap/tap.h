/* tap.h: an Ethernet port. Opaque; one struct tap is one device with one queue per worker.
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

/* Creates the device (name "" = kernel's choice) with MAC and MTU, down. ret_name: the name it got. 0 or -errno. */
int tap_open(struct tap **ret, const char *name, unsigned queues, const uint8_t mac[6], uint16_t mtu, char ret_name[TAP_NAME_MAX]);
void tap_close(struct tap *); /* the device disappears */
const char *tap_why(int error);
int tap_set_mtu(struct tap *, uint16_t mtu);
int tap_up(struct tap *, bool up);
unsigned tap_ifindex(const struct tap *);
int tap_fd(const struct tap *, unsigned queue); /* for poll; -1 in the simulator */

/* Reads up to n frames into p[i].data (room p[i].room, set by the caller: MTU + 14 + 8, as tags come on top of the MTU);
 * sets len and verdict NONE, or FRAME_LONG where room was too small and the frame is cut. Returns the number read, 0
 * when there is none now, or -errno when the device is gone. Never blocks. All queues must be read. */
int tap_read(struct tap *, unsigned queue, struct packet *p, unsigned n);
/* Writes the n frames whose verdict is NONE; DROP_TAP_WRITE for those the kernel refuses. Never blocks. */
void tap_write(struct tap *, unsigned queue, struct packet *p, unsigned n);

#endif
