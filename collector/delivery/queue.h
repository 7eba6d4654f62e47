/* Which delivery goes out when. Pure but for its memory: time and randomness are arguments. One thread.
 *
 * The deliveries of one incident to one hook are a lane: they go out one after the other, in the order of
 * their steps, so that "resolved" is never told before "opened". Lanes of a hook and hooks among each other
 * are independent: a hook that hangs or fails has one attempt under way at a time, and all such hooks
 * together leave room for those that work. */
#ifndef COLLECTOR_DELIVERY_QUEUE_H
#define COLLECTOR_DELIVERY_QUEUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/delivery/channel.h"
#include "common/error.h"

#define QUEUE_JOBS_MAX               4096 /* beyond: refused; state sends again when asked for what is pending */
#define QUEUE_FINISHED_MAX           4096 /* outcomes remembered, oldest forgotten first */
#define QUEUE_IN_FLIGHT_MAX          8
#define QUEUE_IN_FLIGHT_TROUBLED_MAX 6 /* of those, by hooks whose last attempt did not succeed */
#define QUEUE_PER_HOOK_MAX           2
#define QUEUE_UNRECORDED_MS          100 /* a delivery that is not yet on disk waits this long, no longer */
#define QUEUE_BACKOFF_MIN_MS         1000
#define QUEUE_BACKOFF_MAX_MS         (5 * 60 * 1000)
#define QUEUE_BUDGET_MS              (24 * 60 * 60 * INT64_C(1000)) /* from the step to giving up */

struct queue;

/* One delivery. Strings and message are owned by the job. Fields below the line belong to the queue. */
struct queue_job {
    char *id, *hook, *incident, *step;
    uint64_t number;
    int64_t at_ms; /* of the step, wall clock */
    json_t *message;
    unsigned attempt; /* of the one under way, from 1; counts on from what state knows of earlier lives */
    /* --- */
    struct queue_job *next; /* in the lane, by number */
    bool in_flight;
    int64_t due_ms;     /* monotonic */
    int64_t give_up_ms; /* monotonic */
};

struct queue *queue_new(uint64_t seed);
void queue_free(struct queue *queue);

enum queue_added {
    QUEUE_NEW,
    QUEUE_KNOWN,    /* waiting or under way already */
    QUEUE_FINISHED, /* has a final outcome: *outcome borrows it, tell it again */
    QUEUE_FULL,
    QUEUE_MALFORMED /* err says why */
};
/* ROLE_DELIVER's JSON; `attempts`, where present, is how many there were before. */
enum queue_added queue_add(struct queue *queue, const json_t *delivery, int64_t wall_ms, int64_t now_ms,
    const char **outcome, struct error *err);

/* The delivery is on disk: it may start now. Unknown ids are remembered for the delivery that may follow. */
void queue_recorded(struct queue *queue, const char *id, int64_t now_ms);

/* The next delivery that may start, now under way (attempt counted); NULL if there is none. */
struct queue_job *queue_next(struct queue *queue, int64_t now_ms);

/* When queue_next may have something, monotonic ms; INT64_MAX if only an end of an attempt can bring it. */
int64_t queue_due_ms(const struct queue *queue, int64_t now_ms);

/* An attempt ended. Returns the verdict that holds: RETRY becomes PERMANENT when the budget of 24 h is spent.
 * For a final one call queue_finish next; for RETRY the job is scheduled again, not before retry_after_ms. */
enum channel_verdict queue_ended(struct queue *queue, struct queue_job *job, enum channel_verdict verdict,
    int64_t retry_after_ms, int64_t now_ms);
/* Remembers the outcome (ROLE_OUTCOME's text) of the job's id and frees the job. */
void queue_finish(struct queue *queue, struct queue_job *job, const char *outcome);

/* Milliseconds until attempt + 1: uniform up to the doubled ceiling (full jitter), at least 200 ms. */
int64_t queue_backoff_ms(unsigned attempt, uint64_t random);

size_t queue_waiting(const struct queue *queue);
size_t queue_in_flight(const struct queue *queue);

#endif
