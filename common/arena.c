#include "common/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

#define BLOCK_BYTES (16 * 1024)

struct arena_block {
    struct arena_block *older;
    size_t size, used;
    _Alignas(16) unsigned char bytes[];
};

static struct arena_block *block_new(size_t size, struct arena_block *older)
{
    struct arena_block *block = malloc(sizeof *block + size);
    CHECK(block != NULL);
    block->older = older;
    block->size = size;
    block->used = 0;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX - 16) return NULL;
    size = (size + 15) & ~(size_t)15;
    if (arena->bytes_max > 0 && (size > arena->bytes_max || arena->used > arena->bytes_max - size))
        return NULL;
    struct arena_block *block = arena->head;
    if (block == NULL || block->size - block->used < size) {
        block = block_new(size > BLOCK_BYTES ? size : BLOCK_BYTES, arena->head);
        arena->head = block;
    }
    void *memory = block->bytes + block->used;
    block->used += size;
    arena->used += size;
    memset(memory, 0, size);
    return memory;
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
    return arena_alloc(arena, bytes);
}

char *arena_strdup(struct arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(arena, size);
    if (copy != NULL) memcpy(copy, text, size);
    return copy;
}

char *arena_format(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) return NULL;
    char *text = arena_alloc(arena, (size_t)n + 1);
    if (text == NULL) return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)n + 1, format, args);
    va_end(args);
    return text;
}

static void free_older(struct arena_block *block)
{
    while (block != NULL) {
        struct arena_block *older = block->older;
        free(block);
        block = older;
    }
}

void arena_reset(struct arena *arena)
{
    arena->used = 0;
    if (arena->head == NULL) return;
    free_older(arena->head->older);
    arena->head->older = NULL;
    arena->head->used = 0;
}

void arena_fini(struct arena *arena)
{
    if (arena == NULL) return;
    free_older(arena->head);
    arena->head = NULL;
    arena->used = 0;
}
