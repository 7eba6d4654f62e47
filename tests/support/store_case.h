/* A store in a directory of its own, fed with batches that went over the wire's encoder, and asked through
 * the reader. */
#ifndef TESTS_SUPPORT_STORE_CASE_H
#define TESTS_SUPPORT_STORE_CASE_H

#include "collector/core/store/store.h"
#include "collector/core/store/store_read.h"
#include "tests/support/scratch.h"

#define CASE_KEY       "0123456789012345678901234567890123456789"
#define CASE_NOON      1795435200000 /* 2026-11-23 12:00 UTC */
#define CASE_ROWS_MAX  4
#define CASE_TIMES_MAX 4000

struct store_case {
    char directory[SCRATCH_SIZE];
    struct store_options options;
    struct store *store;
    int64_t now_ms;
    char notes[4096]; /* what the store told, a line each */
    struct error err;
};

/* A batch of one series: id 1, metric, label device=LABEL; values value_at(time). */
struct case_series {
    uint32_t id;
    const char *metric, *device;
    bool with_dict;
    const int64_t *times_ms;
    const int64_t *ints; /* or */
    const double *doubles;
    size_t count;
};

void case_init(struct store_case *c); /* opens, or ends the program */
bool case_open(struct store_case *c); /* false: c->err says why */
void case_close(struct store_case *c);
void case_fini(struct store_case *c); /* closes and removes */

/* Encodes, decodes and appends. */
enum store_verdict case_send(
    struct store_case *c, const char *key, const char *host, const struct wire_batch *batch);
enum store_verdict case_send_series(
    struct store_case *c, uint64_t incarnation, uint64_t sequence, const struct case_series *series);
bool case_commit(struct store_case *c);
bool case_seal(struct store_case *c, bool everything); /* until there is nothing more to do */

/* Asks for all series of a metric, heads included where the store is open. */
bool case_query(struct store_case *c, const char *metric, const char *host, int64_t from_ms, int64_t to_ms,
    enum store_aggregate aggregate, int64_t step_ms, struct store_result *result);

#endif
