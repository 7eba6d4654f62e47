#include "common/loop.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "common/check.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "tests/support/unit.h"

#define MS INT64_C(1000000)

static struct loop *loop;
static char story[256];

static void tell(const char *word)
{
    size_t size = strlen(story);
    snprintf(story + size, sizeof story - size, "%s%s", size > 0 ? " " : "", word);
}

static void begin(void)
{
    story[0] = '\0';
    loop = loop_new(NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(loop);
}

static void run(void)
{
    struct error err = {0};
    CU_ASSERT_EQUAL(loop_run(loop, &err), 0);
    loop_free(loop);
    loop = NULL;
}

static void tell_name(void *owner, int64_t now_ns)
{
    (void)now_ns;
    tell(owner);
}

static void stop(void *owner, int64_t now_ns)
{
    (void)owner;
    (void)now_ns;
    loop_stop(loop);
}

static void timers_fire_in_the_order_of_their_deadlines(void)
{
    begin();
    int64_t now = clock_mono_ns();
    struct loop_timer a = {.call = tell_name, .owner = (char[]){"a"}},
                      b = {.call = tell_name, .owner = (char[]){"b"}};
    struct loop_timer c = {.call = tell_name, .owner = (char[]){"c"}},
                      d = {.call = tell_name, .owner = (char[]){"d"}};
    struct loop_timer end = {.call = stop};
    loop_at(loop, &end, now + 5 * MS);
    loop_at(loop, &c, now + 3 * MS);
    loop_at(loop, &a, now + 1 * MS);
    loop_at(loop, &b, now + 2 * MS);
    loop_at(loop, &d, now + 3 * MS); /* as c, armed later */
    run();
    CU_ASSERT_STRING_EQUAL(story, "a b c d");
    CU_ASSERT_EQUAL(a.heap_index, 0);
}

static void a_timer_never_fires_before_its_deadline(void)
{
    begin();
    struct loop_timer end = {.call = stop};
    int64_t due = clock_mono_ns() + 2 * MS + 345;
    loop_at(loop, &end, due);
    run();
    CU_ASSERT(clock_mono_ns() >= due);
}

static void cancelled_timers_stay_silent_and_moved_ones_fire_once(void)
{
    begin();
    int64_t now = clock_mono_ns();
    struct loop_timer a = {.call = tell_name, .owner = (char[]){"a"}},
                      b = {.call = tell_name, .owner = (char[]){"b"}};
    struct loop_timer end = {.call = stop};
    loop_at(loop, &a, now + 1 * MS);
    loop_at(loop, &b, now + 1 * MS);
    loop_at(loop, &end, now + 4 * MS);
    loop_cancel(loop, &a);
    loop_cancel(loop, &a);
    loop_at(loop, &b, now + 2 * MS);
    loop_at(loop, &b, now + 3 * MS);
    run();
    CU_ASSERT_STRING_EQUAL(story, "b");
}

static struct loop_timer busy;
static int busy_count;

static void arm_in_the_past(void *owner, int64_t now_ns)
{
    (void)owner;
    (void)now_ns;
    if (++busy_count < 1000) loop_at(loop, &busy, 1);
}

static void a_timer_that_arms_itself_in_the_past_starves_nobody(void)
{
    begin();
    busy_count = 0;
    busy = (struct loop_timer){.call = arm_in_the_past};
    struct loop_timer end = {.call = stop};
    loop_at(loop, &busy, 1);
    loop_at(loop, &end, 2);
    run();
    CU_ASSERT(busy_count <= 2);
    CU_ASSERT_EQUAL(busy.heap_index, 0); /* the loop is gone, the timer is not armed */
}

/* Random arming, moving and cancelling against the plain truth: a sorted list. */
static int64_t last_due;
static size_t fired;

static void check_order(void *owner, int64_t now_ns)
{
    (void)now_ns;
    struct loop_timer *timer = owner;
    CU_ASSERT(timer->due_ns >= last_due);
    last_due = timer->due_ns;
    fired++;
}

static void a_thousand_timers_keep_their_order(void)
{
    begin();
    enum { COUNT = 1000 };
    static struct loop_timer timers[COUNT];
    unsigned seed = 7;
    int64_t base = clock_mono_ns() + 20 * MS;
    size_t armed = 0;
    for (size_t i = 0; i < COUNT; i++)
        timers[i] = (struct loop_timer){.call = check_order, .owner = &timers[i]};
    for (size_t round = 0; round < 5000; round++) {
        struct loop_timer *timer = &timers[(size_t)rand_r(&seed) % COUNT];
        if (rand_r(&seed) % 4 == 0)
            loop_cancel(loop, timer);
        else
            loop_at(loop, timer, base + rand_r(&seed) % 1000);
    }
    for (size_t i = 0; i < COUNT; i++) armed += timers[i].heap_index > 0;
    struct loop_timer end = {.call = stop};
    loop_at(loop, &end, base + 2000);
    last_due = 0;
    fired = 0;
    run();
    CU_ASSERT_EQUAL(fired, armed);
    CU_ASSERT(armed > COUNT / 2);
}

static int pipes[2][2];

static void take_byte(void *owner, int fd, unsigned events)
{
    char byte;
    CU_ASSERT_EQUAL(events, LOOP_READ);
    CU_ASSERT_EQUAL(read(fd, &byte, 1), 1);
    tell(owner);
    if (byte == '.') loop_stop(loop);
}

static void descriptors_are_called_for_what_they_wait_for(void)
{
    begin();
    CU_ASSERT_EQUAL(pipe2(pipes[0], O_CLOEXEC), 0);
    CU_ASSERT_EQUAL(loop_watch(loop, pipes[0][0], LOOP_READ, take_byte, (char[]){"read"}, NULL), 0);
    struct error err = {0};
    CU_ASSERT_EQUAL(loop_watch(loop, pipes[0][0], LOOP_READ, take_byte, NULL, &err), -1);
    CU_ASSERT_EQUAL(loop_change(loop, pipes[0][1], LOOP_WRITE, &err), -1);
    CU_ASSERT_EQUAL(loop_watch(loop, -1, LOOP_READ, take_byte, NULL, &err), -1);
    CU_ASSERT_EQUAL(write(pipes[0][1], "ab.", 3), 3);
    run();
    CU_ASSERT_STRING_EQUAL(story, "read read read");
    close(pipes[0][0]);
    close(pipes[0][1]);
}

/* Whichever of the two is called first unwatches and closes the other and puts a new watch in its place: the
 * event that epoll reported for the old one must not reach the new one. */
static void never_called(void *owner, int fd, unsigned events)
{
    (void)fd;
    (void)events;
    tell(owner);
}

static void replace_the_other(void *owner, int fd, unsigned events)
{
    (void)owner;
    (void)events;
    int other = fd == pipes[0][0] ? pipes[1][0] : pipes[0][0];
    tell("first");
    loop_unwatch(loop, fd);
    loop_unwatch(loop, other);
    int fresh[2];
    close(other);
    CU_ASSERT_EQUAL(pipe2(fresh, O_CLOEXEC), 0);
    CU_ASSERT_EQUAL(fresh[0], other); /* the lowest free number is taken */
    CU_ASSERT_EQUAL(loop_watch(loop, fresh[0], LOOP_READ, never_called, (char[]){"stale"}, NULL), 0);
    static struct loop_timer end;
    end = (struct loop_timer){.call = stop};
    loop_at(loop, &end, clock_mono_ns() + 2 * MS);
    size_t replaced = fd == pipes[0][0];
    close(pipes[replaced][1]);
    pipes[replaced][0] = fresh[0];
    pipes[replaced][1] = fresh[1]; /* open and empty: whatever is reported for the new one is the old one's */
}

static void an_event_of_a_closed_descriptor_does_not_reach_its_successor(void)
{
    begin();
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(pipe2(pipes[i], O_CLOEXEC), 0);
        CU_ASSERT_EQUAL(write(pipes[i][1], "x", 1), 1);
        CU_ASSERT_EQUAL(loop_watch(loop, pipes[i][0], LOOP_READ, replace_the_other, NULL, NULL), 0);
    }
    run();
    CU_ASSERT_STRING_EQUAL(story, "first");
    for (int i = 0; i < 2; i++) {
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
}

static void saw_error(void *owner, int fd, unsigned events)
{
    (void)owner;
    if ((events & LOOP_ERROR) != 0) tell("error");
    loop_unwatch(loop, fd);
    loop_stop(loop);
}

static void a_broken_connection_is_reported_whatever_was_asked_for(void)
{
    begin();
    CU_ASSERT_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pipes[0]), 0);
    CU_ASSERT_EQUAL(loop_watch(loop, pipes[0][0], 0, saw_error, NULL, NULL), 0);
    close(pipes[0][1]);
    run();
    CU_ASSERT_STRING_EQUAL(story, "error");
    close(pipes[0][0]);
}

