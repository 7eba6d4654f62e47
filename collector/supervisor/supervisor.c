#include "collector/supervisor/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/supervisor/processes.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/loop.h"

#define NS_PER_MS 1000000

struct supervisor;

struct child {
    struct supervisor *supervisor;
    const struct supervisor_child *row;
    struct process_state state;
    int pidfd; /* -1: not running */
    int64_t began_ns;
    unsigned failures;       /* in a row, for the backoff */
    struct loop_timer again; /* restart, or while it stops SIGKILL */
};

struct supervisor {
    struct loop *loop;
    struct child children[SUPERVISOR_CHILDREN_MAX];
    size_t count;
    const char *processes_path;
    bool stopping;
};

static void tell_state(struct supervisor *supervisor)
{
    struct process_state states[SUPERVISOR_CHILDREN_MAX];
    for (size_t i = 0; i < supervisor->count; i++) states[i] = supervisor->children[i].state;
    struct error err = {0};
    if (processes_write(supervisor->processes_path, states, supervisor->count, &err) != 0)
        log_error("processes_not_written", &err, "path=%s", supervisor->processes_path);
}

/* ── Starting ── */

/* Between fork and exec: only what POSIX allows there. */
static _Noreturn void become(const struct supervisor_child *row, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    signal(SIGHUP,
        SIG_IGN); /* who has nothing to read again does not end of it; a signalfd gets it all the same */
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (getppid() != parent) _exit(1); /* it ended before the prctl took effect */
    setpgid(0, 0);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0) dup2(null, STDIN_FILENO);
    execv(row->program, row->argv);
    _exit(127);
}

static void child_ended(void *owner, int fd, unsigned events);

static int child_start(struct child *child, struct error *err)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) return fail_errno(err, "fork");
    if (pid == 0) become(child->row, parent);
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0 || loop_watch(child->supervisor->loop, pidfd, LOOP_READ, child_ended, child, err) != 0) {
        if (pidfd < 0) fail_errno(err, "pidfd_open");
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        if (pidfd >= 0) close(pidfd);
        return -1;
    }
    child->pidfd = pidfd;
    child->began_ns = clock_mono_ns();
    child->state.pid = pid;
    child->state.started_ms = clock_wall_ms();
    return 0;
}

static void begin_later(struct child *child);

static void begin(void *owner, int64_t now_ns)
{
    (void)now_ns;
    struct child *child = owner;
    struct error err = {0};
    if (child_start(child, &err) == 0) {
        log_line(LOG_INFO, "process_started", "name=%s pid=%d restarts=%llu", child->row->name,
            (int)child->state.pid, (unsigned long long)child->state.restarts);
    } else {
        log_error("process_not_started", &err, "name=%s", child->row->name);
        begin_later(child);
    }
    tell_state(child->supervisor);
}

static void begin_later(struct child *child)
{
    int64_t delay_ms = SUPERVISOR_RESTART_MS;
    for (unsigned i = 0; i < child->failures && delay_ms < SUPERVISOR_RESTART_MS_MAX; i++) delay_ms *= 2;
    if (delay_ms > SUPERVISOR_RESTART_MS_MAX) delay_ms = SUPERVISOR_RESTART_MS_MAX;
    child->failures++;
    child->state.restarts++;
    child->again.call = begin;
    loop_at(child->supervisor->loop, &child->again, clock_mono_ns() + delay_ms * NS_PER_MS);
}

/* ── Stopping ── */

static void end_hard(void *owner, int64_t now_ns)
{
    (void)now_ns;
    struct child *child = owner;
    log_line(LOG_WARN, "process_killed", "name=%s after_ms=%d", child->row->name, child->row->stop_ms);
    syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
}

/* Asks those that stop next to end; nothing while some of them still run. */
static void stop_next(struct supervisor *supervisor)
{
    const struct child *first = NULL;
    for (size_t i = 0; i < supervisor->count; i++) {
        const struct child *child = &supervisor->children[i];
        if (child->pidfd >= 0 && (first == NULL || child->row->stop_order < first->row->stop_order))
            first = child;
    }
    if (first == NULL) {
        loop_stop(supervisor->loop);
        return;
    }
    for (size_t i = 0; i < supervisor->count; i++) {
        struct child *child = &supervisor->children[i];
        if (child->pidfd < 0 || child->row->stop_order != first->row->stop_order) continue;
        if (child->again.heap_index != 0) continue; /* asked already */
        syscall(SYS_pidfd_send_signal, child->pidfd, SIGTERM, NULL, 0);
        child->again.call = end_hard;
        loop_at(supervisor->loop, &child->again, clock_mono_ns() + (int64_t)child->row->stop_ms * NS_PER_MS);
    }
}

static void stop(void *owner)
{
    struct supervisor *supervisor = owner;
    if (supervisor->stopping) return;
    supervisor->stopping = true;
    log_line(LOG_INFO, "stopping", "processes=%zu", supervisor->count);
    for (size_t i = 0; i < supervisor->count; i++)
        loop_cancel(supervisor->loop, &supervisor->children[i].again);
    stop_next(supervisor);
}

static void hand_on_hup(void *owner)
{
    struct supervisor *supervisor = owner;
    for (size_t i = 0; i < supervisor->count; i++)
        if (supervisor->children[i].pidfd >= 0)
            syscall(SYS_pidfd_send_signal, supervisor->children[i].pidfd, SIGHUP, NULL, 0);
}

/* ── Ending ── */

static void log_end(const struct child *child, const siginfo_t *info)
{
    bool by_signal = info->si_code != CLD_EXITED;
    bool well = child->supervisor->stopping && !by_signal && info->si_status == 0;
    log_line(well ? LOG_INFO : LOG_WARN, "process_ended", "name=%s pid=%d %s=%d", child->row->name,
        (int)child->state.pid, by_signal ? "signal" : "status", info->si_status);
}

static void child_ended(void *owner, int fd, unsigned events)
{
    (void)events;
    struct child *child = owner;
    struct supervisor *supervisor = child->supervisor;
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) return;
    log_end(child, &info);
    loop_unwatch(supervisor->loop, fd);
    close(fd);
    child->pidfd = -1;
    child->state.pid = 0;
    loop_cancel(supervisor->loop, &child->again);
    if (clock_mono_ns() - child->began_ns > (int64_t)SUPERVISOR_STEADY_MS * NS_PER_MS) child->failures = 0;
    if (supervisor->stopping)
        stop_next(supervisor);
    else
        begin_later(child);
    tell_state(supervisor);
}

int supervisor_run(const struct supervisor_options *options, struct error *err)
{
    CHECK(options->count > 0 && options->count <= SUPERVISOR_CHILDREN_MAX);
    struct supervisor supervisor = {
        .loop = loop_new(err), .count = options->count, .processes_path = options->processes_path};
    if (supervisor.loop == NULL) return -1;
    int result = loop_signals(supervisor.loop, stop, hand_on_hup, &supervisor, err);
    for (size_t i = 0; i < options->count; i++) {
        struct child *child = &supervisor.children[i];
        *child = (struct child){.supervisor = &supervisor,
            .row = &options->children[i],
            .state = {.name = options->children[i].name},
            .pidfd = -1,
            .again = {.owner = child}};
    }
    for (size_t i = 0; result == 0 && i < options->count; i++) begin(&supervisor.children[i], 0);
    if (result == 0) result = loop_run(supervisor.loop, err);
    loop_free(supervisor.loop);
    return result;
}
