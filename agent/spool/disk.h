/* The spool's disk work, in a helper process: lists, reads, writes and removes segment files as it is told.
 * The loop's side never blocks on it: commands and answers go through a stream socket, in order, one answer
 * per command. */
#ifndef AGENT_SPOOL_DISK_H
#define AGENT_SPOOL_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/span.h"

#define DISK_COMMANDS_MAX 16 /* sent and not answered */

enum disk_verb {
    DISK_OPEN,  /* payload: the directory's path. Makes it, locks it; answer: the segment numbers, ascending,
                   as u64 */
    DISK_READ,  /* answer: the whole segment */
    DISK_WRITE, /* payload at offset (0 creates the file) */
    DISK_SYNC,  /* the same and then fdatasync (at offset 0 the directory too) */
    DISK_DELETE,
    DISK_VERB_COUNT
};

struct disk_answer {
    enum disk_verb verb;
    uint64_t segment;
    int os_errno;      /* 0 done */
    struct span bytes; /* READ, OPEN; until the next call of disk_pump */
};

struct disk;

/* Starts the helper. */
struct disk *disk_new(struct error *err);
/* Lets it finish what it was sent (abandon: kills it instead). */
void disk_free(struct disk *disk, bool abandon);

/* Queues a command; ERROR_AGAIN when DISK_COMMANDS_MAX are under way. The payload is copied. */
int disk_send(struct disk *disk, enum disk_verb verb, uint64_t segment, uint64_t offset, struct span payload,
    struct error *err);

/* Moves bytes without blocking. 1: an answer, 0: none yet, -1: the helper is gone (ERROR_IO). */
int disk_pump(struct disk *disk, struct disk_answer *answer, struct error *err);

unsigned disk_under_way(const struct disk *disk);
/* For poll while starting and ending, and for a loop that wants to know early. */
int disk_fd(const struct disk *disk);
/* Whether bytes still wait to be sent. */
bool disk_wants_to_write(const struct disk *disk);
/* Of the helper; for tests that stop it as a dying disk would. */
int disk_pid(const struct disk *disk);

#endif
