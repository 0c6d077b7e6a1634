/* Theory of operation: a text per network that means nothing to the controller. A program that speaks another API over this store keeps
 * there what that API promises to keep and nothing here acts on. It is audited as an edit of the network, by its size: its bytes are
 * the other program's. */
#include <errno.h>
#include <string.h>

#include "controller/audit.h"
#include "controller/state.h"
#include "controller/store_extra.h"

enum admin_status controller_network_extra_set(struct controller *c, uint64_t nwid, const char *text, struct admin_error *error)
{
	struct network_record n;
	struct audit_detail d = {0};
	size_t len = strnlen(text, NETWORK_EXTRA_MAX + 1);
	enum admin_status status = admin_begin(c, error);
	if (!status)
		status = admin_network(c, nwid, &n, NULL, error);
	if (status)
		return status;
	if (len > NETWORK_EXTRA_MAX) {
		admin_error_set(error, "Too long", "Keep less there.", "At most %d bytes are kept for a network.", NETWORK_EXTRA_MAX);
		return ADMIN_INVALID;
	}
	int r = store_extra_set(c->store, nwid, text);
	audit_detail_text(&d, "name", n.name);
	audit_detail_count(&d, "extra_bytes", len);
	if (!r)
		r = audit_note(c, "network.set", nwid, 0, audit_detail_end(&d));
	status = admin_commit(c, r, error);
	if (!status)
		change_note(c, CHANGE_NETWORK, nwid, 0, false);
	return status;
}

enum admin_status controller_network_extra_get(struct controller *c, uint64_t nwid, char ret[NETWORK_EXTRA_MAX + 1],
                                               struct admin_error *error)
{
	struct network_record n;
	enum admin_status status = admin_network(c, nwid, &n, NULL, error);
	if (status)
		return status;
	int r = store_extra_get(c->store, nwid, ret, NETWORK_EXTRA_MAX + 1);
	if (r == -ENOENT)
		*ret = '\0';
	return r && r != -ENOENT ? admin_unavailable(c, error, r) : ADMIN_OK;
}
