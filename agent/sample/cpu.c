#include <string.h>

#include "agent/sample/parse.h"
#include "agent/sample/source.h"
#include "common/check.h"

enum column { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, COLUMN_COUNT };

/* "cpu  user nice system idle iowait irq softirq steal guest guest_nice": guests are already part of user. */
static bool parse_total(const char *line, const struct sample_sink *sink)
{
    uint64_t ticks[COLUMN_COUNT] = {0};
    size_t count = 0;
    while (count < COLUMN_COUNT && parse_u64(&line, &ticks[count])) count++;
    if (count <= IDLE) return false;
    source_emit(sink, METRIC_cpu_user_ticks, ticks[USER] + ticks[NICE]);
    source_emit(sink, METRIC_cpu_system_ticks, ticks[SYSTEM] + ticks[IRQ] + ticks[SOFTIRQ]);
    source_emit(sink, METRIC_cpu_idle_ticks, ticks[IDLE]);
    if (count > IOWAIT) source_emit(sink, METRIC_cpu_iowait_ticks, ticks[IOWAIT]);
    if (count > STEAL) source_emit(sink, METRIC_cpu_steal_ticks, ticks[STEAL]);
    return true;
}

static const struct {
    const char *word;
    enum metric metric;
} rows[] = {
    {"ctxt ", METRIC_context_switches_total},
    {"procs_running ", METRIC_processes_running_count},
    {"procs_blocked ", METRIC_processes_blocked_count},
};

size_t cpu_parse(const char *text, const struct sample_sink *sink)
{
    size_t skipped = 0;
    uint64_t processors = 0;
    for (const char *line = text; line != NULL && *line != '\0'; line = parse_next_line(line)) {
        bool ok = parse_line_is_whole(line);
        const char *c = line;
        if (ok && parse_literal(&c, "cpu")) {
            if (*c == ' ')
                ok = parse_total(c, sink);
            else
                processors++;
        }
        for (size_t i = 0; ok && i < ARRAY_COUNT(rows); i++) {
            uint64_t value;
            c = line;
            if (!parse_literal(&c, rows[i].word)) continue;
            ok = parse_u64(&c, &value);
            if (ok) source_emit(sink, rows[i].metric, value);
        }
        if (!ok) skipped++;
    }
    if (processors > 0) source_emit(sink, METRIC_cpu_count, processors);
    return skipped;
}
