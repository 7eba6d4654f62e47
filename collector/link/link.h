/* The process that listens to agents: admits keys, decodes and checks what they send, hands it to engine and
 * store, and sends what those have for agents. It has no secret but the collector's key, no database, and a
 * memory limit.
 *
 * One thread and libzmq's I/O thread. Messages and bounds: collector/contract/roles.h. */
#ifndef COLLECTOR_LINK_LINK_H
#define COLLECTOR_LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/keys.h"

struct config;

/* The process, until SIGTERM or SIGINT; SIGHUP reads the book of keys at once. Returns the exit status.
 * Writes the endpoints it listens at to RUN/link.endpoints, one a line, once all are bound. A free port ("*")
 * stays the same when the process comes back. */
int link_main(const struct config *config);

/* RLIMIT_DATA of the process: so much, or so much for each key that is in the book when it starts, if that is
 * more. */
#define LINK_MEMORY_BYTES         ((size_t)256 << 20)
#define LINK_MEMORY_BYTES_PER_KEY ((size_t)192 << 10)
#define LINK_CREDIT               64    /* unacknowledged batches that a welcome allows */
#define LINK_SILENT_MS            15000 /* without a frame: the connection counts as gone */
#define LINK_WRONG_MAX            10 /* wrong frames of one key within LINK_WRONG_MS; then it is ignored for a while */
#define LINK_WRONG_MS             60000
#define LINK_IGNORE_MS            30000
#define LINK_FRAMES_PER_TURN      512

/* ── Its parts, for tests ── */

struct link;

struct link_options {
    const char *const *listen; /* "tcp://127.0.0.1:*", numeric addresses only */
    size_t listen_count;
    const char *run; /* directory of the roles' sockets */
    const char *agents_file;
    const struct key_pair *key;
    char letter;        /* of this collector */
    uint64_t files_max; /* RLIMIT_NOFILE: above three quarters link stops listening, 0 never */
};

/* Binds everything. Strings of the options are borrowed until link_close. */
struct link *link_open(const struct link_options *options, struct error *err);
void link_close(struct link *link);

/* The address of listen[i] with its real port. */
const char *link_endpoint(const struct link *link, size_t i);

/* Waits until there is something to do, until fd (-1: none) is readable, or timeout_ms have passed. */
int link_wait(struct link *link, int fd, int timeout_ms, struct error *err);

/* Does what there is to do at this time: handshakes, frames, sends, and each second the book, silences and
 * counts. */
void link_work(struct link *link, int64_t wall_ms, int64_t mono_ms);

/* Whether engine and store are connected and would take a message now: until then it would be dropped. */
bool link_reaches_roles(const struct link *link);

/* Makes the next link_work look at the book. */
void link_reload(struct link *link);

enum link_count {
#define COUNT(field, help) LINK_##field,
#include "collector/link/counts.def"
#undef COUNT
    LINK_COUNT_COUNT
};
uint64_t link_count(const struct link *link, enum link_count count);

#endif
