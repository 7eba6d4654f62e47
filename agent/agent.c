#include "agent/agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "agent/batch/batch.h"
#include "agent/probe/prober.h"
#include "agent/sample/sampler.h"
#include "agent/spool/spool.h"
#include "agent/tick.h"
#include "agent/uplink/uplink.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/loop.h"

#define URGENT_EVERY_MS 50 /* failing targets share a batch: at most twenty a second */
#define FILES_EVERY_MS  10000
#define NS_PER_MS       INT64_C(1000000)

struct agent {
    const struct agent_config *config;
    struct loop *loop;
    struct sampler *sampler;
    struct prober *prober; /* made with the first plan: most hosts probe nothing */
    struct batch *batch;
    struct spool *spool;
    struct uplink *uplink;
    struct key_pair key;
    struct loop_timer tick, uplink_due;
    int64_t tick_wall_ms; /* the point of the grid that the timer is armed for */
    struct tick ticked;   /* the last sampling; zeroed: none */
    int64_t urgent_ms;    /* monotonic, of the last batch that was sent out of turn */
    int64_t files_ms;
    int64_t open_files;
    uint64_t missed;
    bool urgent, told_absent;
    char trouble[160];
    struct buffer frame, dictionary;
    uint64_t random;
};

static uint64_t random_number(void)
{
    uint64_t value = 0;
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != (ssize_t)sizeof value)
        value = (uint64_t)clock_mono_ns() * 0x9e3779b97f4a7c15u ^ (uint64_t)getpid();
    return value != 0 ? value : 1;
}

/* ---- batches leave ---- */

/* Everything that waits, in as many batches as it takes. */
static void flush(struct agent *a)
{
    bool more = !batch_is_empty(a->batch);
    while (more) {
        struct wire_gap gaps[LIMIT_GAPS_PER_BATCH];
        size_t gap_count = spool_take_gaps(a->spool, gaps, LIMIT_GAPS_PER_BATCH);
        int64_t now_ms = clock_mono_ms();
        const struct batch_stamp stamp = {.incarnation = spool_incarnation(a->spool),
            .sequence = spool_next_sequence(a->spool),
            .wall_ms = clock_wall_ms(),
            .mono_ms = now_ms,
            .gaps = gaps,
            .gap_count = gap_count};
        struct error err;
        uint64_t samples;
        buffer_clear(&a->frame);
        buffer_clear(&a->dictionary);
        if (batch_encode(a->batch, &stamp, &a->frame, &samples, &more, &a->dictionary, &err) != 0) {
            log_error("batch_lost", &err, "sequence=%llu", (unsigned long long)stamp.sequence);
            continue;
        }
        if (a->dictionary.size > 0) spool_keep_dictionary(a->spool, buffer_span(&a->dictionary));
        if (spool_append(a->spool, buffer_span(&a->frame), samples, &err) != 0) {
            log_error("batch_lost", &err, "sequence=%llu", (unsigned long long)stamp.sequence);
            continue;
        }
        uplink_send(a->uplink, stamp.sequence, buffer_span(&a->frame), now_ms);
    }
    a->urgent = false;
}

/* ---- what comes in ---- */

struct moment {
    struct agent *agent;
    int64_t time_ms;
};

static void on_sample(
    void *owner, enum metric metric, const struct wire_label *labels, size_t label_count, int64_t value)
{
    const struct moment *moment = owner;
    batch_value(moment->agent->batch, metric, labels, label_count, moment->time_ms, value);
}

static void on_outcome(void *owner, const struct wire_label *labels, size_t label_count,
    const struct probe_result *result, bool urgent)
{
    struct agent *a = owner;
    batch_probe(a->batch, labels, label_count, result);
    a->urgent = a->urgent || urgent;
}

static void on_probed_value(void *owner, const char *metric, const struct wire_label *labels,
    size_t label_count, int64_t time_ms, int64_t value)
{
    struct agent *a = owner;
    const struct metric_info *info = metric_find(metric);
    CHECK(info != NULL);
    batch_value(
        a->batch, (enum metric)(info - metric_info((enum metric)0)), labels, label_count, time_ms, value);
}

static void on_plan(void *owner, const char *collector, const struct wire_target *targets, size_t count)
{
    struct agent *a = owner;
    struct error err;
    const struct prober_sink sink = {.owner = a, .outcome = on_outcome, .value = on_probed_value};
    if (a->prober == NULL && count == 0) return;
    if (a->prober == NULL)
        a->prober = prober_new(a->loop, &sink, a->config->credentials_directory, a->random, &err);
    if (a->prober == NULL || prober_plan(a->prober, collector, targets, count, &err) != 0)
        log_error("plan_refused", &err, "collector=%s", collector);
}

static void on_burst(void *owner, const struct wire_burst *burst)
{
    struct agent *a = owner;
    if (a->prober != NULL) prober_burst(a->prober, burst);
}

static void on_need_dictionary(void *owner)
{
    batch_resend_dictionary(((struct agent *)owner)->batch);
}

