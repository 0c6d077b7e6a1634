/* qr_test.c: the code is one: its three corners, its quiet zone, the same modules in the terminal and in the SVG, nothing foreign in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/qr.h"

#define QUIET 4
#define ROOM  200

/* light[y][x] of the printed code; returns its side. */
static int printed(const char *text, bool light[ROOM][ROOM])
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);
	int x = 0, y = 0, side = 0;
	assert_true(qr_print(f, text, false));
	fclose(f);
	for (const char *p = out; *p;) {
		assert_true(x < ROOM && y + 1 < ROOM);
		if (*p == '\n') {
			side = x;
			x = 0;
			y += 2;
			p++;
			continue;
		}
		bool full = !strncmp(p, "\u2588", 3), up = !strncmp(p, "\u2580", 3), down = !strncmp(p, "\u2584", 3);
		assert_true(full || up || down || *p == ' ');
		light[y][x] = full || up;
		light[y + 1][x++] = full || down;
		p += *p == ' ' ? 1 : 3;
	}
	free(out);
	assert_true(y == side || y == side + 1);
	return side;
}

/* dark[y][x] as the path of the SVG draws it. */
static int drawn(const char *svg, bool dark[ROOM][ROOM])
{
	int side = 0, high = 0, x, y, n, back;
	const char *box = strstr(svg, "viewBox=\"0 0 "), *p = strstr(svg, "#000\" d=\"");
	assert_non_null(box);
	assert_non_null(p);
	assert_int_equal(sscanf(box, "viewBox=\"0 0 %d %d\"", &side, &high), 2);
	assert_int_equal(side, high);
	assert_in_range(side, 21 + 2 * QUIET, ROOM);
	for (p = strchr(p, 'M'); p && *p == 'M'; p = strchr(p, 'z') + 1) {
		assert_int_equal(sscanf(p, "M%d %dh%dv1h-%dz", &x, &y, &n, &back), 4);
		assert_int_equal(n, back);
		for (int i = 0; i < n; i++)
			dark[y][x + i] = true;
	}
	return side;
}

/* A finder: 7 by 7 dark, a light ring in it, 3 by 3 dark. */
static void finder(bool dark[ROOM][ROOM], int x0, int y0)
{
	for (int y = 0; y < 7; y++)
		for (int x = 0; x < 7; x++) {
			int ring = x < y ? x : y;
			ring = 6 - x < ring ? 6 - x : ring;
			ring = 6 - y < ring ? 6 - y : ring;
			assert_int_equal(dark[y0 + y][x0 + x], ring != 1);
		}
}

static void same_everywhere(void **state)
{
	static bool dark[ROOM][ROOM], light[ROOM][ROOM];
	char text[600];
	(void)state;
	memset(text, 'a', sizeof text);
	text[sizeof text - 1] = 0;
	char *svg = qr_svg(text, "a code");
	assert_non_null(svg);
	int side = drawn(svg, dark);
	assert_int_equal(printed(text, light), side);
	assert_int_equal((side - 2 * QUIET - 17) % 4, 0); /* 17 + 4 times the version */
	for (int y = 0; y < side; y++)
		for (int x = 0; x < side; x++) {
			assert_int_equal(dark[y][x], !light[y][x]);
			if (x < QUIET || y < QUIET || x >= side - QUIET || y >= side - QUIET)
				assert_false(dark[y][x]);
		}
	finder(dark, QUIET, QUIET);
	finder(dark, side - QUIET - 7, QUIET);
	finder(dark, QUIET, side - QUIET - 7);
	free(svg);
}

static void nothing_foreign(void **state)
{
	(void)state;
	char *svg = qr_svg("farlan://v1/x", "<script>alert(1)</script>&\"\x01");
	assert_non_null(svg);
	assert_non_null(strstr(svg, "<title>&lt;script&gt;alert(1)&lt;/script&gt;&amp;\"</title>"));
	assert_null(strstr(svg, "<script"));
	assert_null(strstr(svg, "style"));
	assert_null(strchr(svg, '\x01'));
	assert_int_equal(strncmp(svg, "<svg ", 5), 0);
	assert_string_equal(svg + strlen(svg) - 6, "</svg>");
	free(svg);
}

static void too_long(void **state)
{
	static char text[4000];
	FILE *none = fopen("/dev/null", "w");
	(void)state;
	memset(text, 'x', sizeof text - 1);
	assert_null(qr_svg(text, ""));
	assert_false(qr_print(none, text, true));
	text[2900] = 0;
	assert_true(qr_print(none, text, true));
	fclose(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(same_everywhere), cmocka_unit_test(nothing_foreign),
	                                   cmocka_unit_test(too_long)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
