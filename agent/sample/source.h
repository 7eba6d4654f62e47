/* The parsers behind the sampler's table: text of one file of /proc in, values out. Pure: no file, no clock,
 * no allocation. Each returns how many lines it had to skip because they were cut, out of range or not of the
 * known shape; fields that a newer kernel appended are ignored, fields that an older one lacks are left out.
 */
#ifndef AGENT_SAMPLE_SOURCE_H
#define AGENT_SAMPLE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/sample/sampler.h"

static inline void source_emit(const struct sample_sink *sink, enum metric metric, uint64_t value)
{
    sink->value(sink->owner, metric, NULL, 0, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

/* Which devices of diskstats to report. */
struct disk_filter {
    void *owner;
    bool (*wanted)(void *owner, unsigned device_major, unsigned device_minor, const char *name);
};

size_t diskstats_parse(const struct disk_filter *filter, const char *text, const struct sample_sink *sink);

/* /proc/pressure/{cpu,io,memory}: `total=` of the lines some and full (Documentation/accounting/psi.rst). */
size_t pressure_cpu_parse(const char *text, const struct sample_sink *sink);
size_t pressure_io_parse(const char *text, const struct sample_sink *sink);
size_t pressure_memory_parse(const char *text, const struct sample_sink *sink);

size_t cpu_parse(const char *text, const struct sample_sink *sink);         /* /proc/stat */
size_t load_parse(const char *text, const struct sample_sink *sink);        /* /proc/loadavg */
size_t uptime_parse(const char *text, const struct sample_sink *sink);      /* /proc/uptime */
size_t meminfo_parse(const char *text, const struct sample_sink *sink);     /* /proc/meminfo */
size_t vmstat_parse(const char *text, const struct sample_sink *sink);      /* /proc/vmstat */
size_t network_parse(const char *text, const struct sample_sink *sink);     /* /proc/net/dev */
size_t tcp_parse(const char *text, const struct sample_sink *sink);         /* /proc/net/snmp */
size_t self_memory_parse(const char *text, const struct sample_sink *sink); /* /proc/self/statm */

/* One line of /proc/self/mountinfo. */
#define MOUNT_PATH_BYTES 256
struct mount_entry {
    unsigned device_major, device_minor;
    char root[MOUNT_PATH_BYTES];
    char point[MOUNT_PATH_BYTES]; /* unescaped */
    char type[32];
};
/* Reads the line at *cursor and moves it to the next one (NULL at the end). False: a line not of that shape,
 * or a path longer than the bound. */
bool mount_parse_line(const char **cursor, struct mount_entry *entry);

/* Whether statvfs of this mount says something that a person would act on: no kernel-made trees, no image
 * that is always full, no container's layer. */
bool mount_is_real(const struct mount_entry *entry);

#endif
