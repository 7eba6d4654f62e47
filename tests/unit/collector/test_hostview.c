#include "collector/core/hostview/hostview.h"

#include <math.h>
#include <string.h>

#include "tests/support/unit.h"

#define T0 1795400000000

static double read_number(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* `count` requests of `each_ms`, a second apart, over the last n seconds. */
static void feed_reads(struct hostview *view, const char *device, int n, int64_t count, int64_t each_ms)
{
    for (int i = 0; i <= n; i++) {
        hostview_sample(view, METRIC_disk_reads_total, device, T0 + i * 1000, 1000 + i * count);
        hostview_sample(view, METRIC_disk_read_time_ms, device, T0 + i * 1000, 500 + i * count * each_ms);
        hostview_sample(view, METRIC_disk_in_flight_requests, device, T0 + i * 1000, i);
    }
}

static void awaits_are_means_of_what_was_completed(void)
{
    struct hostview *view = hostview_new();
    feed_reads(view, "vda", 30, 50, 4);
    json_t *json = hostview_json(view, T0 + 30000);
    json_t *disk = json_array_get(json_object_get(json, "disks"), 0);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(disk, "device")), "vda");
    CU_ASSERT_DOUBLE_EQUAL(read_number(disk, "read_await_ms"), 4, .001);
    CU_ASSERT_DOUBLE_EQUAL(read_number(disk, "reads_per_s"), 50, .001);
    CU_ASSERT_DOUBLE_EQUAL(read_number(disk, "in_flight"), 30, .001);
    CU_ASSERT(isnan(read_number(disk, "write_await_ms")));
    json_decref(json);
    hostview_free(view);
}

static void only_the_last_ten_seconds_count(void)
{
    struct hostview *view = hostview_new();
    int64_t reads = 0, time = 0;
    for (int i = 0; i <= 40; i++) {
        reads += 10;
        time += i <= 29 ? 10 * 1 : 10 * 80; /* slow for the last eleven seconds */
        hostview_sample(view, METRIC_disk_reads_total, "vda", T0 + i * 1000, reads);
        hostview_sample(view, METRIC_disk_read_time_ms, "vda", T0 + i * 1000, time);
        hostview_sample(view, METRIC_disk_in_flight_requests, "vda", T0 + i * 1000, 0);
    }
    json_t *json = hostview_json(view, T0 + 40000);
    json_t *disk = json_array_get(json_object_get(json, "disks"), 0);
    CU_ASSERT_DOUBLE_EQUAL(read_number(disk, "read_await_ms"), 80, .001);
    json_decref(json);
    hostview_free(view);
}

static void a_counter_that_falls_gives_null_not_a_spike(void)
{
    struct hostview *view = hostview_new();
    feed_reads(view, "vda", 5, 50, 4);
    hostview_sample(view, METRIC_disk_reads_total, "vda", T0 + 6000, 3);
    json_t *json = hostview_json(view, T0 + 6000);
    json_t *disk = json_array_get(json_object_get(json, "disks"), 0);
    CU_ASSERT(isnan(read_number(disk, "read_await_ms")));
    CU_ASSERT(isnan(read_number(disk, "reads_per_s")));
    json_decref(json);
    hostview_free(view);
}

static void late_and_repeated_samples_change_nothing(void)
{
    struct hostview *view = hostview_new();
    feed_reads(view, "vda", 20, 50, 4);
    feed_reads(view, "vda", 10, 9, 900);
    json_t *json = hostview_json(view, T0 + 20000);
    json_t *disk = json_array_get(json_object_get(json, "disks"), 0);
    CU_ASSERT_DOUBLE_EQUAL(read_number(disk, "read_await_ms"), 4, .001);
    json_decref(json);
    hostview_free(view);
}

static void disks_are_sorted_bounded_and_forgotten(void)
{
    struct hostview *view = hostview_new();
    for (int i = HOSTVIEW_DISKS_MAX + 5; i-- > 0;) {
        char device[16];
        snprintf(device, sizeof device, "sd%03d", i);
        feed_reads(view, device, 2, 1, 1);
    }
    json_t *json = hostview_json(view, T0 + 3000);
    json_t *disks = json_object_get(json, "disks");
    CU_ASSERT_EQUAL(json_array_size(disks), HOSTVIEW_DISKS_MAX);
    const char *before = "";
    for (size_t i = 0; i < json_array_size(disks); i++) {
        const char *device = json_string_value(json_object_get(json_array_get(disks, i), "device"));
        CU_ASSERT(strcmp(before, device) < 0);
        before = device;
    }
    json_decref(json);
    json = hostview_json(view, T0 + 100000);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(json, "disks")), 0);
    json_decref(json);
    hostview_free(view);
}

static void processors_memory_and_pressure_are_shares(void)
{
    struct hostview *view = hostview_new();
    for (int i = 0; i <= 12; i++) {
        int64_t t = T0 + i * 1000;
        hostview_sample(view, METRIC_cpu_user_ticks, NULL, t, i * 40);
        hostview_sample(view, METRIC_cpu_system_ticks, NULL, t, i * 10);
        hostview_sample(view, METRIC_cpu_idle_ticks, NULL, t, i * 140);
        hostview_sample(view, METRIC_cpu_iowait_ticks, NULL, t, i * 10);
        hostview_sample(view, METRIC_cpu_steal_ticks, NULL, t, 0);
        hostview_sample(view, METRIC_memory_total_kib, NULL, t, 1000);
        hostview_sample(view, METRIC_memory_available_kib, NULL, t, 250);
        hostview_sample(view, METRIC_pressure_io_some_us, NULL, t, i * 200000);
        hostview_sample(view, METRIC_load_1m, NULL, t, 173);
    }
    json_t *json = hostview_json(view, T0 + 12000);
    CU_ASSERT_DOUBLE_EQUAL(read_number(json, "cpu_busy"), .25, .001);
    CU_ASSERT_DOUBLE_EQUAL(read_number(json, "memory_available"), .25, .001);
    CU_ASSERT_DOUBLE_EQUAL(read_number(json, "io_pressure"), .2, .001);
    CU_ASSERT_DOUBLE_EQUAL(read_number(json, "load_1m"), 1.73, .001);
    json_decref(json);
    hostview_free(view);
}

UNIT_MAIN("hostview", {"awaits are means of what was completed", awaits_are_means_of_what_was_completed},
    {"only the last ten seconds count", only_the_last_ten_seconds_count},
    {"a counter that falls gives null, not a spike", a_counter_that_falls_gives_null_not_a_spike},
    {"late and repeated samples change nothing", late_and_repeated_samples_change_nothing},
    {"disks are sorted, bounded and forgotten", disks_are_sorted_bounded_and_forgotten},
    {"processors, memory and pressure are shares", processors_memory_and_pressure_are_shares})
