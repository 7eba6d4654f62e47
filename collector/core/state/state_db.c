#include "collector/core/state/state_db.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"

/* Times are Unix milliseconds. `body` columns hold the JSON objects of the contract, whole: what a later
 * version adds to them needs no new column. */
static const char schema[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    /* As each incident now is. number: of "A-1042", 1042. notified_ms: the first delivery that succeeded. */
    "CREATE TABLE incidents(id TEXT PRIMARY KEY, number INTEGER NOT NULL, state TEXT NOT NULL, steps INTEGER "
    "NOT NULL,"
    " component TEXT NOT NULL, onset_ms INTEGER, resolved_ms INTEGER, notified_ms INTEGER, body TEXT NOT "
    "NULL);"
    "CREATE INDEX incidents_by_number ON incidents(number);"
    "CREATE INDEX incidents_by_state ON incidents(state, number);"
    "CREATE TABLE steps(incident TEXT NOT NULL, number INTEGER NOT NULL, step TEXT NOT NULL, at_ms INTEGER "
    "NOT NULL,"
    " headline TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY(incident, number)) WITHOUT ROWID;"
    "CREATE TABLE deliveries(serial INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, incident TEXT NOT NULL,"
    " number INTEGER NOT NULL, step TEXT NOT NULL, hook TEXT NOT NULL, channel TEXT NOT NULL, at_ms INTEGER "
    "NOT NULL,"
    " body TEXT NOT NULL);"
    "CREATE INDEX deliveries_by_incident ON deliveries(incident);"
    /* No reference to deliveries: an outcome may arrive before the step that it belongs to is recorded. */
    "CREATE TABLE attempts(delivery TEXT NOT NULL, attempt INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
    " result TEXT NOT NULL, status INTEGER, detail TEXT NOT NULL, ms INTEGER, hook TEXT NOT NULL,"
    " PRIMARY KEY(delivery, at_ms, attempt)) WITHOUT ROWID;"
    "CREATE TABLE notes(serial INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, kind TEXT NOT NULL,"
    " component TEXT NOT NULL, text TEXT NOT NULL);"
    "CREATE INDEX notes_by_time ON notes(at_ms);"
    "CREATE TABLE snapshots(slot INTEGER PRIMARY KEY CHECK(slot = 1), at_ms INTEGER NOT NULL, body BLOB NOT "
    "NULL);";

#define NOT_FINAL                                                                                            \
    "NOT EXISTS (SELECT 1 FROM attempts a WHERE a.delivery = d.id AND a.result IN ('delivered', "            \
    "'permanent'))"

static const char *const statements[] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_INSERT_STEP] = "INSERT OR IGNORE INTO steps(incident, number, step, at_ms, headline, body)"
                        " VALUES (?, ?, ?, ?, ?, ?)",
    /* A step that comes late never turns the incident back. */
    [SQL_PUT_INCIDENT] =
        "INSERT INTO incidents(id, number, state, steps, component, onset_ms, resolved_ms, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET state = excluded.state,"
        " steps = excluded.steps, component = excluded.component, onset_ms = excluded.onset_ms,"
        " resolved_ms = excluded.resolved_ms, body = excluded.body WHERE excluded.steps >= steps",
    [SQL_INSERT_DELIVERY] =
        "INSERT OR IGNORE INTO deliveries(id, incident, number, step, hook, channel, at_ms, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    [SQL_INSERT_ATTEMPT] =
        "INSERT OR IGNORE INTO attempts(delivery, attempt, at_ms, result, status, detail, ms, hook)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    [SQL_DELIVERY_INCIDENT] = "SELECT incident FROM deliveries WHERE id = ?",
    [SQL_FIRST_DELIVERED] = "SELECT min(a.at_ms) FROM deliveries d JOIN attempts a ON a.delivery = d.id"
                            " WHERE d.incident = ? AND a.result = 'delivered'",
    [SQL_SET_NOTIFIED] = "UPDATE incidents SET notified_ms = ? WHERE id = ? AND notified_ms IS NULL",
    [SQL_INSERT_NOTE] = "INSERT INTO notes(at_ms, kind, component, text) VALUES (?, ?, ?, ?)",
    [SQL_TRIM_NOTES] = "DELETE FROM notes WHERE serial <= (SELECT max(serial) FROM notes) - ?",
    [SQL_PUT_SNAPSHOT] = "INSERT OR REPLACE INTO snapshots(slot, at_ms, body) VALUES (1, ?, ?)",
    [SQL_GET_SNAPSHOT] = "SELECT body FROM snapshots WHERE slot = 1",
    [SQL_PENDING] = "SELECT d.body, (SELECT count(*) FROM attempts a WHERE a.delivery = d.id) FROM "
                    "deliveries d WHERE " NOT_FINAL " ORDER BY d.serial LIMIT ?",
    [SQL_INCIDENTS] = "SELECT body, notified_ms FROM incidents WHERE ?1 IS NULL OR state = ?1"
                      " ORDER BY number DESC LIMIT ?2",
    [SQL_INCIDENT] = "SELECT body, notified_ms FROM incidents WHERE id = ?",
    /* Steps, what became of the deliveries, and notes about the component (or about nothing in particular)
     * from a minute before the onset to a minute after the end. */
    [SQL_TIMELINE] = "SELECT at_ms AS at, step AS kind, headline AS text, 'engine' AS source FROM steps "
                     "WHERE incident = ?1"
                     " UNION ALL SELECT a.at_ms, a.result, d.hook || ': ' || d.step ||"
                     " CASE WHEN a.detail = '' THEN '' ELSE ' (' || a.detail || ')' END, 'delivery'"
                     " FROM deliveries d JOIN attempts a ON a.delivery = d.id WHERE d.incident = ?1"
                     " UNION ALL SELECT n.at_ms, n.kind, n.text, 'note' FROM incidents i JOIN notes n ON "
                     "n.at_ms >= i.onset_ms - 60000"
                     " AND (i.resolved_ms IS NULL OR n.at_ms <= i.resolved_ms + 60000) AND n.component IN "
                     "('', i.component)"
                     " WHERE i.id = ?1 ORDER BY at LIMIT 1000",
    /* With the attempt that decided, else the latest. */
    [SQL_DELIVERIES] =
        "SELECT d.id, d.hook, d.channel, d.step, d.number, d.at_ms,"
        " (SELECT count(*) FROM attempts a WHERE a.delivery = d.id),"
        " coalesce(l.result, 'pending'), l.at_ms, l.status, l.detail, l.ms"
        " FROM deliveries d LEFT JOIN attempts l ON l.delivery = d.id AND (l.at_ms, l.attempt) ="
        " (SELECT a.at_ms, a.attempt FROM attempts a WHERE a.delivery = d.id"
        " ORDER BY a.result IN ('delivered', 'permanent') DESC, a.at_ms DESC, a.attempt DESC LIMIT 1)"
        " WHERE d.incident = ? ORDER BY d.serial",
    [SQL_LAST_NUMBER] = "SELECT coalesce(max(number), 0) FROM incidents",
};
static_assert(ARRAY_COUNT(statements) == SQL_STATEMENT_COUNT, "a text per statement");

