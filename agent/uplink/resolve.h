/* Names to numbers by getaddrinfo in a helper process: libzmq must never resolve (it would freeze all its
 * sockets), and a dead resolver must not stop the loop. The loop's thread. */
#ifndef AGENT_UPLINK_RESOLVE_H
#define AGENT_UPLINK_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/helper/helper.h"
#include "common/error.h"

#define RESOLVE_TIMEOUT_MS   5000
#define RESOLVE_ADDRESS_SIZE 80

/* Zeroed is idle. */
struct resolve {
    struct helper helper;
    int64_t deadline_ms;
};

/* "tcp://HOST:PORT" with a numeric host becomes what libzmq is given; false if the host is a name.
 * ERROR_INPUT is told by err->kind when the text is no such address. */
bool resolve_is_numeric(const char *address, char out[static RESOLVE_ADDRESS_SIZE]);

/* Whether the text is an address that can be used or resolved. */
int resolve_check(const char *address, struct error *err);

int resolve_begin(struct resolve *resolve, const char *address, int64_t now_ms, struct error *err);
/* 1: out is filled; 0: not yet; -1: err, idle again. */
int resolve_poll(
    struct resolve *resolve, int64_t now_ms, char out[static RESOLVE_ADDRESS_SIZE], struct error *err);
void resolve_cancel(struct resolve *resolve);

#endif
