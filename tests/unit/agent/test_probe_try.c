/* `faultline-agent try`: lines of JSON in, lines of JSON out, each explained. */
#include <jansson.h>

#include "agent/probe/try.h"
#include "tests/support/unit.h"
#include "tests/unit/agent/probe_fixture.h"

#define OK_TEXT "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

/* All answers, as an array in the order in which they came. */
static json_t *answers_to(const char *lines)
{
    char *text = check_strdup(lines), *said = NULL;
    size_t size = 0;
    FILE *in = fmemopen(text, strlen(text) + (text[0] == '\0'), "r"), *out = open_memstream(&said, &size);
    struct error err;
    CU_ASSERT_EQUAL(try_lines(in, out, NULL, &err), 0);
    fclose(in);
    fclose(out);
    json_t *answers = json_array();
    for (char *rest = said, *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (line[0] == '\0') continue;
        json_t *answer = json_loads(line, 0, NULL);
        CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
        json_array_append_new(answers, answer);
    }
    free(said);
    free(text);
    return answers;
}

static const char *text_of(json_t *answer, const char *name)
{
    const char *text = json_string_value(json_object_get(answer, name));
    return text != NULL ? text : "";
}

static json_t *answer_with_key(json_t *answers, int key)
{
    for (size_t i = 0; i < json_array_size(answers); i++) {
        json_t *answer = json_array_get(answers, i);
        if (json_integer_value(json_object_get(answer, "key")) == key) return answer;
    }
    return NULL;
}

static void every_line_is_answered_with_its_key_and_a_sentence(void)
{
    struct peer good, silent, away;
    peer_start(&good, PEER_TEXT, OK_TEXT);
    peer_start(&silent, PEER_SILENT, NULL);
    peer_start(&away, PEER_TEXT, "HTTP/1.1 302 Go\r\nLocation: https://x.test/\r\nContent-Length: 0\r\n\r\n");
    uint16_t closed = peer_free_port();
    char lines[2048];
    snprintf(lines, sizeof lines,
        "{\"key\":1,\"probe\":\"http\",\"url\":\"%s\",\"method\":\"GET\",\"headers\":[\"X-A\",\"b\"],"
        "\"timeout_ms\":9000,\"insecure\":false,\"follow\":false,\"expect_text\":\"hell\",\"expect_code_"
        "min\":200,"
        "\"expect_code_max\":299}\n"
        "{\"key\":2,\"url\":\"http://www.example.com/\",\"connect\":\"%s:%u\"}\n"
        "\n"
        "{\"key\":3,\"url\":\"%s\",\"timeout_ms\":100}\n"
        "{\"key\":4,\"url\":\"%s\"}\n"
        "{\"key\":5,\"probe\":\"tcp\",\"url\":\"tcp://127.0.0.1:%u\"}",
        good.url, peer_host(), closed, silent.url, away.url, good.port);
    json_t *answers = answers_to(lines);
    static const struct {
        const char *outcome, *error, *detail;
    } expected[] = {{"ok", "none", "answers 200 after"}, {"fail", "refused", "refused by 127."},
        {"fail", "no_answer", "nothing came back within 100 ms"},
        {"fail", "redirect", "redirects to https://x.test/"}, {"ok", "none", "takes connections"}};
    CU_ASSERT_EQUAL(json_array_size(answers), ARRAY_COUNT(expected));
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        json_t *answer = answer_with_key(answers, (int)i + 1);
        CU_ASSERT_STRING_EQUAL(text_of(answer, "outcome"), expected[i].outcome);
        CU_ASSERT_STRING_EQUAL(text_of(answer, "error"), expected[i].error);
        CU_ASSERT_PTR_NOT_NULL(strstr(text_of(answer, "detail"), expected[i].detail));
    }
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(answer_with_key(answers, 1), "code")), 200);
    CU_ASSERT(json_integer_value(json_object_get(answer_with_key(answers, 1), "first_byte_us")) > 0);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(answer_with_key(answers, 1), "tls_us")), -1);
    json_decref(answers);
    peer_stop(&good);
    peer_stop(&silent);
    peer_stop(&away);
}

