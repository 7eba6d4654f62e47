/* The vocabulary of words.def as enums and tables. Pure, any thread.
 *
 * For each of COMPONENT, MODE, IMPACT, SEVERITY, CONFIDENCE, INCIDENT_STATE and STEP there is
 *     enum KIND                       with KIND_…, and KIND_COUNT
 *     const char *KIND_word(value)    its word; never NULL
 *     int KIND_parse(word, &value)    0, or -1 for an unknown word (value untouched) */
#ifndef COLLECTOR_CONTRACT_WORDS_H
#define COLLECTOR_CONTRACT_WORDS_H

#define COMPONENT(...)
#define MODE(...)
#define IMPACT(...)
#define SEVERITY(...)
#define CONFIDENCE(...)
#define INCIDENT_STATE(...)
#define STEP(...)

#undef COMPONENT
#define COMPONENT(id, prefix, form, help) COMPONENT_##id,
enum component {
#include "collector/contract/words.def"
    COMPONENT_COUNT
};
#undef COMPONENT
#define COMPONENT(...)

#undef MODE
#define MODE(id, word, help) MODE_##id,
enum mode {
#include "collector/contract/words.def"
    MODE_COUNT
};
#undef MODE
#define MODE(...)

#undef IMPACT
#define IMPACT(id, word, help) IMPACT_##id,
enum impact {
#include "collector/contract/words.def"
    IMPACT_COUNT
};
#undef IMPACT
#define IMPACT(...)

#undef SEVERITY
#define SEVERITY(id, word, help) SEVERITY_##id,
enum severity {
#include "collector/contract/words.def"
    SEVERITY_COUNT
};
#undef SEVERITY
#define SEVERITY(...)

#undef CONFIDENCE
#define CONFIDENCE(id, word, spoken, help) CONFIDENCE_##id,
enum confidence {
#include "collector/contract/words.def"
    CONFIDENCE_COUNT
};
#undef CONFIDENCE
#define CONFIDENCE(...)

#undef INCIDENT_STATE
#define INCIDENT_STATE(id, word, help) INCIDENT_STATE_##id,
enum incident_state {
#include "collector/contract/words.def"
    INCIDENT_STATE_COUNT
};
#undef INCIDENT_STATE
#define INCIDENT_STATE(...)

#undef STEP
#define STEP(id, word, help) STEP_##id,
enum step {
#include "collector/contract/words.def"
    STEP_COUNT
};
#undef STEP
#undef COMPONENT
#undef MODE
#undef IMPACT
#undef SEVERITY
#undef CONFIDENCE
#undef INCIDENT_STATE

const char *component_word(enum component value);
const char *mode_word(enum mode value);
const char *impact_word(enum impact value);
const char *severity_word(enum severity value);
const char *confidence_word(enum confidence value);
const char *confidence_spoken(enum confidence value); /* "certain", "likely", "guess" */
const char *incident_state_word(enum incident_state value);
const char *step_word(enum step value);

int component_parse(const char *word, enum component *value);
int mode_parse(const char *word, enum mode *value);
int impact_parse(const char *word, enum impact *value);
int severity_parse(const char *word, enum severity *value);
int confidence_parse(const char *word, enum confidence *value);
int incident_state_parse(const char *word, enum incident_state *value);
int step_parse(const char *word, enum step *value);

#endif
