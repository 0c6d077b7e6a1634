/* tls_file.h: what the daemon says of its TLS port to `farlan root-line`: the file "tls" in the state folder.
 *
 * One line: "none", or the port and the pin in hex ("-" without one). At the start only; may block.
 */
#ifndef FARLAN_UI_TLS_FILE_H
#define FARLAN_UI_TLS_FILE_H

#include <stdbool.h>
#include <stdint.h>

struct tls_file {
	uint16_t port; /* 0 = no streams are taken */
	bool pin_set;
	uint8_t pin[32];
};

int tls_file_write(const char *folder, const struct tls_file *); /* 0 or -errno */
bool tls_file_read(const char *folder, struct tls_file *ret);    /* false: there is none yet, or not one of ours */

#endif
