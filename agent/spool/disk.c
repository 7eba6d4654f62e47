#include "agent/spool/disk.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/helper/helper.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/file.h"

#define PAYLOAD_BYTES_MAX ((size_t)32 << 20)
#define LOCK_WAIT_MS      2000 /* an agent before this one may still be writing */

struct command {
    uint32_t verb;
    uint32_t size;
    uint64_t segment;
    uint64_t offset;
};

struct answer_head {
    uint32_t verb;
    int32_t os_errno;
    uint64_t segment;
    uint64_t size;
};

/* ---- the helper's side: blocking, in its own process ---- */

struct server {
    int fd;
    int directory_fd;
    int lock_fd;
    int file_fd; /* of the segment written last */
    uint64_t file_segment;
    struct buffer payload, result;
};

static bool receive_all(int fd, void *to, size_t size)
{
    for (uint8_t *at = to; size > 0;) {
        ssize_t n = recv(fd, at, size, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

static bool send_all(int fd, struct span bytes)
{
    while (bytes.size > 0) {
        ssize_t n = send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes = span_of(bytes.data + n, bytes.size - (size_t)n);
    }
    return true;
}

static void segment_name(uint64_t segment, char out[static 32])
{
    snprintf(out, 32, "%016llx.spool", (unsigned long long)segment);
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

static int list_segments(struct server *s)
{
    int fd = openat(s->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    if (directory == NULL) return errno;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        /* What is no number is no segment either: its name does not come back. */
        uint64_t number = strtoull(entry->d_name, NULL, 16);
        char name[32];
        segment_name(number, name);
        if (strcmp(name, entry->d_name) == 0)
            buffer_append(&s->result, span_of(&number, sizeof number), NULL);
    }
    closedir(directory);
    if (s->result.size > 0)
        qsort(s->result.data, s->result.size / sizeof(uint64_t), sizeof(uint64_t), compare_numbers);
    return 0;
}

static int do_open(struct server *s, const struct command *command)
{
    (void)command;
    const char *path = buffer_text(&s->payload);
    struct error err;
    if (file_make_directory(path, 0700, &err) != 0) return err.os_errno != 0 ? err.os_errno : ENOTDIR;
    char lock[4096];
    snprintf(lock, sizeof lock, "%s/lock", path);
    for (int waited_ms = 0;; waited_ms += 50) {
        s->lock_fd = file_lock(lock, &err);
        if (s->lock_fd >= 0) break;
        if (err.kind != ERROR_AGAIN) return err.os_errno != 0 ? err.os_errno : EIO;
        if (waited_ms >= LOCK_WAIT_MS) return EBUSY;
        usleep(50 * 1000);
    }
    s->directory_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return s->directory_fd >= 0 ? list_segments(s) : errno;
}

static int do_read(struct server *s, const struct command *command)
{
    char name[32];
    segment_name(command->segment, name);
    AUTO_CLOSE int fd = openat(s->directory_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno;
    for (;;) {
        uint8_t *room = buffer_reserve(&s->result, 65536, NULL);
        if (room == NULL) return EFBIG;
        ssize_t n = read(fd, room, 65536);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        if (n == 0) return 0;
        s->result.size += (size_t)n;
    }
}

static int open_segment(struct server *s, uint64_t segment, bool fresh)
{
    if (s->file_fd >= 0 && s->file_segment == segment && !fresh) return 0;
    if (s->file_fd >= 0) close(s->file_fd);
    char name[32];
    segment_name(segment, name);
    s->file_fd = openat(s->directory_fd, name, O_WRONLY | O_CLOEXEC | (fresh ? O_CREAT | O_TRUNC : 0), 0600);
    s->file_segment = segment;
    return s->file_fd >= 0 ? 0 : errno;
}

static int do_write(struct server *s, const struct command *command)
{
    int failed = open_segment(s, command->segment, command->offset == 0);
    if (failed != 0) return failed;
    struct span left = buffer_span(&s->payload);
    for (off_t at = (off_t)command->offset; left.size > 0;) {
        ssize_t n = pwrite(s->file_fd, left.data, left.size, at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? errno : EIO;
        at += n;
        left = span_of(left.data + n, left.size - (size_t)n);
    }
    return 0;
}

static int do_sync(struct server *s, const struct command *command)
{
    int failed = do_write(s, command);
    if (failed != 0) return failed;
    if (fdatasync(s->file_fd) != 0) return errno;
    return command->offset == 0 && fsync(s->directory_fd) != 0 ? errno : 0;
}

static int do_delete(struct server *s, const struct command *command)
{
    char name[32];
    segment_name(command->segment, name);
    if (s->file_fd >= 0 && s->file_segment == command->segment) {
        close(s->file_fd);
        s->file_fd = -1;
    }
    return unlinkat(s->directory_fd, name, 0) == 0 || errno == ENOENT ? 0 : errno;
}

static int (*const verbs[])(struct server *s, const struct command *command) = {
    [DISK_OPEN] = do_open,
    [DISK_READ] = do_read,
    [DISK_WRITE] = do_write,
    [DISK_SYNC] = do_sync,
    [DISK_DELETE] = do_delete,
};
static_assert(ARRAY_COUNT(verbs) == DISK_VERB_COUNT, "a function per verb");

static void serve(int fd, const void *argument)
{
    (void)argument;
    prctl(PR_SET_NAME, "faultline-spool");
    struct server s = {.fd = fd, .directory_fd = -1, .lock_fd = -1, .file_fd = -1};
    for (struct command command; receive_all(fd, &command, sizeof command);) {
        buffer_clear(&s.payload);
        buffer_clear(&s.result);
        uint8_t *room = buffer_reserve(&s.payload, command.size, NULL);
        if (command.verb >= DISK_VERB_COUNT || room == NULL || !receive_all(fd, room, command.size)) return;
        s.payload.size = command.size;
        int failed = verbs[command.verb](&s, &command);
        if (failed != 0) buffer_clear(&s.result);
        struct answer_head head = {
            .verb = command.verb, .os_errno = failed, .segment = command.segment, .size = s.result.size};
        if (!send_all(fd, span_of(&head, sizeof head)) || !send_all(fd, buffer_span(&s.result))) return;
        /* A segment that was read is a megabyte that an idle helper need not keep. */
        if (s.result.capacity > 65536) buffer_fini(&s.result);
        if (s.payload.capacity > 65536) buffer_fini(&s.payload);
    }
}

/* ---- the loop's side ---- */

struct disk {
    struct helper helper;
    struct buffer out;
    size_t out_sent;
    struct buffer in;
    bool in_done; /* `in` holds an answer that was handed out */
    unsigned under_way;
};

struct disk *disk_new(struct error *err)
{
    struct disk *disk = check_alloc(sizeof *disk);
    if (helper_start(&disk->helper, HELPER_STREAM, serve, NULL, 0, err) == 0) return disk;
    free(disk);
    return NULL;
}

void disk_free(struct disk *disk, bool abandon)
{
    if (disk == NULL) return;
    if (abandon)
        helper_abandon(&disk->helper);
    else
        helper_finish(&disk->helper);
    buffer_fini(&disk->out);
    buffer_fini(&disk->in);
    free(disk);
}

int disk_send(struct disk *disk, enum disk_verb verb, uint64_t segment, uint64_t offset, struct span payload,
    struct error *err)
{
    CHECK(payload.size <= PAYLOAD_BYTES_MAX);
    if (disk->under_way == DISK_COMMANDS_MAX) return fail(err, ERROR_AGAIN, "the disk is busy");
    struct command command = {
        .verb = verb, .size = (uint32_t)payload.size, .segment = segment, .offset = offset};
    if (buffer_append(&disk->out, span_of(&command, sizeof command), err) != 0) return -1;
    if (buffer_append(&disk->out, payload, err) != 0) {
        disk->out.size -= sizeof command;
        return -1;
    }
    disk->under_way++;
    return 0;
}

static int push(struct disk *disk, struct error *err)
{
    while (disk->out_sent < disk->out.size) {
        ssize_t n = send(disk->helper.fd, disk->out.data + disk->out_sent, disk->out.size - disk->out_sent,
            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return 0;
        if (n < 0) return fail_errno(err, "the spool's helper");
        disk->out_sent += (size_t)n;
    }
    disk->out_sent = 0;
    if (disk->out.capacity > 65536)
        buffer_fini(&disk->out);
    else
        buffer_clear(&disk->out);
    return 0;
}

/* Reads up to `size` bytes of the present answer. 1 they are there, 0 not yet, -1 gone. */
static int pull(struct disk *disk, size_t size, struct error *err)
{
    while (disk->in.size < size) {
        size_t want = size - disk->in.size;
        uint8_t *room = buffer_reserve(&disk->in, want, err);
        if (room == NULL) return -1;
        ssize_t n = recv(disk->helper.fd, room, want, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return 0;
        if (n < 0) return fail_errno(err, "the spool's helper");
        if (n == 0) return fail(err, ERROR_IO, "the spool's helper has ended");
        disk->in.size += (size_t)n;
    }
    return 1;
}

int disk_pump(struct disk *disk, struct disk_answer *answer, struct error *err)
{
    if (disk->in_done) {
        if (disk->in.capacity > 65536)
            buffer_fini(&disk->in);
        else
            buffer_clear(&disk->in);
        disk->in_done = false;
    }
    if (push(disk, err) != 0) return -1;
    struct answer_head head;
    int got = pull(disk, sizeof head, err);
    if (got <= 0) return got;
    memcpy(&head, disk->in.data, sizeof head);
    got = pull(disk, sizeof head + (size_t)head.size, err);
    if (got <= 0) return got;
    CHECK(disk->under_way > 0);
    disk->under_way--;
    disk->in_done = true;
    *answer = (struct disk_answer){.verb = (enum disk_verb)head.verb,
        .segment = head.segment,
        .os_errno = head.os_errno,
        .bytes = span_of(disk->in.data + sizeof head, (size_t)head.size)};
    return 1;
}

unsigned disk_under_way(const struct disk *disk)
{
    return disk->under_way;
}

int disk_fd(const struct disk *disk)
{
    return disk->helper.fd;
}

bool disk_wants_to_write(const struct disk *disk)
{
    return disk->out_sent < disk->out.size;
}

int disk_pid(const struct disk *disk)
{
    return disk->helper.pid;
}
