/* edition.h: what a network publishes at one time: the blobs that a HEAD binds (PROTOCOL.md, Blobs). Built as the rows stand after a
 * commit; sections that did not change are taken over from the publication and cost nothing. */
#ifndef FARLAN_CONTROLLER_EDITION_H
#define FARLAN_CONTROLLER_EDITION_H

#include "controller/state.h"

struct edition {
	struct blob blobs[BLOB_COUNT]; /* none: absent, if not kept */
	bool kept[BLOB_COUNT];         /* as in the publication */
	bool members_sharded, revoked_sharded;
	uint64_t rev_epoch;
	uint8_t cfg_root[32], rev_hash[32];
	size_t fresh_bytes; /* of what its readers do not have yet */
	struct directory_entry *entries;
	uint8_t *room; /* SECTION_MAX */
};

int edition_build(struct controller *, struct publication *, struct edition *ret); /* 0 or -errno; edition_fini() either way */
void edition_adopt(struct publication *, struct edition *);                        /* takes the blobs */
void edition_fini(struct edition *);

#endif
