/* Who observes a service: rendezvous hashing, so that hosts that come or go move as few choices as possible.
 */
#include <string.h>
#include <xxhash.h>

#include "collector/core/model/model_build.h"

/* In the order of preference. Hosts of the service itself share its fate and observe only where others are
 * too few. */
enum standing { STANDING_APART, STANDING_OF_BACKEND, STANDING_OF_BALANCER, STANDING_COUNT, STANDING_NOT };

#define OBSERVERS_DEFAULT 3

static enum standing host_standing(const struct model_build *build, uint32_t service, uint32_t host)
{
    const struct model *model = build->model;
    const struct model_service *of = &model->services[service];
    if (!build->enrolled[host] || model->hosts[host].maintenance) return STANDING_NOT;
    if (host < build->config->host_count && !build->config->hosts[host].observer) return STANDING_NOT;
    for (uint32_t i = 0; i < of->hop_count; i++)
        if (model->balancers[of->hops[i]].host == host) return STANDING_OF_BALANCER;
    for (uint32_t i = 0; i < of->backend_count; i++)
        if (model->backends[of->first_backend + i].host == host) return STANDING_OF_BACKEND;
    const struct config_service *config = &build->config->services[service];
    for (size_t i = 0; i < config->host_count; i++)
        if (config->hosts[i] == host) return STANDING_OF_BACKEND;
    return STANDING_APART;
}

/* How many of the chosen share the host's site, and its zone. */
static uint32_t companions(
    const struct model *model, const struct model_service *service, uint32_t host, bool zone)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < service->observer_count; i++) {
        const struct model_host *chosen = &model->hosts[service->observers[i]],
                                *candidate = &model->hosts[host];
        count += zone ? chosen->zone == candidate->zone : chosen->site == candidate->site;
    }
    return count;
}

static bool is_chosen(const struct model_service *service, uint32_t host)
{
    for (uint32_t i = 0; i < service->observer_count; i++)
        if (service->observers[i] == host) return true;
    return false;
}

static uint64_t weight(const char *service, const char *host)
{
    return XXH3_64bits_withSeed(host, strlen(host), XXH3_64bits(service, strlen(service)));
}

/* The best host of a standing: of the least used site, then zone, then by weight. */
static uint32_t choose(const struct model_build *build, uint32_t index, enum standing standing, bool unheard)
{
    const struct model *model = build->model;
    const struct model_service *service = &model->services[index];
    uint32_t best = MODEL_NONE;
    uint64_t best_rank[3] = {0};
    for (uint32_t host = 0; host < model->host_count; host++) {
        if (host_standing(build, index, host) != standing || is_chosen(service, host)) continue;
        if (build->unheard[host] != unheard) continue;
        const uint64_t rank[3] = {companions(model, service, host, false),
            companions(model, service, host, true), ~weight(service->name, model->hosts[host].name)};
        size_t i = 0;
        while (i < 2 && rank[i] == best_rank[i]) i++;
        if (best != MODEL_NONE && rank[i] >= best_rank[i]) continue;
        best = host;
        memcpy(best_rank, rank, sizeof rank);
    }
    return best;
}

/* Those of whom nothing was heard yet may never come: they take the places that are left. */
void model_choose_observers(const struct model_build *build, uint32_t index)
{
    struct model_service *service = &build->model->services[index];
    uint32_t wanted = build->config->services[index].observers;
    if (wanted == 0) wanted = OBSERVERS_DEFAULT;
    if (wanted > MODEL_OBSERVERS_MAX) wanted = MODEL_OBSERVERS_MAX;
    for (uint32_t turn = 0; turn < 2 * STANDING_COUNT; turn++) {
        enum standing standing = (enum standing)(turn % STANDING_COUNT);
        /* With three views a place can be told; more of those that share the service's fate add nothing. */
        uint32_t most = standing != STANDING_APART && wanted > OBSERVERS_DEFAULT ? OBSERVERS_DEFAULT : wanted;
        while (service->observer_count < most) {
            uint32_t host = choose(build, index, standing, turn >= STANDING_COUNT);
            if (host == MODEL_NONE) break;
            service->observers[service->observer_count++] = host;
        }
    }
}
