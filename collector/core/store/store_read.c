#include "collector/core/store/store_read.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/core/store/aggregate.h"
#include "collector/core/store/block.h"
#include "collector/core/store/day.h"
#include "collector/core/store/head.h"
#include "collector/core/store/heads.h"
#include "collector/core/store/labels.h"
#include "collector/core/store/read.h"
#include "collector/core/store/sql.h"
#include "collector/core/store/table.h"
#include "common/arena.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "proto/metrics.h"

#define QUANTILE_VALUES_MAX ((size_t)8 << 20)  /* of all series together: 64 MiB */
#define BLOCK_ARENA_MAX     ((size_t)64 << 20) /* directory of one block; all of the heads */
#define RATE_LOOKBACK_MS    60000
#define PROGRESS_OPCODES    20000

/* ---- readers ---- */

struct store_reader *store_reader_open(const char *directory, struct error *err)
{
    if (access(directory, R_OK | X_OK) != 0) {
        fail_errno(err, "store %s", directory);
        return NULL;
    }
    struct store_reader *reader = check_alloc(sizeof *reader);
    reader->directory = check_strdup(directory);
    return reader;
}

void store_reader_close(struct store_reader *reader)
{
    if (reader == NULL) return;
    free(reader->directory);
    free(reader);
}

static int past_deadline(void *owner)
{
    const struct store_reader *reader = owner;
    return clock_mono_ms() > reader->deadline_mono_ms;
}

