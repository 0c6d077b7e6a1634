/* backup_report.c: one wording for both, and no sentence that only one of them says. */
#include "ui/backup_report.h"

#include "ui/json.h"

static json_t *stand_json(const struct backup_stand *stand)
{
	json_t *o = json_object();
	if (!stand->there)
		return json_decref(o), json_null();
	json_object_set_new(o, "readable", json_boolean(stand->readable));
	json_object_set_new(o, "same_controller", json_boolean(stand->same));
	json_object_set_new(o, "networks", json_count(stand->networks));
	json_object_set_new(o, "members", json_count(stand->members));
	json_object_set_new(o, "revision", json_count(stand->revision));
	json_object_set_new(o, "newer", json_boolean(stand->newer));
	return o;
}

json_t *backup_report(const struct backup_facts *f, const struct backup_stand *stand)
{
	char address[ADDRESS_TEXT], words[WORDS_TEXT];
	json_t *o = json_schema("farlan.restore/1"), *problems = json_array();
	address_format(f->controller.address, address);
	fingerprint_words(f->controller.key_hash, words);
	json_object_set_new(o, "controller", json_string(address));
	json_object_set_new(o, "fingerprint", json_string(words));
	json_object_set_new(o, "networks", json_count(f->networks));
	json_object_set_new(o, "members", json_count(f->members));
	json_object_set_new(o, "written_at", json_count(f->written_wall_s));
	json_object_set_new(o, "written_by", json_text(f->version));
	json_object_set_new(o, "ceiling", json_count(f->ceiling));
	json_object_set_new(o, "revision", json_count(f->revision));
	json_object_set_new(o, "newer_than_now", json_boolean(stand->same && f->revision > stand->revision));
	json_object_set_new(o, "stands_there", stand_json(stand));
	if (stand->what[0])
		json_array_append_new(problems, json_text(stand->what));
	if (stand->readable && !stand->same)
		json_array_append_new(problems, json_string("another controller stands there: its networks would be gone"));
	if (stand->newer)
		json_array_append_new(problems,
		                      json_string("what stands there was changed after the backup: those changes would be undone, and "
		                                  "members revoked since would be members again"));
	json_object_set_new(o, "problems", problems);
	return o;
}
