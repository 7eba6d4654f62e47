#include "common/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/check.h"
#include "common/cleanup.h"
#include "common/clock.h"

#define EVENTS_PER_TURN_MAX 64
#define EACH_TURN_MAX       16

/* A watched descriptor, found by its number. `epoch` tells an event for this watch from one that was reported
 * in the same turn for an earlier watch of the same number. */
struct watch {
    loop_fd_call *call; /* NULL: not watched */
    void *owner;
    uint32_t epoch;
};

/* The key is kept beside the timer: a deadline in the past counts as "now, behind those that wait already",
 * so that a timer which keeps arming itself cannot starve the others. */
struct heap_entry {
    struct loop_timer *timer;
    int64_t key_ns;
    uint64_t order; /* of arming, for equal keys */
};

struct turn_call {
    void (*call)(void *owner);
    void *owner;
};

struct loop {
    int epoll_fd;
    int timer_fd;  /* CLOCK_BOOTTIME, so that a deadline is met after a suspend too */
    int signal_fd; /* -1 until loop_signals */
    struct watch *watches;
    size_t watch_count;
    uint32_t epoch;
    struct heap_entry *heap; /* [1..heap_count], earliest first */
    size_t heap_count, heap_capacity;
    uint64_t order;
    int64_t now_ns;
    int64_t timer_set_ns; /* what timer_fd is set to, 0 none */
    struct turn_call each_turn[EACH_TURN_MAX];
    size_t each_turn_count;
    bool again, stopping;
    void (*on_stop)(void *owner);
    void (*on_hup)(void *owner);
    void *signal_owner;
};

static void drain_timer(void *owner, int fd, unsigned events)
{
    (void)events;
    struct loop *loop = owner;
    uint64_t expirations;
    if (read(fd, &expirations, sizeof expirations) > 0) loop->timer_set_ns = 0;
}

struct loop *loop_new(struct error *err)
{
    struct loop *loop = check_alloc(sizeof *loop);
    loop->signal_fd = -1;
    loop->timer_fd = -1;
    loop->now_ns = clock_mono_ns();
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd >= 0) loop->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (loop->timer_fd < 0) {
        fail_errno(err, "event loop");
        loop_free(loop);
        return NULL;
    }
    if (loop_watch(loop, loop->timer_fd, LOOP_READ, drain_timer, loop, err) != 0) {
        loop_free(loop);
        return NULL;
    }
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL) return;
    /* Timers may outlive the loop: none of them may believe that it is still armed. */
    for (size_t i = 1; i <= loop->heap_count; i++) loop->heap[i].timer->heap_index = 0;
    cleanup_close(&loop->signal_fd);
    cleanup_close(&loop->timer_fd);
    cleanup_close(&loop->epoll_fd);
    free(loop->watches);
    free(loop->heap);
    free(loop);
}

/* ── Descriptors ── */

static struct watch *watch_find(struct loop *loop, int fd)
{
    if (fd < 0 || (size_t)fd >= loop->watch_count || loop->watches[fd].call == NULL) return NULL;
    return &loop->watches[fd];
}

static int control(
    struct loop *loop, int operation, int fd, unsigned events, uint32_t epoch, struct error *err)
{
    struct epoll_event event = {
        .events = ((events & LOOP_READ) ? EPOLLIN : 0u) | ((events & LOOP_WRITE) ? EPOLLOUT : 0u),
        .data.u64 = (uint64_t)epoch << 32 | (uint32_t)fd,
    };
    if (epoll_ctl(loop->epoll_fd, operation, fd, &event) != 0)
        return fail_errno(err, "watch descriptor %d", fd);
    return 0;
}

