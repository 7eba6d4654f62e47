/* Encodes and decodes what agents and collectors say to each other (faultline.proto): the only code that sees
 * the generated types. Pure, any thread.
 *
 * Decoding trusts nothing: a scan without allocation counts elements, packed values and nesting; then a
 * budgeted allocator unpacks; then every field is validated (limits.h). Decoded messages borrow from the
 * arena they were decoded into; strings in them are NUL-terminated, valid UTF-8 without control bytes, and
 * within their limits. A frame that breaks a rule fails with ERROR_INPUT (or ERROR_LIMIT) and names the rule.
 */
#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/error.h"
#include "common/span.h"
#include "proto/limits.h"
#include "proto/probe.h"

#define WIRE_PROTOCOL 1

enum wire_capability { WIRE_CAN_ICMP = 1, WIRE_CAN_EBPF = 2 };

enum wire_gap_reason {
    WIRE_GAP_SPOOL_FULL = 1,   /* oldest dropped to make room */
    WIRE_GAP_CORRUPT = 2,      /* a record or segment failed its checksum */
    WIRE_GAP_SPOOL_FAILED = 3, /* could not be written, and memory was full */
    WIRE_GAP_REFUSED = 4,      /* the collector refused the batch as invalid */
    WIRE_GAP_REASON_COUNT
};

struct wire_label {
    const char *name;
    const char *value;
};

struct wire_dict_entry {
    uint32_t id;
    const char *metric; /* a name of metrics.def, or WIRE_METRIC_PROBE */
    struct wire_label labels[LIMIT_LABELS];
    size_t label_count;
};
#define WIRE_METRIC_PROBE "probe"

struct wire_histogram {
    const uint32_t *buckets; /* ascending indexes (already summed up) */
    const uint64_t *counts;
    size_t count;
    uint64_t sum;
};

/* series_count x time_count values, at [s * time_count + t]; times absolute; ints absolute. */
struct wire_rows {
    const uint32_t *series;
    size_t series_count;
    const int64_t *times_ms;
    size_t time_count;
    const int64_t *ints; /* exactly one of the three is not NULL */
    const double *doubles;
    const struct wire_histogram *histograms;
};

struct wire_probe {
    uint32_t target; /* dictionary id */
    struct probe_result result;
};

struct wire_gap {
    uint64_t from, to;
    uint64_t samples;
    enum wire_gap_reason reason;
};

struct wire_batch {
    uint64_t incarnation, sequence;
    int64_t base_ms, sent_mono_ms, sent_wall_ms;
    const struct wire_dict_entry *dict;
    size_t dict_count;
    const struct wire_rows *rows;
    size_t rows_count;
    const struct wire_probe *probes;
    size_t probe_count;
    const struct wire_gap *gaps;
    size_t gap_count;
};

struct wire_hello {
    uint32_t protocol;
    const char *version;
    uint64_t incarnation;
    uint8_t boot_id[16];
    int64_t wall_ms, mono_ms;
    uint64_t next_sequence, oldest_sequence;
    uint32_t capabilities;
    uint32_t plan_version;
};

struct wire_range {
    uint64_t first, last;
};

struct wire_ack {
    uint64_t incarnation, floor;
    struct wire_range ranges[LIMIT_ACK_RANGES];
    size_t range_count;
    uint32_t credit;
    int64_t echo_mono_ms, wall_ms;
};

struct wire_welcome {
    const char *collector;
    const char *host;
    int64_t wall_ms;
    uint32_t credit;
};

struct wire_header {
    const char *name;
    const char *value;
};

struct wire_target {
    uint64_t key;
    enum probe_kind probe;
    const char *url;
    const char *connect;
    const struct wire_header *headers;
    size_t header_count;
    uint32_t interval_ms, phase_ms, late_after_ms, timeout_ms, long_timeout_ms;
    uint32_t expect_code_min, expect_code_max;
    const char *expect_text;
    bool insecure, each_address, follow;
    const char *credentials_file;
    const char *method; /* "GET" or "HEAD" */
    struct wire_label labels[LIMIT_LABELS];
    size_t label_count;
};

struct wire_plan {
    uint32_t version, part, parts;
    const struct wire_target *targets;
    size_t target_count;
};

struct wire_burst {
    const uint64_t *keys;
    size_t key_count;
    uint32_t duration_ms, interval_ms, phase_ms;
};

struct wire_retry_after {
    uint32_t ms;
    const char *reason;
};

enum wire_from_agent_kind { WIRE_HELLO = 1, WIRE_BATCH = 2 };
struct wire_from_agent {
    enum wire_from_agent_kind kind;
    union {
        struct wire_hello hello;
        struct wire_batch batch;
    };
};

enum wire_from_collector_kind {
    WIRE_WELCOME = 1,
    WIRE_ACK,
    WIRE_PLAN,
    WIRE_BURST,
    WIRE_NEED_DICT,
    WIRE_RETRY_AFTER
};
struct wire_from_collector {
    enum wire_from_collector_kind kind;
    union {
        struct wire_welcome welcome;
        struct wire_ack ack;
        struct wire_plan plan;
        struct wire_burst burst;
        struct {
            uint64_t incarnation;
        } need_dict;
        struct wire_retry_after retry_after;
    };
};

/* Appends one frame to out; out is unchanged on failure. Encoding checks the same limits as decoding. */
int wire_encode_from_agent(const struct wire_from_agent *message, struct buffer *out, struct error *err);
int wire_encode_from_collector(
    const struct wire_from_collector *message, struct buffer *out, struct error *err);

/* Fills message from a frame; everything it points to lives in the arena (or the frame). The caller resets
 * the arena. */
int wire_decode_from_agent(
    struct span frame, struct arena *arena, struct wire_from_agent *message, struct error *err);
int wire_decode_from_collector(
    struct span frame, struct arena *arena, struct wire_from_collector *message, struct error *err);

/* Number of samples in a batch: every value of every row, and each probe outcome as one. */
uint64_t wire_batch_samples(const struct wire_batch *batch);

/* Whether a metric or label name has the shape [a-z_][a-z0-9_]* within its limit; whether a label value or
 * host name is within its charset and limit. Used by both ends. */
bool wire_name_ok(const char *name, size_t bytes_max);
bool wire_label_value_ok(const char *value);
bool wire_host_ok(const char *host);

const char *wire_gap_reason_name(enum wire_gap_reason reason); /* "spool_full", … */

#endif
