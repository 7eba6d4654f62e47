/* One thread's event loop: descriptors (epoll) and timers (monotonic deadlines). The thread that runs it owns
 * it; callbacks run on that thread and may add and remove anything, themselves included.
 *
 * Timers are absolute: a periodic caller adds its next deadline from the last one, so ticks never drift, and
 * after a pause it skips to the grid instead of catching up. */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct loop;

enum loop_events { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_ERROR = 4 /* only reported */ };

typedef void loop_fd_call(void *owner, int fd, unsigned events);
typedef void loop_timer_call(void *owner, int64_t now_ns);

struct loop_timer {
    loop_timer_call *call;
    void *owner;
    int64_t due_ns;    /* clock_mono_ns */
    size_t heap_index; /* 0: not armed */
};

struct loop *loop_new(struct error *err);
void loop_free(struct loop *loop);

/* Watches fd (level-triggered). The caller keeps ownership of fd and unwatches it before closing it. */
int loop_watch(
    struct loop *loop, int fd, unsigned events, loop_fd_call *call, void *owner, struct error *err);
int loop_change(struct loop *loop, int fd, unsigned events, struct error *err);
void loop_unwatch(struct loop *loop, int fd);

/* Arms (or moves) a timer; its storage is the caller's and must live until it fired or was cancelled. */
void loop_at(struct loop *loop, struct loop_timer *timer, int64_t due_ns);
void loop_cancel(struct loop *loop, struct loop_timer *timer);

/* Called after every turn, before the loop waits again: for ZeroMQ sockets, whose descriptors are
 * edge-triggered. At most 16. */
int loop_each_turn(struct loop *loop, void (*call)(void *owner), void *owner, struct error *err);

/* The next wait returns at once: for an each-turn call that handed work to another one's socket. */
void loop_again(struct loop *loop);

/* Runs until loop_stop (a stop before the run ends it at once). Timers due at the same time fire in the order
 * of their deadlines. */
int loop_run(struct loop *loop, struct error *err);
void loop_stop(struct loop *loop);

/* SIGTERM, SIGINT (and SIGHUP where hup is not NULL) as callbacks of the loop; blocks them for the process.
 */
int loop_signals(
    struct loop *loop, void (*stop)(void *owner), void (*hup)(void *owner), void *owner, struct error *err);

/* The next point on the grid of `interval_ns` strictly after now, moved by phase_ns. For tests and callers
 * alike. */
int64_t loop_grid_next(int64_t now_ns, int64_t interval_ns, int64_t phase_ns);

#endif
