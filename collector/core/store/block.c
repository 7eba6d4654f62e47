#include "collector/core/store/block.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common/check.h"
#include "common/cleanup.h"

#define ENTRY_BYTES_MAX                                                                                      \
    (1 + 4 * VARINT_BYTES_MAX + 2 + 4 * VARINT_BYTES_MAX + VARINT2_BYTES_MAX + VARINT_BYTES_MAX)
#define AXIS_BYTES_MAX   (4 * VARINT_BYTES_MAX)
#define HEADER_BYTES_MAX (1 + 3 * VARINT_BYTES_MAX)
#define CHECKSUM_BYTES   8

/* ---- writing ---- */

struct writer {
    struct buffer axes, entries, data;
    const struct block_column **axis_columns; /* the first column of each axis */
    size_t axis_count;
    int64_t *ints, *scratch;
};

static void writer_fini(struct writer *writer)
{
    buffer_fini(&writer->axes);
    buffer_fini(&writer->entries);
    buffer_fini(&writer->data);
    free(writer->axis_columns);
    free(writer->ints);
    free(writer->scratch);
}

static bool same_times(const struct block_column *a, const struct block_column *b)
{
    return a->count == b->count && (a->times_ms == b->times_ms ||
                                       memcmp(a->times_ms, b->times_ms, a->count * sizeof *a->times_ms) == 0);
}

static int put_axis(struct writer *writer, const struct block_column *column, struct error *err)
{
    uint8_t *data = buffer_reserve(&writer->data, codec_ints_bound(column->count), err);
    uint8_t *row = buffer_reserve(&writer->axes, AXIS_BYTES_MAX, err);
    if (data == NULL || row == NULL) return -1;
    const int64_t *times = column->times_ms;
    uint8_t *end = codec_ints_encode(times + 1, column->count - 1, times[0], data);
    writer->data.size += (size_t)(end - data);
    uint8_t *out = put_varint(row, column->count);
    out = put_svarint(out, times[0]);
    out = put_varint(out, (uint64_t)(times[column->count - 1] - times[0]));
    out = put_varint(out, (size_t)(end - data));
    writer->axes.size += (size_t)(out - row);
    return 0;
}

/* The axis of a column: most often that of the column before it, else one of the few others. */
static int find_axis(
    struct writer *writer, const struct block_column *column, uint32_t *axis, struct error *err)
{
    size_t look = writer->axis_count < 64 ? writer->axis_count : 64;
    for (size_t back = 1; back <= look; back++)
        if (same_times(writer->axis_columns[writer->axis_count - back], column)) {
            *axis = (uint32_t)(writer->axis_count - back);
            return 0;
        }
    if (put_axis(writer, column, err) != 0) return -1;
    writer->axis_columns[writer->axis_count] = column;
    *axis = (uint32_t)writer->axis_count++;
    return 0;
}

static struct block_summary summarise(const struct codec_form *form, const int64_t *ints, size_t count)
{
    struct block_summary summary = {
        .first = ints[0], .last = ints[count - 1], .min = ints[0], .max = ints[0], .sum = ints[0]};
    for (size_t i = 1; i < count; i++) {
        if (ints[i] < summary.min) summary.min = ints[i];
        if (ints[i] > summary.max) summary.max = ints[i];
        summary.resets += ints[i] < ints[i - 1];
        summary.sum += ints[i];
    }
    if (form->kind != CODEC_INT && form->kind != CODEC_DECIMAL) summary.sum = 0;
    return summary;
}

static unsigned_wide zigzag_wide(wide value)
{
    return ((unsigned_wide)value << 1) ^ (unsigned_wide)(value >> 127);
}

static wide unzigzag_wide(unsigned_wide value)
{
    return (wide)(value >> 1) ^ -(wide)(value & 1);
}

static bool has_sum(enum codec_kind kind)
{
    return kind == CODEC_INT || kind == CODEC_DECIMAL;
}

static uint8_t *put_summary(
    uint8_t *out, const struct codec_form *form, const struct block_summary *summary, size_t count)
{
    uint64_t first = (uint64_t)summary->first;
    out = has_sum(form->kind) ? put_svarint(out, summary->first) : put_u64(out, first);
    out = put_svarint(out, (int64_t)((uint64_t)summary->last - first));
    out = put_varint(out, first - (uint64_t)summary->min);
    out = put_varint(out, (uint64_t)summary->max - first);
    if (has_sum(form->kind))
        out = put_varint_wide(out, zigzag_wide(summary->sum - (wide)summary->first * (wide)count));
    return put_varint(out, summary->resets);
}

