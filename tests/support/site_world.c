#include "tests/support/site_world.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

#define TIMEOUT_MS 2000
#define STEP_MS    50

enum event_kind { EVENT_PROBE, EVENT_ARRIVES, EVENT_BEAT };
struct event {
    int64_t at_ms;
    uint64_t order; /* ties are first come, first served */
    enum event_kind kind;
    uint32_t host, target, address; /* address: index, UINT32_MAX none */
    int64_t every_ms, until_ms;     /* PROBE: grid (until_ms 0) or burst */
    struct probe_result result;     /* ARRIVES */
};

struct waiting { /* good outcomes wait for the second's batch or for a failure that takes them along */
    struct event *items;
    size_t count, room;
};

struct world_events {
    struct event *heap;
    size_t count, room;
    uint64_t order;
    struct waiting waiting[WORLD_MOST];
    uint32_t late_after_ms[WORLD_MOST * 4];
    int64_t second;
    float *latent; /* noise of each path */
    double noise_limit, noise_of;
};

/* ---- random ---- */

static uint64_t next_random(struct world *world)
{
    uint64_t x = world->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    world->random = x;
    return x * 0x2545F4914F6CDD1Dull;
}

static double uniform(struct world *world)
{
    return (double)(next_random(world) >> 11) / 9007199254740992.0;
}

static double normal(struct world *world)
{
    double u = uniform(world), v = uniform(world);
    return sqrt(-2 * log(u + 1e-300)) * cos(2 * 3.14159265358979 * v);
}

/* ---- events ---- */

static bool before(const struct event *a, const struct event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void push(struct world *world, struct event event)
{
    struct world_events *e = world->events;
    if (e->count == e->room) {
        e->room = e->room > 0 ? e->room * 2 : 1024;
        e->heap = check_realloc_array(e->heap, e->room, sizeof *e->heap);
    }
    event.order = e->order++;
    size_t i = e->count++;
    while (i > 0 && before(&event, &e->heap[(i - 1) / 2])) {
        e->heap[i] = e->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    e->heap[i] = event;
}

static struct event pop(struct world_events *e)
{
    struct event top = e->heap[0];
    struct event last = e->heap[--e->count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= e->count) break;
        if (child + 1 < e->count && before(&e->heap[child + 1], &e->heap[child])) child++;
        if (!before(&e->heap[child], &last)) break;
        e->heap[i] = e->heap[child];
        i = child;
    }
    if (e->count > 0) e->heap[i] = last;
    return top;
}

/* ---- how a probe ends ---- */

struct end {
    enum probe_error error; /* NONE: good */
    uint32_t code;
    double total_us;
};

static struct end good_end(struct world *world)
{
    double us = world->latency_us * exp(.3 * normal(world));
    return (struct end){.error = PROBE_ERROR_NONE, .code = 200, .total_us = us};
}

static struct end fault_end(struct world *world, enum world_fault fault)
{
    struct end end = good_end(world);
    switch (fault) {
    case WORLD_FINE: break;
    case WORLD_REFUSES: end.error = PROBE_ERROR_REFUSED; break;
    case WORLD_DROPS:
        end.error = PROBE_ERROR_CONNECT_TIMEOUT;
        end.total_us = TIMEOUT_MS * 1000;
        break;
    case WORLD_HANGS:
        end.error = PROBE_ERROR_NO_ANSWER;
        end.total_us = TIMEOUT_MS * 1000;
        break;
    case WORLD_ERRORS:
        end.error = PROBE_ERROR_STATUS;
        end.code = 503;
        break;
    case WORLD_SLOW: end.total_us += world->slow_us; break;
    }
    return end;
}

static bool strikes(struct world *world, enum world_fault fault, double share)
{
    return fault != WORLD_FINE && (share <= 0 || uniform(world) < share);
}

static enum world_fault cut_as(const struct world *world)
{
    return world->cut_as != WORLD_FINE ? world->cut_as : WORLD_DROPS;
}

/* The limit that a standard normal exceeds with probability p, by bisection on erfc. */
static double normal_limit(double p)
{
    double low = 0, high = 8;
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        *(erfc(middle / sqrt(2)) / 2 > p ? &low : &high) = middle;
    }
    return low;
}

