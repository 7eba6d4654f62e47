/* Files that are damaged, from a later version, or do not fit on the disk. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/core/store/sql.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "tests/support/store_case.h"
#include "tests/support/unit.h"

#define SECOND 1000
#define TODAY  "seconds-2026-11-23.db"

static enum store_verdict send(struct store_case *c, uint64_t sequence, int64_t first_ms, size_t n)
{
    static int64_t times[CASE_TIMES_MAX], values[CASE_TIMES_MAX];
    for (size_t i = 0; i < n; i++) {
        times[i] = first_ms + (int64_t)i * SECOND;
        values[i] = (int64_t)((uint64_t)times[i] * 0x9E3779B97F4A7C15u >> 20);
    }
    return case_send_series(c, 1, sequence,
        &(struct case_series){.id = 1,
            .metric = "disk_reads_total",
            .device = "vda",
            .with_dict = true,
            .times_ms = times,
            .ints = values,
            .count = n});
}

static size_t readable(struct store_case *c, size_t *damaged)
{
    struct store_result result = {0};
    size_t count = 0;
    if (!case_query(c, "disk_reads_total", NULL, 0, CASE_NOON * 2, STORE_RAW, 0, &result)) {
        printf("query: %s\n", c->err.text);
        CU_FAIL("no answer");
    }
    if (result.count > 0) count = result.series[0].count;
    if (damaged != NULL) *damaged = result.damaged;
    store_result_fini(&result);
    return count;
}

static char *path_of(const struct store_case *c, const char *name)
{
    return check_format("%s/%s", c->directory, name);
}

static size_t count_files(const struct store_case *c, const char *pattern)
{
    glob_t found;
    AUTO_FREE char *path = path_of(c, pattern);
    size_t count = glob(path, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return count;
}

static void overwrite(const struct store_case *c, const char *name, off_t at, size_t size, uint8_t with)
{
    AUTO_FREE char *path = path_of(c, name);
    AUTO_FREE uint8_t *bytes = check_alloc(size);
    memset(bytes, with, size);
    int fd = open(path, O_WRONLY);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT(pwrite(fd, bytes, size, at) == (ssize_t)size);
    close(fd);
}

static off_t size_of(const struct store_case *c, const char *name)
{
    struct stat status = {0};
    AUTO_FREE char *path = path_of(c, name);
    CU_ASSERT_FATAL(stat(path, &status) == 0);
    return status.st_size;
}

static void a_journal_that_is_no_database_is_set_aside(void)
{
    struct store_case c = {0};
    struct received received;
    case_init(&c);
    CU_ASSERT(send(&c, 1, CASE_NOON, 10) == STORE_TAKEN);
    CU_ASSERT(case_seal(&c, true));
    CU_ASSERT(send(&c, 2, CASE_NOON + 10 * SECOND, 10) == STORE_TAKEN);
    case_close(&c);
    overwrite(&c, "journal.db", 0, 4096, 0xee);
    CU_ASSERT_FATAL(case_open(&c));
    CU_ASSERT(strstr(c.notes, "set aside") != NULL);
    CU_ASSERT(count_files(&c, "journal.db.corrupt-*") == 1);
    CU_ASSERT(readable(&c, NULL) == 10); /* what was sealed */
    CU_ASSERT(!store_received(c.store, CASE_KEY, 1, &received));
    CU_ASSERT(send(&c, 3, CASE_NOON + 20 * SECOND, 10) == STORE_TAKEN);
    CU_ASSERT(case_seal(&c, true));
    case_close(&c);
    CU_ASSERT_FATAL(case_open(&c)); /* marks of the lost journal cover nothing of the new one */
    CU_ASSERT(readable(&c, NULL) == 20);
    case_fini(&c);
}

