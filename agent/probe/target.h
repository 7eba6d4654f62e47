/* One target of a plan, taken apart once: what to connect to, which headers to send, what to expect. Owns its
 * text. A target that makes no sense is kept, with the reason: its probes end with PROBE_ERROR_LOCAL. Pure.
 */
#ifndef AGENT_PROBE_TARGET_H
#define AGENT_PROBE_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/probe/address.h"
#include "proto/probe.h"
#include "proto/wire.h"

#define TARGET_EXPECT_BYTES_MAX 256
#define TARGET_INTERVAL_MS_MIN  100
#define TARGET_TIMEOUT_MS_MAX   60000

struct curl_slist;

/* Where a URL leads. */
struct target_place {
    char host[256]; /* ASCII (xn--…), no brackets */
    uint16_t port;
    bool tls;
};

struct target {
    uint64_t key;
    enum probe_kind kind;
    char *url;
    struct target_place place;
    char *name;             /* to resolve: connect's host, else the URL's; NULL where address is set */
    uint16_t port;          /* to connect to */
    struct address address; /* numeric target; size 0: resolve name */
    struct curl_slist *headers;
    uint32_t interval_ms, phase_ms, late_after_ms, timeout_ms, long_timeout_ms;
    uint32_t expect_min, expect_max; /* 0, 0: 200..399, redirects refused */
    char *expect_text;               /* NULL: anything */
    bool insecure, each_address, follow, head;
    char *credentials_file; /* NULL: none */
    struct wire_label labels[LIMIT_LABELS];
    size_t label_count;
    char *broken; /* why it cannot be probed, NULL: it can */
};

/* Copies. Never fails: what is wrong with it is in `broken`. */
struct target *target_new(const struct wire_target *wanted);
void target_free(struct target *target);

/* Whether a plan says the same of it as before. */
bool target_equal(const struct target *a, const struct target *b);

/* The place of an http, https or tcp URL. False if it is none. */
bool target_place_of(const char *url, struct target_place *place);

/* The labels with `address` put in its place of the ascending order, into out (LIMIT_LABELS long); their
 * count. No room: as they are. */
size_t target_labels(const struct target *target, const char *address, struct wire_label *out);

#endif
