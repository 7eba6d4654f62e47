/* Runs the probes of a plan on the agent's loop: each target on its own grid, at most PROBER_OPEN_MAX at once
 * and 3 of one target and address, every outcome once (and once more before, if late). Nothing here blocks:
 * names are resolved by c-ares (every probe anew, TTLs honoured by nobody but the resolver), HTTP by
 * libcurl's multi interface with the address pinned (CURLOPT_CONNECT_TO), fresh connections, no cookies,
 * User-Agent "faultline/VERSION (+probe)".
 *
 * What the times of a result are:
 *   start_ms       when the probe began, before anything was resolved; no two of a series are equal
 *   resolve_us     duration of the lookup; -1 for numeric addresses and for the probes of each_address, whose
 *                  lookups go on beside them
 *   connect_us     duration of the TCP connect to the address that was taken
 *   tls_us         duration of the handshake; -1 for plain HTTP and TCP
 *   first_byte_us  from the start of the probe, lookup included, to the first byte of the answer
 *   total_us       from the start of the probe to its end, or until it was reported late
 * Of a chain of redirects that are followed, connect, tls and first byte are those of the last request.
 *
 * A regular probe that fails or is late is repeated once, 250 ms later (PROBE_FLAG_BURST), for the first
 * three such probes in a row. Of bursts a target takes three in a row, and half of
 * the time in the long run.
 *
 * each_address: all addresses of the answer are probed, each as a series with the label `address`. One that
 * leaves the answer is probed three more times. A failing lookup is an outcome RESOLVE without that label;
 * what was known before is probed on.
 *
 * A redirect is PROBE_ERROR_REDIRECT unless `follow`, or unless the target expects its status itself
 * (expect_code_min and _max are set and include it).
 *
 * One thread: the loop's. */
#ifndef AGENT_PROBE_PROBER_H
#define AGENT_PROBE_PROBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/loop.h"
#include "proto/probe.h"
#include "proto/wire.h"

#define PROBER_OPEN_MAX       256
#define PROBER_ADDRESSES_MAX  16 /* probed of one name (each_address) */
#define PROBER_BODY_BYTES_MAX (64 * 1024)

struct prober;

/* What the prober tells its owner, who must not call back into it. `urgent`: a failed, late or slow outcome,
 * to be sent at once. labels are the target's, with `address` ("ip:port") added for targets with
 * each_address. Borrowed for the call. */
struct prober_sink {
    void *owner;
    void (*outcome)(void *owner, const struct wire_label *labels, size_t label_count,
        const struct probe_result *result, bool urgent);
    /* A value read by a probe (HAProxy's servers): metric of metrics.def, its labels, at start_ms. */
    void (*value)(void *owner, const char *metric, const struct wire_label *labels, size_t label_count,
        int64_t time_ms, int64_t value);
};

struct prober *prober_new(struct loop *loop, const struct prober_sink *sink,
    const char *credentials_directory, uint64_t random_seed, struct error *err);
void prober_free(struct prober *prober);

/* The targets that one collector wants, replacing what it wanted before. Targets of several collectors with
 * the same key run once, by the definition that came last. `collector`: its letter. Copied. Open probes of a
 * target that is dropped or defined anew end untold. A target that makes no sense is probed in vain:
 * PROBE_ERROR_LOCAL. ERROR_LIMIT past LIMIT_TARGETS_PER_AGENT in all; then nothing has changed. */
int prober_plan(struct prober *prober, const char *collector, const struct wire_target *targets, size_t count,
    struct error *err);

/* Asks these name servers ("127.0.0.1:5353,[::1]:53") instead of resolv.conf's: for tests. */
int prober_set_dns_servers(struct prober *prober, const char *servers, struct error *err);

/* Probes more often for a while; bounded to LIMIT_BURST_MS and LIMIT_BURST_PER_SECOND whatever is asked.
 * Unknown keys are ignored. */
void prober_burst(struct prober *prober, const struct wire_burst *burst);

/* Tries one target once, for `check --live`: runs until its final outcome on a loop of its own. `detail` gets
 * a sentence for people ("redirects to https://…", "certificate is for …"). */
int prober_try(const struct wire_target *target, struct probe_result *result, char detail[static 256],
    struct error *err);

/* Open probes now; probes skipped because of a bound since the start. */
void prober_counts(const struct prober *prober, uint64_t *open, uint64_t *skipped);

#endif
