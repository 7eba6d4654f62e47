/* What judge.c and its neighbours share. Internal to this folder. */
#ifndef COLLECTOR_CORE_JUDGE_JUDGE_INSIDE_H
#define COLLECTOR_CORE_JUDGE_JUDGE_INSIDE_H

#include "collector/core/judge/agents.h"
#include "collector/core/judge/judge.h"
#include "collector/core/judge/outbox.h"
#include "collector/core/notify/notify.h"

/* An enrolled host: whether it may be chosen to observe. */
struct presence {
    char name[LIMIT_HOST_BYTES + 1];
    int64_t known_ms; /* enrolled, or the role started */
    int64_t heard_ms; /* 0 never */
    int64_t back_ms;  /* while absent: since when it is heard again, 0 it is not */
    bool absent;
    bool unheard; /* enrolled while others were heard already, and has not said a word yet */
};

struct judge_counts {
    uint64_t frames, hellos, malformed, repeated, probes, probes_unknown, observations, dictionary_asked,
        dictionary_refused, agents_refused, bursts, plans, plans_failed, steps, deliveries, models;
};

struct judge {
    const struct config *config;
    struct judge_io io;
    struct model *model;
    uint64_t fingerprint;
    struct engine *engine;
    struct notify *notify;
    struct outbox outbox;
    struct agents agents;
    struct presence *presence;
    size_t presence_count;
    bool presence_changed;
    uint32_t plan_version;
    uint32_t *late_after_ms; /* along model->targets: learned */
    uint32_t *late_sent_ms;  /* as in the plans now in force */
    int64_t start_ms, rebuilt_ms, late_told_ms, snapshot_ms, presence_ms;
    bool restored;
    bool proved;           /* a way, since the last snapshot */
    json_t *link_counts;   /* what link says of itself, NULL nothing yet */
    int64_t link_ms;       /* when it said so last, 0 never */
    int64_t link_batches;  /* its counter: smaller than before means that it was restarted */
    int64_t deaf_until_ms; /* link was away: agents may still be on their way back; 0 not deaf */
    bool deaf;
    struct judge_counts counts;
    struct arena arena; /* of the frame under way */
    struct buffer frame;
};

/* judge.c: nothing from link for JUDGE_DEAF_MS. Before its first word it counts as there. */
bool judge_link_is_away(const struct judge *judge, int64_t now_ms);

/* judge_plan.c: models, plans, bursts */
int judge_first_model(struct judge *judge, int64_t now_ms, struct error *err);
void judge_set_presence(struct judge *judge, const char *const *names, size_t count, int64_t now_ms);
/* After a restart: who had not been heard before it either. */
void judge_recall_unheard(struct judge *judge);
void judge_host_heard(struct judge *judge, const char *host, int64_t now_ms);
/* Rebuilds the model where presence asks for it. */
void judge_refresh_model(struct judge *judge, int64_t now_ms);
void judge_take_late_after(struct judge *judge, const struct engine_output *output);
/* Sends plans to those whose plan is not the present one. */
void judge_send_plans(struct judge *judge, int64_t now_ms);
void judge_send_bursts(struct judge *judge, const struct engine_output *output);
void judge_note(struct judge *judge, int64_t now_ms, const char *kind, const char *component,
    const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
