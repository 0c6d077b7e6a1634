/* qr.h: a text as a QR code: for a terminal in half blocks, for a page as SVG. Pure; any thread.
 */
#ifndef FARLAN_UI_QR_H
#define FARLAN_UI_QR_H

#include <stdbool.h>
#include <stdio.h>

/* The code as a whole <svg> element without script or style, scaled by its viewBox; title: what it is, for who does not see it. malloced; NULL: the
 * text is too long, or no memory. */
char *qr_svg(const char *text, const char *title);
/* Two rows a line, with the quiet zone that readers want, dark on light whatever the terminal's colours are (colour) or as the terminal prints
 * (not colour: light letters on a dark ground). false as NULL above. */
bool qr_print(FILE *out, const char *text, bool colour);

#endif
