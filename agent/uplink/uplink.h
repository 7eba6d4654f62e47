/* The agent's side of the wire: to each collector a CURVE DEALER, a hello on each connection, live batches
 * first, the backlog beside them at ten times the live rate, plans and bursts handed on. Connections are
 * given up and made anew, with jittered waits from 0.5 to 60 s, when libzmq says so, when a greeting is not
 * answered, or when no ack has come for 10 s.
 *
 * Nothing here blocks. The loop's thread; libzmq's I/O thread works beside it and sees nothing of ours. */
#ifndef AGENT_UPLINK_UPLINK_H
#define AGENT_UPLINK_UPLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/spool/spool.h"
#include "common/error.h"
#include "common/keys.h"
#include "proto/wire.h"

struct uplink;

struct uplink_collector {
    const char *address; /* "tcp://HOST:PORT" */
    const char *key;     /* its public key */
};

struct uplink_options {
    const struct uplink_collector *collectors;
    size_t collector_count; /* 1..SPOOL_COLLECTORS_MAX */
    const struct key_pair *key;
    struct spool *spool;
    uint8_t boot_id[16];
    uint32_t capabilities;
    uint64_t random;
};

/* What the uplink tells its owner. Everything is borrowed for the call. */
struct uplink_sink {
    void *owner;
    void (*plan)(void *owner, const char *collector, const struct wire_target *targets, size_t count);
    void (*burst)(void *owner, const struct wire_burst *burst);
    void (*need_dictionary)(void *owner); /* the next batch has to carry it whole */
    /* fd is to be waited for (LOOP_READ), or no more. Call uplink_work when it is readable, and after every
     * turn. */
    void (*watch)(void *owner, int fd, bool on);
};

/* Options are copied, but for key and spool, which must outlive the uplink. */
struct uplink *uplink_new(
    const struct uplink_options *options, const struct uplink_sink *sink, struct error *err);
void uplink_free(struct uplink *uplink);

/* Sends a batch that was just appended to the spool. Where it cannot go at once it is backlog. */
void uplink_send(struct uplink *uplink, uint64_t sequence, struct span frame, int64_t now_ms);

/* Connects, greets, receives, resends; logs what its owner would have to. Returns when it wants to be called
 * again at the latest (monotonic ms). now_ms: clock_mono_ms, wall_ms: clock_wall_ms. */
int64_t uplink_work(struct uplink *uplink, int64_t now_ms, int64_t wall_ms);

/* Collectors that have welcomed this agent. */
size_t uplink_connected(const struct uplink *uplink);

#endif
