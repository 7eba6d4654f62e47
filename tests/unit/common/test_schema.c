#include "common/schema.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/cleanup.h"
#include "common/url.h"
#include "tests/support/unit.h"

static const struct schema_field colour = {
    .name = "colour", .type = SCHEMA_CHOICE, .words = "red green blue"};
static const struct schema_field room_rows[] = {
    {.name = "size", .type = SCHEMA_INTEGER, .min = -5, .max = 5, .fallback = "3", .help = "how large"},
    {.name = "door", .type = SCHEMA_BOOL, .required = true, .help = "whether it has one"},
    {.name = "walls", .type = SCHEMA_LIST, .min = 1, .max = 2, .element = &colour},
    {.name = "next", .type = SCHEMA_REFERENCE, .words = "rooms"},
    {.name = "heat", .type = SCHEMA_PERCENT},
    {.name = "rest", .type = SCHEMA_DURATION},
    {.name = "page", .type = SCHEMA_URL, .words = "http"},
    {.name = "old", .type = SCHEMA_TEXT, .not_yet = "some day"},
    {0},
};
static const struct schema_field room = {.name = "room", .type = SCHEMA_OBJECT, .fields = room_rows};
static const struct schema_field top[] = {{.name = "rooms", .type = SCHEMA_MAP, .element = &room}, {0}};

static struct schema_report *report;
static struct schema_tree *tree;

static const struct schema_node *parse(const char *text)
{
    report = check_alloc(sizeof *report);
    tree = schema_parse(text, strlen(text), "t.yaml", top, report);
    return tree != NULL ? schema_get(schema_root(tree), "rooms") : NULL;
}

static void forget(void)
{
    schema_tree_free(tree);
    schema_report_fini(report);
    free(report);
}

static void values_are_read_with_their_types(void)
{
    const struct schema_node *hall = schema_get(
        parse("rooms: {hall: {size: -5, door: On, walls: [red, blue], heat: 99.9%, rest: 1.5m, next: hall}}"),
        "hall");
    CU_ASSERT_EQUAL(report->count, 0);
    CU_ASSERT_EQUAL(schema_integer(schema_get(hall, "size"), 9), -5);
    CU_ASSERT(schema_bool(schema_get(hall, "door"), false));
    CU_ASSERT_EQUAL(schema_get(hall, "walls")->count, 2);
    CU_ASSERT(fabs(schema_share(schema_get(hall, "heat"), 0) - .999) < 1e-12);
    CU_ASSERT_EQUAL(schema_duration_us(schema_get(hall, "rest"), 0), 90000000);
    CU_ASSERT_EQUAL(schema_get(hall, "rest")->line, 1);
    CU_ASSERT_EQUAL(schema_get(hall, "rest")->column, 75);
    CU_ASSERT_STRING_EQUAL(schema_get(hall, "rest")->field->name, "rest");
    forget();
}

static void absent_keys_read_as_their_fallback_or_as_what_the_caller_says(void)
{
    const struct schema_node *hall = schema_get(parse("rooms: {hall: {door: no}}"), "hall");
    CU_ASSERT_EQUAL(schema_integer(schema_get(hall, "size"), 9), 3);
    CU_ASSERT_EQUAL(schema_integer(schema_get(hall, "walls"), 9), 9);
    CU_ASSERT_STRING_EQUAL(schema_text(schema_get(hall, "old"), NULL), "");
    CU_ASSERT_STRING_EQUAL(schema_text(NULL, "x"), "x");
    CU_ASSERT_PTR_NULL(schema_get(NULL, "x"));
    CU_ASSERT_PTR_NULL(schema_get(schema_get(hall, "size"), "x"));
    forget();
}

static bool reported(const char *place_and_text)
{
    char line[400];
    for (size_t i = 0; i < report->count; i++) {
        const struct schema_problem *problem = &report->problems[i];
        snprintf(line, sizeof line, "%d:%d %s", problem->line, problem->column, problem->text);
        if (strstr(line, place_and_text) != NULL) return true;
    }
    schema_report_print(report, stdout, false);
    return false;
}

static void each_fault_is_said_at_its_place(void)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"rooms: {hall: {size: 6, door: no}}", "1:22 'size' must be -5 to 5, not 6"},
        {"rooms: {hall: {size: 1.5, door: no}}", "1:22 'size' must be a whole number, not '1.5'"},
        {"rooms: {hall: {size: 99999999999999999999, door: no}}", "must be a whole number"},
        {"rooms: {hall: {size: 1}}", "1:9 'hall' lacks 'door': whether it has one"},
        {"rooms: {hall: {door: no, walls: []}}", "1:33 'walls' needs 1 entry at least"},
        {"rooms: {hall: {door: no, walls: [red, red, red]}}", "'walls' has 3 entries: at most 2"},
        {"rooms: {hall: {door: no, walls: [grene]}}",
            "1:34 'walls': unknown word 'grene'; did you mean 'green'?"},
        {"rooms: {hall: {door: no, walls: [x]}}", "unknown word 'x'; one of red, green, blue"},
        {"rooms: {hall: {door: no, next: hal}}", "1:32 'next': no 'hal' in 'rooms'; did you mean 'hall'?"},
        {"rooms: {hall: {door: no, heat: 101%}}", "must be 0% to 100%"},
        {"rooms: {hall: {door: no, heat: .5}}", "is no percentage"},
        {"rooms: {hall: {door: no, page: https://x}}", "the scheme 'https' is not read here: http"},
        {"rooms: {hall: {door: no, old: x}}", "1:26 'old' is read but not carried out yet: some day"},
        {"rooms: {hall: {door: }}", "1:16 'door' has no value"},
        {"rooms: {hall: {door: ~}}", "1:16 'door' has no value"},
        {"rooms: {hall: {door: \"\"}}", "1:22 'door' must be true or false"},
        {"rooms: {hall: no", "the braces are not closed"},
        {"rooms: [hall", "the list is not closed"},
        {"rooms: @hall", "a value cannot begin with this character"},
        {"rooms:\n  hall:\n    door: no\n   size: 1\n", "no key here"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        parse(rows[i].text);
        CU_ASSERT(reported(rows[i].says));
        forget();
    }
}

