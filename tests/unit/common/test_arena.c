#include "common/arena.h"

#include <stdint.h>
#include <string.h>

#include "common/cleanup.h"
#include "tests/support/unit.h"

static void memory_is_zeroed_aligned_and_apart(void)
{
    AUTO(arena_fini) struct arena arena = {0};
    for (size_t size = 1; size < 3000; size = size * 2 + 1) {
        unsigned char *a = arena_alloc(&arena, size), *b = arena_alloc(&arena, size);
        CU_ASSERT_EQUAL((uintptr_t)a % 16, 0);
        for (size_t i = 0; i < size; i++) CU_ASSERT_EQUAL(a[i] | b[i], 0);
        memset(a, 0xff, size);
        for (size_t i = 0; i < size; i++) CU_ASSERT_EQUAL(b[i], 0);
    }
}

static void the_budget_is_kept_to_the_byte(void)
{
    AUTO(arena_fini) struct arena arena = {.bytes_max = 64};
    CU_ASSERT_PTR_NOT_NULL(arena_alloc(&arena, 48));
    CU_ASSERT_PTR_NULL(arena_alloc(&arena, 17));
    CU_ASSERT_PTR_NOT_NULL(arena_alloc(&arena, 16));
    CU_ASSERT_PTR_NULL(arena_alloc(&arena, 1));
    CU_ASSERT_PTR_NULL(arena_alloc(&arena, SIZE_MAX));
    CU_ASSERT_PTR_NULL(arena_alloc_array(&arena, SIZE_MAX / 2, 3));
    arena_reset(&arena);
    CU_ASSERT_PTR_NOT_NULL(arena_alloc(&arena, 64));
}

static void texts_are_copied_and_formatted(void)
{
    AUTO(arena_fini) struct arena arena = {.bytes_max = 64};
    CU_ASSERT_STRING_EQUAL(arena_strdup(&arena, "abc"), "abc");
    CU_ASSERT_STRING_EQUAL(arena_format(&arena, "%s-%d", "app", 1), "app-1");
    CU_ASSERT_PTR_NULL(arena_strdup(&arena, "a text that is longer than what is left of the budget"));
    CU_ASSERT_PTR_NULL(arena_format(&arena, "%0100d", 1));
}

static void a_reset_arena_hands_out_zeroes_again(void)
{
    AUTO(arena_fini) struct arena arena = {0};
    memset(arena_alloc(&arena, 20000), 0xff, 20000);
    memset(arena_alloc(&arena, 100), 0xff, 100);
    arena_reset(&arena);
    CU_ASSERT_EQUAL(arena.used, 0);
    const unsigned char *again = arena_alloc(&arena, 100);
    for (size_t i = 0; i < 100; i++) CU_ASSERT_EQUAL(again[i], 0);
}

UNIT_MAIN("arena", {"memory is zeroed, aligned and apart", memory_is_zeroed_aligned_and_apart},
    {"the budget is kept to the byte", the_budget_is_kept_to_the_byte},
    {"texts are copied and formatted", texts_are_copied_and_formatted},
    {"a reset arena hands out zeroes again", a_reset_arena_hands_out_zeroes_again})
