/* Columns and blocks come back bit by bit, whatever their shape. */
#include <math.h>
#include <string.h>

#include "collector/core/store/block.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "tests/support/unit.h"

#define VALUES_MAX 2000

static uint64_t random_state;

static uint64_t random_next(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 2685821657736338717u;
}

static int64_t below(int64_t limit)
{
    return (int64_t)(random_next() % (uint64_t)limit);
}

/* ---- shapes of integers ---- */

static int64_t shape_zero(int64_t last, size_t i)
{
    (void)last, (void)i;
    return 0;
}
static int64_t shape_constant(int64_t last, size_t i)
{
    return i == 0 ? (int64_t)random_next() : last;
}
static int64_t shape_grid(int64_t last, size_t i)
{
    return i == 0 ? 1790000000000 + below(1000) : last + 1000;
}
static int64_t shape_grid_with_holes(int64_t last, size_t i)
{
    return i == 0 ? 1790000000123 : last + 1000 * (below(20) == 0 ? 1 + below(30) : 1);
}
static int64_t shape_counter(int64_t last, size_t i)
{
    return i == 0 ? below(1000000000) : last + below(400);
}
static int64_t shape_counter_with_resets(int64_t last, size_t i)
{
    return below(100) == 0 ? 0 : shape_counter(last, i);
}
static int64_t shape_sectors(int64_t last, size_t i)
{
    return i == 0 ? 8 * below(1000000) + 3 : last + 8 * below(100);
}
static int64_t shape_small(int64_t last, size_t i)
{
    (void)last, (void)i;
    return below(100) < 93 ? 0 : below(6);
}
static int64_t shape_spikes(int64_t last, size_t i)
{
    (void)last, (void)i;
    return below(50) == 0 ? (int64_t)random_next() : 1000 + below(50);
}
static int64_t shape_noise(int64_t last, size_t i)
{
    (void)last, (void)i;
    return (int64_t)random_next();
}
static int64_t shape_extremes(int64_t last, size_t i)
{
    static const int64_t values[] = {INT64_MIN, INT64_MAX, 0, -1, 1, INT64_MIN + 1, INT64_MAX - 1};
    (void)last, (void)i;
    return values[below(ARRAY_COUNT(values))];
}
static int64_t shape_falling(int64_t last, size_t i)
{
    return i == 0 ? INT64_MIN + 5 : (int64_t)((uint64_t)last - (uint64_t)(3 + below(2)));
}
static int64_t shape_any_width(int64_t last, size_t i)
{
    (void)last, (void)i;
    return (int64_t)(random_next() >> below(64));
}

static const struct {
    const char *label;
    int64_t (*next)(int64_t last, size_t i);
    double bytes_max; /* a value, for 600 of them; 0 whatever */
} shapes[] = {
    {"zero", shape_zero, .05},
    {"constant", shape_constant, .05},
    {"grid", shape_grid, .05},
    {"grid with holes", shape_grid_with_holes, .8},
    {"counter", shape_counter, 1.25},
    {"counter with resets", shape_counter_with_resets, 1.5},
    {"sectors", shape_sectors, 1.1},
    {"small", shape_small, .45},
    {"spikes", shape_spikes, 1.25},
    {"noise", shape_noise, 8.2},
    {"extremes", shape_extremes, 8.2},
    {"falling", shape_falling, .3},
    {"any width", shape_any_width, 8.2},
};

