/* config.h: farland.conf and farlan-controller.conf, and the options of the command line that mean the same.
 *
 * "key = value" lines of up to 4 KiB; '#' or ';' begin a comment line; "[section]" is reserved. One table of keys serves the
 * file, the command line and the messages. A file is data from a person: what it does not understand it refuses, with
 * place, reason and mend. Pure but for @FILE and config_load().
 */
#ifndef FARLAN_UI_CONFIG_H
#define FARLAN_UI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/controller.h"
#include "node/node.h"
#include "node/stream.h"
#include "proto/base/log.h"
#include "proto/root_line.h"
#include "ui/home.h"

#define CONFIG_LISTEN_MAX       8
#define CONFIG_ROOTS_MAX        16
#define CONFIG_SETS_MAX         4
#define CONFIG_WORKERS_MAX      16
#define CONFIG_LINE_MAX         4096
#define CONFIG_FILE_MAX         (256 * 1024)
#define CONFIG_WHY              1536
#define CONFIG_PATH_MAX         1024
#define CONFIG_NAMES_MAX        8
#define CONFIG_NAME_MAX         253
#define CONFIG_HTTP_PROXIES_MAX 16
#define CONFIG_ALLOW_MAX        8

struct config {
	struct endpoint listen[CONFIG_LISTEN_MAX]; /* none: the program's default ports */
	unsigned n_listen;
	struct root_line roots[CONFIG_ROOTS_MAX];
	unsigned n_roots;
	char sets[CONFIG_SETS_MAX][CONFIG_PATH_MAX]; /* files of root sets */
	unsigned n_sets;
	struct endpoint external[EXTERNAL_MAX]; /* where this node is reached beside what it finds out */
	unsigned n_external;
	struct prefix avoid[AVOID_MAX]; /* where no path is to go */
	unsigned n_avoid;
	bool root;                        /* be a root */
	uint8_t root_gate[32];            /* zero: public */
	unsigned workers;                 /* 0: as many as cores, up to CONFIG_WORKERS_MAX */
	uint8_t suite;                    /* 0: by hardware, else SUITE_* */
	bool no_mapping;                  /* ask no router for anything */
	bool no_lan;                      /* neither call out on the LAN nor listen there */
	bool no_spray;                    /* never many ports at once */
	bool no_relay;                    /* for no member, whatever its credential says */
	bool relay_rate_set;              /* else as root and gate say (daemon.c) */
	uint64_t relay_rate, relay_total; /* bits/s; 0: no limit */
	bool no_offload;                  /* bare frames and datagrams, one each */
	bool no_affinity;                 /* busy workers keep to no core */
	const char *backend;              /* for seal_force_backend, of static life; "auto" */
	enum log_level log;               /* LOG_NOTICE */
	bool tls_none;                    /* a root: takes no TLS streams */
	struct endpoint tls;              /* where it takes them; family 0: on all addresses, port 443 unless told */
	char tls_cert[CONFIG_PATH_MAX], tls_key[CONFIG_PATH_MAX]; /* "" = a certificate of its own */
	uint8_t fallback;                                         /* enum fallback_mode (node.h) */
	bool proxy_set;                                           /* else the environment says */
	char proxy[STREAM_PROXY_MAX];                             /* "host:port"; "" = none */
	struct endpoint http;  /* the controller's page, 127.0.0.1:8080; family 0: no page ("http = none") */
	struct endpoint https; /* the same by TLS, for others; family 0: not so, which is the default */
	char page_names[CONFIG_NAMES_MAX][CONFIG_NAME_MAX + 1]; /* host names under which a browser may ask for it */
	unsigned n_page_names;
	struct prefix http_proxies[CONFIG_HTTP_PROXIES_MAX]; /* who is believed in saying for whom they ask */
	unsigned n_http_proxies;
	bool factor_required;             /* second-factor = required */
	struct controller_limits limits;  /* 0 = as the controller itself says */
	bool metrics;                     /* /metrics for whoever reaches the page's address */
	bool webhook_private;             /* a webhook may be allowed to reach private addresses */
	char webhook_ca[CONFIG_PATH_MAX]; /* authorities of webhooks' receivers; "" = the system's */
	struct endpoint zt1; /* where programs come that know ZeroTier One's API; family 0: they do not, which is the default */
	struct prefix zt1_allow[CONFIG_ALLOW_MAX]; /* from where, beside this machine */
	unsigned n_zt1_allow;
};

void config_init(struct config *);
void config_fini(struct config *); /* wipes the gates */

/* Applies the lines of a file; name is what messages call it. folder: where @FILE looks for relative names, NULL refuses @FILE.
 * false with why[] ("name:line:col: error: ...", the line and a caret below), then the config is untouched. */
bool config_parse(struct config *, enum home_kind, const char *name, const void *bytes, size_t len, const char *folder,
                  char why[CONFIG_WHY]);
/* The home's file; none is fine. 0, -EINVAL or another -errno with why. */
int config_load(struct config *, const struct home *, char why[CONFIG_WHY]);
/* One value, as from "--key value": adds to a list, replaces a scalar. */
bool config_set(struct config *, enum home_kind, const char *key, const char *value, char why[CONFIG_WHY]);
/* Before options are applied scalars may come anew; lists only grow. Keys by index for help and tests; NULL past the end. */
const char *config_key(enum home_kind, unsigned i);

#endif
