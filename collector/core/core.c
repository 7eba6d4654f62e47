#include "collector/core/core.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "collector/core/judge/engine_role.h"
#include "collector/core/state/state_role.h"
#include "collector/core/store/store_role.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"

/* phase: those of the first one end side by side; state waits for the engine's last snapshot. */
static const struct role_row {
    const char *name;
    int (*main)(void *zmq, const struct config *config);
    const char *control;
    int phase;
} rows[] = {
    {"store", store_role_main, STORE_ROLE_CONTROL, 0},
    {"engine", engine_role_main, ENGINE_ROLE_CONTROL, 0},
    {"state", state_role_main, STATE_ROLE_CONTROL, 1},
};
#define PHASES        2
#define TELL_AGAIN_MS 20

struct role {
    const struct role_row *row;
    struct core *core;
    void *zmq, *control;
    pthread_t thread;
    bool started, told; /* told: the order to stop is on its way */
};

struct core {
    const struct config *config;
    int ended_fd;
    struct role roles[ARRAY_COUNT(rows)];
};

static void *role_thread(void *argument)
{
    struct role *role = argument;
    pthread_setname_np(pthread_self(), role->row->name);
    int result = role->row->main(role->zmq, role->core->config);
    uint64_t one = 1;
    if (write(role->core->ended_fd, &one, sizeof one) != sizeof one) result = -1;
    return (void *)(intptr_t)result;
}

static int role_start(struct core *core, struct role *role, const struct role_row *row, struct error *err)
{
    *role = (struct role){.row = row, .core = core, .zmq = zmq_ctx_new()};
    if (role->zmq == NULL) return fail(err, ERROR_IO, "%s: no ZeroMQ context", row->name);
    role->control = zmq_socket(role->zmq, ZMQ_PAIR);
    if (role->control == NULL || zmq_bind(role->control, row->control) != 0)
        return fail(err, ERROR_IO, "%s: %s", row->name, zmq_strerror(zmq_errno()));
    int rc = pthread_create(&role->thread, NULL, role_thread, role);
    if (rc != 0) {
        errno = rc;
        return fail_errno(err, "%s: start its thread", row->name);
    }
    role->started = true;
    return 0;
}

static struct timespec wall_deadline(int64_t until_mono_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until); /* what pthread_timedjoin_np counts by */
    int64_t left_ms = until_mono_ms - clock_mono_ms();
    int64_t ns = until.tv_nsec + (left_ms > 0 ? left_ms : 0) * 1000000;
    until.tv_sec += ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    return until;
}

static void role_join(struct role *role, int64_t until_mono_ms)
{
    struct timespec until = wall_deadline(until_mono_ms);
    if (role->started && pthread_timedjoin_np(role->thread, NULL, &until) == 0) role->started = false;
}

static void role_fini(struct role *role)
{
    int linger_ms = 0;
    if (role->control != NULL) {
        zmq_setsockopt(role->control, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
        zmq_close(role->control);
    }
    if (role->zmq != NULL) zmq_ctx_term(role->zmq);
}

struct core *core_open(const struct config *config, struct error *err)
{
    if (file_make_directory(config->collector.data, 0700, err) != 0 ||
        file_make_directory(config->collector.run, 0700, err) != 0)
        return NULL;
    struct core *core = check_alloc(sizeof *core);
    core->config = config;
    core->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (core->ended_fd < 0) {
        fail_errno(err, "eventfd");
        free(core);
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (role_start(core, &core->roles[i], &rows[i], err) == 0) continue;
        core_close(core);
        return NULL;
    }
    return core;
}

int core_ended_fd(const struct core *core)
{
    return core->ended_fd;
}

/* A role that has not connected yet cannot be told: the order is given again until it is taken or the role is
 * gone. */
static bool role_stopped(struct role *role, int64_t until_mono_ms)
{
    if (!role->started) return true;
    if (!role->told) role->told = zmq_send(role->control, "", 0, ZMQ_DONTWAIT) == 0;
    int64_t soon_mono_ms = clock_mono_ms() + TELL_AGAIN_MS;
    role_join(role, soon_mono_ms < until_mono_ms ? soon_mono_ms : until_mono_ms);
    return !role->started;
}

static void stop_phase(struct core *core, int phase, int64_t until_mono_ms)
{
    bool all;
    do {
        all = true;
        for (size_t i = 0; i < ARRAY_COUNT(core->roles); i++)
            if (core->roles[i].row != NULL && core->roles[i].row->phase == phase &&
                !role_stopped(&core->roles[i], until_mono_ms))
                all = false;
    } while (!all && clock_mono_ms() < until_mono_ms);
}

int core_close(struct core *core)
{
    int64_t start_ms = clock_mono_ms();
    for (int phase = 0; phase < PHASES; phase++)
        stop_phase(core, phase, start_ms + CORE_STOP_MS * (phase + 1) / PHASES);
    int result = 0;
    for (size_t i = 0; i < ARRAY_COUNT(core->roles); i++) {
        struct role *role = &core->roles[i];
        role_join(role, start_ms + CORE_STOP_MS); /* whoever did not end within its phase */
        if (!role->started) continue;
        log_line(LOG_ERROR, "role_does_not_end", "role=%s waited_ms=%d", role->row->name, CORE_STOP_MS);
        result = -1;
    }
    if (result != 0) return -1; /* a thread that still runs uses all this */
    for (size_t i = 0; i < ARRAY_COUNT(core->roles); i++) role_fini(&core->roles[i]);
    close(core->ended_fd);
    free(core);
    return 0;
}

static int open_signals(struct error *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    /* Before any thread is started, so that all of them inherit it. */
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return fail_errno(err, "block signals");
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    return fd >= 0 ? fd : fail_errno(err, "signalfd");
}

int core_main(const struct config *config)
{
    struct error err = {0};
    pid_t parent = getppid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) return 1; /* it died before the order stood */
    AUTO_CLOSE int signals = open_signals(&err);
    struct core *core = signals >= 0 ? core_open(config, &err) : NULL;
    if (core == NULL) {
        log_error("core_failed", &err, "while=starting");
        return 1;
    }
    struct pollfd watched[] = {
        {.fd = signals, .events = POLLIN}, {.fd = core_ended_fd(core), .events = POLLIN}};
    while (poll(watched, ARRAY_COUNT(watched), -1) < 0 && errno == EINTR) {
    }
    bool asked = watched[0].revents != 0;
    log_line(asked ? LOG_INFO : LOG_ERROR, "core_ends", "why=%s", asked ? "asked" : "a_role_ended");
    if (core_close(core) != 0) _exit(1); /* threads hang in a disk: leaving is what is left */
    return asked ? 0 : 1;
}