static void round_trip_ints(const char *label, const int64_t *values, size_t count, double bytes_max)
{
    AUTO_FREE uint8_t *bytes = check_alloc(codec_column_bound(count) + 1);
    AUTO_FREE int64_t *scratch = check_alloc_array(count, sizeof *scratch);
    AUTO_FREE int64_t *back = check_alloc_array(count, sizeof *back);
    struct codec_form form = {.kind = CODEC_INT}, form_back;
    bytes[codec_column_bound(count)] = 0xa5;
    uint8_t *end = codec_column_encode(&form, values, count, scratch, bytes);
    size_t size = (size_t)(end - bytes);
    CU_ASSERT_FATAL(size <= codec_column_bound(count) && bytes[codec_column_bound(count)] == 0xa5);
    struct cursor in = cursor_of(span_of(bytes, size));
    struct error err = {0};
    CU_ASSERT_FATAL(codec_column_decode(&in, count, values[0], back, &form_back, &err) == 0);
    CU_ASSERT(cursor_left(&in) == 0);
    CU_ASSERT(memcmp(values, back, count * sizeof *values) == 0);
    if (count >= 600 && bytes_max > 0 && (double)size > bytes_max * (double)count) {
        printf("%s: %.3f bytes a value\n", label, (double)size / (double)count);
        CU_FAIL("larger than this shape should be");
    }
}

static void every_shape_of_integers_comes_back(void)
{
    static int64_t values[VALUES_MAX];
    static const size_t counts[] = {1, 2, 3, 7, 60, 127, 128, 129, 255, 256, 257, 600, 1999};
    for (size_t s = 0; s < ARRAY_COUNT(shapes); s++)
        for (uint64_t seed = 1; seed <= 20; seed++)
            for (size_t c = 0; c < ARRAY_COUNT(counts); c++) {
                random_state = seed * 0x9E3779B97F4A7C15u;
                for (size_t i = 0; i < counts[c]; i++)
                    values[i] = shapes[s].next(i > 0 ? values[i - 1] : 0, i);
                round_trip_ints(shapes[s].label, values, counts[c], shapes[s].bytes_max);
            }
}

/* Pieces of all shapes in one column: each chunk finds its own way, over every border. */
static void mixtures_of_shapes_come_back(void)
{
    static int64_t values[VALUES_MAX];
    for (uint64_t seed = 1; seed <= 500; seed++) {
        random_state = seed * 77777777777u + 1;
        size_t count = 1 + (size_t)below(1500), i = 0;
        while (i < count) {
            size_t shape = (size_t)below(ARRAY_COUNT(shapes)), length = 1 + (size_t)below(300);
            for (size_t k = 0; k < length && i < count; k++, i++)
                values[i] = shapes[shape].next(i > 0 ? values[i - 1] : 0, k);
        }
        round_trip_ints("mixture", values, count, 0);
    }
}

/* ---- doubles ---- */

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double uniform(void)
{
    return (double)(random_next() >> 11) / 9007199254740992.0;
}

static uint64_t double_percent(void)
{
    return bits_of((double)below(1001) / 10.0);
}
static uint64_t double_latency(void)
{
    char text[32];
    snprintf(text, sizeof text, "%.3g", 0.04 * pow(100, uniform()));
    return bits_of(strtod(text, NULL));
}
static uint64_t double_full(void)
{
    return bits_of(4.0 * exp(uniform()));
}
static uint64_t double_ticks(void)
{
    return bits_of(100.0 * (double)below(20) / 199.0);
}
static uint64_t double_odd(void)
{
    static const uint64_t odd[] = {0x8000000000000000u, 0, 1, 0x7ff0000000000000u, 0xfff0000000000000u,
        0x7ff8000000000000u, 0x7ff8dead0000beefu, 0xfff0000000000001u, 0x000fffffffffffffu,
        0x7fefffffffffffffu, 0x3ff0000000000000u};
    return odd[below(ARRAY_COUNT(odd))];
}
static uint64_t double_noise(void)
{
    return random_next();
}
static uint64_t double_one(void)
{
    return bits_of(17179869184.0);
}
static uint64_t double_large_integers(void)
{
    return bits_of((double)((int64_t)1 << 53) + (double)below(1000) * 2);
}

static const struct {
    const char *label;
    uint64_t (*next)(void);
    double bytes_max;
} double_shapes[] = {
    {"percent", double_percent, 1.4},
    {"latency", double_latency, 2.0},
    {"full", double_full, 7.2},
    {"ticks", double_ticks, 1.2},
    {"odd", double_odd, 1.0},
    {"noise", double_noise, 8.3},
    {"constant", double_one, .2},
    {"beyond 2^53", double_large_integers, 3},
};

