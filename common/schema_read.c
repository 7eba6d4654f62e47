#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/check.h"
#include "common/schema_tree.h"
#include "common/timetext.h"

/* ── Scalars ── */

static const struct {
    const char *word;
    bool value;
} bool_words[] = {
    {"true", true}, {"false", false}, {"yes", true}, {"no", false}, {"on", true}, {"off", false}};

bool schema_parse_bool(const char *text, bool *value)
{
    for (size_t i = 0; i < ARRAY_COUNT(bool_words); i++) {
        if (strcasecmp(text, bool_words[i].word) != 0) continue;
        *value = bool_words[i].value;
        return true;
    }
    return false;
}

bool schema_parse_integer(const char *text, int64_t *value)
{
    if (!isdigit((unsigned char)text[text[0] == '-'])) return false;
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0') return false;
    *value = number;
    return true;
}

/* "99.9%" as a share; exact to what a double can hold. */
bool schema_parse_percent(const char *text, double *share)
{
    size_t whole = strspn(text, "0123456789");
    size_t size = whole;
    if (text[size] == '.') size += 1 + strspn(text + size + 1, "0123456789");
    if (whole == 0 || text[size - 1] == '.' || strcmp(text + size, "%") != 0 || size > 20) return false;
    *share = strtod(text, NULL) / 100;
    return true;
}

/* ── Reading what was checked ── */

const struct schema_node *schema_get(const struct schema_node *node, const char *key)
{
    if (node == NULL || node->kind != SCHEMA_MAPPING) return NULL;
    for (size_t i = 0; i < node->count; i++)
        if (strcmp(node->keys[i], key) == 0) return node->children[i];
    return NULL;
}

const char *schema_text(const struct schema_node *node, const char *otherwise)
{
    if (node != NULL && node->kind == SCHEMA_SCALAR) return node->text;
    return otherwise != NULL ? otherwise : "";
}

int64_t schema_integer(const struct schema_node *node, int64_t otherwise)
{
    int64_t value;
    return schema_parse_integer(schema_text(node, ""), &value) ? value : otherwise;
}

int64_t schema_duration_us(const struct schema_node *node, int64_t otherwise)
{
    int64_t us;
    return timetext_parse_duration(schema_text(node, ""), &us, NULL) == 0 ? us : otherwise;
}

double schema_share(const struct schema_node *node, double otherwise)
{
    double share;
    return schema_parse_percent(schema_text(node, ""), &share) ? share : otherwise;
}

bool schema_bool(const struct schema_node *node, bool otherwise)
{
    bool value;
    return schema_parse_bool(schema_text(node, ""), &value) ? value : otherwise;
}

/* ── Text to tree ── */

struct schema_tree *schema_parse(const char *text, size_t size, const char *file,
    const struct schema_field *fields, struct schema_report *report)
{
    snprintf(report->file, sizeof report->file, "%s", file);
    free(report->source);
    report->source =
        check_format("%.*s", (int)(size < SCHEMA_FILE_BYTES_MAX ? size : SCHEMA_FILE_BYTES_MAX), text);
    struct schema_tree *tree = schema_tree_build(text, size, report);
    if (tree != NULL) schema_tree_check(tree, fields, report);
    schema_report_sort(report);
    return tree;
}
