/* qr.c: libqrencode's matrix of modules, drawn.
 *
 * The lowest level of correction, for a code on a screen is not dirty and one with fewer modules is read from farther away. A quiet zone
 * of four modules belongs to the code (ISO/IEC 18004). In the SVG each row is drawn as runs of one path, so that it stays small. In a
 * terminal a character carries two rows; readers want dark on light, so the terminal is told both colours where it knows them, and else
 * the light modules are the ones that are printed.
 */
#include "ui/qr.h"

#include <qrencode.h>
#include <stdlib.h>
#include <string.h>

#define QUIET 4

static QRcode *encode(const char *text)
{
	return QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
}

static bool dark(const QRcode *code, int x, int y)
{
	return x >= 0 && y >= 0 && x < code->width && y < code->width && code->data[y * code->width + x] & 1;
}

static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '<': fputs("&lt;", out); break;
		case '>': fputs("&gt;", out); break;
		case '&': fputs("&amp;", out); break;
		default:
			if ((unsigned char)*text >= 0x20)
				fputc(*text, out);
		}
}

static void put_row(FILE *out, const QRcode *code, int y)
{
	for (int x = 0, n; x < code->width; x += n) {
		for (n = 1; x + n < code->width && dark(code, x + n, y) == dark(code, x, y); n++)
			;
		if (dark(code, x, y))
			fprintf(out, "M%d %dh%dv1h-%dz", x + QUIET, y + QUIET, n, n);
	}
}

char *qr_svg(const char *text, const char *title)
{
	char *svg = NULL;
	size_t len;
	QRcode *code = encode(text);
	FILE *out = code ? open_memstream(&svg, &len) : NULL;
	if (out) {
		int side = code->width + 2 * QUIET;
		fprintf(
		    out,
		    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" shape-rendering=\"crispEdges\"><title>",
		    side, side);
		put_escaped(out, title);
		fprintf(out, "</title><path fill=\"#fff\" d=\"M0 0h%dv%dh-%dz\"/><path fill=\"#000\" d=\"", side, side, side);
		for (int y = 0; y < code->width; y++)
			put_row(out, code, y);
		fputs("\"/></svg>", out);
		if (fclose(out)) {
			free(svg);
			svg = NULL;
		}
	}
	QRcode_free(code);
	return svg;
}

bool qr_print(FILE *out, const char *text, bool colour)
{
	/* [upper light][lower light] */
	static const char *const half[2][2] = {{" ", "\u2584"}, {"\u2580", "\u2588"}};
	QRcode *code = encode(text);
	if (!code)
		return false;
	for (int y = -QUIET; y < code->width + QUIET; y += 2) {
		if (colour)
			fputs("\033[38;5;231;48;5;16m", out);
		for (int x = -QUIET; x < code->width + QUIET; x++) /* below the last row of an odd number the terminal's own ground */
			fputs(half[!dark(code, x, y)][y + 1 < code->width + QUIET && !dark(code, x, y + 1)], out);
		fputs(colour ? "\033[0m\n" : "\n", out);
	}
	QRcode_free(code);
	return true;
}
