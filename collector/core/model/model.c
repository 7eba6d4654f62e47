#include "collector/core/model/model.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/model/model_build.h"
#include "common/check.h"
#include "common/cleanup.h"

static const char *const entrance_words[] = {
    [ENTRANCE_USERS] = "users",
    [ENTRANCE_HOP] = "hop",
    [ENTRANCE_BACKEND] = "backend",
    [ENTRANCE_HEALTH] = "health",
    [ENTRANCE_REFERENCE] = "reference",
    [ENTRANCE_STATS] = "stats",
};
static_assert(ARRAY_COUNT(entrance_words) == ENTRANCE_COUNT, "a word per entrance");

const char *model_entrance_word(enum model_entrance entrance)
{
    return (unsigned)entrance < ENTRANCE_COUNT ? entrance_words[entrance] : "unknown";
}

static uint32_t index_of(size_t index)
{
    return index == CONFIG_NONE ? MODEL_NONE : (uint32_t)index;
}

static void *array(struct model *model, size_t count, size_t size)
{
    return arena_alloc_array(model->arena, count > 0 ? count : 1, size);
}

static const char *text(struct model *model, const char *value)
{
    return arena_strdup(model->arena, value != NULL ? value : "");
}

static uint32_t zone_index(struct model *model, const char *name)
{
    if (name == NULL || name[0] == '\0') return MODEL_NONE;
    for (uint32_t i = 0; i < model->zone_count; i++)
        if (strcmp(model->zones[i].name, name) == 0) return i;
    model->zones[model->zone_count].name = text(model, name);
    return model->zone_count++;
}

static void add_sites(struct model_build *build)
{
    const struct config *config = build->config;
    struct model *model = build->model;
    model->sites = array(model, config->site_count, sizeof *model->sites);
    for (; model->site_count < config->site_count; model->site_count++) {
        const struct config_site *from = &config->sites[model->site_count];
        model->sites[model->site_count] =
            (struct model_site){.name = text(model, from->name), .provider = text(model, from->provider)};
    }
}

/* The config's hosts under the config's indexes, then those that are enrolled without being in it. */
static void add_hosts(
    struct model_build *build, const char *const *present, size_t present_count, size_t unheard)
{
    const struct config *config = build->config;
    struct model *model = build->model;
    size_t most = config->host_count + present_count;
    model->zones = array(model, config->host_count, sizeof *model->zones);
    model->hosts = array(model, most, sizeof *model->hosts);
    build->enrolled = check_alloc_array(most > 0 ? most : 1, sizeof *build->enrolled);
    build->unheard = check_alloc_array(most > 0 ? most : 1, sizeof *build->unheard);
    for (; model->host_count < config->host_count; model->host_count++) {
        const struct config_host *from = &config->hosts[model->host_count];
        model->hosts[model->host_count] = (struct model_host){.name = text(model, from->name),
            .site = index_of(from->site),
            .zone = zone_index(model, from->zone),
            .maintenance = from->maintenance};
    }
    for (size_t i = 0; i < present_count; i++) {
        uint32_t host = model_host_find(model, present[i]);
        if (host == MODEL_NONE) {
            host = model->host_count++;
            model->hosts[host] =
                (struct model_host){.name = text(model, present[i]), .site = MODEL_NONE, .zone = MODEL_NONE};
        }
        build->enrolled[host] = true;
        build->unheard[host] = i >= present_count - unheard;
    }
}

static void add_balancers(struct model_build *build)
{
    const struct config *config = build->config;
    struct model *model = build->model;
    model->balancers = array(model, config->balancer_count, sizeof *model->balancers);
    for (; model->balancer_count < config->balancer_count; model->balancer_count++) {
        const struct config_balancer *from = &config->balancers[model->balancer_count];
        model->balancers[model->balancer_count] =
            (struct model_balancer){.name = text(model, from->name), .host = index_of(from->host)};
    }
}

static void add_backends(struct model *model, const struct config_service *from, uint32_t service)
{
    model->services[service].first_backend = model->backend_count;
    model->services[service].backend_count = (uint32_t)from->backend_count;
    for (size_t i = 0; i < from->backend_count; i++) {
        uint32_t host = index_of(from->backends[i].host);
        model->backends[model->backend_count++] = (struct model_backend){
            .name = text(model, from->backends[i].name),
            .service = service,
            .host = host,
            .zone = host != MODEL_NONE ? model->hosts[host].zone : MODEL_NONE,
            .state = from->backends[i].state,
        };
    }
}

