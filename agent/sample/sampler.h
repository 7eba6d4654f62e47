/* Reads this host once a second: disks, pressure, processors, memory, network, load, filesystems. Sources are
 * rows of a table (sampler.c), one file each; a source that is not there (no PSI, no swap) is told once and
 * left out.
 *
 * Descriptors are kept open and read by pread. What can hang (statvfs on a dead mount) runs in a helper
 * process that can be abandoned; its values come with the next tick. One thread: the loop's. */
#ifndef AGENT_SAMPLE_SAMPLER_H
#define AGENT_SAMPLE_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "proto/metrics.h"
#include "proto/wire.h"

struct sampler;

/* One value of one series. Labels are borrowed for the call. */
struct sample_sink {
    void *owner;
    void (*value)(
        void *owner, enum metric metric, const struct wire_label *labels, size_t label_count, int64_t value);
};

struct sampler_options {
    const char *root; /* "" in life; a recorded tree in tests: ROOT/proc/…, ROOT/sys/… */
    const char *const
        *disks; /* device names; NULL: all whole disks, and loop devices that something is mounted from */
    size_t disk_count;
};

struct sampler *sampler_new(const struct sampler_options *options, struct error *err);
void sampler_free(struct sampler *sampler);

/* Reads everything once. now_ms: monotonic (clock_mono_ms). Devices and interfaces that vanish are skipped
 * and counted. */
void sampler_read(struct sampler *sampler, int64_t now_ms, const struct sample_sink *sink);

/* Names of the sources that this host has not (after a sampler_read), at most SAMPLER_SOURCES_MAX. */
#define SAMPLER_SOURCES_MAX 16
size_t sampler_absent(const struct sampler *sampler, const char **names);

/* Lines and reads skipped so far: cut, out of range, vanished while being read. */
uint64_t sampler_skipped(const struct sampler *sampler);

#endif
