#include "agent/sample/sampler.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/sample/filesystem.h"
#include "agent/sample/source.h"
#include "common/check.h"
#include "common/span.h"

#define TEXT_BYTES_MAX    (2 * 1024 * 1024) /* 4,096 disks are 400 KB */
#define TEXT_CHUNK_BYTES  4096              /* what a seq_file hands out at once */
#define RECORD_BYTES_MAX  1024 /* a line of diskstats or net/dev is shorter; a mount's may be a page */
#define REOPEN_MS         10000
#define MOUNTS_EVERY_MS   10000
#define DEVICES_KNOWN_MAX 4096

static size_t parse_disks(struct sampler *sampler, const char *text, const struct sample_sink *sink);

/* A file of /proc and who reads it. */
struct source {
    const char *name; /* for people */
    const char *path;
    size_t (*parse)(const char *text, const struct sample_sink *sink);
    size_t (*parse_with)(struct sampler *sampler, const char *text, const struct sample_sink *sink);
};

static const struct source sources[] = {
    {.name = "diskstats", .path = "/proc/diskstats", .parse_with = parse_disks},
    {.name = "pressure/cpu", .path = "/proc/pressure/cpu", .parse = pressure_cpu_parse},
    {.name = "pressure/io", .path = "/proc/pressure/io", .parse = pressure_io_parse},
    {.name = "pressure/memory", .path = "/proc/pressure/memory", .parse = pressure_memory_parse},
    {.name = "stat", .path = "/proc/stat", .parse = cpu_parse},
    {.name = "loadavg", .path = "/proc/loadavg", .parse = load_parse},
    {.name = "uptime", .path = "/proc/uptime", .parse = uptime_parse},
    {.name = "meminfo", .path = "/proc/meminfo", .parse = meminfo_parse},
    {.name = "vmstat", .path = "/proc/vmstat", .parse = vmstat_parse},
    {.name = "net/dev", .path = "/proc/net/dev", .parse = network_parse},
    {.name = "net/snmp", .path = "/proc/net/snmp", .parse = tcp_parse},
    {.name = "self/statm", .path = "/proc/self/statm", .parse = self_memory_parse},
};
static_assert(ARRAY_COUNT(sources) <= SAMPLER_SOURCES_MAX, "room to name every absent source");

struct open_source {
    int fd; /* -1: not there */
    int64_t retry_ms;
    bool ever_there;
};

/* What /sys/block says about a device number, asked once per device and mount round. */
struct known_device {
    unsigned device_major, device_minor;
    char name[64];
    bool wanted;
};

struct sampler {
    char root[256];
    char **disks; /* NULL: by rule */
    size_t disk_count;
    struct open_source open[ARRAY_COUNT(sources)];
    int mounts_fd;
    int64_t mounts_due_ms;
    struct filesystems *filesystems;
    struct known_device *known;
    size_t known_count, known_capacity, known_next;
    struct buffer text;
    uint64_t skipped;
};

struct sampler *sampler_new(const struct sampler_options *options, struct error *err)
{
    if (strlen(options->root) >= sizeof((struct sampler *)0)->root - 64) {
        fail(err, ERROR_INPUT, "root path too long: %s", options->root);
        return NULL;
    }
    struct sampler *s = check_alloc(sizeof *s);
    snprintf(s->root, sizeof s->root, "%s", options->root);
    if (options->disks != NULL) {
        s->disks = check_alloc_array(options->disk_count + 1, sizeof *s->disks);
        for (; s->disk_count < options->disk_count; s->disk_count++)
            s->disks[s->disk_count] = check_strdup(options->disks[s->disk_count]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(sources); i++) s->open[i].fd = -1;
    s->mounts_fd = -1;
    s->text.size_max = TEXT_BYTES_MAX;
    s->filesystems = filesystems_new(s->root, statvfs);
    return s;
}

void sampler_free(struct sampler *s)
{
    if (s == NULL) return;
    for (size_t i = 0; i < ARRAY_COUNT(sources); i++)
        if (s->open[i].fd >= 0) close(s->open[i].fd);
    if (s->mounts_fd >= 0) close(s->mounts_fd);
    filesystems_free(s->filesystems);
    for (size_t i = 0; i < s->disk_count; i++) free(s->disks[i]);
    free(s->disks);
    free(s->known);
    buffer_fini(&s->text);
    free(s);
}

static int open_below_root(const struct sampler *s, const char *path)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", s->root, path);
    return open(full, O_RDONLY | O_CLOEXEC);
}

/* The whole file into the shared buffer. A seq_file hands out whole records, as many as fit into a page: it
 * ends with a read of 0, or already with one that leaves room for any further record. */
