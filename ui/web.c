/* web.c: embedded files out, as they lie in the program.
 *
 * embed.sh compresses each file of ui/web once and makes two things of them: an assembly file that takes the bytes in by
 * .incbin, and the rows of the table below. Only the compressed form is carried: every browser takes gzip, and who does
 * not say so gets a 406 that tells why instead of bytes it cannot read. Files are revalidated by ETag at each load, so a
 * newer program never meets an older script in a cache.
 */
#include "ui/web.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASSET_MAX (1024 * 1024) /* of a file read from a folder */

struct asset {
	const char *path, *type;
	const unsigned char *begin, *end;
	const char *etag;
};

#include "web_table.inc"

/* Is gzip in the comma list, and not with the weight 0, which means "no" (RFC 9110, 12.5.3)? */
static bool accepts_gzip(const char *accept)
{
	for (const char *at = accept; at && *at; at += strcspn(at, ",")) {
		at += strspn(at, " \t,");
		size_t name = strcspn(at, " \t,;"), all = strcspn(at, ",");
		if (name != 4 || strncmp(at, "gzip", 4) != 0)
			continue;
		const char *q = memmem(at, all, "q=0", 3);
		return !q || strspn(q + 2, "0.") != strcspn(q + 2, " \t,");
	}
	return false;
}

static bool asset_read(const char *folder, const struct asset *asset, struct reply *reply)
{
	char path[1024];
	snprintf(path, sizeof(path), "%s%s", folder, asset->path); /* the name is the table's, never the client's */
	FILE *file = fopen(path, "re");
	char *bytes = file ? malloc(ASSET_MAX) : NULL;
	size_t len = bytes ? fread(bytes, 1, ASSET_MAX, file) : 0;
	if (file)
		fclose(file);
	if (!len) {
		free(bytes);
		return false;
	}
	reply->body = bytes;
	reply->body_len = len;
	reply->owned = true;
	return true;
}

static void asset_serve(const struct asset *asset, const struct request *request, struct reply *reply)
{
	if (!accepts_gzip(request->accept_encoding)) {
		struct problem problem;
		problem_set(&problem, 406, "gzip is needed", "this file is kept compressed; send Accept-Encoding: gzip");
		reply_problem(reply, &problem);
		return;
	}
	reply->cacheable = true;
	snprintf(reply->etag, sizeof(reply->etag), "%s", asset->etag);
	if (request->if_none_match && strstr(request->if_none_match, asset->etag)) {
		reply->status = 304;
		return;
	}
	reply->status = 200;
	reply->type = asset->type;
	reply->encoding = "gzip";
	reply->body = (void *)(uintptr_t)asset->begin; /* only read: static */
	reply->body_len = (size_t)(asset->end - asset->begin);
}

bool web_serve(const char *folder, const struct request *request, struct reply *reply)
{
	const char *path = strcmp(request->path, "/") == 0 ? "/index.html" : request->path;
	for (size_t i = 0; i < sizeof(assets) / sizeof(assets[0]); i++) {
		if (strcmp(assets[i].path, path) != 0)
			continue;
		if (!folder || !asset_read(folder, &assets[i], reply)) {
			asset_serve(&assets[i], request, reply);
			return true;
		}
		reply->status = 200;
		reply->type = assets[i].type;
		return true;
	}
	return false;
}
