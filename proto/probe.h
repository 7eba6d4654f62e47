/* How a probe can end: the words shared by agent, engine, store and command line. Numbers are on the wire and
 * in the files: append only. */
#ifndef PROTO_PROBE_H
#define PROTO_PROBE_H

#include <stdbool.h>
#include <stdint.h>

enum probe_kind {
    PROBE_HTTP = 1,
    PROBE_TCP = 2,
    PROBE_HAPROXY_STATS =
        3, /* GET of HAProxy's CSV; each server's state becomes a sample of balancer_server_state */
    PROBE_KIND_COUNT
};

/* What a balancer says of one of its servers: values of balancer_server_state. */
enum balancer_server_state {
    BALANCER_SERVER_UNKNOWN = 0,
    BALANCER_SERVER_UP = 1,
    BALANCER_SERVER_DOWN = 2,
    BALANCER_SERVER_DRAINING = 3,
    BALANCER_SERVER_MAINTENANCE = 4,
    BALANCER_SERVER_UNCHECKED = 5 /* up by assumption: no health check */
};

enum probe_outcome {
    PROBE_OK = 0,
    PROBE_FAIL = 1, /* ended, and wrong: probe_error says how */
    PROBE_LATE = 2, /* interim: no answer within late_after_ms; a final outcome with the same start follows */
    PROBE_OUTCOME_COUNT
};

enum probe_error {
    PROBE_ERROR_NONE = 0,
    PROBE_ERROR_RESOLVE = 1,         /* no address: NXDOMAIN, SERVFAIL, no answer */
    PROBE_ERROR_REFUSED = 2,         /* connect: RST */
    PROBE_ERROR_UNREACHABLE = 3,     /* connect: no route, host or net unreachable, prohibited */
    PROBE_ERROR_CONNECT_TIMEOUT = 4, /* connect: nothing came back */
    PROBE_ERROR_TLS = 5,             /* handshake or certificate */
    PROBE_ERROR_RESET = 6,           /* connection broke after it was established */
    PROBE_ERROR_NO_ANSWER = 7,       /* connected, no first byte within the timeout: hung */
    PROBE_ERROR_UNFINISHED = 8,      /* the body did not end within the timeout */
    PROBE_ERROR_STATUS = 9,          /* a status outside the expected range */
    PROBE_ERROR_CONTENT = 10,        /* the expected text is missing */
    PROBE_ERROR_REDIRECT = 11,       /* a redirect where none is followed */
    PROBE_ERROR_BLOCKED = 12,        /* 401, 403 or 429: a view about this observer, not about the target */
    PROBE_ERROR_LOCAL = 13,     /* the agent's own trouble: no descriptors, no memory, missing credentials */
    PROBE_ERROR_MALFORMED = 14, /* not HTTP */
    PROBE_ERROR_COUNT
};

enum probe_flag {
    PROBE_FLAG_BURST = 1, /* outside the regular grid, asked for by a burst or as confirmation */
    PROBE_FLAG_DRAINING =
        2 /* the answer announced a drain (health 503 with page ok is decided by the engine) */
};

/* "ok", "fail", "late"; "refused", "no answer", …: for people and JSON. Never NULL. */
const char *probe_outcome_name(enum probe_outcome outcome);
const char *probe_error_name(enum probe_error error);   /* word_with_underscores */
const char *probe_error_phrase(enum probe_error error); /* "connection refused", for sentences */
const char *probe_kind_name(enum probe_kind kind);      /* "http", "tcp", "haproxy" */

/* One outcome with the times of its phases in microseconds, -1 where a phase was not reached or is not part
 * of it. */
struct probe_result {
    int64_t start_ms; /* Unix ms, the observer's clock */
    enum probe_outcome outcome;
    enum probe_error error;
    uint32_t code;
    uint32_t flags;
    int64_t resolve_us, connect_us, tls_us, first_byte_us, total_us;
};

#endif
