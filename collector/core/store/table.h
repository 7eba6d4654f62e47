/* A set of pointers found by hash and comparison: open addressing, linear probing. Owns nothing but its
 * slots. Zeroed is empty. One thread. */
#ifndef COLLECTOR_CORE_STORE_TABLE_H
#define COLLECTOR_CORE_STORE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_slot {
    uint64_t hash;
    void *item; /* NULL: free */
};

struct table {
    struct table_slot *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

/* The item of this hash for which equal() says so, or NULL. */
void *table_find(const struct table *table, uint64_t hash, bool (*equal)(const void *item, const void *key),
    const void *key);
void table_add(struct table *table, uint64_t hash, void *item);
void table_remove(struct table *table, uint64_t hash, const void *item);
void table_fini(struct table *table);

uint64_t table_hash_number(uint64_t number);
/* Of texts, each with its NUL. */
uint64_t table_hash_texts(const char *const *texts, size_t count);

/* for (size_t at = 0; (item = table_each(table, &at)) != NULL;) */
void *table_each(const struct table *table, size_t *at);

#endif
