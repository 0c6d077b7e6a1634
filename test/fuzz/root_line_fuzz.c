/* root_line_fuzz.c: any text as a root's line. What is accepted has one spelling, which is accepted again and means the same;
 * what is refused is refused at a place inside the text, and touches nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/root_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(x) ((x) ? (void)0 : abort())
#define ID         "fln1:c5057629d8:qIACh1qZ92Hd6FdaYtCQPLnykTja55RJdheTjgn-l012qNUXGvhIxGVOM3muAakxxssNGA-M6lQCQJ1ZAS58SQ@"

static void try(const char *text)
{
	struct root_line line, again, before;
	char one[ROOT_LINE_MAX], two[ROOT_LINE_MAX];
	const char *why = NULL;
	size_t at = SIZE_MAX;
	memset(&before, 0x5a, sizeof(before));
	memcpy(&line, &before, sizeof(line));
	if (!root_line_parse(text, &line, &at, &why)) {
		require(why && at <= strlen(text) && !memcmp(&line, &before, sizeof(line)));
		return;
	}
	require(line.n_endpoints + line.n_names >= 1 && line.n_endpoints + line.n_names <= ROOT_ENDPOINTS_MAX);
	size_t n = root_line_format(&line, one, sizeof(one));
	require(n && strlen(one) == n);
	require(root_line_parse(one, &again, &at, &why));
	require(root_line_format(&again, two, sizeof(two)) == n && !strcmp(one, two));
	require(again.n_names == line.n_names && again.tls_port == line.tls_port && again.pin_set == line.pin_set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(sizeof(ID) + size);
	require(text);
	memcpy(text, data, size);
	text[size] = 0;
	try(text);
	memcpy(text, ID, sizeof(ID) - 1); /* the rest of a line, for a good identity is not met by chance */
	memcpy(text + sizeof(ID) - 1, data, size);
	text[sizeof(ID) - 1 + size] = 0;
	try(text);
	free(text);
	return 0;
}