static bool is_noise(struct world *world, const struct event *e)
{
    if (world->noise_rho <= 0) return uniform(world) < world->noise;
    struct world_events *events = world->events;
    if (events->latent == NULL)
        events->latent =
            check_alloc_array((size_t)world->model->host_count * world->model->target_count, sizeof(float));
    if (events->noise_of < world->noise || events->noise_of > world->noise) {
        events->noise_of = world->noise;
        events->noise_limit = normal_limit(world->noise);
    }
    float *z = &events->latent[(size_t)e->host * world->model->target_count + e->target];
    *z = (float)(world->noise_rho * *z + sqrt(1 - world->noise_rho * world->noise_rho) * normal(world));
    return *z > events->noise_limit;
}

static bool connect_sees(enum world_fault fault)
{
    return fault == WORLD_REFUSES || fault == WORLD_DROPS;
}

static struct end at_backend(struct world *world, uint32_t b, enum model_entrance entrance, bool connect)
{
    if (strikes(world, world->backend[b], world->backend_share[b]) &&
        (!connect || connect_sees(world->backend[b])))
        return fault_end(world, world->backend[b]);
    if (entrance == ENTRANCE_HEALTH && world->health_503[b]) return fault_end(world, WORLD_ERRORS);
    if (!connect && entrance != ENTRANCE_HEALTH && world->page[b] != WORLD_FINE)
        return fault_end(world, world->page[b]);
    return good_end(world);
}

static struct end through(struct world *world, const struct event *e, const struct model_target *target)
{
    const struct model_service *s = &world->model->services[target->service];
    bool connect = target->probe == PROBE_TCP;
    uint32_t from = target->entrance == ENTRANCE_HOP ? target->hop : 0;
    for (uint32_t i = from; i < s->hop_count; i++) {
        uint32_t b = s->hops[i];
        if (i == from) {
            if (world->to_balancer_cut[e->host] &&
                strikes(world, cut_as(world), world->to_balancer_share[e->host]))
                return fault_end(world, cut_as(world));
            if (e->address != UINT32_MAX && world->address[b][e->address] != WORLD_FINE)
                return fault_end(world, world->address[b][e->address]);
        }
        if (strikes(world, world->balancer[b], world->balancer_share[b]) &&
            (!connect || connect_sees(world->balancer[b])))
            return fault_end(world, world->balancer[b]);
        if (connect) return good_end(world);
        if (world->behind_balancer[b] != WORLD_FINE) return fault_end(world, world->behind_balancer[b]);
    }
    if (s->backend_count == 0) return good_end(world);
    uint32_t in[64], count = 0;
    for (uint32_t i = 0; i < s->backend_count && count < 64; i++)
        if (!world->out_of_rotation[s->first_backend + i]) in[count++] = s->first_backend + i;
    if (count == 0) return fault_end(world, WORLD_ERRORS);
    return at_backend(world, in[next_random(world) % count], ENTRANCE_BACKEND, false);
}

static struct end probe_end(struct world *world, const struct event *e)
{
    const struct model_target *target = &world->model->targets[e->target];
    if (e->target < WORLD_MOST && world->answer[e->target] != PROBE_ERROR_NONE) {
        struct end end = good_end(world);
        end.error = world->answer[e->target];
        end.code = world->answer_code[e->target];
        if (end.error == PROBE_ERROR_CONNECT_TIMEOUT) end.total_us = TIMEOUT_MS * 1000;
        return end;
    }
    if (world->observer_cut[e->host] && strikes(world, cut_as(world), world->observer_share[e->host]))
        return fault_end(world, cut_as(world));
    if (world->noise > 0 && is_noise(world, e)) return fault_end(world, WORLD_ERRORS);
    switch (target->entrance) {
    case ENTRANCE_USERS:
    case ENTRANCE_HOP: return through(world, e, target);
    case ENTRANCE_BACKEND:
    case ENTRANCE_HEALTH: {
        bool aside = true;
        const struct model_service *s = &world->model->services[target->service];
        for (uint32_t i = 0; i < s->observer_count; i++) aside = aside && s->observers[i] != e->host;
        if (aside && s->hop_count > 0) {
            if (world->unreachable_from_balancer[target->backend]) return fault_end(world, WORLD_DROPS);
            enum world_fault route = world->behind_balancer[s->hops[s->hop_count - 1]];
            if (route != WORLD_FINE) return fault_end(world, route == WORLD_ERRORS ? WORLD_DROPS : route);
        }
        if (target->backend < 8 && world->to_backend_cut[e->host][target->backend])
            return fault_end(world, WORLD_DROPS);
        return at_backend(world, target->backend, target->entrance, target->probe == PROBE_TCP);
    }
    case ENTRANCE_REFERENCE: return world->references_down ? fault_end(world, WORLD_DROPS) : good_end(world);
    case ENTRANCE_STATS:
    case ENTRANCE_COUNT: break;
    }
    return good_end(world);
}

