/* nic.h: an interface of the host as an Ethernet port: what comes in there is read, what is written leaves there.
 *
 * The result is a struct tap: tap_read, tap_write, tap_fd, tap_offloads, tap_ifindex and tap_close are as with any other; its setters are not for
 * it, since the interface is the administrator's. What the host itself sends and receives by that interface is none of ours: frames that leave it,
 * ours among them, and frames to its own MAC are not read. A frame that comes in with a VLAN tag has it where it was on the wire;
 * such a frame begins 4 bytes before an address of 16 x k.
 */
#ifndef FARLAN_TAP_NIC_H
#define FARLAN_TAP_NIC_H

#include <stdint.h>

#include "tap/tap.h"

#define NIC_FILTER_MAX 512 /* of the expression, with its zero */

/* filter: a capture filter expression on what comes in, "" = everything. may: offloads that frames written may have (those the kernel granted
 * our own device: it knows them for both or for neither). On failure -errno and a sentence in *ret_why, borrowed until the next call of this thread. */
int tap_attach(struct tap **ret, const char *iface, unsigned queues, unsigned may, const char *filter, const char **ret_why);
/* Is it still that interface, and in use? 0, -ENODEV: it is gone or another one has its name now (attach anew), -ENETDOWN: it is down
 * and comes back by itself. ret_lost: frames since the last call that came faster than they were read. Control thread; looks at the MTU too. */
int tap_attached(struct tap *, uint64_t *ret_lost);
/* Could this expression be a filter of that interface (which need not be there)? 0 or -EINVAL with the reason as above. */
int nic_filter_check(const char *iface, const char *filter, const char **ret_why);

#endif
