/* What a collector that has ended has stored, before anything is merged: a line `frame HOST INCARNATION
 * SEQUENCE` per row of the journal, then, after everything is sealed, a line `value HOST TIME_MS` per value
 * of a metric in every block. Merging would hide what was stored twice.
 *
 *     store_points DIRECTORY METRIC */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/store/block.h"
#include "collector/core/store/day.h"
#include "collector/core/store/journal.h"
#include "collector/core/store/sql.h"
#include "collector/core/store/store.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "proto/limits.h"
#include "proto/wire.h"

#define STREAMS_MAX 4096

static int failed(const struct error *err)
{
    fprintf(stderr, "store_points: %s\n", err->text);
    return 1;
}

/* ---- the journal ---- */

struct listing {
    char *hosts[STREAMS_MAX]; /* by number of the stream */
};

static int take_stream(void *owner, const struct journal_stream *row, struct error *err)
{
    struct listing *listing = owner;
    if (row->number >= STREAMS_MAX) return fail(err, ERROR_LIMIT, "more than %d streams", STREAMS_MAX);
    free(listing->hosts[row->number]);
    listing->hosts[row->number] = check_strdup(row->host);
    printf("stream %s %" PRIu64 " %zu\n", row->host, row->received.floor, row->received.range_count);
    return 0;
}

static int take_entry(void *owner, const struct journal_entry *row, struct error *err)
{
    (void)owner, (void)row, (void)err;
    return 0;
}

static int take_frame(void *owner, const struct journal_frame *row, struct error *err)
{
    struct listing *listing = owner;
    struct arena arena = {.bytes_max = LIMIT_DECODE_BYTES};
    struct wire_from_agent message;
    int result = row->stream < STREAMS_MAX && listing->hosts[row->stream] != NULL
                     ? wire_decode_from_agent(row->bytes, &arena, &message, err)
                     : fail(err, ERROR_CORRUPT, "a frame of stream %u, which is not there", row->stream);
    if (result == 0)
        printf("frame %s %u %" PRIu64 "\n", listing->hosts[row->stream], row->stream, message.batch.sequence);
    arena_fini(&arena);
    return result;
}

static void take_note(void *owner, const char *text)
{
    (void)owner;
    fprintf(stderr, "store_points: %s\n", text);
    exit(1); /* whatever a store has to tell is a finding */
}

static int list_frames(const char *directory, struct error *err)
{
    struct listing listing = {0};
    struct journal *journal = journal_open(directory, clock_wall_ms(), take_note, NULL, err);
    const struct journal_visitor visitor = {&listing, take_stream, take_entry, take_frame};
    int result = journal != NULL ? journal_replay(journal, &visitor, err) : -1;
    journal_close(journal);
    for (size_t i = 0; i < STREAMS_MAX; i++) free(listing.hosts[i]);
    return result;
}

/* ---- the blocks ---- */

static int seal_everything(const char *directory, struct error *err)
{
    const struct store_options options = {.directory = directory};
    struct store *store = store_open(&options, clock_wall_ms(), take_note, NULL, err);
    int more = store != NULL ? 1 : -1;
    /* Sealing comes first in a step; what follows is the hourly pass, which would merge. */
    struct store_counts counts = {.head_samples = 1};
    while (more > 0 && counts.head_samples > 0) {
        more = store_seal(store, clock_wall_ms(), true, err);
        store_counts(store, &counts);
    }
    store_close(store);
    return more < 0 ? -1 : 0;
}

static int list_block(sqlite3_stmt *row, struct error *err)
{
    struct arena arena = {0};
    struct block block;
    int64_t series = sqlite3_column_int64(row, 0);
    int result = block_open(sql_column_span(row, 2), &arena, &block, err);
    for (size_t i = 0; result == 0 && i < block.entry_count; i++) {
        if (block.entries[i].series != series) continue;
        AUTO_FREE int64_t *times = check_alloc_array(block.entries[i].count, sizeof *times);
        result = block_times(&block, block.entries[i].axis, times, err);
        for (size_t k = 0; result == 0 && k < block.entries[i].count; k++)
            printf("value %s %" PRId64 "\n", sql_column_text(row, 1), times[k]);
    }
    arena_fini(&arena);
    return result;
}

static int list_day(const char *path, const char *metric, struct error *err)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *read = NULL;
    int result = -1;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        sql_fail(db, err, path);
    else
        result = sql_prepare(db,
            "SELECT series.id, hosts.name, blocks.data FROM series JOIN hosts ON hosts.id = series.host "
            "JOIN blocks ON blocks.host = hosts.id WHERE series.metric = ?1 ORDER BY blocks.id",
            &read, err);
    if (result == 0) {
        sql_bind_text(read, 1, metric);
        while ((result = sql_step(read, err)) == 1 && (result = list_block(read, err)) == 0) {
        }
    }
    sqlite3_finalize(read);
    sqlite3_close(db);
    return result;
}

static int list_values(const char *directory, const char *metric, struct error *err)
{
    AUTO_FREE int64_t *days = NULL;
    size_t count;
    int result = day_list(directory, &days, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        AUTO_FREE char *path = day_path(directory, days[i]);
        result = list_day(path, metric, err);
    }
    return result;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    if (argc != 3) {
        fputs("store_points DIRECTORY METRIC\n", stderr);
        return 2;
    }
    if (list_frames(argv[1], &err) != 0 || seal_everything(argv[1], &err) != 0 ||
        list_values(argv[1], argv[2], &err) != 0)
        return failed(&err);
    return 0;
}
