#include "collector/core/store/day.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "collector/core/store/sql.h"
#include "common/check.h"
#include "common/cleanup.h"

static const char *const statements[] = {
    [DAY_PUT_HOST] = "INSERT INTO hosts(name) VALUES(?1)",
    [DAY_FIND_HOST] = "SELECT id FROM hosts WHERE name = ?1",
    [DAY_PUT_MARK] = "UPDATE hosts SET journal = ?2, sealed = ?3 WHERE id = ?1",
    [DAY_PUT_SERIES] = "INSERT INTO series(metric, host, labels) VALUES(?1, ?2, ?3)",
    [DAY_FIND_SERIES] = "SELECT id FROM series WHERE metric = ?1 AND host = ?2 AND labels = ?3",
    [DAY_PUT_BLOCK] = "INSERT INTO blocks(host, from_ms, to_ms, data) VALUES(?1, ?2, ?3, ?4)",
};
static_assert(ARRAY_COUNT(statements) == DAY_SQL_COUNT, "a text per statement");

static const char settings[] = "PRAGMA page_size = 4096;"
                               "PRAGMA journal_mode = WAL;"
                               "PRAGMA synchronous = FULL;"
                               "PRAGMA secure_delete = OFF;"
                               "PRAGMA wal_autocheckpoint = 1000;"
                               "PRAGMA journal_size_limit = 67108864;"
                               "PRAGMA temp_store = MEMORY;";

static const char schema[] =
    "CREATE TABLE hosts(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, journal INTEGER, sealed INTEGER);"
    "CREATE TABLE series(id INTEGER PRIMARY KEY, metric TEXT NOT NULL, host INTEGER NOT NULL, labels TEXT "
    "NOT NULL);"
    "CREATE UNIQUE INDEX series_by_name ON series(metric, host, labels);"
    "CREATE TABLE blocks(id INTEGER PRIMARY KEY, host INTEGER NOT NULL, from_ms INTEGER NOT NULL,"
    " to_ms INTEGER NOT NULL, data BLOB NOT NULL);"
    "CREATE INDEX blocks_by_host ON blocks(host, from_ms);";

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

int64_t day_of(int64_t time_ms)
{
    return floor_div(time_ms, DAY_MS);
}

int64_t hour_of(int64_t time_ms)
{
    return floor_div(time_ms, HOUR_MS);
}

/* ---- names ---- */

char *day_path(const char *directory, int64_t day)
{
    time_t seconds = (time_t)(day * (DAY_MS / 1000));
    struct tm tm = {0};
    gmtime_r(&seconds, &tm);
    return check_format(
        "%s/seconds-%04d-%02d-%02d.db", directory, tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}

static bool day_of_name(const char *name, int64_t *day)
{
    struct tm tm = {0};
    const char *end = strptime(name, "seconds-%Y-%m-%d.db", &tm);
    if (end == NULL || *end != '\0' || end - name != sizeof "seconds-2026-01-01.db" - 1) return false;
    *day = floor_div((int64_t)timegm(&tm), DAY_MS / 1000);
    return true;
}

static int ascending(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

int day_list(const char *directory, int64_t **days, size_t *count, struct error *err)
{
    DIR *dir = opendir(directory);
    if (dir == NULL) return fail_errno(err, "open %s", directory);
    int64_t *found = NULL;
    size_t found_count = 0;
    int64_t day;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (!day_of_name(entry->d_name, &day)) continue;
        found = check_realloc_array(found, found_count + 1, sizeof *found);
        found[found_count++] = day;
    }
    closedir(dir);
    if (found_count > 0) qsort(found, found_count, sizeof *found, ascending);
    *days = found;
    *count = found_count;
    return 0;
}

/* ---- opening and closing ---- */

static void day_close(struct day *day)
{
    if (day == NULL) return;
    for (size_t i = 0; i < DAY_SQL_COUNT; i++) sqlite3_finalize(day->sql[i]);
    sqlite3_close(day->db);
    free(day->path);
    free(day);
}

static int day_create(sqlite3 *db, struct error *err)
{
    AUTO_FREE char *text =
        check_format("BEGIN IMMEDIATE; PRAGMA application_id = %d; PRAGMA user_version = %d; %s COMMIT;",
            DAY_APPLICATION_ID, DAY_VERSION, schema);
    if (sql_exec(db, text, err) == 0) return 0;
    if (!sqlite3_get_autocommit(db)) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return -1;
}

static int day_connect(struct day *day, struct error *err)
{
    int64_t version;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(day->path, &day->db, flags, NULL) != SQLITE_OK) return sql_fail(day->db, err, "open");
    sqlite3_busy_timeout(day->db, 2000); /* a reader that recovers the WAL holds a lock for a moment */
    if (sql_exec(day->db, settings, err) != 0 ||
        sql_number(day->db, "PRAGMA user_version", 0, &version, err) != 0)
        return -1;
    if (version > DAY_VERSION)
        return fail(err, ERROR_UNSUPPORTED,
            "%s has version %lld, this program knows %d: run the newer program", day->path,
            (long long)version, DAY_VERSION);
    if (version == 0 && day_create(day->db, err) != 0) return -1;
    for (size_t i = 0; i < DAY_SQL_COUNT; i++)
        if (sql_prepare(day->db, statements[i], &day->sql[i], err) != 0) return -1;
    return 0;
}

