/* The hourly pass: small blocks become one, days that are over leave WAL mode, and nothing that can be read
 * changes. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "collector/core/store/sql.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "tests/support/store_case.h"
#include "tests/support/unit.h"

#define SECOND 1000
#define HOUR   ((int64_t)3600000)
#define TODAY  "seconds-2026-11-23.db"

static void send_minutes(
    struct store_case *c, uint64_t *sequence, int64_t first_ms, size_t minutes, int64_t extra)
{
    int64_t times[60], values[60];
    for (size_t m = 0; m < minutes; m++) {
        for (size_t i = 0; i < 60; i++) {
            times[i] = first_ms + (int64_t)(m * 60 + i) * SECOND;
            values[i] = times[i] / SECOND % 1000 + extra;
        }
        const struct case_series series = {.id = 1,
            .metric = "disk_reads_total",
            .device = "vda",
            .with_dict = true,
            .times_ms = times,
            .ints = values,
            .count = 60};
        CU_ASSERT_FATAL(case_send_series(c, 1, ++*sequence, &series) == STORE_TAKEN);
        CU_ASSERT(case_seal(c, true));
    }
}

static int64_t blocks(const struct store_case *c)
{
    sqlite3 *db = NULL;
    int64_t count = -1;
    AUTO_FREE char *path = check_format("%s/%s", c->directory, TODAY);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK)
        sql_number(db, "SELECT count(*) FROM blocks", -1, &count, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_close(db);
    return count;
}

static bool in_wal_mode(const struct store_case *c)
{
    uint8_t version = 0;
    AUTO_FREE char *path = check_format("%s/%s", c->directory, TODAY);
    AUTO_CLOSE int fd = open(path, O_RDONLY);
    CU_ASSERT(pread(fd, &version, 1, 19) == 1);
    return version == 2;
}

static void expect(struct store_case *c, int64_t first_ms, size_t count, size_t covered, int64_t extra)
{
    struct store_result result = {0};
    CU_ASSERT_FATAL(case_query(c, "disk_reads_total", NULL, 0, CASE_NOON * 2, STORE_RAW, 0, &result));
    CU_ASSERT_FATAL(result.damaged == 0 && result.count == 1 && result.series[0].count == count);
    for (size_t i = 0; i < count; i++) {
        const struct store_point *point = &result.series[0].points[i];
        int64_t time_ms = first_ms + (int64_t)i * SECOND;
        double value = (double)(time_ms / SECOND % 1000 + (i < covered ? extra : 0));
        if (point->time_ms != time_ms || point->value != value) {
            CU_FAIL("a sample is not what was sent last");
            break;
        }
    }
    store_result_fini(&result);
}

static void an_hour_that_is_over_becomes_one_block(void)
{
    struct store_case c = {0};
    uint64_t sequence = 0;
    case_init(&c);
    int64_t first_ms = CASE_NOON - 2 * HOUR;
    send_minutes(&c, &sequence, first_ms, 25, 0);
    CU_ASSERT(blocks(&c) == 25);
    send_minutes(&c, &sequence, first_ms, 10, 5); /* the same times again: they cover the first */
    expect(&c, first_ms, 1500, 600, 5);
    c.now_ms += HOUR;
    CU_ASSERT(case_seal(&c, false));
    CU_ASSERT(blocks(&c) == 1);
    expect(&c, first_ms, 1500, 600, 5);
    send_minutes(&c, &sequence, first_ms, 10, 7); /* and again, after the pass */
    expect(&c, first_ms, 1500, 600, 7);
    c.now_ms += HOUR;
    CU_ASSERT(case_seal(&c, false));
    CU_ASSERT(blocks(&c) == 1);
    expect(&c, first_ms, 1500, 600, 7);
    case_close(&c);
    CU_ASSERT_FATAL(case_open(&c));
    expect(&c, first_ms, 1500, 600, 7);
    CU_ASSERT_STRING_EQUAL(c.notes, "");
    case_fini(&c);
}

static void a_day_that_is_over_leaves_wal_mode_and_takes_late_data_all_the_same(void)
{
    struct store_case c = {0};
    uint64_t sequence = 0;
    case_init(&c);
    send_minutes(&c, &sequence, CASE_NOON, 3, 0);
    CU_ASSERT(in_wal_mode(&c));
    c.now_ms += 14 * HOUR;
    CU_ASSERT(case_seal(&c, false));
    CU_ASSERT(!in_wal_mode(&c) && blocks(&c) == 1);
    expect(&c, CASE_NOON, 180, 0, 0);
    send_minutes(&c, &sequence, CASE_NOON + 180 * SECOND, 3, 0);
    CU_ASSERT(in_wal_mode(&c));
    expect(&c, CASE_NOON, 360, 0, 0);
    c.now_ms += HOUR;
    CU_ASSERT(case_seal(&c, false));
    CU_ASSERT(!in_wal_mode(&c) && blocks(&c) == 1);
    expect(&c, CASE_NOON, 360, 0, 0);
    case_close(&c);
    expect(&c, CASE_NOON, 360, 0, 0);
    case_fini(&c);
}

static void a_reader_that_sits_on_a_day_delays_its_end_and_nothing_else(void)
{
    struct store_case c = {0};
    sqlite3 *db = NULL;
    uint64_t sequence = 0;
    case_init(&c);
    send_minutes(&c, &sequence, CASE_NOON, 3, 0);
    AUTO_FREE char *path = check_format("%s/%s", c.directory, TODAY);
    CU_ASSERT_FATAL(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    CU_ASSERT(sql_exec(db, "PRAGMA wal_autocheckpoint = 0; BEGIN; SELECT count(*) FROM blocks", &c.err) == 0);
    c.now_ms += 14 * HOUR;
    CU_ASSERT(case_seal(&c, false));
    CU_ASSERT(in_wal_mode(&c));
    send_minutes(&c, &sequence, CASE_NOON + 180 * SECOND, 3, 0);
    expect(&c, CASE_NOON, 360, 0, 0);
    sqlite3_close(db);
    c.now_ms += HOUR;
    CU_ASSERT(case_seal(&c, false));
    CU_ASSERT(!in_wal_mode(&c));
    expect(&c, CASE_NOON, 360, 0, 0);
    case_fini(&c);
}

UNIT_MAIN("store compact", {"an hour that is over becomes one block", an_hour_that_is_over_becomes_one_block},
    {"a day that is over leaves WAL mode and takes late data all the same",
        a_day_that_is_over_leaves_wal_mode_and_takes_late_data_all_the_same},
    {"a reader that sits on a day delays its end and nothing else",
        a_reader_that_sits_on_a_day_delays_its_end_and_nothing_else})
