#include "tests/support/recorded_incident.h"

#include <stdio.h>
#include <stdlib.h>

#include "collector/contract/incident.h"
#include "collector/core/state/state.h"
#include "common/check.h"
#include "tests/support/unit.h"

void record_incident(const char *data_directory, int64_t onset_ms, const char *headline)
{
    struct state *state = state_open(data_directory, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(state);
    struct incident *incident = check_alloc(sizeof *incident);
    *incident = (struct incident){.id = "A-1",
        .component = "lb:lb-www",
        .kind = COMPONENT_LB,
        .mode = MODE_DOWN,
        .impact = IMPACT_USERS_DOWN,
        .severity = SEVERITY_PAGE,
        .confidence = CONFIDENCE_HIGH,
        .steps = 1,
        .onset_ms = onset_ms,
        .detected_ms = onset_ms + 2000};
    snprintf(incident->headline, sizeof incident->headline, "%s", headline);
    json_t *step = json_pack("{s:o, s:s, s:i, s:s, s:[]}", "incident", incident_to_json(incident), "step",
        "opened", "number", 1, "at", "2026-11-23T12:00:02.000Z", "deliveries");
    CU_ASSERT_EQUAL(state_record_step(state, step, NULL), 0);
    json_decref(step);
    free(incident);
    state_close(state);
}
