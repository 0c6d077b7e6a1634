/* The door of the config file: any bytes as farland.conf and as farlan-controller.conf. @FILE is off. What is accepted holds its
 * limits; what is refused leaves the config as it was and says where. */
#include "ui/options.c"
#include "ui/home.c"
#include "ui/config.c"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char why[CONFIG_WHY];
	for (int kind = HOME_NODE; kind <= HOME_CONTROLLER; kind++) {
		struct config c, before;
		config_init(&c);
		before = c;
		if (config_parse(&c, (enum home_kind)kind, "f", data, size, NULL, why)) {
			assert(c.n_listen <= CONFIG_LISTEN_MAX && c.n_roots <= CONFIG_ROOTS_MAX && c.workers <= CONFIG_WORKERS_MAX);
		} else {
			assert(c.n_listen == before.n_listen && c.n_roots == before.n_roots && c.workers == before.workers &&
			       c.root == before.root && c.suite == before.suite && c.backend == before.backend &&
			       c.no_offload == before.no_offload && c.log == before.log && endpoint_equal(&c.http, &before.http));
			assert(!strncmp(why, "f:", 2) && strnlen(why, sizeof(why)) < sizeof(why));
		}
		config_fini(&c);
	}
	return 0;
}
