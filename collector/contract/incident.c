#include "collector/contract/incident.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/timetext.h"

/* ---- writing ---- */

/* Text comes from config, probes and peers; what is not UTF-8 must not cost the whole object. */
static json_t *text_json(const char *text)
{
    json_t *value = json_string(text);
    if (value != NULL) return value;
    char safe[INCIDENT_TEXT_SIZE];
    size_t n = 0;
    for (; text[n] != '\0' && n + 1 < sizeof safe; n++)
        safe[n] = (unsigned char)text[n] < 0x80 ? text[n] : '?';
    safe[n] = '\0';
    value = json_string(safe);
    CHECK(value != NULL);
    return value;
}

static json_t *optional_text_json(const char *text)
{
    return text[0] != '\0' ? text_json(text) : json_null();
}

static json_t *number_json(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *time_json(int64_t wall_ms)
{
    char text[TIMETEXT_RFC3339_SIZE];
    return wall_ms != 0 ? text_json(timetext_rfc3339(wall_ms, text)) : json_null();
}

static void put(json_t *object, const char *key, json_t *value)
{
    CHECK(value != NULL && json_object_set_new(object, key, value) == 0);
}

static json_t *new_object(void)
{
    json_t *object = json_object();
    CHECK(object != NULL);
    return object;
}

static json_t *new_array(void)
{
    json_t *array = json_array();
    CHECK(array != NULL);
    return array;
}

static json_t *services_json(const char *services)
{
    json_t *array = new_array();
    while (*services != '\0') {
        size_t length = strcspn(services, ",");
        char name[INCIDENT_TEXT_SIZE];
        memcpy(name, services, length);
        name[length] = '\0';
        json_array_append_new(array, text_json(name));
        services += length + (services[length] == ',');
    }
    return array;
}

static json_t *evidence_json(const struct incident_evidence *fact)
{
    json_t *object = new_object();
    put(object, "text", text_json(fact->text));
    put(object, "component", optional_text_json(fact->component));
    put(object, "metric", optional_text_json(fact->metric));
    put(object, "value", number_json(fact->value));
    put(object, "baseline", number_json(fact->baseline));
    put(object, "from", time_json(fact->from_ms));
    put(object, "to", time_json(fact->to_ms));
    return object;
}

json_t *incident_to_json(const struct incident *incident)
{
    json_t *object = new_object();
    put(object, "id", text_json(incident->id));
    put(object, "state", text_json(incident_state_word(incident->state)));
    put(object, "component", text_json(incident->component));
    put(object, "mode", text_json(mode_word(incident->mode)));
    put(object, "magnitude", number_json(incident->magnitude));
    put(object, "confidence", text_json(confidence_word(incident->confidence)));
    put(object, "posterior", number_json(incident->posterior));
    put(object, "runner_up", optional_text_json(incident->runner_up));
    put(object, "impact", text_json(impact_word(incident->impact)));
    put(object, "severity", text_json(severity_word(incident->severity)));
    put(object, "services", services_json(incident->services));
    put(object, "headline", text_json(incident->headline));
    put(object, "advice", optional_text_json(incident->advice));
    put(object, "steps", json_integer((json_int_t)incident->steps));
    put(object, "onset", time_json(incident->onset_ms));
    put(object, "detected_at", time_json(incident->detected_ms));
    put(object, "notified_at", time_json(incident->notified_ms));
    put(object, "mitigated_at", time_json(incident->mitigated_ms));
    put(object, "resolved_at", time_json(incident->resolved_ms));

    json_t *evidence = new_array();
    for (size_t i = 0; i < incident->evidence_count; i++)
        json_array_append_new(evidence, evidence_json(&incident->evidence[i]));
    put(object, "evidence", evidence);

    json_t *symptoms = new_array();
    for (size_t i = 0; i < incident->symptom_count; i++) {
        json_t *symptom = new_object();
        put(symptom, "component", text_json(incident->symptoms[i].component));
        put(symptom, "mode", text_json(mode_word(incident->symptoms[i].mode)));
        put(symptom, "onset", time_json(incident->symptoms[i].onset_ms));
        json_array_append_new(symptoms, symptom);
    }
    put(object, "symptoms", symptoms);

    json_t *ruled_out = new_array();
    for (size_t i = 0; i < incident->ruled_out_count; i++) {
        json_t *other = new_object();
        put(other, "component", text_json(incident->ruled_out[i].component));
        put(other, "why", text_json(incident->ruled_out[i].why));
        json_array_append_new(ruled_out, other);
    }
    put(object, "ruled_out", ruled_out);
    return object;
}

/* ---- reading ---- */

/* Each reader leaves `out` alone and names the key on failure. A missing key is an error; null is "none". */
static int read_text(const json_t *object, const char *key, char *out, size_t size, struct error *err)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_null(value)) {
        out[0] = '\0';
        return 0;
    }
    if (!json_is_string(value)) return fail(err, ERROR_INPUT, "%s: a string was expected", key);
    if (json_string_length(value) >= size)
        return fail(err, ERROR_INPUT, "%s: longer than %zu bytes", key, size - 1);
    if (strlen(json_string_value(value)) != json_string_length(value))
        return fail(err, ERROR_INPUT, "%s: holds a NUL", key);
    memcpy(out, json_string_value(value), json_string_length(value) + 1);
    return 0;
}

