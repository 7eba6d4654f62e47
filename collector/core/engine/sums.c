/* The likelihood sums: for each hypothesis, magnitude and stream a Page sum of ln(p1/p0), floor 0.
 *
 * Bounding all sums of a group together (when one exceeds SUM_MAX, the excess is subtracted from all) would
 * touch every sum at every probe of an outage. Instead the group keeps what was subtracted so far, and a sum
 * pays its share when it is next looked at; the floor at 0 makes both the same only because a sum never rises
 * while not looked at. */
#include <math.h>

#include "collector/core/engine/internal.h"

static void settle(const struct group *group, struct sum *sum, enum layer layer, enum stream stream)
{
    double owed = group->debt[layer][stream] - sum->debt;
    sum->debt = group->debt[layer][stream];
    if (owed <= 0) return;
    for (int q = 0; q < MAGNITUDES; q++) sum->w[q] = sum->w[q] > owed ? sum->w[q] - owed : 0;
}

double sum_value(
    const struct group *group, const struct sum *sum, enum layer layer, enum stream stream, int q)
{
    double w = sum->w[q] - (group->debt[layer][stream] - sum->debt);
    return w > 0 ? w : 0;
}

double place_score(
    const struct engine *engine, const struct place *place, enum layer layer, enum stream stream, int *q_best)
{
    const struct group *group = &engine->groups[place->group];
    double best = 0;
    int at = 0;
    for (int q = 0; q < MAGNITUDES; q++) {
        double w = sum_value(group, &place->sums[layer][stream], layer, stream, q);
        if (w > best) {
            best = w;
            at = q;
        }
    }
    if (q_best != NULL) *q_best = at;
    return best - place_infos[place->kind].penalty;
}

/* What the open incidents make of this path: 1 explained altogether, else the failure probability they
 * predict. */
static double explained_by_open(const struct engine *engine, const struct path *path, double p0)
{
    double good = 1 - p0;
    for (uint32_t i = 0; i < path->cover_count; i++) {
        const struct place *place = &engine->places[path->covers[i].place];
        if (!place->open) continue;
        double share = cover_share(engine, path, &path->covers[i]);
        if (share >= 1) return 1;
        good *= 1 - magnitudes[place->open_q] * share;
    }
    return 1 - good;
}

struct round {
    enum layer layer;
    enum stream stream;
    bool bad;
    double p0;
    const double *llr; /* ready-made for full cover, NULL: compute */
    bool young;        /* the usual rate is not known yet: small magnitudes wait */
};

static void feed_sum(
    struct engine *engine, struct place *place, double share, const struct round *round, int64_t start_ms)
{
    struct group *group = &engine->groups[place->group];
    struct sum *sum = &place->sums[round->layer][round->stream];
    settle(group, sum, round->layer, round->stream);
    double largest = 0;
    for (int q = 0; q < MAGNITUDES; q++) {
        double add;
        if (round->llr != NULL && share >= 1) {
            add = round->llr[q];
        } else {
            double p1 = share >= 1 ? magnitudes[q] : round->p0 + magnitudes[q] * share;
            if (p1 > .99) p1 = .99;
            add = round->bad ? log(p1 / round->p0) : log((1 - p1) / (1 - round->p0));
        }
        /* A magnitude below the usual rate, or near it while that is not known, says nothing about a fault.
         */
        if ((round->young && magnitudes[q] < MAGNITUDE_YOUNG_MIN) ||
            (share >= 1 ? magnitudes[q] : magnitudes[q] * share) < round->p0) {
            sum->w[q] = 0;
            continue;
        }
        if (sum->w[q] <= 0 && add > 0) sum->onset_ms[q] = start_ms;
        sum->w[q] += add;
        if (sum->w[q] < 0) sum->w[q] = 0;
        if (sum->w[q] > largest) largest = sum->w[q];
    }
    if (round->bad && start_ms > sum->last_bad_ms) sum->last_bad_ms = start_ms;
    double excess = largest - SUM_MAX;
    if (!place->live) { /* cannot be blamed, so it must not push others down either */
        for (int q = 0; q < MAGNITUDES; q++)
            if (sum->w[q] > SUM_MAX) sum->w[q] = SUM_MAX;
        return;
    }
    if (excess > group->excess[round->layer][round->stream])
        group->excess[round->layer][round->stream] = excess;
    if (largest >= engine->threshold) group->above[round->layer][round->stream] = true;
    if (round->layer == LAYER_ALL && round->stream == STREAM_FAIL && largest >= engine->threshold / 2)
        group->tainted_ms = engine->now_ms;
}

static void bound(struct group *group, enum stream stream)
{
    for (int layer = 0; layer < LAYER_COUNT; layer++) {
        group->debt[layer][stream] += group->excess[layer][stream];
        group->excess[layer][stream] = 0;
    }
}

void sums_feed(struct engine *engine, const struct path *path, const struct evidence *evidence)
{
    const struct pool *pool = &engine->pools[path->pool];
    bool bad_of[STREAM_COUNT] = {[STREAM_FAIL] = evidence->failed, [STREAM_SLOW] = evidence->slow};
    bool young = pool->learned.n < RATE_KNOWN_OUTCOMES;
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        bool bad = bad_of[stream];
        double rest_p0 = engine->cause_count > 0 ? explained_by_open(engine, path, pool->p0[stream]) : -1;
        for (uint32_t i = 0; i < path->cover_count; i++) {
            const struct cover *cover = &path->covers[i];
            /* A connect or a health answer that succeeds does not speak for the page. */
            if (path->shallow && !bad && !cover->shallow_ok) continue;
            struct place *place = &engine->places[cover->place];
            struct group *group = &engine->groups[place->group];
            if (evidence->start_ms < group->reset_ms) continue;
            double share = cover_share(engine, path, cover);
            struct round round = {
                LAYER_ALL, (enum stream)stream, bad, pool->p0[stream], pool->llr[stream][bad], young};
            feed_sum(engine, place, share, &round, evidence->start_ms);
            if (group->open_count == 0 || rest_p0 < 0 || rest_p0 >= 1) continue;
            round = (struct round){LAYER_REST, (enum stream)stream, bad, rest_p0, NULL, young};
            feed_sum(engine, place, share, &round, evidence->start_ms);
        }
        /* Only now: a sum that was fed later must not pay before it was fed. */
        for (uint32_t i = 0; i < path->cover_count; i++)
            bound(&engine->groups[engine->places[path->covers[i].place].group], (enum stream)stream);
    }
}
