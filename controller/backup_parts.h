/* backup_parts.h: what backup.c and restore.c have in common: the sentence of a failure and paths in a folder. Private to them. */
#ifndef FARLAN_CONTROLLER_BACKUP_PARTS_H
#define FARLAN_CONTROLLER_BACKUP_PARTS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "controller/backup.h"

__attribute__((format(printf, 3, 4))) static inline int fail(char why[BACKUP_WHY], int error, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why, BACKUP_WHY, format, args);
	va_end(args);
	return error;
}

static inline bool path_of(char buf[4096], const char *dir, const char *name)
{
	return (size_t)snprintf(buf, 4096, "%s/%s", dir, name) < 4096;
}

#endif