static struct day **slot_of(struct days *days, int64_t day)
{
    for (size_t i = 0; i < DAYS_OPEN_MAX; i++)
        if (days->open[i] != NULL && days->open[i]->day == day) return &days->open[i];
    return NULL;
}

/* A free slot; else that of the least used day that is not in a transaction. */
static struct day **slot_for_new(struct days *days)
{
    struct day **oldest = NULL;
    for (size_t i = 0; i < DAYS_OPEN_MAX; i++) {
        struct day **slot = &days->open[i];
        if (*slot == NULL) return slot;
        if (sqlite3_get_autocommit((*slot)->db) && (oldest == NULL || (*slot)->used_ms < (*oldest)->used_ms))
            oldest = slot;
    }
    if (oldest != NULL) day_close(TAKE(*oldest));
    return oldest;
}

static struct day *day_open(struct days *days, int64_t number, struct error *err)
{
    struct day **slot = slot_of(days, number);
    if (slot != NULL) return *slot;
    slot = slot_for_new(days);
    if (slot == NULL) {
        fail(err, ERROR_LIMIT, "more than %d days at once", DAYS_OPEN_MAX);
        return NULL;
    }
    struct day *day = check_alloc(sizeof *day);
    day->day = number;
    day->path = day_path(days->directory, number);
    day->generation = ++days->generations;
    if (day_connect(day, err) != 0) {
        day_close(day);
        return NULL;
    }
    *slot = day;
    return day;
}

void days_fini(struct days *days)
{
    days_rollback(days);
    for (size_t i = 0; i < DAYS_OPEN_MAX; i++) day_close(TAKE(days->open[i]));
    free(TAKE(days->directory));
}

int days_set_aside(struct days *days, int64_t day, int64_t now_ms, const char *why, struct error *err)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    struct day **slot = slot_of(days, day);
    if (slot != NULL) day_close(TAKE(*slot));
    AUTO_FREE char *path = day_path(days->directory, day);
    for (size_t i = 0; i < ARRAY_COUNT(endings); i++) {
        AUTO_FREE char *from = check_format("%s%s", path, endings[i]);
        AUTO_FREE char *to = check_format("%s.corrupt-%lld%s", path, (long long)now_ms, endings[i]);
        if (rename(from, to) != 0 && errno != ENOENT) return fail_errno(err, "rename %s", from);
    }
    AUTO_FREE char *text = check_format("%s is damaged and is set aside: %s", path, why);
    if (days->note != NULL) days->note(days->owner, text);
    return 0;
}

int days_check(struct days *days, int64_t now_ms, struct error *err)
{
    AUTO_FREE int64_t *list = NULL;
    size_t count;
    if (day_list(days->directory, &list, &count, err) != 0) return -1;
    for (size_t i = 0; i < count; i++) {
        struct error local = {0};
        uint32_t version = 0;
        AUTO_FREE char *path = day_path(days->directory, list[i]);
        int result = sql_peek_version(path, DAY_APPLICATION_ID, &version, &local);
        if (result < 0 && local.kind == ERROR_CORRUPT) {
            if (days_set_aside(days, list[i], now_ms, local.text, err) != 0) return -1;
        } else if (result < 0) {
            if (err != NULL) *err = local;
            return -1;
        } else if (result == 1 && version > DAY_VERSION) {
            return fail(err, ERROR_UNSUPPORTED,
                "%s has version %u, this program knows %d: run the newer program", path, version,
                DAY_VERSION);
        }
    }
    return 0;
}

