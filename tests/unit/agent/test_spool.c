#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/helper/helper.h"
#include "agent/spool/spool.h"
#include "common/check.h"
#include "common/clock.h"
#include "tests/support/unit.h"

#define DEADLINE_MS 20000
#define SAMPLES     100

struct fixture {
    char directory[64];
    struct spool *spool;
    int64_t now_ms; /* fake */
    size_t recovered;
};

static void count_recovered(void *owner, struct span frame)
{
    (void)frame;
    ((struct fixture *)owner)->recovered++;
}

static void open_spool(struct fixture *f, const struct spool_options *extra)
{
    struct spool_options options = {0};
    if (extra != NULL) options = *extra;
    options.directory = f->directory;
    options.random = 0x1234567890 + (uint64_t)f->now_ms;
    options.recovered = count_recovered;
    options.owner = f;
    struct error err = {0};
    f->recovered = 0;
    f->spool = spool_open(&options, &err);
    if (f->spool == NULL) fprintf(stderr, "%s\n", err.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(f->spool);
    CU_ASSERT_EQUAL(spool_add_collector(f->spool, 0, NULL), 0);
}

static void begin(struct fixture *f, const struct spool_options *extra)
{
    *f = (struct fixture){.directory = "/tmp/faultline-spool-XXXXXX"};
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(f->directory));
    CU_ASSERT_EQUAL_FATAL(helper_init(NULL), 0);
    open_spool(f, extra);
}

static unsigned each_segment(const struct fixture *f, void (*call)(const char *path))
{
    DIR *directory = opendir(f->directory);
    unsigned count = 0;
    for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        if (strstr(entry->d_name, ".spool") == NULL) continue;
        char path[400];
        snprintf(path, sizeof path, "%s/%s", f->directory, entry->d_name);
        if (call != NULL) call(path);
        count++;
    }
    closedir(directory);
    return count;
}

static void remove_file(const char *path)
{
    unlink(path);
}

static void end(struct fixture *f)
{
    spool_close(f->spool);
    helper_fini();
    char path[200];
    snprintf(path, sizeof path, "%s/lock", f->directory);
    unlink(path);
    for (int64_t stop = clock_mono_ms() + DEADLINE_MS; rmdir(f->directory) != 0 && clock_mono_ms() < stop;) {
        each_segment(f, remove_file);
        unlink(path);
        poll(NULL, 0, 1);
    }
}

/* A frame that says which sequence it is, padded to `size`. */
static void append(struct fixture *f, size_t count, size_t size)
{
    uint8_t *frame = check_alloc(size);
    for (size_t i = 0; i < count; i++) {
        uint64_t sequence = spool_next_sequence(f->spool);
        memset(frame, (int)(sequence & 0xff), size);
        memcpy(frame, &sequence, sizeof sequence);
        CU_ASSERT_EQUAL(spool_append(f->spool, span_of(frame, size), SAMPLES, NULL), 0);
    }
    free(frame);
}

static struct spool_sizes sizes(const struct fixture *f)
{
    struct spool_sizes s;
    spool_sizes(f->spool, &s);
    return s;
}

static void pump(struct fixture *f, int64_t ms)
{
    f->now_ms += ms;
    spool_pump(f->spool, f->now_ms);
}

/* Pumps at the present moment until something is so. */
#define UNTIL(f, condition)                                                                                  \
    do {                                                                                                     \
        int64_t stop_ = clock_mono_ms() + DEADLINE_MS;                                                       \
        while (!(condition) && clock_mono_ms() < stop_) {                                                    \
            spool_pump((f)->spool, (f)->now_ms);                                                             \
            poll(NULL, 0, 1);                                                                                \
        }                                                                                                    \
        CU_ASSERT(condition);                                                                                \
    } while (0)

static void write_all(struct fixture *f)
{
    pump(f, 0);
    pump(f, SPOOL_SYNC_EVERY_MS);
    UNTIL(f, sizes(f).memory_bytes == 0);
}

static void acknowledge(struct fixture *f, unsigned collector, uint64_t first, uint64_t last)
{
    struct received received = {0};
    CU_ASSERT_EQUAL(received_add(&received, first, last, NULL), 0);
    spool_acknowledge(f->spool, collector, &received);
}