int read_open(struct store_reader *reader, int64_t day, sqlite3 **db, struct error *err)
{
    static const char settings[] =
        "PRAGMA wal_autocheckpoint = 0; PRAGMA query_only = 1; PRAGMA cache_size = -16384;"
        "BEGIN;";
    AUTO_FREE char *path = day_path(reader->directory, day);
    *db = NULL;
    if (access(path, F_OK) != 0) return 0;
    if (sqlite3_open_v2(path, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        int result = sql_fail(*db, err, "open");
        read_close(*db);
        *db = NULL;
        return access(path, F_OK) != 0 ? 0 : result;
    }
    sqlite3_db_config(*db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_busy_timeout(*db, 1000);
    sqlite3_progress_handler(*db, PROGRESS_OPCODES, past_deadline, reader);
    int64_t version = 0;
    int result = sql_exec(*db, settings, err);
    if (result == 0) result = sql_number(*db, "PRAGMA user_version", 0, &version, err);
    if (result == 0 && version > DAY_VERSION)
        result = fail(err, ERROR_UNSUPPORTED, "%s has version %lld, this program knows %d", path,
            (long long)version, DAY_VERSION);
    if (result == 0 && version == DAY_VERSION) return 1;
    read_close(*db);
    *db = NULL;
    return result; /* version 0: just being made */
}

void read_close(sqlite3 *db)
{
    sqlite3_close(db);
}

bool store_label_next(const char **cursor, char *name, char *value)
{
    return labels_next(cursor, name, value);
}

/* ---- a query ---- */

/* A run that was decoded for the series, with its place in the order of writing. */
struct found_run {
    struct run run;
    int64_t block; /* id; heads come last */
};

struct read_series {
    struct read_host *host;
    char *labels;
    uint32_t number;        /* in the day file at hand, 0 none */
    struct found_run *runs; /* of the hour at hand */
    size_t run_count, run_capacity;
    struct run *heads;
    size_t head_count;
    struct aggregate aggregate;
};

struct read_host {
    char *name;
    int64_t number; /* in the day file at hand, 0 none */
    struct read_series **series;
    size_t series_count;
};

struct query {
    struct store_reader *reader;
    const struct store_selector *selector;
    struct aggregate_plan plan;
    int64_t read_from_ms; /* before from_ms where a rate needs the sample before */
    struct table hosts, series;
    struct table numbers; /* of read_series, by number in the day file at hand */
    struct read_host **order;
    size_t host_count;
    struct merged merged;
    struct arena arena;
    size_t damaged;
};

struct read_name {
    const struct read_host *host;
    const char *labels;
};

static bool is_host(const void *item, const void *key)
{
    const struct read_host *host = item;
    return strcmp(host->name, key) == 0;
}

static bool is_series(const void *item, const void *key)
{
    const struct read_series *series = item;
    const struct read_name *name = key;
    return series->host == name->host && strcmp(series->labels, name->labels) == 0;
}

static bool is_number(const void *item, const void *key)
{
    const struct read_series *series = item;
    return series->number == *(const uint32_t *)key;
}

static struct read_host *host_of(struct query *query, const char *name)
{
    uint64_t hash = table_hash_texts(&name, 1);
    struct read_host *host = table_find(&query->hosts, hash, is_host, name);
    if (host != NULL) return host;
    host = check_alloc(sizeof *host);
    host->name = check_strdup(name);
    table_add(&query->hosts, hash, host);
    query->order = check_realloc_array(query->order, query->host_count + 1, sizeof(struct read_host *));
    query->order[query->host_count++] = host;
    return host;
}

static struct read_series *series_of(struct query *query, struct read_host *host, const char *labels)
{
    const char *texts[] = {host->name, labels};
    uint64_t hash = table_hash_texts(texts, ARRAY_COUNT(texts));
    struct read_name name = {host, labels};
    struct read_series *series = table_find(&query->series, hash, is_series, &name);
    if (series != NULL) return series;
    series = check_alloc(sizeof *series);
    series->host = host;
    series->labels = check_strdup(labels);
    table_add(&query->series, hash, series);
    host->series = check_realloc_array(host->series, host->series_count + 1, sizeof(struct read_series *));
    host->series[host->series_count++] = series;
    return series;
}

static void run_fini(struct run *run)
{
    free(run->times_ms);
    free(run->bits);
}

static void drop_runs(struct read_series *series)
{
    for (size_t i = 0; i < series->run_count; i++) run_fini(&series->runs[i].run);
    series->run_count = 0;
}

static void query_fini(struct query *query)
{
    struct read_series *series;
    for (size_t at = 0; (series = table_each(&query->series, &at)) != NULL;) {
        drop_runs(series);
        for (size_t i = 0; i < series->head_count; i++) run_fini(&series->heads[i]);
        aggregate_fini(&series->aggregate);
        free(series->heads);
        free(series->runs);
        free(series->labels);
        free(series);
    }
    for (size_t i = 0; i < query->host_count; i++) {
        free(query->order[i]->series);
        free(query->order[i]->name);
        free(query->order[i]);
    }
    free(query->order);
    table_fini(&query->hosts);
    table_fini(&query->series);
    table_fini(&query->numbers);
    merged_fini(&query->merged);
    arena_fini(&query->arena);
}

/* ---- decoding ---- */

static int decode_run(
    const struct block *block, const struct block_entry *entry, struct run *run, struct error *err)
{
    *run = (struct run){.times_ms = check_alloc_array(entry->count, sizeof *run->times_ms),
        .bits = check_alloc_array(entry->count, sizeof *run->bits),
        .count = entry->count,
        .is_double = entry->is_double,
        .ascending = true};
    if (block_times(block, entry->axis, run->times_ms, err) == 0 && block_values(entry, run->bits, err) == 0)
        return 0;
    run_fini(run);
    return -1;
}

static int load_heads(struct query *query, struct span bytes, struct error *err)
{
    struct heads_reader reader;
    struct heads_host row;
    int result = heads_reader_init(&reader, bytes, err);
    while (result == 0 && (result = heads_next(&reader, &query->arena, &row, err)) == 1) {
        struct read_host *host = host_of(query, row.host);
        result = 0;
        for (size_t i = 0; result == 0 && i < row.block.entry_count; i++) {
            const struct block_entry *entry = &row.block.entries[i];
            const char *labels = row.labels[entry->series];
            if (!labels_match(labels, query->selector->labels, query->selector->label_count)) continue;
            struct read_series *series = series_of(query, host, labels);
            struct run run;
            result = decode_run(&row.block, entry, &run, err);
            if (result != 0) break;
            series->heads = check_realloc_array(series->heads, series->head_count + 1, sizeof *series->heads);
            series->heads[series->head_count++] = run;
        }
        arena_reset(&query->arena);
    }
    return result;
}

static void add_run(struct read_series *series, const struct run *run, int64_t block)
{
    if (series->run_count == series->run_capacity) {
        series->run_capacity = series->run_capacity > 0 ? series->run_capacity * 2 : 8;
        series->runs = check_realloc_array(series->runs, series->run_capacity, sizeof *series->runs);
    }
    series->runs[series->run_count++] = (struct found_run){*run, block};
}

static int load_block(struct query *query, struct span bytes, int64_t id, struct error *err)
{
    struct block block;
    arena_reset(&query->arena);
    if (block_open(bytes, &query->arena, &block, err) != 0) return -1;
    for (size_t i = 0; i < block.entry_count; i++) {
        const struct block_entry *entry = &block.entries[i];
        struct read_series *series =
            table_find(&query->numbers, table_hash_number(entry->series), is_number, &entry->series);
        const struct block_axis *axis = &block.axes[entry->axis];
        if (series == NULL || axis->last_ms < query->read_from_ms || axis->first_ms >= query->plan.to_ms)
            continue;
        struct run run;
        if (decode_run(&block, entry, &run, err) != 0) return -1;
        add_run(series, &run, id);
    }
    return 0;
}

/* ---- merging and feeding ---- */

static int by_block(const void *left, const void *right)
{
    const struct found_run *a = left, *b = right;
    return a->block < b->block ? -1 : a->block > b->block;
}

/* qsort is not stable, but runs of one block (an integer and a double column of one series) must stay in
 * order. */
static void sort_runs(struct found_run *runs, size_t count)
{
    bool sorted = true;
    for (size_t i = 1; i < count && sorted; i++) sorted = by_block(&runs[i - 1], &runs[i]) <= 0;
    if (sorted) return;
    for (size_t i = 1; i < count; i++) {
        struct found_run run = runs[i];
        size_t at = i;
        for (; at > 0 && runs[at - 1].block > run.block; at--) runs[at] = runs[at - 1];
        runs[at] = run;
    }
}

static size_t lower_bound(const struct run *run, int64_t time_ms)
{
    size_t low = 0, high = run->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (run->times_ms[middle] < time_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Everything of the series in from..to, blocks in order of writing, then heads; later values cover earlier
 * ones. */
static void feed_series(struct query *query, struct read_series *series, int64_t from_ms, int64_t to_ms)
{
    if (series->run_count == 0 && series->head_count == 0) return;
    if (from_ms < query->read_from_ms) from_ms = query->read_from_ms;
    if (to_ms > query->plan.to_ms) to_ms = query->plan.to_ms;
    sort_runs(series->runs, series->run_count);
    AUTO_FREE struct run *slices = check_alloc_array(series->run_count + series->head_count, sizeof *slices);
    for (size_t i = 0; i < series->run_count + series->head_count; i++) {
        const struct run *run =
            i < series->run_count ? &series->runs[i].run : &series->heads[i - series->run_count];
        size_t from = lower_bound(run, from_ms), to = lower_bound(run, to_ms);
        slices[i] = (struct run){.times_ms = run->times_ms + from,
            .bits = run->bits + from,
            .count = to > from ? to - from : 0,
            .is_double = run->is_double,
            .ascending = true};
    }
    struct merged *merged = &query->merged;
    merge_runs(slices, series->run_count + series->head_count, merged);
    for (size_t i = 0; i < merged->count && !query->plan.full; i++)
        aggregate_feed(
            &query->plan, &series->aggregate, merged->times_ms[i], merged->bits[i], merged->is_double[i]);
    drop_runs(series);
}

static void feed_host(struct query *query, struct read_host *host, int64_t from_ms, int64_t to_ms)
{
    for (size_t i = 0; i < host->series_count; i++) feed_series(query, host->series[i], from_ms, to_ms);
}

/* ---- a day ---- */

/* The series of the metric in this file; numbers are void afterwards for the next. */
static int load_names(struct query *query, sqlite3 *db, struct error *err)
{
    static const char text[] =
        "SELECT series.id, hosts.id, hosts.name, series.labels FROM series JOIN hosts ON "
        "hosts.id = series.host WHERE series.metric = ?1 AND (?2 IS NULL OR hosts.name = ?2)";
    sqlite3_stmt *read = NULL;
    if (sql_prepare(db, text, &read, err) != 0) return -1;
    sql_bind_text(read, 1, query->selector->metric);
    if (query->selector->host != NULL) sql_bind_text(read, 2, query->selector->host);
    int result;
    while ((result = sql_step(read, err)) == 1) {
        const char *labels = sql_column_text(read, 3);
        if (!labels_match(labels, query->selector->labels, query->selector->label_count)) continue;
        struct read_host *host = host_of(query, sql_column_text(read, 2));
        host->number = sqlite3_column_int64(read, 1);
        struct read_series *series = series_of(query, host, labels);
        series->number = (uint32_t)sqlite3_column_int64(read, 0);
        table_add(&query->numbers, table_hash_number(series->number), series);
    }
    sqlite3_finalize(read);
    return result;
}

static void forget_numbers(struct query *query)
{
    struct read_series *series;
    table_fini(&query->numbers);
    for (size_t i = 0; i < query->host_count; i++) query->order[i]->number = 0;
    for (size_t at = 0; (series = table_each(&query->series, &at)) != NULL;) series->number = 0;
}

/* A host's blocks, hour by hour: no block crosses one. */
static int read_host_day(struct query *query, sqlite3_stmt *blocks, struct read_host *host, int64_t from_ms,
    int64_t to_ms, struct error *err)
{
    int64_t fed_ms = from_ms;
    int result = 0;
    if (host->number != 0) {
        sqlite3_bind_int64(blocks, 1, host->number);
        sqlite3_bind_int64(blocks, 2, from_ms);
        sqlite3_bind_int64(blocks, 3, to_ms < query->plan.to_ms ? to_ms : query->plan.to_ms);
        sqlite3_bind_int64(blocks, 4, query->read_from_ms);
        while (!query->plan.full && (result = sql_step(blocks, err)) == 1) {
            int64_t hour_ms = hour_of(sqlite3_column_int64(blocks, 1)) * HOUR_MS;
            struct error local = {0};
            if (hour_ms > fed_ms) {
                feed_host(query, host, fed_ms, hour_ms);
                fed_ms = hour_ms;
            }
            if (load_block(query, sql_column_span(blocks, 2), sqlite3_column_int64(blocks, 0), &local) != 0)
                query->damaged++;
        }
        sqlite3_reset(blocks);
        if (result < 0) return -1;
    }
    feed_host(query, host, fed_ms, to_ms);
    return 0;
}

static int read_blocks(struct query *query, sqlite3 *db, int64_t day, struct error *err)
{
    static const char text[] =
        "SELECT id, from_ms, data FROM blocks WHERE host = ?1 AND from_ms >= ?2 AND from_ms < ?3 "
        "AND to_ms >= ?4 ORDER BY from_ms";
    sqlite3_stmt *blocks = NULL;
    int result = db != NULL ? sql_prepare(db, text, &blocks, err) : 0;
    int64_t from_ms = day * DAY_MS, to_ms = (day + 1) * DAY_MS;
    if (from_ms < hour_of(query->read_from_ms) * HOUR_MS) from_ms = hour_of(query->read_from_ms) * HOUR_MS;
    for (size_t i = 0; result == 0 && i < query->host_count && !query->plan.full; i++) {
        if (past_deadline(query->reader)) result = fail(err, ERROR_LIMIT, "the query took too long");
        if (result == 0) result = read_host_day(query, blocks, query->order[i], from_ms, to_ms, err);
    }
    sqlite3_finalize(blocks);
    return result;
}

static int read_day(struct query *query, int64_t day, struct error *err)
{
    sqlite3 *db = NULL;
    struct error local = {0};
    int opened = read_open(query->reader, day, &db, &local);
    int result = opened == 1 ? load_names(query, db, &local) : opened;
    if (result == 0) result = read_blocks(query, db, day, &local);
    read_close(db);
    forget_numbers(query);
    if (result == 0) return 0;
    if (local.kind == ERROR_CORRUPT) { /* costs what this file holds; heads of that day are still there */
        query->damaged++;
        return read_blocks(query, NULL, day, err);
    }
    if (err != NULL) *err = local;
    return -1;
}

/* Days that have a file or heads, ascending. */
static int days_of(struct query *query, int64_t **days, size_t *count, struct error *err)
{
    AUTO_FREE int64_t *files = NULL;
    size_t file_count;
    if (day_list(query->reader->directory, &files, &file_count, err) != 0) return -1;
    int64_t first = day_of(query->read_from_ms), last = day_of(query->plan.to_ms - 1);
    int64_t head_first = INT64_MAX, head_last = INT64_MIN;
    struct read_series *series;
    for (size_t at = 0; (series = table_each(&query->series, &at)) != NULL;)
        for (size_t i = 0; i < series->head_count; i++) {
            int64_t from = day_of(series->heads[i].times_ms[0]);
            int64_t to = day_of(series->heads[i].times_ms[series->heads[i].count - 1]);
            if (from < head_first) head_first = from;
            if (to > head_last) head_last = to;
        }
    *days = NULL;
    *count = 0;
    size_t file = 0;
    int64_t head = head_first;
    while (file < file_count || head <= head_last) {
        int64_t day = file < file_count && (head > head_last || files[file] <= head) ? files[file] : head;
        if (file < file_count && files[file] == day) file++;
        if (head <= head_last && head == day) head++;
        if (day < first || day > last) continue;
        *days = check_realloc_array(*days, *count + 1, sizeof **days);
        (*days)[(*count)++] = day;
    }
    return 0;
}

/* ---- the answer ---- */

static int by_name(const void *left, const void *right)
{
    const struct store_series *a = left, *b = right;
    int order = strcmp(a->host, b->host);
    return order != 0 ? order : strcmp(a->labels, b->labels);
}

static void give_result(struct query *query, struct store_result *result)
{
    struct arena *arena = check_alloc(sizeof *arena);
    size_t count = 0;
    struct read_series *series;
    struct store_series *rows = arena_alloc_array(arena, query->series.count, sizeof *rows);
    for (size_t at = 0; (series = table_each(&query->series, &at)) != NULL;) {
        const struct aggregate *state = &series->aggregate;
        if (state->point_count == 0) continue;
        struct store_series *row = &rows[count++];
        row->host = arena_strdup(arena, series->host->name);
        row->labels = arena_strdup(arena, series->labels);
        row->count = state->point_count;
        row->points = arena_alloc_array(arena, state->point_count, sizeof *row->points);
        memcpy(row->points, state->points, state->point_count * sizeof *row->points);
    }
    if (count > 0) qsort(rows, count, sizeof *rows, by_name);
    *result = (struct store_result){.series = rows,
        .count = count,
        .truncated = query->plan.full,
        .damaged = query->damaged,
        .memory = arena};
}

void store_result_fini(struct store_result *result)
{
    if (result == NULL || result->memory == NULL) return;
    arena_fini(result->memory);
    free(result->memory);
    *result = (struct store_result){0};
}

static int plan_query(struct query *query, const struct store_selector *selector,
    enum store_aggregate aggregate, int64_t step_ms, size_t points_max, struct error *err)
{
    if (selector->metric == NULL || selector->metric[0] == '\0')
        return fail(err, ERROR_INPUT, "no metric given");
    if (selector->from_ms >= selector->to_ms) return fail(err, ERROR_INPUT, "the time range is empty");
    if (step_ms < 0 || (step_ms != 0 && aggregate == STORE_RAW))
        return fail(err, ERROR_INPUT, "a step needs an aggregate such as avg");
    const struct metric_info *info = metric_find(selector->metric);
    if (aggregate == STORE_RATE && info != NULL && info->kind != METRIC_COUNTER)
        return fail(err, ERROR_INPUT, "rate needs a counter; %s is none", selector->metric);
    query->plan = (struct aggregate_plan){.aggregate = aggregate,
        .from_ms = selector->from_ms,
        .to_ms = selector->to_ms,
        .step_ms = step_ms,
        .scale = info != NULL && info->scale > 0 ? info->scale : 1,
        .values_left = QUANTILE_VALUES_MAX,
        .points_left = points_max};
    query->read_from_ms = selector->from_ms;
    if (aggregate == STORE_RATE) {
        int64_t back = step_ms > RATE_LOOKBACK_MS ? step_ms : RATE_LOOKBACK_MS;
        query->read_from_ms -= back < HOUR_MS ? back : HOUR_MS;
    }
    return 0;
}

int store_query(struct store_reader *reader, const struct store_selector *selector,
    enum store_aggregate aggregate, int64_t step_ms, struct span heads, int64_t deadline_mono_ms,
    size_t points_max, struct store_result *result, struct error *err)
{
    AUTO(query_fini)
    struct query query = {.reader = reader, .selector = selector, .arena.bytes_max = BLOCK_ARENA_MAX};
    AUTO_FREE int64_t *days = NULL;
    size_t day_count;
    reader->deadline_mono_ms = deadline_mono_ms;
    if (plan_query(&query, selector, aggregate, step_ms, points_max, err) != 0 ||
        load_heads(&query, heads, err) != 0 || days_of(&query, &days, &day_count, err) != 0)
        return -1;
    for (size_t i = 0; i < day_count && !query.plan.full; i++)
        if (read_day(&query, days[i], err) != 0) return -1;
    struct read_series *series;
    for (size_t at = 0; (series = table_each(&query.series, &at)) != NULL;)
        aggregate_end(&query.plan, &series->aggregate);
    give_result(&query, result);
    return 0;
}