static void words_nearby_are_suggested_and_others_are_not(void)
{
    static const char *const words[] = {"depends_on", "data", "url", "slo", "backends", "backends_from"};
    static const struct {
        const char *word, *close;
    } rows[] = {
        {"depend_on", "depends_on"},
        {"dpeends_on", "depends_on"},
        {"DATA", "data"},
        {"dta", "data"},
        {"lru", NULL},
        {"ulr", "url"},
        {"backend", "backends"},
        {"backends_form", "backends_from"},
        {"x", NULL},
        {"", NULL},
        {"alternatives", NULL},
        {"a_word_that_is_much_longer_than_any_key_of_any_table_could_ever_be_in_practice", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const char *close = schema_suggest(rows[i].word, words, ARRAY_COUNT(words));
        if (rows[i].close == NULL) CU_ASSERT_PTR_NULL(close);
        if (rows[i].close != NULL) CU_ASSERT_PTR_NOT_NULL(close);
        if (rows[i].close != NULL && close != NULL) CU_ASSERT_STRING_EQUAL(close, rows[i].close);
    }
}

static void reports_show_the_line_and_point_at_the_column(void)
{
    parse("# äöü\nrooms: {hall: {door: no, \"sïze\": 1}}\n");
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    schema_report_print(report, out, false);
    fclose(out);
    CU_ASSERT_STRING_EQUAL(text, "t.yaml:2:26: error: unknown key 's\xc3\xafze'; the keys here are size, "
                                 "door, walls, next, heat, rest, page, old\n"
                                 "    2 | rooms: {hall: {door: no, \"s\xc3\xafze\": 1}}\n"
                                 "      |                          ^\n");
    free(text);
    text = NULL;
    out = open_memstream(&text, &size);
    schema_report_print(report, out, true);
    fclose(out);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\033[1;31merror:\033[0m"));
    free(text);
    forget();
}

static void hostile_bytes_do_not_reach_the_terminal(void)
{
    parse("\"ro\\e[31m\\x07oms\": 1\n");
    CU_ASSERT_EQUAL(report->count, 1);
    for (const char *c = report->problems[0].text; *c != '\0'; c++) CU_ASSERT((unsigned char)*c >= 0x20);
    forget();
}

static void urls_are_split_into_their_parts(void)
{
    static const struct {
        const char *text, *scheme, *host, *rest;
        uint16_t port;
    } rows[] = {
        {"https://www.example.com/inbox?a=b", "https", "www.example.com", "/inbox?a=b", 0},
        {"http://app1:8080", "http", "app1", "", 8080},
        {"tcp://[2001:db8::1]:5432", "tcp", "2001:db8::1", "", 5432},
        {"http://10.0.0.5:8404/stats;csv", "http", "10.0.0.5", "/stats;csv", 8404},
        {"http://a?x", "http", "a", "?x", 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct url_parts parts = {0};
        CU_ASSERT_EQUAL(url_split(rows[i].text, &parts, NULL), 0);
        CU_ASSERT(span_equal(parts.scheme, span_text(rows[i].scheme)));
        CU_ASSERT(span_equal(parts.host, span_text(rows[i].host)));
        CU_ASSERT(span_equal(parts.rest, span_text(rows[i].rest)));
        CU_ASSERT_EQUAL(parts.port, rows[i].port);
    }
    static const char *const wrong[] = {"", "http", "http:/a", "://a", "http://", "http://:80",
        "http://a:", "http://a:0", "http://a:65536", "http://a:8x", "http://a b", "http://u:p@a",
        "http://[::1", "http://[::g]", "http://[::1]80", "http://1.2.3", "http://a..b", "http://\xc3\xa4",
        "http://a\n", "http://-/%zz "};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct url_parts parts = {.port = 7};
        struct error err = {0};
        CU_ASSERT_EQUAL(url_split(wrong[i], &parts, &err), -1);
        CU_ASSERT_EQUAL(err.kind, ERROR_INPUT);
        CU_ASSERT_EQUAL(parts.port, 7);
    }
    CU_ASSERT_EQUAL(url_default_port(span_text("https")), 443);
    CU_ASSERT_EQUAL(url_default_port(span_text("tcp")), 0);
}

UNIT_MAIN("schema", {"values are read with their types", values_are_read_with_their_types},
    {"absent keys read as their fallback, or as what the caller says",
        absent_keys_read_as_their_fallback_or_as_what_the_caller_says},
    {"each fault is said at its place", each_fault_is_said_at_its_place},
    {"words nearby are suggested and others are not", words_nearby_are_suggested_and_others_are_not},
    {"reports show the line and point at the column", reports_show_the_line_and_point_at_the_column},
    {"hostile bytes do not reach the terminal", hostile_bytes_do_not_reach_the_terminal},
    {"URLs are split into their parts", urls_are_split_into_their_parts})