/* ---- agents ---- */

static void deliver(struct world *world, const struct event *e)
{
    char address[64] = "";
    const struct model_target *target = &world->model->targets[e->target];
    if (target->address[0] != '\0') snprintf(address, sizeof address, "%s", target->address);
    struct engine_observation observation = {
        .host = e->host, .target = e->target, .address = address, .result = e->result};
    engine_heard(world->engine, e->host, world->now_ms);
    engine_observe(world->engine, &observation, world->now_ms);
    world->observations++;
}

static void flush(struct world *world, uint32_t host)
{
    struct waiting *w = &world->events->waiting[host];
    for (size_t i = 0; i < w->count; i++) deliver(world, &w->items[i]);
    w->count = 0;
}

static void wait_for_batch(struct world *world, const struct event *e)
{
    struct waiting *w = &world->events->waiting[e->host];
    if (w->count == w->room) {
        w->room = w->room > 0 ? w->room * 2 : 64;
        w->items = check_realloc_array(w->items, w->room, sizeof *w->items);
    }
    w->items[w->count++] = *e;
}

static void arrive(struct world *world, const struct event *e)
{
    if (world->agent_dead[e->host] || world->probes_stop[e->host]) return;
    bool slow = e->result.total_us > (int64_t)world->events->late_after_ms[e->target] * 1000;
    if (e->result.outcome == PROBE_OK && !slow) {
        wait_for_batch(world, e);
        return;
    }
    flush(world, e->host);
    deliver(world, e);
}

static void count_sent(struct world *world, uint32_t target)
{
    if (world->now_ms / 1000 != world->events->second) {
        world->events->second = world->now_ms / 1000;
        memset(world->sent_in_second, 0, sizeof world->sent_in_second);
    }
    if (target >= WORLD_MOST) return;
    uint32_t sent = ++world->sent_in_second[target];
    if (sent > world->sent_in_second_max[target]) world->sent_in_second_max[target] = sent;
}

static void probe(struct world *world, const struct event *e)
{
    count_sent(world, e->target);
    struct end end = probe_end(world, e);
    struct event arrival = *e;
    arrival.kind = EVENT_ARRIVES;
    arrival.result = (struct probe_result){.start_ms = world->now_ms,
        .outcome = end.error == PROBE_ERROR_NONE ? PROBE_OK : PROBE_FAIL,
        .error = end.error,
        .code = end.code,
        .flags = e->until_ms != 0 ? PROBE_FLAG_BURST : 0,
        .resolve_us = -1,
        .connect_us = -1,
        .tls_us = -1,
        .first_byte_us = -1,
        .total_us = (int64_t)end.total_us};
    int64_t late_ms = world->events->late_after_ms[e->target];
    if (arrival.result.total_us > late_ms * 1000) {
        struct event late = arrival;
        late.at_ms = world->now_ms + late_ms + 3;
        late.result.outcome = PROBE_LATE;
        late.result.error = PROBE_ERROR_NONE;
        late.result.total_us = late_ms * 1000;
        push(world, late);
    }
    if (arrival.result.total_us > TIMEOUT_MS * 1000) {
        arrival.result.outcome = PROBE_FAIL;
        arrival.result.error = PROBE_ERROR_NO_ANSWER;
        arrival.result.total_us = TIMEOUT_MS * 1000;
    }
    arrival.at_ms = world->now_ms + arrival.result.total_us / 1000 + 3;
    push(world, arrival);
    struct event next = *e;
    next.at_ms += e->every_ms;
    if (e->until_ms == 0 || next.at_ms < e->until_ms) push(world, next);
}

static void beat(struct world *world, const struct event *e)
{
    struct event next = *e;
    next.at_ms += 1000;
    push(world, next);
    if (world->agent_dead[e->host]) {
        world->events->waiting[e->host].count = 0;
        return;
    }
    engine_heard(world->engine, e->host, world->now_ms);
    flush(world, e->host);
}

