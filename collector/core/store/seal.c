/* Sealing: heads become blocks of the day files, in steps of bounded work; then the journal is pruned. Each
 * step writes whole hosts: a host's blocks of one day and its sealed mark are one transaction of that day's
 * file, so that after a crash between two days the replay still knows what to leave out of each. */
#include <stdlib.h>
#include <string.h>

#include "collector/core/store/block.h"
#include "collector/core/store/store_inside.h"
#include "common/check.h"
#include "common/cleanup.h"

#define BLOCK_SAMPLES_MAX ((size_t)1 << 20) /* in one block */

/* A part of one series that lies within one hour. */
struct piece {
    int64_t hour;
    size_t part; /* where a column would become too long */
    struct series *series;
    const int64_t *times_ms;
    const uint64_t *bits;
    size_t count;
    size_t order;
    bool is_double;
};

struct sealing {
    struct store *store;
    struct series_host *host;
    struct run *sorted; /* of runs that were not ascending: owned copies */
    size_t sorted_count;
    struct piece *pieces;
    size_t count, capacity;
    struct block_column *columns;
    struct buffer block;
};

static void sealing_fini(struct sealing *sealing)
{
    for (size_t i = 0; i < sealing->sorted_count; i++) {
        free(sealing->sorted[i].times_ms);
        free(sealing->sorted[i].bits);
    }
    free(sealing->sorted);
    free(sealing->pieces);
    free(sealing->columns);
    buffer_fini(&sealing->block);
}

/* ---- cutting a host's heads into pieces ---- */

static void add_piece(struct sealing *sealing, const struct piece *piece)
{
    if (sealing->count == sealing->capacity) {
        sealing->capacity = sealing->capacity > 0 ? sealing->capacity * 2 : 64;
        sealing->pieces = check_realloc_array(sealing->pieces, sealing->capacity, sizeof *sealing->pieces);
    }
    sealing->pieces[sealing->count] = *piece;
    sealing->pieces[sealing->count].order = sealing->count;
    sealing->count++;
}

/* A run whose times do not ascend becomes a sorted copy without repetitions. */
static struct run ascending_run(struct sealing *sealing, const struct run *run)
{
    if (run->ascending) return *run;
    struct merged merged = {0};
    merge_runs(run, 1, &merged);
    free(merged.is_double);
    sealing->sorted =
        check_realloc_array(sealing->sorted, sealing->sorted_count + 1, sizeof *sealing->sorted);
    struct run sorted = {.times_ms = merged.times_ms,
        .bits = merged.bits,
        .count = merged.count,
        .is_double = run->is_double,
        .ascending = true};
    sealing->sorted[sealing->sorted_count++] = sorted;
    return sorted;
}

static void cut(struct sealing *sealing, struct series *series, const struct run *run)
{
    for (size_t from = 0, part = 0; from < run->count;) {
        int64_t hour = hour_of(run->times_ms[from]);
        size_t to = from;
        while (to < run->count && to - from < BLOCK_VALUES_MAX && run->times_ms[to] < (hour + 1) * HOUR_MS)
            to++;
        add_piece(sealing, &(struct piece){.hour = hour,
                               .part = part,
                               .series = series,
                               .times_ms = run->times_ms + from,
                               .bits = run->bits + from,
                               .count = to - from,
                               .is_double = run->is_double});
        part = to < run->count && hour_of(run->times_ms[to]) == hour ? part + 1 : 0;
        from = to;
    }
}

