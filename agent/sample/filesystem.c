#include "agent/sample/filesystem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "agent/helper/helper.h"
#include "agent/sample/source.h"
#include "common/check.h"

#define DEVICES_MAX 1024

struct question {
    uint32_t ticket;
    char path[2 * MOUNT_PATH_BYTES];
};

struct reply {
    uint32_t ticket;
    bool ok;
    uint64_t size_bytes, available_bytes, inodes, inodes_free;
};

enum mount_state { RESTING, ASKED, STUCK };

struct mount {
    unsigned device_major, device_minor;
    char point[MOUNT_PATH_BYTES];
    enum mount_state state;
    uint32_t ticket;
    struct helper waiting; /* STUCK: the helper that hangs in it */
    bool present;
};

struct device {
    unsigned device_major, device_minor;
};

struct filesystems {
    char root[MOUNT_PATH_BYTES];
    filesystem_stat *stat;
    struct mount mounts[FILESYSTEM_MOUNTS_MAX];
    size_t count;
    struct device devices[DEVICES_MAX]; /* of every mount, real or not: a squashfs on a loop device counts */
    size_t device_count;
    struct helper worker;
    uint32_t next_ticket;
    int64_t next_round_ms;
    int64_t progress_ms; /* the last answer, or the last time nothing was asked */
};

static void serve(int fd, const void *argument)
{
    filesystem_stat *stat;
    memcpy(&stat, argument, sizeof stat);
    prctl(PR_SET_NAME, "faultline-statvfs");
    struct question question;
    while (recv(fd, &question, sizeof question, 0) == (ssize_t)sizeof question) {
        struct statvfs v;
        struct reply reply = {.ticket = question.ticket};
        if (stat(question.path, &v) == 0) {
            reply.ok = true;
            reply.size_bytes = (uint64_t)v.f_blocks * v.f_frsize;
            reply.available_bytes = (uint64_t)v.f_bavail * v.f_frsize;
            reply.inodes = v.f_files;
            reply.inodes_free = v.f_ffree;
        }
        if (send(fd, &reply, sizeof reply, MSG_NOSIGNAL) < 0) return;
    }
}

struct filesystems *filesystems_new(const char *root, filesystem_stat *stat)
{
    struct filesystems *f = check_alloc(sizeof *f);
    snprintf(f->root, sizeof f->root, "%s", root);
    f->stat = stat;
    return f;
}

void filesystems_free(struct filesystems *f)
{
    if (f == NULL) return;
    for (size_t i = 0; i < f->count; i++) helper_abandon(&f->mounts[i].waiting);
    helper_abandon(&f->worker);
    free(f);
}

static struct mount *find_device(struct filesystems *f, unsigned device_major, unsigned device_minor)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->mounts[i].device_major == device_major && f->mounts[i].device_minor == device_minor)
            return &f->mounts[i];
    return NULL;
}

static void note_device(struct filesystems *f, const struct mount_entry *entry)
{
    if (entry->device_major == 0 || f->device_count == DEVICES_MAX) return;
    f->devices[f->device_count++] = (struct device){entry->device_major, entry->device_minor};
}

/* The same device under several paths (bind mounts) counts once, under the shortest. */
static bool note_mount(struct filesystems *f, const struct mount_entry *entry)
{
    struct mount *mount = find_device(f, entry->device_major, entry->device_minor);
    if (mount == NULL) {
        if (f->count == FILESYSTEM_MOUNTS_MAX) return false;
        mount = &f->mounts[f->count++];
        *mount = (struct mount){.device_major = entry->device_major, .device_minor = entry->device_minor};
    } else if (mount->present && strlen(mount->point) <= strlen(entry->point)) {
        return true;
    }
    /* A mount in state STUCK keeps the path that its helper hangs in. */
    if (mount->state != STUCK) snprintf(mount->point, sizeof mount->point, "%s", entry->point);
    mount->present = true;
    return true;
}

size_t filesystems_update(struct filesystems *f, const char *mountinfo)
{
    size_t skipped = 0;
    f->device_count = 0;
    for (size_t i = 0; i < f->count; i++) f->mounts[i].present = false;
    for (const char *line = mountinfo; line != NULL && *line != '\0';) {
        struct mount_entry entry;
        if (!mount_parse_line(&line, &entry)) {
            skipped++;
            continue;
        }
        note_device(f, &entry);
        if (mount_is_real(&entry) && !note_mount(f, &entry)) skipped++;
    }
    size_t kept = 0;
    for (size_t i = 0; i < f->count; i++) {
        if (f->mounts[i].present)
            f->mounts[kept++] = f->mounts[i];
        else
            helper_abandon(&f->mounts[i].waiting);
    }
    f->count = kept;
    return skipped;
}

bool filesystems_has_device(const struct filesystems *f, unsigned device_major, unsigned device_minor)
{
    for (size_t i = 0; i < f->device_count; i++)
        if (f->devices[i].device_major == device_major && f->devices[i].device_minor == device_minor)
            return true;
    return false;
}

