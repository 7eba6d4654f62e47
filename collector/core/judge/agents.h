/* What the engine role remembers of each agent: dictionary, received sequences, clock, connection. Pure; one
 * thread.
 *
 * Identity is the key; the host's name comes from link, which has it from the book of keys. */
#ifndef COLLECTOR_CORE_JUDGE_AGENTS_H
#define COLLECTOR_CORE_JUDGE_AGENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/config/config.h"
#include "collector/contract/roles.h"
#include "collector/core/engine/engine.h"
#include "collector/core/hostview/hostview.h"
#include "collector/core/judge/clock_offset.h"
#include "collector/core/model/model.h"
#include "common/arena.h"
#include "proto/metrics.h"
#include "proto/received.h"
#include "proto/wire.h"

#define AGENTS_MAX              10000
#define DICTIONARY_ENTRIES_MAX  16384 /* of an incarnation; further ones are ignored and counted */
#define DICTIONARY_BYTES_MAX    ((size_t)4 << 20)
#define DICTIONARY_BACKENDS_MAX 32 /* that one server of a balancer stands for */

/* What a dictionary id means to the engine. */
enum dictionary_kind {
    DICTIONARY_UNKNOWN,
    DICTIONARY_OTHER, /* a series that is not judged */
    DICTIONARY_PROBE,
    DICTIONARY_BALANCER, /* balancer_server_state */
    DICTIONARY_BACKLOG   /* agent_spool_batches */
};

struct dictionary_entry {
    uint32_t id; /* sparse: an agent skips thousands at a restart */
    enum dictionary_kind kind;
    enum metric metric;              /* METRIC_COUNT: none of ours, or a probe */
    const char *device;              /* label of disk metrics, NULL none */
    const struct wire_label *labels; /* PROBE and BALANCER; in the dictionary's arena */
    size_t label_count;
    /* Found in the present model: */
    uint32_t target;     /* PROBE, MODEL_NONE: not of this plan */
    const char *address; /* PROBE: label `address`, "" none */
    uint32_t balancer;
    uint32_t *backends; /* BALANCER: which it is, for each service; DICTIONARY_BACKENDS_MAX in the arena */
    uint32_t backend_count;
};

struct agent {
    char key[ROLE_KEY_SIZE];
    char host[LIMIT_HOST_BYTES + 1];
    uint32_t model_host; /* MODEL_NONE: neither in the config nor enrolled */
    bool connected;
    bool excused; /* was there when link went: its silence is ours */
    uint64_t connection;
    uint64_t incarnation;
    struct received received;
    struct dictionary_entry *entries; /* ascending by id */
    size_t entry_count, entry_room;
    struct arena arena; /* of the dictionary */
    struct clock_offset clock;
    char version[32]; /* of the hello, "" none heard */
    int64_t heard_ms; /* 0 never */
    int64_t asked_dict_ms;
    struct hostview *view;   /* its newest samples, for people */
    int64_t backlog_batches; /* -1 unknown */
    uint32_t plan_version;   /* sent last, 0 none */
};

struct agents {
    struct agent **items;
    size_t count;
    uint32_t *table; /* open addressing by the key's hash; 0 empty, else index + 1 */
};

void agents_init(struct agents *agents);
void agents_fini(struct agents *agents);

/* Finds or makes; NULL when there are AGENTS_MAX already. */
struct agent *agents_get(struct agents *agents, const char *key);

/* Another incarnation than before: dictionary and sequences begin anew. */
void agent_begin_incarnation(struct agent *agent, uint64_t incarnation);

/* Takes the entries of a batch. False if one did not fit its bounds. */
bool agent_learn(struct agent *agent, const struct wire_batch *batch, const struct model *model,
    const struct config *config);
/* The model was replaced: what every id means is looked up again. */
void agent_resolve(struct agent *agent, const struct model *model, const struct config *config);
/* NULL: never explained. */
const struct dictionary_entry *agent_entry(const struct agent *agent, uint32_t id);

/* False if the sequence was received before. Remembers it, giving up the lowest gap when there are too many.
 */
bool agent_receive(struct agent *agent, const struct wire_batch *batch);

#endif
