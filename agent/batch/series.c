#include "agent/batch/series.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/check.h"

#define TEXT_BYTES_MAX (LIMIT_LABELS * (LIMIT_LABEL_NAME_BYTES + LIMIT_LABEL_VALUE_BYTES + 2))

void dictionary_init(struct dictionary *d)
{
    *d = (struct dictionary){.next_id = 1, .slot_count = 256};
    d->slots = check_alloc_array(d->slot_count, sizeof *d->slots);
}

void dictionary_fini(struct dictionary *d)
{
    for (size_t i = 0; i < d->count; i++) free(d->list[i].text);
    free(d->list);
    free(d->slots);
    *d = (struct dictionary){0};
}

/* "name\0value\0…" into text; 0 if it does not fit. */
static size_t flatten(const struct wire_label *labels, size_t count, char text[static TEXT_BYTES_MAX])
{
    size_t size = 0;
    for (size_t i = 0; i < 2 * count; i++) {
        const char *part = i % 2 == 0 ? labels[i / 2].name : labels[i / 2].value;
        size_t n = strlen(part) + 1;
        if (size + n > TEXT_BYTES_MAX) return 0;
        memcpy(text + size, part, n);
        size += n;
    }
    return size;
}

static bool labels_ok(const struct wire_label *labels, size_t count)
{
    if (count > LIMIT_LABELS) return false;
    for (size_t i = 0; i < count; i++) {
        if (!wire_name_ok(labels[i].name, LIMIT_LABEL_NAME_BYTES) || !wire_label_value_ok(labels[i].value))
            return false;
        if (i > 0 && strcmp(labels[i - 1].name, labels[i].name) >= 0) return false;
    }
    return true;
}

/* The slot where it is, or where it would go. */
static size_t find_slot(
    const struct dictionary *d, uint64_t hash, unsigned metric, const char *text, size_t text_size)
{
    size_t i = (size_t)hash & (d->slot_count - 1);
    for (; d->slots[i] != 0; i = (i + 1) & (d->slot_count - 1)) {
        const struct series *s = &d->list[d->slots[i] - 1];
        if (s->hash == hash && s->metric == metric && s->text_size == text_size &&
            memcmp(s->text, text, text_size) == 0)
            break;
    }
    return i;
}

static void rebuild_slots(struct dictionary *d)
{
    memset(d->slots, 0, d->slot_count * sizeof *d->slots);
    for (size_t p = 0; p < d->count; p++) {
        size_t i = (size_t)d->list[p].hash & (d->slot_count - 1);
        while (d->slots[i] != 0) i = (i + 1) & (d->slot_count - 1);
        d->slots[i] = (uint32_t)p + 1;
    }
}

/* A place for one more: at the end, or that of one that has not been used for an hour. */
static size_t make_place(struct dictionary *d)
{
    if (d->count == LIMIT_SERIES_PER_HOST) {
        size_t oldest = 0;
        for (size_t i = 1; i < d->count; i++)
            if (d->list[i].used < d->list[oldest].used) oldest = i;
        if (d->round - d->list[oldest].used < SERIES_FORGET_ROUNDS) return SERIES_NONE;
        free(d->list[oldest].text);
        d->list[oldest] = (struct series){0};
        return oldest;
    }
    if (d->count == d->capacity) {
        d->capacity = d->capacity > 0 ? d->capacity * 2 : 64;
        d->list = check_realloc_array(d->list, d->capacity, sizeof *d->list);
    }
    if (2 * (d->count + 1) > d->slot_count) {
        free(d->slots);
        d->slot_count *= 2;
        d->slots = check_alloc_array(d->slot_count, sizeof *d->slots);
    }
    return d->count++;
}

static size_t add(struct dictionary *d, uint64_t hash, unsigned metric, const char *text, size_t text_size,
    size_t label_count, uint32_t id)
{
    if (id > LIMIT_DICT_ID) return SERIES_NONE;
    size_t place = make_place(d);
    if (place == SERIES_NONE) return SERIES_NONE;
    char *copy = check_alloc(text_size + 1);
    memcpy(copy, text, text_size);
    d->list[place] = (struct series){.id = id,
        .metric = metric,
        .text = copy,
        .text_size = (uint16_t)text_size,
        .label_count = (uint8_t)label_count,
        .hash = hash,
        .value_time_ms = -1,
        .used = d->round};
    rebuild_slots(d);
    return place;
}

size_t dictionary_get(
    struct dictionary *d, unsigned metric, const struct wire_label *labels, size_t label_count)
{
    char text[TEXT_BYTES_MAX];
    if (label_count > LIMIT_LABELS) return SERIES_NONE;
    size_t size = flatten(labels, label_count, text);
    if (size == 0 && label_count > 0) return SERIES_NONE;
    uint64_t hash = XXH64(text, size, metric);
    size_t slot = find_slot(d, hash, metric, text, size);
    if (d->slots[slot] != 0) {
        d->list[d->slots[slot] - 1].used = d->round;
        return d->slots[slot] - 1;
    }
    if (!labels_ok(labels, label_count)) return SERIES_NONE;
    size_t place = add(d, hash, metric, text, size, label_count, d->next_id);
    if (place != SERIES_NONE) d->next_id++;
    return place;
}

void dictionary_learn(struct dictionary *d, const struct wire_dict_entry *entry)
{
    if (entry->id + SERIES_ID_SKIP >= d->next_id) d->next_id = entry->id + SERIES_ID_SKIP + 1;
    unsigned metric = SERIES_PROBE;
    if (strcmp(entry->metric, WIRE_METRIC_PROBE) != 0) {
        const struct metric_info *info = metric_find(entry->metric);
        if (info == NULL) return; /* of another version */
        metric = (unsigned)(info - metric_info((enum metric)0));
    }
    char text[TEXT_BYTES_MAX];
    size_t size = flatten(entry->labels, entry->label_count, text);
    uint64_t hash = XXH64(text, size, metric);
    if (d->slots[find_slot(d, hash, metric, text, size)] == 0) {
        size_t place = add(d, hash, metric, text, size, entry->label_count, entry->id);
        if (place != SERIES_NONE) d->list[place].sent = d->list[place].kept = true;
    }
}

void series_entry(const struct series *s, struct wire_dict_entry *entry)
{
    *entry = (struct wire_dict_entry){.id = s->id,
        .label_count = s->label_count,
        .metric = s->metric == SERIES_PROBE ? WIRE_METRIC_PROBE : metric_info((enum metric)s->metric)->name};
    const char *at = s->text;
    for (size_t i = 0; i < s->label_count; i++) {
        entry->labels[i].name = at;
        at += strlen(at) + 1;
        entry->labels[i].value = at;
        at += strlen(at) + 1;
    }
}
