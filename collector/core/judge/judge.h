/* Everything around the engine that needs no socket and no clock: agents' frames become observations, the
 * engine's output becomes plans, bursts, steps and deliveries, and all of it survives a restart as one
 * snapshot. One thread (core's engine role) owns it. Times are the collector's, in ms, never going back. */
#ifndef COLLECTOR_CORE_JUDGE_JUDGE_H
#define COLLECTOR_CORE_JUDGE_JUDGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/config/config.h"
#include "collector/contract/roles.h"
#include "collector/core/engine/engine.h"
#include "common/error.h"
#include "common/span.h"

#define JUDGE_SNAPSHOT_MS 60000
#define JUDGE_PROVED_MS   2000  /* … and so often while ways prove themselves: unproven ones are blind */
#define JUDGE_WARM_UP_MS  2000  /* two heartbeats: nothing opens before */
#define JUDGE_ABSENT_MS   60000 /* without a frame: somebody else observes, if there is somebody */
#define JUDGE_BACK_MS     60000 /* of frames until it observes again */
#define JUDGE_BACK_GAP_MS 10000 /* a longer silence while it comes back begins anew */
#define JUDGE_REBUILD_MS  5000  /* the model is rebuilt at most so often */
#define JUDGE_LATE_MS     5000  /* plans are sent again for a learned lateness at most so often */
#define JUDGE_LATE_SHARE  0.20  /* and only if it changed by more */
#define JUDGE_ASK_DICT_MS 5000  /* an agent is asked for its dictionary at most so often */

#define JUDGE_DEAF_MS       2500 /* link tells its counts each second: without them it is we who hear nothing */
#define JUDGE_DEAF_MAX_MS   30000 /* link away for longer: silence is silence again, and ours */
#define JUDGE_DEAF_GRACE_MS 10000 /* after link is back: agents come again with jitter */

/* Where it speaks to. None of them blocks; each returns false if the message was not taken. */
struct judge_io {
    bool (*to_agent)(void *owner, const char *key, const char *host, struct span frame);
    /* STEP (payload JSON, second the snapshot), SNAPSHOT (payload the snapshot), NOTE (payload JSON). */
    bool (*to_state)(
        void *owner, enum role_message message, uint64_t serial, struct span payload, struct span second);
    bool (*to_delivery)(void *owner, struct span delivery);
    void (*on_step)(void *owner, const struct engine_step *step); /* for the log */
    void *owner;
};

struct judge;

/* enrolled: names of the hosts in the book of keys. Config borrowed. NULL and err if no model can be built.
 */
struct judge *judge_new(const struct config *config, const struct judge_io *io, const char *const *enrolled,
    size_t enrolled_count, int64_t now_ms, struct error *err);
void judge_free(struct judge *judge);

/* What judge_snapshot wrote; empty is fine. ERROR_CORRUPT: what could be read is used, the rest is as new. */
int judge_restore(struct judge *judge, struct span snapshot, int64_t now_ms, struct error *err);
/* The highest number of an incident ever recorded: ids count on from there, whatever the snapshot knew. */
void judge_set_last_number(struct judge *judge, uint64_t number);
void judge_snapshot(const struct judge *judge, struct buffer *out);

/* The book of keys has changed. */
int judge_set_enrolled(struct judge *judge, const char *const *enrolled, size_t enrolled_count,
    int64_t now_ms, struct error *err);

/* A message of engine.data. arrival_ms: when link had it, on the clock of now_ms. ERROR_INPUT for a frame
 * that does not decode; it is counted. */
int judge_take(struct judge *judge, const struct role_header *header, struct span payload, int64_t arrival_ms,
    int64_t now_ms, struct error *err);

void judge_recorded(struct judge *judge, uint64_t serial, int64_t now_ms);
void judge_notified(struct judge *judge, const char *incident, int64_t at_ms);

/* What time and the messages taken since have done; at least every 100 ms. */
void judge_tick(struct judge *judge, int64_t now_ms);

/* The answer to a question of engine.ask: {"ask": "status" | "agents" | "ready" | "counts" | "map"};
 * {"error"} to another. New reference. */
json_t *judge_answer(const struct judge *judge, const json_t *question, int64_t now_ms);

#endif
