/* mapping_natpmp.c: NAT-PMP by libnatpmp, which keeps one question at a time on a connected socket that does not block.
 *
 * The library repeats a question up to nine times, for a minute; its caller gives up much earlier. It counts by the wall clock, so a step of that
 * only makes a repetition early or late.
 */
#include "node/mapping_parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <natpmp.h>

#define TIMEOUT_MAX_MS 1000

struct nat_pmp {
	natpmp_t lib;
	uint16_t port; /* of the mapping that is asked for */
};

int nat_pmp_open(struct nat_pmp **ret, const uint8_t gateway[4])
{
	struct nat_pmp *n = calloc(1, sizeof(*n));
	in_addr_t to;
	if (!n)
		return -ENOMEM;
	memcpy(&to, gateway, 4);
	errno = 0;
	if (initnatpmp(&n->lib, 1, to) != 0) {
		int error = errno ? -errno : -EIO;
		if (n->lib.s > 0)
			closenatpmp(&n->lib);
		free(n);
		return error;
	}
	fcntl(n->lib.s, F_SETFD, FD_CLOEXEC);
	*ret = n;
	return 0;
}

void nat_pmp_close(struct nat_pmp *n)
{
	if (!n)
		return;
	closenatpmp(&n->lib);
	free(n);
}

int nat_pmp_fd(const struct nat_pmp *n)
{
	return n->lib.has_pending_request ? n->lib.s : -1;
}

bool nat_pmp_ask_address(struct nat_pmp *n)
{
	return sendpublicaddressrequest(&n->lib) >= 0;
}

bool nat_pmp_ask_map(struct nat_pmp *n, uint16_t port, uint16_t wanted, uint32_t lifetime_s)
{
	n->port = port;
	return sendnewportmappingrequest(&n->lib, NATPMP_PROTOCOL_UDP, port, wanted, lifetime_s) >= 0;
}

static const char *failure(int code)
{
	switch (code) {
	case NATPMP_ERR_NOGATEWAYSUPPORT: return "the gateway does not answer";
	case NATPMP_ERR_UNSUPPORTEDVERSION: return "the gateway speaks another version";
	case NATPMP_ERR_UNSUPPORTEDOPCODE: return "the gateway maps no ports";
	case NATPMP_ERR_NOTAUTHORIZED: return "the gateway does not allow it";
	case NATPMP_ERR_NETWORKFAILURE: return "the gateway has no connection itself";
	case NATPMP_ERR_OUTOFRESOURCES: return "the gateway has no ports left";
	default: return "the exchange with the gateway failed";
	}
}

enum nat_pmp_kind nat_pmp_read(struct nat_pmp *n, struct nat_pmp_answer *ret)
{
	natpmpresp_t r = {0};
	if (!n->lib.has_pending_request)
		return NAT_PMP_NOTHING;
	int code = readnatpmpresponseorretry(&n->lib, &r);
	/* A datagram from elsewhere is nothing; the kernel lets none through. */
	if (code == NATPMP_TRYAGAIN || code == NATPMP_ERR_WRONGPACKETSOURCE)
		return NAT_PMP_NOTHING;
	if (code != 0) {
		snprintf(ret->error, sizeof(ret->error), "%s", failure(code));
		return NAT_PMP_FAILED;
	}
	ret->epoch_s = r.epoch;
	if (r.type == NATPMP_RESPTYPE_PUBLICADDRESS) {
		memcpy(ret->ip, &r.pnu.publicaddress.addr, 4);
		return NAT_PMP_ADDRESS;
	}
	if (r.type == NATPMP_RESPTYPE_UDPPORTMAPPING && n->port && r.pnu.newportmapping.privateport == n->port) {
		ret->port = r.pnu.newportmapping.mappedpublicport;
		ret->lifetime_s = r.pnu.newportmapping.lifetime;
		return NAT_PMP_MAPPED;
	}
	snprintf(ret->error, sizeof(ret->error), "the gateway answered something else");
	return NAT_PMP_FAILED;
}

int nat_pmp_timeout_ms(struct nat_pmp *n)
{
	struct timeval t;
	if (!n->lib.has_pending_request || getnatpmprequesttimeout(&n->lib, &t) != 0)
		return TIMEOUT_MAX_MS;
	long ms = t.tv_sec < 0 ? 0 : t.tv_sec > 1 ? TIMEOUT_MAX_MS : t.tv_sec * 1000 + t.tv_usec / 1000 + 1;
	return ms < 0 ? 0 : ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS : (int)ms;
}
