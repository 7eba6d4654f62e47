/* The heads as bytes, on their way from the store role to a reader (store_heads): a version byte, then for
 * each host its name, the labels of its series and one block (block.h) whose series numbers count those
 * labels. Texts are a varint length and bytes. */
#ifndef COLLECTOR_CORE_STORE_HEADS_H
#define COLLECTOR_CORE_STORE_HEADS_H

#include "collector/core/store/block.h"
#include "common/arena.h"
#include "common/error.h"
#include "common/span.h"

#define HEADS_VERSION 1

struct heads_host {
    const char *host; /* in the arena */
    const char **labels;
    size_t label_count;
    struct block block; /* series numbers below label_count */
};

struct heads_reader {
    struct cursor in;
};

int heads_reader_init(struct heads_reader *reader, struct span bytes, struct error *err);
/* The next host: 1, 0 at the end, -1 ERROR_CORRUPT or ERROR_LIMIT. */
int heads_next(struct heads_reader *reader, struct arena *arena, struct heads_host *host, struct error *err);

#endif