/* Each page in turn: the store opens, and loses no more than that page held. */
static void a_damaged_page_of_the_journal_costs_only_what_it_held(void)
{
    struct store_case c = {0};
    enum { BATCHES = 40, EACH = 100 };
    case_init(&c);
    for (uint64_t i = 0; i < BATCHES; i++)
        CU_ASSERT(
            send(&c, i + 1, CASE_NOON - 7200 * SECOND + (int64_t)i * EACH * SECOND, EACH) == STORE_TAKEN);
    CU_ASSERT(case_commit(&c));
    case_close(&c);
    off_t pages = size_of(&c, "journal.db") / 8192;
    CU_ASSERT_FATAL(pages > 5);
    AUTO_FREE char *journal = path_of(&c, "journal.db");
    AUTO_FREE char *copy = path_of(&c, "copy");
    AUTO_FREE char *back_up = check_format("cp %s %s", journal, copy);
    AUTO_FREE char *restore =
        check_format("rm -f %s/journal.db* %s/seconds*; cp %s %s", c.directory, c.directory, copy, journal);
    CU_ASSERT_FATAL(system(back_up) == 0);
    for (off_t page = 1; page < pages; page++) {
        CU_ASSERT_FATAL(system(restore) == 0);
        c.notes[0] = '\0';
        overwrite(&c, "journal.db", page * 8192, 8192, 0x5a);
        CU_ASSERT_FATAL(case_open(&c));
        size_t left = readable(&c, NULL);
        bool told = c.notes[0] != '\0';
        CU_ASSERT(told || left == BATCHES * EACH);
        CU_ASSERT(send(&c, 1000, CASE_NOON, 1) == STORE_TAKEN);
        CU_ASSERT(case_commit(&c));
        CU_ASSERT(readable(&c, NULL) == left + 1);
        case_close(&c);
    }
    case_fini(&c);
}

static void a_frame_with_a_flipped_bit_is_left_out(void)
{
    struct store_case c = {0};
    sqlite3 *db = NULL;
    case_init(&c);
    for (uint64_t i = 0; i < 5; i++)
        CU_ASSERT(send(&c, i + 1, CASE_NOON + (int64_t)i * 10 * SECOND, 10) == STORE_TAKEN);
    case_close(&c);
    AUTO_FREE char *path = path_of(&c, "journal.db");
    CU_ASSERT_FATAL(sqlite3_open(path, &db) == SQLITE_OK);
    CU_ASSERT(
        sql_exec(db,
            "UPDATE frames SET frame = CAST(substr(frame, 1, 20) || x'ff' || substr(frame, 22) AS BLOB) "
            "WHERE serial = 3",
            &c.err) == 0);
    sqlite3_close(db);
    CU_ASSERT_FATAL(case_open(&c));
    CU_ASSERT(readable(&c, NULL) == 40);
    CU_ASSERT(strstr(c.notes, "1 frames fail their checksum") != NULL);
    case_fini(&c);
}

static void a_later_version_is_refused_and_untouched(void)
{
    static const char *const names[] = {"journal.db", TODAY};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct store_case c = {0};
        sqlite3 *db = NULL;
        case_init(&c);
        CU_ASSERT(send(&c, 1, CASE_NOON, 10) == STORE_TAKEN);
        CU_ASSERT(case_seal(&c, true));
        case_close(&c);
        AUTO_FREE char *path = path_of(&c, names[i]);
        CU_ASSERT_FATAL(sqlite3_open(path, &db) == SQLITE_OK);
        CU_ASSERT(sql_exec(db, "PRAGMA user_version = 99", &c.err) == 0);
        sqlite3_close(db);
        CU_ASSERT(!case_open(&c));
        CU_ASSERT(c.err.kind == ERROR_UNSUPPORTED && strstr(c.err.text, names[i]) != NULL);
        CU_ASSERT(count_files(&c, "*.corrupt-*") == 0);
        case_fini(&c);
    }
}