static int put_column(
    struct writer *writer, const struct block_column *column, uint32_t series_before, struct error *err)
{
    uint32_t axis;
    if (column->count == 0 || column->count > BLOCK_VALUES_MAX)
        return fail(err, ERROR_LIMIT, "a column of %zu values", column->count);
    if (find_axis(writer, column, &axis, err) != 0) return -1;
    struct codec_form form = {.kind = CODEC_INT};
    if (column->is_double)
        form = codec_form_doubles(column->bits, column->count, writer->ints);
    else
        memcpy(writer->ints, column->bits, column->count * sizeof *writer->ints);
    struct block_summary summary = summarise(&form, writer->ints, column->count);
    uint8_t *data = buffer_reserve(&writer->data, codec_column_bound(column->count), err);
    uint8_t *row = buffer_reserve(&writer->entries, ENTRY_BYTES_MAX, err);
    if (data == NULL || row == NULL) return -1;
    uint8_t *end = codec_column_encode(&form, writer->ints, column->count, writer->scratch, data);
    writer->data.size += (size_t)(end - data);
    uint8_t *out = put_svarint(row, (int64_t)column->series - (int64_t)series_before);
    *out++ = (uint8_t)form.kind;
    if (form.kind == CODEC_DECIMAL) *out++ = (uint8_t)form.exponent;
    out = put_varint(out, axis);
    out = put_summary(out, &form, &summary, column->count);
    out = put_varint(out, (size_t)(end - data));
    writer->entries.size += (size_t)(out - row);
    return 0;
}

int block_encode(const struct block_column *columns, size_t count, struct buffer *out, struct error *err)
{
    if (count == 0 || count > BLOCK_COLUMNS_MAX)
        return fail(err, ERROR_LIMIT, "a block of %zu columns", count);
    size_t longest = 0;
    for (size_t i = 0; i < count; i++)
        if (columns[i].count > longest) longest = columns[i].count;
    AUTO(writer_fini)
    struct writer writer = {
        .data.size_max = BLOCK_BYTES_MAX,
        .axis_columns = check_alloc_array(count, sizeof *writer.axis_columns),
        .ints = check_alloc_array(longest, sizeof *writer.ints),
        .scratch = check_alloc_array(longest, sizeof *writer.scratch),
    };
    /* Axes and columns lie mixed in `data`, in the order in which they were first met; the directory knows
     * lengths only, so their places are found by walking it in the same order: see place_data. */
    for (size_t i = 0; i < count; i++)
        if (put_column(&writer, &columns[i], i > 0 ? columns[i - 1].series : 0, err) != 0) return -1;

    size_t size =
        HEADER_BYTES_MAX + writer.axes.size + writer.entries.size + writer.data.size + CHECKSUM_BYTES;
    uint8_t *start = buffer_reserve(out, size, err);
    if (start == NULL) return -1;
    uint8_t *at = start;
    *at++ = BLOCK_VERSION;
    at = put_varint(at, writer.axis_count);
    at = put_varint(at, count);
    const struct buffer *parts[] = {&writer.axes, &writer.entries, &writer.data};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        if (parts[i]->size > 0) memcpy(at, parts[i]->data, parts[i]->size);
        at += parts[i]->size;
    }
    at = put_u64(at, XXH3_64bits(start, (size_t)(at - start)));
    out->size += (size_t)(at - start);
    return 0;
}

/* ---- reading ---- */

static int read_axes(struct cursor *in, struct block_axis *axes, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        axes[i].count = (size_t)cursor_varint(in);
        axes[i].first_ms = cursor_svarint(in);
        uint64_t length = cursor_varint(in);
        axes[i].last_ms = (int64_t)((uint64_t)axes[i].first_ms + length);
        axes[i].data.size = (size_t)cursor_varint(in);
        if (in->bad || axes[i].count == 0 || axes[i].count > BLOCK_VALUES_MAX || length > INT64_MAX)
            return fail(err, ERROR_CORRUPT, "axis %zu of the block is malformed", i);
    }
    return 0;
}

static void read_summary(struct cursor *in, struct block_entry *entry)
{
    struct block_summary *summary = &entry->summary;
    bool sums = has_sum(entry->form.kind);
    uint64_t first = sums ? (uint64_t)cursor_svarint(in) : cursor_u64(in);
    summary->first = (int64_t)first;
    summary->last = (int64_t)(first + (uint64_t)cursor_svarint(in));
    summary->min = (int64_t)(first - cursor_varint(in));
    summary->max = (int64_t)(first + cursor_varint(in));
    if (sums) {
        wide above = unzigzag_wide(cursor_varint_wide(in, 128));
        summary->sum =
            (wide)((unsigned_wide)((wide)summary->first * (wide)entry->count) + (unsigned_wide)above);
    }
    summary->resets = cursor_varint(in);
}

