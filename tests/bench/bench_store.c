/* What the store costs: CPU seconds for a million samples through decode, append, commit and seal, bytes on
 * disk for a sample, seconds to reopen, milliseconds for three queries.
 *
 *     bench_store [HOSTS [SECONDS]]          default 200 600; 40 series a host, 1 s, 2,000 samples a batch
 *
 * The data: 14 counters, 9 latencies of three digits, 3 full doubles, 8 percents, 6 that hardly change. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "collector/core/store/store.h"
#include "collector/core/store/store_read.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "tests/support/random.h"
#include "tests/support/scratch.h"

#define SERIES       40
#define INTS         29 /* the first ones are integers */
#define TIMES        50 /* in a batch: 2,000 samples */
#define NOON         1795435200000
#define GROUP        32 /* batches in a commit */
#define QUERY_ROUNDS 20

struct generator {
    struct random random;
    double value, base, drift;
    int64_t counter, step;
};

static double uniform(struct random *random)
{
    return (double)(random_next(random) >> 11) / 9007199254740992.0;
}

static double normal(struct random *random)
{
    return sqrt(-2 * log(uniform(random) + 1e-300)) * cos(6.283185307179586 * uniform(random));
}

static double three_digits(double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.3g", value);
    return strtod(text, NULL);
}

static void generator_init(struct generator *g, int host, int series)
{
    *g = (struct generator){.random = {(uint64_t)host * SERIES + (uint64_t)series + 1}};
    g->counter = (int64_t)(1e5 * pow(10, 4 * uniform(&g->random)));
    g->step = (int64_t)pow(10, 2.6 * uniform(&g->random)) * (series % 6 > 3 ? 8 : 1);
    g->base = 40 * pow(100, uniform(&g->random));
    g->value = 5 + 75 * uniform(&g->random);
}

static int64_t next_int(struct generator *g, int series)
{
    if (series < 14)
        return g->counter += (int64_t)random_below(&g->random, (uint64_t)(2 * g->step + 1)) / 8 * 8;
    if (series < 23) {
        g->drift = .98 * g->drift + .05 * normal(&g->random);
        return (int64_t)three_digits(g->base * exp(g->drift + .2 * normal(&g->random)));
    }
    if (series < 26) return g->counter;
    return random_below(&g->random, 20) == 0 ? (int64_t)random_below(&g->random, 6) : 0;
}

static double next_double(struct generator *g, int series)
{
    g->drift = .95 * g->drift + 1.5 * normal(&g->random);
    double percent = fmin(100, fmax(0, g->value + g->drift));
    if (series < 35) return round(percent * 10) / 10;
    if (series < 37) return 100.0 * round(percent * 2) / (double)(197 + random_below(&g->random, 7));
    return g->base * exp(.2 * normal(&g->random));
}

/* ---- frames, made before the clock runs ---- */

struct frames {
    struct span *items;
    int *hosts;
    size_t count;
};