static void every_shape_of_doubles_comes_back_bit_by_bit(void)
{
    static uint64_t bits[VALUES_MAX], back[VALUES_MAX];
    static int64_t times[VALUES_MAX];
    for (size_t i = 0; i < VALUES_MAX; i++) times[i] = 1790000000000 + (int64_t)i * 1000;
    for (size_t s = 0; s < ARRAY_COUNT(double_shapes); s++)
        for (uint64_t seed = 1; seed <= 30; seed++) {
            random_state = seed * 0x9E3779B97F4A7C15u;
            size_t count = seed == 1 ? 1 : seed == 2 ? 600 : 1 + (size_t)below(1500);
            for (size_t i = 0; i < count; i++) bits[i] = double_shapes[s].next();
            struct block_column column = {
                .series = 7, .is_double = true, .times_ms = times, .bits = bits, .count = count};
            AUTO(buffer_fini) struct buffer bytes = {0};
            AUTO(arena_fini) struct arena arena = {0};
            struct block block;
            struct error err = {0};
            CU_ASSERT_FATAL(block_encode(&column, 1, &bytes, &err) == 0);
            CU_ASSERT_FATAL(block_open(buffer_span(&bytes), &arena, &block, &err) == 0);
            CU_ASSERT_FATAL(block.entry_count == 1 && block.entries[0].count == count);
            CU_ASSERT(block.entries[0].is_double && block.entries[0].series == 7);
            CU_ASSERT_FATAL(block_values(&block.entries[0], back, &err) == 0);
            CU_ASSERT(memcmp(bits, back, count * sizeof *bits) == 0);
            if (count >= 600 && (double)bytes.size > double_shapes[s].bytes_max * (double)count + 100) {
                printf(
                    "%s: %.3f bytes a value\n", double_shapes[s].label, (double)bytes.size / (double)count);
                CU_FAIL("larger than this shape should be");
            }
        }
}

/* ---- blocks ---- */

static void check_summary(const struct block_entry *entry, const struct block_column *column)
{
    const int64_t *values = (const int64_t *)column->bits;
    int64_t min = values[0], max = values[0];
    wide sum = 0;
    uint64_t resets = 0;
    for (size_t i = 0; i < column->count; i++) {
        if (values[i] < min) min = values[i];
        if (values[i] > max) max = values[i];
        sum += values[i];
        resets += i > 0 && values[i] < values[i - 1];
    }
    const struct block_summary *summary = &entry->summary;
    CU_ASSERT(summary->first == values[0] && summary->last == values[column->count - 1]);
    CU_ASSERT(summary->min == min && summary->max == max);
    CU_ASSERT(summary->sum == sum);
    CU_ASSERT(summary->resets == resets);
}

