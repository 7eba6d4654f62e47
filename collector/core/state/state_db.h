/* The connection under state.h: schema, statements, one row at a time. Internal to this folder; one thread.
 */
#ifndef COLLECTOR_CORE_STATE_STATE_DB_H
#define COLLECTOR_CORE_STATE_STATE_DB_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>

#include "collector/core/state/state.h"
#include "common/error.h"
#include "common/span.h"

#define STATE_SCHEMA_VERSION 1
#define STATE_NOTES_MAX      100000 /* newest notes kept */
#define STATE_PENDING_MAX    10000  /* deliveries handed out at a time, oldest first */

enum state_statement {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_INSERT_STEP,
    SQL_PUT_INCIDENT,
    SQL_INSERT_DELIVERY,
    SQL_INSERT_ATTEMPT,
    SQL_DELIVERY_INCIDENT,
    SQL_FIRST_DELIVERED,
    SQL_SET_NOTIFIED,
    SQL_INSERT_NOTE,
    SQL_TRIM_NOTES,
    SQL_PUT_SNAPSHOT,
    SQL_GET_SNAPSHOT,
    SQL_PENDING,
    SQL_INCIDENTS,
    SQL_INCIDENT,
    SQL_TIMELINE,
    SQL_DELIVERIES,
    SQL_LAST_NUMBER,
    SQL_STATEMENT_COUNT
};

struct state {
    sqlite3 *db;
    sqlite3_stmt *statements[SQL_STATEMENT_COUNT]; /* prepared at their first use */
    int lock_fd;                                   /* writer only, else -1 */
    char path[512];
    char replaced[1100];
};

/* Opens and checks path; a writer creates or upgrades the schema. ERROR_CORRUPT if it is no sound database,
 * ERROR_UNSUPPORTED if its schema is newer (nothing is touched then). */
int state_db_open(struct state *state, bool writer, struct error *err);
void state_db_close(struct state *state);

/* The statement, reset, with the values of `types` bound in order: 's' const char * (NULL is SQL NULL), 'i'
 * int64_t, 'n' int64_t whose 0 is SQL NULL, 'b' struct span. NULL on failure. */
sqlite3_stmt *state_db_bind(
    struct state *state, enum state_statement which, struct error *err, const char *types, ...);
/* 1 a row, 0 no more rows, -1 err. The statement is reset unless it is 1. */
int state_db_step(struct state *state, sqlite3_stmt *statement, struct error *err);
/* Binds, runs to the end, ignores rows. */
#define state_db_run(state, which, err, ...)                                                                 \
    state_db_run_bound(state, state_db_bind(state, which, err, __VA_ARGS__), err)
int state_db_run_bound(struct state *state, sqlite3_stmt *statement, struct error *err);

/* Rows changed by the last statement. */
int state_db_changes(const struct state *state);
const char *state_db_text(sqlite3_stmt *statement, int column); /* "" for NULL */

int state_db_begin(struct state *state, struct error *err);
/* COMMIT where result is 0, ROLLBACK otherwise; -1 if the commit failed or result was not 0. */
int state_db_end(struct state *state, int result, struct error *err);

#endif
