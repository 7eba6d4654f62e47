#include "collector/core/store/sql.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/cleanup.h"

static enum error_kind kind_of(sqlite3 *db)
{
    int os_errno = sqlite3_system_errno(db);
    switch (sqlite3_errcode(db)) {
    case SQLITE_FULL: return ERROR_LIMIT;
    case SQLITE_IOERR:
        return os_errno == ENOSPC || os_errno == EDQUOT || os_errno == EFBIG ? ERROR_LIMIT : ERROR_IO;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT: return ERROR_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return ERROR_AGAIN;
    case SQLITE_INTERRUPT: return ERROR_LIMIT;
    default: return ERROR_IO;
    }
}

int sql_fail(sqlite3 *db, struct error *err, const char *what)
{
    const char *file = sqlite3_db_filename(db, "main");
    fail(err, kind_of(db), "%s: %s: %s", file != NULL ? file : "database", what, sqlite3_errmsg(db));
    if (err != NULL && err->kind == ERROR_IO) err->os_errno = sqlite3_system_errno(db);
    return -1;
}

int sql_exec(sqlite3 *db, const char *statements, struct error *err)
{
    if (sqlite3_exec(db, statements, NULL, NULL, NULL) != SQLITE_OK) return sql_fail(db, err, statements);
    return 0;
}

int sql_prepare(sqlite3 *db, const char *text, sqlite3_stmt **statement, struct error *err)
{
    if (sqlite3_prepare_v3(db, text, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL) != SQLITE_OK)
        return sql_fail(db, err, text);
    return 0;
}

int sql_step(sqlite3_stmt *statement, struct error *err)
{
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) return 1;
    int result = rc == SQLITE_DONE ? 0 : sql_fail(sqlite3_db_handle(statement), err, sqlite3_sql(statement));
    sqlite3_reset(statement);
    return result;
}

int sql_run(sqlite3_stmt *statement, struct error *err)
{
    int result = sql_step(statement, err);
    if (result == 1) sqlite3_reset(statement);
    return result < 0 ? -1 : 0;
}

int sql_number(sqlite3 *db, const char *text, int64_t none, int64_t *number, struct error *err)
{
    sqlite3_stmt *statement = NULL;
    if (sql_prepare(db, text, &statement, err) != 0) return -1;
    int result = sql_step(statement, err);
    if (result == 1)
        *number =
            sqlite3_column_type(statement, 0) == SQLITE_NULL ? none : sqlite3_column_int64(statement, 0);
    else if (result == 0)
        *number = none;
    sqlite3_finalize(statement);
    return result < 0 ? -1 : 0;
}

void sql_bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

void sql_bind_span(sqlite3_stmt *statement, int at, struct span bytes)
{
    sqlite3_bind_blob64(
        statement, at, bytes.data != NULL ? (const void *)bytes.data : "", bytes.size, SQLITE_STATIC);
}

struct span sql_column_span(sqlite3_stmt *statement, int at)
{
    const void *data = sqlite3_column_blob(statement, at);
    return span_of(data, (size_t)sqlite3_column_bytes(statement, at));
}

const char *sql_column_text(sqlite3_stmt *statement, int at)
{
    const unsigned char *text = sqlite3_column_text(statement, at);
    return text != NULL ? (const char *)text : "";
}

int sql_peek_version(const char *path, uint32_t application_id, uint32_t *version, struct error *err)
{
    /* https://www.sqlite.org/fileformat.html#the_database_header */
    enum { HEADER_SIZE = 100, VERSION_AT = 60, APPLICATION_AT = 68 };
    uint8_t header[HEADER_SIZE];
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return 0;
    if (fd < 0) return fail_errno(err, "open %s", path);
    ssize_t size = pread(fd, header, sizeof header, 0);
    if (size < 0) return fail_errno(err, "read %s", path);
    if (size == 0) return 0;
    uint32_t application;
    memcpy(version, header + VERSION_AT, sizeof *version);
    memcpy(&application, header + APPLICATION_AT, sizeof application);
    *version = be32toh(*version);
    /* Made, but what it holds is still in its WAL. */
    if (size >= HEADER_SIZE && application == 0 && *version == 0 &&
        memcmp(header, "SQLite format 3", 16) == 0)
        return 0;
    if (size < HEADER_SIZE || memcmp(header, "SQLite format 3", 16) != 0 ||
        be32toh(application) != application_id)
        return fail(err, ERROR_CORRUPT, "%s is not a file of this store", path);
    return 1;
}
