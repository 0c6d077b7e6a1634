/* stream_tls.h: TLS over a non-blocking socket, either side (GnuTLS).
 *
 * One thread at a time. TLS is the coat here, not the lock: FLN1 runs inside and needs none of its promises, so a certificate that cannot be verified
 * is told and does not end anything. What it must do is look and behave like everybody else's HTTPS.
 */
#ifndef FARLAN_NODE_STREAM_TLS_H
#define FARLAN_NODE_STREAM_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct tls_trust; /* what certificates are verified by; shared by all clients of a thread */
struct tls;

int tls_trust_new(struct tls_trust **ret);
/* As a server: what it shows, PEM. -EINVAL: they are not, or do not fit. */
int tls_trust_serve(struct tls_trust *, const char *chain, const char *key);
void tls_trust_free(struct tls_trust *);

/* As the server. fd is borrowed. */
int tls_accept(struct tls **ret, struct tls_trust *, int fd);
/* As the client. fd is borrowed. name: for SNI and the certificate, "" = none. 0 or -errno. */
int tls_new(struct tls **ret, struct tls_trust *, int fd, const char *name);
void tls_free(struct tls *);
/* 0 done, -EAGAIN (tls_wants_write() says for what), -EPROTO with a sentence in *ret_why. */
int tls_shake(struct tls *, const char **ret_why);
/* After the handshake: is it the pinned key (SHA-256 of SubjectPublicKeyInfo), without a pin a certificate for the name? NULL: yes, else
 * a sentence. */
const char *tls_doubt(struct tls *, const uint8_t *pin);
bool tls_wants_write(const struct tls *);
/* As read(2) and write(2) with -errno; -EAGAIN of a write wants the same bytes again. tls_pending: bytes that poll will not tell of. */
ssize_t tls_read(struct tls *, void *, size_t);
ssize_t tls_write(struct tls *, const void *, size_t);
bool tls_pending(const struct tls *);
void tls_bye(struct tls *); /* says that no more is coming, if that can be said at once */

#endif
