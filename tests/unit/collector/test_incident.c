#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/contract/incident.h"
#include "common/check.h"
#include "tests/support/unit.h"

/* Static: an incident is some 30 KB. */
static struct incident written, read_back;

static void make_full(struct incident *incident)
{
    memset(incident, 0, sizeof *incident);
    snprintf(incident->id, sizeof incident->id, "A-1042");
    incident->state = INCIDENT_STATE_MITIGATED;
    incident->kind = COMPONENT_LB;
    snprintf(incident->component, sizeof incident->component, "lb:lb-www");
    incident->mode = MODE_NOT_ANSWERING;
    incident->magnitude = .9;
    incident->confidence = CONFIDENCE_HIGH;
    incident->posterior = .9975;
    snprintf(incident->runner_up, sizeof incident->runner_up, "path:ops/lb-www");
    incident->impact = IMPACT_USERS_DOWN;
    incident->severity = SEVERITY_PAGE;
    snprintf(incident->services, sizeof incident->services, "www,shop");
    snprintf(incident->headline, sizeof incident->headline,
        "lb:lb-www down, certain: 0 of 3 through the balancer, 3 of 3 directly");
    snprintf(incident->advice, sizeof incident->advice, "move DNS to app1");
    incident->steps = 3;
    incident->onset_ms = 1795400000123;
    incident->detected_ms = 1795400002456;
    incident->notified_ms = 1795400002700;
    incident->mitigated_ms = 1795400060000;
    incident_add_evidence(incident, "lb:lb-www", "probe", 0, 3, "%d of 3 through the balancer answered", 0);
    incident->evidence[0].from_ms = 1795400000100;
    incident->evidence[0].to_ms = 1795400002100;
    incident_add_evidence(incident, "", "", NAN, NAN, "the balancer says nothing");
    incident_add_symptom(incident, "service:www", MODE_DOWN, 1795400001000);
    incident_add_ruled_out(incident, "backends:www", "3 of 3 answered directly");
}

static void survives_the_way_through_json(void)
{
    make_full(&written);
    json_t *object = incident_to_json(&written);
    char *text = json_dumps(object, 0);
    json_decref(object);
    object = json_loads(text, 0, NULL);
    struct error err = {0};
    CU_ASSERT_EQUAL_FATAL(incident_from_json(object, &read_back, &err), 0);
    json_t *again = incident_to_json(&read_back);
    CU_ASSERT_TRUE(json_equal(object, again));
    CU_ASSERT_STRING_EQUAL(read_back.services, "www,shop");
    CU_ASSERT_EQUAL(read_back.kind, COMPONENT_LB);
    CU_ASSERT_EQUAL(read_back.onset_ms, written.onset_ms);
    CU_ASSERT_EQUAL(read_back.resolved_ms, 0);
    CU_ASSERT_EQUAL(read_back.evidence[0].to_ms, written.evidence[0].to_ms);
    CU_ASSERT_TRUE(isnan(read_back.evidence[1].value));
    CU_ASSERT_DOUBLE_EQUAL(read_back.posterior, written.posterior, 0);
    json_decref(again);
    json_decref(object);
    free(text);
}

static void writes_times_as_rfc3339_and_absent_ones_as_null(void)
{
    make_full(&written);
    json_t *object = incident_to_json(&written);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(object, "onset")), "2026-11-23T02:13:20.123Z");
    CU_ASSERT_TRUE(json_is_null(json_object_get(object, "resolved_at")));
    CU_ASSERT_EQUAL(json_array_size(json_object_get(object, "services")), 2);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(object, "mode")), "not answering");
    json_decref(object);
}

