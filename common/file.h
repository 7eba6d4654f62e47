/* Whole files, directories, locks. Blocking; never used on a path that can hang by a role that must not. */
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/span.h"

/* Appends the file's content, at most size_max bytes (ERROR_LIMIT beyond). */
int file_read(const char *path, size_t size_max, struct buffer *out, struct error *err);

/* Writes path.new, fsyncs it, renames it over path, fsyncs the directory: old or new content, never a
 * mixture. */
int file_write_atomic(const char *path, struct span content, mode_t mode, struct error *err);

/* mkdir -p, the last part with `mode`; an existing directory is fine. */
int file_make_directory(const char *path, mode_t mode, struct error *err);

/* Opens (creating) and locks path exclusively for this process; -1 with ERROR_AGAIN if another holds it. The
 * lock lives as long as the descriptor. */
int file_lock(const char *path, struct error *err);

/* Fails with the remedy in words if group or others may read a secret ("chmod 600 …"). */
int file_check_private(const char *path, struct error *err);

#endif
