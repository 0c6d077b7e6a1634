/* json.h: what jansson does not say itself: hostile text, replies, and request bodies read strictly.
 *
 * Control thread only. Objects made here are given to reply_json(), which takes them.
 */
#ifndef FARLAN_UI_JSON_H
#define FARLAN_UI_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "proto/cred.h"
#include "ui/api.h"

/* A string of whatever bytes: invalid UTF-8 is escaped as \xNN instead of being refused. */
json_t *json_text(const char *);
json_t *json_hex(const uint8_t *, size_t n);
json_t *json_count(uint64_t);         /* integers above 2^63 - 1 are cut there */
json_t *json_count_or_null(uint64_t); /* 0 = null: a time that never came */

json_t *json_schema(const char *schema); /* an object that begins with its "schema" */

json_t *json_host(const struct prefix *); /* "10.20.0.5": an address without its length */
json_t *json_route(const struct route *); /* {target: "192.168.7.0/24", via: "10.20.0.5" or null} */

/* Takes the object. Out of memory becomes a 503. */
void reply_json(struct reply *, unsigned status, json_t *object);

/* The request's body as an object whose names all stand in the list, which ends with NULL; no body reads as {}. NULL with
 * *ret_problem set otherwise. The caller drops the reference. */
json_t *json_body(const char *body, size_t len, const char *const *names, struct problem *ret_problem);

/* Fields, read into the caller's variable. Absent: true, *ret_set false, output untouched. A wrong type or length: false with the
 * problem naming the field. */
bool json_take_text(const json_t *object, const char *name, size_t min, char *ret, size_t room, bool *ret_set, struct problem *);
bool json_take_bool(const json_t *object, const char *name, bool *ret, bool *ret_set, struct problem *);
bool json_take_count(const json_t *object, const char *name, uint64_t min, uint64_t max, uint64_t *ret, bool *ret_set, struct problem *);

#endif