static void a_block_keeps_columns_axes_and_summaries(void)
{
    enum { COLUMNS = 60, ROWS = 700 };
    static int64_t times[3][ROWS], values[COLUMNS][ROWS], back_times[ROWS];
    static uint64_t back[ROWS];
    struct block_column columns[COLUMNS];
    random_state = 4711;
    for (size_t a = 0; a < 3; a++)
        for (size_t i = 0; i < ROWS; i++)
            times[a][i] =
                shapes[a == 0 ? 2 : 3].next(i > 0 ? times[a][i - 1] : 0, i) + (i == 0 ? (int64_t)a : 0);
    for (size_t c = 0; c < COLUMNS; c++) {
        for (size_t i = 0; i < ROWS; i++)
            values[c][i] = shapes[c % ARRAY_COUNT(shapes)].next(i > 0 ? values[c][i - 1] : 0, i);
        columns[c] = (struct block_column){.series = (uint32_t)(c % 7 == 0 ? c : 1000000 - c),
            .times_ms = times[c % 3],
            .bits = (const uint64_t *)values[c],
            .count = ROWS - (c % 5 == 0 ? 100 : 0)};
    }
    AUTO(buffer_fini) struct buffer bytes = {0};
    AUTO(arena_fini) struct arena arena = {0};
    struct block block;
    struct error err = {0};
    CU_ASSERT_FATAL(block_encode(columns, COLUMNS, &bytes, &err) == 0);
    CU_ASSERT_FATAL(block_open(buffer_span(&bytes), &arena, &block, &err) == 0);
    CU_ASSERT_FATAL(block.entry_count == COLUMNS);
    CU_ASSERT(block.axis_count == 6);
    for (size_t c = 0; c < COLUMNS; c++) {
        const struct block_entry *entry = &block.entries[c];
        CU_ASSERT_FATAL(
            entry->count == columns[c].count && entry->series == columns[c].series && !entry->is_double);
        CU_ASSERT_FATAL(block_times(&block, entry->axis, back_times, &err) == 0);
        CU_ASSERT(memcmp(back_times, columns[c].times_ms, entry->count * sizeof *back_times) == 0);
        CU_ASSERT_FATAL(block_values(entry, back, &err) == 0);
        CU_ASSERT(memcmp(back, columns[c].bits, entry->count * sizeof *back) == 0);
        check_summary(entry, &columns[c]);
    }
}

static void every_flipped_bit_is_noticed(void)
{
    int64_t times[100];
    uint64_t values[100];
    random_state = 3;
    for (size_t i = 0; i < 100; i++) {
        times[i] = 1790000000000 + (int64_t)i * 1000;
        values[i] = (uint64_t)below(1000);
    }
    struct block_column column = {.series = 1, .times_ms = times, .bits = values, .count = 100};
    AUTO(buffer_fini) struct buffer bytes = {0};
    struct error err = {0};
    CU_ASSERT_FATAL(block_encode(&column, 1, &bytes, &err) == 0);
    for (size_t bit = 0; bit < bytes.size * 8; bit++) {
        AUTO(arena_fini) struct arena arena = {0};
        struct block block;
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CU_ASSERT(block_open(buffer_span(&bytes), &arena, &block, &err) == -1 && err.kind == ERROR_CORRUPT);
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t size = 0; size < bytes.size; size++) {
        AUTO(arena_fini) struct arena arena = {0};
        struct block block;
        CU_ASSERT(block_open(span_of(bytes.data, size), &arena, &block, &err) == -1);
    }
}

static void bounds_are_refused(void)
{
    int64_t time = 0;
    uint64_t value = 0;
    struct block_column column = {.times_ms = &time, .bits = &value, .count = 0};
    AUTO(buffer_fini) struct buffer bytes = {0};
    struct error err = {0};
    CU_ASSERT(block_encode(&column, 0, &bytes, &err) == -1 && err.kind == ERROR_LIMIT);
    CU_ASSERT(block_encode(&column, 1, &bytes, &err) == -1 && err.kind == ERROR_LIMIT);
    column.count = BLOCK_VALUES_MAX + 1;
    AUTO_FREE int64_t *times = check_alloc_array(column.count, sizeof *times);
    AUTO_FREE uint64_t *values = check_alloc_array(column.count, sizeof *values);
    column.times_ms = times;
    column.bits = values;
    CU_ASSERT(block_encode(&column, 1, &bytes, &err) == -1 && err.kind == ERROR_LIMIT);
    CU_ASSERT(bytes.size == 0);
}

UNIT_MAIN("store codec", {"every shape of integers comes back", every_shape_of_integers_comes_back},
    {"mixtures of shapes come back", mixtures_of_shapes_come_back},
    {"every shape of doubles comes back bit by bit", every_shape_of_doubles_comes_back_bit_by_bit},
    {"a block keeps columns, axes and summaries", a_block_keeps_columns_axes_and_summaries},
    {"every flipped bit is noticed", every_flipped_bit_is_noticed},
    {"bounds are refused", bounds_are_refused})
