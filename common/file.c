#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/check.h"
#include "common/cleanup.h"

#define READ_STEP_BYTES ((size_t)16 * 1024)

/* Reads to the end; a size from stat would be wrong for /proc and for files that grow. */
static int read_to_end(int fd, const char *path, size_t size_max, struct buffer *out, struct error *err)
{
    size_t start = out->size;
    for (;;) {
        uint8_t *room = buffer_reserve(out, READ_STEP_BYTES, err);
        if (room == NULL) return fail_context(err, "%s", path);
        ssize_t n = read(fd, room, READ_STEP_BYTES);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(err, "read %s", path);
        if (n == 0) return 0;
        out->size += (size_t)n;
        if (out->size - start > size_max)
            return fail(err, ERROR_LIMIT, "%s: longer than %zu bytes", path, size_max);
    }
}

int file_read(const char *path, size_t size_max, struct buffer *out, struct error *err)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno(err, "open %s", path);
    size_t before = out->size;
    if (read_to_end(fd, path, size_max, out, err) == 0) return 0;
    out->size = before;
    return -1;
}

static int write_all(int fd, struct span content)
{
    while (content.size > 0) {
        ssize_t n = write(fd, content.data, content.size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        content = span_of(content.data + n, content.size - (size_t)n);
    }
    return 0;
}

static int sync_directory_of(const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    AUTO_FREE char *directory = slash == NULL
                                    ? check_strdup(".")
                                    : check_format("%.*s", slash == path ? 1 : (int)(slash - path), path);
    AUTO_CLOSE int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) return fail_errno(err, "sync directory %s", directory);
    return 0;
}

int file_write_atomic(const char *path, struct span content, mode_t mode, struct error *err)
{
    AUTO_FREE char *fresh = check_format("%s.new", path);
    /* What a crash left behind, and so that nobody else's file or link is written through. */
    if (unlink(fresh) != 0 && errno != ENOENT) return fail_errno(err, "remove %s", fresh);
    AUTO_CLOSE int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode & 0700);
    if (fd < 0) return fail_errno(err, "create %s", fresh);
    if (fchmod(fd, mode) != 0 || write_all(fd, content) != 0 || fsync(fd) != 0) {
        fail_errno(err, "write %s", fresh);
        unlink(fresh);
        return -1;
    }
    if (rename(fresh, path) != 0) {
        fail_errno(err, "rename %s to %s", fresh, path);
        unlink(fresh);
        return -1;
    }
    return sync_directory_of(path, err);
}

static int make_one_directory(const char *path, mode_t mode, struct error *err)
{
    if (mkdir(path, mode & 0700) == 0) {
        if (chmod(path, mode) != 0) return fail_errno(err, "set the mode of %s", path);
        return 0;
    }
    int made_errno = errno;
    struct stat status;
    if (made_errno == EEXIST && stat(path, &status) == 0) {
        if (S_ISDIR(status.st_mode)) return 0;
        return fail(err, ERROR_INPUT, "%s exists and is no directory", path);
    }
    errno = made_errno;
    return fail_errno(err, "make directory %s", path);
}

int file_make_directory(const char *path, mode_t mode, struct error *err)
{
    AUTO_FREE char *part = check_strdup(path);
    size_t size = strlen(part);
    while (size > 1 && part[size - 1] == '/') part[--size] = '\0';
    for (char *slash = strchr(part + (part[0] == '/'), '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (part[0] != '\0' && make_one_directory(part, 0755, err) != 0) return -1;
        *slash = '/';
    }
    return make_one_directory(part, mode, err);
}

int file_lock(const char *path, struct error *err)
{
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) return fail_errno(err, "open lock %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) return fail(err, ERROR_AGAIN, "%s is held by another process", path);
        return fail_errno(err, "lock %s", path);
    }
    int locked = fd;
    fd = -1;
    return locked;
}

int file_check_private(const char *path, struct error *err)
{
    struct stat status;
    if (stat(path, &status) != 0) return fail_errno(err, "secret file %s", path);
    if ((status.st_mode & 077) != 0)
        return fail(err, ERROR_DENIED, "secret file %s is open to others (mode %03o): run chmod 600 %s", path,
            status.st_mode & 0777, path);
    return 0;
}
