/* Which series there are, from the day files. */
#include <stdlib.h>
#include <string.h>

#include "collector/core/store/day.h"
#include "collector/core/store/read.h"
#include "collector/core/store/sql.h"
#include "collector/core/store/store_read.h"
#include "collector/core/store/table.h"
#include "common/arena.h"
#include "common/check.h"
#include "common/cleanup.h"

struct listing {
    struct store_series_names *names;
    struct arena *arena;
    struct table seen;
    size_t capacity, names_max;
};

static int by_name(const void *left, const void *right)
{
    const struct store_series_name *a = left, *b = right;
    int order = strcmp(a->metric, b->metric);
    if (order == 0) order = strcmp(a->host, b->host);
    return order != 0 ? order : strcmp(a->labels, b->labels);
}

static bool is_name(const void *item, const void *key)
{
    return by_name(item, key) == 0;
}

static void add_name(struct listing *listing, const struct store_series_name *name)
{
    struct store_series_names *names = listing->names;
    const char *texts[] = {name->metric, name->host, name->labels};
    uint64_t hash = table_hash_texts(texts, ARRAY_COUNT(texts));
    if (table_find(&listing->seen, hash, is_name, name) != NULL) return;
    if (names->count == listing->names_max) {
        names->truncated = true;
        return;
    }
    struct store_series_name *copy = arena_alloc(listing->arena, sizeof *copy);
    copy->host = arena_strdup(listing->arena, name->host);
    copy->metric = arena_strdup(listing->arena, name->metric);
    copy->labels = arena_strdup(listing->arena, name->labels);
    table_add(&listing->seen, hash, copy);
    names->count++;
}

static int list_day(
    struct listing *listing, sqlite3 *db, const char *metric, const char *host, struct error *err)
{
    static const char text[] =
        "SELECT hosts.name, series.metric, series.labels FROM series JOIN hosts ON hosts.id = "
        "series.host WHERE (?1 IS NULL OR series.metric = ?1) AND (?2 IS NULL OR hosts.name = ?2)";
    sqlite3_stmt *read = NULL;
    if (sql_prepare(db, text, &read, err) != 0) return -1;
    if (metric != NULL) sql_bind_text(read, 1, metric);
    if (host != NULL) sql_bind_text(read, 2, host);
    int result;
    while ((result = sql_step(read, err)) == 1)
        add_name(listing, &(struct store_series_name){.host = sql_column_text(read, 0),
                              .metric = sql_column_text(read, 1),
                              .labels = sql_column_text(read, 2)});
    sqlite3_finalize(read);
    return result;
}

static void give_names(struct listing *listing)
{
    struct store_series_names *names = listing->names;
    const struct store_series_name *name;
    size_t count = 0;
    names->items = arena_alloc_array(listing->arena, names->count, sizeof *names->items);
    for (size_t at = 0; (name = table_each(&listing->seen, &at)) != NULL;) names->items[count++] = *name;
    if (count > 0) qsort(names->items, count, sizeof *names->items, by_name);
}

int store_series_list(struct store_reader *reader, const char *metric, const char *host, int64_t from_ms,
    int64_t to_ms, size_t names_max, struct store_series_names *names, struct error *err)
{
    AUTO_FREE int64_t *days = NULL;
    size_t day_count;
    if (day_list(reader->directory, &days, &day_count, err) != 0) return -1;
    struct store_series_names found = {.memory = check_alloc(sizeof(struct arena))};
    struct listing listing = {.names = &found, .arena = found.memory, .names_max = names_max};
    reader->deadline_mono_ms = INT64_MAX;
    int result = 0;
    for (size_t i = 0; i < day_count && result == 0; i++) {
        sqlite3 *db = NULL;
        struct error local = {0};
        if (days[i] < day_of(from_ms) || days[i] > day_of(to_ms - 1)) continue;
        result = read_open(reader, days[i], &db, &local);
        if (result == 1) result = list_day(&listing, db, metric, host, &local);
        read_close(db);
        if (result != 0 && local.kind == ERROR_CORRUPT) {
            found.damaged++;
            result = 0;
        }
        if (result != 0 && err != NULL) *err = local;
    }
    give_names(&listing);
    table_fini(&listing.seen);
    if (result != 0) {
        store_series_names_fini(&found);
        return -1;
    }
    *names = found;
    return 0;
}

void store_series_names_fini(struct store_series_names *names)
{
    if (names == NULL || names->memory == NULL) return;
    arena_fini(names->memory);
    free(names->memory);
    *names = (struct store_series_names){0};
}
