/* A bump allocator with a budget: what is decoded from one message lives and dies together. One owner, one
 * thread. */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include <stddef.h>

struct arena_block;

/* Zeroed with bytes_max set is ready. */
struct arena {
    struct arena_block *head;
    size_t used;      /* bytes handed out since the last reset */
    size_t bytes_max; /* budget; 0 is unlimited */
};

/* Zeroed, aligned for any type. NULL when the budget is spent: the caller turns that into ERROR_LIMIT. */
void *arena_alloc(struct arena *arena, size_t size);
void *arena_alloc_array(struct arena *arena, size_t count, size_t size);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_format(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void arena_reset(struct arena *arena); /* keeps one block for the next message */
void arena_fini(struct arena *arena);

#endif
