/* The matrix: paths and ways, proving them, what an outcome means and to whom it is given. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/engine/internal.h"
#include "common/check.h"

#define BLOCKED_OUT          3 /* such answers in a row put a way aside until it is good again */
#define UNKNOWN_BLOCKED_GOOD 3

/* ---- finding ---- */

static uint32_t mix(uint32_t hash, uint32_t value)
{
    hash ^= value + 0x9e3779b9u + (hash << 6) + (hash >> 2);
    hash *= 0x85ebca6bu;
    return hash ^ (hash >> 13);
}

static uint32_t way_hash(const struct way *way, const char *address)
{
    uint32_t hash = mix(mix(mix(mix(17, way->host), way->service), (uint32_t)way->entrance), way->thing);
    for (; *address != '\0'; address++) hash = mix(hash, (unsigned char)*address);
    return hash;
}

static uint32_t path_hash(uint32_t host, uint32_t target, const char *address)
{
    uint32_t hash = mix(mix(29, host), target);
    for (; *address != '\0'; address++) hash = mix(hash, (unsigned char)*address);
    return hash;
}

/* Both indexes: open addressing over numbers of an array, doubled at three quarters. */
static void index_put(uint32_t *index, uint32_t size, uint32_t hash, uint32_t value)
{
    uint32_t i = hash & (size - 1);
    while (index[i] != MODEL_NONE) i = (i + 1) & (size - 1);
    index[i] = value;
}

static uint32_t *index_new(uint32_t size)
{
    uint32_t *index = check_alloc_array(size, sizeof *index);
    memset(index, 0xFF, size * sizeof *index);
    return index;
}

/* The address is part of a way's identity but kept by its paths; ways remember the hash through
 * `address_of_way`. */
struct way_name {
    struct way way;
    const char *address;
};

static bool way_equals(const struct engine *engine, uint32_t index, const struct way_name *name)
{
    const struct way *a = &engine->ways[index];
    const struct way *b = &name->way;
    return a->host == b->host && a->service == b->service && a->entrance == b->entrance &&
           a->thing == b->thing && strcmp(a->address, name->address) == 0;
}

static uint32_t obtain_way(struct engine *engine, const struct way_name *name)
{
    uint32_t hash = way_hash(&name->way, name->address);
    if (engine->way_index_size > 0)
        for (uint32_t i = hash & (engine->way_index_size - 1); engine->way_index[i] != MODEL_NONE;
             i = (i + 1) & (engine->way_index_size - 1))
            if (way_equals(engine, engine->way_index[i], name)) return engine->way_index[i];
    if (engine->way_count == engine->way_room) {
        engine->way_room = engine->way_room > 0 ? engine->way_room * 2 : 64;
        engine->ways = check_realloc_array(engine->ways, engine->way_room, sizeof *engine->ways);
        free(engine->way_index);
        engine->way_index_size = engine->way_room * 2;
        engine->way_index = index_new(engine->way_index_size);
        for (uint32_t w = 0; w < engine->way_count; w++)
            index_put(engine->way_index, engine->way_index_size,
                way_hash(&engine->ways[w], engine->ways[w].address), w);
    }
    uint32_t index = engine->way_count++;
    engine->ways[index] = name->way;
    snprintf(engine->ways[index].address, ADDRESS_SIZE, "%s", name->address);
    index_put(engine->way_index, engine->way_index_size, hash, index);
    snapshot_place_way(engine, index);
    return index;
}

static uint32_t find_path(const struct engine *engine, uint32_t host, uint32_t target, const char *address)
{
    if (engine->path_index_size == 0) return MODEL_NONE;
    uint32_t mask = engine->path_index_size - 1;
    for (uint32_t i = path_hash(host, target, address) & mask; engine->path_index[i] != MODEL_NONE;
         i = (i + 1) & mask) {
        const struct path *path = &engine->paths[engine->path_index[i]];
        if (path->host == host && path->target == target && strcmp(path->address_text, address) == 0)
            return engine->path_index[i];
    }
    return MODEL_NONE;
}