static enum spool_found next(struct fixture *f, unsigned collector, uint64_t after, uint64_t *sequence)
{
    struct buffer out = {0};
    struct error err = {0};
    enum spool_found found;
    int64_t stop = clock_mono_ms() + DEADLINE_MS;
    while ((found = spool_next(f->spool, collector, after, sequence, &out, &err)) == SPOOL_READING &&
           clock_mono_ms() < stop) {
        spool_pump(f->spool, f->now_ms);
        poll(NULL, 0, 1);
    }
    if (found == SPOOL_FOUND) CU_ASSERT(memcmp(out.data, sequence, sizeof *sequence) == 0);
    buffer_fini(&out);
    return found;
}

/* How many come out one after the other, and the last of them. */
static uint64_t drain(struct fixture *f, unsigned collector, uint64_t *last)
{
    uint64_t count = 0, sequence = 0;
    for (uint64_t after = 0; next(f, collector, after, &sequence) == SPOOL_FOUND; after = sequence) count++;
    *last = sequence;
    return count;
}

static void what_is_acknowledged_in_time_never_touches_the_disk(void)
{
    struct fixture f;
    begin(&f, NULL);
    for (uint64_t i = 1; i <= 100; i++) {
        append(&f, 1, 3000);
        pump(&f, 0);
        acknowledge(&f, 0, 1, i);
        pump(&f, 1000);
    }
    CU_ASSERT_EQUAL(each_segment(&f, NULL), 0);
    CU_ASSERT_EQUAL(sizes(&f).batches, 0);
    CU_ASSERT_EQUAL(spool_oldest_sequence(f.spool), 101);
    end(&f);
}

static void without_work_the_helper_rests_and_comes_back(void)
{
    struct fixture f;
    begin(&f, NULL);
    pump(&f, 0);
    pump(&f, SPOOL_REST_AFTER_MS);
    CU_ASSERT_EQUAL(spool_helper_pid(f.spool), 0);
    append(&f, 3, 1000);
    write_all(&f);
    CU_ASSERT(spool_helper_pid(f.spool) > 0);
    pump(&f, SPOOL_REST_AFTER_MS);
    CU_ASSERT(spool_helper_pid(f.spool) > 0); /* while there is something on disk */
    acknowledge(&f, 0, 1, 3);
    UNTIL(&f, each_segment(&f, NULL) == 0);
    /* The answer to the removal may come with any of these. */
    for (int i = 0; i < 10000 && spool_helper_pid(f.spool) > 0; i++) {
        pump(&f, SPOOL_REST_AFTER_MS);
        poll(NULL, 0, 1);
    }
    CU_ASSERT_EQUAL(spool_helper_pid(f.spool), 0);
    append(&f, 3, 1000);
    spool_close(f.spool);
    open_spool(&f, NULL);
    CU_ASSERT_EQUAL(sizes(&f).batches, 3);
    end(&f);
}

static void what_is_older_than_half_a_second_goes_to_disk_and_comes_back(void)
{
    struct fixture f;
    begin(&f, NULL);
    append(&f, 50, 3000);
    pump(&f, 0);
    pump(&f, SPOOL_WRITE_AFTER_MS - 1);
    CU_ASSERT_EQUAL(each_segment(&f, NULL), 0);
    write_all(&f);
    CU_ASSERT_EQUAL(sizes(&f).batches, 50);
    uint64_t last;
    CU_ASSERT_EQUAL(drain(&f, 0, &last), 50);
    acknowledge(&f, 0, 1, 20);
    uint64_t sequence;
    CU_ASSERT_EQUAL(next(&f, 0, 0, &sequence), SPOOL_FOUND);
    CU_ASSERT_EQUAL(sequence, 21);
    acknowledge(&f, 0, 1, 50);
    CU_ASSERT_EQUAL(next(&f, 0, 0, &sequence), SPOOL_NONE);
    UNTIL(&f, each_segment(&f, NULL) == 0);
    end(&f);
}

static void a_restart_keeps_batches_incarnation_and_dictionary(void)
{
    struct fixture f;
    begin(&f, NULL);
    uint64_t incarnation = spool_incarnation(f.spool);
    spool_keep_dictionary(f.spool, span_text("dictionary"));
    append(&f, 10, 100);
    spool_close(f.spool);
    f.now_ms += 1000;
    open_spool(&f, NULL);
    CU_ASSERT_EQUAL(spool_incarnation(f.spool), incarnation);
    CU_ASSERT_EQUAL(spool_next_sequence(f.spool), 10 + SPOOL_RESTART_SKIP);
    CU_ASSERT_EQUAL(f.recovered, 11);
    uint64_t last;
    CU_ASSERT_EQUAL(drain(&f, 0, &last), 10);
    CU_ASSERT_EQUAL(last, 10);
    struct wire_gap gaps[8];
    CU_ASSERT_EQUAL_FATAL(spool_take_gaps(f.spool, gaps, 8), 1);
    CU_ASSERT_EQUAL(gaps[0].from, 11);
    CU_ASSERT_EQUAL(gaps[0].to, 10 + SPOOL_RESTART_SKIP - 1);
    CU_ASSERT_EQUAL(gaps[0].samples, 0);
    end(&f);
}

