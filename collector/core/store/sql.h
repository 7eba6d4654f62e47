/* The little that journal, day files and readers share of SQLite: errors in our words, one statement after
 * the other. */
#ifndef COLLECTOR_CORE_STORE_SQL_H
#define COLLECTOR_CORE_STORE_SQL_H

#include <sqlite3.h>
#include <stdint.h>

#include "common/error.h"
#include "common/span.h"

/* The kind of the connection's last error: ERROR_LIMIT no space, ERROR_CORRUPT, ERROR_AGAIN locked or
 * interrupted, ERROR_IO else. Fills err and returns -1. */
int sql_fail(sqlite3 *db, struct error *err, const char *what);

int sql_exec(sqlite3 *db, const char *statements, struct error *err);
int sql_prepare(sqlite3 *db, const char *text, sqlite3_stmt **statement, struct error *err);
/* Runs to its end and resets; for statements without an answer. */
int sql_run(sqlite3_stmt *statement, struct error *err);
/* 1 a row, 0 the end (then it is reset), -1 err (reset). */
int sql_step(sqlite3_stmt *statement, struct error *err);
/* The one integer that a statement answers; `none` where it has no row. */
int sql_number(sqlite3 *db, const char *text, int64_t none, int64_t *number, struct error *err);

void sql_bind_text(sqlite3_stmt *statement, int at, const char *text); /* must live until the reset */
void sql_bind_span(sqlite3_stmt *statement, int at, struct span bytes);
struct span sql_column_span(sqlite3_stmt *statement, int at);
const char *sql_column_text(sqlite3_stmt *statement, int at); /* never NULL */

/* Reads the file's header without SQLite: 1 with its user_version, 0 if there is no such file or it is empty;
 * -1: ERROR_CORRUPT where it is not a database of ours, ERROR_IO. */
int sql_peek_version(const char *path, uint32_t application_id, uint32_t *version, struct error *err);

#endif
