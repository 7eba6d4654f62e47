/* Which hypothesis the evidence names: the best score, above the threshold, ahead of every other component,
 * confirmed by a second round. */
#include <math.h>
#include <string.h>

#include "collector/core/engine/internal.h"

/* Log likelihood by which rates of their own explain the direct probes better: certainly, perhaps. */
#define DIFFERENT         7.0
#define PERHAPS_DIFFERENT 2.5

enum likeness { ALIKE, PERHAPS, DIFFER };

/* What one backend's direct probes have shown since a time. */
static void direct_counts(
    const struct engine *engine, uint32_t backend, int64_t since_ms, double *n, double *bad)
{
    *n = *bad = 0;
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *path = &engine->paths[p];
        const struct model_target *target = &engine->model->targets[path->target];
        if (target->entrance != ENTRANCE_BACKEND || target->backend != backend || path->shallow) continue;
        if (!engine->ways[path->way].proven) continue;
        struct tally tally = {0};
        tally_path(path, since_ms, &tally);
        *n += tally_all(&tally);
        *bad += tally_bad(&tally);
    }
}

static double bernoulli(double n, double bad)
{
    if (n <= 0) return 0;
    double p = bad / n;
    if (p < .001) p = .001;
    if (p > .999) p = .999;
    return bad * log(p) + (n - bad) * log(1 - p);
}

/* "All backends fail 35 %" also fits two dead ones of three. Each backend with a rate of its own against one
 * rate for all: where their own rates explain the direct probes better, the worst of them that is not told
 * yet is the place (none: MODEL_NONE), the others follow. */
static enum likeness backends_alike(
    const struct engine *engine, const struct place *place, int64_t since_ms, uint32_t *worst)
{
    const struct model_service *service = &engine->model->services[place->service];
    double each = 0, n_all = 0, bad_all = 0, most = 0;
    bool spared = false, dead = false;
    *worst = MODEL_NONE;
    for (uint32_t i = 0; i < service->backend_count; i++) {
        double n, bad;
        uint32_t b = service->first_backend + i;
        if (engine->backends[b].excluded) continue;
        direct_counts(engine, b, since_ms, &n, &bad);
        each += bernoulli(n, bad);
        n_all += n;
        bad_all += bad;
        if (n >= 3 && bad == 0) spared = true;
        if (bad < 3 || bad < .8 * n) continue;
        dead = true;
        if (bad <= most) continue;
        for (uint32_t k = 0; k < engine->groups[place->group].place_count; k++) {
            uint32_t index = engine->groups[place->group].places[k];
            const struct place *own = &engine->places[index];
            if (own->kind != PLACE_BACKEND || own->backend != b || own->open) continue;
            most = bad;
            *worst = index;
        }
    }
    double better = each - bernoulli(n_all, bad_all);
    if (!spared || !dead || better < PERHAPS_DIFFERENT) return ALIKE;
    return better < DIFFERENT ? PERHAPS : DIFFER;
}

static bool path_has_spoken(const struct path *path, int64_t since_ms)
{
    const struct ending *newest = path_newest(path);
    return newest != NULL && newest->start_ms >= since_ms;
}

/* A backend's health URL, asked since then, by anybody. */
static bool health_has_spoken(const struct engine *engine, uint32_t backend, int64_t since_ms)
{
    bool any = false;
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *path = &engine->paths[p];
        const struct model_target *target = &engine->model->targets[path->target];
        if (target->entrance != ENTRANCE_HEALTH || target->backend != backend || !path_fresh(engine, path))
            continue;
        if (path_has_spoken(path, since_ms)) return true;
        any = true;
    }
    return !any;
}

/* Whether something that the place covers has nothing to say yet about what began at this time: each page
 * path, and, where all backends are blamed, their health URLs, which decide what to call it. */
static bool round_is_open(const struct engine *engine, uint32_t index, int64_t onset_ms)
{
    const struct place *place = &engine->places[index];
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *path = &engine->paths[p];
        if (path->shallow || !engine->ways[path->way].proven || !path_fresh(engine, path)) continue;
        if (engine->model->targets[path->target].entrance == ENTRANCE_REFERENCE) continue;
        if (place_covers_path(engine, index, p) && !path_has_spoken(path, onset_ms)) return true;
    }
    if (place->kind == PLACE_BACKEND) return !health_has_spoken(engine, place->backend, onset_ms);
    if (place->kind != PLACE_BACKENDS) return false;
    const struct model_service *service = &engine->model->services[place->service];
    for (uint32_t i = 0; i < service->backend_count; i++)
        if (!engine->backends[service->first_backend + i].excluded &&
            !health_has_spoken(engine, service->first_backend + i, onset_ms))
            return true;
    return false;
}

