/* The addresses at which the front listens: found again after a restart, shut for a while when descriptors
 * run out. One thread. */
#ifndef COLLECTOR_LINK_DOORS_H
#define COLLECTOR_LINK_DOORS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

#define DOORS_MAX           16
#define DOORS_ENDPOINT_SIZE 128

/* Zeroed is closed. */
struct doors {
    char endpoints[DOORS_MAX][DOORS_ENDPOINT_SIZE]; /* with their real ports */
    int listeners[DOORS_MAX];                       /* libzmq's descriptors; -1 unknown */
    size_t count;
    bool shut;
};

/* Binds front to each of listen and writes RUN/link.endpoints. Where any port will do, the one in that file
 * is taken again if it is free: agents look for a restarted link where it was. */
int doors_open(struct doors *doors, void *front, const char *const *listen, size_t count, const char *run,
    struct error *err);

/* While shut, the kernel drops whoever wants to connect; connections that exist go on. (zmq_unbind would end
 * those too.) */
void doors_shut(struct doors *doors, bool shut);

#endif