static void an_empty_directory_means_a_new_incarnation(void)
{
    struct fixture f;
    begin(&f, NULL);
    uint64_t incarnation = spool_incarnation(f.spool);
    append(&f, 10, 100);
    write_all(&f);
    acknowledge(&f, 0, 1, 10);
    spool_close(f.spool);
    f.now_ms += 1000;
    open_spool(&f, NULL);
    CU_ASSERT_NOT_EQUAL(spool_incarnation(f.spool), incarnation);
    CU_ASSERT_EQUAL(spool_next_sequence(f.spool), 1);
    end(&f);
}

static void two_agents_cannot_share_a_directory(void)
{
    struct fixture f;
    begin(&f, NULL);
    struct error err = {0};
    CU_ASSERT_PTR_NULL(spool_open(&(struct spool_options){.directory = f.directory, .random = 1}, &err));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "in use by another agent"));
    end(&f);
}

static void the_quota_drops_the_oldest_and_accounts_for_every_sample(void)
{
    struct fixture f;
    const struct spool_options small = {.bytes_max = 300 * 1024, .segment_bytes = 64 * 1024};
    begin(&f, &small);
    for (int i = 0; i < 300; i++) {
        append(&f, 1, 4000);
        write_all(&f);
        CU_ASSERT(sizes(&f).disk_bytes + sizes(&f).memory_bytes <= 300 * 1024 + 64 * 1024);
    }
    struct spool_sizes s = sizes(&f);
    CU_ASSERT_EQUAL(s.batches * SAMPLES + s.dropped_samples, 300 * SAMPLES);
    CU_ASSERT(s.dropped_samples > 0);
    struct wire_gap gaps[8];
    CU_ASSERT_EQUAL_FATAL(spool_take_gaps(f.spool, gaps, 8), 1); /* neighbours are one */
    CU_ASSERT_EQUAL(gaps[0].from, 1);
    CU_ASSERT_EQUAL(gaps[0].to, 300 - s.batches);
    CU_ASSERT_EQUAL(gaps[0].samples, s.dropped_samples);
    CU_ASSERT_EQUAL(gaps[0].reason, WIRE_GAP_SPOOL_FULL);
    uint64_t last;
    CU_ASSERT_EQUAL(drain(&f, 0, &last), s.batches);
    CU_ASSERT_EQUAL(last, 300);
    /* A gap is told once, and again only if the batch that carries it goes too. */
    CU_ASSERT_EQUAL(spool_take_gaps(f.spool, gaps, 8), 0);
    for (int i = 0; i < 200; i++) {
        append(&f, 1, 4000);
        write_all(&f);
    }
    CU_ASSERT_EQUAL_FATAL(spool_take_gaps(f.spool, gaps, 8), 1);
    CU_ASSERT_EQUAL(gaps[0].from, 1);
    CU_ASSERT_EQUAL(gaps[0].samples, sizes(&f).dropped_samples);
    end(&f);
}

