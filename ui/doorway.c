/* doorway.c: the parts put together, and the words when they do not fit.
 */
#include "ui/doorway.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "node/warning.h"
#include "proto/base/log.h"
#include "ui/tls_file.h"

#define WARNING "tls-not-bound"

static void told(const struct start *start, const struct doorway *d)
{
	struct tls_file file = {.port = d->server ? fallback_port(d->server) : 0, .pin_set = d->certificate.own};
	memcpy(file.pin, d->certificate.pin, sizeof(file.pin));
	int error = tls_file_write(start->home.dir, &file);
	if (error)
		log_warning("farlan root-line does not know the TLS port: %s/tls: %s", start->home.dir, strerror(-error));
}

void doorway_open(struct doorway *d, const struct start *start, struct loop *loop)
{
	const struct config *config = &start->config;
	char why[CERTIFICATE_WHY] = "";
	if (!config->root)
		return;
	if (!config->tls_none && loop_streams(loop)) {
		const struct fallback_config server = {.at = config->tls,
		                                       .key_hash = start->secret.self.key_hash,
		                                       .gate_secret = config->root_gate,
		                                       .certificate = &d->certificate,
		                                       .streams = loop_streams(loop)};
		const char *chain = *config->tls_cert ? config->tls_cert : NULL, *key = *config->tls_key ? config->tls_key : NULL;
		int error = certificate_open(&d->certificate, start->home.dir, chain, key, why);
		if (!error)
			error = fallback_open(&d->server, &server, why);
		if (error) {
			log_warning("%s", why);
			node_warn(loop_node(loop), WARNING, why);
		} else {
			log_notice("TLS on port %u", fallback_port(d->server));
		}
	}
	told(start, d);
}

void doorway_close(struct doorway *d)
{
	fallback_free(d->server);
	certificate_fini(&d->certificate);
	d->server = NULL;
}
