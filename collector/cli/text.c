#include "collector/cli/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/timetext.h"

static const char *const escapes[TEXT_COLOUR_COUNT] = {[TEXT_PLAIN] = "",
    [TEXT_RED] = "\033[31m",
    [TEXT_YELLOW] = "\033[33m",
    [TEXT_GREEN] = "\033[32m",
    [TEXT_DIM] = "\033[2m",
    [TEXT_BOLD] = "\033[1m"};

void text_table_init(struct text_table *table, size_t columns)
{
    CHECK(columns > 0 && columns <= TEXT_COLUMNS_MAX);
    *table = (struct text_table){.columns = columns};
}

void text_cell(struct text_table *table, enum text_colour colour, const char *format, ...)
{
    if (table->count == table->capacity) {
        table->capacity = table->capacity > 0 ? table->capacity * 2 : 64;
        table->cells = check_realloc_array(table->cells, table->capacity, sizeof *table->cells);
        table->colours = check_realloc_array(table->colours, table->capacity, sizeof *table->colours);
    }
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    /* What agents and receivers said is shown, never obeyed. */
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = ' ';
    table->cells[table->count] = check_strdup(text);
    table->colours[table->count++] = colour;
}

/* Columns on the terminal: bytes that are no UTF-8 continuation. */
static int width_of(const char *text)
{
    int width = 0;
    for (; *text != '\0'; text++) width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

void text_paint(FILE *out, bool colour, enum text_colour which, const char *text)
{
    if (colour && which != TEXT_PLAIN)
        fprintf(out, "%s%s\033[0m", escapes[which], text);
    else
        fputs(text, out);
}

void text_table_print(const struct text_table *table, FILE *out, const char *indent, bool colour)
{
    int widths[TEXT_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < table->count; i++) {
        int width = width_of(table->cells[i]);
        if (width > widths[i % table->columns]) widths[i % table->columns] = width;
    }
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % table->columns;
        if (column == 0) fputs(indent, out);
        text_paint(out, colour, table->colours[i], table->cells[i]);
        bool more = false; /* no blanks at the end of a line */
        for (size_t k = i + 1; k < table->count && k % table->columns != 0; k++)
            more |= table->cells[k][0] != '\0';
        if (more) fprintf(out, "%*s", widths[column] - width_of(table->cells[i]) + 2, "");
        if (column + 1 == table->columns) fputc('\n', out);
    }
}

void text_table_fini(struct text_table *table)
{
    for (size_t i = 0; i < table->count; i++) free(table->cells[i]);
    free(table->cells);
    free(table->colours);
    *table = (struct text_table){0};
}

const char *text_latency(int64_t us, char out[static 32])
{
    if (us < 0)
        snprintf(out, 32, "-");
    else if (us < 1000)
        snprintf(out, 32, "%d us", (int)us);
    else if (us < 10000)
        snprintf(out, 32, "%.1f ms", (double)us / 1e3);
    else if (us < 1000000)
        snprintf(out, 32, "%.0f ms", (double)us / 1e3);
    else
        snprintf(out, 32, "%.1f s", (double)us / 1e6);
    return out;
}

const char *text_number(double value, char out[static 32])
{
    if (!isfinite(value))
        snprintf(out, 32, "-");
    else if (fabs(value) >= 1000 || value == floor(value))
        snprintf(out, 32, "%.0f", value);
    else
        snprintf(out, 32, "%.4g", value);
    return out;
}

const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

double text_real(const json_t *object, const char *key, double otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

int64_t text_time(const json_t *object, const char *key)
{
    int64_t ms = 0;
    const char *text = text_of(object, key);
    return text[0] != '\0' && timetext_parse(text, 0, &ms, NULL) == 0 ? ms : 0;
}

const char *text_clock(const char *rfc3339, char out[static 32])
{
    if (strlen(rfc3339) >= 19 && rfc3339[10] == 'T')
        snprintf(out, 32, "%.8s", rfc3339 + 11);
    else
        snprintf(out, 32, "-");
    return out;
}

enum text_colour text_severity_colour(const char *severity)
{
    static const struct {
        const char *word;
        enum text_colour colour;
    } rows[] = {{"page", TEXT_RED}, {"ticket", TEXT_YELLOW}, {"warning", TEXT_YELLOW}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (strcmp(rows[i].word, severity) == 0) return rows[i].colour;
    return TEXT_PLAIN;
}

enum text_colour text_state_colour(const char *state)
{
    static const struct {
        const char *word;
        enum text_colour colour;
    } rows[] = {{"healthy", TEXT_GREEN}, {"reporting", TEXT_GREEN}, {"resolved", TEXT_GREEN},
        {"open", TEXT_RED}, {"mitigated", TEXT_YELLOW}, {"unproven", TEXT_YELLOW},
        {"suspicious", TEXT_YELLOW}, {"recovering", TEXT_YELLOW}, {"redundancy lost", TEXT_YELLOW},
        {"silent", TEXT_RED}, {"never", TEXT_YELLOW}, {"no incident", TEXT_GREEN}, {"unknown", TEXT_DIM}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (strcmp(rows[i].word, state) == 0) return rows[i].colour;
    return TEXT_RED;
}