static void memory_alone_is_bounded_too(void)
{
    struct error err = {0};
    struct spool *spool = spool_open(&(struct spool_options){.memory_bytes = 100000, .random = 5}, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(spool);
    struct fixture f = {.spool = spool};
    spool_add_collector(spool, 0, NULL);
    append(&f, 1000, 1000);
    struct spool_sizes s = sizes(&f);
    CU_ASSERT_EQUAL(s.batches, 100);
    CU_ASSERT_EQUAL(s.dropped_samples, 900 * SAMPLES);
    uint64_t last;
    CU_ASSERT_EQUAL(drain(&f, 0, &last), 100);
    spool_close(spool);
}

static void a_hung_disk_leaves_a_ring_in_memory_and_loses_nothing_that_fits(void)
{
    struct fixture f;
    const struct spool_options small = {.memory_bytes = 1000 * 1000};
    begin(&f, &small);
    append(&f, 10, 1000);
    write_all(&f);
    int pid = spool_helper_pid(f.spool);
    kill(pid, SIGSTOP);
    for (int i = 0; i < 600; i++) {
        append(&f, 1, 1000);
        pump(&f, 1000);
    }
    CU_ASSERT_STRING_EQUAL(spool_trouble(f.spool), "the disk does not answer");
    CU_ASSERT_EQUAL(sizes(&f).dropped_samples, 0);
    uint64_t sequence;
    CU_ASSERT_EQUAL(next(&f, 0, 600, &sequence), SPOOL_FOUND); /* live data goes on */
    append(&f, 600, 1000);
    CU_ASSERT(sizes(&f).memory_bytes <= small.memory_bytes);
    struct spool_sizes s = sizes(&f);
    CU_ASSERT_EQUAL(s.batches * SAMPLES + s.dropped_samples, 1210 * SAMPLES);
    kill(pid, SIGCONT);
    for (int i = 0; i < 100 && sizes(&f).memory_bytes > 0; i++) write_all(&f);
    CU_ASSERT_PTR_NULL(spool_trouble(f.spool));
    uint64_t last;
    CU_ASSERT(drain(&f, 0, &last) >= s.batches);
    CU_ASSERT_EQUAL(last, 1210);
    end(&f);
}

static void a_full_disk_is_survived_and_resumed(void)
{
    struct fixture f;
    begin(&f, NULL);
    append(&f, 10, 1000);
    write_all(&f);
    int pid = spool_helper_pid(f.spool);
    struct rlimit old;
    prlimit(pid, RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 20000, .rlim_max = RLIM_INFINITY}, &old);
    append(&f, 100, 1000);
    pump(&f, 0);
    pump(&f, 1000);
    UNTIL(&f, spool_trouble(f.spool) != NULL);
    append(&f, 100, 1000);
    uint64_t last;
    CU_ASSERT_EQUAL(drain(&f, 0, &last), 210);
    prlimit(pid, RLIMIT_FSIZE, &old, NULL);
    pump(&f, SPOOL_RETRY_MS);
    UNTIL(&f, spool_trouble(f.spool) == NULL);
    write_all(&f);
    CU_ASSERT_EQUAL(drain(&f, 0, &last), 210);
    CU_ASSERT_EQUAL(sizes(&f).dropped_samples, 0);
    end(&f);
}

static void a_helper_that_dies_is_replaced(void)
{
    struct fixture f;
    begin(&f, NULL);
    append(&f, 10, 1000);
    write_all(&f);
    for (int i = 0; i < 5; i++) {
        int pid = spool_helper_pid(f.spool);
        append(&f, 10, 1000);
        pump(&f, 0);
        pump(&f, 1000);
        kill(pid, SIGKILL);
        UNTIL(&f, spool_trouble(f.spool) != NULL || spool_helper_pid(f.spool) != pid);
        pump(&f, SPOOL_RETRY_MS);
        UNTIL(&f, spool_helper_pid(f.spool) > 0 && spool_helper_pid(f.spool) != pid);
        write_all(&f);
    }
    uint64_t last;
    CU_ASSERT_EQUAL(drain(&f, 0, &last), 60);
    end(&f);
}

static void flip(const char *path)
{
    int fd = open(path, O_RDWR);
    uint8_t byte;
    off_t middle = 5 * 1040 + 500; /* inside the sixth frame */
    if (pread(fd, &byte, 1, middle) == 1) {
        byte ^= 4;
        CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, middle), 1);
    }
    close(fd);
}

static void a_flipped_bit_costs_its_batch_and_becomes_a_gap(void)
{
    struct fixture f;
    begin(&f, NULL);
    append(&f, 20, 1000);
    write_all(&f);
    CU_ASSERT_EQUAL(each_segment(&f, flip), 1);
    uint64_t sequence, count = 0, corrupt = 0;
    for (uint64_t after = 0;;) {
        enum spool_found found = next(&f, 0, after, &sequence);
        if (found == SPOOL_NONE) break;
        if (found == SPOOL_FOUND) after = sequence;
        count += found == SPOOL_FOUND;
        corrupt += found == SPOOL_CORRUPT;
    }
    CU_ASSERT_EQUAL(count, 19);
    CU_ASSERT_EQUAL(corrupt, 1);
    struct wire_gap gaps[8];
    CU_ASSERT_EQUAL_FATAL(spool_take_gaps(f.spool, gaps, 8), 1);
    CU_ASSERT_EQUAL(gaps[0].from, 6);
    CU_ASSERT_EQUAL(gaps[0].to, 6);
    CU_ASSERT_EQUAL(gaps[0].samples, SAMPLES);
    CU_ASSERT_EQUAL(gaps[0].reason, WIRE_GAP_CORRUPT);
    end(&f);
}

