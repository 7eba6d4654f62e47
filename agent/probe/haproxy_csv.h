/* HAProxy's statistics as CSV (management.txt 9.1) -> what it says of its servers. Takes the text in pieces
 * of any size, columns by their names, in one fixed piece of memory. Pure, any thread.
 *
 * `addr` is in the text only with `stats show-legends` (or from an admin socket); without it address is "".
 */
#ifndef AGENT_PROBE_HAPROXY_CSV_H
#define AGENT_PROBE_HAPROXY_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"
#include "proto/probe.h"

#define HAPROXY_LINE_BYTES_MAX 8192 /* a longer line is left out and counted */
#define HAPROXY_NAME_BYTES_MAX 200

enum haproxy_column {
    HAPROXY_PROXY,
    HAPROXY_SERVER,
    HAPROXY_SESSIONS,
    HAPROXY_STATUS,
    HAPROXY_TYPE,
    HAPROXY_ADDRESS,
    HAPROXY_COLUMN_COUNT
};

/* A server of a backend; borrowed for the call. */
struct haproxy_row {
    const char *proxy, *server;
    const char *address; /* "10.0.0.7:8080", "" unknown */
    enum balancer_server_state state;
    int64_t sessions; /* now, -1 unknown */
};
typedef void haproxy_row_call(void *owner, const struct haproxy_row *row);

struct haproxy_csv {
    haproxy_row_call *call;
    void *owner;
    int columns[HAPROXY_COLUMN_COUNT]; /* their places, -1 not there */
    bool has_header, in_quotes, overlong;
    size_t size, left_out; /* lines left out: overlong, too few columns, odd names */
    char line[HAPROXY_LINE_BYTES_MAX];
};

void haproxy_csv_init(struct haproxy_csv *csv, haproxy_row_call *call, void *owner);
void haproxy_csv_feed(struct haproxy_csv *csv, struct span piece);
/* The last line, should its end be missing. Whether this was HAProxy's CSV: its header has come. */
bool haproxy_csv_end(struct haproxy_csv *csv);

/* "UP 1/3", "no check", "MAINT (via b/s)", … -> the state. */
enum balancer_server_state haproxy_state(const char *status);

#endif
