#include "common/timetext.h"

#include <string.h>

#include "common/check.h"
#include "tests/support/unit.h"

#define NOW_MS INT64_C(1795441500123) /* 2026-11-23T13:45:00.123Z */

static void times_print_in_utc_with_milliseconds(void)
{
    static const struct {
        int64_t wall_ms;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {NOW_MS, "2026-11-23T13:45:00.123Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"}, /* 2100 has no leap day */
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {253402300800000, "9999-12-31T23:59:59.999Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
        {-62167219200000, "0000-01-01T00:00:00.000Z"},
        {INT64_MIN, "0000-01-01T00:00:00.000Z"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char out[TIMETEXT_RFC3339_SIZE];
        CU_ASSERT_STRING_EQUAL(timetext_rfc3339(rows[i].wall_ms, out), rows[i].text);
    }
}

static void what_is_printed_parses_back(void)
{
    /* A step that is no multiple of anything visits every month, weekday and hour. */
    for (int64_t ms = -62167219200000; ms < 253402300800000; ms += 86400000 * INT64_C(1237) + 12345678) {
        char out[TIMETEXT_RFC3339_SIZE];
        int64_t back = -1;
        CU_ASSERT_EQUAL_FATAL(timetext_parse(timetext_rfc3339(ms, out), 0, &back, NULL), 0);
        CU_ASSERT_EQUAL_FATAL(back, ms);
    }
}

static void times_are_read_with_any_offset_relative_and_as_unix_seconds(void)
{
    static const struct {
        const char *text;
        int64_t wall_ms;
    } rows[] = {
        {"2026-11-23T13:45:00.123Z", NOW_MS},
        {"2026-11-23 13:45:00.123z", NOW_MS},
        {"2026-11-23t15:45:00.1239+02:00", NOW_MS},
        {"2026-11-23T08:15:00.123-0530", NOW_MS},
        {"2026-11-24T00:00:00.123+10:15", NOW_MS},
        {"2016-12-31T23:59:60Z", 1483228800000},
        {"now", NOW_MS},
        {"-10m", NOW_MS - 600000},
        {"-1.5s", NOW_MS - 1500},
        {"1795400000", 1795400000000},
        {"1795400000.5", 1795400000500},
        {"0", 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int64_t wall_ms = 0;
        struct error err = {0};
        CU_ASSERT_EQUAL(timetext_parse(rows[i].text, NOW_MS, &wall_ms, &err), 0);
        CU_ASSERT_EQUAL(wall_ms, rows[i].wall_ms);
    }
}

static void what_is_no_time_is_refused_and_leaves_the_output_alone(void)
{
    static const char *const rows[] = {"", "yesterday", "2026-11-23", "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z", "2026-11-23T24:00:00Z", "2026-11-23T13:60:00Z", "2026-11-23T13:45:61Z",
        "2026-11-23T13:45:00", "2026-11-23T13:45:00.Z", "2026-11-23T13:45:00Z ", "2026-11-23T13:45:00+25:00",
        "-10", "-", "-x", "1795400000.", "99999999999999", "1e9", " 5", "+5"};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int64_t wall_ms = 77;
        struct error err = {0};
        CU_ASSERT_EQUAL(timetext_parse(rows[i], NOW_MS, &wall_ms, &err), -1);
        CU_ASSERT_EQUAL(err.kind, ERROR_INPUT);
        CU_ASSERT_EQUAL(wall_ms, 77);
    }
}

static void durations_need_a_unit_and_are_exact(void)
{
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
        {"500ms", 500000},
        {"2s", 2000000},
        {"1.5m", 90000000},
        {"2h", 7200000000},
        {"14d", 1209600000000},
        {"0s", 0},
        {"7us", 7},
        {"0.1s", 100000},
        {"1.000001s", 1000001},
        {"500 ms", 500000},
        {"106751991d", INT64_C(106751991) * 86400000000},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int64_t us = -1;
        CU_ASSERT_EQUAL(timetext_parse_duration(rows[i].text, &us, NULL), 0);
        CU_ASSERT_EQUAL(us, rows[i].us);
    }
}

static void durations_without_sense_say_what_would_have(void)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"500", "has no unit: write 500ms, 500s"},
        {"500 parsecs", "the units are us, ms, s, m, h, d"},
        {"500MS", "unknown unit \"MS\""},
        {"fast", "is no duration"},
        {"", "is no duration"},
        {"-5s", "is no duration"},
        {"1.s", "is no duration"},
        {".5s", "is no duration"},
        {"106751992d", "too long"},
        {"99999999999999999999s", "too long"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int64_t us = 77;
        struct error err = {0};
        CU_ASSERT_EQUAL(timetext_parse_duration(rows[i].text, &us, &err), -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, rows[i].says));
        CU_ASSERT_EQUAL(us, 77);
    }
}

static void durations_print_in_their_shortest_exact_form(void)
{
    static const struct {
        int64_t us;
        const char *text;
    } rows[] = {
        {0, "0s"},
        {1, "1us"},
        {1500, "1.5ms"},
        {500000, "500ms"},
        {1500000, "1.5s"},
        {90000000, "90s"},
        {120000000, "2m"},
        {5400000000, "90m"},
        {86400000000, "1d"},
        {129600000000, "36h"},
        {1234567, "1234567us"},
        {-2000000, "-2s"},
        {INT64_MAX, "9223372036854775807us"},
        {INT64_MIN, "-9223372036854775808us"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char out[32];
        CU_ASSERT_STRING_EQUAL(timetext_duration(rows[i].us, out), rows[i].text);
    }
}

static void ages_print_as_people_say_them(void)
{
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {0, "0 s"},
        {999, "0 s"},
        {3000, "3 s"},
        {-3000, "3 s"},
        {59999, "59 s"},
        {300000, "5 min"},
        {7800000, "2 h 10 min"},
        {7200000, "2 h"},
        {86400000, "1 d"},
        {97200000, "1 d 3 h"},
        {4 * 86400000LL + 1, "4 d"},
        {INT64_MIN, "106751991167 d"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char out[32];
        CU_ASSERT_STRING_EQUAL(timetext_about(rows[i].ms, out), rows[i].text);
    }
}

UNIT_MAIN("timetext", {"times print in UTC with milliseconds", times_print_in_utc_with_milliseconds},
    {"what is printed parses back", what_is_printed_parses_back},
    {"times are read with any offset, relative, and as Unix seconds",
        times_are_read_with_any_offset_relative_and_as_unix_seconds},
    {"what is no time is refused and leaves the output alone",
        what_is_no_time_is_refused_and_leaves_the_output_alone},
    {"durations need a unit and are exact", durations_need_a_unit_and_are_exact},
    {"durations without sense say what would have", durations_without_sense_say_what_would_have},
    {"durations print in their shortest exact form", durations_print_in_their_shortest_exact_form},
    {"ages print as people say them", ages_print_as_people_say_them})