static int by_hour_part_order(const void *left, const void *right)
{
    const struct piece *a = left, *b = right;
    if (a->hour != b->hour) return a->hour < b->hour ? -1 : 1;
    if (a->part != b->part) return a->part < b->part ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static void cut_host(struct sealing *sealing)
{
    for (size_t s = 0; s < sealing->host->series_count; s++) {
        struct series *series = sealing->host->series[s];
        for (const struct head_run *run = series->head.first; run != NULL; run = run->next) {
            if (run->run.count == 0) continue;
            struct run ascending = ascending_run(sealing, &run->run);
            cut(sealing, series, &ascending);
        }
    }
    if (sealing->count > 0)
        qsort(sealing->pieces, sealing->count, sizeof *sealing->pieces, by_hour_part_order);
}

/* ---- writing ---- */

/* One block of the pieces from..to, which lie in one hour. */
static int write_block(
    struct sealing *sealing, struct day *day, uint32_t host, size_t from, size_t to, struct error *err)
{
    int64_t first_ms = INT64_MAX, last_ms = INT64_MIN;
    for (size_t i = from; i < to; i++) {
        const struct piece *piece = &sealing->pieces[i];
        uint32_t number;
        if (day_series_number(day, piece->series, &number, err) != 0) return -1;
        sealing->columns[i - from] = (struct block_column){.series = number,
            .is_double = piece->is_double,
            .times_ms = piece->times_ms,
            .bits = piece->bits,
            .count = piece->count};
        if (piece->times_ms[0] < first_ms) first_ms = piece->times_ms[0];
        if (piece->times_ms[piece->count - 1] > last_ms) last_ms = piece->times_ms[piece->count - 1];
    }
    buffer_clear(&sealing->block);
    if (block_encode(sealing->columns, to - from, &sealing->block, err) != 0) return -1;
    return day_put_block(day, host, first_ms, last_ms, buffer_span(&sealing->block), err);
}

/* The pieces from..to of one day, and the mark. */
static int write_day(struct sealing *sealing, size_t from, size_t to, struct error *err)
{
    struct store *store = sealing->store;
    int64_t number = day_of(sealing->pieces[from].hour * HOUR_MS);
    struct error local = {0};
    struct day *day = days_begin(&store->days, number, store->now_ms, &local);
    if (day == NULL && local.kind == ERROR_LIMIT && days_commit(&store->days, &local) == 0)
        day = days_begin(&store->days, number, store->now_ms, &local);
    uint32_t host;
    int result = day != NULL ? day_host_number(day, sealing->host, &host, &local) : -1;
    while (result == 0 && from < to) {
        size_t end = from, samples = 0;
        for (; end < to && sealing->pieces[end].hour == sealing->pieces[from].hour &&
               sealing->pieces[end].part == sealing->pieces[from].part && end - from < BLOCK_COLUMNS_MAX &&
               (end == from || samples + sealing->pieces[end].count <= BLOCK_SAMPLES_MAX);
             end++)
            samples += sealing->pieces[end].count;
        result = write_block(sealing, day, host, from, end, &local);
        from = end;
    }
    if (result == 0)
        result = day_put_mark(day, host, store->days.journal_id, store->committed_serial, &local);
    if (result != 0 && local.kind == ERROR_CORRUPT) {
        days_rollback(&store->days);
        days_set_aside(&store->days, number, store->now_ms, local.text, NULL);
        local.kind = ERROR_AGAIN; /* the next step writes to a new file */
    }
    if (result != 0 && err != NULL) *err = local;
    return result;
}

static int seal_host(struct store *store, struct series_host *host, struct error *err)
{
    AUTO(sealing_fini) struct sealing sealing = {.store = store, .host = host};
    cut_host(&sealing);
    sealing.columns = check_alloc_array(sealing.count, sizeof *sealing.columns);
    for (size_t from = 0; from < sealing.count;) {
        int64_t day = day_of(sealing.pieces[from].hour * HOUR_MS);
        size_t to = from;
        while (to < sealing.count && day_of(sealing.pieces[to].hour * HOUR_MS) == day) to++;
        if (write_day(&sealing, from, to, err) != 0) return -1;
        from = to;
    }
    return 0;
}

static void clear_heads(struct store *store, struct series_host *host)
{
    for (size_t s = 0; s < host->series_count; s++) head_fini(&host->series[s]->head);
    store->head_samples -= host->samples;
    host->samples = 0;
}

static bool is_due(const struct store *store, struct series_host *host, int64_t now_ms, bool everything)
{
    if (host->samples == 0) return false;
    if (host->oldest_ms > now_ms) host->oldest_ms = now_ms; /* the wall clock stepped back */
    return everything || now_ms - host->oldest_ms >= store->seal_after_ms ||
           host->samples >= STORE_HOST_SAMPLES_HIGH || store->head_samples >= STORE_HEAD_SAMPLES_HIGH;
}

/* Hosts that are due, at least one and then as many as STORE_SEAL_STEP_SAMPLES allow. */
static int seal_some(struct store *store, int64_t now_ms, bool everything, size_t *sealed, struct error *err)
{
    size_t first = store->seal_at, looked = 0, samples = 0, count = store->registry.host_count;
    *sealed = 0;
    AUTO_FREE struct series_host **done = check_alloc_array(count, sizeof(struct series_host *));
    for (; looked < count && samples < STORE_SEAL_STEP_SAMPLES; looked++) {
        struct series_host *host = store->registry.order[(first + looked) % count];
        if (!is_due(store, host, now_ms, everything)) continue;
        if (seal_host(store, host, err) != 0) {
            days_rollback(&store->days);
            return -1;
        }
        samples += host->samples;
        done[(*sealed)++] = host;
    }
    if (*sealed > 0 && days_commit(&store->days, err) != 0) return -1;
    for (size_t i = 0; i < *sealed; i++) clear_heads(store, done[i]);
    store->counts.seals += *sealed;
    if (count > 0) store->seal_at = (first + looked) % count;
    return 0;
}

/* ---- afterwards ---- */

/* Every row below the first that a head still holds is sealed. */
static int prune(struct store *store, struct error *err)
{
    uint64_t through = store->committed_serial;
    for (size_t i = 0; i < store->registry.host_count; i++) {
        const struct series_host *host = store->registry.order[i];
        if (host->samples > 0 && host->first_serial - 1 < through) through = host->first_serial - 1;
    }
    if (through <= store->pruned_serial) return 0;
    if (journal_prune(store->journal, through, err) != 0) return -1;
    store->pruned_serial = through;
    return 0;
}

/* Deletes day files beyond retention. A clock that jumped ahead must not delete everything: days count from
 * the newest file at most one day on. */
static void expire_days(struct store *store, int64_t now_ms)
{
    AUTO_FREE int64_t *list = NULL;
    size_t count = 0;
    if (day_list(store->directory, &list, &count, NULL) != 0 || count == 0) return;
    int64_t today = day_of(now_ms);
    if (today > list[count - 1] + 1) today = list[count - 1] + 1;
    days_expire(&store->days, today - (int64_t)store->retention_days + 1);
}

static void expire_series(struct store *store, int64_t now_ms)
{
    struct stream *stream;
    if (!registry_expire(&store->registry, now_ms - STORE_IDLE_SERIES_MS)) return;
    for (size_t at = 0; (stream = table_each(&store->streams.table, &at)) != NULL;)
        stream_detach(stream, true);
    registry_drop_expired(&store->registry);
}

static void expire_streams(struct store *store, int64_t now_ms)
{
    int64_t before_ms = now_ms - (int64_t)store->retention_days * DAY_MS;
    struct stream *stream;
    for (size_t at = 0; (stream = table_each(&store->streams.table, &at)) != NULL;)
        if (stream->stored && stream->seen_ms < before_ms && stream->host->samples == 0) {
            if (journal_forget_stream(store->journal, stream->number, NULL) == 0)
                streams_remove(&store->streams, stream);
            return; /* the table has changed: one an hour is enough */
        }
}

static int maintain(struct store *store, int64_t now_ms, struct error *err)
{
    if (now_ms >= store->maintained_ms && now_ms - store->maintained_ms < HOUR_MS)
        return compact_step(store, now_ms, err);
    store->maintained_ms = now_ms;
    expire_days(store, now_ms);
    expire_series(store, now_ms);
    expire_streams(store, now_ms);
    days_close_idle(&store->days, now_ms - HOUR_MS);
    return 1;
}

int store_seal(struct store *store, int64_t now_ms, bool everything, struct error *err)
{
    size_t sealed = 0;
    store->now_ms = now_ms;
    if (store_commit(store, err) != 0 || seal_some(store, now_ms, everything, &sealed, err) != 0) {
        expire_days(store, now_ms); /* on a full disk, what has expired makes room */
        return -1;
    }
    if (sealed > 0) return 1;
    if (prune(store, err) != 0) return -1;
    return maintain(store, now_ms, err);
}