static int read_entries(struct cursor *in, const struct block_axis *axes, size_t axis_count,
    struct block_entry *entries, size_t count, struct error *err)
{
    uint32_t series = 0;
    for (size_t i = 0; i < count; i++) {
        struct block_entry *entry = &entries[i];
        series = (uint32_t)(series + (uint64_t)cursor_svarint(in));
        entry->series = series;
        entry->form.kind = cursor_byte(in);
        if (entry->form.kind == CODEC_DECIMAL) entry->form.exponent = cursor_byte(in);
        uint64_t axis = cursor_varint(in);
        if (in->bad || axis >= axis_count || entry->form.kind >= CODEC_KIND_COUNT ||
            entry->form.exponent > CODEC_EXPONENT_MAX)
            return fail(err, ERROR_CORRUPT, "column %zu of the block is malformed", i);
        entry->is_double = entry->form.kind != CODEC_INT;
        entry->axis = (uint32_t)axis;
        entry->count = axes[axis].count;
        read_summary(in, entry);
        entry->data.size = (size_t)cursor_varint(in);
        if (in->bad) return fail(err, ERROR_CORRUPT, "column %zu of the block is cut off", i);
    }
    return 0;
}

/* An axis stands before the first column that uses it; axes are numbered in that order. */
static int place_data(struct cursor *in, struct block_axis *axes, size_t axis_count,
    struct block_entry *entries, size_t count, struct error *err)
{
    size_t placed = 0;
    for (size_t i = 0; i < count; i++) {
        if (entries[i].axis == placed) {
            axes[placed].data.data = cursor_bytes(in, axes[placed].data.size);
            placed++;
        }
        entries[i].data.data = cursor_bytes(in, entries[i].data.size);
        if (in->bad || entries[i].axis >= placed)
            return fail(err, ERROR_CORRUPT, "the data of column %zu is not in the block", i);
    }
    if (placed != axis_count || cursor_left(in) != 0)
        return fail(err, ERROR_CORRUPT, "the block holds what no column claims");
    return 0;
}

int block_open(struct span bytes, struct arena *arena, struct block *block, struct error *err)
{
    if (bytes.size < CHECKSUM_BYTES + 3) return fail(err, ERROR_CORRUPT, "a block of %zu bytes", bytes.size);
    struct span body = span_of(bytes.data, bytes.size - CHECKSUM_BYTES);
    struct cursor tail = cursor_of(span_of(bytes.data + body.size, CHECKSUM_BYTES));
    if (cursor_u64(&tail) != XXH3_64bits(body.data, body.size))
        return fail(err, ERROR_CORRUPT, "checksum of a block does not match");
    struct cursor in = cursor_of(body);
    uint8_t version = cursor_byte(&in);
    if (version != BLOCK_VERSION) return fail(err, ERROR_UNSUPPORTED, "block of version %u", version);
    size_t axis_count = (size_t)cursor_varint(&in);
    size_t count = (size_t)cursor_varint(&in);
    /* An entry takes at least eight bytes, so a short block cannot claim much memory. */
    if (in.bad || count == 0 || count > BLOCK_COLUMNS_MAX || count > body.size / 8 || axis_count == 0 ||
        axis_count > count)
        return fail(err, ERROR_CORRUPT, "a block of %zu columns on %zu axes", count, axis_count);
    struct block_axis *axes = arena_alloc_array(arena, axis_count, sizeof *axes);
    struct block_entry *entries = arena_alloc_array(arena, count, sizeof *entries);
    if (axes == NULL || entries == NULL)
        return fail(err, ERROR_LIMIT, "a block of %zu columns is too large", count);
    if (read_axes(&in, axes, axis_count, err) != 0 ||
        read_entries(&in, axes, axis_count, entries, count, err) != 0 ||
        place_data(&in, axes, axis_count, entries, count, err) != 0)
        return -1;
    *block = (struct block){.axes = axes, .axis_count = axis_count, .entries = entries, .entry_count = count};
    return 0;
}

int block_times(const struct block *block, uint32_t axis, int64_t *times_ms, struct error *err)
{
    CHECK(axis < block->axis_count);
    const struct block_axis *row = &block->axes[axis];
    struct cursor in = cursor_of(row->data);
    times_ms[0] = row->first_ms;
    if (codec_ints_decode(&in, row->count - 1, row->first_ms, times_ms + 1, err) != 0) return -1;
    if (cursor_left(&in) != 0 || times_ms[row->count - 1] != row->last_ms)
        return fail(err, ERROR_CORRUPT, "a time axis does not end as it says");
    for (size_t i = 1; i < row->count; i++)
        if (times_ms[i] <= times_ms[i - 1]) return fail(err, ERROR_CORRUPT, "a time axis does not ascend");
    return 0;
}

int block_values(const struct block_entry *entry, uint64_t *bits, struct error *err)
{
    struct cursor in = cursor_of(entry->data);
    struct codec_form form;
    int64_t *ints = (int64_t *)bits; /* the signed and unsigned type of one size may alias (C17 6.5p7) */
    if (codec_column_decode(&in, entry->count, entry->summary.first, ints, &form, err) != 0) return -1;
    if (cursor_left(&in) != 0 || form.kind != entry->form.kind || form.exponent != entry->form.exponent)
        return fail(err, ERROR_CORRUPT, "a column is not what the directory says");
    for (size_t i = 0; i < entry->count; i++) bits[i] = codec_bits(&form, ints[i]);
    return 0;
}