static void lines_that_make_no_sense_are_answered_with_the_reason(void)
{
    static const struct {
        const char *line, *detail;
    } cases[] = {{"hello", "line 1: not a JSON object"}, {"[]", "not a JSON object"}, {"{}", "url"},
        {"{\"url\":7}", "Expected string"},
        {"{\"url\":\"http://a/\",\"probe\":\"icmp\"}", "probe is http, tcp or haproxy"},
        {"{\"url\":\"http://a/\",\"timeout_ms\":0}", "timeout_ms"},
        {"{\"url\":\"http://a/\",\"method\":\"POST\"}", "GET or HEAD"},
        {"{\"url\":\"http://a/\",\"headers\":[\"x\"]}", "pairs"},
        {"{\"url\":\"http://a/\",\"headers\":[\"x\",1]}", "text"},
        {"{\"url\":\"http://a/\",\"expect_code_min\":500}", "status codes"},
        {"{\"url\":\"gopher://a/\"}", "cannot make sense"},
        {"{\"url\":\"http://a/\",\"credentials_file\":\"x\"}", "no directory for credentials"}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        json_t *answers = answers_to(cases[i].line);
        CU_ASSERT_EQUAL(json_array_size(answers), 1);
        json_t *answer = json_array_get(answers, 0);
        CU_ASSERT_STRING_EQUAL(text_of(answer, "error"), "local");
        if (strstr(text_of(answer, "detail"), cases[i].detail) == NULL)
            fprintf(stderr, "%s: %s\n", cases[i].line, text_of(answer, "detail"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text_of(answer, "detail"), cases[i].detail));
        json_decref(answers);
    }
}

static void more_lines_than_may_be_open_are_all_answered(void)
{
    struct peer peer;
    peer_start(&peer, PEER_TEXT, OK_TEXT);
    char *lines = check_alloc(100 * 128);
    size_t size = 0;
    for (int i = 0; i < 3 * TRY_OPEN_MAX; i++)
        size += (size_t)sprintf(lines + size, "{\"key\":%d,\"url\":\"%s\"}\n", i, peer.url);
    json_t *answers = answers_to(lines);
    CU_ASSERT_EQUAL(json_array_size(answers), 3 * TRY_OPEN_MAX);
    for (int i = 0; i < 3 * TRY_OPEN_MAX; i++)
        CU_ASSERT_STRING_EQUAL(text_of(answer_with_key(answers, i), "outcome"), "ok");
    json_decref(answers);
    free(lines);
    peer_stop(&peer);
}

static void nothing_in_is_nothing_out(void)
{
    json_t *answers = answers_to("\n");
    CU_ASSERT_EQUAL(json_array_size(answers), 0);
    json_decref(answers);
}

static void hostile_text_stays_in_its_line(void)
{
    struct peer peer;
    peer_start(
        &peer, PEER_TEXT, "HTTP/1.1 302 Go\r\nLocation: /\xff\xfe\x1b[31m\"<x>\r\nContent-Length: 0\r\n\r\n");
    char line[128];
    snprintf(line, sizeof line, "{\"key\":\"k\\u2028\",\"url\":\"%s\"}", peer.url);
    json_t *answers = answers_to(line);
    CU_ASSERT_EQUAL(json_array_size(answers), 1);
    CU_ASSERT_STRING_EQUAL(text_of(json_array_get(answers, 0), "error"), "redirect");
    for (const char *c = text_of(json_array_get(answers, 0), "detail"); *c != '\0'; c++)
        CU_ASSERT(*c >= ' ' && *c <= '~');
    json_decref(answers);
    peer_stop(&peer);
}

UNIT_MAIN("probe_try",
    {"every line is answered with its key and a sentence",
        every_line_is_answered_with_its_key_and_a_sentence},
    {"lines that make no sense are answered with the reason",
        lines_that_make_no_sense_are_answered_with_the_reason},
    {"more lines than may be open are all answered", more_lines_than_may_be_open_are_all_answered},
    {"nothing in is nothing out", nothing_in_is_nothing_out},
    {"hostile text stays in its line", hostile_text_stays_in_its_line})
