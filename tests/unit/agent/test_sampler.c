#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/helper/helper.h"
#include "agent/sample/sampler.h"
#include "agent/sample/source.h"
#include "common/check.h"
#include "tests/support/unit.h"

#define RECORDED   FAULTLINE_SOURCE_DIR "/tests/data/proc/"
#define VALUES_MAX 200000

struct seen {
    struct {
        enum metric metric;
        char label[128];
        int64_t value;
    } * values;
    size_t count;
};

static void note(
    void *owner, enum metric metric, const struct wire_label *labels, size_t label_count, int64_t value)
{
    struct seen *seen = owner;
    CHECK(seen->count < VALUES_MAX && label_count <= 1);
    seen->values[seen->count].metric = metric;
    snprintf(seen->values[seen->count].label, sizeof seen->values[0].label, "%s",
        label_count > 0 ? labels[0].value : "");
    seen->values[seen->count++].value = value;
}

static struct seen seen_new(void)
{
    return (struct seen){.values = check_alloc_array(VALUES_MAX, sizeof *((struct seen *)0)->values)};
}

#define SINK(seen) (&(struct sample_sink){.owner = (seen), .value = note})

/* The value of a series, -1 if it was not emitted, -2 if more than once. */
static int64_t value_of(const struct seen *seen, enum metric metric, const char *label)
{
    int64_t found = -1;
    for (size_t i = 0; i < seen->count; i++) {
        if (seen->values[i].metric != metric || strcmp(seen->values[i].label, label) != 0) continue;
        found = found == -1 ? seen->values[i].value : -2;
    }
    return found;
}

