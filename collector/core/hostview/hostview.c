#include "collector/core/hostview/hostview.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

#define POINTS       16 /* more than HOSTVIEW_SPAN_MS at one a second */
#define FORGOTTEN_MS 60000
#define DEVICE_SIZE  64

/* The last values of one counter or gauge, oldest first. */
struct track {
    int64_t time_ms[POINTS];
    int64_t value[POINTS];
    unsigned count;
};

enum disk_track { READS, READ_TIME, WRITES, WRITE_TIME, BUSY_TIME, IN_FLIGHT, DISK_TRACKS };

static const enum metric disk_metrics[DISK_TRACKS] = {
    [READS] = METRIC_disk_reads_total,
    [READ_TIME] = METRIC_disk_read_time_ms,
    [WRITES] = METRIC_disk_writes_total,
    [WRITE_TIME] = METRIC_disk_write_time_ms,
    [BUSY_TIME] = METRIC_disk_busy_time_ms,
    [IN_FLIGHT] = METRIC_disk_in_flight_requests,
};

enum host_track {
    USER,
    SYSTEM,
    IDLE,
    IOWAIT,
    STEAL,
    MEMORY_TOTAL,
    MEMORY_AVAILABLE,
    IO_SOME,
    LOAD,
    HOST_TRACKS
};

static const enum metric host_metrics[HOST_TRACKS] = {
    [USER] = METRIC_cpu_user_ticks,
    [SYSTEM] = METRIC_cpu_system_ticks,
    [IDLE] = METRIC_cpu_idle_ticks,
    [IOWAIT] = METRIC_cpu_iowait_ticks,
    [STEAL] = METRIC_cpu_steal_ticks,
    [MEMORY_TOTAL] = METRIC_memory_total_kib,
    [MEMORY_AVAILABLE] = METRIC_memory_available_kib,
    [IO_SOME] = METRIC_pressure_io_some_us,
    [LOAD] = METRIC_load_1m,
};

struct disk {
    char device[DEVICE_SIZE];
    struct track tracks[DISK_TRACKS];
};

struct hostview {
    struct track tracks[HOST_TRACKS];
    struct disk *disks; /* by device name */
    size_t disk_count;
};

struct hostview *hostview_new(void)
{
    return check_alloc(sizeof(struct hostview));
}

void hostview_free(struct hostview *view)
{
    if (view == NULL) return;
    free(view->disks);
    free(view);
}

static void track_add(struct track *track, int64_t time_ms, int64_t value)
{
    if (track->count > 0 && time_ms <= track->time_ms[track->count - 1]) return;
    if (track->count == POINTS) {
        memmove(track->time_ms, track->time_ms + 1, (POINTS - 1) * sizeof track->time_ms[0]);
        memmove(track->value, track->value + 1, (POINTS - 1) * sizeof track->value[0]);
        track->count--;
    }
    track->time_ms[track->count] = time_ms;
    track->value[track->count++] = value;
}

static int64_t track_last_ms(const struct track *track)
{
    return track->count > 0 ? track->time_ms[track->count - 1] : 0;
}

static double track_last(const struct track *track)
{
    return track->count > 0 ? (double)track->value[track->count - 1] : NAN;
}

/* How much a counter grew over the span, and in which time; NAN when it was reset or there are not two
 * points. */
static double track_growth(const struct track *track, double *seconds)
{
    if (track->count < 2) return NAN;
    unsigned last = track->count - 1, first = last;
    while (first > 0 && track->time_ms[last] - track->time_ms[first - 1] <= HOSTVIEW_SPAN_MS) first--;
    if (first == last) first = last - 1;
    for (unsigned i = first; i < last; i++)
        if (track->value[i + 1] < track->value[i]) return NAN;
    *seconds = (double)(track->time_ms[last] - track->time_ms[first]) / 1000;
    return (double)(track->value[last] - track->value[first]);
}

static int track_of(const enum metric *metrics, int count, enum metric metric)
{
    for (int i = 0; i < count; i++)
        if (metrics[i] == metric) return i;
    return -1;
}

