/* store_audit.h: the rows of the audit, their chain, and its verification.
 *
 * Control thread, but for store_audit_verify(), which opens the file itself, reads only, and may run on any thread.
 */
#ifndef FARLAN_CONTROLLER_STORE_AUDIT_H
#define FARLAN_CONTROLLER_STORE_AUDIT_H

#include "controller/audit.h"
#include "controller/store.h"

/* The last row; without one seq 0 and the owner's key_hash, on which the first stands. */
int store_audit_head(struct store *, uint64_t *ret_seq, uint8_t ret_hash[AUDIT_HASH_BYTES]);
/* In the turn's transaction; fills seq and hash. */
int store_audit_append(struct store *, struct audit_entry *);
int store_audit_count(struct store *, const struct audit_query *, uint64_t *ret); /* all that match, whatever the page */
int store_audit_each(struct store *, const struct audit_query *, void (*each)(void *, const struct audit_entry *), void *);
/* sought: a head kept elsewhere, or NULL. 0 with the verdict, whatever it is; -errno when nothing could be read. */
int store_audit_verify(const char *path, const uint8_t *sought, struct audit_verdict *ret);

#endif
