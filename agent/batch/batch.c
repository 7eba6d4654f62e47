#include "agent/batch/batch.h"

#include <stdlib.h>
#include <string.h>

#include "agent/batch/series.h"
#include "common/arena.h"
#include "common/check.h"

/* What one frame may hold, well below what the collector refuses. A dictionary entry is two elements and two
 * for each label; a block of rows four. */
#define ELEMENTS_MAX 3000
#define BYTES_MAX    ((size_t)160 * 1024)
#define BLOCKS_MAX   128
#define PACKED_MAX   40000
#define ARENA_KEPT   ((size_t)64 * 1024)

struct value {
    uint32_t position; /* of its series */
    int64_t time_ms;
    int64_t value;
};

struct outcome {
    uint32_t position;
    struct probe_result result;
};

struct batch {
    struct dictionary dictionary;
    struct value *values;
    size_t value_count, value_capacity;
    struct outcome *probes;
    size_t probe_count, probe_capacity;
    uint64_t refused;
    bool resend_all;
    struct arena arena;
};

/* What is to go into a frame, while it is being filled. */
struct filling {
    size_t elements, bytes, packed, blocks;
    uint32_t *entries; /* positions whose meaning travels along */
    size_t entry_count;
    size_t values, probes; /* how many from the front of what is waiting */
};

struct batch *batch_new(void)
{
    struct batch *b = check_alloc(sizeof *b);
    dictionary_init(&b->dictionary);
    return b;
}

void batch_free(struct batch *b)
{
    if (b == NULL) return;
    dictionary_fini(&b->dictionary);
    free(b->values);
    free(b->probes);
    arena_fini(&b->arena);
    free(b);
}

static size_t position_of(struct batch *b, unsigned metric, const struct wire_label *labels, size_t count)
{
    struct wire_label sorted[LIMIT_LABELS];
    if (count > LIMIT_LABELS) return SERIES_NONE;
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0 && strcmp(sorted[at - 1].name, labels[i].name) > 0; at--) sorted[at] = sorted[at - 1];
        sorted[at] = labels[i];
    }
    return dictionary_get(&b->dictionary, metric, sorted, count);
}

void batch_value(struct batch *b, enum metric metric, const struct wire_label *labels, size_t label_count,
    int64_t time_ms, int64_t value)
{
    bool full = b->value_count == BATCH_VALUES_MAX || time_ms < 0 || time_ms > LIMIT_TIME_MS;
    size_t position = full ? SERIES_NONE : position_of(b, metric, labels, label_count);
    if (position == SERIES_NONE) {
        b->refused++;
        return;
    }
    struct series *series = &b->dictionary.list[position];
    if (series->value_time_ms == time_ms && series->value_slot < b->value_count &&
        b->values[series->value_slot].position == position &&
        b->values[series->value_slot].time_ms == time_ms) {
        b->values[series->value_slot].value = value;
        return;
    }
    if (b->value_count == b->value_capacity) {
        b->value_capacity = b->value_capacity > 0 ? b->value_capacity * 2 : 256;
        b->values = check_realloc_array(b->values, b->value_capacity, sizeof *b->values);
    }
    series->value_time_ms = time_ms;
    series->value_slot = b->value_count;
    b->values[b->value_count++] =
        (struct value){.position = (uint32_t)position, .time_ms = time_ms, .value = value};
}

void batch_probe(
    struct batch *b, const struct wire_label *labels, size_t label_count, const struct probe_result *result)
{
    bool full =
        b->probe_count == BATCH_PROBES_MAX || result->start_ms < 0 || result->start_ms > LIMIT_TIME_MS;
    size_t position = full ? SERIES_NONE : position_of(b, SERIES_PROBE, labels, label_count);
    if (position == SERIES_NONE) {
        b->refused++;
        return;
    }
    if (b->probe_count == b->probe_capacity) {
        b->probe_capacity = b->probe_capacity > 0 ? b->probe_capacity * 2 : 64;
        b->probes = check_realloc_array(b->probes, b->probe_capacity, sizeof *b->probes);
    }
    b->probes[b->probe_count++] = (struct outcome){.position = (uint32_t)position, .result = *result};
}