/* ---- the tick ---- */

static int64_t count_open_files(void)
{
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL) return -1;
    int64_t count = -3; /* ".", ".." and the directory itself */
    while (readdir(directory) != NULL) count++;
    closedir(directory);
    return count;
}

static void sample_self(struct agent *a, int64_t now_ms, int64_t late_us, const struct moment *moment)
{
    if (a->files_ms == 0 || now_ms - a->files_ms >= FILES_EVERY_MS) {
        a->files_ms = now_ms;
        a->open_files = count_open_files();
    }
    struct spool_sizes sizes;
    spool_sizes(a->spool, &sizes);
    const struct {
        enum metric metric;
        int64_t value;
    } out[] = {
        {METRIC_agent_tick_late_us, late_us},
        {METRIC_agent_ticks_missed_total, (int64_t)a->missed},
        {METRIC_agent_spool_bytes, (int64_t)(sizes.disk_bytes + sizes.memory_bytes)},
        {METRIC_agent_spool_batches, (int64_t)sizes.batches},
        {METRIC_agent_dropped_samples_total, (int64_t)sizes.dropped_samples},
        {METRIC_agent_refused_values_total, (int64_t)batch_refused(a->batch)},
        {METRIC_agent_log_dropped_total, (int64_t)log_dropped()},
        {METRIC_agent_open_files_count, a->open_files},
    };
    for (size_t i = 0; i < ARRAY_COUNT(out); i++)
        batch_value(a->batch, out[i].metric, NULL, 0, moment->time_ms, out[i].value);
}

/* The next point of the wall clock's grid, as a deadline of the monotonic clock: a stepped clock moves the
 * grid once, a pause is skipped. */
static void arm_tick(struct agent *a)
{
    int64_t wall_ms = clock_wall_ms();
    a->tick_wall_ms = loop_grid_next(wall_ms, a->config->interval_ms, 0);
    loop_at(a->loop, &a->tick, clock_mono_ns() + (a->tick_wall_ms - wall_ms) * NS_PER_MS);
}

static void log_changes(struct agent *a)
{
    const char *trouble = spool_trouble(a->spool);
    if (strcmp(a->trouble, trouble != NULL ? trouble : "") != 0) {
        snprintf(a->trouble, sizeof a->trouble, "%s", trouble != NULL ? trouble : "");
        if (trouble != NULL)
            log_line(LOG_WARN, "spool_in_memory", "why=\"%s\"", trouble);
        else
            log_line(LOG_INFO, "spool_on_disk", "directory=%s", a->config->spool_directory);
    }
    if (a->told_absent) return;
    a->told_absent = true;
    const char *names[SAMPLER_SOURCES_MAX];
    size_t count = sampler_absent(a->sampler, names);
    for (size_t i = 0; i < count; i++) log_line(LOG_INFO, "source_absent", "source=%s", names[i]);
}

static void on_tick(void *owner, int64_t now_ns)
{
    struct agent *a = owner;
    int64_t now_ms = now_ns / NS_PER_MS, wall_ms = clock_wall_ms();
    int64_t interval_ms = a->config->interval_ms;
    if (wall_ms < a->tick_wall_ms && a->tick_wall_ms - wall_ms < interval_ms / 2) {
        /* The timer fired within the last millisecond before the grid. */
        wall_ms = a->tick_wall_ms;
    }
    struct tick tick = {.time_ms = wall_ms - wall_ms % interval_ms, .wall_ms = wall_ms, .mono_ms = now_ms};
    if (a->ticked.mono_ms != 0) a->missed += tick_missed(&a->ticked, &tick, interval_ms);
    a->ticked = tick;
    struct moment moment = {.agent = a, .time_ms = tick.time_ms};
    sampler_read(a->sampler, now_ms, &(struct sample_sink){.owner = &moment, .value = on_sample});
    sample_self(a, now_ms, wall_ms % interval_ms * 1000, &moment);
    flush(a);
    spool_pump(a->spool, now_ms);
    log_changes(a);
    arm_tick(a);
}

/* ---- the loop's turns ---- */

static void on_uplink_due(void *owner, int64_t now_ns)
{
    (void)owner, (void)now_ns; /* after_turn does the work */
}

static void on_readable(void *owner, int fd, unsigned events)
{
    (void)owner, (void)fd, (void)events;
}

static void watch(void *owner, int fd, bool on)
{
    struct agent *a = owner;
    struct error err;
    if (!on)
        loop_unwatch(a->loop, fd);
    else if (loop_watch(a->loop, fd, LOOP_READ, on_readable, a, &err) != 0)
        log_error("watch_failed", &err, "fd=%d", fd);
}

