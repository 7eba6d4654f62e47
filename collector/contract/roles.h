/* clang-format off */
/* What the collector's processes and roles say to each other.
 *
 *   link      listens to agents; no secret but its key; memory-limited
 *   core      threads: engine (judges; planner and notify run inside it), store (time series), state
 * (state.db) delivery  holds the channels' secrets, calls out, opens no database web       read-only API;
 * reads the files itself, asks engine and store for what is only in memory
 *
 * Sockets lie in the run directory (config: collector.run, mode 0700) as ipc endpoints, one per receiver. The
 * receiver binds a PULL (or, for questions, a ROUTER); senders connect a PUSH (or DEALER) with
 * ZMQ_IMMEDIATE=1, LINGER 0 and the bound below. At the bound the sender drops, counts, and what protects the
 * data is named here.
 *
 *   endpoint      bound by  from           messages (enum role_message)                  HWM   when full or
 * gone engine.data   engine    link           FRAME, AGENT_UP, AGENT_DOWN, COUNTS           8192  engine
 * judges later frames store.data    store     link           FRAME 2048  not acknowledged: agent resends
 *   link.out      link      engine, store  SEND                                          8192  agent asks
 * again (hello, resend) state.in      state     engine, delivery  STEP, SNAPSHOT, OUTCOME, NOTE, …_UP 1024
 * engine keeps and repeats STEP until STEP_RECORDED engine.in     engine    state          RESTORE,
 * STEP_RECORDED                        1024  asked again by engine each second delivery.in   delivery engine,
 * state  DELIVER, RECORDED                             1024  state sends again on DELIVERY_UP engine.ask
 * engine    web            QUESTION -> ANSWER (ROUTER)                     64  web answers 503 store.ask
 * store     web            QUESTION -> ANSWER (ROUTER)                     64  web answers 503 delivery.ask
 * delivery  web            QUESTION -> ANSWER (ROUTER)                     16  web answers 503
 *
 * A message is: one frame with struct role_header, then the frames its row below names. Structs travel as
 * memory: both ends are the same binary on the same machine; the version in the header is checked all the
 * same. */
/* clang-format on */
#ifndef COLLECTOR_CONTRACT_ROLES_H
#define COLLECTOR_CONTRACT_ROLES_H

#include <stdint.h>

#include "common/error.h"
#include "common/span.h"
#include "proto/limits.h"

#define ROLE_KEY_SIZE        41 /* Z85 public key and NUL */
#define ROLE_MESSAGE_VERSION 1

