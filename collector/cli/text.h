/* Text for people: columns that align, numbers with their units, colour only where it is wanted. Pure but for
 * FILE. */
#ifndef COLLECTOR_CLI_TEXT_H
#define COLLECTOR_CLI_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TEXT_COLUMNS_MAX 10

enum text_colour { TEXT_PLAIN, TEXT_RED, TEXT_YELLOW, TEXT_GREEN, TEXT_DIM, TEXT_BOLD, TEXT_COLOUR_COUNT };

/* Rows of cells, printed with two spaces between columns that are as wide as their widest cell. */
struct text_table {
    size_t columns;
    char **cells; /* owned, row after row */
    enum text_colour *colours;
    size_t count, capacity;
};
void text_table_init(struct text_table *table, size_t columns);
void text_cell(struct text_table *table, enum text_colour colour, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void text_table_print(const struct text_table *table, FILE *out, const char *indent, bool colour);
void text_table_fini(struct text_table *table);

void text_paint(FILE *out, bool colour, enum text_colour which, const char *text);

/* "850 us", "12 ms", "1.2 s", "-" for what is below 0; returns out. */
const char *text_latency(int64_t us, char out[static 32]);
/* "1.20", "1200", "0.003": four significant digits at most; returns out. */
const char *text_number(double value, char out[static 32]);

/* Members of JSON objects; "" / 0 / -1 where absent or of another type. */
const char *text_of(const json_t *object, const char *key);
double text_real(const json_t *object, const char *key, double otherwise);
/* Milliseconds of an RFC 3339 member, 0 where absent. */
int64_t text_time(const json_t *object, const char *key);
/* "13:45:00" (UTC) of an RFC 3339 text, "-" where it is none; returns out. */
const char *text_clock(const char *rfc3339, char out[static 32]);

enum text_colour text_severity_colour(const char *severity);
enum text_colour text_state_colour(const char *state);

#endif
