/* An interface's IPv4 settings by rtnetlink: what /proc/sys/net/ipv4/conf holds, which a service with a read-only /proc/sys cannot write there.
 */
#include "tap/netlink_parts.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <string.h>

struct conf_search {
	unsigned id; /* IPV4_DEVCONF_* */
	bool found;
	uint32_t value;
};

/* The kernel tells all settings as one array, in the order of their ids, which begin with 1. */
static int conf_collect(const struct nlmsghdr *h, void *self)
{
	struct conf_search *s = self;
	const struct nlattr *a, *family, *of;
	attributes_each(a, h, sizeof(struct ifinfomsg))
	{
		if (mnl_attr_get_type(a) != IFLA_AF_SPEC)
			continue;
		nested_each(family, a)
		{
			if (mnl_attr_get_type(family) != AF_INET)
				continue;
			nested_each(of, family)
			{
				if (mnl_attr_get_type(of) != IFLA_INET_CONF || mnl_attr_get_payload_len(of) < s->id * sizeof(s->value))
					continue;
				memcpy(&s->value, (const uint8_t *)mnl_attr_get_payload(of) + (s->id - 1) * sizeof(s->value),
				       sizeof(s->value));
				s->found = true;
			}
		}
	}
	return MNL_CB_OK;
}

int netlink_arp_ignore(struct netlink *n, unsigned ifindex, uint32_t from, uint32_t to)
{
	struct conf_search s = {.id = IPV4_DEVCONF_ARP_IGNORE};
	struct nlmsghdr *h = netlink_request_start(n, RTM_GETLINK, NLM_F_ACK);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_index = (int)ifindex;
	int error = netlink_request(n, h, conf_collect, &s);
	if (error || !s.found || s.value != from)
		return error ? error : s.found ? 0 : -EOPNOTSUPP;
	h = netlink_request_start(n, RTM_SETLINK, NLM_F_ACK);
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_index = (int)ifindex;
	struct nlattr *spec = mnl_attr_nest_start(h, IFLA_AF_SPEC), *family = mnl_attr_nest_start(h, AF_INET);
	struct nlattr *conf = mnl_attr_nest_start(h, IFLA_INET_CONF);
	mnl_attr_put_u32(h, IPV4_DEVCONF_ARP_IGNORE, to);
	mnl_attr_nest_end(h, conf);
	mnl_attr_nest_end(h, family);
	mnl_attr_nest_end(h, spec);
	error = netlink_request(n, h, NULL, NULL);
	return error ? error : 1;
}