static void a_day_file_that_is_no_database_is_set_aside(void)
{
    struct store_case c = {0};
    case_init(&c);
    CU_ASSERT(send(&c, 1, CASE_NOON, 10) == STORE_TAKEN);
    CU_ASSERT(case_seal(&c, true));
    case_close(&c);
    overwrite(&c, TODAY, 0, 4096, 0);
    CU_ASSERT_FATAL(case_open(&c));
    CU_ASSERT(strstr(c.notes, "set aside") != NULL && count_files(&c, TODAY ".corrupt-*") > 0);
    CU_ASSERT(send(&c, 2, CASE_NOON + 10 * SECOND, 10) == STORE_TAKEN);
    CU_ASSERT(case_seal(&c, true));
    CU_ASSERT(readable(&c, NULL) == 10);
    case_fini(&c);
}

/* Whatever page of a day file is damaged, reading and sealing go on with the rest, and wrong values never
 * appear. */
static void a_damaged_page_of_a_day_file_costs_only_what_it_held(void)
{
    struct store_case c = {0};
    enum { BATCHES = 30, EACH = 100 };
    case_init(&c);
    for (uint64_t i = 0; i < BATCHES; i++) {
        CU_ASSERT(
            send(&c, i + 1, CASE_NOON - 7200 * SECOND + (int64_t)i * EACH * SECOND, EACH) == STORE_TAKEN);
        CU_ASSERT(case_seal(&c, true));
    }
    case_close(&c);
    AUTO_FREE char *today = path_of(&c, TODAY);
    AUTO_FREE char *copy = path_of(&c, "copy");
    AUTO_FREE char *back_up = check_format("cp %s %s", today, copy);
    AUTO_FREE char *restore = check_format("rm -f %s*; cp %s %s", today, copy, today);
    CU_ASSERT_FATAL(system(back_up) == 0);
    off_t pages = size_of(&c, TODAY) / 4096;
    for (off_t page = 0; page < pages; page++) {
        CU_ASSERT_FATAL(system(restore) == 0);
        overwrite(&c, TODAY, page * 4096 + 100, 3000, 0xa7);
        size_t damaged, left = readable(&c, &damaged); /* the collector is down */
        CU_ASSERT(damaged > 0 || left == BATCHES * EACH);
        CU_ASSERT_FATAL(case_open(&c));
        CU_ASSERT(send(&c, 1000, CASE_NOON, 1) == STORE_TAKEN || true);
        if (!case_seal(&c, true))
            CU_ASSERT(case_seal(&c, true)); /* one step may end in setting the file aside */
        readable(&c, NULL);
        case_close(&c);
    }
    case_fini(&c);
}

/* ---- no space ---- */

static uint64_t fill_until_full(struct store_case *c, uint64_t sequence)
{
    struct received received;
    for (int tries = 0; tries < 2000; tries++, sequence++) {
        enum store_verdict verdict =
            send(c, sequence, CASE_NOON - 80000 * SECOND + (int64_t)(sequence % 100) * 700 * SECOND, 600);
        CU_ASSERT_FATAL(verdict == STORE_TAKEN || verdict == STORE_FULL);
        if (verdict == STORE_FULL || !case_commit(c)) return sequence;
        CU_ASSERT_FATAL(store_received(c->store, CASE_KEY, 1, &received) && received.floor == sequence);
    }
    CU_FAIL_FATAL("the disk did not fill up");
    return 0;
}