static void emit(const struct mount *mount, const struct reply *reply, const struct sample_sink *sink)
{
    const struct wire_label label = {.name = "mount", .value = mount->point};
    const struct {
        enum metric metric;
        uint64_t value;
    } out[] = {
        {METRIC_filesystem_size_bytes, reply->size_bytes},
        {METRIC_filesystem_available_bytes, reply->available_bytes},
        {METRIC_filesystem_inodes_count, reply->inodes},
        {METRIC_filesystem_inodes_free_count, reply->inodes_free},
        {METRIC_filesystem_stuck_count, 0},
    };
    /* What cannot be asked (EACCES) or has no size (a FUSE of somebody else's) says nothing about space. */
    bool has_size = reply->ok && reply->size_bytes > 0;
    for (size_t i = 0; i < ARRAY_COUNT(out); i++)
        if (has_size || out[i].metric == METRIC_filesystem_stuck_count)
            sink->value(sink->owner, out[i].metric, &label, 1,
                out[i].value > INT64_MAX ? INT64_MAX : (int64_t)out[i].value);
}

static void emit_stuck(const struct mount *mount, const struct sample_sink *sink)
{
    const struct wire_label label = {.name = "mount", .value = mount->point};
    sink->value(sink->owner, METRIC_filesystem_stuck_count, &label, 1, 1);
}

/* 1 an answer, 0 none yet, -1 the helper is gone. */
static int take_reply(const struct helper *helper, struct reply *reply)
{
    if (helper->fd <= 0) return 0;
    ssize_t n = recv(helper->fd, reply, sizeof *reply, MSG_DONTWAIT);
    if (n == (ssize_t)sizeof *reply) return 1;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static void take_worker_replies(struct filesystems *f, int64_t now_ms, const struct sample_sink *sink)
{
    struct reply reply;
    int got;
    while ((got = take_reply(&f->worker, &reply)) > 0) {
        f->progress_ms = now_ms;
        for (size_t i = 0; i < f->count; i++) {
            struct mount *mount = &f->mounts[i];
            if (mount->state != ASKED || mount->ticket != reply.ticket) continue;
            mount->state = RESTING;
            emit(mount, &reply, sink);
        }
    }
    if (got < 0) {
        helper_abandon(&f->worker);
        for (size_t i = 0; i < f->count; i++)
            if (f->mounts[i].state == ASKED) f->mounts[i].state = RESTING;
    }
}

/* A mount that answers again, or whose helper was killed, is asked in the next round. */
static void take_stuck_replies(struct filesystems *f, const struct sample_sink *sink)
{
    for (size_t i = 0; i < f->count; i++) {
        struct mount *mount = &f->mounts[i];
        if (mount->state != STUCK) continue;
        struct reply reply;
        for (int got; (got = take_reply(&mount->waiting, &reply)) != 0;) {
            if (got > 0 && reply.ticket != mount->ticket) continue;
            if (got > 0) emit(mount, &reply, sink);
            helper_abandon(&mount->waiting);
            mount->state = RESTING;
            break;
        }
    }
}

static void ask(struct filesystems *f, struct mount *mount)
{
    struct question question = {.ticket = ++f->next_ticket};
    snprintf(question.path, sizeof question.path, "%s%s", f->root, mount->point);
    if (send(f->worker.fd, &question, sizeof question, MSG_DONTWAIT | MSG_NOSIGNAL) !=
        (ssize_t)sizeof question)
        return;
    mount->state = ASKED;
    mount->ticket = question.ticket;
}

static bool have_worker(struct filesystems *f)
{
    if (f->worker.fd > 0) return true;
    return helper_start(&f->worker, HELPER_PACKETS, serve, &f->stat, sizeof f->stat, NULL) == 0;
}

static struct mount *oldest_asked(struct filesystems *f)
{
    struct mount *oldest = NULL;
    for (size_t i = 0; i < f->count; i++)
        if (f->mounts[i].state == ASKED && (oldest == NULL || f->mounts[i].ticket < oldest->ticket))
            oldest = &f->mounts[i];
    return oldest;
}

/* The helper answers in order, so the oldest question is the one it hangs in. */
static void set_stuck_aside(
    struct filesystems *f, struct mount *hanging, int64_t now_ms, const struct sample_sink *sink)
{
    hanging->state = STUCK;
    hanging->waiting = f->worker;
    f->worker = (struct helper){0};
    emit_stuck(hanging, sink);
    bool fresh = have_worker(f);
    for (size_t i = 0; i < f->count; i++) {
        if (f->mounts[i].state != ASKED) continue;
        f->mounts[i].state = RESTING;
        if (fresh) ask(f, &f->mounts[i]);
    }
    f->progress_ms = now_ms;
}

void filesystems_read(struct filesystems *f, int64_t now_ms, const struct sample_sink *sink)
{
    take_worker_replies(f, now_ms, sink);
    take_stuck_replies(f, sink);
    struct mount *oldest = oldest_asked(f);
    /* Between rounds there is no helper: a fork every ten seconds costs less than a process that sleeps. */
    if (oldest == NULL) helper_finish(&f->worker);
    if (oldest == NULL)
        f->progress_ms = now_ms;
    else if (now_ms - f->progress_ms >= FILESYSTEM_STUCK_AFTER_MS)
        set_stuck_aside(f, oldest, now_ms, sink);
    if (now_ms < f->next_round_ms) return;
    f->next_round_ms = now_ms + FILESYSTEM_ROUND_MS;
    for (size_t i = 0; i < f->count; i++) {
        if (f->mounts[i].state == STUCK)
            emit_stuck(&f->mounts[i], sink);
        else if (f->mounts[i].state == RESTING && have_worker(f))
            ask(f, &f->mounts[i]);
    }
}