int loop_watch(struct loop *loop, int fd, unsigned events, loop_fd_call *call, void *owner, struct error *err)
{
    if (watch_find(loop, fd) != NULL) return fail(err, ERROR_INPUT, "descriptor %d is watched already", fd);
    if (control(loop, EPOLL_CTL_ADD, fd, events, ++loop->epoch, err) != 0) return -1;
    if ((size_t)fd >= loop->watch_count) {
        size_t count = (size_t)fd + 16;
        loop->watches = check_realloc_array(loop->watches, count, sizeof *loop->watches);
        memset(loop->watches + loop->watch_count, 0, (count - loop->watch_count) * sizeof *loop->watches);
        loop->watch_count = count;
    }
    loop->watches[fd] = (struct watch){.call = call, .owner = owner, .epoch = loop->epoch};
    return 0;
}

int loop_change(struct loop *loop, int fd, unsigned events, struct error *err)
{
    struct watch *watch = watch_find(loop, fd);
    if (watch == NULL) return fail(err, ERROR_INPUT, "descriptor %d is not watched", fd);
    return control(loop, EPOLL_CTL_MOD, fd, events, watch->epoch, err);
}

void loop_unwatch(struct loop *loop, int fd)
{
    struct watch *watch = watch_find(loop, fd);
    if (watch == NULL) return;
    watch->call = NULL;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void dispatch(struct loop *loop, const struct epoll_event *event)
{
    struct watch *watch = watch_find(loop, (int)(uint32_t)event->data.u64);
    if (watch == NULL || watch->epoch != (uint32_t)(event->data.u64 >> 32)) return;
    unsigned events = ((event->events & EPOLLIN) ? (unsigned)LOOP_READ : 0) |
                      ((event->events & EPOLLOUT) ? (unsigned)LOOP_WRITE : 0) |
                      ((event->events & (EPOLLERR | EPOLLHUP)) ? (unsigned)LOOP_ERROR : 0);
    watch->call(watch->owner, (int)(uint32_t)event->data.u64, events);
}

/* ── Timers: a binary heap from index 1, so that heap_index 0 means "not armed" ── */

static bool earlier(const struct heap_entry *a, const struct heap_entry *b)
{
    return a->key_ns != b->key_ns ? a->key_ns < b->key_ns : a->order < b->order;
}

static void place(struct loop *loop, size_t index, struct heap_entry entry)
{
    loop->heap[index] = entry;
    entry.timer->heap_index = index;
}

/* Puts entry where the heap's order wants it, beginning at the free place `index`. */
static void sift(struct loop *loop, size_t index, struct heap_entry entry)
{
    while (index > 1 && earlier(&entry, &loop->heap[index / 2])) {
        place(loop, index, loop->heap[index / 2]);
        index /= 2;
    }
    for (size_t child = index * 2; child <= loop->heap_count; child = index * 2) {
        if (child < loop->heap_count && earlier(&loop->heap[child + 1], &loop->heap[child])) child++;
        if (!earlier(&loop->heap[child], &entry)) break;
        place(loop, index, loop->heap[child]);
        index = child;
    }
    place(loop, index, entry);
}

void loop_cancel(struct loop *loop, struct loop_timer *timer)
{
    size_t index = timer->heap_index;
    if (index == 0) return;
    CHECK(index <= loop->heap_count && loop->heap[index].timer == timer);
    struct heap_entry last = loop->heap[loop->heap_count--];
    timer->heap_index = 0;
    if (last.timer != timer) sift(loop, index, last);
}

void loop_at(struct loop *loop, struct loop_timer *timer, int64_t due_ns)
{
    loop_cancel(loop, timer);
    if (loop->heap_count + 2 > loop->heap_capacity) {
        loop->heap_capacity = loop->heap_capacity > 0 ? loop->heap_capacity * 2 : 16;
        loop->heap = check_realloc_array(loop->heap, loop->heap_capacity, sizeof *loop->heap);
    }
    timer->due_ns = due_ns;
    struct heap_entry entry = {
        .timer = timer, .key_ns = due_ns > loop->now_ns ? due_ns : loop->now_ns, .order = ++loop->order};
    sift(loop, ++loop->heap_count, entry);
}

/* Fires what is due. What gets armed meanwhile waits for the next turn, so that descriptors have their turn
 * too. */
static void fire_due(struct loop *loop)
{
    uint64_t armed_before = loop->order;
    while (loop->heap_count > 0 && !loop->stopping) {
        struct heap_entry first = loop->heap[1];
        if (first.key_ns > loop->now_ns || first.order > armed_before) return;
        loop_cancel(loop, first.timer);
        first.timer->call(first.timer->owner, loop->now_ns);
    }
}

/* Sets timer_fd to the earliest deadline; false if that is due already. */
static bool set_timer(struct loop *loop, struct error *err, int *result)
{
    *result = 0;
    if (loop->heap_count == 0) return true; /* at worst one needless turn for a timer that was cancelled */
    int64_t due_ns = loop->heap[1].key_ns;
    if (due_ns <= loop->now_ns) return false;
    if (due_ns == loop->timer_set_ns) return true;
    struct itimerspec spec = {.it_value = {.tv_sec = due_ns / 1000000000, .tv_nsec = due_ns % 1000000000}};
    if (timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) != 0)
        *result = fail_errno(err, "set the timer of the event loop");
    loop->timer_set_ns = due_ns;
    return true;
}