static void grow_paths(struct engine *engine)
{
    engine->path_room = engine->path_room > 0 ? engine->path_room * 2 : 64;
    engine->paths = check_realloc_array(engine->paths, engine->path_room, sizeof *engine->paths);
    free(engine->path_index);
    engine->path_index_size = engine->path_room * 2;
    engine->path_index = index_new(engine->path_index_size);
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *path = &engine->paths[p];
        index_put(engine->path_index, engine->path_index_size,
            path_hash(path->host, path->target, path->address_text), p);
    }
}

static uint32_t make_path(struct engine *engine, uint32_t host, uint32_t t, const char *address)
{
    if (engine->path_count == ENGINE_PATHS_MAX || strlen(address) >= ADDRESS_SIZE) {
        engine->dropped++;
        return MODEL_NONE;
    }
    const struct model_target *target = &engine->model->targets[t];
    if (engine->path_count == engine->path_room) grow_paths(engine);
    uint32_t index = engine->path_count++;
    struct path *path = &engine->paths[index];
    memset(path, 0, sizeof *path);
    path->host = host;
    path->target = t;
    path->pool = engine->target_pool[t];
    path->address = MODEL_NONE;
    path->aside = host_is_aside(engine, target->service, host, NULL);
    path->shallow = target->probe == PROBE_TCP || target->entrance == ENTRANCE_HEALTH;
    snprintf(path->address_text, ADDRESS_SIZE, "%s", address);

    struct way_name name = {
        .way = {.host = host, .service = target->service, .entrance = target->entrance}, .address = address};
    name.way.thing = target->entrance == ENTRANCE_HOP || target->entrance == ENTRANCE_STATS ? target->balancer
                     : target->entrance == ENTRANCE_REFERENCE                               ? t
                     : target->entrance == ENTRANCE_USERS                                   ? 0
                                                                                            : target->backend;
    path->way = obtain_way(engine, &name);
    index_put(engine->path_index, engine->path_index_size, path_hash(host, t, address), index);

    uint32_t entry = MODEL_NONE;
    if (target->entrance == ENTRANCE_HOP)
        entry = target->balancer;
    else if (target->entrance == ENTRANCE_USERS && engine->model->services[target->service].hop_count > 0)
        entry = engine->model->services[target->service].hops[0];
    if (entry != MODEL_NONE) {
        uint32_t number = places_add_address(engine, entry, address);
        engine->paths[index].address = number;
    }
    places_cover(engine, index);
    return index;
}

bool path_fresh(const struct engine *engine, const struct path *path)
{
    uint32_t interval = engine->model->targets[path->target].wire.interval_ms;
    int64_t limit = 3 * (int64_t)interval > SILENT_MS ? 3 * (int64_t)interval : SILENT_MS;
    return path->last_ms != 0 && engine->now_ms - path->last_ms <= limit;
}

/* ---- the ring of endings ---- */

bool ending_is_good(const struct ending *ending)
{
    return ending->ended == ENDED_OK;
}

const struct ending *path_newest(const struct path *path)
{
    if (path->ring_count == 0) return NULL;
    const struct ending *newest = NULL;
    for (uint32_t i = 0; i < path->ring_count; i++)
        if (newest == NULL || path->ring[i].start_ms > newest->start_ms) newest = &path->ring[i];
    return newest;
}

static struct ending *ring_find(struct path *path, int64_t start_ms)
{
    for (uint32_t i = 0; i < path->ring_count; i++)
        if (path->ring[i].start_ms == start_ms) return &path->ring[i];
    return NULL;
}

static struct ending *ring_push(struct path *path)
{
    struct ending *ending = &path->ring[path->ring_next];
    path->ring_next = (path->ring_next + 1) % PATH_RING;
    if (path->ring_count < PATH_RING) path->ring_count++;
    return ending;
}

/* ---- what an outcome means ---- */

static bool answered_nothing(enum probe_error error)
{
    return error == PROBE_ERROR_NO_ANSWER || error == PROBE_ERROR_CONNECT_TIMEOUT ||
           error == PROBE_ERROR_UNFINISHED;
}

