#include "collector/core/judge/agents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/check.h"
#include "proto/metrics.h"

#define TABLE_SIZE 32768 /* a power of two, above three times AGENTS_MAX */

void agents_init(struct agents *agents)
{
    *agents = (struct agents){.items = check_alloc_array(AGENTS_MAX, sizeof *agents->items),
        .table = check_alloc_array(TABLE_SIZE, sizeof *agents->table)};
}

static void forget_dictionary(struct agent *agent)
{
    free(agent->entries);
    agent->entries = NULL;
    agent->entry_count = agent->entry_room = 0;
    arena_fini(&agent->arena);
    agent->arena = (struct arena){.bytes_max = DICTIONARY_BYTES_MAX};
}

void agents_fini(struct agents *agents)
{
    for (size_t i = 0; i < agents->count; i++) {
        forget_dictionary(agents->items[i]);
        hostview_free(agents->items[i]->view);
        free(agents->items[i]);
    }
    free(agents->items);
    free(agents->table);
    *agents = (struct agents){0};
}

struct agent *agents_get(struct agents *agents, const char *key)
{
    size_t at = XXH3_64bits(key, strlen(key)) & (TABLE_SIZE - 1);
    for (; agents->table[at] != 0; at = (at + 1) & (TABLE_SIZE - 1)) {
        struct agent *agent = agents->items[agents->table[at] - 1];
        if (strcmp(agent->key, key) == 0) return agent;
    }
    if (agents->count == AGENTS_MAX) return NULL;
    struct agent *agent = check_alloc(sizeof *agent);
    snprintf(agent->key, sizeof agent->key, "%s", key);
    agent->model_host = MODEL_NONE;
    agent->backlog_batches = -1;
    agent->view = hostview_new();
    forget_dictionary(agent);
    agents->items[agents->count++] = agent;
    agents->table[at] = (uint32_t)agents->count;
    return agent;
}

void agent_begin_incarnation(struct agent *agent, uint64_t incarnation)
{
    if (agent->incarnation == incarnation) return;
    agent->incarnation = incarnation;
    agent->received = (struct received){0};
    forget_dictionary(agent);
}

static const char *label(const struct dictionary_entry *entry, const char *name)
{
    for (size_t i = 0; i < entry->label_count; i++)
        if (strcmp(entry->labels[i].name, name) == 0) return entry->labels[i].value;
    return "";
}

/* "10.0.0.5:8080" of "http://10.0.0.5:8080/…". */
static bool url_has_authority(const char *url, const char *authority)
{
    const char *start = strstr(url, "://");
    size_t size = strlen(authority);
    return start != NULL && size > 0 && strncmp(start + 3, authority, size) == 0 &&
           (start[3 + size] == '\0' || start[3 + size] == '/');
}

static bool is_server(const struct config_backend *backend, const struct dictionary_entry *entry)
{
    char server[2 * LIMIT_LABEL_VALUE_BYTES + 2];
    snprintf(server, sizeof server, "%s/%s", label(entry, "proxy"), label(entry, "server"));
    if (backend->balancer_server != NULL && backend->balancer_server[0] != '\0')
        return strcmp(backend->balancer_server, server) == 0;
    return url_has_authority(backend->url, label(entry, "address"));
}

static bool is_same_server(const struct dictionary_entry *a, const struct dictionary_entry *b)
{
    return a->kind == DICTIONARY_BALANCER && b->kind == DICTIONARY_BALANCER &&
           strcmp(label(a, "balancer"), label(b, "balancer")) == 0 &&
           strcmp(label(a, "server"), label(b, "server")) == 0;
}

/* Whether another proxy of the balancer has a server of this name. */
static bool has_namesake(const struct agent *agent, const struct dictionary_entry *entry)
{
    for (size_t i = 0; i < agent->entry_count; i++)
        if (is_same_server(&agent->entries[i], entry) &&
            strcmp(label(&agent->entries[i], "proxy"), label(entry, "proxy")) != 0)
            return true;
    return false;
}

