#include "tests/support/store_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/clock.h"

static void take_note(void *owner, const char *text)
{
    struct store_case *c = owner;
    size_t used = strlen(c->notes);
    snprintf(c->notes + used, sizeof c->notes - used, "%s\n", text);
}

bool case_open(struct store_case *c)
{
    c->err = (struct error){0};
    c->options.directory = c->directory;
    c->store = store_open(&c->options, c->now_ms, take_note, c, &c->err);
    return c->store != NULL;
}

void case_init(struct store_case *c)
{
    scratch_make(c->directory);
    if (c->now_ms == 0) c->now_ms = CASE_NOON;
    if (!case_open(c)) {
        fprintf(stderr, "store_open: %s\n", c->err.text);
        abort();
    }
}

void case_close(struct store_case *c)
{
    store_close(c->store);
    c->store = NULL;
}

void case_fini(struct store_case *c)
{
    case_close(c);
    scratch_remove(c->directory);
}

enum store_verdict case_send(
    struct store_case *c, const char *key, const char *host, const struct wire_batch *batch)
{
    struct wire_from_agent message = {.kind = WIRE_BATCH, .batch = *batch}, back;
    struct buffer frame = {0};
    struct arena arena = {0};
    enum store_verdict verdict = STORE_FULL;
    if (wire_encode_from_agent(&message, &frame, &c->err) != 0 ||
        wire_decode_from_agent(buffer_span(&frame), &arena, &back, &c->err) != 0 ||
        store_append(c->store, key, host, &back.batch, buffer_span(&frame), c->now_ms, &verdict, &c->err) !=
            0) {
        fprintf(stderr, "case_send: %s\n", c->err.text);
        abort();
    }
    arena_fini(&arena);
    buffer_fini(&frame);
    return verdict;
}

enum store_verdict case_send_series(
    struct store_case *c, uint64_t incarnation, uint64_t sequence, const struct case_series *series)
{
    const struct wire_dict_entry dict = {.id = series->id,
        .metric = series->metric,
        .labels = {{"device", series->device}},
        .label_count = series->device != NULL};
    const struct wire_rows rows = {.series = &series->id,
        .series_count = 1,
        .times_ms = series->times_ms,
        .time_count = series->count,
        .ints = series->ints,
        .doubles = series->doubles};
    const struct wire_batch batch = {.incarnation = incarnation,
        .sequence = sequence,
        .base_ms = series->count > 0 ? series->times_ms[0] : 0,
        .dict = &dict,
        .dict_count = series->with_dict,
        .rows = &rows,
        .rows_count = 1};
    return case_send(c, CASE_KEY, "app1", &batch);
}

bool case_commit(struct store_case *c)
{
    return store_commit(c->store, &c->err) == 0;
}

bool case_seal(struct store_case *c, bool everything)
{
    int more;
    while ((more = store_seal(c->store, c->now_ms, everything, &c->err)) == 1) continue;
    return more == 0;
}

bool case_query(struct store_case *c, const char *metric, const char *host, int64_t from_ms, int64_t to_ms,
    enum store_aggregate aggregate, int64_t step_ms, struct store_result *result)
{
    const struct store_selector selector = {
        .metric = metric, .host = host, .from_ms = from_ms, .to_ms = to_ms};
    struct buffer heads = {0};
    struct store_reader *reader = store_reader_open(c->directory, &c->err);
    bool good = reader != NULL &&
                (c->store == NULL || store_heads(c->store, &selector, &heads, &c->err) == 0) &&
                store_query(reader, &selector, aggregate, step_ms, buffer_span(&heads),
                    clock_mono_ms() + 20000, 1000000, result, &c->err) == 0;
    store_reader_close(reader);
    buffer_fini(&heads);
    return good;
}