static enum ended ended_of(const struct probe_result *result, bool late)
{
    if (result->outcome == PROBE_LATE) return ENDED_OPEN;
    if (result->outcome == PROBE_OK) return late ? ENDED_SLOW : ENDED_OK;
    return answered_nothing(result->error) ? ENDED_NOTHING : ENDED_FAILED;
}

static void note_ending(
    struct engine *engine, struct path *path, const struct probe_result *result, bool late)
{
    struct ending *ending = ring_find(path, result->start_ms);
    if (ending == NULL) ending = ring_push(path);
    *ending = (struct ending){.start_ms = result->start_ms,
        .at_ms = engine->now_ms,
        .ended = ended_of(result, late),
        .error = result->error,
        .code = result->code,
        .total_us = result->total_us};
}

uint32_t way_good_needed(const struct way *way)
{
    static const uint32_t needed[ENTRANCE_COUNT] = {[ENTRANCE_USERS] = PROVEN_GOOD,
        [ENTRANCE_HOP] = PROVEN_GOOD,
        [ENTRANCE_BACKEND] = PROVEN_GOOD,
        [ENTRANCE_HEALTH] = PROVEN_GOOD_GENTLE,
        [ENTRANCE_REFERENCE] = PROVEN_GOOD_GENTLE,
        [ENTRANCE_STATS] = PROVEN_GOOD_GENTLE};
    return needed[way->entrance];
}

/* A reference is somebody else's site: it is not asked more often to be proven sooner. References speak
 * together and only of a way out that a site's observers share, so what all of these have seen counts
 * together, once each path has answered twice itself. */
static uint32_t good_of_references(const struct engine *engine, uint32_t host)
{
    const struct model *model = engine->model;
    uint32_t good = 0;
    for (uint32_t w = 0; w < engine->way_count; w++) {
        const struct way *way = &engine->ways[w];
        if (way->entrance != ENTRANCE_REFERENCE || model->hosts[way->host].site != model->hosts[host].site)
            continue;
        good += way->good_in_row < PROVEN_GOOD_GENTLE ? way->good_in_row : PROVEN_GOOD_GENTLE;
    }
    return good;
}

static bool proves_itself(const struct engine *engine, const struct way *way)
{
    if (way->good_in_row >= way_good_needed(way)) return true;
    return way->entrance == ENTRANCE_REFERENCE && way->good_in_row >= PROVEN_GOOD_OWN &&
           good_of_references(engine, way->host) >= way_good_needed(way);
}

static void note_way(struct engine *engine, struct path *path, const struct probe_result *result)
{
    struct way *way = &engine->ways[path->way];
    bool good = result->outcome == PROBE_OK;
    if (result->outcome == PROBE_LATE) return; /* its end will tell */
    bool blocked = result->error == PROBE_ERROR_BLOCKED;
    if (good) {
        way->bad_in_row = 0;
        if (!path->shallow) way->blocked_in_row = 0;
        if (way->good_in_row < UINT32_MAX) way->good_in_row++;
        bool speaks_for_all = !path->shallow || way->entrance == ENTRANCE_HEALTH;
        if (speaks_for_all && way->good < UINT32_MAX) way->good++;
        if (!way->proven && proves_itself(engine, way)) {
            way->proven = true;
            engine->stale = engine->proved = true;
        }
        return;
    }
    way->good_in_row = 0;
    way->bad_in_row++;
    if (blocked) way->blocked_in_row++;
    way->last_bad = (struct ending){.start_ms = result->start_ms,
        .at_ms = engine->now_ms,
        .ended = ended_of(result, false),
        .error = result->error,
        .code = result->code,
        .total_us = result->total_us};
}

/* The interim "late" and the end of the same probe are one outcome: true for the second of them. */
static bool already_counted(struct path *path, const struct probe_result *result)
{
    for (uint32_t i = 0; i < PATH_PENDING; i++)
        if (path->pending[i] == result->start_ms) {
            if (result->outcome != PROBE_LATE) path->pending[i] = 0;
            return true;
        }
    if (result->outcome == PROBE_LATE) {
        path->pending[path->pending_next] = result->start_ms;
        path->pending_next = (path->pending_next + 1) % PATH_PENDING;
    }
    return false;
}

/* Health 503 while the page still answers announces a drain; so does an agent that was told so by the answer.
 */