enum role_message {
    /* link -> engine, store: [header, frame]. The frame has been decoded and validated by link; header: key,
     * host, arrival_ms, arrival_mono_ms. Receivers decode it again with wire_decode_from_agent. */
    ROLE_FRAME = 1,
    /* link -> engine: [header, frame]: a hello (the frame) on a new connection. / the connection is gone:
       [header]. */
    ROLE_AGENT_UP,
    ROLE_AGENT_DOWN,
    /* engine, store -> link: [header, frame]: send this FromCollector frame to the agent of header.key, on
     * its newest connection; dropped if there is none. */
    ROLE_SEND,
    /* engine -> state: [header, step JSON, snapshot]: {"incident": {...}, "step": "opened", "number": 1,
     * "at": RFC 3339, "deliveries": [ROLE_DELIVER's objects]}. One transaction with the snapshot, which
     * contains the step. Repeated until STEP_RECORDED; the same (incident, number) again only adds deliveries
     * of ids not yet known (those of routes with `after`). "restored": true when it comes from a snapshot:
     * state then has delivery do what has no outcome, since only state knows. */
    ROLE_STEP,
    /* state -> engine: [header]: header.number = step's serial. */
    ROLE_STEP_RECORDED,
    /* engine -> state: [header, bytes]: the engine's whole state. / state -> engine at start: [header,
     * bytes], bytes empty if there is none; header.number: the highest number of an incident ever recorded.
     */
    ROLE_SNAPSHOT,
    ROLE_RESTORE,
    /* engine -> delivery: [header, delivery JSON]: {"id", "hook", "channel", "incident", "step", "number",
     * "at", "message": {"incident": {...}, "step"}}: deliver on RECORDED of the same id or after 100 ms.
     * state -> delivery: [header, delivery JSON with "recorded": true]: deliver now (after a restart). */
    ROLE_DELIVER,
    /* state -> delivery: [header, id]. */
    ROLE_RECORDED,
    /* delivery -> state: [header, outcome JSON]: {"id", "hook", "at", "attempt", "result": "delivered" |
     * "retry" | "permanent", "status", "detail", "ms"}. `delivered` and `permanent` are final. */
    ROLE_OUTCOME,
    /* delivery -> state: [header]: just started, send all that has no final outcome. */
    ROLE_DELIVERY_UP,
    /* engine -> state: [header, JSON {"at","kind","component","text"}]: an event for the timeline that is no
       step. */
    ROLE_NOTE,
    /* engine -> state: [header]: just started, send RESTORE. */
    ROLE_ENGINE_UP,
    /* state -> engine: [header, JSON {"incident","at"}]: the first successful delivery of a step
       (notified_at). */
    ROLE_NOTIFIED,
    /* web -> engine, store, delivery: [header, request JSON]; back: [header, answer JSON], or for store's
     * heads [header, answer JSON, bytes]. header.number is echoed. */
    ROLE_QUESTION,
    ROLE_ANSWER,
    /* link -> engine, each second: [header, JSON {"link_frames_total": 12, …}]: link's counters since its
     * start, names as in /metrics. */
    ROLE_COUNTS,
    ROLE_MESSAGE_COUNT
};

struct role_header {
    uint32_t version;   /* ROLE_MESSAGE_VERSION */
    uint32_t message;   /* enum role_message */
    int64_t arrival_ms; /* link's wall clock when the frame arrived; otherwise when this was sent */
    int64_t arrival_mono_ms;
    uint64_t number;         /* serial of a step or question */
    uint64_t connection;     /* link's number of the connection, grows */
    char key[ROLE_KEY_SIZE]; /* the agent's public key, Z85 */
    char host[LIMIT_HOST_BYTES + 1];
};

enum role_endpoint {
    ROLE_ENGINE_DATA,
    ROLE_STORE_DATA,
    ROLE_LINK_OUT,
    ROLE_STATE_IN,
    ROLE_ENGINE_IN,
    ROLE_DELIVERY_IN,
    ROLE_ENGINE_ASK,
    ROLE_STORE_ASK,
    ROLE_DELIVERY_ASK,
    ROLE_ENDPOINT_COUNT
};

struct role_endpoint_info {
    const char *name; /* file name in the run directory */
    int hwm;
    int is_router;
};
const struct role_endpoint_info *role_endpoint_info(enum role_endpoint endpoint);

/* Sockets (void * of libzmq) of an endpoint; NULL and err on failure. `run` is the run directory. */
void *role_bind(void *zmq, const char *run, enum role_endpoint endpoint, struct error *err);
void *role_connect(void *zmq, const char *run, enum role_endpoint endpoint, struct error *err);

/* Sends header and up to two payload frames without blocking. ERROR_AGAIN when full or nobody is connected.
 * On a ROUTER pass the asker's identity (from role_receive). */
struct role_identity {
    uint8_t bytes[32];
    size_t size;
};
int role_send(void *socket, const struct role_identity *to, const struct role_header *header,
    struct span payload, struct span second, struct error *err);

/* Receives one message without blocking. 1 received, 0 nothing there, -1 error (a malformed message is
 * dropped and is ERROR_CORRUPT). payload and second are cleared and filled. `from` may be NULL on a PULL. */
int role_receive(void *socket, struct role_identity *from, struct role_header *header, struct buffer *payload,
    struct buffer *second, struct error *err);

/* A header of this message, zeroed otherwise, stamped with now. */
struct role_header role_header_of(enum role_message message, int64_t now_ms);

#endif
