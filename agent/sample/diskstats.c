/* /proc/diskstats: major, minor, name and 11 (before 4.18), 15 (before 5.5) or 17 numbers
 * (Documentation/admin-guide/iostats.rst). */
#include "agent/sample/parse.h"
#include "agent/sample/source.h"
#include "common/check.h"

#define FIELDS_MIN 11

static const enum metric fields[] = {
    METRIC_disk_reads_total,
    METRIC_disk_reads_merged_total,
    METRIC_disk_read_sectors_total,
    METRIC_disk_read_time_ms,
    METRIC_disk_writes_total,
    METRIC_disk_writes_merged_total,
    METRIC_disk_write_sectors_total,
    METRIC_disk_write_time_ms,
    METRIC_disk_in_flight_requests,
    METRIC_disk_busy_time_ms,
    METRIC_disk_weighted_time_ms,
    METRIC_disk_discards_total,
    METRIC_disk_discards_merged_total,
    METRIC_disk_discard_sectors_total,
    METRIC_disk_discard_time_ms,
    METRIC_disk_flushes_total,
    METRIC_disk_flush_time_ms,
};

/* All numbers of a line before the first is emitted: a cut line leaves nothing behind. */
static bool parse_line(const struct disk_filter *filter, const char *line, const struct sample_sink *sink)
{
    uint64_t device_major, device_minor;
    char name[64];
    if (!parse_u64(&line, &device_major) || !parse_u64(&line, &device_minor) || device_major > UINT32_MAX ||
        device_minor > UINT32_MAX || !parse_word(&line, name, sizeof name))
        return false;
    if (!filter->wanted(filter->owner, (unsigned)device_major, (unsigned)device_minor, name)) return true;
    uint64_t values[ARRAY_COUNT(fields)];
    size_t count = 0;
    while (count < ARRAY_COUNT(fields) && parse_u64(&line, &values[count])) count++;
    if (count < FIELDS_MIN || (count < ARRAY_COUNT(fields) && *line != '\n')) return false;
    const struct wire_label label = {.name = "device", .value = name};
    for (size_t i = 0; i < count; i++) sink->value(sink->owner, fields[i], &label, 1, parse_clamp(values[i]));
    return true;
}

size_t diskstats_parse(const struct disk_filter *filter, const char *text, const struct sample_sink *sink)
{
    size_t skipped = 0;
    for (const char *line = text; line != NULL && *line != '\0'; line = parse_next_line(line))
        if (!parse_line_is_whole(line) || !parse_line(filter, line, sink)) skipped++;
    return skipped;
}
