#include "collector/cli/timeline.h"

#include <stdio.h>
#include <string.h>

#include "collector/cli/text.h"
#include "common/check.h"
#include "common/timetext.h"

const char *timeline_lasted(const json_t *incident, const char *from, const char *to, char out[static 32])
{
    int64_t from_ms = text_time(incident, from), to_ms = text_time(incident, to);
    if (from_ms == 0 || to_ms == 0 || to_ms < from_ms) return "-";
    if (to_ms - from_ms < 10000)
        snprintf(out, 32, "%.1f s", (double)(to_ms - from_ms) / 1000);
    else
        timetext_about(to_ms - from_ms, out);
    return out;
}

bool timeline_is_housekeeping(const json_t *row)
{
    return strcmp(text_of(row, "kind"), "plan") == 0;
}

static const char *over_in_words(const char *mode)
{
    static const struct {
        const char *mode, *over;
    } rows[] = {{"down", "answers again"}, {"hung", "answers again"}, {"not answering", "answers again"},
        {"partial", "answers again"}, {"silent", "reports again"}, {"slow", "is as fast as before"},
        {"errors", "answers without errors again"}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (strcmp(rows[i].mode, mode) == 0) return rows[i].over;
    return "is well again";
}

const char *timeline_text(const json_t *incident, const json_t *row, char *out, size_t size)
{
    const char *kind = text_of(row, "kind"), *text = text_of(row, "text"),
               *component = text_of(incident, "component");
    char after[32];
    if (component[0] == '\0' || strncmp(text, component, strlen(component)) != 0) return text;
    if (strcmp(kind, "resolved") == 0)
        snprintf(out, size, "%s %s, after %s", component, over_in_words(text_of(incident, "mode")),
            timeline_lasted(incident, "onset", "resolved_at", after));
    else if (strcmp(kind, "mitigated") == 0)
        snprintf(out, size, "users are served again, after %s",
            timeline_lasted(incident, "onset", "mitigated_at", after));
    else
        return text;
    return out;
}
