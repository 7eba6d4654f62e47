/* Space and inodes of the mounted filesystems, asked every 10 s by a helper process of that round: statvfs(2)
 * on a dead mount never returns. A mount that does not answer within 2 s keeps the helper that waits for it
 * (at most one per mount) and is told as filesystem_stuck_count 1; a fresh helper goes on with the others.
 * The loop's thread. */
#ifndef AGENT_SAMPLE_FILESYSTEM_H
#define AGENT_SAMPLE_FILESYSTEM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/statvfs.h>

#include "agent/sample/sampler.h"

#define FILESYSTEM_MOUNTS_MAX     64
#define FILESYSTEM_ROUND_MS       10000
#define FILESYSTEM_STUCK_AFTER_MS 2000

struct filesystems;

/* statvfs(3) in life. */
typedef int filesystem_stat(const char *path, struct statvfs *out);

/* root: put before every path that is asked. */
struct filesystems *filesystems_new(const char *root, filesystem_stat *stat);
void filesystems_free(struct filesystems *filesystems); /* stuck helpers are left behind */

/* The mounts there are now, from the text of mountinfo: the real ones, each device once. Known ones keep
 * their state. Returns how many lines were skipped as malformed or beyond the bound. */
size_t filesystems_update(struct filesystems *filesystems, const char *mountinfo);

/* Whether something is mounted from this device. */
bool filesystems_has_device(
    const struct filesystems *filesystems, unsigned device_major, unsigned device_minor);

/* Takes the answers that have come, emits them, and asks again when a round is due. Never blocks. */
void filesystems_read(struct filesystems *filesystems, int64_t now_ms, const struct sample_sink *sink);

#endif
