/* Resource limits of a process, raised or lowered once at its start. */
#ifndef COLLECTOR_SUPERVISOR_LIMITS_H
#define COLLECTOR_SUPERVISOR_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* As many descriptors as the kernel allows this user: libzmq 4.3.4 spins when there are none left. What it is
 * now. */
uint64_t limits_raise_files(void);

/* Private writable memory (RLIMIT_DATA); beyond it allocation fails and the process ends. Not under
 * sanitizers, whose shadow counts. */
int limits_memory(size_t bytes, struct error *err);

#endif
