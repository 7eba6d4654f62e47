/* An incident: one cause, its evidence, its symptoms, what was ruled out. The same object is what the engine
 * opens, state.db keeps, the API and `--json` print, hooks send and reports read. Pure; the owner's storage.
 */
#ifndef COLLECTOR_CONTRACT_INCIDENT_H
#define COLLECTOR_CONTRACT_INCIDENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/contract/words.h"
#include "common/error.h"

#define INCIDENT_COMPONENT_SIZE 192 /* "backend:www/app1" with its NUL */
#define INCIDENT_ID_SIZE        24  /* "A-1042" */
#define INCIDENT_TEXT_SIZE      256
#define INCIDENT_EVIDENCE_MAX   24
#define INCIDENT_SYMPTOMS_MAX   32
#define INCIDENT_RULED_OUT_MAX  16

/* One fact with its numbers: a sentence for people, and what it was computed from. */
struct incident_evidence {
    char text[INCIDENT_TEXT_SIZE];           /* "0 of 3 through the balancer answered in the last 2 s" */
    char component[INCIDENT_COMPONENT_SIZE]; /* whom the fact is about, "" none */
    char metric[64];                         /* what it was read from, "" none */
    double value;                            /* NAN: none */
    double baseline;                         /* NAN: none */
    int64_t from_ms, to_ms;                  /* the span of the observations, 0 none */
};

struct incident_symptom {
    char component[INCIDENT_COMPONENT_SIZE];
    enum mode mode;
    int64_t onset_ms;
};

struct incident_ruled_out {
    char component[INCIDENT_COMPONENT_SIZE];
    char why[INCIDENT_TEXT_SIZE]; /* "3 of 3 answered directly" */
};

struct incident {
    char id[INCIDENT_ID_SIZE]; /* counter and the collector's letter */
    enum incident_state state;
    enum component kind;
    char component[INCIDENT_COMPONENT_SIZE];
    enum mode mode;
    double magnitude; /* share of affected requests (0..1] or, for slow and degraded, the factor (> 1) */
    enum confidence confidence;
    double posterior;                        /* 0..1 */
    char runner_up[INCIDENT_COMPONENT_SIZE]; /* "" none */
    enum impact impact;
    enum severity severity;
    char services[INCIDENT_TEXT_SIZE]; /* comma-separated services users reach through the component, "" none
                                        */
    char headline[INCIDENT_TEXT_SIZE]; /* "lb:lb-www down, certain: 0 of 3 through the balancer, 3 of 3
                                          directly" */
    char advice[INCIDENT_TEXT_SIZE];   /* the first thing to do, "" none */
    uint32_t steps;                    /* how many so far; the number of the last one */
    /* Unix ms; 0 not yet */
    int64_t onset_ms, detected_ms, notified_ms, mitigated_ms, resolved_ms;
    struct incident_evidence evidence[INCIDENT_EVIDENCE_MAX];
    size_t evidence_count;
    struct incident_symptom symptoms[INCIDENT_SYMPTOMS_MAX];
    size_t symptom_count;
    struct incident_ruled_out ruled_out[INCIDENT_RULED_OUT_MAX];
    size_t ruled_out_count;
};

/* The object of the API: keys id, state, component, mode, magnitude, confidence, posterior, runner_up,
 * impact, severity, services (array), headline, advice, steps, onset, detected_at, notified_at, mitigated_at,
 * resolved_at (RFC 3339 UTC with ms, or null), evidence [{text, component, metric, value, baseline, from,
 * to}], symptoms [{component, mode, onset}], ruled_out [{component, why}]. New reference; never NULL. */
json_t *incident_to_json(const struct incident *incident);

/* The inverse; lossless for what incident_to_json wrote. ERROR_INPUT names the key. */
int incident_from_json(const json_t *object, struct incident *incident, struct error *err);

/* Appends a fact; beyond the maximum the last one is replaced. value/baseline NAN where there is none. */
void incident_add_evidence(struct incident *incident, const char *component, const char *metric, double value,
    double baseline, const char *format, ...) __attribute__((format(printf, 6, 7)));
void incident_add_ruled_out(struct incident *incident, const char *component, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Once per component; a repeated one updates the mode. */
void incident_add_symptom(struct incident *incident, const char *component, enum mode mode, int64_t onset_ms);

#endif
