/* Once an hour: the blocks of one host and hour become one, and days that are over leave WAL mode. Merging
 * keeps the order of writing: only blocks that stand next to each other in it become one, which takes the
 * place of the last. */
#include <stdlib.h>
#include <string.h>

#include "collector/core/store/block.h"
#include "collector/core/store/sql.h"
#include "collector/core/store/store_inside.h"
#include "common/arena.h"
#include "common/check.h"
#include "common/cleanup.h"

#define MERGED_SAMPLES_MAX ((size_t)1 << 20)
#define LATE_MS            ((int64_t)600000) /* an hour is over when nothing of it is expected any more */

struct compaction_unit {
    uint32_t host;
    int64_t hour;
};

void compaction_fini(struct compaction *compaction)
{
    free(compaction->days);
    free(compaction->units);
    *compaction = (struct compaction){.began_ms = compaction->began_ms};
}

/* ---- merging ---- */

struct part {
    uint32_t series;
    size_t order;
    struct run run;
};

/* Blocks that are about to become one. */
struct merger {
    struct day *day;
    struct part *parts;
    size_t part_count, part_capacity, samples;
    int64_t *ids;
    size_t id_count, id_capacity;
    struct arena arena;
};

static void forget_parts(struct merger *merger)
{
    for (size_t i = 0; i < merger->part_count; i++) {
        free(merger->parts[i].run.times_ms);
        free(merger->parts[i].run.bits);
    }
    merger->part_count = merger->samples = merger->id_count = 0;
}

static void merger_fini(struct merger *merger)
{
    forget_parts(merger);
    free(merger->parts);
    free(merger->ids);
    arena_fini(&merger->arena);
}

static int add_part(
    struct merger *merger, const struct block *block, const struct block_entry *entry, struct error *err)
{
    if (merger->part_count == merger->part_capacity) {
        merger->part_capacity = merger->part_capacity > 0 ? merger->part_capacity * 2 : 64;
        merger->parts = check_realloc_array(merger->parts, merger->part_capacity, sizeof *merger->parts);
    }
    struct part *part = &merger->parts[merger->part_count];
    *part = (struct part){.series = entry->series,
        .order = merger->part_count++,
        .run = {.times_ms = check_alloc_array(entry->count, sizeof *part->run.times_ms),
            .bits = check_alloc_array(entry->count, sizeof *part->run.bits),
            .count = entry->count,
            .is_double = entry->is_double,
            .ascending = true}};
    if (block_times(block, entry->axis, part->run.times_ms, err) != 0) return -1;
    return block_values(entry, part->run.bits, err);
}

