#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/schema.h"
#include "common/span.h"

#define EXCERPT_COLUMNS 100 /* of a source line that is shown */

void schema_report_fini(struct schema_report *report)
{
    if (report == NULL) return;
    free(report->source);
    report->source = NULL;
}

/* Bytes of the UTF-8 character at `text`, 0 if there is none (RFC 3629: no overlong forms, no surrogates). */
static size_t utf8_size(const char *text, size_t size)
{
    const unsigned char *c = (const unsigned char *)text;
    if (size == 0) return 0;
    if (c[0] < 0x80) return 1;
    size_t need = c[0] >= 0xc2 && c[0] <= 0xdf   ? 2
                  : (c[0] & 0xf0) == 0xe0        ? 3
                  : c[0] >= 0xf0 && c[0] <= 0xf4 ? 4
                                                 : 0;
    if (need == 0 || need > size) return 0;
    for (size_t i = 1; i < need; i++)
        if ((c[i] & 0xc0) != 0x80) return 0;
    if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) || (c[0] == 0xf0 && c[1] < 0x90) ||
        (c[0] == 0xf4 && c[1] > 0x8f))
        return 0;
    return need;
}

/* What terminals and JSON can show: bytes that are no text become '?'. */
static void make_printable(char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        size_t size = utf8_size(text, left);
        if (size == 0 || (unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = '?';
            size = 1;
        }
        text += size;
        left -= size;
    }
}

void schema_problem(struct schema_report *report, enum schema_level level, const struct schema_node *node,
    const char *format, ...)
{
    if (level == SCHEMA_ERROR) report->errors++;
    if (report->count == SCHEMA_PROBLEMS_MAX) {
        report->left_out++;
        return;
    }
    struct schema_problem *problem = &report->problems[report->count++];
    problem->level = level;
    problem->line = node != NULL ? node->line : 0;
    problem->column = node != NULL ? node->column : 0;
    va_list args;
    va_start(args, format);
    vsnprintf(problem->text, sizeof problem->text, format, args);
    va_end(args);
    make_printable(problem->text);
}

void schema_report_sort(struct schema_report *report)
{
    /* Few, mostly sorted, and the order of equals counts: by insertion. */
    for (size_t i = 1; i < report->count; i++) {
        struct schema_problem problem = report->problems[i];
        size_t at = i;
        for (; at > 0; at--) {
            const struct schema_problem *before = &report->problems[at - 1];
            if (before->line < problem.line ||
                (before->line == problem.line && before->column <= problem.column))
                break;
            report->problems[at] = *before;
        }
        report->problems[at] = problem;
    }
}

/* ── Printing ── */

static struct span source_line(const char *source, int line)
{
    for (; line > 1; line--) {
        const char *end = strchr(source, '\n');
        if (end == NULL) return span_of(source, 0);
        source = end + 1;
    }
    return span_of(source, strcspn(source, "\r\n"));
}

/* Shows the columns from `first` on, with tabs as one space and dots where the line goes on. */
static void print_excerpt(struct span line, int first, FILE *out)
{
    const char *text = (const char *)line.data;
    int column = 1;
    if (first > 1) fputs("...", out);
    for (size_t i = 0; i < line.size; column++) {
        if (column >= first + EXCERPT_COLUMNS) {
            fputs("...", out);
            break;
        }
        size_t size = utf8_size(text + i, line.size - i);
        bool mark = size == 3 && memcmp(text + i, "\xef\xbb\xbf", 3) == 0; /* invisible otherwise */
        bool printable = (size > 1 && !mark) || (size == 1 && isprint((unsigned char)text[i]));
        if (column >= first)
            fprintf(out, "%.*s", printable ? (int)size : 1,
                printable         ? text + i
                : text[i] == '\t' ? " "
                                  : "?");
        i += size > 0 ? size : 1;
    }
    fputc('\n', out);
}

static void print_problem(
    const struct schema_report *report, const struct schema_problem *problem, FILE *out, bool colour)
{
    static const struct {
        const char *word, *colour;
    } levels[] = {[SCHEMA_ERROR] = {"error", "\033[1;31m"}, [SCHEMA_WARNING] = {"warning", "\033[1;33m"}};
    const char *strong = colour ? "\033[1m" : "", *plain = colour ? "\033[0m" : "";
    fprintf(out, "%s%s:", strong, report->file);
    if (problem->line > 0) fprintf(out, "%d:%d:", problem->line, problem->column);
    fprintf(out, "%s %s%s:%s %s\n", plain, colour ? levels[problem->level].colour : "",
        levels[problem->level].word, plain, problem->text);
    if (problem->line <= 0 || report->source == NULL) return;
    struct span line = source_line(report->source, problem->line);
    if (line.size == 0) return;
    int first = problem->column > EXCERPT_COLUMNS - 20 ? problem->column - EXCERPT_COLUMNS / 2 : 1;
    fprintf(out, "%5d | ", problem->line);
    print_excerpt(line, first, out);
    fprintf(out, "      | %*s%s^%s\n", problem->column - first + (first > 1 ? 3 : 0), "",
        colour ? levels[problem->level].colour : "", plain);
}

void schema_report_print(const struct schema_report *report, FILE *out, bool colour)
{
    struct schema_report *sorted = check_alloc(sizeof *sorted);
    *sorted = *report;
    schema_report_sort(sorted);
    for (size_t i = 0; i < sorted->count; i++) print_problem(sorted, &sorted->problems[i], out, colour);
    if (sorted->left_out > 0) fprintf(out, "%s: and %zu more problems\n", sorted->file, sorted->left_out);
    free(sorted);
}

/* ── Did you mean ── */

#define WORD_MAX 64

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Damerau-Levenshtein (optimal string alignment), case ignored; words of at most WORD_MAX bytes. */
static size_t edit_distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_size; j++) above[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            int left = tolower((unsigned char)a[i - 1]), right = tolower((unsigned char)b[j - 1]);
            row[j] = smallest(above[j] + 1, row[j - 1] + 1, above[j - 1] + (left != right));
            bool swapped = i > 1 && j > 1 && left == tolower((unsigned char)b[j - 2]) &&
                           right == tolower((unsigned char)a[i - 2]);
            if (swapped && before[j - 2] + 1 < row[j]) row[j] = before[j - 2] + 1;
        }
        size_t *free_row = before;
        before = above;
        above = row;
        row = free_row;
    }
    return above[b_size];
}

const char *schema_suggest(const char *word, const char *const *words, size_t count)
{
    size_t size = strlen(word);
    if (size == 0 || size > WORD_MAX) return NULL;
    const char *best = NULL;
    size_t best_distance = size / 3;
    for (size_t i = 0; i < count; i++) {
        size_t other = strlen(words[i]);
        if (other > WORD_MAX || (other > size ? other - size : size - other) > best_distance) continue;
        size_t distance = edit_distance(word, size, words[i], other);
        if (distance > best_distance || (best != NULL && distance == best_distance)) continue;
        best = words[i];
        best_distance = distance;
    }
    return best;
}
