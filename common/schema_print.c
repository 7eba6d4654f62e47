#include <assert.h>
#include <string.h>

#include "common/check.h"
#include "common/schema.h"

static const char *const type_words[] = {
    [SCHEMA_TEXT] = "text",
    [SCHEMA_NAME] = "name",
    [SCHEMA_BOOL] = "yes or no",
    [SCHEMA_INTEGER] = "number",
    [SCHEMA_DURATION] = "duration",
    [SCHEMA_PERCENT] = "percent",
    [SCHEMA_URL] = "URL",
    [SCHEMA_CHOICE] = "word",
    [SCHEMA_FILE] = "file",
    [SCHEMA_REFERENCE] = "reference",
    [SCHEMA_LIST] = "list",
    [SCHEMA_MAP] = "map",
    [SCHEMA_OBJECT] = "object",
    [SCHEMA_ANY_OF] = "",
};
static_assert(ARRAY_COUNT(type_words) == SCHEMA_TYPE_COUNT, "a word per type");

/* "list of URL", "one of a b c", "number 1..5", "name in hosts". */
static void describe(const struct schema_field *field, char *out, size_t size)
{
    char inner[120] = "";
    switch (field->type) {
    case SCHEMA_LIST:
    case SCHEMA_MAP:
        describe(field->element, inner, sizeof inner);
        snprintf(out, size, "%s of %s", type_words[field->type], inner);
        break;
    case SCHEMA_CHOICE: snprintf(out, size, "one of: %s", field->words); break;
    case SCHEMA_REFERENCE: snprintf(out, size, "name in %s", field->words); break;
    case SCHEMA_INTEGER:
        if (field->min != 0 || field->max != 0)
            snprintf(out, size, "number %lld..%lld", (long long)field->min, (long long)field->max);
        else
            snprintf(out, size, "number");
        break;
    case SCHEMA_ANY_OF: {
        size_t used = 0;
        for (const struct schema_field *row = field->fields; row->name != NULL && used < size; row++) {
            describe(row, inner, sizeof inner);
            used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? ", or " : "", inner);
        }
        break;
    }
    default: snprintf(out, size, "%s", type_words[field->type]); break;
    }
}

static void print_rows(const struct schema_field *fields, const char *prefix, FILE *out);

/* The keys of what a row holds: "services.NAME.url", "through[].balancer". */
static void print_below(const struct schema_field *field, const char *path, FILE *out)
{
    char below[256];
    switch (field->type) {
    case SCHEMA_OBJECT:
        snprintf(below, sizeof below, "%s.", path);
        print_rows(field->fields, below, out);
        break;
    case SCHEMA_MAP:
        snprintf(below, sizeof below, "%s.NAME", path);
        print_below(field->element, below, out);
        break;
    case SCHEMA_LIST:
        snprintf(below, sizeof below, "%s[]", path);
        print_below(field->element, below, out);
        break;
    case SCHEMA_ANY_OF:
        for (const struct schema_field *row = field->fields; row->name != NULL; row++)
            print_below(row, path, out);
        break;
    default: break;
    }
}

static void print_rows(const struct schema_field *fields, const char *prefix, FILE *out)
{
    for (const struct schema_field *field = fields; field->name != NULL; field++) {
        char path[256], type[160];
        snprintf(path, sizeof path, "%s%s", prefix, field->name);
        describe(field, type, sizeof type);
        fprintf(out, "%-40s %s", path, type);
        if (field->required) fputs(", required", out);
        if (field->fallback != NULL)
            fprintf(out, ", default %s", field->fallback[0] != '\0' ? field->fallback : "\"\"");
        if (field->help != NULL) fprintf(out, ": %s", field->help);
        if (field->not_yet != NULL) fprintf(out, " [not carried out yet: %s]", field->not_yet);
        fputc('\n', out);
        print_below(field, path, out);
    }
}

void schema_print(const struct schema_field *fields, FILE *out)
{
    print_rows(fields, "", out);
}
