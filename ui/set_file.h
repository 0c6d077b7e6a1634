/* set_file.h: files of root sets and of the keys that sign them. At start and on the command line: everything may block. */
#ifndef FARLAN_UI_SET_FILE_H
#define FARLAN_UI_SET_FILE_H

#include "proto/rootset.h"

#define SET_FILE_WHY 512

/* 0 or -errno, with a sentence in why (hostile bytes escaped). The caller gives what was read to rootset_file_fini. */
int set_file_read(const char *path, struct rootset_file *ret, char why[SET_FILE_WHY]);
/* Mode 0600, in place of what was there: temp, fsync, rename. fresh: -EEXIST if something is there. */
int set_file_write(const char *path, const struct rootset_file *, bool fresh, char why[SET_FILE_WHY]);
/* The chain of a file whose last document is signed as it must be, and its gate. */
int set_file_load(const char *path, struct rootset **ret, uint8_t ret_gate[32], char why[SET_FILE_WHY]);
/* A secret key; refused when others may read it. */
int set_key_read(const char *path, uint8_t ret_ed_secret[64], char why[SET_FILE_WHY]);
int set_key_write(const char *path, const uint8_t ed_secret[64], char why[SET_FILE_WHY]);

#endif
