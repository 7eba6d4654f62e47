/* Keeps the collector's processes running: starts them, starts again what ends, stops them in order. It
 * listens to nothing, opens no database and holds no secret, so that there is little that could end it. One
 * thread, the loop's. */
#ifndef COLLECTOR_SUPERVISOR_SUPERVISOR_H
#define COLLECTOR_SUPERVISOR_SUPERVISOR_H

#include <stddef.h>

#include "common/error.h"

#define SUPERVISOR_CHILDREN_MAX   8
#define SUPERVISOR_RESTART_MS     100 /* until the first restart; doubles up to */
#define SUPERVISOR_RESTART_MS_MAX 2000
#define SUPERVISOR_STEADY_MS                                                                                 \
    10000 /* a process that lived this long starts again from SUPERVISOR_RESTART_MS */

struct supervisor_child {
    const char *name;
    const char *program; /* path */
    char *const *argv;   /* ends with NULL */
    unsigned stop_order; /* lower ones stop first; equal ones together */
    int stop_ms;         /* after SIGTERM; then SIGKILL */
};

struct supervisor_options {
    const struct supervisor_child *children;
    size_t count;
    /* Rewritten at every change (processes.h). */
    const char *processes_path;
};

/* Runs until SIGTERM or SIGINT and until all children have ended; SIGHUP is handed on to them, who begin with
 * it ignored. A child dies with this process (PR_SET_PDEATHSIG), has no signals blocked, a process group of
 * its own, no terminal to read from, and gains no privileges (PR_SET_NO_NEW_PRIVS). -1 only if it could not
 * begin. */
int supervisor_run(const struct supervisor_options *options, struct error *err);

#endif
