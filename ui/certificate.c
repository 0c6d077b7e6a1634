/* certificate.c: PEM from files, or a fresh key with a certificate of its own name.
 *
 * Who connects here knows the key by its pin, or does not care; so a certificate of our own says nothing of this machine, is good for as long as
 * machines live, and is what many a server shows that nobody has set up. The pair is checked before it is used: a key that does not fit
 * would be found out by the first node, in the middle of the night.
 */
#include "ui/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/random.h"
#include "ui/file.h"

#define OWN_CHAIN  "tls.crt"
#define OWN_KEY    "tls.key"
#define OWN_NAME   "localhost"
#define VALID_S    (20ll * 365 * 86400)
#define BACKDATE_S 86400 /* clocks differ */
#define PATH_ROOM  1152

/* The file as a string, or NULL with *ret_error. */
static char *pem_read(const char *path, int *ret_error)
{
	char *text = malloc(CERTIFICATE_PEM_MAX + 1);
	int fd = text ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	size_t len = 0;
	ssize_t n = fd < 0 ? -1 : 1;
	while (n > 0 && len < CERTIFICATE_PEM_MAX) {
		n = read(fd, text + len, CERTIFICATE_PEM_MAX - len);
		len += n > 0 ? (size_t)n : 0;
	}
	*ret_error = !text ? -ENOMEM : n < 0 ? -errno : n > 0 ? -EFBIG : 0;
	if (fd >= 0)
		close(fd);
	if (*ret_error) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

static int crt_fill(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
	uint8_t serial[16];
	time_t now = time(NULL);
	random_bytes(serial, sizeof(serial));
	serial[0] = (serial[0] & 0x7f) | 0x40; /* a positive number of that length */
	int code = gnutls_x509_crt_set_version(crt, 3);
	if (code >= 0)
		code = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	if (code >= 0)
		code = gnutls_x509_crt_set_activation_time(crt, now - BACKDATE_S);
	if (code >= 0)
		code = gnutls_x509_crt_set_expiration_time(crt, now + VALID_S);
	if (code >= 0)
		code = gnutls_x509_crt_set_dn(crt, "CN=" OWN_NAME, NULL);
	if (code >= 0)
		code = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, OWN_NAME, sizeof(OWN_NAME) - 1, GNUTLS_FSAN_SET);
	if (code >= 0)
		code = gnutls_x509_crt_set_key(crt, key);
	if (code >= 0)
		code = gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
	return code;
}

/* Key first: a chain without its key would be taken for damage, a key without its chain gets a new one. */
static int own_make(const char *chain_path, const char *key_path)
{
	gnutls_x509_privkey_t key = NULL;
	gnutls_x509_crt_t crt = NULL;
	gnutls_datum_t key_pem = {NULL, 0}, crt_pem = {NULL, 0};
	int error = -EIO;
	if (gnutls_x509_privkey_init(&key) < 0 || gnutls_x509_crt_init(&crt) < 0)
		goto out;
	if (gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) < 0 ||
	    crt_fill(crt, key) < 0 || gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &key_pem) < 0 ||
	    gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &crt_pem) < 0)
		goto out;
	error = file_write(key_path, key_pem.data, key_pem.size, 0600);
	if (!error)
		error = file_write(chain_path, crt_pem.data, crt_pem.size, 0600);
out:
	if (key_pem.data)
		wipe(key_pem.data, key_pem.size);
	gnutls_free(key_pem.data);
	gnutls_free(crt_pem.data);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
	return error;
}

/* Do the two fit, and what is the pin? NULL: yes, else what is wrong. */
static const char *pair_check(struct certificate *c)
{
	const gnutls_datum_t chain = {(unsigned char *)c->chain, (unsigned)strlen(c->chain)};
	const gnutls_datum_t key = {(unsigned char *)c->key, (unsigned)strlen(c->key)};
	gnutls_certificate_credentials_t both;
	gnutls_x509_crt_t crt;
	size_t len = sizeof(c->pin);
	if (gnutls_certificate_allocate_credentials(&both) < 0)
		return "no memory";
	int code = gnutls_certificate_set_x509_key_mem2(both, &chain, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
	gnutls_certificate_free_credentials(both);
	if (code < 0)
		return gnutls_strerror(code);
	if (gnutls_x509_crt_init(&crt) < 0)
		return "no memory";
	code = gnutls_x509_crt_import(crt, &chain, GNUTLS_X509_FMT_PEM);
	if (code >= 0)
		code = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, c->pin, &len);
	len = sizeof(c->print);
	if (code >= 0)
		code = gnutls_x509_crt_get_fingerprint(crt, GNUTLS_DIG_SHA256, c->print, &len);
	time_t until = code >= 0 ? gnutls_x509_crt_get_expiration_time(crt) : 0;
	c->until = until > 0 ? (uint64_t)until : 0;
	gnutls_x509_crt_deinit(crt);
	return code < 0 ? gnutls_strerror(code) : NULL;
}

int certificate_open(struct certificate *ret, const char *folder, const char *chain, const char *key, char why[CERTIFICATE_WHY])
{
	char chain_own[PATH_ROOM], key_own[PATH_ROOM];
	struct certificate c = {.own = !chain && !key};
	const char *bad = NULL;
	int error = 0;
	if (!chain != !key) {
		snprintf(why, CERTIFICATE_WHY, "tls-cert and tls-key belong together; give both or none");
		return -EINVAL;
	}
	if (c.own) {
		snprintf(chain_own, sizeof(chain_own), "%s/" OWN_CHAIN, folder);
		snprintf(key_own, sizeof(key_own), "%s/" OWN_KEY, folder);
		chain = chain_own;
		key = key_own;
		if (access(chain, F_OK) < 0 && errno == ENOENT && (error = own_make(chain, key))) {
			snprintf(why, CERTIFICATE_WHY, "cannot make %.500s: %s", chain, strerror(-error));
			return error;
		}
	}
	c.chain = pem_read(chain, &error);
	if (error)
		snprintf(why, CERTIFICATE_WHY, "cannot read %.500s: %s", chain, strerror(-error));
	c.key = error ? NULL : pem_read(key, &error);
	if (error && c.chain)
		snprintf(why, CERTIFICATE_WHY, "cannot read %.500s: %s", key, strerror(-error));
	if (!error && (bad = pair_check(&c))) {
		error = -EINVAL;
		snprintf(why, CERTIFICATE_WHY, "%.500s and %.500s are no certificate with its key: %.100s", chain, key, bad);
	}
	if (error)
		certificate_fini(&c);
	else
		*ret = c;
	return error;
}

void certificate_fini(struct certificate *c)
{
	if (c->key)
		wipe(c->key, strlen(c->key));
	free(c->key);
	free(c->chain);
	*c = (struct certificate){0};
}
