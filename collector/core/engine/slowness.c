/* A balancer that is only slow: clipped CUSUM on ln(latency through it) - ln(median direct latency), which
 * cancels slow applications. Center and scale are learned in clean time; the threshold follows the
 * autocorrelation seen. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/engine/internal.h"

#define LEARNED_MIN  600
#define CLIP         3.0
#define DRIFT        .75
#define SCALE_MIN    .05
#define DIRECT_MAX   64
#define WORTH_FACTOR 1.5   /* a smaller slowdown is no incident, however sure */
#define WORTH_US     20000 /* and neither is one that nobody notices */

static int compare_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int64_t direct_median_us(const struct engine *engine, uint32_t service)
{
    int64_t values[DIRECT_MAX];
    size_t count = 0;
    for (uint32_t p = 0; p < engine->path_count && count < DIRECT_MAX; p++) {
        const struct path *path = &engine->paths[p];
        const struct model_target *target = &engine->model->targets[path->target];
        if (target->service != service || target->entrance != ENTRANCE_BACKEND || path->shallow ||
            path->aside)
            continue;
        if (!engine->ways[path->way].proven || !path_fresh(engine, path) || path->last.outcome != PROBE_OK)
            continue;
        values[count++] = path->last.total_us;
    }
    if (count < 2) return 0;
    qsort(values, count, sizeof values[0], compare_i64);
    return values[count / 2];
}

/* From Section 3 of the method: h for one false alarm in 30 days at this autocorrelation. */
static double threshold_for(double rho)
{
    static const struct {
        double rho, h;
    } rows[] = {{.1, 9.5}, {.5, 22}, {.9, 112}};
    if (rho <= rows[0].rho) return rows[0].h;
    for (size_t i = 1; i < sizeof rows / sizeof rows[0]; i++)
        if (rho <= rows[i].rho) {
            double t = (rho - rows[i - 1].rho) / (rows[i].rho - rows[i - 1].rho);
            return exp(log(rows[i - 1].h) + t * (log(rows[i].h) - log(rows[i - 1].h)));
        }
    return rows[2].h * 2;
}

static double autocorrelation(const struct balancer_run *run)
{
    double variance = run->scale * run->scale;
    double rho = variance > 0 ? run->product / variance : 0;
    return rho < 0 ? 0 : rho > .99 ? .99 : rho;
}

void slowness_observe(struct engine *engine, const struct path *path, int64_t total_us)
{
    const struct model_target *target = &engine->model->targets[path->target];
    if (path->shallow || path->aside || total_us <= 0) return;
    if (target->entrance != ENTRANCE_HOP && target->entrance != ENTRANCE_USERS) return;
    const struct model_service *service = &engine->model->services[target->service];
    /* Only the last hop has nothing but servers behind it. */
    if (service->hop_count == 0) return;
    uint32_t last = service->hops[service->hop_count - 1];
    if (target->entrance == ENTRANCE_USERS ? service->hop_count > 1 : target->balancer != last) return;
    int64_t direct = direct_median_us(engine, target->service);
    if (direct == 0) return;
    struct balancer_run *run = &engine->balancers[last];
    double r = log((double)total_us) - log((double)direct);
    double z = (r - run->center) / (run->scale > SCALE_MIN ? run->scale : SCALE_MIN);
    if (z > CLIP) z = CLIP;
    if (z < -CLIP) z = -CLIP;
    const struct group *group = &engine->groups[run->group];
    double h = threshold_for(autocorrelation(run));
    if (run->learned >= LEARNED_MIN) {
        if (run->cusum <= 0) run->slow_onset_ms = engine->now_ms;
        run->cusum += z - DRIFT;
        if (run->cusum < 0) run->cusum = 0;
        if (run->cusum > 2 * h) run->cusum = 2 * h;
        run->recent = .9 * run->recent + .1 * r;
    } else {
        run->recent = r;
    }
    /* Frozen while suspicious. Medians by stochastic approximation: a few outliers move nothing. */
    if (group->open_count > 0 || run->cusum > h / 2) return;
    double gain = run->learned < 100 ? 1.0 / (double)(run->learned + 1) : .01;
    if (run->learned < 100) {
        run->center += gain * (r - run->center);
        run->scale += gain * (fabs(r - run->center) * 1.4826 - run->scale);
    } else {
        double deviation = r - run->center;
        run->product += gain * (fmax(-9, fmin(9, deviation * run->last_r)) - run->product);
        run->center += gain * run->scale * (deviation > 0 ? 1 : -1);
        run->scale *= 1 + gain * (fabs(deviation) > .6745 * run->scale ? 1 : -1);
        if (run->scale < SCALE_MIN) run->scale = SCALE_MIN;
        run->last_r = deviation;
    }
    run->learned++;
    run->direct_us = direct;
}

static void open_slow(struct engine *engine, uint32_t b, double factor)
{
    struct balancer_run *run = &engine->balancers[b];
    char component[INCIDENT_COMPONENT_SIZE];
    snprintf(component, sizeof component, "lb:%s", engine->model->balancers[b].name);
    if (cause_find(engine, component) != NULL || engine->groups[run->group].open_count > 0) return;
    struct cause *cause = cause_new(engine, CAUSE_SLOWNESS, component, run->slow_onset_ms);
    if (cause == NULL) return;
    struct incident *incident = &cause->incident;
    incident->kind = COMPONENT_LB;
    incident->mode = MODE_SLOW;
    incident->confidence = CONFIDENCE_MEDIUM;
    incident->posterior = .95;
    incident->magnitude = factor;
    cause->warn_only = run->learned < SLOW_LEARNED_OUTCOMES * 20; /* not yet the daily load */
    incident->impact = IMPACT_NONE;
    incident->severity = cause->warn_only ? SEVERITY_WARNING : SEVERITY_TICKET;
    snprintf(incident->headline, sizeof incident->headline,
        "%s slow, likely: %.1f times its usual latency compared with the backends, which are as fast as ever",
        component, factor);
    incident_add_evidence(incident, component, "probe", exp(run->recent), exp(run->center),
        "through the balancer %.1f times as long as directly, usually %.1f times", exp(run->recent),
        exp(run->center));
    cause_tell(engine, cause, STEP_OPENED);
}

void slowness_step(struct engine *engine)
{
    if (engine->now_ms - engine->start_ms < WARM_UP_MS) return;
    for (uint32_t b = 0; b < engine->model->balancer_count; b++) {
        struct balancer_run *run = &engine->balancers[b];
        if (run->group == MODEL_NONE || run->learned < LEARNED_MIN) continue;
        double h = threshold_for(autocorrelation(run));
        double factor = exp(run->recent - run->center);
        double more_us = (exp(run->recent) - exp(run->center)) * (double)run->direct_us;
        if (run->cusum >= h && factor >= WORTH_FACTOR && more_us >= WORTH_US) open_slow(engine, b, factor);
        char component[INCIDENT_COMPONENT_SIZE];
        snprintf(component, sizeof component, "lb:%s", engine->model->balancers[b].name);
        struct cause *cause = cause_find(engine, component);
        if (cause == NULL || cause->source != CAUSE_SLOWNESS) continue;
        if (engine->groups[run->group].open_count > 0) {
            /* It no longer is only slow: the matrix speaks about the same balancer. */
            struct cause *other = cause_of_component(engine, component);
            if (other != NULL && other != cause) cause_absorb(engine, other, cause);
            continue;
        }
        if (run->cusum <= 0 && cause->recovered_ms == 0) cause->recovered_ms = engine->now_ms;
        if (run->cusum >= h) cause->recovered_ms = 0;
    }
}
