#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "collector/supervisor/supervisor.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/file.h"
#include "tests/support/scratch.h"
#include "tests/support/unit.h"

#define DEADLINE_MS 10000

/* A supervisor in a process of its own; its children are this program again (child_main below), which write a
 * line into the log when they are ready, when they are told to read their files again, and when they end. */
struct stage {
    char directory[SCRATCH_SIZE], processes[96], log[96];
    pid_t supervisor;
};

#define CHILD(child_name, manner, order, ms)                                                                 \
    {                                                                                                        \
        .name = child_name, .program = "/proc/self/exe",                                                     \
        .argv = (char *[]){"test_supervisor", "--child", manner, child_name, NULL}, .stop_order = order,     \
        .stop_ms = ms                                                                                        \
    }

static void write_log(const char *name, const char *what)
{
    int fd = open(getenv("SUPERVISOR_TEST_LOG"), O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (fd < 0 || dprintf(fd, "%s %s\n", name, what) < 0) _exit(2);
    close(fd);
}

/* Manners: "good" ends when asked, "stubborn" does not, "failing" ends at once, "deaf" leaves all signals as
 * it found them. */
static int child_main(const char *manner, const char *name)
{
    if (strcmp(manner, "deaf") == 0) {
        write_log(name, "ready");
        for (;;) pause();
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    if (strcmp(manner, "failing") == 0) return 3;
    write_log(name, "ready");
    for (int signal = 0; sigwait(&signals, &signal) == 0;) {
        if (strcmp(manner, "stubborn") == 0) continue;
        write_log(name, signal == SIGHUP ? "hup" : "end");
        if (signal == SIGTERM) return 0;
    }
    return 1;
}

static struct stage *stage_new(const struct supervisor_child *children, size_t count)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* what outlives its supervisor comes here */
    struct stage *stage = check_alloc(sizeof *stage);
    scratch_make(stage->directory);
    snprintf(stage->processes, sizeof stage->processes, "%s/processes.json", stage->directory);
    snprintf(stage->log, sizeof stage->log, "%s/log", stage->directory);
    fflush(NULL);
    stage->supervisor = fork();
    CU_ASSERT_FATAL(stage->supervisor >= 0);
    if (stage->supervisor > 0) return stage;
    setenv("SUPERVISOR_TEST_LOG", stage->log, 1);
    const struct supervisor_options options = {
        .children = children, .count = count, .processes_path = stage->processes};
    _exit(supervisor_run(&options, NULL) == 0 ? 0 : 1);
}

/* The number `field` of a child as the file has it now; -1 while there is none. */
static json_int_t now_of(const struct stage *stage, const char *name, const char *field)
{
    json_t *all = json_load_file(stage->processes, 0, NULL);
    json_int_t value = -1;
    size_t i;
    json_t *row;
    json_array_foreach(all, i, row)
    {
        const char *row_name = json_string_value(json_object_get(row, "name"));
        if (row_name != NULL && strcmp(row_name, name) == 0)
            value = json_integer_value(json_object_get(row, field));
    }
    json_decref(all);
    return value;
}

static void pause_a_moment(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

#define UNTIL(condition)                                                                                     \
    do {                                                                                                     \
        int64_t deadline_ms_ = clock_mono_ms() + DEADLINE_MS;                                                \
        bool happened_;                                                                                      \
        while (!(happened_ = (condition)) && clock_mono_ms() < deadline_ms_) pause_a_moment();               \
        if (!happened_) CU_FAIL_FATAL("waited in vain for " #condition);                                     \
    } while (0)

static bool ended(pid_t pid, int *status)
{
    return waitpid(pid, status, WNOHANG) == pid;
}

static bool logged(const struct stage *stage, const char *line)
{
    struct buffer text = {0};
    bool found = file_read(stage->log, 10000, &text, NULL) == 0 && strstr(buffer_text(&text), line) != NULL;
    buffer_fini(&text);
    return found;
}

static void stage_free(struct stage *stage)
{
    scratch_remove(stage->directory);
    free(stage);
}

/* SIGTERM, and the exit status. */
static int stop(struct stage *stage)
{
    int status = -1;
    kill(stage->supervisor, SIGTERM);
    UNTIL(ended(stage->supervisor, &status));
    return status;
}

static void a_killed_child_is_back(void)
{
    const struct supervisor_child children[] = {
        CHILD("link", "good", 0, 1000), CHILD("core", "good", 1, 1000)};
    struct stage *stage = stage_new(children, 2);
    UNTIL(now_of(stage, "link", "pid") > 0 && now_of(stage, "core", "pid") > 0);
    pid_t core = (pid_t)now_of(stage, "core", "pid");
    for (int round = 1; round <= 3; round++) {
        pid_t before = (pid_t)now_of(stage, "link", "pid");
        int64_t killed_ms = clock_mono_ms();
        CU_ASSERT_EQUAL(kill(before, SIGKILL), 0);
        UNTIL(now_of(stage, "link", "restarts") == round && now_of(stage, "link", "pid") > 0);
        CU_ASSERT_NOT_EQUAL(now_of(stage, "link", "pid"), before);
        CU_ASSERT(clock_mono_ms() - killed_ms < DEADLINE_MS);
    }
    CU_ASSERT_EQUAL(now_of(stage, "core", "pid"), core);
    CU_ASSERT_EQUAL(now_of(stage, "core", "restarts"), 0);
    CU_ASSERT_EQUAL(stop(stage), 0);
    stage_free(stage);
}

static void a_child_that_always_fails_is_tried_again_and_hurts_no_other(void)
{
    const struct supervisor_child children[] = {CHILD("web", "failing", 0, 1000),
        {.name = "core", .program = "/no/such/program", .argv = (char *[]){"core", NULL}, .stop_ms = 100},
        CHILD("link", "good", 0, 1000)};
    struct stage *stage = stage_new(children, 3);
    UNTIL(now_of(stage, "web", "restarts") >= 3 && now_of(stage, "core", "restarts") >= 3);
    CU_ASSERT_EQUAL(now_of(stage, "link", "restarts"), 0);
    CU_ASSERT_EQUAL(stop(stage), 0);
    stage_free(stage);
}

static void children_stop_in_their_order(void)
{
    const struct supervisor_child children[] = {
        CHILD("web", "good", 2, 2000), CHILD("core", "good", 1, 2000), CHILD("link", "good", 0, 2000)};
    struct stage *stage = stage_new(children, 3);
    UNTIL(logged(stage, "link ready") && logged(stage, "core ready") && logged(stage, "web ready"));
    CU_ASSERT_EQUAL(stop(stage), 0);
    struct buffer text = {0};
    CU_ASSERT_EQUAL_FATAL(file_read(stage->log, 1000, &text, NULL), 0);
    const char *ends = strstr(buffer_text(&text), "link end");
    CU_ASSERT_PTR_NOT_NULL_FATAL(ends);
    CU_ASSERT_STRING_EQUAL(ends, "link end\ncore end\nweb end\n");
    buffer_fini(&text);
    stage_free(stage);
}

static void who_does_not_stop_is_killed(void)
{
    const struct supervisor_child children[] = {CHILD("core", "stubborn", 0, 200)};
    struct stage *stage = stage_new(children, 1);
    UNTIL(logged(stage, "core ready"));
    CU_ASSERT_EQUAL(stop(stage), 0);
    CU_ASSERT_EQUAL(now_of(stage, "core", "pid"), 0);
    stage_free(stage);
}

static void children_die_with_a_supervisor_that_is_killed(void)
{
    const struct supervisor_child children[] = {CHILD("core", "good", 0, 1000)};
    struct stage *stage = stage_new(children, 1);
    UNTIL(logged(stage, "core ready"));
    pid_t child = (pid_t)now_of(stage, "core", "pid");
    int status = 0;
    kill(stage->supervisor, SIGKILL);
    UNTIL(ended(stage->supervisor, &status));
    UNTIL(ended(child, &status));
    CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    stage_free(stage);
}

static void sighup_reaches_the_children(void)
{
    const struct supervisor_child children[] = {
        CHILD("web", "deaf", 0, 1000), CHILD("link", "good", 0, 1000)};
    struct stage *stage = stage_new(children, 2);
    UNTIL(logged(stage, "link ready") && logged(stage, "web ready"));
    kill(stage->supervisor, SIGHUP);
    UNTIL(logged(stage, "link hup"));
    CU_ASSERT_EQUAL(now_of(stage, "web", "restarts"), 0);
    CU_ASSERT_EQUAL(now_of(stage, "link", "restarts"), 0);
    CU_ASSERT_EQUAL(stop(stage), 0);
    stage_free(stage);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--child") == 0) return child_main(argv[2], argv[3]);
    static const struct unit_case cases[] = {{"a killed child is back", a_killed_child_is_back},
        {"a child that always fails is tried again and hurts no other",
            a_child_that_always_fails_is_tried_again_and_hurts_no_other},
        {"children stop in their order", children_stop_in_their_order},
        {"who does not stop is killed", who_does_not_stop_is_killed},
        {"children die with a supervisor that is killed", children_die_with_a_supervisor_that_is_killed},
        {"SIGHUP reaches the children and ends none", sighup_reaches_the_children}, {0}};
    return unit_run("supervisor", cases, argc > 1 ? argv[1] : NULL);
}
