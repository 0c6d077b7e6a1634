/* openapi.c: one file, taken in by the assembler (GNUmakefile: openapi.S). Its tag is a hash of it, so that who has it asks in vain.
 */
#include "ui/openapi.h"

#include <stdio.h>

extern const char openapi_begin[];
extern const uint64_t openapi_len;

void openapi_get(void *self, const struct request *request, struct reply *reply)
{
	uint64_t hash = 0xcbf29ce484222325u;
	(void)self;
	(void)request;
	for (uint64_t i = 0; i < openapi_len; i++)
		hash = (hash ^ (uint8_t)openapi_begin[i]) * 0x100000001b3u;
	reply->status = 200;
	reply->type = "application/json";
	reply->body = (void *)(uintptr_t)openapi_begin; /* only read: static */
	reply->body_len = (size_t)openapi_len;
	reply->cacheable = true;
	snprintf(reply->etag, sizeof(reply->etag), "\"%016llx\"", (unsigned long long)hash);
}