static uint32_t capacity_needed(const struct config_service *from)
{
    uint32_t count = (uint32_t)from->backend_count;
    if (count == 0) return 0;
    if (from->capacity_needed > 0) return from->capacity_needed < count ? from->capacity_needed : count;
    return count > 1 ? count - 1 : 1;
}

static void add_service(struct model_build *build, const struct config_service *from)
{
    struct model *model = build->model;
    uint32_t index = model->service_count++;
    struct model_service *service = &model->services[index];
    *service = (struct model_service){
        .name = text(model, from->name), .kind = from->kind, .capacity_needed = capacity_needed(from)};
    service->hops = array(model, from->through_count, sizeof *service->hops);
    for (size_t i = 0; i < from->through_count; i++)
        service->hops[service->hop_count++] = (uint32_t)from->through[i].balancer;
    service->depends_on = array(model, from->depends_count, sizeof *service->depends_on);
    for (size_t i = 0; i < from->depends_count; i++)
        service->depends_on[service->depends_count++] = (uint32_t)from->depends_on[i];
    const char **alternatives = array(model, from->alternatives.count, sizeof *alternatives);
    for (size_t i = 0; i < from->alternatives.count; i++)
        alternatives[i] = text(model, from->alternatives.items[i]);
    service->alternatives = alternatives;
    service->alternative_count = (uint32_t)from->alternatives.count;
    add_backends(model, from, index);
    model_choose_observers(build, index);
}

static void add_services(struct model_build *build)
{
    const struct config *config = build->config;
    struct model *model = build->model;
    size_t backends = 0;
    for (size_t i = 0; i < config->service_count; i++) backends += config->services[i].backend_count;
    model->services = array(model, config->service_count, sizeof *model->services);
    model->backends = array(model, backends, sizeof *model->backends);
    for (size_t i = 0; i < config->service_count; i++) add_service(build, &config->services[i]);
}

struct model *model_build(
    const struct config *config, const char *const *present, size_t present_count, struct error *err)
{
    return model_build_unheard(config, present, present_count, 0, err);
}

struct model *model_build_unheard(const struct config *config, const char *const *present,
    size_t present_count, size_t unheard, struct error *err)
{
    struct model *model = check_alloc(sizeof *model);
    model->arena = check_alloc(sizeof *model->arena);
    model->letter = config->collector.letter != NULL && config->collector.letter[0] != '\0'
                        ? config->collector.letter[0]
                        : 'A';
    struct model_build build = {.config = config, .model = model};
    add_sites(&build);
    add_hosts(&build, present, present_count, unheard);
    add_balancers(&build);
    add_services(&build);
    int result = model_add_targets(&build, err);
    free(build.enrolled);
    free(build.unheard);
    if (result == 0) return model;
    model_free(model);
    return NULL;
}

void model_free(struct model *model)
{
    if (model == NULL) return;
    if (model->arena != NULL) arena_fini(model->arena);
    free(model->arena);
    free(model);
}

uint32_t model_host_find(const struct model *model, const char *name)
{
    for (uint32_t i = 0; i < model->host_count; i++)
        if (strcmp(model->hosts[i].name, name) == 0) return i;
    return MODEL_NONE;
}

uint32_t model_target_find(const struct model *model, uint64_t key)
{
    for (uint32_t i = 0; i < model->target_count; i++)
        if (model->targets[i].key == key) return i;
    return MODEL_NONE;
}

static const char *label(const struct wire_label *labels, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(labels[i].name, name) == 0) return labels[i].value;
    return "";
}

/* Every label of the target stands in the data; `address` may be one more there, filled in by the observer.
 */
static bool labels_match(const struct model_target *target, const struct wire_label *labels, size_t count)
{
    size_t same = 0;
    for (size_t i = 0; i < target->wire.label_count; i++) {
        const struct wire_label *own = &target->wire.labels[i];
        if (strcmp(label(labels, count, own->name), own->value) != 0) return false;
        same++;
    }
    bool filled_in = target->address[0] == '\0' && label(labels, count, "address")[0] != '\0';
    return same + (filled_in ? 1 : 0) == count;
}

uint32_t model_target_by_labels(const struct model *model, const struct wire_label *labels, size_t count)
{
    for (uint32_t i = 0; i < model->target_count; i++)
        if (labels_match(&model->targets[i], labels, count)) return i;
    return MODEL_NONE;
}