/* Without `stats show-legends` HAProxy tells no address. Then the server is the backend of its name: in the
 * service that the proxy is named after, else in the only service that has one, if it is the only server. */
static void resolve_by_name(const struct agent *agent, struct dictionary_entry *entry,
    const struct model *model, const struct config *config)
{
    uint32_t found = MODEL_NONE, candidates = 0;
    bool named = false;
    for (uint32_t s = 0; s < model->service_count; s++) {
        const struct model_service *service = &model->services[s];
        if (service->hop_count == 0 || service->hops[service->hop_count - 1] != entry->balancer) continue;
        for (uint32_t b = 0; b < service->backend_count; b++) {
            const struct config_backend *backend = &config->services[s].backends[b];
            bool told = backend->balancer_server != NULL && backend->balancer_server[0] != '\0';
            if (told || strcmp(backend->name, label(entry, "server")) != 0) continue;
            candidates++;
            if (named) continue;
            found = service->first_backend + b;
            named = strcmp(service->name, label(entry, "proxy")) == 0;
        }
    }
    if (named || (candidates == 1 && !has_namesake(agent, entry)))
        entry->backends[entry->backend_count++] = found;
}

/* One server of a balancer is a backend of each service that passes it and lists its address. */
static void resolve_balancer(struct agent *agent, struct dictionary_entry *entry, const struct model *model,
    const struct config *config)
{
    entry->balancer = MODEL_NONE;
    entry->backend_count = 0;
    for (uint32_t i = 0; i < model->balancer_count; i++)
        if (strcmp(model->balancers[i].name, label(entry, "balancer")) == 0) entry->balancer = i;
    if (entry->balancer == MODEL_NONE) return;
    if (entry->backends == NULL)
        entry->backends = arena_alloc_array(&agent->arena, DICTIONARY_BACKENDS_MAX, sizeof *entry->backends);
    for (uint32_t s = 0; s < model->service_count && entry->backends != NULL; s++) {
        const struct model_service *service = &model->services[s];
        if (service->hop_count == 0 || service->hops[service->hop_count - 1] != entry->balancer) continue;
        for (uint32_t b = 0; b < service->backend_count && entry->backend_count < DICTIONARY_BACKENDS_MAX;
             b++)
            if (is_server(&config->services[s].backends[b], entry))
                entry->backends[entry->backend_count++] = service->first_backend + b;
    }
    if (entry->backends != NULL && entry->backend_count == 0 && label(entry, "address")[0] == '\0')
        resolve_by_name(agent, entry, model, config);
}

static void resolve(struct agent *agent, struct dictionary_entry *entry, const struct model *model,
    const struct config *config)
{
    if (entry->kind == DICTIONARY_PROBE) {
        entry->target = model_target_by_labels(model, entry->labels, entry->label_count);
        entry->address = label(entry, "address");
    } else if (entry->kind == DICTIONARY_BALANCER) {
        resolve_balancer(agent, entry, model, config);
    }
}

void agent_resolve(struct agent *agent, const struct model *model, const struct config *config)
{
    agent->model_host = model_host_find(model, agent->host);
    for (size_t i = 0; i < agent->entry_count; i++) resolve(agent, &agent->entries[i], model, config);
}

static enum dictionary_kind kind_of(const char *metric)
{
    static const struct {
        const char *metric;
        enum dictionary_kind kind;
    } kinds[] = {{WIRE_METRIC_PROBE, DICTIONARY_PROBE}, {"balancer_server_state", DICTIONARY_BALANCER},
        {"agent_spool_batches", DICTIONARY_BACKLOG}};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (strcmp(kinds[i].metric, metric) == 0) return kinds[i].kind;
    return DICTIONARY_OTHER;
}