static void plan(struct world *world)
{
    for (uint32_t h = 0; h < world->model->host_count; h++)
        push(world, (struct event){.at_ms = world->now_ms + 1 + (int64_t)(next_random(world) % 1000),
                        .kind = EVENT_BEAT,
                        .host = h});
    for (uint32_t t = 0; t < world->model->target_count; t++) {
        const struct model_target *target = &world->model->targets[t];
        world->events->late_after_ms[t] = target->wire.late_after_ms;
        uint32_t address = UINT32_MAX;
        if (target->address[0] != '\0') {
            uint32_t count;
            const char *const *all = builder_addresses(world->site, target->balancer, &count);
            for (uint32_t a = 0; a < count; a++)
                if (strcmp(all[a], target->address) == 0) address = a;
        }
        /* Observers share out the second, targets follow each other, as a plan does. */
        for (uint32_t i = 0; i < target->observer_count; i++) {
            int64_t every = target->wire.interval_ms;
            int64_t phase = every * i / target->observer_count + 7 * t;
            push(world, (struct event){.at_ms = world->now_ms + 1 + phase % every,
                            .kind = EVENT_PROBE,
                            .host = target->observers[i],
                            .target = t,
                            .address = address,
                            .every_ms = every});
        }
    }
}

struct world *world_new(struct site_builder *site, uint64_t seed)
{
    struct world *world = check_alloc(sizeof *world);
    world->site = site;
    world->model = builder_model(site);
    CHECK(world->model->host_count <= WORLD_MOST && world->model->target_count <= WORLD_MOST * 4);
    world->events = check_alloc(sizeof *world->events);
    world->random = seed * 0x9E3779B97F4A7C15ull + 1;
    world->now_ms = WORLD_START_MS;
    world->latency_us = 2000;
    world->engine = engine_new(world->model, world->now_ms);
    plan(world);
    return world;
}

void world_free(struct world *world)
{
    if (world == NULL) return;
    engine_free(world->engine);
    builder_free(world->site);
    for (size_t i = 0; i < WORLD_MOST; i++) free(world->events->waiting[i].items);
    free(world->events->heap);
    free(world->events->latent);
    free(world->events);
    free(world->steps);
    free(world);
}

static void take_output(struct world *world, const struct engine_output *output)
{
    for (size_t i = 0; i < output->step_count; i++) {
        if (world->step_count == world->step_room) {
            world->step_room = world->step_room > 0 ? world->step_room * 2 : 16;
            world->steps = check_realloc_array(world->steps, world->step_room, sizeof *world->steps);
        }
        world->steps[world->step_count++] = output->steps[i];
    }
    for (size_t i = 0; i < output->late_after_count; i++)
        world->events->late_after_ms[output->late_after[i].target] = output->late_after[i].late_after_ms;
    for (size_t i = 0; i < output->burst_count && !world->no_bursts; i++) {
        const struct engine_burst *burst = &output->bursts[i];
        const struct model_target *target = &world->model->targets[burst->target];
        uint32_t address = UINT32_MAX, count;
        if (target->address[0] != '\0') {
            const char *const *all = builder_addresses(world->site, target->balancer, &count);
            for (uint32_t a = 0; a < count; a++)
                if (strcmp(all[a], target->address) == 0) address = a;
        }
        world->bursts++;
        push(world, (struct event){.at_ms = world->now_ms + 20 + burst->phase_ms,
                        .kind = EVENT_PROBE,
                        .host = burst->host,
                        .target = burst->target,
                        .address = address,
                        .every_ms = burst->interval_ms,
                        .until_ms = world->now_ms + burst->duration_ms});
    }
}

void world_run(struct world *world, int64_t ms)
{
    int64_t until = world->now_ms + ms;
    while (world->now_ms < until) {
        int64_t next = world->now_ms + STEP_MS < until ? world->now_ms + STEP_MS : until;
        while (world->events->count > 0 && world->events->heap[0].at_ms <= next) {
            struct event e = pop(world->events);
            world->now_ms = e.at_ms;
            if (e.kind == EVENT_PROBE)
                probe(world, &e);
            else if (e.kind == EVENT_ARRIVES)
                arrive(world, &e);
            else
                beat(world, &e);
        }
        world->now_ms = next;
        struct engine_output output;
        engine_step(world->engine, next, &output);
        take_output(world, &output);
    }
}

static int released_first(const void *a, const void *b)
{
    return before(a, b) ? -1 : before(b, a) ? 1 : 0;
}