static struct span make_frame(struct generator *generators, uint64_t sequence, int64_t first_ms)
{
    static const char *const names[] = {
        "disk_reads_total", "disk_writes_total", "network_sent_bytes", "disk_read_time_ms"};
    static struct wire_dict_entry dict[SERIES];
    static char labels[SERIES][16];
    static uint32_t ids[SERIES];
    static int64_t times[TIMES], ints[INTS * TIMES];
    static double doubles[(SERIES - INTS) * TIMES];
    for (int s = 0; s < SERIES; s++) {
        snprintf(labels[s], sizeof labels[s], "d%d", s);
        ids[s] = (uint32_t)s + 1;
        dict[s] = (struct wire_dict_entry){
            .id = ids[s], .metric = names[s % 4], .labels = {{"device", labels[s]}}, .label_count = 1};
        for (int i = 0; i < TIMES; i++) {
            times[i] = first_ms + i * 1000;
            if (s < INTS)
                ints[s * TIMES + i] = next_int(&generators[s], s);
            else
                doubles[(s - INTS) * TIMES + i] = next_double(&generators[s], s);
        }
    }
    const struct wire_rows rows[2] = {
        {.series = ids, .series_count = INTS, .times_ms = times, .time_count = TIMES, .ints = ints},
        {.series = ids + INTS,
            .series_count = SERIES - INTS,
            .times_ms = times,
            .time_count = TIMES,
            .doubles = doubles}};
    const struct wire_from_agent message = {.kind = WIRE_BATCH,
        .batch = {.incarnation = 1,
            .sequence = sequence,
            .base_ms = first_ms,
            .dict = dict,
            .dict_count = sequence == 1 ? SERIES : 0,
            .rows = rows,
            .rows_count = 2}};
    struct buffer frame = {0};
    struct error err;
    if (wire_encode_from_agent(&message, &frame, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return buffer_span(&frame); /* lives until the end */
}

static struct frames make_frames(int hosts, int seconds)
{
    struct frames frames = {
        .items = check_alloc_array((size_t)(hosts * (seconds / TIMES)), sizeof(struct span)),
        .hosts = check_alloc_array((size_t)(hosts * (seconds / TIMES)), sizeof(int))};
    struct generator *generators = check_alloc_array((size_t)(hosts * SERIES), sizeof *generators);
    for (int h = 0; h < hosts; h++)
        for (int s = 0; s < SERIES; s++) generator_init(&generators[h * SERIES + s], h, s);
    for (int b = 0; b < seconds / TIMES; b++)
        for (int h = 0; h < hosts; h++) {
            frames.hosts[frames.count] = h;
            frames.items[frames.count++] =
                make_frame(&generators[h * SERIES], (uint64_t)b + 1, NOON + (int64_t)b * TIMES * 1000);
        }
    free(generators);
    return frames;
}

/* ---- measuring ---- */

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static double spent[5];
enum { DECODE, APPEND, COMMIT, SEAL, REOPEN };

static void must(bool good, const struct error *err)
{
    if (good) return;
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static void seal(struct store *store, int64_t now_ms, bool everything)
{
    struct error err = {0};
    int more;
    double began = cpu_s();
    while ((more = store_seal(store, now_ms, everything, &err)) == 1) continue;
    must(more == 0, &err);
    spent[SEAL] += cpu_s() - began;
}

static void ingest(struct store *store, const struct frames *frames)
{
    struct arena arena = {0};
    struct error err = {0};
    for (size_t i = 0; i < frames->count; i++) {
        struct wire_from_agent message;
        enum store_verdict verdict;
        char key[41], host[16];
        snprintf(key, sizeof key, "%040d", frames->hosts[i]);
        snprintf(host, sizeof host, "host%d", frames->hosts[i]);
        double began = cpu_s();
        arena_reset(&arena);
        must(wire_decode_from_agent(frames->items[i], &arena, &message, &err) == 0, &err);
        double decoded = cpu_s();
        must(store_append(
                 store, key, host, &message.batch, frames->items[i], NOON + 600000, &verdict, &err) == 0,
            &err);
        CHECK(verdict == STORE_TAKEN);
        double appended = cpu_s();
        spent[DECODE] += decoded - began;
        spent[APPEND] += appended - decoded;
        if (i % GROUP != GROUP - 1) continue;
        must(store_commit(store, &err) == 0, &err);
        spent[COMMIT] += cpu_s() - appended;
        seal(store, NOON + 600000, false);
    }
    must(store_commit(store, &err) == 0, &err);
    arena_fini(&arena);
}

static double query_ms(const char *directory, const struct store_selector *selector,
    enum store_aggregate aggregate, int64_t step_ms)
{
    struct error err = {0};
    double best = 1e9;
    struct store_reader *reader = store_reader_open(directory, &err);
    for (int i = 0; i < QUERY_ROUNDS; i++) {
        struct store_result result = {0};
        int64_t began_ns = clock_mono_ns();
        must(store_query(reader, selector, aggregate, step_ms, (struct span){0}, clock_mono_ms() + 60000,
                 10000000, &result, &err) == 0,
            &err);
        double ms = (double)(clock_mono_ns() - began_ns) * 1e-6;
        if (ms < best) best = ms;
        store_result_fini(&result);
    }
    store_reader_close(reader);
    return best;
}

int main(int argc, char **argv)
{
    int hosts = argc > 1 ? atoi(argv[1]) : 200, seconds = argc > 2 ? atoi(argv[2]) : 600;
    char directory[SCRATCH_SIZE];
    scratch_make(directory);
    const struct store_options options = {.directory = directory};
    struct error err = {0};
    struct frames frames = make_frames(hosts, seconds);
    double samples = (double)frames.count * SERIES * TIMES, million = samples / 1e6;
    struct store *store = store_open(&options, NOON, NULL, NULL, &err);
    must(store != NULL, &err);
    int64_t began_ns = clock_mono_ns();
    ingest(store, &frames);
    double wall = (double)(clock_mono_ns() - began_ns) * 1e-9;

    store_close(store);
    began_ns = clock_mono_ns();
    store = store_open(&options, NOON + 600000, NULL, NULL, &err);
    must(store != NULL, &err);
    double reopen = (double)(clock_mono_ns() - began_ns) * 1e-9;
    struct store_counts before, after;
    store_counts(store, &before);
    seal(store, NOON + 600000, true);
    seal(store, NOON + 7200000, true); /* the hourly pass */
    store_close(store);
    store = store_open(&options, NOON + 7200000, NULL, NULL, &err);
    must(store != NULL, &err);
    store_counts(store, &after);
    store_close(store);

    double all = spent[DECODE] + spent[APPEND] + spent[COMMIT] + spent[SEAL];
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("samples                 %.0f in %zu batches, %.2f s wall\n", samples, frames.count, wall);
    printf("CPU s per million       %.3f (decode %.3f append %.3f commit %.3f seal and compact %.3f)\n",
        all / million, spent[DECODE] / million, spent[APPEND] / million, spent[COMMIT] / million,
        spent[SEAL] / million);
    printf("bytes per sample        %.3f (day files; %.3f before the last seal and the hourly pass)\n",
        (double)after.day_bytes / samples, (double)before.day_bytes / samples);
    printf("reopen                  %.3f s with %llu samples in the journal\n", reopen,
        (unsigned long long)before.head_samples);
    printf("peak memory             %ld MB with %.0f MB of prepared frames\n", usage.ru_maxrss / 1024,
        samples * 5e-6);
    const char *labels[] = {"device", "d0"};
    struct store_selector selector = {.metric = "disk_reads_total",
        .host = "host1",
        .labels = labels,
        .label_count = 1,
        .from_ms = NOON,
        .to_ms = NOON + 600000};
    printf("one series raw          %.3f ms\n", query_ms(directory, &selector, STORE_RAW, 0));
    selector.label_count = 0;
    printf("10 series in 10 s steps %.3f ms\n", query_ms(directory, &selector, STORE_AVG, 10000));
    selector.host = NULL;
    selector.label_count = 1;
    printf("%d hosts, 10 s steps   %.3f ms\n", hosts, query_ms(directory, &selector, STORE_MAX, 10000));
    scratch_remove(directory);
    return 0;
}