static void turn_again(void *owner)
{
    int *turns = owner;
    if (++*turns == 3)
        loop_stop(loop);
    else
        loop_again(loop);
}

static void a_call_of_each_turn_can_ask_for_another_turn(void)
{
    begin();
    int turns = 0;
    CU_ASSERT_EQUAL(loop_each_turn(loop, turn_again, &turns, NULL), 0);
    run();
    CU_ASSERT_EQUAL(turns, 3);
}

static void calls_of_each_turn_are_bounded(void)
{
    begin();
    int turns = 0;
    struct error err = {0};
    for (int i = 0; i < 16; i++) CU_ASSERT_EQUAL(loop_each_turn(loop, turn_again, &turns, &err), 0);
    CU_ASSERT_EQUAL(loop_each_turn(loop, turn_again, &turns, &err), -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_LIMIT);
    loop_free(loop);
}

/* A ZeroMQ socket announces messages by an edge; drained after every turn none is left lying. */
enum { MESSAGES = 2000 };
static size_t received;

static void drain_socket(void *owner)
{
    uint32_t value;
    while (zmq_recv(owner, &value, sizeof value, ZMQ_DONTWAIT) == (int)sizeof value) {
        CU_ASSERT_EQUAL(value, received);
        received++;
    }
    if (received == MESSAGES) loop_stop(loop);
}

