/* Reads time series: sealed blocks from the day files (read-only, by itself), what is not sealed from `heads`
 * where the caller can reach the store role. Any process; one thread per reader. Never writes, never
 * checkpoints (wal_autocheckpoint=0, NO_CKPT_ON_CLOSE, no mmap): SQLite 3.40.1 can lose commits otherwise. */
#ifndef COLLECTOR_CORE_STORE_STORE_READ_H
#define COLLECTOR_CORE_STORE_STORE_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/span.h"

/* What to read. from inclusive, to exclusive. Matchers: every given label must be equal. */
struct store_selector {
    const char *metric;
    const char *host;          /* NULL: all */
    const char *const *labels; /* name, value, … */
    size_t label_count;        /* pairs */
    int64_t from_ms, to_ms;
};

enum store_aggregate {
    STORE_RAW,
    STORE_AVG,
    STORE_MIN,
    STORE_MAX,
    STORE_SUM,
    STORE_P50,
    STORE_P99,
    STORE_RATE,
    STORE_LAST,
    STORE_COUNT
};
/* "avg", "min", …; -1 for an unknown word. */
int store_aggregate_parse(const char *word, enum store_aggregate *aggregate);

struct store_point {
    int64_t time_ms; /* of the sample, or the start of the step */
    double value;    /* as people see it: divided by the metric's scale; integers up to 2^53 exact */
};

struct store_series {
    const char *host;
    const char *labels;         /* "device=vda,…" sorted; "" none */
    struct store_point *points; /* ascending, no repeated time */
    size_t count;
};

struct store_result {
    struct store_series *series; /* by host, then labels */
    size_t count;
    bool truncated; /* points_max was reached, or too many values in one step of a quantile */
    size_t damaged; /* blocks and files left out because they are not what was written */
    void *memory;   /* owner of all of it */
};

struct store_reader;

/* The store's directory; no lock needed. */
struct store_reader *store_reader_open(const char *directory, struct error *err);
void store_reader_close(struct store_reader *reader);

/* heads: what store_heads wrote, or empty; ask for them before this call, since what is sealed in between is
 * then seen twice, which is noticed, and not missed. Steps count from from_ms. step_ms 0: every sample with
 * STORE_RAW (which takes no step) and STORE_RATE, else all of from..to as one step. What the aggregates mean
 * is in aggregate.h; STORE_RATE of a metric that is no counter is ERROR_INPUT. deadline_mono_ms bounds the
 * time (ERROR_LIMIT), points_max the answer. */
int store_query(struct store_reader *reader, const struct store_selector *selector,
    enum store_aggregate aggregate, int64_t step_ms, struct span heads, int64_t deadline_mono_ms,
    size_t points_max, struct store_result *result, struct error *err);
void store_result_fini(struct store_result *result);

struct store_series_name {
    const char *host, *metric, *labels;
};

struct store_series_names {
    struct store_series_name *items; /* by metric, host, labels; none twice */
    size_t count;
    bool truncated; /* names_max was reached */
    size_t damaged; /* files left out */
    void *memory;
};

/* Which series have been sealed in the days of from..to (a new series: two minutes after its first sample at
 * most). metric, host: NULL all. */
int store_series_list(struct store_reader *reader, const char *metric, const char *host, int64_t from_ms,
    int64_t to_ms, size_t names_max, struct store_series_names *names, struct error *err);
void store_series_names_fini(struct store_series_names *names);

/* Takes the labels text of a series apart ("device=vda,…"; `\` and `,` in values are escaped by `\`): fills
 * name (33 bytes) and value (257) and moves on; false at the end. */
bool store_label_next(const char **cursor, char *name, char *value);

#endif
