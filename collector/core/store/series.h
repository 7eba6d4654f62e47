/* Which series there are: hosts, their series with heads, and the limits on both. One thread. */
#ifndef COLLECTOR_CORE_STORE_SERIES_H
#define COLLECTOR_CORE_STORE_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/core/store/head.h"
#include "collector/core/store/table.h"
#include "proto/limits.h"

/* A row's number in a day file, valid while the day file is the same (day.h). */
struct day_number {
    int64_t day;
    uint64_t generation;
    uint32_t number;
};

struct series {
    struct series_host *host;
    const char *metric;
    const char *labels; /* labels.h; all texts of a series are one allocation behind it */
    uint64_t hash;
    struct head head;
    struct head_mark mark; /* where the head stood when the open group first touched it */
    uint64_t group;        /* the group of that mark */
    int64_t used_ms;
    struct day_number numbered;
    bool counted; /* against the limits: of a probe target's series only one is */
    bool expired; /* about to be freed by registry_expire */
};

/* How far a host's rows of the journal are sealed in one day file. */
struct sealed_mark {
    int64_t day;
    uint64_t serial;
};

struct series_host {
    char name[LIMIT_HOST_BYTES + 1];
    uint64_t hash;
    struct series **series; /* in order of appearance */
    size_t series_count, series_capacity;
    size_t counted;
    size_t samples; /* in the heads */
    uint64_t
        first_serial; /* of the journal's rows that the heads hold, the first; meaningful while samples > 0 */
    int64_t oldest_ms;         /* when that arrived */
    struct sealed_mark *marks; /* while the journal is replayed */
    size_t mark_count;
    struct day_number numbered;
};

struct registry {
    struct table hosts, series;
    struct series_host **order; /* of appearance: what sealing walks */
    size_t host_count, host_capacity;
    size_t counted;
    size_t series_max, series_per_host_max;
};

void registry_fini(struct registry *registry);

struct series_host *registry_host(struct registry *registry, const char *name); /* made where missing */

/* NULL where it is unknown and a limit forbids to make it. */
struct series *registry_series(struct registry *registry, struct series_host *host, const char *metric,
    const char *labels, bool counted, int64_t now_ms);

/* Marks as expired what has an empty head and was not used since; true if there was any. The caller forgets
 * its pointers to them and then calls registry_drop_expired. */
bool registry_expire(struct registry *registry, int64_t used_before_ms);
void registry_drop_expired(struct registry *registry);

#endif