static void only_wake(void *owner, int fd, unsigned events)
{
    (void)owner;
    (void)fd;
    (void)events;
}

static void *send_all(void *context)
{
    void *socket = zmq_socket(context, ZMQ_PAIR);
    if (zmq_connect(socket, "inproc://loop") != 0) return NULL;
    for (uint32_t i = 0; i < MESSAGES; i++)
        if (zmq_send(socket, &i, sizeof i, 0) < 0) break;
    zmq_close(socket);
    return NULL;
}

static void every_message_of_a_zeromq_socket_arrives(void)
{
    begin();
    received = 0;
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_PAIR);
    CU_ASSERT_EQUAL(zmq_bind(socket, "inproc://loop"), 0);
    int fd = -1;
    CU_ASSERT_EQUAL(zmq_getsockopt(socket, ZMQ_FD, &fd, &(size_t){sizeof fd}), 0);
    CU_ASSERT_EQUAL(loop_watch(loop, fd, LOOP_READ, only_wake, NULL, NULL), 0);
    CU_ASSERT_EQUAL(loop_each_turn(loop, drain_socket, socket, NULL), 0);
    pthread_t sender;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&sender, NULL, send_all, context), 0);
    run();
    CU_ASSERT_EQUAL(received, MESSAGES);
    pthread_join(sender, NULL);
    zmq_close(socket);
    zmq_ctx_term(context);
}

static void on_stop(void *owner)
{
    tell(owner);
    loop_stop(loop);
}

static void on_hup(void *owner)
{
    tell("hup of");
    tell(owner);
    kill(getpid(), SIGTERM);
}

static void signals_arrive_as_calls_of_the_loop(void)
{
    begin();
    CU_ASSERT_EQUAL(loop_signals(loop, on_stop, on_hup, (char[]){"me"}, NULL), 0);
    CU_ASSERT_EQUAL(loop_signals(loop, on_stop, on_hup, NULL, NULL), -1);
    kill(getpid(), SIGHUP);
    run();
    CU_ASSERT_STRING_EQUAL(story, "hup of me me");
}

static void a_stop_before_the_run_ends_it_at_once(void)
{
    begin();
    loop_stop(loop);
    run();
    CU_ASSERT_STRING_EQUAL(story, "");
}

static void the_grid_is_strictly_ahead_and_skips_what_was_missed(void)
{
    static const struct {
        int64_t now, interval, phase, next;
    } rows[] = {
        {0, 10, 0, 10},
        {9, 10, 0, 10},
        {10, 10, 0, 20},
        {11, 10, 3, 13},
        {13, 10, 3, 23},
        {2, 10, 3, 3},
        {-5, 10, 3, 3},
        {-8, 10, 3, -7},
        {1234567, 10, 3, 1234573},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        CU_ASSERT_EQUAL(loop_grid_next(rows[i].now, rows[i].interval, rows[i].phase), rows[i].next);
}

UNIT_MAIN("loop",
    {"timers fire in the order of their deadlines", timers_fire_in_the_order_of_their_deadlines},
    {"a timer never fires before its deadline", a_timer_never_fires_before_its_deadline},
    {"cancelled timers stay silent and moved ones fire once",
        cancelled_timers_stay_silent_and_moved_ones_fire_once},
    {"a timer that arms itself in the past starves nobody",
        a_timer_that_arms_itself_in_the_past_starves_nobody},
    {"a thousand timers keep their order", a_thousand_timers_keep_their_order},
    {"descriptors are called for what they wait for", descriptors_are_called_for_what_they_wait_for},
    {"an event of a closed descriptor does not reach its successor",
        an_event_of_a_closed_descriptor_does_not_reach_its_successor},
    {"a broken connection is reported whatever was asked for",
        a_broken_connection_is_reported_whatever_was_asked_for},
    {"a call of each turn can ask for another turn", a_call_of_each_turn_can_ask_for_another_turn},
    {"calls of each turn are bounded", calls_of_each_turn_are_bounded},
    {"every message of a ZeroMQ socket arrives", every_message_of_a_zeromq_socket_arrives},
    {"signals arrive as calls of the loop", signals_arrive_as_calls_of_the_loop},
    {"a stop before the run ends it at once", a_stop_before_the_run_ends_it_at_once},
    {"the grid is strictly ahead and skips what was missed",
        the_grid_is_strictly_ahead_and_skips_what_was_missed})
