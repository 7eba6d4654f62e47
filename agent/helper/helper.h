/* Processes for what can hang: statvfs on a dead mount, a write to a dying disk, a resolver. A thread in an
 * uninterruptible sleep would keep the whole program from ending; a process is simply left behind.
 *
 * helper_init forks a nursery while the program is still small and has one thread; every helper is forked by
 * the nursery, so it starts small too and never inherits a lock. A helper serves one socket and ends when the
 * other end is closed, by kill -9 as well; SIGINT and SIGTERM it ignores, so that work on its way is
 * finished. The loop's thread. */
#ifndef AGENT_HELPER_HELPER_H
#define AGENT_HELPER_HELPER_H

#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"

#define HELPER_ARGUMENT_BYTES_MAX 512

enum helper_socket { HELPER_STREAM, HELPER_PACKETS };

/* Runs in the helper: blocking calls on fd, which is closed behind it. The argument is a copy. */
typedef void helper_serve(int fd, const void *argument);

/* Zeroed is none: fd 0 is never a helper's. */
struct helper {
    int fd; /* non-blocking */
    pid_t pid;
};

/* Call once, before any thread. */
int helper_init(struct error *err);

/* Lets the nursery and every idle helper end. For tests that look for what is left behind. */
void helper_fini(void);

/* ERROR_UNSUPPORTED without helper_init. */
int helper_start(struct helper *helper, enum helper_socket type, helper_serve *serve, const void *argument,
    size_t argument_size, struct error *err);

/* Closes the socket: the helper finishes what it was sent and ends. */
void helper_finish(struct helper *helper);

/* Kills it and does not wait: one in an uninterruptible sleep ends when its device answers. */
void helper_abandon(struct helper *helper);

#endif
