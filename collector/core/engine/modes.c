/* The mode follows from how the covered probes ended, never from the magnitude alone. */
#include <string.h>

#include "collector/core/engine/internal.h"

void tally_path(const struct path *path, int64_t since_ms, struct tally *tally)
{
    int64_t newest = 0;
    for (uint32_t i = 0; i < path->ring_count; i++) {
        const struct ending *e = &path->ring[i];
        if (e->start_ms < since_ms) continue;
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

void tally_place(const struct engine *engine, uint32_t place, int64_t since_ms, bool all, struct tally *tally)
{
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *path = &engine->paths[p];
        if ((path->shallow && !all) || !engine->ways[path->way].proven) continue;
        if (!all && engine->model->targets[path->target].entrance == ENTRANCE_REFERENCE) continue;
        if (place_covers_path(engine, place, p)) tally_path(path, since_ms, tally);
    }
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

static enum mode mode_now(const struct engine *engine, uint32_t index, enum stream stream, int64_t since_ms)
{
    const struct place *place = &engine->places[index];
    if (place->kind == PLACE_LB_ADDRESS || place->kind == PLACE_LBNET_BACKEND) return MODE_PARTIAL;
    if (stream == STREAM_SLOW) return MODE_SLOW;
    if (engine->now_ms - MODE_WINDOW_MS > since_ms) since_ms = engine->now_ms - MODE_WINDOW_MS;
    struct tally t = {0};
    tally_place(engine, index, since_ms, false, &t);
    if (tally_all(&t) == 0) tally_place(engine, index, since_ms, true, &t); /* only connects see it */
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
