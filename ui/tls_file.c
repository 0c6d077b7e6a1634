/* tls_file.c: one line, written anew by each start; a torn one reads as none.
 */
#include "ui/tls_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME      "tls"
#define PATH_ROOM 1152
#define HEX       (2 * 32)

int tls_file_write(const char *folder, const struct tls_file *tls)
{
	char path[PATH_ROOM], pin[HEX + 1] = "-";
	snprintf(path, sizeof(path), "%s/" NAME, folder);
	FILE *file = fopen(path, "we");
	if (!file)
		return -errno;
	for (unsigned i = 0; tls->pin_set && i < sizeof(tls->pin); i++)
		snprintf(pin + 2 * i, 3, "%02x", tls->pin[i]);
	int n = tls->port ? fprintf(file, "%u %s\n", tls->port, pin) : fprintf(file, "none\n");
	return fclose(file) < 0 || n < 0 ? -EIO : 0;
}

static bool pin_read(const char *hex, uint8_t ret[32])
{
	if (strlen(hex) != HEX || strspn(hex, "0123456789abcdef") != HEX)
		return false;
	for (unsigned i = 0; i < HEX / 2; i++) {
		const char two[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
		ret[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	return true;
}

bool tls_file_read(const char *folder, struct tls_file *ret)
{
	char path[PATH_ROOM], line[HEX + 16] = "", pin[HEX + 2] = "";
	struct tls_file tls = {0};
	unsigned port = 0;
	snprintf(path, sizeof(path), "%s/" NAME, folder);
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	bool good = fgets(line, sizeof(line), file) != NULL;
	fclose(file);
	if (good && !strcmp(line, "none\n")) {
		*ret = tls;
		return true;
	}
	good = good && sscanf(line, "%5u %65s", &port, pin) == 2 && port > 0 && port <= UINT16_MAX;
	tls.port = (uint16_t)port;
	tls.pin_set = good && strcmp(pin, "-") != 0;
	good = good && (!tls.pin_set || pin_read(pin, tls.pin));
	if (good)
		*ret = tls;
	return good;
}