static struct seen read_tree(const char *tree, const char *const *disks, size_t disk_count)
{
    struct error err;
    struct sampler *s =
        sampler_new(&(struct sampler_options){.root = tree, .disks = disks, .disk_count = disk_count}, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    struct seen seen = seen_new();
    sampler_read(s, 1000, SINK(&seen));
    sampler_free(s);
    return seen;
}

static void reads_every_source_of_a_recorded_host(void)
{
    struct seen seen = read_tree(RECORDED "debian12", NULL, 0);
    static const struct {
        enum metric metric;
        const char *label;
        int64_t value;
    } rows[] = {
        {METRIC_disk_reads_total, "vda", 47577},
        {METRIC_disk_read_time_ms, "vda", 31989},
        {METRIC_disk_in_flight_requests, "vda", 3},
        {METRIC_disk_weighted_time_ms, "vda", 35439},
        {METRIC_disk_discard_time_ms, "vda", 467},
        {METRIC_disk_flushes_total, "vda", 1793},
        {METRIC_disk_flush_time_ms, "vda", 67},
        {METRIC_pressure_cpu_some_us, "", 51234567},
        {METRIC_pressure_io_some_us, "", 7654321},
        {METRIC_pressure_io_full_us, "", 654321},
        {METRIC_pressure_memory_full_us, "", 41},
        {METRIC_cpu_user_ticks, "", 1020},
        {METRIC_cpu_system_ticks, "", 313},
        {METRIC_cpu_idle_ticks, "", 40000},
        {METRIC_cpu_iowait_ticks, "", 50},
        {METRIC_cpu_steal_ticks, "", 8},
        {METRIC_cpu_count, "", 2},
        {METRIC_context_switches_total, "", 987654},
        {METRIC_processes_running_count, "", 2},
        {METRIC_processes_blocked_count, "", 1},
        {METRIC_load_1m, "", 7},
        {METRIC_load_5m, "", 125},
        {METRIC_load_15m, "", 1300},
        {METRIC_uptime_s, "", 1795},
        {METRIC_memory_total_kib, "", 24684092},
        {METRIC_memory_cached_kib, "", 2400000},
        {METRIC_memory_dirty_kib, "", 123},
        {METRIC_swap_free_kib, "", 1048000},
        {METRIC_oom_kills_total, "", 2},
        {METRIC_major_faults_total, "", 789},
        {METRIC_network_received_bytes, "eth0", 123456789},
        {METRIC_network_received_errors, "eth0", 3},
        {METRIC_network_sent_errors, "eth0", 7},
        {METRIC_network_sent_packets, "lo", 10},
        {METRIC_tcp_retransmits_total, "", 77},
        {METRIC_agent_memory_kib, "", 2400},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int64_t got = value_of(&seen, rows[i].metric, rows[i].label);
        if (got != rows[i].value)
            fprintf(
                stderr, "%s{%s} = %lld\n", metric_info(rows[i].metric)->name, rows[i].label, (long long)got);
        CU_ASSERT_EQUAL(got, rows[i].value);
    }
    CU_ASSERT_EQUAL(value_of(&seen, METRIC_network_received_bytes, "veth12a"), -1);
    free(seen.values);
}

static void reports_whole_disks_and_mounted_loop_devices_only(void)
{
    struct seen seen = read_tree(RECORDED "debian12", NULL, 0);
    static const struct {
        const char *disk;
        bool reported;
    } rows[] = {{"vda", true}, {"vda1", false}, {"vdb", true}, {"dm-0", true}, {"loop0", false},
        {"loop1", true}, {"zram0", false}, {"sr0", false}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        CU_ASSERT_EQUAL(value_of(&seen, METRIC_disk_reads_total, rows[i].disk) >= 0, rows[i].reported);
    free(seen.values);
}

static void reports_exactly_the_named_disks(void)
{
    const char *const disks[] = {"vda1", "loop0", "not-there"};
    struct seen seen = read_tree(RECORDED "debian12", disks, ARRAY_COUNT(disks));
    CU_ASSERT_EQUAL(value_of(&seen, METRIC_disk_reads_total, "vda1"), 47000);
    CU_ASSERT_EQUAL(value_of(&seen, METRIC_disk_reads_total, "loop0"), 0);
    CU_ASSERT_EQUAL(value_of(&seen, METRIC_disk_reads_total, "vda"), -1);
    free(seen.values);
}

static void an_old_kernel_has_fewer_fields_and_no_pressure(void)
{
    struct error err;
    struct sampler *s = sampler_new(&(struct sampler_options){.root = RECORDED "centos7"}, &err);
    struct seen seen = seen_new();
    sampler_read(s, 1000, SINK(&seen));
    CU_ASSERT_EQUAL(value_of(&seen, METRIC_disk_weighted_time_ms, "sda"), 100);
    CU_ASSERT_EQUAL(value_of(&seen, METRIC_disk_discards_total, "sda"), -1);
    CU_ASSERT_EQUAL(value_of(&seen, METRIC_disk_reads_total, "sda1"), -1);
    CU_ASSERT_EQUAL(value_of(&seen, METRIC_cpu_idle_ticks, ""), 400);
    CU_ASSERT_EQUAL(value_of(&seen, METRIC_cpu_iowait_ticks, ""), -1);
    CU_ASSERT_EQUAL(value_of(&seen, METRIC_pressure_io_some_us, ""), -1);
    const char *absent[SAMPLER_SOURCES_MAX];
    size_t count = sampler_absent(s, absent);
    CU_ASSERT_EQUAL(count, 8);
    CU_ASSERT_STRING_EQUAL(absent[0], "pressure/cpu");
    sampler_free(s);
    free(seen.values);
}

/* A source that appears later (a module, PSI) is found; one that vanishes is left out without harm. */
static void sources_come_and_go(void)
{
    char root[] = "/tmp/faultline-sampler-XXXXXX";
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(root));
    char folder[256], file[256];
    snprintf(folder, sizeof folder, "%s/proc", root);
    snprintf(file, sizeof file, "%s/proc/loadavg", root);
    mkdir(folder, 0700);
    struct error err;
    struct sampler *s = sampler_new(&(struct sampler_options){.root = root}, &err);
    struct seen seen = seen_new();
    sampler_read(s, 1000, SINK(&seen));
    CU_ASSERT_EQUAL(value_of(&seen, METRIC_load_1m, ""), -1);
    FILE *out = fopen(file, "w");
    fputs("1.00 2.00 3.00 1/2 3\n", out);
    fclose(out);
    sampler_read(s, 5000, SINK(&seen));
    CU_ASSERT_EQUAL(value_of(&seen, METRIC_load_1m, ""), -1);
    sampler_read(s, 11000, SINK(&seen));
    CU_ASSERT_EQUAL(value_of(&seen, METRIC_load_1m, ""), 100);
    sampler_free(s);
    unlink(file);
    rmdir(folder);
    rmdir(root);
    free(seen.values);
}

static bool any(void *owner, unsigned device_major, unsigned device_minor, const char *name)
{
    (void)owner, (void)device_major, (void)device_minor, (void)name;
    return true;
}

static void odd_lines_of_diskstats_are_skipped_and_counted(void)
{
    static const struct {
        const char *label, *text;
        size_t skipped, values;
    } rows[] = {
        {"whole", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n", 0, 11},
        {"15 fields", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n", 0, 15},
        {"fields of a newer kernel", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19\n", 0, 17},
        {"cut in a number", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11 12 1", 1, 0},
        {"too few", "8 0 sda 1 2 3 4 5\n", 1, 0},
        {"no name", "8 0\n", 1, 0},
        {"a word among numbers", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11 x 13 14 15 16 17\n", 1, 0},
        {"larger than 64 bits", "8 0 sda 99999999999999999999 2 3 4 5 6 7 8 9 10 11\n", 1, 0},
        {"negative", "8 0 sda -1 2 3 4 5 6 7 8 9 10 11\n", 1, 0},
        {"one bad among good", "8 0 a 1 2 3 4 5 6 7 8 9 10 11\nbad\n8 1 b 1 2 3 4 5 6 7 8 9 10 11\n", 1, 22},
        {"nothing", "", 0, 0},
        {"empty line", "\n", 1, 0},
    };
    const struct disk_filter filter = {.wanted = any};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct seen seen = seen_new();
        size_t skipped = diskstats_parse(&filter, rows[i].text, SINK(&seen));
        if (skipped != rows[i].skipped || seen.count != rows[i].values)
            fprintf(stderr, "%s: skipped %zu, values %zu\n", rows[i].label, skipped, seen.count);
        CU_ASSERT_EQUAL(skipped, rows[i].skipped);
        CU_ASSERT_EQUAL(seen.count, rows[i].values);
        free(seen.values);
    }
}

static void a_counter_beyond_63_bits_stays_at_the_largest_value(void)
{
    struct seen seen = seen_new();
    const struct disk_filter filter = {.wanted = any};
    diskstats_parse(&filter, "8 0 sda 18446744073709551615 2 3 4 5 6 7 8 9 10 11\n", SINK(&seen));
    CU_ASSERT_EQUAL(value_of(&seen, METRIC_disk_reads_total, "sda"), INT64_MAX);
    free(seen.values);
}

static void reads_4096_disks(void)
{
    char root[] = "/tmp/faultline-sampler-XXXXXX";
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(root));
    char folder[256], file[256];
    snprintf(folder, sizeof folder, "%s/proc", root);
    snprintf(file, sizeof file, "%s/proc/diskstats", root);
    mkdir(folder, 0700);
    FILE *out = fopen(file, "w");
    const char *names[4096];
    for (int i = 0; i < 4096; i++) {
        names[i] = check_format("sd%d", i);
        fprintf(
            out, "%d %d %s %d 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n", 8 + i / 256, i % 256, names[i], i);
    }
    fclose(out);
    struct seen seen = read_tree(root, names, 4096);
    CU_ASSERT_EQUAL(seen.count, 4096 * 17 + 1); /* and agent_cpu_us */
    CU_ASSERT_EQUAL(seen.values[seen.count - 2].value, 17);
    for (int i = 0; i < 4096; i++) free((void *)(uintptr_t)names[i]);
    unlink(file);
    rmdir(folder);
    rmdir(root);
    free(seen.values);
}

static void mount_lines_are_told_apart(void)
{
    static const struct {
        const char *line;
        bool ok, real;
        const char *point;
    } rows[] = {
        {"27 1 254:1 / / rw shared:1 - ext4 /dev/vda1 rw\n", true, true, "/"},
        {"28 27 254:16 / /a\\040b rw master:1 propagate_from:2 - xfs /dev/vdb rw\n", true, true, "/a b"},
        {"22 27 0:21 / /proc rw - proc proc rw\n", true, false, "/proc"},
        {"22 27 0:21 / /run rw - tmpfs tmpfs rw\n", true, false, "/run"},
        {"22 27 0:21 / /runner rw - tmpfs tmpfs rw\n", true, true, "/runner"},
        {"22 27 0:21 / / rw - overlay overlay rw\n", true, true, "/"},
        {"22 27 0:21 / /var/lib/docker/x rw - overlay overlay rw\n", true, false, "/var/lib/docker/x"},
        {"22 27 0:50 / /mnt/nfs rw - nfs4 10.0.0.1:/e rw\n", true, true, "/mnt/nfs"},
        {"27 1 254:1 / / rw shared:1 ext4 /dev/vda1 rw\n", false, false, ""},
        {"27 1 254 / / rw - ext4 /dev/vda1 rw\n", false, false, ""},
        {"27 1 254:1 / /a\\04 rw - ext4 /dev/vda1 rw\n", false, false, ""},
        {"27 1 254:1 / /a\\000 rw - ext4 /dev/vda1 rw\n", false, false, ""},
        {"27 1 254:1 / / rw - ext4 /dev/vda1 rw", false, false, ""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct mount_entry entry;
        const char *cursor = rows[i].line;
        bool ok = mount_parse_line(&cursor, &entry);
        CU_ASSERT_EQUAL(ok, rows[i].ok);
        CU_ASSERT_PTR_NULL(cursor);
        if (!ok) continue;
        CU_ASSERT_STRING_EQUAL(entry.point, rows[i].point);
        CU_ASSERT_EQUAL(mount_is_real(&entry), rows[i].real);
    }
}

UNIT_MAIN("sampler", {"reads every source of a recorded host", reads_every_source_of_a_recorded_host},
    {"reports whole disks and mounted loop devices only", reports_whole_disks_and_mounted_loop_devices_only},
    {"reports exactly the named disks", reports_exactly_the_named_disks},
    {"an old kernel has fewer fields and no pressure", an_old_kernel_has_fewer_fields_and_no_pressure},
    {"sources come and go", sources_come_and_go},
    {"odd lines of diskstats are skipped and counted", odd_lines_of_diskstats_are_skipped_and_counted},
    {"a counter beyond 63 bits stays at the largest value",
        a_counter_beyond_63_bits_stays_at_the_largest_value},
    {"reads 4,096 disks", reads_4096_disks}, {"mount lines are told apart", mount_lines_are_told_apart})
