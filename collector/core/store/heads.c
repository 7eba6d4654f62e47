#include "collector/core/store/heads.h"

#include <stdlib.h>
#include <string.h>

#include "collector/core/store/labels.h"
#include "collector/core/store/store_inside.h"
#include "collector/core/store/store_read.h"
#include "common/check.h"
#include "common/cleanup.h"

/* ---- writing ---- */

struct heads_writer {
    struct block_column *columns;
    size_t column_count, column_capacity;
    struct merged *copies; /* what the columns point to */
    size_t copy_count, copy_capacity;
    struct buffer labels, block;
    size_t label_count;
};

static void writer_fini(struct heads_writer *writer)
{
    for (size_t i = 0; i < writer->copy_count; i++) merged_fini(&writer->copies[i]);
    free(writer->copies);
    free(writer->columns);
    buffer_fini(&writer->labels);
    buffer_fini(&writer->block);
}

static int put_text(struct buffer *out, const char *text, struct error *err)
{
    struct span bytes = span_text(text);
    uint8_t *room = buffer_reserve(out, bytes.size + VARINT_BYTES_MAX, err);
    if (room == NULL) return -1;
    uint8_t *end = put_varint(room, bytes.size);
    memcpy(end, bytes.data, bytes.size);
    out->size += (size_t)(end - room) + bytes.size;
    return 0;
}

static void add_column(struct heads_writer *writer, const struct block_column *column)
{
    if (writer->column_count == writer->column_capacity) {
        writer->column_capacity = writer->column_capacity > 0 ? writer->column_capacity * 2 : 16;
        writer->columns =
            check_realloc_array(writer->columns, writer->column_capacity, sizeof *writer->columns);
    }
    writer->columns[writer->column_count++] = *column;
}

/* The part of a run that lies within from..to and, for rates, an hour before, in ascending order. */
static void add_run(struct heads_writer *writer, const struct store_selector *selector, const struct run *run,
    uint32_t series)
{
    if (writer->copy_count == writer->copy_capacity) {
        writer->copy_capacity = writer->copy_capacity > 0 ? writer->copy_capacity * 2 : 16;
        writer->copies = check_realloc_array(writer->copies, writer->copy_capacity, sizeof *writer->copies);
    }
    struct merged *copy = &writer->copies[writer->copy_count++];
    *copy = (struct merged){0};
    merge_runs(run, 1, copy);
    size_t from = 0, to = copy->count;
    while (from < to && copy->times_ms[from] < selector->from_ms - HOUR_MS) from++;
    while (to > from && copy->times_ms[to - 1] >= selector->to_ms) to--;
    while (from < to) {
        size_t count = to - from < BLOCK_VALUES_MAX ? to - from : BLOCK_VALUES_MAX;
        add_column(writer, &(struct block_column){.series = series,
                               .is_double = run->is_double,
                               .times_ms = copy->times_ms + from,
                               .bits = copy->bits + from,
                               .count = count});
        from += count;
    }
}

static bool is_selected(const struct store_selector *selector, const struct series *series)
{
    return series->head.first != NULL &&
           (selector->metric == NULL || strcmp(series->metric, selector->metric) == 0) &&
           labels_match(series->labels, selector->labels, selector->label_count);
}

static int write_host(const struct series_host *host, const struct store_selector *selector,
    struct buffer *out, struct error *err)
{
    AUTO(writer_fini) struct heads_writer writer = {0};
    for (size_t i = 0; i < host->series_count; i++) {
        const struct series *series = host->series[i];
        if (!is_selected(selector, series)) continue;
        size_t before = writer.column_count;
        for (const struct head_run *run = series->head.first; run != NULL; run = run->next)
            add_run(&writer, selector, &run->run, (uint32_t)writer.label_count);
        if (writer.column_count == before) continue;
        if (put_text(&writer.labels, series->labels, err) != 0) return -1;
        writer.label_count++;
    }
    if (writer.column_count == 0) return 0;
    uint8_t number[VARINT_BYTES_MAX];
    if (block_encode(writer.columns, writer.column_count, &writer.block, err) != 0 ||
        put_text(out, host->name, err) != 0 ||
        buffer_append(out, span_of(number, (size_t)(put_varint(number, writer.label_count) - number)), err) !=
            0 ||
        buffer_append(out, buffer_span(&writer.labels), err) != 0 ||
        buffer_append(out, span_of(number, (size_t)(put_varint(number, writer.block.size) - number)), err) !=
            0)
        return -1;
    return buffer_append(out, buffer_span(&writer.block), err);
}

int store_heads(
    const struct store *store, const struct store_selector *selector, struct buffer *out, struct error *err)
{
    static const uint8_t version = HEADS_VERSION;
    size_t before = out->size;
    if (selector->metric == NULL) return fail(err, ERROR_INPUT, "heads are asked for by metric");
    int result = buffer_append(out, span_of(&version, 1), err);
    for (size_t i = 0; result == 0 && i < store->registry.host_count; i++) {
        const struct series_host *host = store->registry.order[i];
        if (host->samples > 0 && (selector->host == NULL || strcmp(host->name, selector->host) == 0))
            result = write_host(host, selector, out, err);
    }
    if (result != 0) out->size = before;
    return result;
}

/* ---- reading ---- */

int heads_reader_init(struct heads_reader *reader, struct span bytes, struct error *err)
{
    reader->in = cursor_of(bytes);
    if (bytes.size == 0) return 0;
    uint8_t version = cursor_byte(&reader->in);
    if (version != HEADS_VERSION) return fail(err, ERROR_UNSUPPORTED, "heads of version %u", version);
    return 0;
}

static const char *read_text(struct cursor *in, struct arena *arena)
{
    uint64_t size = cursor_varint(in);
    if (size > cursor_left(in)) in->bad = true;
    const uint8_t *bytes = cursor_bytes(in, (size_t)size);
    char *text = bytes != NULL ? arena_alloc(arena, (size_t)size + 1) : NULL;
    if (text == NULL) {
        in->bad = true;
        return "";
    }
    memcpy(text, bytes, (size_t)size);
    return text;
}

int heads_next(struct heads_reader *reader, struct arena *arena, struct heads_host *host, struct error *err)
{
    struct cursor *in = &reader->in;
    if (cursor_left(in) == 0) return 0;
    *host = (struct heads_host){.host = read_text(in, arena)};
    uint64_t count = cursor_varint(in);
    if (in->bad || count == 0 || count > cursor_left(in))
        return fail(err, ERROR_CORRUPT, "heads are cut off");
    host->label_count = (size_t)count;
    host->labels = arena_alloc_array(arena, host->label_count, sizeof *host->labels);
    if (host->labels == NULL) return fail(err, ERROR_LIMIT, "heads are too large");
    for (size_t i = 0; i < host->label_count; i++) host->labels[i] = read_text(in, arena);
    uint64_t size = cursor_varint(in);
    if (in->bad || size > cursor_left(in)) return fail(err, ERROR_CORRUPT, "heads are cut off");
    if (block_open(span_of(cursor_bytes(in, (size_t)size), (size_t)size), arena, &host->block, err) != 0)
        return -1;
    for (size_t i = 0; i < host->block.entry_count; i++)
        if (host->block.entries[i].series >= host->label_count)
            return fail(err, ERROR_CORRUPT, "heads name a series that they do not hold");
    return 1;
}