struct ranking {
    uint32_t best, next;
    double best_score, next_score;
    int best_q;
    double others; /* sum of exp(score - best) over the other components */
};

static struct ranking rank(struct engine *engine, uint32_t index, enum layer layer, enum stream stream)
{
    const struct group *group = &engine->groups[index];
    struct ranking r = {.best = MODEL_NONE, .next = MODEL_NONE};
    for (uint32_t i = 0; i < group->place_count; i++) {
        const struct place *place = &engine->places[group->places[i]];
        if (!place->live || (layer == LAYER_REST && place->open)) continue;
        int q;
        double score = place_score(engine, place, layer, stream, &q);
        if (score > r.best_score) {
            r.best = group->places[i];
            r.best_score = score;
            r.best_q = q;
        }
    }
    return r;
}

static void rank_others(
    struct engine *engine, struct ranking *r, enum layer layer, enum stream stream, uint32_t excused)
{
    const struct group *group = &engine->groups[engine->places[r->best].group];
    for (uint32_t i = 0; i < group->place_count; i++) {
        uint32_t index = group->places[i];
        const struct place *place = &engine->places[index];
        if (!place->live || place_same_component(engine, index, r->best) || index == excused) continue;
        if (layer == LAYER_REST && place->open) continue;
        double score = place_score(engine, place, layer, stream, NULL);
        if (score <= 0) continue;
        r->others += exp(score - r->best_score);
        if (score > r->next_score) {
            r->next_score = score;
            r->next = index;
        }
    }
}

struct pick select_verdict(struct engine *engine, uint32_t index, enum layer layer, enum stream stream)
{
    struct group *group = &engine->groups[index];
    struct pick pick = {
        .choice = CHOICE_NONE, .place = MODEL_NONE, .runner_up = MODEL_NONE, .stream = stream};
    if (!group->above[layer][stream]) return pick;
    struct ranking r = rank(engine, index, layer, stream);
    if (r.best == MODEL_NONE || r.best_score < engine->threshold) {
        group->above[layer][stream] = false;
        group->above_ms[layer][stream] = group->led_ms[layer][stream] = 0;
        return pick;
    }
    uint32_t excused = MODEL_NONE;
    const struct place *best = &engine->places[r.best];
    int64_t onset_ms = best->sums[layer][stream].onset_ms[r.best_q];
    int64_t last_bad_ms = best->sums[layer][stream].last_bad_ms;
    uint32_t worst;
    enum likeness alike =
        best->kind == PLACE_BACKENDS ? backends_alike(engine, best, onset_ms, &worst) : ALIKE;
    if (alike == DIFFER) {
        if (worst == MODEL_NONE) return pick;
        excused = r.best;
        r.best = worst;
        r.best_q = MAGNITUDES - 1;
    }
    rank_others(engine, &r, layer, stream, excused);
    if (excused != MODEL_NONE) {
        /* The other dead ones are no rivals either. */
        r.next_score =
            r.next_score < r.best_score - LEAD_CERTAIN ? r.next_score : r.best_score - LEAD_CERTAIN;
        r.others = r.others < .005 ? r.others : .005;
    }

    pick.place = r.best;
    pick.runner_up = r.next;
    pick.q = r.best_q;
    pick.score = r.best_score;
    pick.lead = r.best_score - r.next_score;
    pick.posterior = 1 / (1 + r.others);
    pick.onset_ms = onset_ms;
    int64_t now = engine->now_ms;
    if (group->above_ms[layer][stream] == 0) group->above_ms[layer][stream] = now;
    pick.choice = CHOICE_WAIT;
    if (last_bad_ms - onset_ms < CONFIRM_MS) return pick;
    if (pick.lead < LEAD_MIN) {
        group->led_ms[layer][stream] = 0;
        if (now - group->above_ms[layer][stream] >= AMBIGUITY_MS) pick.choice = CHOICE_GUESS;
        return pick;
    }
    if (group->led_ms[layer][stream] == 0) group->led_ms[layer][stream] = now;
    /* A moment more, so that the first word already counts what every observer has seen. */
    if (alike == PERHAPS && now - group->led_ms[layer][stream] < ALIKE_WAIT_MS) return pick;
    bool backend = best->kind == PLACE_BACKENDS || best->kind == PLACE_BACKEND;
    int64_t patience = backend ? HEALTH_WAIT_MS : ROUND_WAIT_MS;
    if (now - group->led_ms[layer][stream] < patience &&
        round_is_open(engine, excused != MODEL_NONE ? excused : r.best, onset_ms))
        return pick;
    if (pick.posterior < .99 && now - group->led_ms[layer][stream] < CERTAINTY_WAIT_MS) return pick;
    pick.choice = CHOICE_VERDICT;
    return pick;
}
