/* stream_proxy.h: the HTTP proxy's address, and whether it is of use.
 *
 * The streams' thread only. A name is looked up by a thread of its own (lookup.h), which writes the eventfd given here.
 */
#ifndef FARLAN_NODE_STREAM_PROXY_H
#define FARLAN_NODE_STREAM_PROXY_H

#include <stdbool.h>

#include "proto/base/batch.h"

enum proxy_answer { PROXY_KNOWN, PROXY_WAIT, PROXY_NONE };

struct proxy;

struct proxy *proxy_new(const char *text, int wake_fd); /* "host:port"; NULL for what is none */
void proxy_free(struct proxy *);
/* WAIT: wake_fd will tell. NONE: it has no address now; asked again later. */
enum proxy_answer proxy_ask(struct proxy *, struct endpoint *ret);
void proxy_failed(struct proxy *); /* it cannot be reached: look it up anew */

#endif
