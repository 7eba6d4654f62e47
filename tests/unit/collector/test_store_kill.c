/* kill -9 at random moments: what was acknowledged is there, once, and nothing that was not received.
 * 20 cycles; FAULTLINE_CYCLES=1000 for the long run, FAULTLINE_SEED to repeat one. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/check.h"
#include "common/clock.h"
#include "tests/support/random.h"
#include "tests/support/store_case.h"
#include "tests/support/unit.h"

#define EACH      10 /* samples in a batch */
#define SPACING   (97 * 1000)
#define FIRST_MS  (CASE_NOON - (int64_t)9 * 86400000)
#define KILL_US   4000 /* after so many commits as chance wants, at a moment within this */
#define REOPEN_MS 2000

static int64_t time_of(uint64_t sequence, size_t i)
{
    return FIRST_MS + (int64_t)sequence * SPACING + (int64_t)i * 1000;
}

static int64_t value_of(uint64_t sequence, size_t i)
{
    return (int64_t)(sequence * 1000 + i * i);
}

static enum store_verdict send(struct store_case *c, uint64_t sequence)
{
    int64_t times[EACH], values[EACH];
    for (size_t i = 0; i < EACH; i++) {
        times[i] = time_of(sequence, i);
        values[i] = value_of(sequence, i);
    }
    return case_send_series(c, 1, sequence,
        &(struct case_series){.id = 1,
            .metric = "disk_reads_total",
            .device = "vda",
            .with_dict = sequence == 1,
            .times_ms = times,
            .ints = values,
            .count = EACH});
}

/* ---- the child: takes batches until it is killed, and tells after each commit how far it is ---- */

static void child(const char *directory, int tell, uint64_t next, uint64_t seed)
{
    struct random random = {seed};
    struct store_case c = {.now_ms = CASE_NOON};
    memcpy(c.directory, directory, sizeof c.directory);
    if (!case_open(&c)) _exit(3);
    for (;;) {
        for (uint64_t n = 1 + random_below(&random, 5); n > 0; n--, next++) {
            if (send(&c, next) != STORE_TAKEN) _exit(4);
            if (random_below(&random, 4) == 0) send(&c, next); /* repeated */
        }
        if (!case_commit(&c)) _exit(5);
        struct received received;
        if (!store_received(c.store, CASE_KEY, 1, &received) || received.floor != next - 1) _exit(6);
        if (write(tell, &received.floor, sizeof received.floor) != sizeof received.floor) _exit(7);
        if (random_below(&random, 3) == 0 && store_seal(c.store, c.now_ms, true, &c.err) < 0) _exit(8);
    }
}

/* ---- the parent ---- */

static uint64_t kill_after(const char *directory, uint64_t next, struct random *random)
{
    int told[2];
    uint64_t floor = next - 1, number;
    CU_ASSERT_FATAL(pipe(told) == 0);
    uint64_t seed = random_next(random);
    pid_t pid = fork();
    CU_ASSERT_FATAL(pid >= 0);
    if (pid == 0) {
        close(told[0]);
        child(directory, told[1], next, seed);
    }
    close(told[1]);
    for (uint64_t wanted = random_below(random, 12);
         wanted > 0 && read(told[0], &number, sizeof number) == sizeof number; wanted--)
        floor = number;
    const struct timespec pause = {.tv_nsec = (long)(1 + random_below(random, KILL_US)) * 1000};
    nanosleep(&pause, NULL);
    kill(pid, SIGKILL);
    while (read(told[0], &number, sizeof number) == sizeof number) floor = number;
    close(told[0]);
    int status;
    CU_ASSERT_FATAL(waitpid(pid, &status, 0) == pid);
    CU_ASSERT(
        WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* otherwise its exit status says what failed */
    if (!WIFSIGNALED(status)) printf("the child ended with %d\n", WEXITSTATUS(status));
    return floor;
}

/* Exactly the samples of the batches 1..floor. */
static bool holds(struct store_case *c, uint64_t floor)
{
    struct store_result result = {0};
    if (!case_query(c, "disk_reads_total", NULL, 0, CASE_NOON * 2, STORE_RAW, 0, &result)) return false;
    bool good = result.damaged == 0 && result.count == (floor > 0);
    if (good && floor > 0) good = result.series[0].count == floor * EACH;
    for (uint64_t sequence = 1; good && sequence <= floor; sequence++)
        for (size_t i = 0; good && i < EACH; i++) {
            const struct store_point *point = &result.series[0].points[(sequence - 1) * EACH + i];
            good = point->time_ms == time_of(sequence, i) && point->value == (double)value_of(sequence, i);
        }
    if (!good)
        printf("expected %llu samples, found %zu (damaged %zu)\n", (unsigned long long)(floor * EACH),
            result.count > 0 ? result.series[0].count : 0, result.damaged);
    store_result_fini(&result);
    return good;
}

static void what_was_acknowledged_survives_kill_9_at_any_moment(void)
{
    const char *cycles_text = getenv("FAULTLINE_CYCLES"), *seed_text = getenv("FAULTLINE_SEED");
    unsigned long cycles = cycles_text != NULL ? strtoul(cycles_text, NULL, 10) : 20;
    struct random random = {seed_text != NULL ? strtoull(seed_text, NULL, 10) : (uint64_t)clock_wall_ms()};
    printf("\nseed %llu, %lu cycles\n", (unsigned long long)random.state, cycles);
    struct store_case c = {0};
    uint64_t floor = 0, most_batches = 7500;
    case_init(&c);
    case_close(&c);
    for (unsigned long cycle = 0; cycle < cycles; cycle++) {
        uint64_t acknowledged = kill_after(c.directory, floor + 1, &random);
        int64_t began_ms = clock_mono_ms();
        CU_ASSERT_FATAL(case_open(&c));
        CU_ASSERT(clock_mono_ms() - began_ms < 10 * REOPEN_MS); /* generous here; the bench measures */
        struct received received = {0};
        bool known = store_received(c.store, CASE_KEY, 1, &received);
        CU_ASSERT(received.range_count == 0);
        /* A commit that was done but not told may count, too. */
        CU_ASSERT_FATAL(received.floor >= acknowledged && (known || acknowledged == 0));
        floor = received.floor;
        CU_ASSERT_FATAL(holds(&c, floor));
        if (cycle % 5 == 4) {
            CU_ASSERT(case_seal(&c, true));
            CU_ASSERT_FATAL(holds(&c, floor));
        }
        case_close(&c);
        CU_ASSERT_STRING_EQUAL(c.notes, "");
        if (floor > most_batches) { /* nine days are full: begin anew */
            case_fini(&c);
            memset(&c, 0, sizeof c);
            case_init(&c);
            case_close(&c);
            floor = 0;
        }
    }
    printf("%llu batches received\n", (unsigned long long)floor);
    CU_ASSERT(floor > 0 || cycles < 20);
    case_fini(&c);
}

UNIT_MAIN("store kill", {"what was acknowledged survives kill -9 at any moment",
                            what_was_acknowledged_survives_kill_9_at_any_moment})