static int read_number(const json_t *object, const char *key, double *out, double none, struct error *err)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_null(value)) {
        *out = none;
        return 0;
    }
    if (!json_is_number(value)) return fail(err, ERROR_INPUT, "%s: a number was expected", key);
    *out = json_number_value(value);
    return 0;
}

static int read_time(const json_t *object, const char *key, int64_t *out, struct error *err)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_null(value)) {
        *out = 0;
        return 0;
    }
    if (!json_is_string(value)) return fail(err, ERROR_INPUT, "%s: a time was expected", key);
    struct error why;
    if (timetext_parse(json_string_value(value), 0, out, &why) != 0)
        return fail(err, ERROR_INPUT, "%s: %s", key, why.text);
    return 0;
}

/* The enums of words.def have parsers of one shape but of different types: one reader each. */
#define READ_WORD(kind, type)                                                                                \
    static int read_##kind(const json_t *object, const char *key, type *out, struct error *err)              \
    {                                                                                                        \
        const char *word = json_string_value(json_object_get(object, key));                                  \
        if (word == NULL || kind##_parse(word, out) != 0)                                                    \
            return fail(err, ERROR_INPUT, "%s: unknown word \"%s\"", key, word != NULL ? word : "");         \
        return 0;                                                                                            \
    }
READ_WORD(mode, enum mode)
READ_WORD(impact, enum impact)
READ_WORD(severity, enum severity)
READ_WORD(confidence, enum confidence)
READ_WORD(incident_state, enum incident_state)

static int read_component(const json_t *object, struct incident *incident, struct error *err)
{
    if (read_text(object, "component", incident->component, sizeof incident->component, err) != 0) return -1;
    char prefix[INCIDENT_COMPONENT_SIZE];
    size_t length = strcspn(incident->component, ":");
    memcpy(prefix, incident->component, length);
    prefix[length] = '\0';
    if (component_parse(prefix, &incident->kind) != 0)
        return fail(err, ERROR_INPUT, "component: unknown kind \"%s\"", prefix);
    return 0;
}

static const json_t *read_array(const json_t *object, const char *key, size_t most, struct error *err)
{
    const json_t *array = json_object_get(object, key);
    if (!json_is_array(array)) {
        fail(err, ERROR_INPUT, "%s: an array was expected", key);
        return NULL;
    }
    if (json_array_size(array) > most) {
        fail(err, ERROR_INPUT, "%s: more than %zu elements", key, most);
        return NULL;
    }
    return array;
}

static int read_services(const json_t *object, struct incident *incident, struct error *err)
{
    const json_t *array = read_array(object, "services", INCIDENT_TEXT_SIZE, err);
    if (array == NULL) return -1;
    size_t used = 0;
    size_t i;
    json_t *name;
    json_array_foreach(array, i, name)
    {
        if (!json_is_string(name)) return fail(err, ERROR_INPUT, "services: a string was expected");
        int n = snprintf(incident->services + used, sizeof incident->services - used, "%s%s",
            used > 0 ? "," : "", json_string_value(name));
        if (n < 0 || (size_t)n >= sizeof incident->services - used)
            return fail(err, ERROR_INPUT, "services: longer than %d bytes", INCIDENT_TEXT_SIZE - 1);
        used += (size_t)n;
    }
    return 0;
}

static int read_evidence(const json_t *object, struct incident *incident, struct error *err)
{
    const json_t *array = read_array(object, "evidence", INCIDENT_EVIDENCE_MAX, err);
    if (array == NULL) return -1;
    size_t i;
    json_t *value;
    json_array_foreach(array, i, value)
    {
        struct incident_evidence *fact = &incident->evidence[i];
        if (read_text(value, "text", fact->text, sizeof fact->text, err) != 0 ||
            read_text(value, "component", fact->component, sizeof fact->component, err) != 0 ||
            read_text(value, "metric", fact->metric, sizeof fact->metric, err) != 0 ||
            read_number(value, "value", &fact->value, NAN, err) != 0 ||
            read_number(value, "baseline", &fact->baseline, NAN, err) != 0 ||
            read_time(value, "from", &fact->from_ms, err) != 0 ||
            read_time(value, "to", &fact->to_ms, err) != 0)
            return fail_context(err, "evidence[%zu]", i);
    }
    incident->evidence_count = json_array_size(array);
    return 0;
}

static int read_symptoms(const json_t *object, struct incident *incident, struct error *err)
{
    const json_t *array = read_array(object, "symptoms", INCIDENT_SYMPTOMS_MAX, err);
    if (array == NULL) return -1;
    size_t i;
    json_t *value;
    json_array_foreach(array, i, value)
    {
        struct incident_symptom *symptom = &incident->symptoms[i];
        if (read_text(value, "component", symptom->component, sizeof symptom->component, err) != 0 ||
            read_mode(value, "mode", &symptom->mode, err) != 0 ||
            read_time(value, "onset", &symptom->onset_ms, err) != 0)
            return fail_context(err, "symptoms[%zu]", i);
    }
    incident->symptom_count = json_array_size(array);
    return 0;
}

static int read_ruled_out(const json_t *object, struct incident *incident, struct error *err)
{
    const json_t *array = read_array(object, "ruled_out", INCIDENT_RULED_OUT_MAX, err);
    if (array == NULL) return -1;
    size_t i;
    json_t *value;
    json_array_foreach(array, i, value)
    {
        struct incident_ruled_out *other = &incident->ruled_out[i];
        if (read_text(value, "component", other->component, sizeof other->component, err) != 0 ||
            read_text(value, "why", other->why, sizeof other->why, err) != 0)
            return fail_context(err, "ruled_out[%zu]", i);
    }
    incident->ruled_out_count = json_array_size(array);
    return 0;
}

static int read_scalars(const json_t *object, struct incident *incident, struct error *err)
{
    if (read_text(object, "id", incident->id, sizeof incident->id, err) != 0 ||
        read_incident_state(object, "state", &incident->state, err) != 0 ||
        read_component(object, incident, err) != 0 || read_mode(object, "mode", &incident->mode, err) != 0 ||
        read_number(object, "magnitude", &incident->magnitude, NAN, err) != 0 ||
        read_confidence(object, "confidence", &incident->confidence, err) != 0 ||
        read_number(object, "posterior", &incident->posterior, NAN, err) != 0 ||
        read_text(object, "runner_up", incident->runner_up, sizeof incident->runner_up, err) != 0 ||
        read_impact(object, "impact", &incident->impact, err) != 0 ||
        read_severity(object, "severity", &incident->severity, err) != 0 ||
        read_text(object, "headline", incident->headline, sizeof incident->headline, err) != 0 ||
        read_text(object, "advice", incident->advice, sizeof incident->advice, err) != 0 ||
        read_time(object, "onset", &incident->onset_ms, err) != 0 ||
        read_time(object, "detected_at", &incident->detected_ms, err) != 0 ||
        read_time(object, "notified_at", &incident->notified_ms, err) != 0 ||
        read_time(object, "mitigated_at", &incident->mitigated_ms, err) != 0 ||
        read_time(object, "resolved_at", &incident->resolved_ms, err) != 0)
        return -1;
    const json_t *steps = json_object_get(object, "steps");
    if (!json_is_integer(steps) || json_integer_value(steps) < 0 || json_integer_value(steps) > UINT32_MAX)
        return fail(err, ERROR_INPUT, "steps: a number from 0 was expected");
    incident->steps = (uint32_t)json_integer_value(steps);
    return 0;
}

int incident_from_json(const json_t *object, struct incident *incident, struct error *err)
{
    if (!json_is_object(object)) return fail(err, ERROR_INPUT, "an incident is a JSON object");
    struct incident *read = check_alloc(sizeof *read); /* too large for a role's stack frame */
    int rc = read_scalars(object, read, err) != 0 || read_services(object, read, err) != 0 ||
                     read_evidence(object, read, err) != 0 || read_symptoms(object, read, err) != 0 ||
                     read_ruled_out(object, read, err) != 0
                 ? -1
                 : 0;
    if (rc == 0) *incident = *read;
    free(read);
    return rc;
}

/* ---- building ---- */

/* snprintf cuts bytes; a cut through a UTF-8 sequence would make the text unprintable. */
static void drop_cut_character(char *text)
{
    size_t size = strlen(text);
    size_t back = 0;
    while (back < size && back < 4 && ((unsigned char)text[size - 1 - back] & 0xC0) == 0x80) back++;
    if (back == size || back == 4) return;
    unsigned char lead = (unsigned char)text[size - 1 - back];
    size_t need = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    if (need > back) text[size - 1 - back] = '\0';
}

__attribute__((format(printf, 3, 0))) static void format_text(
    char *out, size_t size, const char *format, va_list args)
{
    int n = vsnprintf(out, size, format, args);
    if (n >= 0 && (size_t)n >= size) drop_cut_character(out);
}

void incident_add_evidence(struct incident *incident, const char *component, const char *metric, double value,
    double baseline, const char *format, ...)
{
    if (incident->evidence_count < INCIDENT_EVIDENCE_MAX) incident->evidence_count++;
    struct incident_evidence *fact = &incident->evidence[incident->evidence_count - 1];
    *fact = (struct incident_evidence){.value = value, .baseline = baseline};
    snprintf(fact->component, sizeof fact->component, "%s", component);
    snprintf(fact->metric, sizeof fact->metric, "%s", metric);
    va_list args;
    va_start(args, format);
    format_text(fact->text, sizeof fact->text, format, args);
    va_end(args);
}

void incident_add_ruled_out(struct incident *incident, const char *component, const char *format, ...)
{
    if (incident->ruled_out_count < INCIDENT_RULED_OUT_MAX) incident->ruled_out_count++;
    struct incident_ruled_out *other = &incident->ruled_out[incident->ruled_out_count - 1];
    snprintf(other->component, sizeof other->component, "%s", component);
    va_list args;
    va_start(args, format);
    format_text(other->why, sizeof other->why, format, args);
    va_end(args);
}

void incident_add_symptom(struct incident *incident, const char *component, enum mode mode, int64_t onset_ms)
{
    for (size_t i = 0; i < incident->symptom_count; i++)
        if (strcmp(incident->symptoms[i].component, component) == 0) {
            incident->symptoms[i].mode = mode;
            return;
        }
    if (incident->symptom_count == INCIDENT_SYMPTOMS_MAX) return;
    struct incident_symptom *symptom = &incident->symptoms[incident->symptom_count++];
    snprintf(symptom->component, sizeof symptom->component, "%s", component);
    symptom->mode = mode;
    symptom->onset_ms = onset_ms;
}