static int read_marks(
    sqlite3 *db, const struct days *days, int64_t day, struct registry *registry, struct error *err)
{
    sqlite3_stmt *read = NULL;
    if (sql_prepare(db, "SELECT name, sealed FROM hosts WHERE journal = ?1", &read, err) != 0) return -1;
    sqlite3_bind_int64(read, 1, days->journal_id);
    int result;
    while ((result = sql_step(read, err)) == 1) {
        struct series_host *host = registry_host(registry, sql_column_text(read, 0));
        host->marks = check_realloc_array(host->marks, host->mark_count + 1, sizeof *host->marks);
        host->marks[host->mark_count++] =
            (struct sealed_mark){.day = day, .serial = (uint64_t)sqlite3_column_int64(read, 1)};
    }
    sqlite3_finalize(read);
    return result;
}

/* On a connection of its own without our settings: a finished file stays out of WAL mode. */
static int load_marks(struct days *days, int64_t day, struct registry *registry, struct error *err)
{
    sqlite3 *db = NULL;
    int64_t version = 0;
    AUTO_FREE char *path = day_path(days->directory, day);
    int result = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK
                     ? 0
                     : sql_fail(db, err, "open");
    sqlite3_busy_timeout(db, 2000);
    if (result == 0) result = sql_number(db, "PRAGMA user_version", 0, &version, err);
    if (result == 0 && version == DAY_VERSION) result = read_marks(db, days, day, registry, err);
    sqlite3_close(db);
    return result;
}

int days_load_marks(struct days *days, struct registry *registry, int64_t now_ms, struct error *err)
{
    AUTO_FREE int64_t *list = NULL;
    size_t count;
    if (day_list(days->directory, &list, &count, err) != 0) return -1;
    for (size_t i = 0; i < count; i++) {
        struct error local = {0};
        if (load_marks(days, list[i], registry, &local) == 0) continue;
        /* Without marks what the journal still holds is stored again: nothing is lost, and it is read once.
         */
        if (local.kind != ERROR_CORRUPT) {
            if (err != NULL) *err = local;
            return -1;
        }
        if (days_set_aside(days, list[i], now_ms, local.text, err) != 0) return -1;
    }
    return 0;
}

/* ---- transactions ---- */

struct day *days_begin(struct days *days, int64_t number, int64_t now_ms, struct error *err)
{
    struct day *day = day_open(days, number, err);
    if (day == NULL) return NULL;
    if (sqlite3_get_autocommit(day->db) && sql_exec(day->db, "BEGIN IMMEDIATE", err) != 0) return NULL;
    day->used_ms = now_ms;
    return day;
}

int days_commit(struct days *days, struct error *err)
{
    for (size_t i = 0; i < DAYS_OPEN_MAX; i++) {
        struct day *day = days->open[i];
        if (day == NULL || sqlite3_get_autocommit(day->db)) continue;
        if (sql_exec(day->db, "COMMIT", err) != 0) {
            days_rollback(days);
            return -1;
        }
    }
    return 0;
}

void days_rollback(struct days *days)
{
    for (size_t i = 0; i < DAYS_OPEN_MAX; i++) {
        struct day *day = days->open[i];
        if (day == NULL) continue;
        if (!sqlite3_get_autocommit(day->db)) sqlite3_exec(day->db, "ROLLBACK", NULL, NULL, NULL);
        day->generation = ++days->generations; /* numbers given inside are void */
    }
}

int days_finish(struct days *days, int64_t number, int64_t now_ms, struct error *err)
{
    struct day *day = day_open(days, number, err);
    if (day == NULL) return -1;
    day->used_ms = now_ms;
    for (size_t i = 0; i < DAY_SQL_COUNT; i++) {
        sqlite3_finalize(day->sql[i]);
        day->sql[i] = NULL;
    }
    sqlite3_busy_timeout(day->db, 0);
    sqlite3_stmt *leave = NULL;
    int result =
        sql_prepare(day->db, "PRAGMA journal_mode = DELETE", &leave, err) == 0 ? sql_step(leave, err) : -1;
    bool left = result == 1 && strcmp(sql_column_text(leave, 0), "delete") == 0;
    sqlite3_finalize(leave);
    day_close(TAKE(*slot_of(days, number)));
    if (left) return 1;
    return result < 0 && err != NULL && err->kind != ERROR_AGAIN ? -1 : 0;
}

bool days_in_wal_mode(const struct days *days, int64_t day)
{
    enum { READ_VERSION_AT = 19, VERSION_WAL = 2 }; /* https://www.sqlite.org/fileformat.html */
    uint8_t version = 0;
    AUTO_FREE char *path = day_path(days->directory, day);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && pread(fd, &version, 1, READ_VERSION_AT) == 1 && version == VERSION_WAL;
}

