/* config_line.h: the lines of a text file that a person wrote, and messages that say where one is wrong. Pure.
 */
#ifndef FARLAN_UI_CONFIG_LINE_H
#define FARLAN_UI_CONFIG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ui/config.h"

/* One line of a file, NUL-terminated copy; bytes are as they came. */
struct line {
	char text[CONFIG_LINE_MAX + 1];
	size_t len;
	unsigned number;
};

/* "name:line:col: error: sentence", the line and a caret. A gate is a secret: it is not shown. */
void line_complain(char why[CONFIG_WHY], const char *name, const struct line *, size_t col, const char *sentence);
/* Calls each for every line that is neither blank nor a comment, with the offset of its first character. false: why, or each said
 * no. */
bool lines_read(const char *name, const uint8_t *bytes, size_t len, char why[CONFIG_WHY],
                bool (*each)(void *self, struct line *, size_t start), void *self);

#endif
