/* Which sequences of one (agent key, incarnation) have been received: a floor and at most LIMIT_ACK_RANGES
 * ranges above it. The agent keeps one per collector from acks, the store keeps one per incarnation and
 * commits it in the transaction of the data, the engine keeps one in memory against repetitions. Pure; the
 * owner's storage. */
#ifndef PROTO_RECEIVED_H
#define PROTO_RECEIVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "proto/limits.h"
#include "proto/wire.h"

/* Zeroed is "nothing received". Ranges are ascending, disjoint, not touching, all above floor + 1. */
struct received {
    uint64_t floor; /* 1..floor are received */
    struct wire_range ranges[LIMIT_ACK_RANGES];
    size_t range_count;
};

bool received_has(const struct received *received, uint64_t sequence);

/* Adds first..last (1 <= first <= last). Already known sequences are no error. ERROR_LIMIT, unchanged, when
 * it would need one range too many: the sender keeps the batch and sends older ones first. */
int received_add(struct received *received, uint64_t first, uint64_t last, struct error *err);

/* The lowest sequence above `after` that is not received. */
uint64_t received_next_missing(const struct received *received, uint64_t after);

#endif