/* On a file system of 2 MiB: acknowledging stops, nothing ends, and goes on by itself once there is room. */
static void a_full_disk_stops_acknowledging_and_recovers_by_itself(void)
{
    struct store_case c = {0};
    struct received received;
    scratch_make(c.directory);
    if (geteuid() != 0 || mount("none", c.directory, "tmpfs", 0, "size=2m") != 0) {
        printf("skip: a full disk needs root to mount a small tmpfs (%s)\n", strerror(errno));
        scratch_remove(c.directory);
        return;
    }
    c.now_ms = CASE_NOON;
    AUTO_FREE char *ballast = path_of(&c, "ballast");
    int fd = open(ballast, O_CREAT | O_WRONLY, 0600);
    CU_ASSERT(posix_fallocate(fd, 0, 1 << 20) == 0);
    close(fd);
    CU_ASSERT_FATAL(case_open(&c));
    uint64_t sequence = fill_until_full(&c, 1);
    CU_ASSERT(sequence > 3);
    CU_ASSERT(c.err.kind == ERROR_LIMIT);
    CU_ASSERT(store_received(c.store, CASE_KEY, 1, &received) && received.floor == sequence - 1);
    CU_ASSERT(send(&c, sequence, CASE_NOON, 600) == STORE_FULL); /* no second try within the second */
    size_t kept = readable(&c, NULL);
    c.now_ms += 2 * SECOND;
    CU_ASSERT(send(&c, sequence, CASE_NOON, 600) == STORE_TAKEN);
    CU_ASSERT(!case_commit(&c) && c.err.kind == ERROR_LIMIT);
    CU_ASSERT(readable(&c, NULL) == kept); /* what is not stored is not shown */
    unlink(ballast);
    c.now_ms += 2 * SECOND;
    CU_ASSERT(send(&c, sequence, CASE_NOON, 600) == STORE_TAKEN);
    CU_ASSERT(case_commit(&c));
    CU_ASSERT(store_received(c.store, CASE_KEY, 1, &received) && received.floor == sequence);
    CU_ASSERT(case_seal(&c, true));
    kept = readable(&c, NULL);
    case_close(&c);
    CU_ASSERT_FATAL(case_open(&c));
    CU_ASSERT(readable(&c, NULL) == kept);
    case_close(&c);
    umount2(c.directory, MNT_DETACH);
    scratch_remove(c.directory);
}

/* The day file does not fit while the journal does: heads stay, and are sealed later. */
static void sealing_on_a_full_disk_loses_nothing(void)
{
    struct store_case c = {0};
    scratch_make(c.directory);
    if (geteuid() != 0 || mount("none", c.directory, "tmpfs", 0, "size=3m") != 0) {
        printf("skip: a full disk needs root to mount a small tmpfs (%s)\n", strerror(errno));
        scratch_remove(c.directory);
        return;
    }
    c.now_ms = CASE_NOON;
    CU_ASSERT_FATAL(case_open(&c));
    for (uint64_t i = 1; i <= 100; i++)
        CU_ASSERT(send(&c, i, CASE_NOON - 80000 * SECOND + (int64_t)i * 700 * SECOND, 600) == STORE_TAKEN);
    CU_ASSERT(case_commit(&c));
    AUTO_FREE char *ballast = path_of(&c, "ballast");
    int fd = open(ballast, O_CREAT | O_WRONLY, 0600);
    static const char zeros[4096];
    while (write(fd, zeros, sizeof zeros) > 0) continue;
    close(fd);
    CU_ASSERT(!case_seal(&c, true) && c.err.kind == ERROR_LIMIT);
    CU_ASSERT(readable(&c, NULL) == 60000);
    unlink(ballast);
    CU_ASSERT(case_seal(&c, true));
    CU_ASSERT(readable(&c, NULL) == 60000);
    case_close(&c);
    CU_ASSERT_FATAL(case_open(&c));
    CU_ASSERT(readable(&c, NULL) == 60000);
    case_close(&c);
    umount2(c.directory, MNT_DETACH);
    scratch_remove(c.directory);
}

UNIT_MAIN("store damage",
    {"a journal that is no database is set aside", a_journal_that_is_no_database_is_set_aside},
    {"a damaged page of the journal costs only what it held",
        a_damaged_page_of_the_journal_costs_only_what_it_held},
    {"a frame with a flipped bit is left out", a_frame_with_a_flipped_bit_is_left_out},
    {"a later version is refused and untouched", a_later_version_is_refused_and_untouched},
    {"a day file that is no database is set aside", a_day_file_that_is_no_database_is_set_aside},
    {"a damaged page of a day file costs only what it held",
        a_damaged_page_of_a_day_file_costs_only_what_it_held},
    {"a full disk stops acknowledging and recovers by itself",
        a_full_disk_stops_acknowledging_and_recovers_by_itself},
    {"sealing on a full disk loses nothing", sealing_on_a_full_disk_loses_nothing})
