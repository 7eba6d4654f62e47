#include <string.h>

#include "agent/sample/parse.h"
#include "agent/sample/source.h"

#define NOT_REPORTED METRIC_COUNT

static bool parse_line(const char *line, enum metric some, enum metric full, const struct sample_sink *sink)
{
    enum metric metric;
    if (parse_literal(&line, "some "))
        metric = some;
    else if (parse_literal(&line, "full "))
        metric = full;
    else
        return false;
    uint64_t total;
    for (char word[64]; parse_word(&line, word, sizeof word);) {
        const char *value = word;
        if (!parse_literal(&value, "total=")) continue;
        if (!parse_u64(&value, &total) || *value != '\0') return false;
        if (metric != NOT_REPORTED) source_emit(sink, metric, total);
        return true;
    }
    return false;
}

static size_t parse(const char *text, enum metric some, enum metric full, const struct sample_sink *sink)
{
    size_t skipped = 0;
    for (const char *line = text; line != NULL && *line != '\0'; line = parse_next_line(line))
        if (!parse_line_is_whole(line) || !parse_line(line, some, full, sink)) skipped++;
    return skipped;
}

/* "full" of the processors is always zero for the whole host (kernel 5.13 prints it for symmetry). */
size_t pressure_cpu_parse(const char *text, const struct sample_sink *sink)
{
    return parse(text, METRIC_pressure_cpu_some_us, NOT_REPORTED, sink);
}

size_t pressure_io_parse(const char *text, const struct sample_sink *sink)
{
    return parse(text, METRIC_pressure_io_some_us, METRIC_pressure_io_full_us, sink);
}

size_t pressure_memory_parse(const char *text, const struct sample_sink *sink)
{
    return parse(text, METRIC_pressure_memory_some_us, METRIC_pressure_memory_full_us, sink);
}