static struct disk *disk_of(struct hostview *view, const char *device)
{
    size_t at = 0;
    for (; at < view->disk_count; at++) {
        int order = strcmp(view->disks[at].device, device);
        if (order == 0) return &view->disks[at];
        if (order > 0) break;
    }
    if (view->disk_count == HOSTVIEW_DISKS_MAX || strlen(device) >= DEVICE_SIZE) return NULL;
    view->disks = check_realloc_array(view->disks, view->disk_count + 1, sizeof view->disks[0]);
    memmove(view->disks + at + 1, view->disks + at, (view->disk_count - at) * sizeof view->disks[0]);
    view->disk_count++;
    memset(&view->disks[at], 0, sizeof view->disks[at]);
    memcpy(view->disks[at].device, device, strlen(device) + 1);
    return &view->disks[at];
}

void hostview_sample(
    struct hostview *view, enum metric metric, const char *device, int64_t time_ms, int64_t value)
{
    if (device == NULL) {
        int track = track_of(host_metrics, HOST_TRACKS, metric);
        if (track >= 0) track_add(&view->tracks[track], time_ms, value);
        return;
    }
    int track = track_of(disk_metrics, DISK_TRACKS, metric);
    if (track < 0) return;
    struct disk *disk = disk_of(view, device);
    if (disk != NULL) track_add(&disk->tracks[track], time_ms, value);
}

/* A number rounded to what people read, or null. */
static json_t *number(double value, double resolution)
{
    return isfinite(value) ? json_real(round(value / resolution) * resolution) : json_null();
}

/* Mean time of the requests completed in the span; NAN when none was. */
static double await_ms(const struct track *count, const struct track *time)
{
    double seconds = 0, requests = track_growth(count, &seconds), ms = track_growth(time, &seconds);
    return requests > 0 ? ms / requests : NAN;
}

static double per_second(const struct track *count)
{
    double seconds = 0, growth = track_growth(count, &seconds);
    return seconds > 0 ? growth / seconds : NAN;
}

static json_t *disk_json(const struct disk *disk)
{
    double busy = per_second(&disk->tracks[BUSY_TIME]) / 1000;
    json_t *object = json_object();
    json_object_set_new(object, "device", json_string(disk->device));
    json_object_set_new(
        object, "read_await_ms", number(await_ms(&disk->tracks[READS], &disk->tracks[READ_TIME]), .01));
    json_object_set_new(
        object, "write_await_ms", number(await_ms(&disk->tracks[WRITES], &disk->tracks[WRITE_TIME]), .01));
    json_object_set_new(object, "in_flight", number(track_last(&disk->tracks[IN_FLIGHT]), 1));
    json_object_set_new(object, "busy", number(busy > 1 ? 1 : busy, .001));
    json_object_set_new(object, "reads_per_s", number(per_second(&disk->tracks[READS]), .1));
    json_object_set_new(object, "writes_per_s", number(per_second(&disk->tracks[WRITES]), .1));
    return object;
}

static double cpu_busy(const struct hostview *view)
{
    double all = 0, idle = 0, seconds = 0;
    for (int i = USER; i <= STEAL; i++) {
        double growth = track_growth(&view->tracks[i], &seconds);
        all += growth;
        if (i == IDLE || i == IOWAIT) idle += growth;
    }
    return all > 0 ? (all - idle) / all : NAN;
}

json_t *hostview_json(const struct hostview *view, int64_t now_ms)
{
    json_t *disks = json_array();
    for (size_t i = 0; i < view->disk_count; i++)
        if (now_ms - track_last_ms(&view->disks[i].tracks[IN_FLIGHT]) < FORGOTTEN_MS)
            json_array_append_new(disks, disk_json(&view->disks[i]));
    double total = track_last(&view->tracks[MEMORY_TOTAL]);
    json_t *object = json_object();
    json_object_set_new(object, "disks", disks);
    json_object_set_new(object, "cpu_busy", number(cpu_busy(view), .001));
    json_object_set_new(object, "memory_available",
        number(total > 0 ? track_last(&view->tracks[MEMORY_AVAILABLE]) / total : NAN, .001));
    json_object_set_new(object, "io_pressure", number(per_second(&view->tracks[IO_SOME]) / 1e6, .001));
    json_object_set_new(
        object, "load_1m", number(track_last(&view->tracks[LOAD]) / metric_info(METRIC_load_1m)->scale, .01));
    return object;
}
