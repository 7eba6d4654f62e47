/* The first line of `status` never says more than was seen. */
#include <stdio.h>
#include <string.h>

#include "collector/cli/status_line.h"
#include "common/check.h"
#include "tests/support/unit.h"

#define PATH(entrance, probe, outcome, at)                                                                   \
    "{\"entrance\":\"" entrance "\",\"target\":\"app1\",\"probe\":\"" probe "\",\"state\":\"proven\","       \
    "\"last\":{\"outcome\":\"" outcome "\",\"at\":\"2026-11-23T13:45:" at "Z\"}}"
#define SERVICE(verdict, paths)                                                                              \
    "{\"name\":\"www\",\"verdict\":\"" verdict                                                               \
    "\",\"backends\":[{\"name\":\"app1\",\"state\":\"up\"}],\"paths\":[" paths "]}"
#define STATUS(services) "{\"at\":\"2026-11-23T13:45:10Z\",\"incidents\":[],\"services\":[" services "]}"

static const struct {
    const char *status, *line;
} rows[] = {
    {STATUS(SERVICE("healthy", PATH("users", "http", "ok", "09") "," PATH("backend", "http", "ok", "09"))),
        "www: users served, 1 of 1 backends, no open incident"},
    /* one observer is enough; the newest answer is what counts */
    {STATUS(SERVICE("suspicious", PATH("users", "http", "fail", "09") "," PATH(
                                      "users", "http", "ok", "06") "," PATH("backend", "http", "ok", "09"))),
        "www: users served, but suspicious, 1 of 1 backends, no open incident"},
    {STATUS(SERVICE("healthy", PATH("users", "http", "ok", "03") "," PATH("backend", "http", "fail", "09"))),
        "www: unknown, no answer seen in the last 5 s, 0 of 1 backends, no open incident"},
    {STATUS(
         SERVICE("unproven", PATH("users", "http", "fail", "09") "," PATH("backend", "http", "fail", "09"))),
        "www: not proven yet, 0 of 1 backends, no open incident"},
    /* a connect is no answer to somebody who wants a page */
    {STATUS(SERVICE("failing", PATH("users", "tcp", "ok", "09") "," PATH("users", "http", "fail", "09"))),
        "www: failing, 1 of 1 backends, no open incident"},
    {STATUS(SERVICE("healthy", PATH("users", "tcp", "ok", "09"))),
        "www: users served, 1 of 1 backends, no open incident"},
    {STATUS(SERVICE("healthy", PATH("users", "http", "ok", "09") "," PATH("backend", "http", "fail", "09"))),
        "www: users served, none of 1 backends seen directly, no open incident"},
    {STATUS(SERVICE("unknown", PATH("users", "http", "fail", "09"))),
        "www: unknown, 1 of 1 backends, no open incident"},
    {STATUS(SERVICE("healthy", PATH("users", "http", "ok", "09")) "," SERVICE("silent", "")),
        "2 services: users of 1 served in the last 5 s, 2 of 2 backends, no open incident"},
};

static void it_claims_only_what_was_seen(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        json_t *status = json_loads(rows[i].status, 0, NULL);
        CU_ASSERT_PTR_NOT_NULL_FATAL(status);
        char line[512];
        enum text_colour colour;
        status_line(status, line, sizeof line, &colour);
        CU_ASSERT_STRING_EQUAL(line, rows[i].line);
        if (strcmp(line, rows[i].line) != 0) printf("\nrow %zu: %s\n", i, line);
        json_decref(status);
    }
}

UNIT_MAIN("status_line", {"it claims only what was seen", it_claims_only_what_was_seen})
