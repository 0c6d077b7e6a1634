/* netlink_parts.h: what the files of netlink share. */
#ifndef FARLAN_TAP_NETLINK_PARTS_H
#define FARLAN_TAP_NETLINK_PARTS_H

#include "tap/netlink.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <sys/socket.h>

#define NETLINK_BUFFER_BYTES 32768 /* what the kernel fills at most per part of a dump */
#define DUMP_TRIES           3     /* a dump that tables changed under is asked again */

/* libmnl's own loops convert long to int unseen. */
#define attributes_each(a, h, header)                                                                                                      \
	for ((a) = mnl_nlmsg_get_payload_offset((h), (header));                                                                            \
	     mnl_attr_ok((a), (int)((const char *)mnl_nlmsg_get_payload_tail(h) - (const char *)(a))); (a) = mnl_attr_next(a))
#define nested_each(a, nest)                                                                                                               \
	for ((a) = mnl_attr_get_payload(nest);                                                                                             \
	     mnl_attr_ok((a), (int)((const char *)mnl_attr_get_payload(nest) + mnl_attr_get_payload_len(nest) - (const char *)(a)));       \
	     (a) = mnl_attr_next(a))

struct netlink {
	struct mnl_socket *ask, *monitor;
	uint32_t sequence;
	_Alignas(struct nlmsghdr) uint8_t buffer[NETLINK_BUFFER_BYTES];
};

static inline int family_of(uint8_t family)
{
	return family == 4 ? AF_INET : AF_INET6;
}
static inline size_t ip_bytes(uint8_t family)
{
	return family == 4 ? 4 : 16;
}

/* Starts a request in the buffer; the caller adds header and attributes, then calls netlink_request(). */
struct nlmsghdr *netlink_request_start(struct netlink *, uint16_t type, uint16_t flags);
/* Sends and takes the whole answer; each may be NULL. 0 or -errno. The request is gone from the buffer afterwards. */
int netlink_request(struct netlink *, const struct nlmsghdr *, mnl_cb_t each, void *self);
/* Reads away what is left of a dump that ended early (-EINTR: its tables changed meanwhile), before it is asked again. */
void netlink_drain(struct netlink *);

#endif
