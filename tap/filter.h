/* filter.h: capture filter expressions to programs for the kernel, by libpcap.
 */
#ifndef FARLAN_TAP_FILTER_H
#define FARLAN_TAP_FILTER_H

#include <linux/filter.h>

#define FILTER_WHY 320

/* device: whose frames it is for; where there is no such device the expression is compiled for Ethernet at large, which is good for judging it
 * only. 0, or -EINVAL with a sentence in why, or another -errno. The caller frees ret->filter. Takes at most half a second. */
int filter_compile(const char *device, const char *expression, struct sock_fprog *ret, char why[FILTER_WHY]);

#endif
