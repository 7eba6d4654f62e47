#include "collector/contract/words.h"

#include <string.h>

#include "common/check.h"

/* Each table includes words.def with one macro live and the others empty. */
#define COMPONENT(id, prefix, form, help) prefix,
#define MODE(...)
#define IMPACT(...)
#define SEVERITY(...)
#define CONFIDENCE(...)
#define INCIDENT_STATE(...)
#define STEP(...)
static const char *const component_words[] = {
#include "collector/contract/words.def"
};
#undef COMPONENT
#define COMPONENT(...)

#undef MODE
#define MODE(id, word, help) word,
static const char *const mode_words[] = {
#include "collector/contract/words.def"
};
#undef MODE
#define MODE(...)

#undef IMPACT
#define IMPACT(id, word, help) word,
static const char *const impact_words[] = {
#include "collector/contract/words.def"
};
#undef IMPACT
#define IMPACT(...)

#undef SEVERITY
#define SEVERITY(id, word, help) word,
static const char *const severity_words[] = {
#include "collector/contract/words.def"
};
#undef SEVERITY
#define SEVERITY(...)

#undef CONFIDENCE
#define CONFIDENCE(id, word, spoken, help) word,
static const char *const confidence_words[] = {
#include "collector/contract/words.def"
};
#undef CONFIDENCE
#define CONFIDENCE(id, word, spoken, help) spoken,
static const char *const confidence_spoken_words[] = {
#include "collector/contract/words.def"
};
#undef CONFIDENCE
#define CONFIDENCE(...)

#undef INCIDENT_STATE
#define INCIDENT_STATE(id, word, help) word,
static const char *const incident_state_words[] = {
#include "collector/contract/words.def"
};
#undef INCIDENT_STATE
#define INCIDENT_STATE(...)

#undef STEP
#define STEP(id, word, help) word,
static const char *const step_words[] = {
#include "collector/contract/words.def"
};

static int find(const char *const *words, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0) return (int)i;
    return -1;
}

#define DEFINE_WORD(kind)                                                                                    \
    const char *kind##_word(enum kind value)                                                                 \
    {                                                                                                        \
        return (unsigned)value < ARRAY_COUNT(kind##_words) ? kind##_words[value] : "unknown";                \
    }                                                                                                        \
    int kind##_parse(const char *word, enum kind *value)                                                     \
    {                                                                                                        \
        int found = find(kind##_words, ARRAY_COUNT(kind##_words), word);                                     \
        if (found < 0) return -1;                                                                            \
        *value = (enum kind)found;                                                                           \
        return 0;                                                                                            \
    }

DEFINE_WORD(component)
DEFINE_WORD(mode)
DEFINE_WORD(impact)
DEFINE_WORD(severity)
DEFINE_WORD(confidence)
DEFINE_WORD(incident_state)
DEFINE_WORD(step)

const char *confidence_spoken(enum confidence value)
{
    return (unsigned)value < CONFIDENCE_COUNT ? confidence_spoken_words[value] : "unknown";
}