static bool note_drain(struct engine *engine, const struct path *path, const struct probe_result *result)
{
    const struct model_target *target = &engine->model->targets[path->target];
    struct backend_run *run = &engine->backends[target->backend];
    if (target->entrance == ENTRANCE_BACKEND) {
        if (!path->shallow && result->outcome == PROBE_OK) run->page_ok_ms = engine->now_ms;
        return false;
    }
    bool announced =
        result->outcome == PROBE_FAIL && result->error == PROBE_ERROR_STATUS && result->code == 503;
    if ((announced && engine->now_ms - run->page_ok_ms <= 3000) ||
        (result->flags & PROBE_FLAG_DRAINING) != 0) {
        /* The clock starts with the drain, not with its last announcement; a new one needs a good hour
         * between. */
        if (run->drained_until_ms + DRAIN_MS < engine->now_ms || run->drained_until_ms == 0) {
            run->drained_until_ms = engine->now_ms + DRAIN_MS;
            return true;
        }
    }
    return false;
}

static bool in_maintenance(const struct engine *engine, uint32_t host)
{
    return host != MODEL_NONE && engine->model->hosts[host].maintenance;
}

void paths_update_exclusions(struct engine *engine)
{
    const struct model *model = engine->model;
    for (uint32_t s = 0; s < model->service_count; s++) {
        const struct model_service *service = &model->services[s];
        uint32_t active = 0;
        for (uint32_t i = 0; i < service->backend_count; i++) {
            uint32_t b = service->first_backend + i;
            struct backend_run *run = &engine->backends[b];
            bool excluded = model->backends[b].state != BACKEND_NORMAL ||
                            in_maintenance(engine, model->backends[b].host) ||
                            run->said == BALANCER_SAYS_DRAINING || run->said == BALANCER_SAYS_MAINTENANCE ||
                            engine->now_ms < run->drained_until_ms;
            if (excluded != run->excluded) {
                run->excluded = excluded;
                engine->stale = true;
            }
            if (!excluded) active++;
        }
        engine->services[s].active = active > 0 ? active : 1;
    }
}

void group_forget(struct engine *engine, uint32_t index)
{
    struct group *group = &engine->groups[index];
    for (uint32_t i = 0; i < group->place_count; i++)
        memset(engine->places[group->places[i]].sums, 0, sizeof engine->places[0].sums);
    memset(group->debt, 0, sizeof group->debt);
    memset(group->above, 0, sizeof group->above);
    memset(group->above_ms, 0, sizeof group->above_ms);
    memset(group->led_ms, 0, sizeof group->led_ms);
    group->narrow_ms = 0;
    group->blind = false;
}

/* Whether this outcome says anything about the site. */
static bool is_evidence(
    const struct engine *engine, const struct path *path, const struct probe_result *result)
{
    const struct model_target *target = &engine->model->targets[path->target];
    const struct way *way = &engine->ways[path->way];
    if (!way->proven || target->entrance == ENTRANCE_STATS) return false;
    if (result->error == PROBE_ERROR_LOCAL || result->error == PROBE_ERROR_BLOCKED) return false;
    if (way->blocked_in_row >= BLOCKED_OUT) return false;
    if (in_maintenance(engine, path->host)) return false;
    if ((target->entrance == ENTRANCE_BACKEND || target->entrance == ENTRANCE_HEALTH) &&
        engine->backends[target->backend].excluded)
        return false;
    /* A health 503 is an announcement. When nobody drains, the page says what is wrong. */
    if (target->entrance == ENTRANCE_HEALTH && result->outcome == PROBE_FAIL &&
        result->error == PROBE_ERROR_STATUS)
        return false;
    return engine->now_ms - result->start_ms <= BASELINE_ONLY_MS;
}

/* An observer whose references fail, or whose resolver does not answer, speaks about itself only. */
static bool speaks_of_itself(
    const struct engine *engine, const struct path *path, const struct probe_result *result)
{
    return result->error == PROBE_ERROR_RESOLVE || (engine->hosts[path->host].left_out && !path->aside);
}

