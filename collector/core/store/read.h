/* What queries and lists of series share: opening a day file to read. One thread per reader. */
#ifndef COLLECTOR_CORE_STORE_READ_H
#define COLLECTOR_CORE_STORE_READ_H

#include <sqlite3.h>
#include <stdint.h>

#include "common/error.h"

struct store_reader {
    char *directory;
    int64_t deadline_mono_ms;
};

/* A connection that never writes or checkpoints, inside a read transaction; ends statements past the reader's
 * deadline. 1 open, 0 no such file (any more), -1 err: ERROR_CORRUPT, ERROR_UNSUPPORTED, ERROR_IO. Close with
 * read_close. */
int read_open(struct store_reader *reader, int64_t day, sqlite3 **db, struct error *err);
void read_close(sqlite3 *db);

#endif
