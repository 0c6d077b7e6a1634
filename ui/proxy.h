/* proxy.h: the HTTP proxy by which this machine reaches the world, as people and environments write it.
 *
 * At the start only.
 */
#ifndef FARLAN_UI_PROXY_H
#define FARLAN_UI_PROXY_H

#include "node/stream.h"

/* "[http://]HOST:PORT[/]", or none -> "". NULL: good, else what is wrong; then ret is untouched. */
const char *proxy_parse(const char *value, char ret[STREAM_PROXY_MAX]);
/* What https_proxy, or HTTPS_PROXY, says; "" when neither does. */
void proxy_environment(char ret[STREAM_PROXY_MAX]);

#endif