bool batch_is_empty(const struct batch *b)
{
    return b->value_count == 0 && b->probe_count == 0;
}

uint64_t batch_refused(const struct batch *b)
{
    return b->refused;
}

void batch_resend_dictionary(struct batch *b)
{
    for (size_t i = 0; i < b->dictionary.count; i++) b->dictionary.list[i].sent = false;
    b->resend_all = true;
}

void batch_learn(struct batch *b, const struct wire_dict_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) dictionary_learn(&b->dictionary, &entries[i]);
}

/* Whether the entry fits as well; it is then among those that travel. */
static bool take_entry(struct batch *b, struct filling *f, uint32_t position)
{
    struct series *s = &b->dictionary.list[position];
    if (s->sent) return true;
    size_t elements = 2 + 2 * (size_t)s->label_count;
    size_t bytes = 80 + s->text_size + 4 * (size_t)s->label_count;
    if (f->elements + elements > ELEMENTS_MAX || f->bytes + bytes > BYTES_MAX) return false;
    f->elements += elements;
    f->bytes += bytes;
    f->entries[f->entry_count++] = position;
    s->sent = true;
    return true;
}

static bool starts_block(const struct batch *b, size_t i)
{
    return i == 0 || b->values[i].time_ms != b->values[i - 1].time_ms;
}

static bool take_value(struct batch *b, struct filling *f)
{
    size_t i = f->values;
    bool block = starts_block(b, i);
    if (f->packed + 2 > PACKED_MAX || f->bytes + 16 > BYTES_MAX) return false;
    if (block && (f->blocks == BLOCKS_MAX || f->elements + 4 > ELEMENTS_MAX)) return false;
    if (!take_entry(b, f, b->values[i].position)) return false;
    f->blocks += block;
    f->elements += block ? 4 : 0;
    f->packed += 2;
    f->bytes += 16;
    f->values++;
    return true;
}

static bool take_probe(struct batch *b, struct filling *f)
{
    if (f->packed + 11 > PACKED_MAX || f->bytes + 64 > BYTES_MAX) return false;
    if (!take_entry(b, f, b->probes[f->probes].position)) return false;
    f->packed += 11;
    f->bytes += 64;
    f->probes++;
    return true;
}

static void fill(struct batch *b, struct filling *f)
{
    f->elements += 16; /* the frame, the columns of the probes */
    f->entries = arena_alloc_array(&b->arena, b->dictionary.count + 1, sizeof *f->entries);
    /* Probes first: what they tell is what somebody waits for. */
    while (f->probes < b->probe_count && take_probe(b, f)) {
    }
    while (f->values < b->value_count && take_value(b, f)) {
    }
    if (!b->resend_all) return;
    for (size_t i = 0; i < b->dictionary.count; i++)
        if (!take_entry(b, f, (uint32_t)i)) return;
    b->resend_all = false;
}

static void set_rows(struct batch *b, const struct filling *f, struct wire_batch *out)
{
    struct wire_rows *rows = arena_alloc_array(&b->arena, f->blocks, sizeof *rows);
    uint32_t *ids = arena_alloc_array(&b->arena, f->values, sizeof *ids);
    int64_t *ints = arena_alloc_array(&b->arena, f->values, sizeof *ints);
    size_t block = 0;
    for (size_t i = 0; i < f->values; i++) {
        if (starts_block(b, i))
            rows[block++] = (struct wire_rows){
                .series = &ids[i], .ints = &ints[i], .times_ms = &b->values[i].time_ms, .time_count = 1};
        rows[block - 1].series_count++;
        ids[i] = b->dictionary.list[b->values[i].position].id;
        ints[i] = b->values[i].value;
    }
    out->rows = rows;
    out->rows_count = block;
}