static int fail_db(const struct state *state, struct error *err)
{
    int code = sqlite3_errcode(state->db) & 0xff;
    enum error_kind kind = ERROR_IO;
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) kind = ERROR_CORRUPT;
    if (code == SQLITE_FULL) kind = ERROR_LIMIT;
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED) kind = ERROR_AGAIN;
    return fail(err, kind, "%s: %s", state->path, sqlite3_errmsg(state->db));
}

static int execute(struct state *state, const char *sql, struct error *err)
{
    return sqlite3_exec(state->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail_db(state, err);
}

/* The first column of the first row as an integer (and its text, if asked for). */
static int query_value(
    struct state *state, const char *sql, int64_t *value, char *text, size_t size, struct error *err)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(state->db, sql, -1, &statement, NULL) != SQLITE_OK) return fail_db(state, err);
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        *value = sqlite3_column_int64(statement, 0);
        if (text != NULL) snprintf(text, size, "%s", state_db_text(statement, 0));
    }
    int result = rc == SQLITE_ROW ? 0 : fail_db(state, err);
    sqlite3_finalize(statement);
    return result;
}

static int check_version(struct state *state, bool writer, int64_t *version, struct error *err)
{
    if (query_value(state, "PRAGMA user_version", version, NULL, 0, err) != 0) return -1;
    if (*version > STATE_SCHEMA_VERSION)
        return fail(err, ERROR_UNSUPPORTED,
            "%s has schema %lld, this program knows %d: it was written by a newer version; run that one",
            state->path, (long long)*version, STATE_SCHEMA_VERSION);
    if (*version == 0 && !writer) return fail(err, ERROR_IO, "%s is empty", state->path);
    return 0;
}

static int check_sound(struct state *state, struct error *err)
{
    int64_t unused = 0;
    char verdict[128] = "";
    if (query_value(state, "PRAGMA quick_check(1)", &unused, verdict, sizeof verdict, err) != 0) return -1;
    if (strcmp(verdict, "ok") != 0) return fail(err, ERROR_CORRUPT, "%s: %s", state->path, verdict);
    return 0;
}

