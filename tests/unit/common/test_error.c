#include "common/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"

static void a_failure_carries_its_kind_and_one_line(void)
{
    struct error err = {.os_errno = 5};
    CU_ASSERT_EQUAL(fail(&err, ERROR_LIMIT, "queue of %d is full", 3), -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_LIMIT);
    CU_ASSERT_EQUAL(err.os_errno, 0);
    CU_ASSERT_STRING_EQUAL(err.text, "queue of 3 is full");
}

static void a_failed_system_call_keeps_errno_and_its_words(void)
{
    struct error err = {0};
    errno = ENOENT;
    CU_ASSERT_EQUAL(fail_errno(&err, "open %s", "x"), -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_IO);
    CU_ASSERT_EQUAL(err.os_errno, ENOENT);
    CU_ASSERT_STRING_EQUAL(err.text, "open x: No such file or directory");
}

static void context_goes_before_and_keeps_the_kind(void)
{
    struct error err = {0};
    fail(&err, ERROR_CORRUPT, "bad checksum");
    CU_ASSERT_EQUAL(fail_context(&err, "block %d", 7), -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_CORRUPT);
    CU_ASSERT_STRING_EQUAL(err.text, "block 7: bad checksum");
}

static void long_texts_are_cut_and_stay_terminated(void)
{
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct error err = {0};
    fail(&err, ERROR_INPUT, "%s", text);
    CU_ASSERT_EQUAL(strlen(err.text), sizeof err.text - 1);
    fail_context(&err, "%s", text);
    CU_ASSERT_EQUAL(strlen(err.text), sizeof err.text - 1);
    errno = EIO;
    fail_errno(&err, "%s", text);
    CU_ASSERT_EQUAL(strlen(err.text), sizeof err.text - 1);
}

static void nobody_has_to_ask_for_the_error(void)
{
    CU_ASSERT_EQUAL(fail(NULL, ERROR_INPUT, "x"), -1);
    CU_ASSERT_EQUAL(fail_errno(NULL, "x"), -1);
    CU_ASSERT_EQUAL(fail_context(NULL, "x"), -1);
}

static void every_kind_has_a_word(void)
{
    for (int kind = 0; kind < ERROR_KIND_COUNT; kind++) {
        const char *word = error_kind_name((enum error_kind)kind);
        CU_ASSERT_PTR_NOT_NULL_FATAL(word);
        CU_ASSERT_STRING_NOT_EQUAL(word, "unknown");
    }
    CU_ASSERT_STRING_EQUAL(error_kind_name(ERROR_KIND_COUNT), "unknown");
}

UNIT_MAIN("error", {"a failure carries its kind and one line", a_failure_carries_its_kind_and_one_line},
    {"a failed system call keeps errno and its words", a_failed_system_call_keeps_errno_and_its_words},
    {"context goes before and keeps the kind", context_goes_before_and_keeps_the_kind},
    {"long texts are cut and stay terminated", long_texts_are_cut_and_stay_terminated},
    {"nobody has to ask for the error", nobody_has_to_ask_for_the_error},
    {"every kind has a word", every_kind_has_a_word})
