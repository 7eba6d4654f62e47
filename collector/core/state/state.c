#include "collector/core/state/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/core/state/state_db.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/timetext.h"

#define ASIDE_MAX 100 /* corrupt files kept beside */

/* Moves the file with its log out of the way, under the first free name. */
static int move_aside(const char *path, char *aside, size_t size, struct error *err)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    for (int n = 1; n <= ASIDE_MAX; n++) {
        snprintf(aside, size, "%s.corrupt-%d", path, n);
        if (access(aside, F_OK) == 0) continue;
        for (size_t i = 0; i < ARRAY_COUNT(endings); i++) {
            char from[560], to[600];
            snprintf(from, sizeof from, "%s%s", path, endings[i]);
            snprintf(to, sizeof to, "%s%s", aside, endings[i]);
            if (rename(from, to) != 0 && i == 0) return fail_errno(err, "move %s aside", from);
        }
        return 0;
    }
    return fail(err, ERROR_LIMIT, "%d corrupt files lie beside %s already: look at them and remove them",
        ASIDE_MAX, path);
}

/* A corrupt file costs its history, not the service: agents send again, the engine learns again. */
static int open_or_replace(struct state *state, struct error *err)
{
    struct error first = {0};
    if (state_db_open(state, true, &first) == 0) return 0;
    if (first.kind != ERROR_CORRUPT) {
        if (err != NULL) *err = first;
        return -1;
    }
    char aside[560];
    if (move_aside(state->path, aside, sizeof aside, err) != 0) return -1;
    if (state_db_open(state, true, err) != 0) return -1;
    snprintf(state->replaced, sizeof state->replaced, "%s; it was moved to %s and a new one begun",
        first.text, aside);
    return 0;
}

const char *state_replaced(const struct state *state)
{
    return state->replaced;
}

static struct state *open_state(const char *directory, bool writer, struct error *err)
{
    struct state *state = check_alloc(sizeof *state);
    state->lock_fd = -1;
    snprintf(state->path, sizeof state->path, "%s/state.db", directory);
    int result = 0;
    if (writer) {
        char lock[520];
        snprintf(lock, sizeof lock, "%s/state.lock", directory);
        state->lock_fd = file_lock(lock, err);
        result = state->lock_fd < 0 ? -1 : open_or_replace(state, err);
    } else {
        result = state_db_open(state, false, err);
    }
    if (result == 0) return state;
    state_close(state);
    return NULL;
}

struct state *state_open(const char *directory, struct error *err)
{
    return open_state(directory, true, err);
}

struct state *state_open_reader(const char *directory, struct error *err)
{
    return open_state(directory, false, err);
}

void state_close(struct state *state)
{
    if (state == NULL) return;
    state_db_close(state);
    if (state->lock_fd >= 0) close(state->lock_fd);
    free(state);
}

static int unpack_failed(struct error *err, const char *what, const json_error_t *why)
{
    return fail(err, ERROR_INPUT, "%s: %s", what, why->text);
}

static int parse_time(const char *what, const char *text, int64_t *ms, struct error *err)
{
    return timetext_parse(text, 0, ms, err) == 0 ? 0 : fail_context(err, "%s", what);
}

/* jansson unpacks without changing anything, yet takes no pointer to const. */
static json_t *json_of(const json_t *object)
{
    return (json_t *)(uintptr_t)object;
}

static int insert_delivery(struct state *state, const json_t *delivery, const char *incident, int64_t number,
    const char *step, int64_t at_ms, struct error *err)
{
    const char *id, *hook, *channel;
    json_error_t why;
    if (json_unpack_ex(json_of(delivery), &why, 0, "{s:s, s:s, s:s}", "id", &id, "hook", &hook, "channel",
            &channel) != 0)
        return unpack_failed(err, "delivery", &why);
    AUTO_FREE char *body = json_dumps(delivery, JSON_COMPACT);
    return state_db_run(
        state, SQL_INSERT_DELIVERY, err, "ssisssis", id, incident, number, step, hook, channel, at_ms, body);
}

/* "A-1042" -> 1042. */
static int64_t incident_number(const char *id)
{
    const char *dash = strrchr(id, '-');
    return dash != NULL ? strtoll(dash + 1, NULL, 10) : 0;
}

static int bind_time(const json_t *incident, const char *key, int64_t *ms, struct error *err)
{
    const json_t *value = json_object_get(incident, key);
    *ms = 0;
    return json_is_string(value) ? parse_time(key, json_string_value(value), ms, err) : 0;
}

static int put_incident(
    struct state *state, const json_t *incident, const char *id, int64_t number, struct error *err)
{
    const char *word, *component;
    json_error_t why;
    if (json_unpack_ex(json_of(incident), &why, 0, "{s:s, s:s}", "state", &word, "component", &component) !=
        0)
        return unpack_failed(err, "incident", &why);
    int64_t onset_ms, resolved_ms;
    if (bind_time(incident, "onset", &onset_ms, err) != 0 ||
        bind_time(incident, "resolved_at", &resolved_ms, err) != 0)
        return -1;
    AUTO_FREE char *body = json_dumps(incident, JSON_COMPACT);
    return state_db_run(state, SQL_PUT_INCIDENT, err, "sisisnns", id, incident_number(id), word, number,
        component, onset_ms, resolved_ms, body);
}

