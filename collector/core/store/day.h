/* seconds-YYYY-MM-DD.db: the sealed blocks of one UTC day. The store role is the only writer; readers open
 * the files by themselves (store_read.h). README.md has the schema. One thread. */
#ifndef COLLECTOR_CORE_STORE_DAY_H
#define COLLECTOR_CORE_STORE_DAY_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "collector/core/store/journal.h"
#include "collector/core/store/series.h"
#include "common/error.h"
#include "common/span.h"

#define DAY_APPLICATION_ID 0x464c5331 /* "FLS1" */
#define DAY_VERSION        1
#define DAY_MS             ((int64_t)86400000)
#define HOUR_MS            ((int64_t)3600000)

/* Rounded down, for times before 1970 too. */
int64_t day_of(int64_t time_ms);
int64_t hour_of(int64_t time_ms);

/* "DIRECTORY/seconds-2026-11-23.db", a new string. */
char *day_path(const char *directory, int64_t day);
/* The days there are files of, ascending; a new array. */
int day_list(const char *directory, int64_t **days, size_t *count, struct error *err);

enum day_sql {
    DAY_PUT_HOST,
    DAY_FIND_HOST,
    DAY_PUT_MARK,
    DAY_PUT_SERIES,
    DAY_FIND_SERIES,
    DAY_PUT_BLOCK,
    DAY_SQL_COUNT
};

struct day {
    int64_t day;
    char *path;
    sqlite3 *db;
    sqlite3_stmt *sql[DAY_SQL_COUNT];
    uint64_t generation; /* numbers found before this one are void */
    int64_t used_ms;
};

#define DAYS_OPEN_MAX 4

struct days {
    char *directory;
    int64_t journal_id;
    uint64_t generations;
    struct day *open[DAYS_OPEN_MAX];
    journal_note *note;
    void *owner;
};

void days_fini(struct days *days); /* rolls back what is open */

/* Looks at every file's header: sets damaged ones aside, ERROR_UNSUPPORTED for a later version. */
int days_check(struct days *days, int64_t now_ms, struct error *err);
/* Fills the marks of hosts with what the files say about this journal. */
int days_load_marks(struct days *days, struct registry *registry, int64_t now_ms, struct error *err);

/* The day's file, made where missing, inside a transaction. At most DAYS_OPEN_MAX take part in one:
 * ERROR_LIMIT, commit and go on. */
struct day *days_begin(struct days *days, int64_t day, int64_t now_ms, struct error *err);
int days_commit(
    struct days *days, struct error *err); /* one after the other; on failure the rest is rolled back */
void days_rollback(struct days *days);
/* After ERROR_CORRUPT: closes the file and renames it aside. */
int days_set_aside(struct days *days, int64_t day, int64_t now_ms, const char *why, struct error *err);
/* Leaves WAL mode and closes: 1 done, 0 not now (a reader holds it), -1 err. */
int days_finish(struct days *days, int64_t day, int64_t now_ms, struct error *err);
/* Whether the file is in WAL mode, by its header. */
bool days_in_wal_mode(const struct days *days, int64_t day);
void days_close_idle(struct days *days, int64_t used_before_ms);
/* Deletes the files of days before this one; how many. */
size_t days_expire(struct days *days, int64_t first_kept);
uint64_t days_bytes(const struct days *days);

int day_host_number(struct day *day, struct series_host *host, uint32_t *number, struct error *err);
int day_series_number(struct day *day, struct series *series, uint32_t *number, struct error *err);
int day_put_mark(struct day *day, uint32_t host, int64_t journal_id, uint64_t serial, struct error *err);
int day_put_block(
    struct day *day, uint32_t host, int64_t from_ms, int64_t to_ms, struct span data, struct error *err);

#endif
