/* Sequences that were given up, until every collector knows it. A gap travels in one batch; if that batch is
 * given up too, the gap travels again. Neighbours become one. Pure; the owner's storage. */
#ifndef AGENT_SPOOL_GAPS_H
#define AGENT_SPOOL_GAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

#define GAPS_MAX 4096 /* then the newest two become one, whatever lies between them has gone the same way */

struct told_gap {
    struct wire_gap gap;
    uint64_t told_in; /* sequence of the batch that carries it, 0 none yet */
};

/* Zeroed is empty. */
struct gaps {
    struct told_gap *list;
    size_t count, capacity;
};

void gaps_fini(struct gaps *gaps);
void gaps_add(struct gaps *gaps, const struct wire_gap *gap);

/* Those not on their way, marked as travelling in the batch `carrier`. */
size_t gaps_take(struct gaps *gaps, uint64_t carrier, struct wire_gap *out, size_t max);

/* The batches first..last were given up: what they carried has to be told again. */
void gaps_carrier_lost(struct gaps *gaps, uint64_t first, uint64_t last);

/* Forgets the gaps whose carrier all have received. */
void gaps_forget(
    struct gaps *gaps, bool (*received_by_all)(const void *owner, uint64_t sequence), const void *owner);

#endif
