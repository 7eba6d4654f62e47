#include <string.h>

#include "agent/sample/parse.h"
#include "agent/sample/source.h"
#include "common/check.h"

/* Rows of meminfo that are summed into one metric stand next to each other. */
static const struct {
    const char *word;
    enum metric metric;
} meminfo_rows[] = {
    {"MemTotal:", METRIC_memory_total_kib},
    {"MemAvailable:", METRIC_memory_available_kib},
    {"MemFree:", METRIC_memory_free_kib},
    {"Buffers:", METRIC_memory_cached_kib},
    {"Cached:", METRIC_memory_cached_kib},
    {"SReclaimable:", METRIC_memory_cached_kib},
    {"Dirty:", METRIC_memory_dirty_kib},
    {"Writeback:", METRIC_memory_dirty_kib},
    {"SwapTotal:", METRIC_swap_total_kib},
    {"SwapFree:", METRIC_swap_free_kib},
};

size_t meminfo_parse(const char *text, const struct sample_sink *sink)
{
    uint64_t values[ARRAY_COUNT(meminfo_rows)] = {0};
    bool seen[ARRAY_COUNT(meminfo_rows)] = {false};
    size_t skipped = 0;
    for (const char *line = text; line != NULL && *line != '\0'; line = parse_next_line(line)) {
        for (size_t i = 0; i < ARRAY_COUNT(meminfo_rows); i++) {
            const char *c = line;
            if (!parse_literal(&c, meminfo_rows[i].word)) continue;
            seen[i] = parse_line_is_whole(line) && parse_u64(&c, &values[i]);
            if (!seen[i]) skipped++;
            break;
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(meminfo_rows);) {
        enum metric metric = meminfo_rows[i].metric;
        uint64_t sum = 0;
        bool any = false;
        for (; i < ARRAY_COUNT(meminfo_rows) && meminfo_rows[i].metric == metric; i++) {
            any = any || seen[i];
            if (__builtin_add_overflow(sum, values[i], &sum)) sum = UINT64_MAX;
        }
        if (any) source_emit(sink, metric, sum);
    }
    return skipped;
}

static const struct {
    const char *word;
    enum metric metric;
} vmstat_rows[] = {{"oom_kill ", METRIC_oom_kills_total}, {"pgmajfault ", METRIC_major_faults_total}};

size_t vmstat_parse(const char *text, const struct sample_sink *sink)
{
    size_t skipped = 0, found = 0;
    for (const char *line = text; line != NULL && *line != '\0' && found < ARRAY_COUNT(vmstat_rows);
         line = parse_next_line(line)) {
        if (*line != 'o' && *line != 'p') continue;
        for (size_t i = 0; i < ARRAY_COUNT(vmstat_rows); i++) {
            const char *c = line;
            uint64_t value;
            if (!parse_literal(&c, vmstat_rows[i].word)) continue;
            found++;
            if (parse_line_is_whole(line) && parse_u64(&c, &value))
                source_emit(sink, vmstat_rows[i].metric, value);
            else
                skipped++;
        }
    }
    return skipped;
}
