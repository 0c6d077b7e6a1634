/* remote.c: options into what libcurl wants.
 *
 * A token goes over TLS or stays on this machine: plain http is for the loopback alone, where ssh forwards a port. It is read
 * from a file, standard input or the environment, never from the command line; what editors and echo leave behind it is cut.
 */
#include "ui/cli/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/cli/passphrase.h"

#define TOKEN_LEAST 16
#define TOKEN_MOST  128

/* 64 hex, colons between them as they please, into "sha256//" and base64. */
static bool pin_of(const char *text, char ret[64])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned char bytes[33] = {0};
	unsigned n = 0;
	for (; *text; text++) {
		const char *digit = strchr("0123456789abcdef", *text >= 'A' && *text <= 'F' ? *text | 0x20 : *text);
		if (*text == ':' && n && n % 2 == 0)
			continue;
		if (!digit || n == 64)
			return false;
		bytes[n / 2] = (unsigned char)(bytes[n / 2] << 4 | ((digit - "0123456789abcdef") & 15));
		n++;
	}
	char *out = ret + snprintf(ret, 64, "sha256//");
	for (unsigned i = 0; i < 33; i += 3) { /* the 33rd byte is padding */
		unsigned v = (unsigned)bytes[i] << 16 | (unsigned)bytes[i + 1] << 8 | bytes[i + 2];
		for (int shift = 18; shift >= 0; shift -= 6)
			*out++ = alphabet[v >> shift & 63];
	}
	out[-1] = '=';
	*out = '\0';
	return n == 64;
}

static bool loopback(const char *host)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = strlen(names[i]);
		if (!strncmp(host, names[i], len) && (host[len] == ':' || !host[len]))
			return true;
	}
	return false;
}

static int url_of(const char *text, char ret[REMOTE_URL_MAX])
{
	bool tls = !strncmp(text, "https://", 8), plain = !strncmp(text, "http://", 7);
	const char *host = text + (tls ? 8 : 7);
	size_t len = strlen(text);
	if (len && text[len - 1] == '/')
		len--;
	if ((!tls && !plain) || len >= REMOTE_URL_MAX || strcspn(host, "/?#@ \t\r\n") + (size_t)(host - text) < len || !*host)
		return complain(EXIT_USAGE, "--url looks like https://farlan.example.net:8443");
	snprintf(ret, REMOTE_URL_MAX, "%.*s", (int)len, text);
	if (plain && !loopback(ret + 7))
		return complain(EXIT_USAGE, "a token does not go over plain http; use https, or a port of this machine that ssh forwards");
	return 0;
}

static int token_of(const struct call *call, char *ret, size_t room)
{
	char text[PASSPHRASE_ROOM];
	const char *file = options_value(&call->options, "token-file"), *environment = getenv("FARLAN_TOKEN");
	int code = 0;
	if (file)
		code = secret_take(file, "token", "", NULL, TOKEN_LEAST, TOKEN_MOST, text);
	else if (environment && strlen(environment) < sizeof(text))
		snprintf(text, sizeof(text), "%s", environment);
	else
		code = complain(EXIT_USAGE, "--url needs a token: --token-file FILE, or FARLAN_TOKEN in the environment");
	if (code)
		return code;
	text[strcspn(text, " \t\r\n")] = '\0';
	if (strlen(text) < TOKEN_LEAST || strlen(text) > TOKEN_MOST)
		code = complain(EXIT_USAGE, "that is no token; farlan token create makes one");
	else
		snprintf(ret, room, "Authorization: Bearer %s", text);
	explicit_bzero(text, sizeof(text));
	return code;
}

int remote_of(const struct call *call, struct remote *ret)
{
	const char *url = options_value(&call->options, "url"), *pin = options_value(&call->options, "pin");
	memset(ret, 0, sizeof(*ret));
	ret->cacert = options_value(&call->options, "cacert");
	if (!url && (pin || ret->cacert || options_value(&call->options, "token-file")))
		return complain(EXIT_USAGE, "--token-file, --cacert and --pin go with --url");
	if (!url)
		return 0;
	if (pin && !pin_of(pin, ret->pin))
		return complain(EXIT_USAGE, "--pin takes 64 hex digits, as farlan page prints them on the controller's machine");
	if (options_value(&call->options, "home"))
		return complain(EXIT_USAGE, "--home is a controller of this machine, --url one elsewhere: give one of them");
	int code = url_of(url, ret->url);
	return code ? code : token_of(call, ret->header, sizeof(ret->header));
}