static void feed(struct engine *engine, struct path *path, const struct evidence *evidence, bool own_only)
{
    if (!own_only) {
        sums_feed(engine, path, evidence);
        causes_recover(engine, path, evidence);
        return;
    }
    struct cover *own = check_alloc_array(path->cover_count + 1, sizeof *own);
    uint32_t count = 0;
    for (uint32_t i = 0; i < path->cover_count; i++) {
        enum place_kind kind = engine->places[path->covers[i].place].kind;
        if (kind == PLACE_OBSERVER || kind == PLACE_EGRESS_USERS || kind == PLACE_EGRESS_HOPS ||
            kind == PLACE_EGRESS_ALL)
            own[count++] = path->covers[i];
    }
    struct path narrowed = *path;
    narrowed.covers = own;
    narrowed.cover_count = count;
    sums_feed(engine, &narrowed, evidence);
    causes_recover(engine, &narrowed, evidence);
    free(own);
}

static void judge(struct engine *engine, struct path *path, const struct probe_result *result, bool late)
{
    const struct model_target *target = &engine->model->targets[path->target];
    struct pool *pool = &engine->pools[path->pool];
    bool failed = late || result->outcome == PROBE_FAIL;
    bool slow = failed || (result->outcome == PROBE_OK && pool_is_slow(pool, result->total_us));
    struct host_run *host = &engine->hosts[path->host];
    if (target->entrance == ENTRANCE_REFERENCE) {
        hosts_reference(engine, path, !failed);
        /* One reference may fail by itself: together, and while pages fail, they speak for the way out. */
        if (failed && !host->left_out) return;
        slow = failed;
    } else if (failed && !path->shallow) {
        host->page_bad_ms = engine->now_ms;
    }
    struct evidence evidence = {.start_ms = result->start_ms, .failed = failed, .slow = slow};
    pool_add_outcome(pool, failed, slow);
    feed(engine, path, &evidence, speaks_of_itself(engine, path, result));
    if (failed)
        bursts_on_failure(engine, path);
    else
        bursts_on_recovery(engine, path);
}

void paths_observe(struct engine *engine, const struct engine_observation *observation)
{
    const struct model *model = engine->model;
    if (observation->host >= model->host_count || observation->target >= model->target_count) {
        engine->dropped++;
        return;
    }
    const char *address = observation->address != NULL ? observation->address : "";
    uint32_t index = find_path(engine, observation->host, observation->target, address);
    if (index == MODEL_NONE) index = make_path(engine, observation->host, observation->target, address);
    if (index == MODEL_NONE) return;
    struct path *path = &engine->paths[index];
    struct pool *pool = &engine->pools[path->pool];
    const struct probe_result *result = &observation->result;
    const struct model_target *target = &model->targets[path->target];

    bool old = engine->now_ms - result->start_ms > BASELINE_ONLY_MS;
    bool late = result->outcome == PROBE_LATE ||
                (result->outcome == PROBE_OK && result->total_us >= pool_late_after_ms(pool) * 1000);
    bool calm =
        pool->group == MODEL_NONE || (engine->groups[pool->group].open_count == 0 &&
                                         engine->now_ms - engine->groups[pool->group].tainted_ms > 5000);
    /* A page slower than T still teaches, or T could never grow; a fault taints the group within a probe or
     * two. */
    if (result->outcome == PROBE_OK && result->total_us > 0 && calm)
        pool_add_latency(engine, pool, result->total_us);
    if (old) return;

    if (path->last_ms == 0 || result->start_ms >= path->last.start_ms) path->last = *result;
    path->last_ms = engine->now_ms;
    pool_roll(engine, pool);
    bool counted = already_counted(path, result);
    note_ending(engine, path, result, late);
    note_way(engine, path, result);
    bool direct = target->entrance == ENTRANCE_BACKEND || target->entrance == ENTRANCE_HEALTH;
    if (direct && note_drain(engine, path, result)) paths_update_exclusions(engine);
    if (result->outcome == PROBE_OK) bursts_on_good(engine, path);
    if (counted || !is_evidence(engine, path, result)) return;
    judge(engine, path, result, late);
    if (result->outcome == PROBE_OK && !late) slowness_observe(engine, path, result->total_us);
}