static void a_batch_stays_until_every_collector_has_it(void)
{
    struct fixture f;
    begin(&f, NULL);
    CU_ASSERT_EQUAL(spool_add_collector(f.spool, 1, NULL), 0);
    append(&f, 10, 1000);
    write_all(&f);
    acknowledge(&f, 0, 1, 10);
    uint64_t last, sequence;
    CU_ASSERT_EQUAL(next(&f, 0, 0, &sequence), SPOOL_NONE);
    CU_ASSERT_EQUAL(drain(&f, 1, &last), 10);
    acknowledge(&f, 1, 3, 10);
    CU_ASSERT_EQUAL(drain(&f, 1, &last), 2);
    acknowledge(&f, 1, 1, 10);
    CU_ASSERT_EQUAL(sizes(&f).batches, 0);
    end(&f);
}

/* The agent's process: a tick after the other until it is killed, saying each time what it believes to be in
 * files. */
static _Noreturn void run_until_killed(struct fixture *f, int progress_fd)
{
    helper_fini();
    if (helper_init(NULL) != 0) _exit(1);
    open_spool(f, NULL);
    for (;;) {
        append(f, 1, 2000);
        pump(f, 1000);
        uint64_t in_files = sizes(f).disk_batches;
        if (write(progress_fd, &in_files, sizeof in_files) < 0) _exit(1);
        poll(NULL, 0, 1);
    }
}

static void kill_9_at_any_moment_loses_nothing_that_is_in_files(void)
{
    struct fixture f;
    begin(&f, NULL);
    spool_close(f.spool);
    uint64_t kept = 0;
    for (int round = 0; round < 20; round++) {
        f.now_ms += 1000;
        int pipes[2];
        CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
        pid_t pid = fork();
        if (pid == 0) run_until_killed(&f, pipes[1]);
        close(pipes[1]);
        uint64_t in_files = 0;
        while (in_files < kept + 5 + (uint64_t)round)
            CU_ASSERT_EQUAL_FATAL(read(pipes[0], &in_files, sizeof in_files), sizeof in_files);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        while (read(pipes[0], &in_files, sizeof in_files) == sizeof in_files) {
        }
        close(pipes[0]);
        open_spool(&f, NULL);
        kept = sizes(&f).disk_batches;
        CU_ASSERT(kept >= in_files);
        uint64_t last;
        CU_ASSERT_EQUAL(drain(&f, 0, &last), kept);
        spool_close(f.spool);
    }
    open_spool(&f, NULL);
    end(&f);
}

UNIT_MAIN("spool",
    {"what is acknowledged in time never touches the disk",
        what_is_acknowledged_in_time_never_touches_the_disk},
    {"without work the helper rests and comes back", without_work_the_helper_rests_and_comes_back},
    {"what is older than half a second goes to disk and comes back",
        what_is_older_than_half_a_second_goes_to_disk_and_comes_back},
    {"a restart keeps batches, incarnation and dictionary",
        a_restart_keeps_batches_incarnation_and_dictionary},
    {"an empty directory means a new incarnation", an_empty_directory_means_a_new_incarnation},
    {"two agents cannot share a directory", two_agents_cannot_share_a_directory},
    {"the quota drops the oldest and accounts for every sample",
        the_quota_drops_the_oldest_and_accounts_for_every_sample},
    {"memory alone is bounded too", memory_alone_is_bounded_too},
    {"a hung disk leaves a ring in memory and loses nothing that fits",
        a_hung_disk_leaves_a_ring_in_memory_and_loses_nothing_that_fits},
    {"a full disk is survived and resumed", a_full_disk_is_survived_and_resumed},
    {"a helper that dies is replaced", a_helper_that_dies_is_replaced},
    {"a flipped bit costs its batch and becomes a gap", a_flipped_bit_costs_its_batch_and_becomes_a_gap},
    {"a batch stays until every collector has it", a_batch_stays_until_every_collector_has_it},
    {"kill -9 at any moment loses nothing that is in files",
        kill_9_at_any_moment_loses_nothing_that_is_in_files})