void days_close_idle(struct days *days, int64_t used_before_ms)
{
    for (size_t i = 0; i < DAYS_OPEN_MAX; i++)
        if (days->open[i] != NULL && days->open[i]->used_ms < used_before_ms &&
            sqlite3_get_autocommit(days->open[i]->db))
            day_close(TAKE(days->open[i]));
}

size_t days_expire(struct days *days, int64_t first_kept)
{
    static const char *const endings[] = {"-wal", "-shm", ""};
    AUTO_FREE int64_t *list = NULL;
    size_t count = 0, removed = 0;
    if (day_list(days->directory, &list, &count, NULL) != 0) return 0;
    for (size_t i = 0; i < count && list[i] < first_kept; i++) {
        struct day **slot = slot_of(days, list[i]);
        if (slot != NULL) day_close(TAKE(*slot));
        AUTO_FREE char *path = day_path(days->directory, list[i]);
        for (size_t k = 0; k < ARRAY_COUNT(endings); k++) {
            AUTO_FREE char *file = check_format("%s%s", path, endings[k]);
            unlink(file);
        }
        removed++;
    }
    return removed;
}

uint64_t days_bytes(const struct days *days)
{
    AUTO_FREE int64_t *list = NULL;
    size_t count = 0;
    uint64_t bytes = 0;
    if (day_list(days->directory, &list, &count, NULL) != 0) return 0;
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *path = day_path(days->directory, list[i]);
        struct stat status;
        if (stat(path, &status) == 0) bytes += (uint64_t)status.st_size;
    }
    return bytes;
}

/* ---- rows ---- */

/* The row's number, found or made; remembered with the day and its generation. */
static int find_or_put(struct day *day, enum day_sql find, enum day_sql put, struct day_number *numbered,
    void (*bind)(sqlite3_stmt *, const void *), const void *what, uint32_t *number, struct error *err)
{
    if (numbered->generation == day->generation && numbered->day == day->day) {
        *number = numbered->number;
        return 0;
    }
    bind(day->sql[find], what);
    int found = sql_step(day->sql[find], err);
    if (found < 0) return -1;
    if (found == 1) {
        *number = (uint32_t)sqlite3_column_int64(day->sql[find], 0);
        sqlite3_reset(day->sql[find]);
    } else {
        bind(day->sql[put], what);
        if (sql_run(day->sql[put], err) != 0) return -1;
        *number = (uint32_t)sqlite3_last_insert_rowid(day->db);
    }
    *numbered = (struct day_number){.day = day->day, .generation = day->generation, .number = *number};
    return 0;
}

static void bind_host(sqlite3_stmt *statement, const void *what)
{
    const struct series_host *host = what;
    sql_bind_text(statement, 1, host->name);
}

int day_host_number(struct day *day, struct series_host *host, uint32_t *number, struct error *err)
{
    return find_or_put(day, DAY_FIND_HOST, DAY_PUT_HOST, &host->numbered, bind_host, host, number, err);
}

static void bind_series(sqlite3_stmt *statement, const void *what)
{
    const struct series *series = what;
    sql_bind_text(statement, 1, series->metric);
    sqlite3_bind_int64(statement, 2, series->host->numbered.number);
    sql_bind_text(statement, 3, series->labels);
}

int day_series_number(struct day *day, struct series *series, uint32_t *number, struct error *err)
{
    uint32_t host;
    if (day_host_number(day, series->host, &host, err) != 0) return -1;
    return find_or_put(
        day, DAY_FIND_SERIES, DAY_PUT_SERIES, &series->numbered, bind_series, series, number, err);
}

int day_put_mark(struct day *day, uint32_t host, int64_t journal_id, uint64_t serial, struct error *err)
{
    sqlite3_stmt *put = day->sql[DAY_PUT_MARK];
    sqlite3_bind_int64(put, 1, host);
    sqlite3_bind_int64(put, 2, journal_id);
    sqlite3_bind_int64(put, 3, (int64_t)serial);
    return sql_run(put, err);
}

int day_put_block(
    struct day *day, uint32_t host, int64_t from_ms, int64_t to_ms, struct span data, struct error *err)
{
    sqlite3_stmt *put = day->sql[DAY_PUT_BLOCK];
    sqlite3_bind_int64(put, 1, host);
    sqlite3_bind_int64(put, 2, from_ms);
    sqlite3_bind_int64(put, 3, to_ms);
    sql_bind_span(put, 4, data);
    return sql_run(put, err);
}
