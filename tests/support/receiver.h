/* An HTTP receiver on a free loopback port that behaves as the path says, and remembers what it got:
 *   /ok 200 · /status/NNN · /fail/N 500 for the first N requests, then 200 · /limit 429 with Retry-After: 1
 * once, then 200 /hang reads and never answers · /drip a header byte per 50 ms · /redirect 302 to
 * 169.254.169.254 /big 200 and 64 MiB of body · /garbage bytes that are no HTTP · /close closes without a
 * word Threads of its own; all functions may be called from any thread. */
#ifndef TESTS_SUPPORT_RECEIVER_H
#define TESTS_SUPPORT_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct receiver;

struct receiver *receiver_start(void);
void receiver_stop(struct receiver *receiver);
int receiver_port(const struct receiver *receiver);

struct receiver_request {
    char path[128];
    char head[4096]; /* request line and headers */
    char body[16384];
    int64_t at_ms; /* monotonic */
};

/* Waits until `count` requests for the path have arrived; false after timeout_ms. */
bool receiver_wait(struct receiver *receiver, const char *path, size_t count, int timeout_ms);
size_t receiver_count(struct receiver *receiver, const char *path);
/* The n-th request (from 0) for the path; false if there is none. */
bool receiver_get(struct receiver *receiver, const char *path, size_t n, struct receiver_request *out);
/* The value of a header of a request into out ("" if absent). */
void receiver_header(const struct receiver_request *request, const char *name, char *out, size_t size);

#endif
