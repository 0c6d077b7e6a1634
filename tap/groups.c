/* The groups of a device, read from the kernel.
 *
 * /proc/net/dev_mcast lists what every device's filter would let through: it is the one place where the memberships of packet sockets and of
 * devices on top (VLANs, macvlans) show, and those are announced nowhere. It has lines of all devices of the host, in no useful order, so it is
 * read to its end: a reader with a fixed buffer goes deaf on a host with hundreds of interfaces. The kernel writes whole lines per read, but
 * that is no promise: lines that are cut by the end of a read are put together.
 * Whether the device takes more than it lists is asked by rtnetlink, because the flags that ioctls show are the administrator's, not those of
 * packet sockets and bridges.
 */
#include "tap/groups.h"
#include "tap/netlink_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define LIST       "/proc/self/net/dev_mcast"
#define CHUNK      16384       /* of the list per read; a line has less than 100 bytes */
#define LIST_BYTES (64u << 20) /* more than a million memberships */
#define ANSWER_MAX 16384       /* one link without its virtual functions */

/* ---- what the device takes beyond its list ---------------------------------------------------------------------- */

static bool slave_of_bridge(const struct nlattr *linkinfo)
{
	const struct nlattr *a;
	nested_each(a, linkinfo)
	{
		if (mnl_attr_get_type(a) != IFLA_INFO_SLAVE_KIND || mnl_attr_validate(a, MNL_TYPE_NUL_STRING) < 0)
			continue;
		return !strcmp(mnl_attr_get_str(a), "bridge") || !strcmp(mnl_attr_get_str(a), "openvswitch");
	}
	return false;
}

static int link_read(const struct nlmsghdr *h, void *self)
{
	bool *all = self;
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	/* Flags: all that kernels before 6.0 tell of all-multicast. */
	*all = m->ifi_flags & (IFF_PROMISC | IFF_ALLMULTI);
	attributes_each(a, h, sizeof(*m))
	{
		uint16_t type = mnl_attr_get_type(a);
		if ((type == IFLA_PROMISCUITY || type == IFLA_ALLMULTI) && mnl_attr_get_payload_len(a) == 4)
			*all = *all || mnl_attr_get_u32(a);
		else if (type == IFLA_LINKINFO)
			*all = *all || slave_of_bridge(a);
	}
	return MNL_CB_OK;
}

static int takes_all(unsigned ifindex, bool *ret)
{
	_Alignas(struct nlmsghdr) uint8_t buffer[ANSWER_MAX];
	const struct timeval patience = {.tv_sec = 1};
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	bool all = false;
	int err = 0;
	if (!s)
		return -errno;
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
	h->nlmsg_type = RTM_GETLINK;
	h->nlmsg_flags = NLM_F_REQUEST;
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_index = (int)ifindex;
	mnl_attr_put_u32(h, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	/* The answer is in the socket before sendto returns; the patience is for surprises. */
	if (setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 || mnl_socket_sendto(s, h, h->nlmsg_len) < 0) {
		err = -errno;
	} else {
		ssize_t len = mnl_socket_recvfrom(s, buffer, sizeof(buffer));
		if (len < 0 || mnl_cb_run(buffer, (size_t)len, 0, mnl_socket_get_portid(s), link_read, &all) < 0)
			err = -errno;
	}
	mnl_socket_close(s);
	if (!err)
		*ret = all;
	return err;
}

/* ---- the list --------------------------------------------------------------------------------------------------- */

struct collection {
	unsigned long ifindex;
	uint8_t (*group)[6];
	unsigned n, room;
	bool over;
};

static int nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The last word of the line: twelve digits for Ethernet. */
static bool group_read(const char *word, uint8_t ret[6])
{
	if (strlen(word) != 12)
		return false;
	for (unsigned i = 0; i < 6; i++) {
		int high = nibble(word[2 * i]), low = nibble(word[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return ret[0] & 1;
}

/* "4    eth0            1     0     01005e000001" */
static void line_read(const char *line, struct collection *c)
{
	char *end;
	uint8_t group[6];
	const char *last = strrchr(line, ' ');
	if (strtoul(line, &end, 10) != c->ifindex || *end != ' ' || !group_read(last + 1, group))
		return;
	unsigned at = 0; /* in order as they come: they are few */
	while (at < c->n && memcmp(c->group[at], group, 6) < 0)
		at++;
	if (at < c->n && !memcmp(c->group[at], group, 6))
		return;
	c->over = c->over || c->n == c->room;
	if (c->n == c->room)
		return;
	memmove(c->group[at + 1], c->group[at], (c->n - at) * sizeof(*c->group));
	memcpy(c->group[at], group, 6);
	c->n++;
}

/* The whole lines at the start of the text are read; returns the length of the rest. */
static size_t lines_read(char *text, size_t len, struct collection *c)
{
	char *line = text, *end;
	while ((end = memchr(line, '\n', len - (size_t)(line - text)))) {
		*end = 0;
		line_read(line, c);
		line = end + 1;
	}
	len -= (size_t)(line - text);
	memmove(text, line, len);
	return len;
}

static int list_read(struct collection *c)
{
	char text[CHUNK];
	size_t held = 0, total = 0;
	ssize_t n;
	int err = 0, fd = open(LIST, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do {
		n = read(fd, text + held, sizeof(text) - held);
		if (n < 0 && errno != EINTR)
			err = -errno;
		if (n > 0) {
			total += (size_t)n;
			held = lines_read(text, held + (size_t)n, c);
		}
		if (held == sizeof(text) || total > LIST_BYTES) /* a line without an end, a list without one */
			err = -EOVERFLOW;
	} while (n && !err);
	close(fd);
	return err;
}

int tap_groups(unsigned ifindex, const char *dev, uint8_t (*ret)[6], unsigned room, bool *ret_all)
{
	struct collection c = {.ifindex = ifindex, .group = ret, .room = room};
	bool all = false;
	(void)dev; /* the index is the device's for its life, the name is not */
	int err = takes_all(ifindex, &all);
	if (!err)
		err = list_read(&c);
	if (err)
		return err;
	*ret_all = all || c.over;
	return (int)c.n;
}