static void names_the_key_that_is_wrong(void)
{
    static const struct {
        const char *key, *json, *says;
    } cases[] = {
        {"state", "\"ajar\"", "state"},
        {"component", "\"pony:x\"", "component"},
        {"mode", "7", "mode"},
        {"magnitude", "\"much\"", "magnitude"},
        {"onset", "\"yesterday\"", "onset"},
        {"steps", "-1", "steps"},
        {"services", "\"www\"", "services"},
        {"evidence", "[{}]", "evidence[0]"},
        {"symptoms", "[{\"component\": \"lb:x\", \"mode\": \"odd\", \"onset\": null}]", "symptoms[0]"},
        {"ruled_out", "null", "ruled_out"},
        {"headline", "[]", "headline"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        make_full(&written);
        json_t *object = incident_to_json(&written);
        json_object_set_new(object, cases[i].key, json_loads(cases[i].json, JSON_DECODE_ANY, NULL));
        struct error err = {0};
        memset(&read_back, 0x55, sizeof read_back);
        CU_ASSERT_EQUAL(incident_from_json(object, &read_back, &err), -1);
        CU_ASSERT_EQUAL(err.kind, ERROR_INPUT);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].says));
        CU_ASSERT_EQUAL((unsigned char)read_back.id[0], 0x55); /* untouched */
        json_decref(object);
    }
}

static void a_missing_key_is_an_error_and_no_zero(void)
{
    make_full(&written);
    json_t *whole = incident_to_json(&written);
    const char *key;
    json_t *value;
    json_object_foreach(whole, key, value)
    {
        json_t *object = json_copy(whole);
        json_object_del(object, key);
        CU_ASSERT_EQUAL(incident_from_json(object, &read_back, NULL), -1);
        json_decref(object);
    }
    json_decref(whole);
}

static void lists_are_bounded(void)
{
    make_full(&written);
    for (int i = 0; i < 100; i++) {
        char component[64];
        snprintf(component, sizeof component, "service:s%d", i);
        incident_add_evidence(&written, component, "", i, NAN, "fact %d", i);
        incident_add_ruled_out(&written, component, "reason %d", i);
        incident_add_symptom(&written, component, MODE_DOWN, i);
    }
    CU_ASSERT_EQUAL(written.evidence_count, INCIDENT_EVIDENCE_MAX);
    CU_ASSERT_STRING_EQUAL(written.evidence[INCIDENT_EVIDENCE_MAX - 1].text, "fact 99");
    CU_ASSERT_EQUAL(written.ruled_out_count, INCIDENT_RULED_OUT_MAX);
    CU_ASSERT_EQUAL(written.symptom_count, INCIDENT_SYMPTOMS_MAX);
}

static void a_symptom_is_listed_once_with_its_latest_mode(void)
{
    make_full(&written);
    incident_add_symptom(&written, "service:www", MODE_HUNG, 1795400009000);
    CU_ASSERT_EQUAL(written.symptom_count, 1);
    CU_ASSERT_EQUAL(written.symptoms[0].mode, MODE_HUNG);
    CU_ASSERT_EQUAL(written.symptoms[0].onset_ms, 1795400001000);
}

static void hostile_and_endless_text_stays_json(void)
{
    make_full(&written);
    char endless[1001];
    for (size_t i = 0; i + 2 < sizeof endless; i += 2) memcpy(endless + i, "\xC3\xA4", 3); /* ä */
    incident_add_evidence(&written, "x", "", NAN, NAN, "%s", endless);
    incident_add_evidence(&written, "x", "", NAN, NAN, "!%s", endless); /* cut in mid-character otherwise */
    snprintf(written.advice, sizeof written.advice, "\xFF\xFE \"</script>");
    json_t *object = incident_to_json(&written);
    CU_ASSERT_EQUAL(incident_from_json(object, &read_back, NULL), 0);
    CU_ASSERT_STRING_EQUAL(read_back.advice, "?? \"</script>");
    CU_ASSERT_STRING_EQUAL(read_back.evidence[2].text, written.evidence[2].text);
    CU_ASSERT_STRING_EQUAL(read_back.evidence[3].text, written.evidence[3].text);
    json_decref(object);
}

UNIT_MAIN("incident", {"survives the way through JSON", survives_the_way_through_json},
    {"writes times as RFC 3339 and absent ones as null", writes_times_as_rfc3339_and_absent_ones_as_null},
    {"names the key that is wrong", names_the_key_that_is_wrong},
    {"a missing key is an error and no zero", a_missing_key_is_an_error_and_no_zero},
    {"lists are bounded", lists_are_bounded},
    {"a symptom is listed once with its latest mode", a_symptom_is_listed_once_with_its_latest_mode},
    {"hostile and endless text stays JSON", hostile_and_endless_text_stays_json})
