#include "tests/support/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/span.h"

extern char **environ;

struct program_result program_run(const char *const *argv, int timeout_ms)
{
    int pipes[2][2];
    CHECK(pipe2(pipes[0], O_CLOEXEC) == 0 && pipe2(pipes[1], O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipes[0][1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, pipes[1][1], STDERR_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    pid_t pid;
    CHECK(posix_spawn(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    struct buffer texts[2] = {0};
    struct pollfd fds[2];
    for (int i = 0; i < 2; i++) {
        close(pipes[i][1]);
        fds[i] = (struct pollfd){.fd = pipes[i][0], .events = POLLIN};
    }
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        int64_t left_ms = until_ms - clock_mono_ms();
        if (left_ms <= 0) kill(pid, SIGKILL);
        poll(fds, 2, left_ms > 0 ? (int)left_ms : 1000);
        for (int i = 0; i < 2; i++) {
            if (fds[i].fd < 0 || fds[i].revents == 0) continue;
            ssize_t n = read(fds[i].fd, buffer_reserve(&texts[i], 65536, NULL), 65536);
            if (n > 0)
                texts[i].size += (size_t)n;
            else
                fds[i].fd = -1;
        }
    }
    int status = 0;
    waitpid(pid, &status, 0);
    struct program_result result = {.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1};
    char **texts_out[2] = {&result.out, &result.err};
    for (int i = 0; i < 2; i++) {
        close(pipes[i][0]);
        *texts_out[i] = check_strdup(buffer_text(&texts[i]));
        buffer_fini(&texts[i]);
    }
    return result;
}

void program_result_fini(struct program_result *result)
{
    free(result->out);
    free(result->err);
    *result = (struct program_result){0};
}