static void set_probes(struct batch *b, const struct filling *f, struct wire_batch *out)
{
    struct wire_probe *probes = arena_alloc_array(&b->arena, f->probes, sizeof *probes);
    for (size_t i = 0; i < f->probes; i++)
        probes[i] = (struct wire_probe){
            .target = b->dictionary.list[b->probes[i].position].id, .result = b->probes[i].result};
    out->probes = probes;
    out->probe_count = f->probes;
}

static void set_dictionary(struct batch *b, const struct filling *f, struct wire_batch *out)
{
    struct wire_dict_entry *entries = arena_alloc_array(&b->arena, f->entry_count, sizeof *entries);
    for (size_t i = 0; i < f->entry_count; i++) series_entry(&b->dictionary.list[f->entries[i]], &entries[i]);
    out->dict = entries;
    out->dict_count = f->entry_count;
}

/* Those of the frame's entries that no frame had before, for the head of the spool's segments. */
static void keep_new_entries(struct batch *b, const struct filling *f, const struct wire_from_agent *message,
    struct buffer *dictionary)
{
    struct wire_from_agent only = {.kind = WIRE_BATCH, .batch = message->batch};
    struct wire_dict_entry *entries = arena_alloc_array(&b->arena, f->entry_count, sizeof *entries);
    size_t count = 0;
    for (size_t i = 0; i < f->entry_count; i++) {
        struct series *s = &b->dictionary.list[f->entries[i]];
        if (!s->kept) entries[count++] = message->batch.dict[i];
        s->kept = true;
    }
    only.batch.dict = entries;
    only.batch.dict_count = count;
    only.batch.rows_count = only.batch.probe_count = only.batch.gap_count = 0;
    if (count > 0) CHECK(wire_encode_from_agent(&only, dictionary, NULL) == 0);
}

static void take_out(struct batch *b, const struct filling *f)
{
    b->value_count -= f->values;
    if (b->value_count > 0) memmove(b->values, b->values + f->values, b->value_count * sizeof *b->values);
    b->probe_count -= f->probes;
    if (b->probe_count > 0) memmove(b->probes, b->probes + f->probes, b->probe_count * sizeof *b->probes);
    if (f->values > 0)
        for (size_t i = 0; i < b->value_count; i++) b->dictionary.list[b->values[i].position].value_slot = i;
}

int batch_encode(struct batch *b, const struct batch_stamp *stamp, struct buffer *frame, uint64_t *samples,
    bool *more, struct buffer *dictionary, struct error *err)
{
    struct wire_from_agent message = {.kind = WIRE_BATCH,
        .batch = {.incarnation = stamp->incarnation,
            .sequence = stamp->sequence,
            .base_ms = stamp->wall_ms,
            .sent_mono_ms = stamp->mono_ms,
            .sent_wall_ms = stamp->wall_ms,
            .gaps = stamp->gaps,
            .gap_count = stamp->gap_count}};
    struct filling filling = {.elements = stamp->gap_count};
    fill(b, &filling);
    set_rows(b, &filling, &message.batch);
    set_probes(b, &filling, &message.batch);
    set_dictionary(b, &filling, &message.batch);
    int result = wire_encode_from_agent(&message, frame, err);
    if (result == 0) {
        *samples = wire_batch_samples(&message.batch);
        keep_new_entries(b, &filling, &message, dictionary);
    } else {
        b->refused += filling.values + filling.probes;
        for (size_t i = 0; i < filling.entry_count; i++) b->dictionary.list[filling.entries[i]].sent = false;
    }
    take_out(b, &filling);
    b->dictionary.round++;
    *more = b->value_count > 0 || b->probe_count > 0 || b->resend_all;
    if (b->arena.used > ARENA_KEPT)
        arena_fini(&b->arena);
    else
        arena_reset(&b->arena);
    return result;
}