static int by_series_then_order(const void *left, const void *right)
{
    const struct part *a = left, *b = right;
    if (a->series != b->series) return a->series < b->series ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

/* What the merged block is made of; the columns point into `merged`. */
struct columns {
    struct block_column *items;
    size_t count;
    struct merged *merged;
    size_t merged_count;
};

static void columns_fini(struct columns *columns)
{
    for (size_t i = 0; i < columns->merged_count; i++) merged_fini(&columns->merged[i]);
    free(columns->merged);
    free(columns->items);
}

/* The integers or the doubles of a series that has both, moved to the front of a copy. */
static void add_column(struct columns *columns, uint32_t series, const struct merged *all, bool is_double)
{
    size_t count = 0;
    struct merged *kept = &columns->merged[columns->merged_count];
    *kept = (struct merged){.times_ms = check_alloc_array(all->count, sizeof *kept->times_ms),
        .bits = check_alloc_array(all->count, sizeof *kept->bits)};
    for (size_t i = 0; i < all->count; i++) {
        if (all->is_double[i] != is_double) continue;
        kept->times_ms[count] = all->times_ms[i];
        kept->bits[count++] = all->bits[i];
    }
    columns->merged_count++;
    if (count == 0) return;
    columns->items[columns->count++] = (struct block_column){.series = series,
        .is_double = is_double,
        .times_ms = kept->times_ms,
        .bits = kept->bits,
        .count = count};
}

/* False where a column would become too long. */
static bool merge_parts(struct merger *merger, struct columns *columns)
{
    bool fits = true;
    struct merged all = {0};
    columns->items = check_alloc_array(2 * merger->part_count, sizeof *columns->items);
    columns->merged = check_alloc_array(2 * merger->part_count, sizeof *columns->merged);
    AUTO_FREE struct run *runs = check_alloc_array(merger->part_count, sizeof *runs);
    qsort(merger->parts, merger->part_count, sizeof *merger->parts, by_series_then_order);
    for (size_t from = 0; fits && from < merger->part_count;) {
        size_t to = from;
        for (; to < merger->part_count && merger->parts[to].series == merger->parts[from].series; to++)
            runs[to - from] = merger->parts[to].run;
        merge_runs(runs, to - from, &all);
        fits = all.count <= BLOCK_VALUES_MAX;
        if (fits) add_column(columns, merger->parts[from].series, &all, false);
        if (fits) add_column(columns, merger->parts[from].series, &all, true);
        from = to;
    }
    merged_fini(&all);
    return fits;
}

static int replace_blocks(
    struct merger *merger, struct span data, int64_t from_ms, int64_t to_ms, struct error *err)
{
    sqlite3_stmt *remove = NULL, *update = NULL;
    int result = sql_prepare(merger->day->db, "DELETE FROM blocks WHERE id = ?1", &remove, err);
    if (result == 0)
        result = sql_prepare(merger->day->db,
            "UPDATE blocks SET from_ms = ?2, to_ms = ?3, data = ?4 WHERE id = ?1", &update, err);
    for (size_t i = 0; result == 0 && i + 1 < merger->id_count; i++) {
        sqlite3_bind_int64(remove, 1, merger->ids[i]);
        result = sql_run(remove, err);
    }
    if (result == 0) {
        sqlite3_bind_int64(update, 1, merger->ids[merger->id_count - 1]);
        sqlite3_bind_int64(update, 2, from_ms);
        sqlite3_bind_int64(update, 3, to_ms);
        sql_bind_span(update, 4, data);
        result = sql_run(update, err);
    }
    sqlite3_finalize(remove);
    sqlite3_finalize(update);
    return result;
}

static int flush(struct merger *merger, struct error *err)
{
    AUTO(columns_fini) struct columns columns = {0};
    AUTO(buffer_fini) struct buffer block = {0};
    int result = 0;
    if (merger->id_count > 1 && merge_parts(merger, &columns)) {
        int64_t from_ms = INT64_MAX, to_ms = INT64_MIN;
        for (size_t i = 0; i < columns.count; i++) {
            const struct block_column *column = &columns.items[i];
            if (column->times_ms[0] < from_ms) from_ms = column->times_ms[0];
            if (column->times_ms[column->count - 1] > to_ms) to_ms = column->times_ms[column->count - 1];
        }
        result = block_encode(columns.items, columns.count, &block, err);
        if (result == 0) result = replace_blocks(merger, buffer_span(&block), from_ms, to_ms, err);
    }
    forget_parts(merger);
    return result;
}

/* One more block in the order of writing. */
static int add_block(struct merger *merger, int64_t id, struct span data, struct error *err)
{
    struct block block;
    size_t samples = 0;
    arena_reset(&merger->arena);
    if (block_open(data, &merger->arena, &block, err) != 0) return -1;
    for (size_t i = 0; i < block.entry_count; i++) samples += block.entries[i].count;
    if (merger->samples + samples > MERGED_SAMPLES_MAX && flush(merger, err) != 0) return -1;
    for (size_t i = 0; i < block.entry_count; i++)
        if (add_part(merger, &block, &block.entries[i], err) != 0) return -1;
    merger->samples += samples;
    if (merger->id_count == merger->id_capacity) {
        merger->id_capacity = merger->id_capacity > 0 ? merger->id_capacity * 2 : 64;
        merger->ids = check_realloc_array(merger->ids, merger->id_capacity, sizeof *merger->ids);
    }
    merger->ids[merger->id_count++] = id;
    return 0;
}

static int merge_unit(struct day *day, const struct compaction_unit *unit, struct error *err)
{
    static const char text[] =
        "SELECT id, data FROM blocks WHERE host = ?1 AND from_ms >= ?2 AND from_ms < ?3 ORDER BY id";
    AUTO(merger_fini) struct merger merger = {.day = day};
    sqlite3_stmt *read = NULL;
    if (sql_prepare(day->db, text, &read, err) != 0) return -1;
    sqlite3_bind_int64(read, 1, unit->host);
    sqlite3_bind_int64(read, 2, unit->hour * HOUR_MS);
    sqlite3_bind_int64(read, 3, (unit->hour + 1) * HOUR_MS);
    int result;
    while ((result = sql_step(read, err)) == 1) {
        struct error local = {0};
        /* A damaged block stays where it is, and what is after it is not merged with what is before. */
        if (add_block(&merger, sqlite3_column_int64(read, 0), sql_column_span(read, 1), &local) == 0)
            continue;
        forget_parts(&merger);
        if (local.kind == ERROR_CORRUPT) continue;
        if (err != NULL) *err = local;
        result = -1;
        break;
    }
    if (result == 0) result = flush(&merger, err);
    sqlite3_finalize(read);
    return result;
}

/* ---- the pass ---- */

static void begin_pass(struct store *store, int64_t now_ms)
{
    struct compaction *compaction = &store->compaction;
    size_t kept = 0;
    compaction_fini(compaction);
    compaction->began_ms = now_ms;
    if (day_list(store->directory, &compaction->days, &compaction->day_count, NULL) != 0) return;
    for (size_t i = 0; i < compaction->day_count; i++)
        if (days_in_wal_mode(&store->days, compaction->days[i]))
            compaction->days[kept++] = compaction->days[i];
    compaction->day_count = kept;
}

static int list_units(struct store *store, int64_t now_ms, struct error *err)
{
    static const char text[] = "SELECT host, from_ms / 3600000 AS hour FROM blocks WHERE from_ms < ?1 "
                               "GROUP BY host, hour HAVING count(*) > 1";
    struct compaction *compaction = &store->compaction;
    struct day *day = days_begin(&store->days, compaction->days[compaction->day_next], now_ms, err);
    sqlite3_stmt *read = NULL;
    compaction->unit_count = compaction->unit_next = 0;
    if (day == NULL || sql_prepare(day->db, text, &read, err) != 0) return -1;
    sqlite3_bind_int64(read, 1, hour_of(now_ms - LATE_MS) * HOUR_MS);
    int result;
    while ((result = sql_step(read, err)) == 1) {
        compaction->units =
            check_realloc_array(compaction->units, compaction->unit_count + 1, sizeof *compaction->units);
        compaction->units[compaction->unit_count++] = (struct compaction_unit){
            .host = (uint32_t)sqlite3_column_int64(read, 0), .hour = sqlite3_column_int64(read, 1)};
    }
    sqlite3_finalize(read);
    compaction->day_open = true;
    days_rollback(&store->days); /* nothing was written */
    return result;
}

static int next_unit(struct store *store, int64_t now_ms, struct error *err)
{
    struct compaction *compaction = &store->compaction;
    const struct compaction_unit *unit = &compaction->units[compaction->unit_next++];
    struct day *day = days_begin(&store->days, compaction->days[compaction->day_next], now_ms, err);
    if (day == NULL || merge_unit(day, unit, err) != 0) return -1;
    return days_commit(&store->days, err);
}

static int end_day(struct store *store, int64_t now_ms, struct error *err)
{
    struct compaction *compaction = &store->compaction;
    int64_t day = compaction->days[compaction->day_next++];
    compaction->day_open = false;
    if (day >= day_of(now_ms - HOUR_MS)) return 0;
    return days_finish(&store->days, day, now_ms, err) < 0 ? -1 : 0; /* held by a reader: in an hour again */
}

int compact_step(struct store *store, int64_t now_ms, struct error *err)
{
    struct compaction *compaction = &store->compaction;
    int result;
    if (compaction->day_next >= compaction->day_count) {
        bool due = now_ms < compaction->began_ms || now_ms - compaction->began_ms >= HOUR_MS;
        if (due) begin_pass(store, now_ms);
        return due;
    }
    if (!compaction->day_open)
        result = list_units(store, now_ms, err);
    else if (compaction->unit_next < compaction->unit_count)
        result = next_unit(store, now_ms, err);
    else
        result = end_day(store, now_ms, err);
    if (result == 0) return 1;
    days_rollback(&store->days);
    compaction->day_next++; /* this day again in an hour */
    compaction->day_open = false;
    return -1;
}
