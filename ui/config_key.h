/* config_key.h: what a config file's keys are, for config.c alone. Pure but for reading_root_file().
 */
#ifndef FARLAN_UI_CONFIG_KEY_H
#define FARLAN_UI_CONFIG_KEY_H

#include "ui/config.h"

#define CONFIG_KEYS_MAX 48

/* Where a value stands, for the message; at is added to by who knows better. */
struct reading {
	struct config *config;
	const char *folder; /* for @FILE; NULL = refused */
	size_t at;          /* offset in the value of what is wrong */
	bool whole;         /* why is a finished message of another file */
	char why[CONFIG_WHY];
};

struct key {
	const char *name;
	unsigned programs; /* bits */
	bool list;
	bool (*take)(struct reading *, const char *value);
};

const struct key *key_find(enum home_kind, const char *name);           /* NULL = none of that program's */
unsigned key_index(const struct key *);                                 /* below CONFIG_KEYS_MAX */
bool key_unknown(struct reading *, enum home_kind, const char *name);   /* false, with the likely one in why */
bool reading_refuse(struct reading *, size_t at, const char *sentence); /* false */
bool reading_root_line(struct reading *, const char *value);
bool reading_root_file(struct reading *, const char *name); /* config.c: its lines, each a root */

#endif