static void after_turn(void *owner)
{
    struct agent *a = owner;
    int64_t now_ms = clock_mono_ms();
    int64_t due_ms = INT64_MAX;
    if (a->urgent && now_ms - a->urgent_ms >= URGENT_EVERY_MS) {
        a->urgent_ms = now_ms;
        flush(a);
    } else if (a->urgent) {
        due_ms = a->urgent_ms + URGENT_EVERY_MS;
    }
    int64_t uplink_due_ms = uplink_work(a->uplink, now_ms, clock_wall_ms());
    if (uplink_due_ms < due_ms) due_ms = uplink_due_ms;
    loop_at(a->loop, &a->uplink_due, due_ms * NS_PER_MS);
}

static void on_stop(void *owner)
{
    loop_stop(((struct agent *)owner)->loop);
}

static void on_hangup(void *owner)
{
    (void)owner;
    log_line(LOG_INFO, "hangup_ignored", "why=\"the configuration is read at start: restart to apply it\"");
}

/* ---- beginning and end ---- */

static void on_recovered(void *owner, struct span frame)
{
    struct agent *a = owner;
    struct arena arena = {.bytes_max = LIMIT_DECODE_BYTES};
    struct wire_from_agent message;
    if (wire_decode_from_agent(frame, &arena, &message, NULL) == 0 && message.kind == WIRE_BATCH)
        batch_learn(a->batch, message.batch.dict, message.batch.dict_count);
    arena_fini(&arena);
}

static int open_spool(struct agent *a, struct error *err)
{
    struct spool_options options = {.directory = a->config->spool_directory,
        .bytes_max = a->config->spool_bytes_max,
        .random = a->random,
        .recovered = on_recovered,
        .owner = a};
    a->spool = spool_open(&options, err);
    if (a->spool != NULL || err->kind != ERROR_AGAIN) return a->spool != NULL ? 0 : -1;
    log_error("spool_in_memory", err, "until=restart");
    options.directory = NULL;
    a->spool = spool_open(&options, err);
    return a->spool != NULL ? 0 : -1;
}

static void read_boot_id(uint8_t out[static 16])
{
    char text[64] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    size_t digits = 0;
    for (const char *c = text; n > 0 && *c != '\0' && digits < 32; c++) {
        const char *hex = "0123456789abcdef";
        const char *digit = strchr(hex, *c);
        if (digit == NULL) continue;
        out[digits / 2] = (uint8_t)(out[digits / 2] << 4 | (uint8_t)(digit - hex));
        digits++;
    }
}

static int open_uplink(struct agent *a, struct error *err)
{
    struct uplink_collector collectors[AGENT_COLLECTORS_MAX];
    for (size_t i = 0; i < a->config->collector_count; i++)
        collectors[i] = (struct uplink_collector){
            .address = a->config->collectors[i].address, .key = a->config->collectors[i].key};
    struct uplink_options options = {.collectors = collectors,
        .collector_count = a->config->collector_count,
        .key = &a->key,
        .spool = a->spool,
        .random = a->random};
    read_boot_id(options.boot_id);
    const struct uplink_sink sink = {.owner = a,
        .plan = on_plan,
        .burst = on_burst,
        .need_dictionary = on_need_dictionary,
        .watch = watch};
    a->uplink = uplink_new(&options, &sink, err);
    return a->uplink != NULL ? 0 : -1;
}

static int start(struct agent *a, struct error *err)
{
    const struct agent_config *config = a->config;
    const struct sampler_options sampler = {
        .root = "", .disk_count = config->disk_count, .disks = (const char *const *)(uintptr_t)config->disks};
    a->loop = loop_new(err);
    a->batch = batch_new();
    if (a->loop == NULL || loop_signals(a->loop, on_stop, on_hangup, a, err) != 0) return -1;
    if (keys_load_or_make(config->key_file, &a->key, err) != 0) return -1;
    a->sampler = sampler_new(&sampler, err);
    if (a->sampler == NULL || open_spool(a, err) != 0 || open_uplink(a, err) != 0) return -1;
    a->tick = (struct loop_timer){.call = on_tick, .owner = a};
    a->uplink_due = (struct loop_timer){.call = on_uplink_due, .owner = a};
    if (loop_each_turn(a->loop, after_turn, a, err) != 0) return -1;
    arm_tick(a);
    loop_at(a->loop, &a->uplink_due, clock_mono_ns());
    return 0;
}

static void stop(struct agent *a)
{
    prober_free(a->prober);
    uplink_free(a->uplink);
    if (a->spool != NULL) spool_pump(a->spool, clock_mono_ms());
    spool_close(a->spool);
    sampler_free(a->sampler);
    batch_free(a->batch);
    loop_free(a->loop);
    key_pair_fini(&a->key);
    buffer_fini(&a->frame);
    buffer_fini(&a->dictionary);
}

int agent_run(const struct agent_config *config, struct error *err)
{
    struct agent a = {.config = config, .random = random_number()};
    int result = start(&a, err);
    if (result == 0) {
        log_line(LOG_INFO, "started", "version=%s key=%s spool=%s", FAULTLINE_VERSION, a.key.public_key,
            config->spool_directory != NULL ? config->spool_directory : "memory");
        result = loop_run(a.loop, err);
    }
    stop(&a);
    return result;
}