static int create_schema(struct state *state, struct error *err)
{
    char sql[sizeof schema + 64];
    snprintf(
        sql, sizeof sql, "BEGIN IMMEDIATE;%sPRAGMA user_version=%d;COMMIT", schema, STATE_SCHEMA_VERSION);
    return execute(state, sql, err);
}

static int prepare_writer(struct state *state, int64_t version, struct error *err)
{
    if (check_sound(state, err) != 0) return -1;
    /* No mmap; this connection alone writes and checkpoints: SQLite before 3.51.3 can lose commits otherwise.
     */
    if (execute(state,
            "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA secure_delete=OFF;PRAGMA mmap_size=0;"
            "PRAGMA wal_autocheckpoint=1000;PRAGMA journal_size_limit=67108864",
            err) != 0)
        return -1;
    return version == 0 ? create_schema(state, err) : 0;
}

static int prepare_reader(struct state *state, struct error *err)
{
    sqlite3_db_config(state->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    return execute(state, "PRAGMA wal_autocheckpoint=0;PRAGMA mmap_size=0;PRAGMA query_only=1", err);
}

int state_db_open(struct state *state, bool writer, struct error *err)
{
    int flags =
        (writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX;
    int64_t version = 0;
    int result = sqlite3_open_v2(state->path, &state->db, flags, NULL) == SQLITE_OK ? 0 : fail_db(state, err);
    if (result == 0) {
        sqlite3_extended_result_codes(state->db, 1);
        sqlite3_busy_timeout(state->db, 2000);
        result = check_version(state, writer, &version, err);
    }
    if (result == 0) result = writer ? prepare_writer(state, version, err) : prepare_reader(state, err);
    if (result != 0) state_db_close(state);
    return result;
}

void state_db_close(struct state *state)
{
    for (size_t i = 0; i < SQL_STATEMENT_COUNT; i++) {
        sqlite3_finalize(state->statements[i]);
        state->statements[i] = NULL;
    }
    sqlite3_close(state->db);
    state->db = NULL;
}

sqlite3_stmt *state_db_bind(
    struct state *state, enum state_statement which, struct error *err, const char *types, ...)
{
    sqlite3_stmt **statement = &state->statements[which];
    if (*statement == NULL && sqlite3_prepare_v3(state->db, statements[which], -1, SQLITE_PREPARE_PERSISTENT,
                                  statement, NULL) != SQLITE_OK) {
        fail_db(state, err);
        return NULL;
    }
    sqlite3_reset(*statement);
    va_list values;
    va_start(values, types);
    int rc = SQLITE_OK;
    for (int i = 1; types[i - 1] != '\0' && rc == SQLITE_OK; i++) {
        if (types[i - 1] == 's') {
            rc = sqlite3_bind_text(*statement, i, va_arg(values, const char *), -1, SQLITE_TRANSIENT);
        } else if (types[i - 1] == 'i') {
            rc = sqlite3_bind_int64(*statement, i, va_arg(values, int64_t));
        } else if (types[i - 1] == 'n') {
            int64_t value = va_arg(values, int64_t);
            rc = value != 0 ? sqlite3_bind_int64(*statement, i, value) : sqlite3_bind_null(*statement, i);
        } else {
            struct span bytes = va_arg(values, struct span);
            rc = sqlite3_bind_blob64(
                *statement, i, bytes.size > 0 ? (const void *)bytes.data : "", bytes.size, SQLITE_TRANSIENT);
        }
    }
    va_end(values);
    if (rc == SQLITE_OK) return *statement;
    fail_db(state, err);
    return NULL;
}

int state_db_step(struct state *state, sqlite3_stmt *statement, struct error *err)
{
    if (statement == NULL) return -1; /* the bind failed and said why */
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) return 1;
    int result = rc == SQLITE_DONE ? 0 : fail_db(state, err);
    sqlite3_reset(statement);
    return result;
}

int state_db_run_bound(struct state *state, sqlite3_stmt *statement, struct error *err)
{
    int rc;
    do rc = state_db_step(state, statement, err);
    while (rc > 0);
    return rc;
}

int state_db_changes(const struct state *state)
{
    return sqlite3_changes(state->db);
}

const char *state_db_text(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    return text != NULL ? (const char *)text : "";
}

int state_db_begin(struct state *state, struct error *err)
{
    return state_db_run(state, SQL_BEGIN, err, "");
}

int state_db_end(struct state *state, int result, struct error *err)
{
    if (result == 0 && state_db_run(state, SQL_COMMIT, err, "") == 0) return 0;
    /* After some errors SQLite has rolled back by itself; then this one fails and there is nothing to say. */
    if (!sqlite3_get_autocommit(state->db)) state_db_run(state, SQL_ROLLBACK, NULL, "");
    return -1;
}
