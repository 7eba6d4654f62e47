/* When nobody sees anything. Every probe of every observer fails, so every sum grows and none of them leads:
 * what is left is which place is likelier before any probe. It is told as a guess, with what would tell. */
#include "collector/core/engine/internal.h"
#include "common/check.h"

#define BLIND_WAIT_MS                                                                                        \
    2000 /* for paths that have not spoken since, beyond the lateness that let the sums rise */
#define OUTSIDE_WAIT_MS                                                                                      \
    4000 /* for references, which are asked every other second and may take two to fail                      \
          */
#define HOSTS_MAX 64

/* What the paths of a group have shown since the last good answer of any of them. */
struct view {
    int64_t last_good_ms; /* start of the newest good probe, 0 none */
    int64_t last_bad_ms;  /* start of the newest page that failed since */
    uint32_t hosts[HOSTS_MAX], host_count;
    uint32_t sites;       /* of these hosts; a host without a known site is one of its own */
    uint32_t site;        /* of the first */
    bool through, direct; /* pages fail there */
    bool connects, connects_fail;
    uint32_t answered, nothing; /* a refusal comes from a host that lives; silence from nobody */
    bool outside_answers;       /* a reference, asked by one of these hosts */
    bool open;                  /* somebody has not spoken yet */
    bool outside_open;          /* … about the references */
};

static bool belongs(const struct engine *engine, const struct path *path, uint32_t group)
{
    const struct model_target *target = &engine->model->targets[path->target];
    if (target->service == MODEL_NONE || engine->services[target->service].group != group) return false;
    if (target->entrance == ENTRANCE_STATS || !engine->ways[path->way].proven) return false;
    if (!path_fresh(engine, path) || engine->model->hosts[path->host].maintenance) return false;
    bool direct = target->entrance == ENTRANCE_BACKEND || target->entrance == ENTRANCE_HEALTH;
    if (direct && engine->backends[target->backend].excluded) return false;
    return path->aside || !engine->hosts[path->host].left_out; /* it speaks of itself only */
}

static int64_t last_good(const struct engine *engine, uint32_t group)
{
    int64_t last = 0;
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *path = &engine->paths[p];
        if (!belongs(engine, path, group)) continue;
        for (uint32_t i = 0; i < path->ring_count; i++)
            if (ending_is_good(&path->ring[i]) && path->ring[i].start_ms > last)
                last = path->ring[i].start_ms;
    }
    return last;
}

static void add_host(const struct engine *engine, struct view *view, uint32_t host)
{
    uint32_t site = engine->model->hosts[host].site;
    bool new_site = true;
    for (uint32_t i = 0; i < view->host_count; i++) {
        if (view->hosts[i] == host) return;
        if (site != MODEL_NONE && engine->model->hosts[view->hosts[i]].site == site) new_site = false;
    }
    if (view->host_count == HOSTS_MAX) return;
    if (view->host_count == 0) view->site = site;
    view->hosts[view->host_count++] = host;
    if (new_site) view->sites++;
}

static void look_at(const struct engine *engine, const struct path *path, struct view *view)
{
    const struct model_target *target = &engine->model->targets[path->target];
    const struct ending *newest = path_newest(path);
    bool connect = path->shallow && target->entrance == ENTRANCE_HOP;
    if (connect) view->connects = true;
    if (newest == NULL || newest->start_ms <= view->last_good_ms) {
        if (!path->shallow || connect) view->open = true;
        return;
    }
    if (connect) view->connects_fail = true;
    if (path->shallow || path->aside) return;
    if (newest->start_ms > view->last_bad_ms) view->last_bad_ms = newest->start_ms;
    add_host(engine, view, path->host);
    *(target->entrance == ENTRANCE_BACKEND ? &view->direct : &view->through) = true;
    if (newest->ended == ENDED_FAILED && newest->error != PROBE_ERROR_UNREACHABLE)
        view->answered++;
    else
        view->nothing++;
}

