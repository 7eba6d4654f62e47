/* Steps on their way to state.db and their deliveries on the way to the delivery process. What is not
 * confirmed is repeated; what is not yet recorded is part of every snapshot, so a restart repeats it too: to
 * state, marked "restored", which knows what was delivered since and has delivery tell the rest.
 * Pure; one thread. */
#ifndef COLLECTOR_CORE_JUDGE_OUTBOX_H
#define COLLECTOR_CORE_JUDGE_OUTBOX_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTBOX_MAX       1024 /* steps; the oldest is given up beyond, and counted */
#define OUTBOX_REPEAT_MS 1000
#define OUTBOX_DELIVERY_MS                                                                                   \
    2000 /* after a step is recorded state sends its deliveries; no need to go on trying */

#define OUTBOX_RESTORED_MS                                                                                   \
    2000 /* without a word of state a restored step is told after all: perhaps twice rather than never */

struct outbox_entry {
    uint64_t serial;
    json_t *step;        /* ROLE_STEP's object */
    int64_t sent_ms;     /* to state, 0 never */
    int64_t recorded_ms; /* 0 not yet */
    int64_t restored_ms; /* first looked at after a restart that brought it, 0 it is new */
    bool restored;
    size_t handed_over; /* deliveries of the step, in order, that the delivery process took */
};

struct outbox {
    struct outbox_entry entries[OUTBOX_MAX];
    size_t count;
    uint64_t serial;
    uint64_t given_up;
};

void outbox_fini(struct outbox *outbox);
/* Takes the reference. */
void outbox_add(struct outbox *outbox, json_t *step);
void outbox_recorded(struct outbox *outbox, uint64_t serial, int64_t now_ms);

struct outbox_calls {
    /* True if the message was taken. */
    bool (*to_state)(void *owner, uint64_t serial, const json_t *step);
    bool (*to_delivery)(void *owner, const json_t *delivery);
    void *owner;
};
/* Sends what is due: steps never sent or unconfirmed for a second, deliveries not yet handed over. Drops what
 * is done. */
void outbox_send(struct outbox *outbox, int64_t now_ms, const struct outbox_calls *calls);

/* The steps that are not recorded, as an array (new reference), and back: appended, marked, to be sent again.
 */
json_t *outbox_to_json(const struct outbox *outbox);
void outbox_from_json(struct outbox *outbox, const json_t *steps);

#endif
