/* RUN/processes.json: which processes run. Written by the supervisor, read by web for `status`. */
#ifndef COLLECTOR_SUPERVISOR_PROCESSES_H
#define COLLECTOR_SUPERVISOR_PROCESSES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

struct process_state {
    const char *name;
    pid_t pid; /* 0: not running */
    uint64_t restarts;
    int64_t started_ms; /* wall clock; 0 never */
};

/* [{"name", "pid" (0: waiting to be restarted), "restarts", "started_at"}]. Replaces the file atomically, but
 * does not wait for a disk: it only has to outlive processes, not the machine. */
int processes_write(const char *path, const struct process_state *states, size_t count, struct error *err);

#endif
