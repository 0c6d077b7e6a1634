/* output.c: cells, tables, JSON.
 *
 * A table's width, alignment and UTF-8 are libsmartcols' business; what stands in a cell is ours. On a terminal JSON is written
 * in ASCII, so that a name cannot reorder the line it is read on; into a pipe it goes as it came.
 */
#include "ui/cli/output.h"

#include <libsmartcols.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/log.h"
#include "ui/value.h"

const char *field(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));
	return s ? s : "";
}

static void bytes_text(json_int_t n, char buf[CELL_MAX])
{
	static const char units[] = "KMGTPE";
	double v = (double)n;
	int unit = -1;
	while (v >= 1000 && unit < 5) {
		v /= 1000;
		unit++;
	}
	if (unit < 0)
		snprintf(buf, CELL_MAX, "%lld", (long long)n);
	else
		snprintf(buf, CELL_MAX, v < 10 ? "%.1f%c" : "%.0f%c", v, units[unit]);
}

static void ago_text(json_int_t ms, char buf[CELL_MAX])
{
	if (ms < 1000)
		snprintf(buf, CELL_MAX, "now");
	else if (ms < 120 * 1000)
		snprintf(buf, CELL_MAX, "%llds ago", (long long)ms / 1000);
	else if (ms < 120 * 60 * 1000)
		snprintf(buf, CELL_MAX, "%lldm ago", (long long)ms / 60000);
	else
		snprintf(buf, CELL_MAX, "%lldh ago", (long long)ms / 3600000);
}

static void time_text(json_int_t s, char buf[CELL_MAX])
{
	time_t t = (time_t)s;
	struct tm tm;
	if (!localtime_r(&t, &tm) || !strftime(buf, CELL_MAX, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(buf, CELL_MAX, "-");
}

static void number_text(json_int_t n, enum cell cell, char buf[CELL_MAX])
{
	char lasts[DURATION_TEXT];
	switch (cell) {
	case CELL_BYTES: bytes_text(n, buf); break;
	case CELL_RTT: snprintf(buf, CELL_MAX, "%.*f ms", n < 10000 ? 1 : 0, (double)n / 1000); break;
	case CELL_AGO_MS: ago_text(n, buf); break;
	case CELL_TIME: time_text(n, buf); break;
	case CELL_LASTS:
		duration_format(n > 0 ? (uint64_t)n : 0, lasts);
		snprintf(buf, CELL_MAX, "%s", lasts);
		break;
	case CELL_MS: snprintf(buf, CELL_MAX, "%lld ms", (long long)n); break;
	case CELL_COUNT:
	case CELL_TEXT:
	case CELL_YES_NO:
	case CELL_LIST:
	case CELL_FLAGS: snprintf(buf, CELL_MAX, "%lld", (long long)n); break;
	}
}

static void add_word(char buf[CELL_MAX], const char *word)
{
	char shown[CELL_MAX];
	size_t n = strlen(buf);
	log_text(shown, sizeof(shown), word, strlen(word));
	snprintf(buf + n, CELL_MAX - n, "%s%s", n ? " " : "", shown);
}

const char *cell_text(const json_t *object, const char *name, enum cell cell, char buf[CELL_MAX])
{
	const json_t *value = json_object_get(object, name), *one;
	size_t i;
	const char *key;
	json_t *flag;
	*buf = 0;
	if (json_is_string(value))
		log_text(buf, CELL_MAX, json_string_value(value), json_string_length(value));
	else if (json_is_real(value))
		snprintf(buf, CELL_MAX, "%.1f%s", json_real_value(value), cell == CELL_MS ? " ms" : "");
	else if (json_is_integer(value))
		number_text(json_integer_value(value), cell, buf);
	else if (json_is_boolean(value))
		snprintf(buf, CELL_MAX, "%s", json_is_true(value) ? "yes" : "no");
	else if (json_is_array(value))
		json_array_foreach(value, i, one)
		{
			add_word(buf, json_is_string(one) ? json_string_value(one) : "?");
		}
	else if (json_is_object(value))
		json_object_foreach((json_t *)value, key, flag)
		{
			if (json_is_true(flag))
				add_word(buf, key);
		}
	if (!*buf)
		snprintf(buf, CELL_MAX, "-");
	return buf;
}

int output_table(const json_t *array, const struct column *columns)
{
	struct libscols_table *table;
	struct libscols_line *line;
	const json_t *row;
	size_t i;
	char buf[CELL_MAX];
	int code = EXIT_OK;
	scols_init_debug(0);
	table = scols_new_table();
	if (!table)
		return complain(EXIT_FAILED, "out of memory");
	scols_table_enable_noencoding(table, 1); /* cells are escaped already; twice would be unreadable */
	for (const struct column *c = columns; c->title; c++) {
		bool right = c->cell == CELL_COUNT || c->cell == CELL_BYTES || c->cell == CELL_RTT || c->cell == CELL_MS;
		if (!scols_table_new_column(table, c->title, 0, right ? SCOLS_FL_RIGHT : 0))
			code = EXIT_FAILED;
	}
	json_array_foreach(array, i, row)
	{
		size_t k = 0;
		line = scols_table_new_line(table, NULL);
		for (const struct column *c = columns; line && c->title; c++)
			if (scols_line_set_data(line, k++, cell_text(row, c->name, c->cell, buf)))
				code = EXIT_FAILED;
		if (!line)
			code = EXIT_FAILED;
	}
	if (code || (json_array_size(array) && scols_print_table(table)))
		code = complain(EXIT_FAILED, "the table cannot be printed");
	scols_unref_table(table);
	return code;
}

int output_lines(const json_t *object, const struct column *columns)
{
	char buf[CELL_MAX];
	for (const struct column *c = columns; c->title; c++)
		printf("%-12s %s\n", c->title, cell_text(object, c->name, c->cell, buf));
	return EXIT_OK;
}

void output_object(const json_t *object, bool indented)
{
	size_t flags = indented ? JSON_INDENT(2) : JSON_COMPACT;
	if (isatty(STDOUT_FILENO))
		flags |= JSON_ENSURE_ASCII;
	json_dumpf(object, stdout, flags);
	putchar('\n');
}

/* The element with its schema in front. */
static void output_element(json_t *element, const char *schema)
{
	json_t *o = json_object();
	json_object_set_new(o, "schema", json_string(schema));
	json_object_update(o, element);
	output_object(o, false);
	json_decref(o);
}

int output_json(const struct call *call, const json_t *object, const char *member, const char *schema)
{
	json_t *one;
	size_t i;
	if (call->format == FORMAT_JSON)
		output_object(object, true);
	else if (!member)
		output_object(object, false);
	else
		json_array_foreach(json_object_get(object, member), i, one)
		{
			output_element(one, schema);
		}
	return EXIT_OK;
}
