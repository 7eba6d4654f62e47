#include "common/span.h"

#include <string.h>

#include "common/cleanup.h"
#include "tests/support/unit.h"

static void spans_compare_by_content(void)
{
    CU_ASSERT(span_equal(span_text("abc"), span_of("abcd", 3)));
    CU_ASSERT(!span_equal(span_text("abc"), span_text("abd")));
    CU_ASSERT(!span_equal(span_text("abc"), span_text("ab")));
    CU_ASSERT(span_equal(span_of(NULL, 0), span_text("")));
}

static void a_buffer_grows_and_reads_as_text(void)
{
    AUTO(buffer_fini) struct buffer buffer = {0};
    CU_ASSERT_STRING_EQUAL(buffer_text(&buffer), "");
    for (int i = 0; i < 1000; i++) CU_ASSERT_EQUAL(buffer_format(&buffer, NULL, "%03d,", i), 0);
    CU_ASSERT_EQUAL(buffer.size, 4000);
    CU_ASSERT_EQUAL(memcmp(buffer_text(&buffer) + 3996, "999,", 5), 0);
    buffer_clear(&buffer);
    CU_ASSERT_EQUAL(buffer_append(&buffer, span_of("a\0b", 3), NULL), 0);
    CU_ASSERT(span_equal(buffer_span(&buffer), span_of("a\0b", 3)));
}

static void a_full_buffer_refuses_and_keeps_what_it_holds(void)
{
    AUTO(buffer_fini) struct buffer buffer = {.size_max = 8};
    struct error err = {0};
    CU_ASSERT_EQUAL(buffer_append(&buffer, span_text("12345678"), &err), 0);
    CU_ASSERT_EQUAL(buffer_append(&buffer, span_text("9"), &err), -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_LIMIT);
    CU_ASSERT_PTR_NULL(buffer_reserve(&buffer, SIZE_MAX, &err));
    CU_ASSERT_EQUAL(buffer_format(&buffer, &err, "x"), -1);
    CU_ASSERT_STRING_EQUAL(buffer_text(&buffer), "12345678");
}

static void what_is_reserved_counts_when_it_is_added(void)
{
    AUTO(buffer_fini) struct buffer buffer = {0};
    uint8_t *room = buffer_reserve(&buffer, 100, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(room);
    memcpy(room, "hello", 5);
    CU_ASSERT_EQUAL(buffer.size, 0);
    buffer.size += 5;
    CU_ASSERT_STRING_EQUAL(buffer_text(&buffer), "hello");
}

UNIT_MAIN("span", {"spans compare by content", spans_compare_by_content},
    {"a buffer grows and reads as text", a_buffer_grows_and_reads_as_text},
    {"a full buffer refuses and keeps what it holds", a_full_buffer_refuses_and_keeps_what_it_holds},
    {"what is reserved counts when it is added", what_is_reserved_counts_when_it_is_added})