static bool copy_labels(
    struct agent *agent, struct dictionary_entry *entry, const struct wire_dict_entry *from)
{
    struct wire_label *labels = arena_alloc_array(&agent->arena, from->label_count + 1, sizeof *labels);
    if (labels == NULL) return false;
    for (size_t i = 0; i < from->label_count; i++) {
        labels[i].name = arena_strdup(&agent->arena, from->labels[i].name);
        labels[i].value = arena_strdup(&agent->arena, from->labels[i].value);
        if (labels[i].name == NULL || labels[i].value == NULL) return false;
    }
    entry->labels = labels;
    entry->label_count = from->label_count;
    return true;
}

/* Where the id stands, or belongs. Mostly at the end: ids are given in ascending order. */
static size_t entry_position(const struct agent *agent, uint32_t id)
{
    if (agent->entry_count > 0 && agent->entries[agent->entry_count - 1].id < id) return agent->entry_count;
    size_t low = 0, high = agent->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (agent->entries[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool learn(struct agent *agent, const struct wire_dict_entry *from, const struct model *model,
    const struct config *config)
{
    size_t at = entry_position(agent, from->id);
    if (at < agent->entry_count && agent->entries[at].id == from->id)
        return true; /* an id never gets a second meaning */
    if (agent->entry_count == DICTIONARY_ENTRIES_MAX) return false;
    struct dictionary_entry made = {.id = from->id,
        .kind = kind_of(from->metric),
        .metric = metric_of(from->metric),
        .target = MODEL_NONE,
        .balancer = MODEL_NONE};
    bool judged = made.kind == DICTIONARY_PROBE || made.kind == DICTIONARY_BALANCER;
    if (judged && !copy_labels(agent, &made, from)) return false;
    if (!judged && from->label_count == 1 && strcmp(from->labels[0].name, "device") == 0) {
        made.device = arena_strdup(&agent->arena, from->labels[0].value);
        if (made.device == NULL) return false;
    }
    resolve(agent, &made, model, config);
    if (agent->entry_count == agent->entry_room) {
        agent->entry_room = agent->entry_room > 0 ? agent->entry_room * 2 : 64;
        agent->entries = check_realloc_array(agent->entries, agent->entry_room, sizeof *agent->entries);
    }
    memmove(agent->entries + at + 1, agent->entries + at, (agent->entry_count - at) * sizeof *agent->entries);
    agent->entries[at] = made;
    agent->entry_count++;
    /* Its name may be no longer the only one. */
    for (size_t i = 0; made.kind == DICTIONARY_BALANCER && i < agent->entry_count; i++)
        if (is_same_server(&agent->entries[i], &made)) resolve(agent, &agent->entries[i], model, config);
    return true;
}

bool agent_learn(struct agent *agent, const struct wire_batch *batch, const struct model *model,
    const struct config *config)
{
    bool all = true;
    for (size_t i = 0; i < batch->dict_count; i++) all &= learn(agent, &batch->dict[i], model, config);
    return all;
}

const struct dictionary_entry *agent_entry(const struct agent *agent, uint32_t id)
{
    size_t at = entry_position(agent, id);
    return at < agent->entry_count && agent->entries[at].id == id ? &agent->entries[at] : NULL;
}

static void remember(struct received *received, uint64_t first, uint64_t last)
{
    if (received_add(received, first, last, NULL) == 0) return;
    /* Too many gaps. The lowest is oldest: what would fill it is too late to be judged. */
    if (received->range_count > 0) received_add(received, 1, received->ranges[0].first, NULL);
    received_add(received, first, last, NULL);
}

bool agent_receive(struct agent *agent, const struct wire_batch *batch)
{
    for (size_t i = 0; i < batch->gap_count; i++)
        remember(&agent->received, batch->gaps[i].from, batch->gaps[i].to);
    if (received_has(&agent->received, batch->sequence)) return false;
    remember(&agent->received, batch->sequence, batch->sequence);
    return true;
}
