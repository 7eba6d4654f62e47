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
#define SILENT(entrance, at)                                                                                 \
    "{\"entrance\":\"" entrance "\",\"target\":\"app1\",\"probe\":\"http\",\"state\":\"silent\","            \
    "\"last\":{\"outcome\":\"ok\",\"at\":\"2026-11-23T13:44:" at "Z\"}}"
#define INCIDENT(id, headline, impact)                                                                       \
    "{\"id\":\"" id "\",\"state\":\"open\",\"severity\":\"ticket\",\"impact\":\"" impact                     \
    "\",\"headline\":\"" headline "\"}"
#define BROKEN(services, incidents)                                                                          \
    "{\"at\":\"2026-11-23T13:45:10Z\",\"incidents\":[" incidents "],\"services\":[" services "]}"
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
        "www: users unknown, no answer seen in the last 5 s, 0 of 1 backends, no open incident"},
    {STATUS(
         SERVICE("unproven", PATH("users", "http", "fail", "09") "," PATH("backend", "http", "fail", "09"))),
        "www: not proven yet, 0 of 1 backends, no open incident"},
    /* a connect is no answer to somebody who wants a page */
    {STATUS(SERVICE("failing", PATH("users", "tcp", "ok", "09") "," PATH("users", "http", "fail", "09"))),
        "www: users failing, 1 of 1 backends, no open incident"},
    {STATUS(SERVICE("healthy", PATH("users", "tcp", "ok", "09"))),
        "www: users served, 1 of 1 backends, no open incident"},
    {STATUS(SERVICE("healthy", PATH("users", "http", "ok", "09") "," PATH("backend", "http", "fail", "09"))),
        "www: users served, none of 1 backends seen directly, no open incident"},
    {STATUS(SERVICE("unknown", PATH("users", "http", "fail", "09"))),
        "www: users unknown, 1 of 1 backends, no open incident"},
    {STATUS(SERVICE("healthy", PATH("users", "http", "ok", "09")) "," SERVICE("silent", "")),
        "2 services: users of 1 served in the last 5 s, 2 of 2 backends, no open incident"},
    {STATUS(""), "no services configured, no open incident"},
    /* what was good before the silence is not known to be good */
    {STATUS(SERVICE("silent", SILENT("users", "58") "," SILENT("backend", "50"))),
        "www: nothing is known (no data for 12 s), no open incident"},
    {BROKEN(SERVICE("silent", SILENT("users", "58")),
         INCIDENT("A-3", "agent:observer1 silent, certain: no data for 12 s", "unknown")),
        "www: nothing is known (no data for 12 s); A-3 agent:observer1 silent, certain: no data for 12 s"},
    {STATUS(SERVICE("unknown", SILENT("users", "58") "," PATH("backend", "http", "ok", "09"))),
        "www: users unknown (nobody who comes as they do is heard), no open incident"},
    /* users first, then the incident */
    {BROKEN(SERVICE("healthy", PATH("users", "http", "ok", "09")),
         INCIDENT("A-3", "agent:ops silent, certain: no data for 12 s", "none")),
        "www: users served; A-3 agent:ops silent, certain: no data for 12 s"},
    {BROKEN(SERVICE("down", PATH("users", "http", "fail", "09")),
         INCIDENT("A-4", "lb:lb down, certain: 0 of 3", "users_down")),
        "www: users not served; A-4 lb:lb down, certain: 0 of 3"},
    {BROKEN(SERVICE("down", PATH("users", "http", "ok", "09")),
         INCIDENT("A-5", "backend:www/app2 down, certain: 0 of 3", "users_hurt")),
        "www: users served in part; A-5 backend:www/app2 down, certain: 0 of 3"},
};

static void what_is_not_known_is_not_painted_good_or_bad(void)
{
    static const struct {
        const char *status;
        enum text_colour colour;
    } painted[] = {{STATUS(""), TEXT_PLAIN}, {STATUS(SERVICE("silent", SILENT("users", "58"))), TEXT_DIM},
        {STATUS(SERVICE("healthy", PATH("users", "http", "ok", "09"))), TEXT_GREEN}};
    for (size_t i = 0; i < ARRAY_COUNT(painted); i++) {
        json_t *status = json_loads(painted[i].status, 0, NULL);
        char line[512];
        enum text_colour colour;
        status_line(status, line, sizeof line, &colour);
        CU_ASSERT_EQUAL(colour, painted[i].colour);
        json_decref(status);
    }
}

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

UNIT_MAIN("status_line", {"it claims only what was seen", it_claims_only_what_was_seen},
    {"what is not known is not painted good or bad", what_is_not_known_is_not_painted_good_or_bad})
