#include "collector/web/metrics_text.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"

#define NAME_SIZE 128

/* Members that count without saying so in their name. */
static const char *const counters[] = {
    "batches",
    "samples",
    "repeated",
    "refused_time",
    "refused_series",
    "refused_value",
    "commits",
    "commit_us",
    "seals",
    "gap_samples",
};

/* What a member's name says about its value, and what the name becomes. */
static const struct unit {
    const char *suffix, *becomes;
    double factor;
} units[] = {
    {"_us", "_seconds", 1e-6},
    {"_ms", "_seconds", 1e-3},
    {"_kib", "_bytes", 1024},
    {"_count", "", 1},
};

void metrics_family(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_format(out, NULL, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_value(struct buffer *out, double value)
{
    if (isnan(value))
        buffer_format(out, NULL, " NaN\n");
    else if (isinf(value))
        buffer_format(out, NULL, " %sInf\n", value > 0 ? "+" : "-");
    else
        buffer_format(out, NULL, " %.15g\n", value);
}

void metrics_sample(
    struct buffer *out, const char *name, const char *label, const char *label_value, double value)
{
    buffer_format(out, NULL, "%s", name);
    if (label != NULL) {
        buffer_format(out, NULL, "{%s=\"", label);
        for (const char *c = label_value; *c != '\0'; c++) {
            if (*c == '\n')
                buffer_format(out, NULL, "\\n");
            else
                buffer_format(out, NULL, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
        }
        buffer_format(out, NULL, "\"}");
    }
    write_value(out, value);
}

static bool cut_suffix(char *text, const char *suffix)
{
    size_t length = strlen(text), cut = strlen(suffix);
    if (length <= cut || strcmp(text + length - cut, suffix) != 0) return false;
    text[length - cut] = '\0';
    return true;
}

static void write_count(struct buffer *out, const char *role, const char *key, double value)
{
    char stem[NAME_SIZE], name[2 * NAME_SIZE], help[3 * NAME_SIZE];
    snprintf(stem, sizeof stem, "%s", key);
    for (char *c = stem; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c)) *c = '_';
    bool counter = cut_suffix(stem, "_total");
    for (size_t i = 0; i < ARRAY_COUNT(counters); i++) counter |= strcmp(key, counters[i]) == 0;
    const char *unit = "";
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (!cut_suffix(stem, units[i].suffix)) continue;
        unit = units[i].becomes;
        value *= units[i].factor;
        break;
    }
    const char *owner = strncmp(stem, "link_", 5) == 0 ? "link" : role;
    size_t prefix = strlen(owner);
    bool prefixed = strncmp(stem, owner, prefix) == 0 && stem[prefix] == '_';
    const char *what = prefixed ? stem + prefix + 1 : stem;
    snprintf(name, sizeof name, "faultline_%s_%s%s%s", owner, what, unit, counter ? "_total" : "");
    char words[NAME_SIZE];
    snprintf(words, sizeof words, "%s", what);
    for (char *c = words; *c != '\0'; c++)
        if (*c == '_') *c = ' ';
    snprintf(help, sizeof help, "%s: %s%s.", owner, words, counter ? ", since its start" : ", now");
    metrics_family(out, name, counter ? "counter" : "gauge", help);
    metrics_sample(out, name, NULL, NULL, value);
}

void metrics_counts(struct buffer *out, const char *role, const json_t *counts)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)counts, key, value) if (json_is_number(value))
        write_count(out, role, key, json_number_value(value));
}
