/* stream_tls.c: GnuTLS, its errors turned into errno.
 *
 * TLS 1.2 is offered besides 1.3 for the boxes that open and close TLS on the way and know no better; between our own ends it is 1.3. The system's
 * certificate authorities are read when a name is first to be verified: that costs 20 ms and a megabyte, which most never need.
 */
#include "node/stream_tls.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#define PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define PIN_BYTES  32

struct tls_trust {
	gnutls_certificate_credentials_t credentials;
	bool authorities; /* read */
};

struct tls {
	gnutls_session_t session;
	struct tls_trust *trust;
	const char *name; /* in name_room, or NULL */
	char name_room[256];
	bool again; /* a write that GnuTLS holds the bytes of */
};

int tls_trust_new(struct tls_trust **ret)
{
	struct tls_trust *t = calloc(1, sizeof(*t));
	if (!t || gnutls_certificate_allocate_credentials(&t->credentials) < 0) {
		free(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

void tls_trust_free(struct tls_trust *t)
{
	if (t)
		gnutls_certificate_free_credentials(t->credentials);
	free(t);
}

int tls_trust_serve(struct tls_trust *t, const char *chain, const char *key)
{
	const gnutls_datum_t crt = {(unsigned char *)(uintptr_t)chain, (unsigned)strlen(chain)};
	const gnutls_datum_t own = {(unsigned char *)(uintptr_t)key, (unsigned)strlen(key)};
	return gnutls_certificate_set_x509_key_mem2(t->credentials, &crt, &own, GNUTLS_X509_FMT_PEM, NULL, 0) < 0 ? -EINVAL : 0;
}

/* What both sides have. */
static int session_new(struct tls **ret, struct tls_trust *trust, int fd, unsigned flags)
{
	static const gnutls_datum_t http = {(unsigned char *)(uintptr_t) "http/1.1", 8};
	struct tls *t = calloc(1, sizeof(*t));
	if (!t || gnutls_init(&t->session, flags | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0) {
		free(t);
		return -ENOMEM;
	}
	t->trust = trust;
	if (gnutls_priority_set_direct(t->session, PRIORITIES, NULL) < 0 ||
	    gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, trust->credentials) < 0 ||
	    gnutls_alpn_set_protocols(t->session, &http, 1, 0) < 0) {
		tls_free(t);
		return -EINVAL;
	}
	gnutls_transport_set_int(t->session, fd);
	*ret = t;
	return 0;
}

int tls_accept(struct tls **ret, struct tls_trust *trust, int fd)
{
	return session_new(ret, trust, fd, GNUTLS_SERVER);
}

int tls_new(struct tls **ret, struct tls_trust *trust, int fd, const char *name)
{
	struct tls *t = NULL;
	int error = session_new(&t, trust, fd, GNUTLS_CLIENT);
	if (error)
		return error;
	if (*name && strlen(name) < sizeof(t->name_room)) {
		strcpy(t->name_room, name);
		t->name = t->name_room;
		if (gnutls_server_name_set(t->session, GNUTLS_NAME_DNS, name, strlen(name)) < 0) {
			tls_free(t);
			return -EINVAL;
		}
	}
	*ret = t;
	return 0;
}

void tls_free(struct tls *t)
{
	if (t)
		gnutls_deinit(t->session);
	free(t);
}

static int error_of(long code)
{
	switch (code) {
	case GNUTLS_E_AGAIN:
	case GNUTLS_E_INTERRUPTED: return -EAGAIN;
	case GNUTLS_E_MEMORY_ERROR: return -ENOMEM;
	case GNUTLS_E_PUSH_ERROR:
	case GNUTLS_E_PULL_ERROR: return -ECONNRESET;
	default: return -EPROTO;
	}
}

int tls_shake(struct tls *t, const char **ret_why)
{
	int code;
	do
		code = gnutls_handshake(t->session);
	while (code < 0 && !gnutls_error_is_fatal(code) && code != GNUTLS_E_AGAIN && code != GNUTLS_E_INTERRUPTED);
	if (code == GNUTLS_E_SUCCESS)
		return 0;
	*ret_why = gnutls_strerror(code);
	return error_of(code) == -EAGAIN ? -EAGAIN : -EPROTO;
}

static bool pinned(struct tls *t, const uint8_t pin[PIN_BYTES])
{
	unsigned n = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(t->session, &n);
	gnutls_x509_crt_t crt;
	uint8_t id[PIN_BYTES];
	size_t len = sizeof(id);
	bool same = false;
	if (!chain || !n || gnutls_x509_crt_init(&crt) < 0)
		return false;
	if (gnutls_x509_crt_import(crt, &chain[0], GNUTLS_X509_FMT_DER) == 0 &&
	    gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, id, &len) == 0)
		same = len == sizeof(id) && memcmp(id, pin, sizeof(id)) == 0;
	gnutls_x509_crt_deinit(crt);
	return same;
}

const char *tls_doubt(struct tls *t, const uint8_t *pin)
{
	unsigned status = 0;
	if (pin)
		return pinned(t, pin) ? NULL : "its certificate has another key than the root line's pin";
	if (!t->name)
		return "there is neither a pin nor a name to know its certificate by";
	if (!t->trust->authorities) {
		(void)gnutls_certificate_set_x509_system_trust(t->trust->credentials); /* none: nobody is verified then */
		t->trust->authorities = true;
	}
	if (gnutls_certificate_verify_peers3(t->session, t->name, &status) == 0 && status == 0)
		return NULL;
	return "no authority of this system vouches for its certificate and name";
}

bool tls_wants_write(const struct tls *t)
{
	return gnutls_record_get_direction(t->session) == 1;
}

ssize_t tls_read(struct tls *t, void *buf, size_t len)
{
	ssize_t n = gnutls_record_recv(t->session, buf, len);
	if (n >= 0)
		return n;
	/* Many a server ends TCP without ending TLS first. A renegotiation (1.2) is declined by not taking part. */
	if (n == GNUTLS_E_PREMATURE_TERMINATION)
		return 0;
	return n == GNUTLS_E_REHANDSHAKE || n == GNUTLS_E_WARNING_ALERT_RECEIVED ? -EAGAIN : error_of(n);
}

ssize_t tls_write(struct tls *t, const void *buf, size_t len)
{
	ssize_t n = t->again ? gnutls_record_send(t->session, NULL, 0) : gnutls_record_send(t->session, buf, len);
	t->again = n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED;
	return n >= 0 ? n : error_of(n);
}

bool tls_pending(const struct tls *t)
{
	return gnutls_record_check_pending(t->session) > 0;
}

void tls_bye(struct tls *t)
{
	(void)gnutls_bye(t->session, GNUTLS_SHUT_WR);
}
