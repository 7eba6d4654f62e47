#include <string.h>

#include "proto/received.h"
#include "tests/support/random.h"
#include "tests/support/unit.h"

#define MODEL_MAX 400

/* The naive set, for comparison. */
struct model {
    bool has[MODEL_MAX + 2];
};

static void assert_same(const struct received *received, const struct model *model, uint64_t seed)
{
    bool same = true;
    for (uint64_t s = 0; s <= MODEL_MAX; s++) same &= received_has(received, s) == model->has[s];
    for (uint64_t after = 0; after < MODEL_MAX; after++) {
        uint64_t missing = after + 1;
        while (model->has[missing]) missing++;
        same &= received_next_missing(received, after) == missing;
    }
    uint64_t below = received->floor;
    for (size_t i = 0; i < received->range_count; i++) {
        same &=
            received->ranges[i].first > below + 1 && received->ranges[i].last >= received->ranges[i].first;
        below = received->ranges[i].last;
    }
    if (!same) fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    CU_ASSERT_FATAL(same);
}

static size_t model_ranges(const struct model *model)
{
    size_t ranges = 0;
    for (size_t s = 2; s <= MODEL_MAX; s++) ranges += model->has[s] && !model->has[s - 1];
    return ranges;
}

static void agrees_with_a_naive_set(void)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct random random = {seed};
        struct received received = {0};
        struct model model = {0};
        for (int step = 0; step < 150; step++) {
            uint64_t first = 1 + random_below(&random, MODEL_MAX - 1);
            uint64_t last = first + (random_below(&random, 3) > 0 ? 0 : random_below(&random, 5));
            if (last >= MODEL_MAX) last = MODEL_MAX - 1;
            if (last < first) last = first;
            struct received before = received;
            struct model after = model;
            for (uint64_t s = first; s <= last; s++) after.has[s] = true;
            struct error err = {0};
            if (received_add(&received, first, last, &err) == 0) {
                model = after;
            } else {
                /* Refused for good reason, and unchanged. */
                CU_ASSERT_EQUAL(err.kind, ERROR_LIMIT);
                CU_ASSERT(model_ranges(&after) > LIMIT_ACK_RANGES);
                CU_ASSERT(memcmp(&before, &received, sizeof before) == 0);
            }
            assert_same(&received, &model, seed);
        }
    }
}

static void holds_64_ranges_and_refuses_one_more(void)
{
    struct received received = {0};
    for (uint64_t i = 0; i < LIMIT_ACK_RANGES; i++)
        CU_ASSERT_EQUAL_FATAL(received_add(&received, 3 + 2 * i, 3 + 2 * i, NULL), 0);
    struct error err = {0};
    CU_ASSERT_EQUAL(received_add(&received, 1000, 1000, &err), -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_LIMIT);
    /* What joins two ranges, or extends one, still goes in. */
    CU_ASSERT_EQUAL(received_add(&received, 4, 4, &err), 0);
    CU_ASSERT_EQUAL(received.range_count, LIMIT_ACK_RANGES - 1);
    CU_ASSERT_EQUAL(received_add(&received, 1000, 1000, &err), 0);
    CU_ASSERT_EQUAL(received_add(&received, 1, 2000, &err), 0);
    CU_ASSERT_EQUAL(received.range_count, 0);
    CU_ASSERT_EQUAL(received.floor, 2000);
}

static void refuses_what_is_no_range(void)
{
    struct received received = {0};
    CU_ASSERT_EQUAL(received_add(&received, 0, 1, NULL), -1);
    CU_ASSERT_EQUAL(received_add(&received, 5, 4, NULL), -1);
    CU_ASSERT_EQUAL(received_add(&received, 1, (uint64_t)LIMIT_SEQUENCE + 1, NULL), -1);
    CU_ASSERT_EQUAL(received_add(&received, 1, LIMIT_SEQUENCE, NULL), 0);
    CU_ASSERT_EQUAL(received_next_missing(&received, 7), (uint64_t)LIMIT_SEQUENCE + 1);
}

UNIT_MAIN("received", {"agrees with a naive set, step by step", agrees_with_a_naive_set},
    {"holds 64 ranges and refuses one more", holds_64_ranges_and_refuses_one_more},
    {"refuses what is no range", refuses_what_is_no_range})