void world_release(struct world *world)
{
    struct world_events *e = world->events;
    for (size_t i = 0; i < e->count; i++) {
        struct event *end = &e->heap[i];
        if (end->kind != EVENT_ARRIVES || end->result.outcome != PROBE_FAIL || end->at_ms <= world->now_ms)
            continue;
        end->result.outcome = PROBE_OK;
        end->result.error = PROBE_ERROR_NONE;
        end->result.code = 200;
        end->at_ms = world->now_ms + 3;
        end->result.total_us = (world->now_ms - end->result.start_ms) * 1000;
    }
    qsort(e->heap, e->count, sizeof *e->heap, released_first); /* sorted is a heap */
}

void world_restart(struct world *world, int64_t away_ms)
{
    struct buffer snapshot = {0};
    engine_snapshot(world->engine, &snapshot);
    engine_free(world->engine);
    /* What arrives meanwhile waits with the agents; here it is lost, which is worse. */
    int64_t until = world->now_ms + away_ms;
    struct engine *gone = engine_new(world->model, world->now_ms);
    world->engine = gone;
    while (world->events->count > 0 && world->events->heap[0].at_ms <= until) {
        struct event e = pop(world->events);
        world->now_ms = e.at_ms;
        if (e.kind == EVENT_PROBE)
            probe(world, &e);
        else if (e.kind == EVENT_BEAT)
            beat(world, &e);
    }
    world->now_ms = until;
    engine_free(gone);
    world->engine = engine_new(world->model, until);
    CHECK(engine_restore(world->engine, buffer_span(&snapshot), until, NULL) == 0);
    buffer_fini(&snapshot);
}

void world_remember(const struct world *world, struct buffer *memory)
{
    engine_snapshot(world->engine, memory);
}

void world_recall(struct world *world, const struct buffer *memory)
{
    CHECK(engine_restore(world->engine, buffer_span(memory), world->now_ms, NULL) == 0);
}

void world_replace_model(struct world *world)
{
    engine_replace_model(world->engine, world->model, world->now_ms);
}

size_t world_count(const struct world *world, enum step step, const char *component)
{
    size_t count = 0;
    for (size_t i = 0; i < world->step_count; i++)
        if ((step == STEP_COUNT || world->steps[i].step == step) &&
            (component == NULL || strcmp(world->steps[i].incident.component, component) == 0))
            count++;
    return count;
}

const struct engine_step *world_find(const struct world *world, enum step step, const char *component)
{
    for (size_t i = 0; i < world->step_count; i++)
        if (world->steps[i].step == step &&
            (component == NULL || strcmp(world->steps[i].incident.component, component) == 0))
            return &world->steps[i];
    return NULL;
}

const struct incident *world_last(const struct world *world, const char *component)
{
    for (size_t i = world->step_count; i-- > 0;)
        if (component == NULL || strcmp(world->steps[i].incident.component, component) == 0)
            return &world->steps[i].incident;
    return NULL;
}

size_t world_pages(const struct world *world)
{
    size_t count = 0;
    for (size_t i = 0; i < world->step_count; i++)
        if (world->steps[i].step != STEP_RESOLVED && world->steps[i].incident.severity == SEVERITY_PAGE)
            count++;
    return count;
}

void world_print(const struct world *world)
{
    for (size_t i = 0; i < world->step_count; i++) {
        const struct incident *in = &world->steps[i].incident;
        printf("  %7.2f s %-9s %s %s [%s, %s, posterior %.4f, next %s] %s\n",
            (double)(world->steps[i].at_ms - WORLD_START_MS) / 1000, step_word(world->steps[i].step), in->id,
            in->headline, impact_word(in->impact), severity_word(in->severity), in->posterior, in->runner_up,
            in->advice);
        if (getenv("WORLD_VERBOSE") == NULL) continue;
        for (size_t k = 0; k < in->evidence_count; k++) printf("             + %s\n", in->evidence[k].text);
        for (size_t k = 0; k < in->ruled_out_count; k++)
            printf("             - %s: %s\n", in->ruled_out[k].component, in->ruled_out[k].why);
        for (size_t k = 0; k < in->symptom_count; k++)
            printf("             ~ %s %s\n", in->symptoms[k].component, mode_word(in->symptoms[k].mode));
    }
}

void world_forget_steps(struct world *world)
{
    world->step_count = 0;
}
