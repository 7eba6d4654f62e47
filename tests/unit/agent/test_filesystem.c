#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/helper/helper.h"
#include "agent/sample/filesystem.h"
#include "common/check.h"
#include "common/clock.h"
#include "tests/support/unit.h"

#define DEADLINE_MS 20000

/* The file whose existence makes a mount named "hung" hang: looked at by the helper, made by the test. */
static char switch_path[256];

/* As the kernel on a dead NFS server: does not return while the switch is there. */
static int stat_of_test(const char *path, struct statvfs *out)
{
    if (strstr(path, "hung") != NULL)
        while (access(switch_path, F_OK) == 0) poll(NULL, 0, 5);
    *out =
        (struct statvfs){.f_frsize = 4096, .f_blocks = 1000, .f_bavail = 400, .f_files = 50, .f_ffree = 20};
    return strstr(path, "refused") != NULL ? -1 : 0;
}

struct seen {
    char point[32];
    enum metric metric;
    int64_t value;
};

struct log {
    struct seen rows[2000];
    size_t count;
};

static void note(
    void *owner, enum metric metric, const struct wire_label *labels, size_t label_count, int64_t value)
{
    struct log *log = owner;
    CHECK(label_count == 1 && log->count < ARRAY_COUNT(log->rows));
    struct seen *row = &log->rows[log->count++];
    snprintf(row->point, sizeof row->point, "%s", labels[0].value);
    row->metric = metric;
    row->value = value;
}

static int64_t last(const struct log *log, const char *point, enum metric metric)
{
    for (size_t i = log->count; i > 0; i--)
        if (strcmp(log->rows[i - 1].point, point) == 0 && log->rows[i - 1].metric == metric)
            return log->rows[i - 1].value;
    return -1;
}

/* Reads at one moment of fake time until the series has been emitted after row `from`. */
static bool emitted(struct filesystems *f, int64_t now_ms, struct log *log, size_t from, const char *point,
    enum metric metric)
{
    for (int64_t end = clock_mono_ms() + DEADLINE_MS; clock_mono_ms() < end; poll(NULL, 0, 1)) {
        filesystems_read(f, now_ms, &(struct sample_sink){.owner = log, .value = note});
        for (size_t i = from; i < log->count; i++)
            if (strcmp(log->rows[i].point, point) == 0 && log->rows[i].metric == metric) return true;
    }
    return false;
}

static const char three_mounts[] = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
                                   "2 1 8:2 / /hung rw - ext4 /dev/sda2 rw\n"
                                   "3 1 8:3 / /home rw - ext4 /dev/sda3 rw\n"
                                   "4 1 8:3 /x /home/user/x rw - ext4 /dev/sda3 rw\n"
                                   "5 1 8:4 / /refused rw - ext4 /dev/sda4 rw\n";

static void space_and_inodes_come_with_a_later_tick(void)
{
    static struct log log;
    log.count = 0;
    CU_ASSERT_EQUAL_FATAL(helper_init(NULL), 0);
    struct filesystems *f = filesystems_new("", stat_of_test);
    CU_ASSERT_EQUAL(filesystems_update(f, three_mounts), 0);
    CU_ASSERT(emitted(f, 1000, &log, 0, "/refused", METRIC_filesystem_stuck_count));
    CU_ASSERT_EQUAL(last(&log, "/", METRIC_filesystem_size_bytes), 4096000);
    CU_ASSERT_EQUAL(last(&log, "/", METRIC_filesystem_available_bytes), 4096 * 400);
    CU_ASSERT_EQUAL(last(&log, "/home", METRIC_filesystem_inodes_free_count), 20);
    CU_ASSERT_EQUAL(last(&log, "/home", METRIC_filesystem_stuck_count), 0);
    CU_ASSERT_EQUAL(last(&log, "/home/user/x", METRIC_filesystem_size_bytes), -1);
    CU_ASSERT_EQUAL(last(&log, "/refused", METRIC_filesystem_size_bytes), -1);
    size_t before = log.count;
    filesystems_read(f, 10000, &(struct sample_sink){.owner = &log, .value = note});
    CU_ASSERT_EQUAL(log.count, before);
    CU_ASSERT(emitted(f, 11000, &log, before, "/", METRIC_filesystem_size_bytes));
    filesystems_free(f);
    helper_fini();
}

static void a_hung_mount_is_told_and_the_others_go_on(void)
{
    static struct log log;
    log.count = 0;
    char folder[] = "/tmp/faultline-fs-XXXXXX";
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(switch_path, sizeof switch_path, "%s/hang", folder);
    CU_ASSERT_EQUAL_FATAL(helper_init(NULL), 0); /* a nursery that knows the switch */
    FILE *out = fopen(switch_path, "w");
    fclose(out);

    struct filesystems *f = filesystems_new("", stat_of_test);
    filesystems_update(f, three_mounts);
    CU_ASSERT(emitted(f, 1000, &log, 0, "/", METRIC_filesystem_size_bytes));
    CU_ASSERT_EQUAL(last(&log, "/home", METRIC_filesystem_size_bytes), -1);
    filesystems_read(
        f, 1000 + FILESYSTEM_STUCK_AFTER_MS, &(struct sample_sink){.owner = &log, .value = note});
    CU_ASSERT_EQUAL(last(&log, "/hung", METRIC_filesystem_stuck_count), 1);
    CU_ASSERT(emitted(f, 3500, &log, 0, "/home", METRIC_filesystem_size_bytes));

    /* The next rounds do not ask it again, and still tell it. */
    for (int64_t now_ms = 11000; now_ms <= 41000; now_ms += 10000) {
        size_t before = log.count;
        CU_ASSERT(emitted(f, now_ms, &log, before, "/home", METRIC_filesystem_size_bytes));
        CU_ASSERT_EQUAL(last(&log, "/hung", METRIC_filesystem_stuck_count), 1);
    }
    size_t before = log.count;
    unlink(switch_path);
    CU_ASSERT(emitted(f, 42000, &log, before, "/hung", METRIC_filesystem_size_bytes));
    CU_ASSERT_EQUAL(last(&log, "/hung", METRIC_filesystem_stuck_count), 0);
    filesystems_free(f);
    helper_fini();
    rmdir(folder);
}

static void unmounted_ones_are_forgotten_and_the_bound_holds(void)
{
    struct filesystems *f = filesystems_new("", stat_of_test);
    filesystems_update(f, three_mounts);
    CU_ASSERT(filesystems_has_device(f, 8, 2));
    CU_ASSERT(!filesystems_has_device(f, 8, 9));
    filesystems_update(f, "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n");
    CU_ASSERT(!filesystems_has_device(f, 8, 2));
    char text[8192];
    size_t n = 0;
    for (int i = 0; i < FILESYSTEM_MOUNTS_MAX + 3; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%d 1 9:%d / /m%d rw - ext4 /dev/x rw\n", i, i, i);
    CU_ASSERT_EQUAL(filesystems_update(f, text), 4); /* "/" held a place until the end of this round */
    filesystems_free(f);
}

UNIT_MAIN("filesystem", {"space and inodes come with a later tick", space_and_inodes_come_with_a_later_tick},
    {"a hung mount is told and the others go on", a_hung_mount_is_told_and_the_others_go_on},
    {"unmounted ones are forgotten and the bound holds", unmounted_ones_are_forgotten_and_the_bound_holds})
