/* tag.h: tags of members as text: ascending, a blank between. Pure. */
#ifndef FARLAN_CONTROLLER_TAG_H
#define FARLAN_CONTROLLER_TAG_H

#include "controller/controller.h"

#define TAGS_TEXT (TAGS_MAX * (TAG_BYTES + 1) + 1)

void tags_text(const struct tags *, char ret[TAGS_TEXT]);
void tags_read(const char *text, struct tags *ret); /* what is no tag is left out */
bool tags_same(const struct tags *, const struct tags *);

#endif
