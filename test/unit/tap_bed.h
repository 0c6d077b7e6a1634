/* tap_bed.h: real TAP devices in a network namespace of the program's own; without root every test is skipped. */
#ifndef TAP_BED_H
#define TAP_BED_H

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "tap/tap.h"

static const uint8_t own_mac[6] = {0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
static const char *no_root;

static int private_net(void **state)
{
	(void)state;
	if (geteuid() != 0)
		no_root = "not root";
	else if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		no_root = "no namespace of our own";
	else if (access("/dev/net/tun", F_OK) < 0)
		no_root = "/dev/net/tun is missing";
	return 0;
}

#define need_private_net()                                                                                                                 \
	do {                                                                                                                               \
		if (no_root) {                                                                                                             \
			print_message("skipped: %s\n", no_root);                                                                           \
			skip();                                                                                                            \
		}                                                                                                                          \
	} while (0)

static inline void shell(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static inline struct tap *opened(const char *name, unsigned queues, uint16_t mtu, unsigned may)
{
	struct tap *t = NULL;
	char got[TAP_NAME_MAX];
	int err = tap_open(&t, name, queues, own_mac, mtu, may, got);
	if (err)
		fail_msg("tap_open: %s", tap_why(err));
	assert_string_equal(got, name);
	return t;
}

/* A slab anew, of bytes that no frame has. */
static inline struct slab slab_new(uint32_t room)
{
	static uint8_t bytes[8 * TAP_SLAB_MIN];
	assert_true(room <= sizeof(bytes));
	memset(bytes, 0xee, sizeof(bytes));
	return (struct slab){.at = bytes, .room = room};
}

#endif