static const char *read_text(struct sampler *s, int fd, size_t record_bytes_max)
{
    buffer_clear(&s->text);
    for (;;) {
        uint8_t *room = buffer_reserve(&s->text, TEXT_CHUNK_BYTES, NULL);
        if (room == NULL) break; /* the rest is cut; the last line is skipped and counted */
        ssize_t n = pread(fd, room, TEXT_CHUNK_BYTES, (off_t)s->text.size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return NULL;
        if (n == 0) break;
        s->text.size += (size_t)n;
        if ((size_t)n + record_bytes_max < TEXT_CHUNK_BYTES) break;
    }
    return buffer_text(&s->text);
}

static bool name_is_listed(const struct sampler *s, const char *name)
{
    for (size_t i = 0; i < s->disk_count; i++)
        if (strcmp(s->disks[i], name) == 0) return true;
    return false;
}

/* Whole devices have a folder in /sys/block, partitions have not. A slash in a name stands there as '!'. */
static bool is_whole_device(const struct sampler *s, const char *name)
{
    char path[512];
    int n = snprintf(path, sizeof path, "%s/sys/block/", s->root);
    snprintf(path + n, sizeof path - (size_t)n, "%s", name);
    for (char *c = path + n; *c != '\0'; c++)
        if (*c == '/') *c = '!';
    return access(path, F_OK) == 0;
}

/* Devices that exist in numbers whether or not anybody uses them. */
static const char *const only_if_mounted[] = {"loop", "ram", "zram", "sr", "fd", "nbd"};

static bool decide(const struct sampler *s, unsigned device_major, unsigned device_minor, const char *name)
{
    if (s->disks != NULL) return name_is_listed(s, name);
    if (!is_whole_device(s, name)) return false;
    for (size_t i = 0; i < ARRAY_COUNT(only_if_mounted); i++) {
        size_t n = strlen(only_if_mounted[i]);
        if (strncmp(name, only_if_mounted[i], n) == 0 && name[n] >= '0' && name[n] <= '9')
            return filesystems_has_device(s->filesystems, device_major, device_minor);
    }
    return true;
}

static bool disk_is_wanted(void *owner, unsigned device_major, unsigned device_minor, const char *name)
{
    struct sampler *s = owner;
    /* Lines come in the same order every time: the next one is nearly always the one behind the last. */
    for (size_t i = 0; i < s->known_count; i++) {
        size_t at = (s->known_next + i) % s->known_count;
        const struct known_device *k = &s->known[at];
        if (k->device_major != device_major || k->device_minor != device_minor || strcmp(k->name, name) != 0)
            continue;
        s->known_next = at + 1;
        return k->wanted;
    }
    bool wanted = decide(s, device_major, device_minor, name);
    if (s->known_count == DEVICES_KNOWN_MAX) return wanted;
    if (s->known_count == s->known_capacity) {
        s->known_capacity = s->known_capacity > 0 ? s->known_capacity * 2 : 16;
        s->known = check_realloc_array(s->known, s->known_capacity, sizeof *s->known);
    }
    struct known_device *k = &s->known[s->known_count++];
    *k = (struct known_device){device_major, device_minor, "", wanted};
    snprintf(k->name, sizeof k->name, "%s", name);
    return wanted;
}

static size_t parse_disks(struct sampler *s, const char *text, const struct sample_sink *sink)
{
    const struct disk_filter filter = {.owner = s, .wanted = disk_is_wanted};
    return diskstats_parse(&filter, text, sink);
}

/* Mounts decide about filesystems and about loop devices, so what was decided about devices is asked anew. */
static void refresh_mounts(struct sampler *s, int64_t now_ms)
{
    if (now_ms < s->mounts_due_ms) return;
    s->mounts_due_ms = now_ms + MOUNTS_EVERY_MS;
    if (s->mounts_fd < 0) s->mounts_fd = open_below_root(s, "/proc/self/mountinfo");
    if (s->mounts_fd < 0) return;
    const char *text = read_text(s, s->mounts_fd, TEXT_CHUNK_BYTES);
    if (text == NULL) return;
    s->skipped += filesystems_update(s->filesystems, text);
    s->known_count = 0;
}

static void read_source(struct sampler *s, size_t i, int64_t now_ms, const struct sample_sink *sink)
{
    struct open_source *open = &s->open[i];
    if (open->fd < 0) {
        if (now_ms < open->retry_ms) return;
        open->retry_ms = now_ms + REOPEN_MS;
        open->fd = open_below_root(s, sources[i].path);
        if (open->fd < 0) return;
    }
    const char *text = read_text(s, open->fd, RECORD_BYTES_MAX);
    if (text == NULL) { /* PSI switched off answers EOPNOTSUPP */
        close(open->fd);
        open->fd = -1;
        s->skipped += open->ever_there;
        return;
    }
    open->ever_there = true;
    s->skipped +=
        sources[i].parse != NULL ? sources[i].parse(text, sink) : sources[i].parse_with(s, text, sink);
}

void sampler_read(struct sampler *s, int64_t now_ms, const struct sample_sink *sink)
{
    refresh_mounts(s, now_ms);
    for (size_t i = 0; i < ARRAY_COUNT(sources); i++) read_source(s, i, now_ms, sink);
    filesystems_read(s->filesystems, now_ms, sink);
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        sink->value(sink->owner, METRIC_agent_cpu_us, NULL, 0,
            ((int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
                usage.ru_stime.tv_usec);
}

size_t sampler_absent(const struct sampler *s, const char **names)
{
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(sources); i++)
        if (s->open[i].fd < 0) names[count++] = sources[i].name;
    return count;
}

uint64_t sampler_skipped(const struct sampler *s)
{
    return s->skipped;
}
