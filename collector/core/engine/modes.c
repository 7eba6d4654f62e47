/* The mode follows from how the covered probes ended, never from the magnitude alone. */
#include <string.h>

#include "collector/core/engine/internal.h"

static void tally_ending(const struct ending *e, struct tally *tally)
{
    switch (e->ended) {
    case ENDED_OK: tally->ok++; break;
    case ENDED_SLOW:
        tally->slow++;
        tally->slow_us_sum += e->total_us;
        break;
    case ENDED_NOTHING: tally->nothing++; break;
    case ENDED_OPEN: tally->open++; break;
    case ENDED_FAILED:
        tally->failed++;
        if (e->error == PROBE_ERROR_REFUSED) tally->refused++;
        if (e->error == PROBE_ERROR_STATUS && e->code >= 500) tally->errors_5xx++;
        break;
    }
}

void tally_path(const struct path *path, int64_t since_ms, struct tally *tally)
{
    int64_t newest = 0;
    for (uint32_t i = 0; i < path->ring_count; i++) {
        const struct ending *e = &path->ring[i];
        if (e->start_ms < since_ms) continue;
        tally_ending(e, tally);
        if ((e->ended == ENDED_FAILED || e->ended == ENDED_NOTHING) && e->start_ms >= newest) {
            newest = e->start_ms;
            tally->error = e->error;
            tally->code = e->code;
        }
    }
}

uint32_t tally_bad(const struct tally *tally)
{
    return tally->slow + tally->failed + tally->nothing + tally->open;
}

uint32_t tally_all(const struct tally *tally)
{
    return tally->ok + tally_bad(tally);
}

static bool covered(const struct engine *engine, uint32_t place, uint32_t p, bool all)
{
    const struct path *path = &engine->paths[p];
    if ((path->shallow && !all) || !engine->ways[path->way].proven) return false;
    if (!all && engine->model->targets[path->target].entrance == ENTRANCE_REFERENCE) return false;
    return place_covers_path(engine, place, p);
}

void tally_place(const struct engine *engine, uint32_t place, int64_t since_ms, bool all, struct tally *tally)
{
    for (uint32_t p = 0; p < engine->path_count; p++)
        if (covered(engine, place, p, all)) tally_path(&engine->paths[p], since_ms, tally);
}

/* Raised, not lowered, while a verdict lasts. */
static int rank_of(enum mode mode)
{
    static const enum mode order[] = {
        MODE_NOT_ANSWERING, MODE_SLOW, MODE_PARTIAL, MODE_ERRORS, MODE_HUNG, MODE_DOWN};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        if (order[i] == mode) return (int)i;
    return -1;
}

/* What ended before the fault did. A repair releases what was waiting: it is answered late, or reset, and
 * says nothing about how the fault looked; nor do the good ones begun after the last bad one. So a late
 * answer counts once a probe begun after it was bad again, and a failure unless a good probe was begun before
 * it came. */
struct fault_end {
    int64_t last_bad_ms; /* start of the newest bad probe */
    int64_t good_ms;     /* start of the first good one after it; INT64_MAX none yet */
};

static int64_t ended_at(const struct ending *ending)
{
    return ending->start_ms + (ending->total_us > 0 ? ending->total_us / 1000 : 0);
}

static bool tells_the_mode(const struct ending *ending, const struct fault_end *end)
{
    switch (ending->ended) {
    case ENDED_OK: return ending->start_ms <= end->last_bad_ms;
    case ENDED_SLOW: return ended_at(ending) <= end->last_bad_ms;
    case ENDED_FAILED:
    case ENDED_NOTHING: return ended_at(ending) <= end->good_ms;
    case ENDED_OPEN: break;
    }
    return true;
}

static struct fault_end find_end(const struct engine *engine, uint32_t place, int64_t since_ms, bool all)
{
    struct fault_end end = {.good_ms = INT64_MAX};
    for (int good = 0; good <= 1; good++)
        for (uint32_t p = 0; p < engine->path_count; p++) {
            if (!covered(engine, place, p, all)) continue;
            const struct path *path = &engine->paths[p];
            for (uint32_t i = 0; i < path->ring_count; i++) {
                const struct ending *e = &path->ring[i];
                if (e->start_ms < since_ms || (e->ended == ENDED_OK) != (good == 1)) continue;
                if (good == 0 && e->start_ms > end.last_bad_ms) end.last_bad_ms = e->start_ms;
                if (good == 1 && e->start_ms > end.last_bad_ms && e->start_ms < end.good_ms)
                    end.good_ms = e->start_ms;
            }
        }
    return end;
}

static void tally_fault(
    const struct engine *engine, uint32_t place, int64_t since_ms, bool all, struct tally *tally)
{
    struct fault_end end = find_end(engine, place, since_ms, all);
    for (uint32_t p = 0; p < engine->path_count; p++) {
        if (!covered(engine, place, p, all)) continue;
        const struct path *path = &engine->paths[p];
        for (uint32_t i = 0; i < path->ring_count; i++)
            if (path->ring[i].start_ms >= since_ms && tells_the_mode(&path->ring[i], &end))
                tally_ending(&path->ring[i], tally);
    }
}

static enum mode mode_now(const struct engine *engine, uint32_t index, enum stream stream, int64_t since_ms)
{
    const struct place *place = &engine->places[index];
    if (place->kind == PLACE_LB_ADDRESS || place->kind == PLACE_LBNET_BACKEND) return MODE_PARTIAL;
    if (stream == STREAM_SLOW) return MODE_SLOW;
    if (engine->now_ms - MODE_WINDOW_MS > since_ms) since_ms = engine->now_ms - MODE_WINDOW_MS;
    struct tally t = {0};
    tally_fault(engine, index, since_ms, false, &t);
    if (tally_all(&t) == 0) tally_fault(engine, index, since_ms, true, &t); /* only connects see it */
    uint32_t ended = t.ok + t.slow + t.failed + t.nothing;
    uint32_t ended_bad = t.slow + t.failed + t.nothing;
    if (ended_bad < 2 || ended < 2) {
        /* Still open ones are late: a good one among them means that some get through. */
        return t.ok > 2 && t.ok * 4 > t.open ? MODE_ERRORS : MODE_NOT_ANSWERING;
    }
    if (t.slow * 2 > ended_bad) return MODE_SLOW;
    if (t.ok * 10 > ended) return MODE_ERRORS;
    return t.nothing > t.failed ? MODE_HUNG : MODE_DOWN;
}

enum mode mode_of(
    const struct engine *engine, uint32_t place, enum stream stream, enum mode before, int64_t since_ms)
{
    enum mode now = mode_now(engine, place, stream, since_ms);
    if (rank_of(before) < 0) return now;
    return rank_of(now) > rank_of(before) ? now : before;
}
