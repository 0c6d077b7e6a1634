/* certificate.h: the certificate a root shows on its TLS port, or a controller with its page: the operator's, or one of its own
 * that nodes know by its pin and people by its fingerprint.
 *
 * At the start only; everything may block.
 */
#ifndef FARLAN_UI_CERTIFICATE_H
#define FARLAN_UI_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CERTIFICATE_PEM_MAX 65536 /* a chain, or a key */
#define CERTIFICATE_WHY     1536

struct certificate {
	char *chain, *key; /* PEM; the key is wiped by certificate_fini */
	bool own;          /* made here */
	uint8_t pin[32];   /* SHA-256 of its SubjectPublicKeyInfo */
	uint8_t print[32]; /* SHA-256 of the certificate, which browsers show */
	uint64_t until;    /* unix time at which it runs out; 0 = never */
};

/* The two files, or with both NULL tls.crt and tls.key of the state folder, made when they are not there. 0 or -errno with a sentence
 * in why. */
int certificate_open(struct certificate *ret, const char *folder, const char *chain, const char *key, char why[CERTIFICATE_WHY]);
void certificate_fini(struct certificate *);

#endif
