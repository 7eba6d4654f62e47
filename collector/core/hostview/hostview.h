/* What one host's newest samples say, for people: each disk's latency and load over the last ten seconds,
 * processors, memory, pressure. It judges nothing: `status` shows it, the engine does not see it. Pure; the
 * owner's thread. */
#ifndef COLLECTOR_CORE_HOSTVIEW_HOSTVIEW_H
#define COLLECTOR_CORE_HOSTVIEW_HOSTVIEW_H

#include <jansson.h>
#include <stdint.h>

#include "proto/metrics.h"

#define HOSTVIEW_DISKS_MAX 64 /* further ones are not shown; they are stored all the same */
#define HOSTVIEW_SPAN_MS   10000

struct hostview;

struct hostview *hostview_new(void);
void hostview_free(struct hostview *view);

/* One integer sample of this host. `device`: the label of disk metrics, NULL otherwise. Metrics it does not
 * show are ignored; samples older than the newest one of their series are too. */
void hostview_sample(
    struct hostview *view, enum metric metric, const char *device, int64_t time_ms, int64_t value);

/* {"disks": [{"device", "read_await_ms", "write_await_ms", "in_flight", "busy", "reads_per_s",
 * "writes_per_s"}], "cpu_busy", "memory_available", "io_pressure", "load_1m"}: shares are 0..1; null where
 * nothing is known or nothing was completed. Disks by name; those unheard for a minute are left out. New
 * reference. */
json_t *hostview_json(const struct hostview *view, int64_t now_ms);

#endif
