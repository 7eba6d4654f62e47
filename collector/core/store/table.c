#include "collector/core/store/table.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common/check.h"

void *table_find(const struct table *table, uint64_t hash, bool (*equal)(const void *item, const void *key),
    const void *key)
{
    if (table->capacity == 0) return NULL;
    for (size_t at = hash & (table->capacity - 1); table->slots[at].item != NULL;
         at = (at + 1) & (table->capacity - 1))
        if (table->slots[at].hash == hash && equal(table->slots[at].item, key)) return table->slots[at].item;
    return NULL;
}

static void put(struct table *table, uint64_t hash, void *item)
{
    size_t at = hash & (table->capacity - 1);
    while (table->slots[at].item != NULL) at = (at + 1) & (table->capacity - 1);
    table->slots[at] = (struct table_slot){.hash = hash, .item = item};
}

void table_add(struct table *table, uint64_t hash, void *item)
{
    if (table->count * 4 >= table->capacity * 3) {
        struct table old = *table;
        table->capacity = old.capacity > 0 ? old.capacity * 2 : 16;
        table->slots = check_alloc_array(table->capacity, sizeof *table->slots);
        for (size_t i = 0; i < old.capacity; i++)
            if (old.slots[i].item != NULL) put(table, old.slots[i].hash, old.slots[i].item);
        free(old.slots);
    }
    put(table, hash, item);
    table->count++;
}

void table_remove(struct table *table, uint64_t hash, const void *item)
{
    size_t mask = table->capacity - 1, at = hash & mask;
    while (table->slots[at].item != item) {
        CHECK(table->slots[at].item != NULL);
        at = (at + 1) & mask;
    }
    table->count--;
    /* What was pushed behind the freed slot moves up, so that searches need no tombstones. */
    for (size_t next = (at + 1) & mask; table->slots[next].item != NULL; next = (next + 1) & mask) {
        size_t home = table->slots[next].hash & mask;
        if (((next - home) & mask) >= ((next - at) & mask)) {
            table->slots[at] = table->slots[next];
            at = next;
        }
    }
    table->slots[at] = (struct table_slot){0};
}

void table_fini(struct table *table)
{
    free(table->slots);
    *table = (struct table){0};
}

uint64_t table_hash_number(uint64_t number)
{
    return XXH3_64bits(&number, sizeof number);
}

uint64_t table_hash_texts(const char *const *texts, size_t count)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < count; i++) hash = XXH3_64bits_withSeed(texts[i], strlen(texts[i]) + 1, hash);
    return hash;
}

void *table_each(const struct table *table, size_t *at)
{
    while (*at < table->capacity) {
        void *item = table->slots[(*at)++].item;
        if (item != NULL) return item;
    }
    return NULL;
}