/* ── Turns ── */

int loop_each_turn(struct loop *loop, void (*call)(void *owner), void *owner, struct error *err)
{
    if (loop->each_turn_count == EACH_TURN_MAX)
        return fail(err, ERROR_LIMIT, "event loop: more than %d calls per turn", EACH_TURN_MAX);
    loop->each_turn[loop->each_turn_count++] = (struct turn_call){call, owner};
    return 0;
}

void loop_again(struct loop *loop)
{
    loop->again = true;
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
}

int loop_run(struct loop *loop, struct error *err)
{
    loop->now_ns = clock_mono_ns();
    while (!loop->stopping) {
        for (size_t i = 0; i < loop->each_turn_count; i++) loop->each_turn[i].call(loop->each_turn[i].owner);
        if (loop->stopping) break;
        int result;
        bool wait = set_timer(loop, err, &result) && !loop->again;
        if (result != 0) return -1;
        loop->again = false;
        struct epoll_event events[EVENTS_PER_TURN_MAX];
        int n = epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN_MAX, wait ? -1 : 0);
        if (n < 0 && errno != EINTR) return fail_errno(err, "wait for events");
        loop->now_ns = clock_mono_ns();
        fire_due(loop);
        for (int i = 0; i < n && !loop->stopping; i++) dispatch(loop, &events[i]);
    }
    loop->stopping = false;
    return 0;
}

/* ── Signals ── */

static void take_signals(void *owner, int fd, unsigned events)
{
    (void)events;
    struct loop *loop = owner;
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP)
            loop->on_hup(loop->signal_owner);
        else
            loop->on_stop(loop->signal_owner);
    }
}

int loop_signals(
    struct loop *loop, void (*stop)(void *owner), void (*hup)(void *owner), void *owner, struct error *err)
{
    if (loop->signal_fd >= 0) return fail(err, ERROR_INPUT, "the event loop has its signals already");
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (hup != NULL) sigaddset(&set, SIGHUP);
    AUTO_CLOSE int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) return fail_errno(err, "signal descriptor");
    int refused = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (refused != 0) {
        errno = refused;
        return fail_errno(err, "block signals");
    }
    if (loop_watch(loop, fd, LOOP_READ, take_signals, loop, err) != 0) return -1;
    loop->on_stop = stop;
    loop->on_hup = hup;
    loop->signal_owner = owner;
    loop->signal_fd = fd;
    fd = -1;
    return 0;
}

int64_t loop_grid_next(int64_t now_ns, int64_t interval_ns, int64_t phase_ns)
{
    int64_t past = (now_ns - phase_ns) % interval_ns;
    if (past < 0) past += interval_ns;
    return now_ns - past + interval_ns;
}
