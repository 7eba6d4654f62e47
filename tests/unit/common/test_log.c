#include "common/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "tests/support/unit.h"

static char captured[256 * 1024];

/* Runs `talk` with stderr leading into a pipe and keeps what it said. */
static void capture(void (*talk)(void))
{
    int ends[2];
    CU_ASSERT_EQUAL_FATAL(pipe2(ends, O_CLOEXEC), 0);
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    talk();
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    size_t size = 0;
    for (ssize_t n; (n = read(ends[0], captured + size, sizeof captured - 1 - size)) > 0;) size += (size_t)n;
    captured[size] = '\0';
    close(ends[0]);
}

static size_t count_lines(void)
{
    size_t count = 0;
    for (const char *c = captured; *c != '\0'; c++) count += *c == '\n';
    return count;
}

static void say_one(void)
{
    log_init("core", LOG_INFO);
    log_line(LOG_DEBUG, "not_said", "x=1");
    log_line(LOG_WARN, "probe_failed", "target=%s", "www");
}

static void a_line_has_time_level_process_event_and_words(void)
{
    capture(say_one);
    CU_ASSERT_EQUAL(strncmp(captured, "time=20", 7), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(captured, "Z level=warn process=core event=probe_failed target=www\n"));
    CU_ASSERT_EQUAL(count_lines(), 1);
}

static void say_hostile(void)
{
    log_line(LOG_ERROR, "odd", "text=\"%s\"", "a\nlevel=fatal\x1b[31m\x7f");
    struct error err = {0};
    fail(&err, ERROR_IO, "cannot \"read\"\nthis");
    log_error("odd", &err, "file=%s", "x");
}

static void hostile_text_stays_on_its_line(void)
{
    capture(say_hostile);
    CU_ASSERT_EQUAL(count_lines(), 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(captured, "text=\"a level=fatal [31m \"\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(captured, "event=odd file=x kind=io error=\"cannot 'read' this\"\n"));
}

static void say_too_long(void)
{
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_line(LOG_INFO, "long", "text=%s", text);
}

static void a_long_line_is_cut_and_still_ends(void)
{
    capture(say_too_long);
    CU_ASSERT_EQUAL(count_lines(), 1);
    CU_ASSERT(strlen(captured) < 2048);
}

static void say_much(void)
{
    for (int i = 0; i < 1000; i++) log_line(LOG_INFO, "many", "i=%d", i);
}

static void a_flood_is_cut_and_counted(void)
{
    uint64_t before = log_dropped();
    capture(say_much);
    size_t lines = count_lines();
    CU_ASSERT_EQUAL(lines + (log_dropped() - before), 1000);
    CU_ASSERT(lines <= 200); /* 100 a second; a second may have ended meanwhile */
}

static void say_into_a_full_pipe(void)
{
    int ends[2];
    CU_ASSERT_EQUAL_FATAL(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    static const char block[4096];
    while (write(ends[1], block, sizeof block) > 0) continue;
    int flags = fcntl(ends[1], F_GETFL);
    fcntl(ends[1], F_SETFL, flags & ~O_NONBLOCK);
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    log_line(LOG_ERROR, "stuck", "x=1"); /* a blocking write would hang here for good */
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[0]);
    close(ends[1]);
}

static void a_stuck_pipe_does_not_stop_the_program(void)
{
    uint64_t before = log_dropped();
    say_into_a_full_pipe();
    CU_ASSERT_EQUAL(log_dropped() - before, 1);
}

UNIT_MAIN("log",
    {"a line has time, level, process, event and words", a_line_has_time_level_process_event_and_words},
    {"hostile text stays on its line", hostile_text_stays_on_its_line},
    {"a long line is cut and still ends", a_long_line_is_cut_and_still_ends},
    {"a stuck pipe does not stop the program", a_stuck_pipe_does_not_stop_the_program},
    /* last: what the flood took of its second is missing to others */
    {"a flood is cut and counted", a_flood_is_cut_and_counted})
