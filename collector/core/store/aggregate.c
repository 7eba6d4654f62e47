#include "collector/core/store/aggregate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

static const char *const words[] = {[STORE_RAW] = "raw",
    [STORE_AVG] = "avg",
    [STORE_MIN] = "min",
    [STORE_MAX] = "max",
    [STORE_SUM] = "sum",
    [STORE_P50] = "p50",
    [STORE_P99] = "p99",
    [STORE_RATE] = "rate",
    [STORE_LAST] = "last",
    [STORE_COUNT] = "count"};

int store_aggregate_parse(const char *word, enum store_aggregate *aggregate)
{
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (strcmp(words[i], word) == 0) {
            *aggregate = (enum store_aggregate)i;
            return 0;
        }
    return -1;
}

static double number_of(uint64_t bits, bool is_double)
{
    double value;
    if (!is_double) return (double)(int64_t)bits;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void put_point(struct aggregate_plan *plan, struct aggregate *state, int64_t time_ms, double value)
{
    if (plan->points_left == 0) {
        plan->full = true;
        return;
    }
    plan->points_left--;
    if (state->point_count == state->point_capacity) {
        state->point_capacity = state->point_capacity > 0 ? state->point_capacity * 2 : 64;
        state->points = check_realloc_array(state->points, state->point_capacity, sizeof *state->points);
    }
    state->points[state->point_count++] = (struct store_point){.time_ms = time_ms, .value = value};
}

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static double quantile(struct aggregate *state, size_t per_hundred)
{
    size_t rank = (state->value_count * per_hundred + 99) / 100;
    qsort(state->values, state->value_count, sizeof *state->values, by_value);
    return state->values[rank > 0 ? rank - 1 : 0];
}

static double sum_of(const struct aggregate *state)
{
    return (double)state->sum_ints + state->sum_doubles;
}

static bool step_value(const struct aggregate_plan *plan, struct aggregate *state, double *value)
{
    double scale = plan->scale;
    if (plan->aggregate == STORE_RATE) {
        *value =
            ((double)state->increase_ints + state->increase) * 1000.0 / (double)state->elapsed_ms / scale;
        return state->elapsed_ms > 0;
    }
    switch (plan->aggregate) {
    case STORE_AVG: *value = sum_of(state) / (double)state->count / scale; break;
    case STORE_SUM: *value = sum_of(state) / scale; break;
    case STORE_MIN: *value = state->min / scale; break;
    case STORE_MAX: *value = state->max / scale; break;
    case STORE_P50: *value = quantile(state, 50) / scale; break;
    case STORE_P99: *value = quantile(state, 99) / scale; break;
    case STORE_COUNT: *value = (double)state->count; break;
    default: *value = state->last / scale; break;
    }
    return state->count > 0;
}

static void close_step(struct aggregate_plan *plan, struct aggregate *state)
{
    double value;
    if (!state->in_step) return;
    if (step_value(plan, state, &value)) put_point(plan, state, state->step_at_ms, value);
    plan->values_left += state->value_count;
    state->in_step = false;
    state->count = 0;
    state->sum_ints = state->increase_ints = 0;
    state->sum_doubles = state->increase = 0;
    state->elapsed_ms = 0;
    state->value_count = 0;
}

static int64_t step_of(const struct aggregate_plan *plan, int64_t time_ms)
{
    if (plan->step_ms == 0) return plan->aggregate == STORE_RATE ? time_ms : plan->from_ms;
    return time_ms - (time_ms - plan->from_ms) % plan->step_ms;
}

static void keep_value(struct aggregate_plan *plan, struct aggregate *state, double value)
{
    if (plan->values_left == 0) {
        plan->full = true;
        return;
    }
    plan->values_left--;
    if (state->value_count == state->value_capacity) {
        state->value_capacity = state->value_capacity > 0 ? state->value_capacity * 2 : 64;
        state->values = check_realloc_array(state->values, state->value_capacity, sizeof *state->values);
    }
    state->values[state->value_count++] = value;
}

static void add_increase(struct aggregate *state, int64_t time_ms, uint64_t bits, bool is_double)
{
    state->elapsed_ms += time_ms - state->before_ms;
    if (!is_double && !state->before_is_double) {
        wide now = (int64_t)bits, before = (int64_t)state->before_bits;
        state->increase_ints += now >= before ? now - before : now;
        return;
    }
    double now = number_of(bits, is_double), before = number_of(state->before_bits, state->before_is_double);
    state->increase += now >= before ? now - before : now;
}

static void add_sample(struct aggregate_plan *plan, struct aggregate *state, uint64_t bits, bool is_double)
{
    double value = number_of(bits, is_double);
    if (plan->aggregate == STORE_P50 || plan->aggregate == STORE_P99) keep_value(plan, state, value);
    if (is_double)
        state->sum_doubles += value;
    else
        state->sum_ints += (int64_t)bits;
    if (state->count == 0 || value < state->min) state->min = value;
    if (state->count == 0 || value > state->max) state->max = value;
    state->last = value;
    state->count++;
}

void aggregate_feed(
    struct aggregate_plan *plan, struct aggregate *state, int64_t time_ms, uint64_t bits, bool is_double)
{
    bool inside = time_ms >= plan->from_ms && time_ms < plan->to_ms;
    if (plan->aggregate == STORE_RAW) {
        if (inside) put_point(plan, state, time_ms, number_of(bits, is_double) / plan->scale);
        return;
    }
    if (inside) {
        int64_t step_at_ms = step_of(plan, time_ms);
        if (state->in_step && state->step_at_ms != step_at_ms) close_step(plan, state);
        state->in_step = true;
        state->step_at_ms = step_at_ms;
        if (plan->aggregate != STORE_RATE)
            add_sample(plan, state, bits, is_double);
        else if (state->has_before)
            add_increase(state, time_ms, bits, is_double);
    }
    state->has_before = true;
    state->before_ms = time_ms;
    state->before_bits = bits;
    state->before_is_double = is_double;
}

void aggregate_end(struct aggregate_plan *plan, struct aggregate *state)
{
    close_step(plan, state);
}

void aggregate_fini(struct aggregate *state)
{
    free(state->values);
    free(state->points);
    *state = (struct aggregate){0};
}
