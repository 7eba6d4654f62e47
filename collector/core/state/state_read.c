/* What state.db answers: JSON for the engine, delivery, the API and the command line. */
#include <stdio.h>
#include <string.h>

#include "collector/core/state/state_db.h"
#include "common/timetext.h"

#define INCIDENTS_MAX 10000

/* RFC 3339, or null for SQL NULL. */
static json_t *time_at(sqlite3_stmt *row, int column)
{
    char text[TIMETEXT_RFC3339_SIZE];
    if (sqlite3_column_type(row, column) == SQLITE_NULL) return json_null();
    return json_string(timetext_rfc3339(sqlite3_column_int64(row, column), text));
}

static json_t *text_at(sqlite3_stmt *row, int column)
{
    return json_string(state_db_text(row, column));
}

static json_t *integer_at(sqlite3_stmt *row, int column)
{
    return json_integer(sqlite3_column_int64(row, column));
}

/* The object in `body`; ERROR_CORRUPT if it is none. */
static json_t *body_at(const struct state *state, sqlite3_stmt *row, int column, struct error *err)
{
    json_t *body = json_loads(state_db_text(row, column), 0, NULL);
    if (json_is_object(body)) return body;
    json_decref(body);
    fail(err, ERROR_CORRUPT, "%s: a body is no JSON object", state->path);
    return NULL;
}

typedef json_t *row_to_json(const struct state *state, sqlite3_stmt *row, struct error *err);

/* The rows of a bound statement as an array. */
static json_t *collect(struct state *state, sqlite3_stmt *statement, row_to_json *convert, struct error *err)
{
    json_t *array = json_array();
    int rc;
    while ((rc = state_db_step(state, statement, err)) > 0) {
        json_t *object = convert(state, statement, err);
        if (object == NULL) {
            rc = -1;
            sqlite3_reset(statement);
            break;
        }
        json_array_append_new(array, object);
    }
    if (rc == 0) return array;
    json_decref(array);
    return NULL;
}

static json_t *pending_row(const struct state *state, sqlite3_stmt *row, struct error *err)
{
    json_t *body = body_at(state, row, 0, err);
    if (body != NULL) json_object_set_new(body, "attempts", integer_at(row, 1));
    return body;
}

json_t *state_pending(struct state *state, struct error *err)
{
    sqlite3_stmt *statement = state_db_bind(state, SQL_PENDING, err, "i", (int64_t)STATE_PENDING_MAX);
    return collect(state, statement, pending_row, err);
}

int state_get_snapshot(struct state *state, struct buffer *out, struct error *err)
{
    sqlite3_stmt *statement = state_db_bind(state, SQL_GET_SNAPSHOT, err, "");
    int rc = state_db_step(state, statement, err);
    if (rc <= 0) return rc;
    const void *body = sqlite3_column_blob(statement, 0);
    int result = buffer_append(out, span_of(body, (size_t)sqlite3_column_bytes(statement, 0)), err);
    sqlite3_reset(statement);
    return result;
}

/* The steps carry when the incident was told only from the next one on; the column knows at once. */
static json_t *incident_row(const struct state *state, sqlite3_stmt *row, struct error *err)
{
    json_t *body = body_at(state, row, 0, err);
    if (body != NULL && sqlite3_column_type(row, 1) != SQLITE_NULL)
        json_object_set_new(body, "notified_at", time_at(row, 1));
    return body;
}

json_t *state_incidents(struct state *state, const char *only_state, size_t limit, struct error *err)
{
    int64_t most = limit < INCIDENTS_MAX ? (int64_t)limit : INCIDENTS_MAX;
    return collect(
        state, state_db_bind(state, SQL_INCIDENTS, err, "si", only_state, most), incident_row, err);
}

static json_t *timeline_row(const struct state *state, sqlite3_stmt *row, struct error *err)
{
    (void)state;
    (void)err;
    return json_pack("{s:o, s:o, s:o, s:o}", "at", time_at(row, 0), "kind", text_at(row, 1), "text",
        text_at(row, 2), "source", text_at(row, 3));
}

static json_t *delivery_row(const struct state *state, sqlite3_stmt *row, struct error *err)
{
    (void)state;
    (void)err;
    bool delivered = strcmp(state_db_text(row, 7), "delivered") == 0;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
        text_at(row, 0), "hook", text_at(row, 1), "channel", text_at(row, 2), "step", text_at(row, 3),
        "number", integer_at(row, 4), "at", time_at(row, 5), "attempts", integer_at(row, 6), "result",
        text_at(row, 7), "last_attempt_at", time_at(row, 8), "delivered_at",
        delivered ? time_at(row, 8) : json_null(), "status", integer_at(row, 9), "detail", text_at(row, 10),
        "ms", integer_at(row, 11));
}

static json_t *one_incident(struct state *state, const char *id, struct error *err)
{
    sqlite3_stmt *statement = state_db_bind(state, SQL_INCIDENT, err, "s", id);
    int rc = state_db_step(state, statement, err);
    if (rc == 0) fail(err, ERROR_INPUT, "no incident %.32s", id);
    if (rc <= 0) return NULL;
    json_t *incident = incident_row(state, statement, err);
    sqlite3_reset(statement);
    return incident;
}

json_t *state_incident(struct state *state, const char *id, struct error *err)
{
    json_t *incident = one_incident(state, id, err);
    if (incident == NULL) return NULL;
    json_t *timeline = collect(state, state_db_bind(state, SQL_TIMELINE, err, "s", id), timeline_row, err);
    json_t *deliveries = timeline != NULL ? collect(state, state_db_bind(state, SQL_DELIVERIES, err, "s", id),
                                                delivery_row, err)
                                          : NULL;
    if (deliveries != NULL)
        return json_pack(
            "{s:o, s:o, s:o}", "incident", incident, "timeline", timeline, "deliveries", deliveries);
    json_decref(incident);
    json_decref(timeline);
    return NULL;
}

int state_last_number(struct state *state, uint64_t *number, struct error *err)
{
    sqlite3_stmt *statement = state_db_bind(state, SQL_LAST_NUMBER, err, "");
    if (state_db_step(state, statement, err) != 1) return -1;
    *number = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return 0;
}
