#include "collector/core/store/journal.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "collector/core/store/cursor.h"
#include "collector/core/store/sql.h"
#include "common/check.h"
#include "common/cleanup.h"

enum journal_sql {
    SQL_PUT_STREAM,
    SQL_PUT_ENTRY,
    SQL_PUT_FRAME,
    SQL_PRUNE,
    SQL_SET_PRUNED,
    SQL_FORGET_STREAM,
    SQL_FORGET_DICT,
    SQL_FORGET_ENTRY,
    SQL_COUNT
};

static const char *const statements[] = {
    [SQL_PUT_STREAM] =
        ("INSERT OR REPLACE INTO streams(number, key, incarnation, host, seen_ms, floor, ranges) "
         "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
    [SQL_PUT_ENTRY] = "INSERT OR REPLACE INTO dict(stream, id, metric, labels) VALUES(?1, ?2, ?3, ?4)",
    [SQL_PUT_FRAME] =
        "INSERT INTO frames(serial, stream, arrival_ms, checksum, frame) VALUES(?1, ?2, ?3, ?4, ?5)",
    [SQL_PRUNE] = "DELETE FROM frames WHERE serial <= ?1",
    [SQL_SET_PRUNED] = "UPDATE meta SET value = ?1 WHERE name = 'pruned'",
    [SQL_FORGET_STREAM] = "DELETE FROM streams WHERE number = ?1",
    [SQL_FORGET_DICT] = "DELETE FROM dict WHERE stream = ?1",
    [SQL_FORGET_ENTRY] = "DELETE FROM dict WHERE stream = ?1 AND id = ?2",
};
static_assert(ARRAY_COUNT(statements) == SQL_COUNT, "a text per statement");

static const char read_streams[] =
    "SELECT number, key, incarnation, host, seen_ms, floor, ranges FROM streams";
static const char read_entries[] = "SELECT stream, id, metric, labels FROM dict";
static const char read_frames[] =
    "SELECT serial, stream, arrival_ms, checksum, frame FROM frames ORDER BY serial";
static const char read_frames_backwards[] =
    "SELECT serial, stream, arrival_ms, checksum, frame FROM frames ORDER BY serial DESC";

static const char settings[] = "PRAGMA page_size = 8192;"
                               "PRAGMA locking_mode = EXCLUSIVE;"
                               "PRAGMA journal_mode = WAL;"
                               "PRAGMA synchronous = FULL;"
                               "PRAGMA secure_delete = OFF;"
                               "PRAGMA wal_autocheckpoint = 2000;"
                               "PRAGMA journal_size_limit = 67108864;"
                               "PRAGMA temp_store = MEMORY;";

static const char schema[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;"
    "CREATE TABLE streams(number INTEGER PRIMARY KEY, key TEXT NOT NULL, incarnation INTEGER NOT NULL,"
    " host TEXT NOT NULL, seen_ms INTEGER NOT NULL, floor INTEGER NOT NULL, ranges BLOB NOT NULL);"
    "CREATE TABLE dict(stream INTEGER, id INTEGER, metric TEXT NOT NULL, labels TEXT NOT NULL,"
    " PRIMARY KEY(stream, id)) WITHOUT ROWID;"
    "CREATE TABLE frames(serial INTEGER PRIMARY KEY, stream INTEGER NOT NULL, arrival_ms INTEGER NOT NULL,"
    " checksum INTEGER NOT NULL, frame BLOB NOT NULL);";

struct journal {
    char *path;
    sqlite3 *db;
    sqlite3_stmt *sql[SQL_COUNT];
    int64_t id;
    uint64_t next_serial;
    uint64_t committed_serial, open_serial; /* the newest durable frame; the newest of the open transaction */
    journal_note *note;
    void *owner;
};

__attribute__((format(printf, 2, 3))) static void tell(const struct journal *journal, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (journal->note != NULL) journal->note(journal->owner, line);
}

static void disconnect(struct journal *journal)
{
    for (size_t i = 0; i < SQL_COUNT; i++) {
        sqlite3_finalize(journal->sql[i]);
        journal->sql[i] = NULL;
    }
    sqlite3_close(journal->db);
    journal->db = NULL;
}

static int create(struct journal *journal, struct error *err)
{
    int64_t id = 0;
    if (getrandom(&id, sizeof id, 0) != sizeof id) return fail_errno(err, "getrandom");
    AUTO_FREE char *meta =
        check_format("BEGIN IMMEDIATE; PRAGMA application_id = %d; PRAGMA user_version = %d; %s"
                     "INSERT INTO meta VALUES('id', %lld), ('pruned', 0); COMMIT;",
            JOURNAL_APPLICATION_ID, JOURNAL_VERSION, schema, (long long)id);
    if (sql_exec(journal->db, meta, err) == 0) return 0;
    if (!sqlite3_get_autocommit(journal->db)) sqlite3_exec(journal->db, "ROLLBACK", NULL, NULL, NULL);
    return -1;
}

static int check_version(struct journal *journal, int64_t *version, struct error *err)
{
    int64_t application;
    if (sql_number(journal->db, "PRAGMA user_version", 0, version, err) != 0 ||
        sql_number(journal->db, "PRAGMA application_id", 0, &application, err) != 0)
        return -1;
    if (*version > JOURNAL_VERSION)
        return fail(err, ERROR_UNSUPPORTED,
            "%s has version %lld, this program knows %d: run the newer program", journal->path,
            (long long)*version, JOURNAL_VERSION);
    if (*version > 0 && application != JOURNAL_APPLICATION_ID)
        return fail(err, ERROR_CORRUPT, "%s is not a journal", journal->path);
    return 0;
}

static int check_health(sqlite3 *db, const char *path, struct error *err)
{
    sqlite3_stmt *check = NULL;
    if (sql_prepare(db, "PRAGMA quick_check(1)", &check, err) != 0) return -1;
    int result = sql_step(check, err);
    if (result == 1 && strcmp(sql_column_text(check, 0), "ok") != 0)
        result = fail(err, ERROR_CORRUPT, "%s: %s", path, sql_column_text(check, 0));
    sqlite3_finalize(check);
    return result < 0 ? -1 : 0;
}

static int connect(struct journal *journal, struct error *err)
{
    int64_t version = 0, newest = 0, pruned = 0;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    uint32_t peeked = 0;
    if (sql_peek_version(journal->path, JOURNAL_APPLICATION_ID, &peeked, err) < 0) return -1;
    if (peeked > JOURNAL_VERSION)
        return fail(err, ERROR_UNSUPPORTED, "%s has version %u, this program knows %d: run the newer program",
            journal->path, peeked, JOURNAL_VERSION);
    if (sqlite3_open_v2(journal->path, &journal->db, flags, NULL) != SQLITE_OK)
        return sql_fail(journal->db, err, "open");
    sqlite3_extended_result_codes(journal->db, 0);
    if (sql_exec(journal->db, settings, err) != 0 || check_version(journal, &version, err) != 0) return -1;
    if (version == 0 && create(journal, err) != 0) return -1;
    if (version > 0 && check_health(journal->db, journal->path, err) != 0) return -1;
    if (sql_number(journal->db, "SELECT value FROM meta WHERE name = 'id'", 0, &journal->id, err) != 0 ||
        sql_number(journal->db, "SELECT value FROM meta WHERE name = 'pruned'", 0, &pruned, err) != 0 ||
        sql_number(journal->db, "SELECT max(serial) FROM frames", 0, &newest, err) != 0)
        return -1;
    for (size_t i = 0; i < SQL_COUNT; i++)
        if (sql_prepare(journal->db, statements[i], &journal->sql[i], err) != 0) return -1;
    journal->committed_serial = (uint64_t)(newest > pruned ? newest : pruned);
    journal->next_serial = journal->committed_serial + 1;
    return 0;
}

/* ---- reading ---- */

static int read_ranges(struct span bytes, struct received *received)
{
    struct cursor in = cursor_of(bytes);
    received->range_count = 0;
    uint64_t before = received->floor;
    while (cursor_left(&in) > 0) {
        struct wire_range range = {.first = cursor_varint(&in)};
        range.last = cursor_varint(&in);
        if (in.bad || received->range_count == LIMIT_ACK_RANGES || range.first <= before + 1 ||
            range.last < range.first)
            return -1;
        received->ranges[received->range_count++] = range;
        before = range.last;
    }
    return 0;
}

static int visit_streams(sqlite3 *db, const struct journal_visitor *visitor, struct error *err)
{
    sqlite3_stmt *read = NULL;
    if (sql_prepare(db, read_streams, &read, err) != 0) return -1;
    int result;
    while ((result = sql_step(read, err)) == 1) {
        struct journal_stream row = {.number = (uint32_t)sqlite3_column_int64(read, 0),
            .key = sql_column_text(read, 1),
            .incarnation = (uint64_t)sqlite3_column_int64(read, 2),
            .host = sql_column_text(read, 3),
            .seen_ms = sqlite3_column_int64(read, 4),
            .received.floor = (uint64_t)sqlite3_column_int64(read, 5)};
        if (row.number == 0 || read_ranges(sql_column_span(read, 6), &row.received) != 0) continue;
        if ((result = visitor->stream(visitor->owner, &row, err)) != 0) break;
    }
    sqlite3_finalize(read);
    return result;
}

static int visit_entries(sqlite3 *db, const struct journal_visitor *visitor, struct error *err)
{
    sqlite3_stmt *read = NULL;
    if (sql_prepare(db, read_entries, &read, err) != 0) return -1;
    int result;
    while ((result = sql_step(read, err)) == 1) {
        struct journal_entry row = {.stream = (uint32_t)sqlite3_column_int64(read, 0),
            .id = (uint32_t)sqlite3_column_int64(read, 1),
            .metric = sql_column_text(read, 2),
            .labels = sql_column_text(read, 3)};
        if ((result = visitor->entry(visitor->owner, &row, err)) != 0) break;
    }
    sqlite3_finalize(read);
    return result;
}

/* damaged: frames whose checksum does not match, left out. */
static int visit_frames(sqlite3 *db, const char *text, const struct journal_visitor *visitor,
    uint64_t *damaged, struct error *err)
{
    sqlite3_stmt *read = NULL;
    if (sql_prepare(db, text, &read, err) != 0) return -1;
    int result;
    while ((result = sql_step(read, err)) == 1) {
        struct journal_frame row = {.serial = (uint64_t)sqlite3_column_int64(read, 0),
            .stream = (uint32_t)sqlite3_column_int64(read, 1),
            .arrival_ms = sqlite3_column_int64(read, 2),
            .bytes = sql_column_span(read, 4)};
        if (XXH3_64bits(row.bytes.data, row.bytes.size) != (uint64_t)sqlite3_column_int64(read, 3))
            ++*damaged;
        else if ((result = visitor->frame(visitor->owner, &row, err)) != 0)
            break;
    }
    sqlite3_finalize(read);
    return result;
}

int journal_replay(struct journal *journal, const struct journal_visitor *visitor, struct error *err)
{
    uint64_t damaged = 0;
    if (visit_streams(journal->db, visitor, err) != 0 || visit_entries(journal->db, visitor, err) != 0 ||
        visit_frames(journal->db, read_frames, visitor, &damaged, err) != 0)
        return -1;
    if (damaged > 0) {
        tell(journal, "%s: %llu frames fail their checksum and are left out", journal->path,
            (unsigned long long)damaged);
    }
    return 0;
}

/* ---- salvage ---- */

struct salvage {
    struct journal *to;
    uint64_t frames, last_serial;
};

static int salvage_stream(void *owner, const struct journal_stream *stream, struct error *err)
{
    struct salvage *salvage = owner;
    return journal_put_stream(salvage->to, stream, err);
}

static int salvage_entry(void *owner, const struct journal_entry *entry, struct error *err)
{
    struct salvage *salvage = owner;
    return journal_put_entry(salvage->to, entry, err);
}

static int salvage_frame(void *owner, const struct journal_frame *frame, struct error *err)
{
    struct salvage *salvage = owner;
    struct error ignored;
    (void)err;
    /* Read from both ends, a frame may come twice: its serial is a key. */
    if (journal_put_frame(salvage->to, frame, &ignored) == 0) salvage->frames++;
    return 0;
}

/* Takes over what is readable, from both ends of the frames. The new journal has a new id, so the sealed
 * marks of day files say nothing about it: what was sealed already is stored once more and read once. */
static void take_over(struct journal *journal, const char *damaged_path)
{
    sqlite3 *old = NULL;
    struct error err = {0};
    uint64_t damaged = 0;
    struct salvage salvage = {.to = journal};
    const struct journal_visitor visitor = {&salvage, salvage_stream, salvage_entry, salvage_frame};
    if (sqlite3_open_v2(damaged_path, &old, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK &&
        journal_begin(journal, &err) == 0) {
        visit_streams(old, &visitor, &err);
        visit_entries(old, &visitor, &err);
        if (visit_frames(old, read_frames, &visitor, &damaged, &err) != 0)
            visit_frames(old, read_frames_backwards, &visitor, &damaged, &err);
        if (journal_commit(journal, &err) != 0) salvage.frames = 0;
    }
    sqlite3_close(old);
    tell(journal, "%s: made anew, %llu frames taken over from the damaged file", journal->path,
        (unsigned long long)salvage.frames);
}

static int move_aside(const char *path, int64_t now_ms, char **moved, struct error *err)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    *moved = check_format("%s.corrupt-%lld", path, (long long)now_ms);
    for (size_t i = 0; i < ARRAY_COUNT(endings); i++) {
        AUTO_FREE char *from = check_format("%s%s", path, endings[i]);
        AUTO_FREE char *to = check_format("%s%s", *moved, endings[i]);
        if (rename(from, to) != 0 && (i == 0 || errno != ENOENT)) {
            fail_errno(err, "rename %s", from);
            free(TAKE(*moved));
            return -1;
        }
    }
    return 0;
}

static int replace_damaged(struct journal *journal, int64_t now_ms, struct error *err)
{
    AUTO_FREE char *moved = NULL;
    tell(journal, "%s is damaged and is set aside: %s", journal->path, err->text);
    if (move_aside(journal->path, now_ms, &moved, err) != 0 || connect(journal, err) != 0) return -1;
    take_over(journal, moved);
    return 0;
}

/* ---- opening ---- */

struct journal *journal_open(
    const char *directory, int64_t now_ms, journal_note *note, void *owner, struct error *err)
{
    struct error local = {0};
    struct journal *journal = check_alloc(sizeof *journal);
    journal->path = check_format("%s/journal.db", directory);
    journal->note = note;
    journal->owner = owner;
    int result = connect(journal, &local);
    if (result != 0 && local.kind == ERROR_CORRUPT) {
        disconnect(journal);
        result = replace_damaged(journal, now_ms, &local);
    }
    if (result == 0) return journal;
    if (err != NULL) *err = local;
    journal_close(journal);
    return NULL;
}

void journal_close(struct journal *journal)
{
    if (journal == NULL) return;
    disconnect(journal);
    free(journal->path);
    free(journal);
}

int64_t journal_id(const struct journal *journal)
{
    return journal->id;
}

uint64_t journal_next_serial(const struct journal *journal)
{
    return journal->next_serial;
}

/* ---- writing ---- */

static int roll_back(struct journal *journal)
{
    if (journal->db != NULL && !sqlite3_get_autocommit(journal->db))
        sqlite3_exec(journal->db, "ROLLBACK", NULL, NULL, NULL);
    return -1;
}

int journal_begin(struct journal *journal, struct error *err)
{
    if (journal->db == NULL) { /* a reconnection failed */
        uint64_t committed = journal->committed_serial, next = journal->next_serial;
        int64_t id = journal->id;
        if (connect(journal, err) != 0) {
            disconnect(journal);
            return -1;
        }
        if (journal->id != id || journal->committed_serial < committed) {
            disconnect(journal);
            return fail(err, ERROR_CORRUPT, "%s lost what it had committed", journal->path);
        }
        if (journal->next_serial < next) journal->next_serial = next;
    }
    return sql_exec(journal->db, "BEGIN IMMEDIATE", err);
}

int journal_put_stream(struct journal *journal, const struct journal_stream *stream, struct error *err)
{
    uint8_t ranges[LIMIT_ACK_RANGES * 2 * VARINT_BYTES_MAX], *end = ranges;
    for (size_t i = 0; i < stream->received.range_count; i++) {
        end = put_varint(end, stream->received.ranges[i].first);
        end = put_varint(end, stream->received.ranges[i].last);
    }
    sqlite3_stmt *put = journal->sql[SQL_PUT_STREAM];
    sqlite3_bind_int64(put, 1, stream->number);
    sql_bind_text(put, 2, stream->key);
    sqlite3_bind_int64(put, 3, (int64_t)stream->incarnation);
    sql_bind_text(put, 4, stream->host);
    sqlite3_bind_int64(put, 5, stream->seen_ms);
    sqlite3_bind_int64(put, 6, (int64_t)stream->received.floor);
    sql_bind_span(put, 7, span_of(ranges, (size_t)(end - ranges)));
    return sql_run(put, err) != 0 ? roll_back(journal) : 0;
}

int journal_put_entry(struct journal *journal, const struct journal_entry *entry, struct error *err)
{
    sqlite3_stmt *put = journal->sql[SQL_PUT_ENTRY];
    sqlite3_bind_int64(put, 1, entry->stream);
    sqlite3_bind_int64(put, 2, entry->id);
    sql_bind_text(put, 3, entry->metric);
    sql_bind_text(put, 4, entry->labels);
    return sql_run(put, err) != 0 ? roll_back(journal) : 0;
}

int journal_put_frame(struct journal *journal, const struct journal_frame *frame, struct error *err)
{
    sqlite3_stmt *put = journal->sql[SQL_PUT_FRAME];
    sqlite3_bind_int64(put, 1, (int64_t)frame->serial);
    sqlite3_bind_int64(put, 2, frame->stream);
    sqlite3_bind_int64(put, 3, frame->arrival_ms);
    sqlite3_bind_int64(put, 4, (int64_t)XXH3_64bits(frame->bytes.data, frame->bytes.size));
    sql_bind_span(put, 5, frame->bytes);
    if (sql_run(put, err) != 0)
        return sqlite3_errcode(journal->db) == SQLITE_CONSTRAINT ? -1 : roll_back(journal);
    if (frame->serial > journal->open_serial) journal->open_serial = frame->serial;
    if (frame->serial >= journal->next_serial) journal->next_serial = frame->serial + 1;
    return 0;
}

int journal_commit(struct journal *journal, struct error *err)
{
    if (sqlite3_get_autocommit(journal->db)) return fail(err, ERROR_IO, "%s: rolled back", journal->path);
    struct error local = {0};
    if (sql_exec(journal->db, "COMMIT", &local) == 0) {
        if (journal->open_serial > journal->committed_serial)
            journal->committed_serial = journal->open_serial;
        return 0;
    }
    roll_back(journal);
    journal->open_serial = journal->committed_serial;
    /* What a failed write left in the kernel's cache is unknown: read it back from the file. */
    if (local.kind == ERROR_IO) disconnect(journal);
    if (err != NULL) *err = local;
    return -1;
}

static int run_number(sqlite3_stmt *statement, int64_t first, int64_t second, struct error *err)
{
    sqlite3_bind_int64(statement, 1, first);
    if (sqlite3_bind_parameter_count(statement) > 1) sqlite3_bind_int64(statement, 2, second);
    return sql_run(statement, err);
}

int journal_prune(struct journal *journal, uint64_t serial_through, struct error *err)
{
    if (journal_begin(journal, err) != 0) return -1;
    if (run_number(journal->sql[SQL_PRUNE], (int64_t)serial_through, 0, err) != 0 ||
        run_number(journal->sql[SQL_SET_PRUNED], (int64_t)serial_through, 0, err) != 0)
        return roll_back(journal);
    return journal_commit(journal, err);
}

int journal_forget_stream(struct journal *journal, uint32_t stream, struct error *err)
{
    if (journal_begin(journal, err) != 0) return -1;
    if (run_number(journal->sql[SQL_FORGET_STREAM], stream, 0, err) != 0 ||
        run_number(journal->sql[SQL_FORGET_DICT], stream, 0, err) != 0)
        return roll_back(journal);
    return journal_commit(journal, err);
}

int journal_forget_entry(struct journal *journal, uint32_t stream, uint32_t id, struct error *err)
{
    return run_number(journal->sql[SQL_FORGET_ENTRY], stream, id, err) != 0 ? roll_back(journal) : 0;
}

uint64_t journal_bytes(const struct journal *journal)
{
    int64_t pages = 0, size = 0;
    if (journal->db == NULL || sql_number(journal->db, "PRAGMA page_count", 0, &pages, NULL) != 0 ||
        sql_number(journal->db, "PRAGMA page_size", 0, &size, NULL) != 0)
        return 0;
    return (uint64_t)(pages * size);
}