static int record_step(struct state *state, const json_t *step, struct error *err)
{
    json_t *incident, *deliveries = NULL;
    const char *id, *word, *at, *headline = "";
    json_int_t number;
    json_error_t why;
    if (json_unpack_ex(json_of(step), &why, 0, "{s:{s:s, s?s}, s:o, s:s, s:I, s:s, s?o}", "incident", "id",
            &id, "headline", &headline, "incident", &incident, "step", &word, "number", &number, "at", &at,
            "deliveries", &deliveries) != 0)
        return unpack_failed(err, "step", &why);
    int64_t at_ms;
    if (parse_time("at", at, &at_ms, err) != 0) return -1;
    AUTO_FREE char *body = json_dumps(incident, JSON_COMPACT);
    if (state_db_run(
            state, SQL_INSERT_STEP, err, "sisiss", id, (int64_t)number, word, at_ms, headline, body) != 0)
        return -1;
    if (state_db_changes(state) == 1 && put_incident(state, incident, id, number, err) != 0) return -1;
    size_t i;
    json_t *delivery;
    json_array_foreach(deliveries, i,
        delivery) if (insert_delivery(state, delivery, id, number, word, at_ms, err) != 0) return -1;
    return 0;
}

int state_record_step(struct state *state, const json_t *step, struct error *err)
{
    return state_record_step_and_snapshot(state, step, (struct span){0}, err);
}

int state_record_step_and_snapshot(
    struct state *state, const json_t *step, struct span snapshot, struct error *err)
{
    if (state_db_begin(state, err) != 0) return -1;
    int result = record_step(state, step, err);
    if (result == 0 && snapshot.size > 0)
        result = state_db_run(state, SQL_PUT_SNAPSHOT, err, "ib", (int64_t)0, snapshot);
    return state_db_end(state, result, err);
}

int state_take_notified(struct state *state, const char *incident, int64_t *at_ms, struct error *err)
{
    sqlite3_stmt *statement = state_db_bind(state, SQL_FIRST_DELIVERED, err, "s", incident);
    if (state_db_step(state, statement, err) != 1) return -1; /* an aggregate always has a row */
    int64_t first_ms = sqlite3_column_int64(statement, 0);
    bool delivered = sqlite3_column_type(statement, 0) != SQLITE_NULL;
    sqlite3_reset(statement);
    if (!delivered) return 0;
    if (state_db_run(state, SQL_SET_NOTIFIED, err, "is", first_ms, incident) != 0) return -1;
    if (state_db_changes(state) == 0) return 0;
    *at_ms = first_ms;
    return 1;
}

/* What an outcome says; strings borrowed from it. */
struct outcome {
    const char *id, *hook, *at, *result, *detail;
    json_int_t attempt, status, ms;
};

static int insert_attempt(
    struct state *state, const json_t *object, struct outcome *outcome, struct error *err)
{
    json_error_t why;
    *outcome = (struct outcome){.attempt = 1, .detail = ""};
    if (json_unpack_ex(json_of(object), &why, 0, "{s:s, s:s, s:s, s:s, s?I, s?I, s?I, s?s}", "id",
            &outcome->id, "hook", &outcome->hook, "at", &outcome->at, "result", &outcome->result, "attempt",
            &outcome->attempt, "status", &outcome->status, "ms", &outcome->ms, "detail",
            &outcome->detail) != 0)
        return unpack_failed(err, "outcome", &why);
    int64_t at_ms;
    if (parse_time("at", outcome->at, &at_ms, err) != 0) return -1;
    return state_db_run(state, SQL_INSERT_ATTEMPT, err, "siisisis", outcome->id, (int64_t)outcome->attempt,
        at_ms, outcome->result, (int64_t)outcome->status, outcome->detail, (int64_t)outcome->ms,
        outcome->hook);
}

static int record_outcome(
    struct state *state, const json_t *object, char *first_delivered, int64_t *at_ms, struct error *err)
{
    struct outcome outcome;
    if (insert_attempt(state, object, &outcome, err) != 0) return -1;
    if (strcmp(outcome.result, "delivered") != 0) return 0;
    sqlite3_stmt *statement = state_db_bind(state, SQL_DELIVERY_INCIDENT, err, "s", outcome.id);
    int row = state_db_step(state, statement, err);
    if (row <= 0) return row; /* its step is not recorded yet: state_take_notified finds it then */
    char incident[INCIDENT_ID_SIZE];
    snprintf(incident, sizeof incident, "%s", state_db_text(statement, 0));
    sqlite3_reset(statement);
    int first = state_take_notified(state, incident, at_ms, err);
    if (first > 0) memcpy(first_delivered, incident, sizeof incident);
    return first < 0 ? -1 : 0;
}

int state_record_outcome(struct state *state, const json_t *outcome,
    char first_delivered[static INCIDENT_ID_SIZE], int64_t *at_ms, struct error *err)
{
    first_delivered[0] = '\0';
    if (state_db_begin(state, err) != 0) return -1;
    int result = record_outcome(state, outcome, first_delivered, at_ms, err);
    return state_db_end(state, result, err);
}

int state_record_note(struct state *state, const json_t *note, struct error *err)
{
    const char *at, *kind, *component = "", *text;
    json_error_t why;
    int64_t at_ms;
    if (json_unpack_ex(json_of(note), &why, 0, "{s:s, s:s, s?s, s:s}", "at", &at, "kind", &kind, "component",
            &component, "text", &text) != 0)
        return unpack_failed(err, "note", &why);
    if (parse_time("at", at, &at_ms, err) != 0 || state_db_begin(state, err) != 0) return -1;
    int result = state_db_run(state, SQL_INSERT_NOTE, err, "isss", at_ms, kind, component, text);
    if (result == 0) result = state_db_run(state, SQL_TRIM_NOTES, err, "i", (int64_t)STATE_NOTES_MAX);
    return state_db_end(state, result, err);
}

int state_put_snapshot(struct state *state, struct span bytes, int64_t now_ms, struct error *err)
{
    return state_db_run(state, SQL_PUT_SNAPSHOT, err, "ib", now_ms, bytes);
}
