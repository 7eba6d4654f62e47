/* Runs a program and keeps what it said. */
#ifndef TESTS_SUPPORT_PROGRAM_H
#define TESTS_SUPPORT_PROGRAM_H

#include <stddef.h>

struct program_result {
    int code;  /* exit code, -1: killed by a signal or after timeout_ms */
    char *out; /* owned, NUL-terminated */
    char *err;
};

/* argv[0] is the path; NULL ends. input NULL: none. */
struct program_result program_run(const char *const *argv, int timeout_ms);
void program_result_fini(struct program_result *result);

#endif