static void look_outside(const struct engine *engine, struct view *view, int64_t onset_ms)
{
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *path = &engine->paths[p];
        if (engine->model->targets[path->target].entrance != ENTRANCE_REFERENCE) continue;
        if (!engine->ways[path->way].proven || !path_fresh(engine, path)) continue;
        bool ours = false;
        for (uint32_t i = 0; i < view->host_count; i++) ours = ours || view->hosts[i] == path->host;
        if (!ours) continue;
        const struct ending *newest = path_newest(path);
        /* When the way out is back, the references may be the first to say so. */
        if (newest != NULL && newest->start_ms >= onset_ms && newest->start_ms < view->last_bad_ms &&
            ending_is_good(newest))
            view->outside_answers = true;
        else
            view->outside_open = true; /* not yet, or failing: then its observer is soon left out */
    }
}

static uint32_t place_in(
    const struct engine *engine, uint32_t group, enum place_kind kind, uint32_t host, uint32_t site)
{
    const struct group *g = &engine->groups[group];
    for (uint32_t i = 0; i < g->place_count; i++) {
        const struct place *place = &engine->places[g->places[i]];
        if (place->kind == kind && place->proven_paths > 0 && (host == MODEL_NONE || place->host == host) &&
            (site == MODEL_NONE || place->site == site))
            return g->places[i];
    }
    return MODEL_NONE;
}

/* The likeliest place, and what it cannot be told from. */
static void guess(const struct engine *engine, uint32_t group, const struct view *view, struct pick *pick)
{
    uint32_t lb = place_in(engine, group, PLACE_LB, MODEL_NONE, MODEL_NONE);
    uint32_t service = place_in(engine, group, PLACE_BACKENDS, MODEL_NONE, MODEL_NONE);
    if (service == MODEL_NONE) service = place_in(engine, group, PLACE_BACKEND, MODEL_NONE, MODEL_NONE);
    /* Several services that end together: what they share is the balancer. */
    bool shared = engine->groups[group].service_count > 1;
    uint32_t there = shared ? lb : service, other = shared ? service : lb;
    bool somebody_lives = view->answered > view->nothing;
    uint32_t here = MODEL_NONE;
    if (!view->outside_answers && !somebody_lives && view->sites == 1)
        here = view->host_count == 1 ? place_in(engine, group, PLACE_OBSERVER, view->hosts[0], MODEL_NONE)
               : view->site != MODEL_NONE ? place_in(engine, group, PLACE_EGRESS_ALL, MODEL_NONE, view->site)
                                          : MODEL_NONE;
    pick->place = here != MODEL_NONE ? here : there;
    pick->runner_up = here != MODEL_NONE ? there : other;
}

enum sight blind_review(struct engine *engine, uint32_t group, struct pick *pick)
{
    if (pick->choice == CHOICE_NONE) return SIGHT_SOME;
    struct view view = {.last_good_ms = last_good(engine, group)};
    for (uint32_t p = 0; p < engine->path_count; p++)
        if (belongs(engine, &engine->paths[p], group)) look_at(engine, &engine->paths[p], &view);
    if (view.open && view.last_good_ms >= pick->onset_ms) return SIGHT_SOME;
    int64_t onset_ms = view.last_good_ms > pick->onset_ms ? view.last_good_ms : pick->onset_ms;
    look_outside(engine, &view, onset_ms);
    int64_t waited = engine->now_ms - engine->groups[group].above_ms[LAYER_ALL][STREAM_FAIL];
    if (view.open && waited < BLIND_WAIT_MS) return SIGHT_OPEN;
    if (view.outside_open && !view.outside_answers && waited < OUTSIDE_WAIT_MS) return SIGHT_OPEN;
    /* One thing that fails is itself; it takes two that share nothing but us. A balancer that still takes
     * connections is seen. */
    if (!view.through || !view.direct || (view.connects && !view.connects_fail) || view.host_count == 0)
        return SIGHT_SOME;
    bool silent = view.nothing >= view.answered;
    if (!view.connects && (!silent || view.sites > 1)) return SIGHT_SOME; /* dead backends look the same */
    guess(engine, group, &view, pick);
    if (pick->place == MODEL_NONE) return SIGHT_SOME;
    pick->choice = CHOICE_GUESS;
    pick->blind = true;
    pick->q = MAGNITUDES - 1;
    pick->posterior = .5;
    pick->lead = 0;
    pick->onset_ms = onset_ms;
    return SIGHT_NONE;
}
