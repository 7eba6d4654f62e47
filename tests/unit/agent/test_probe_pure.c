/* The parts of the prober that neither wait nor connect: addresses, targets, schedules, HAProxy's CSV,
 * judgement. */
#include <curl/curl.h>
#include <errno.h>

#include "agent/probe/haproxy_csv.h"
#include "agent/probe/judge.h"
#include "agent/probe/schedule.h"
#include "tests/support/unit.h"
#include "tests/unit/agent/probe_fixture.h"

static void addresses_split_and_print(void)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
        bool good;
    } cases[] = {{"10.0.0.5:8080", "10.0.0.5", 8080, true}, {"app1", "app1", 7, true},
        {"[::1]:80", "[::1]", 80, true}, {"[::1]", "[::1]", 7, true}, {"::1", "::1", 7, true},
        {"a:0", "", 0, false}, {"a:65536", "", 0, false}, {"a:", "", 0, false}, {"a:8x", "", 0, false},
        {"a:-1", "", 0, false}, {"", "", 0, false}, {":80", "", 0, false}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char host[256] = "";
        uint16_t port = 7;
        CU_ASSERT_EQUAL(address_split(cases[i].text, host, &port), cases[i].good);
        if (!cases[i].good) continue;
        CU_ASSERT_STRING_EQUAL(host, cases[i].host);
        CU_ASSERT_EQUAL(port, cases[i].port);
    }
    struct address four, six;
    char text[ADDRESS_TEXT_SIZE];
    CU_ASSERT(address_parse("127.0.0.1", 80, &four));
    CU_ASSERT(address_parse("[::1]", 443, &six));
    CU_ASSERT_FALSE(address_parse("app1", 80, &four));
    CU_ASSERT_STRING_EQUAL(address_text(&four, text), "127.0.0.1:80");
    CU_ASSERT_STRING_EQUAL(address_text(&six, text), "[::1]:443");
    CU_ASSERT(address_compare(&four, &six) < 0 && address_compare(&six, &four) > 0);
}

static void targets_know_where_their_url_leads(void)
{
    static const struct {
        const char *url, *host;
        uint16_t port;
        bool tls, good;
    } cases[] = {{"http://www.example.com/a", "www.example.com", 80, false, true},
        {"https://www.example.com:8443", "www.example.com", 8443, true, true},
        {"HTTPS://[::1]/", "::1", 443, true, true}, {"tcp://app1:5432", "app1", 5432, false, true},
        {"tcp://[fe80::1]:22", "fe80::1", 22, false, true},
        {"http://xn--mller-kva.example/", "xn--mller-kva.example", 80, false, true},
        {"http://m\xc3\xbcller.example/", "", 0, false, false}, {"tcp://app1", "", 0, false, false},
        {"ftp://a/", "", 0, false, false}, {"", "", 0, false, false}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct target_place place;
        bool good = target_place_of(cases[i].url, &place);
        CU_ASSERT_EQUAL(good, cases[i].good);
        if (!good) continue;
        CU_ASSERT_STRING_EQUAL(place.host, cases[i].host);
        CU_ASSERT_EQUAL(place.port, cases[i].port);
        CU_ASSERT_EQUAL(place.tls, cases[i].tls);
    }
}

static void a_target_equals_itself_and_nothing_else(void)
{
    struct wire_header header = {"X-A", "b"};
    struct wire_target base = target_to("http://www.example.com/");
    base.labels[0] = (struct wire_label){"service", "www"};
    base.label_count = 1;
    struct wire_target others[] = {base, base, base, base, base, base, base};
    others[0].url = "http://www.example.com/b";
    others[1].connect = "10.0.0.1:80";
    others[2].interval_ms++;
    others[3].headers = &header;
    others[3].header_count = 1;
    others[4].labels[0].value = "shop";
    others[5].each_address = true;
    others[6].expect_text = "x";
    struct target *target = target_new(&base), *same = target_new(&base);
    CU_ASSERT(target_equal(target, same));
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        struct target *other = target_new(&others[i]);
        CU_ASSERT_FALSE(target_equal(target, other));
        target_free(other);
    }
    target_free(same);
    target_free(target);
}

static void the_address_label_takes_its_place_in_the_order(void)
{
    struct wire_target wanted = target_to("http://www.example.com/");
    wanted.labels[0] = (struct wire_label){"a", "1"};
    wanted.labels[1] = (struct wire_label){"service", "www"};
    wanted.label_count = 2;
    struct target *target = target_new(&wanted);
    struct wire_label labels[LIMIT_LABELS];
    CU_ASSERT_EQUAL(target_labels(target, "10.0.0.1:80", labels), 3);
    CU_ASSERT_STRING_EQUAL(labels[0].name, "a");
    CU_ASSERT_STRING_EQUAL(labels[1].name, "address");
    CU_ASSERT_STRING_EQUAL(labels[2].name, "service");
    CU_ASSERT_EQUAL(target_labels(target, NULL, labels), 2);
    target_free(target);
}

static void the_grid_neither_drifts_nor_repeats(void)
{
    CU_ASSERT_EQUAL(schedule_next_ms(1000, 0, 1000, 0), 2000);
    CU_ASSERT_EQUAL(schedule_next_ms(1999, 2000, 1000, 0), 3000); /* fired early: not the same point again */
    CU_ASSERT_EQUAL(schedule_next_ms(2001, 2000, 1000, 0), 3000);
    CU_ASSERT_EQUAL(schedule_next_ms(1000, 0, 1000, 250), 1250);
    CU_ASSERT_EQUAL(schedule_next_ms(9876, 2000, 1000, 0), 10000); /* after a pause: no catching up */
    CU_ASSERT_EQUAL(schedule_next_ms(500, 10000, 1000, 0), 1000);  /* the clock was set back */
}

static void bursts_are_bounded_whatever_is_asked(void)
{
    struct schedule_burst burst = {0};
    CU_ASSERT(schedule_burst_ask(&burst, 1000, 3600 * 1000, 1, 0));
    CU_ASSERT_EQUAL(burst.until_ms, 1000 + LIMIT_BURST_MS);
    CU_ASSERT_EQUAL(burst.interval_ms, 1000 / LIMIT_BURST_PER_SECOND);
    /* Asked again and again, it does not get longer. */
    int probes = 0;
    for (int64_t now = 1000; now < 1000 + LIMIT_BURST_MS;) {
        schedule_burst_ask(&burst, now, 5000, 1, 0);
        int64_t wait = schedule_burst_wait_ms(&burst, now, now + 77);
        if (wait < 0) break;
        CU_ASSERT(wait > 0 && wait <= 200);
        now += wait;
        probes++;
    }
    CU_ASSERT(probes >= 48 && probes <= 50);
    CU_ASSERT_FALSE(schedule_burst_runs(&burst, 1000 + LIMIT_BURST_MS));
}

static void bursts_take_half_of_the_time_at_most_in_the_long_run(void)
{
    struct schedule_burst burst = {0};
    int64_t running_ms = 0, first_refusal_ms = 0;
    for (int64_t now = 0; now < 600 * 1000; now += 10) { /* somebody asks for ever */
        bool taken = schedule_burst_ask(&burst, 1000 + now, 5000, 100, 0);
        if (!taken && first_refusal_ms == 0) first_refusal_ms = now;
        if (schedule_burst_runs(&burst, 1000 + now)) running_ms += 10;
    }
    CU_ASSERT(first_refusal_ms >= 15 * 1000); /* three in a row are fine */
    CU_ASSERT(running_ms > 290 * 1000 && running_ms < 320 * 1000);
    /* What an engine does that proves paths, then confirms a failure, then sees the repair. */
    burst = (struct schedule_burst){0};
    static const int64_t asked_ms[] = {0, 10000, 20000, 30000, 35000, 41000};
    for (size_t i = 0; i < ARRAY_COUNT(asked_ms); i++)
        CU_ASSERT(schedule_burst_ask(&burst, 1000 + asked_ms[i], 5000, 100, 0));
}

static void every_errno_of_connect_has_its_error(void)
{
    static const struct {
        int os_errno;
        enum probe_error error;
    } cases[] = {{ECONNREFUSED, PROBE_ERROR_REFUSED}, {EHOSTUNREACH, PROBE_ERROR_UNREACHABLE},
        {ENETUNREACH, PROBE_ERROR_UNREACHABLE}, {EPERM, PROBE_ERROR_UNREACHABLE},
        {EACCES, PROBE_ERROR_UNREACHABLE}, {ENOPROTOOPT, PROBE_ERROR_UNREACHABLE},
        {ETIMEDOUT, PROBE_ERROR_CONNECT_TIMEOUT}, {EMFILE, PROBE_ERROR_LOCAL},
        {ECONNRESET, PROBE_ERROR_RESET}, {EADDRNOTAVAIL, PROBE_ERROR_LOCAL}, {0, PROBE_ERROR_LOCAL}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CU_ASSERT_EQUAL(judge_connect(cases[i].os_errno), cases[i].error);
        struct http_answer answer = {.curl = CURLE_COULDNT_CONNECT,
            .os_errno = cases[i].os_errno,
            .connect_us = -1,
            .first_byte_us = -1,
            .message = ""};
        struct wire_target wanted = target_to("http://a/");
        struct target *target = target_new(&wanted);
        uint32_t flags = 0;
        CU_ASSERT_EQUAL(judge_answer(target, &answer, &flags), cases[i].error);
        target_free(target);
    }
}

static void transfers_that_break_are_told_apart(void)
{
    static const struct {
        int curl;
        const char *message;
        int64_t connect_us, first_byte_us;
        enum probe_error error;
    } cases[] = {
        {CURLE_PEER_FAILED_VERIFICATION, "SSL certificate problem", 9, -1, PROBE_ERROR_TLS},
        {CURLE_SSL_CONNECT_ERROR, "wrong version number", 9, -1, PROBE_ERROR_TLS},
        {CURLE_SSL_CONNECT_ERROR, "OpenSSL SSL_connect: Connection reset by peer", 9, -1, PROBE_ERROR_RESET},
        {CURLE_SSL_CONNECT_ERROR, "error: unexpected eof while reading", 9, -1, PROBE_ERROR_RESET},
        {CURLE_RECV_ERROR, "Recv failure: Connection reset by peer", 9, -1, PROBE_ERROR_RESET},
        {CURLE_RECV_ERROR, "tlsv13 alert certificate required", 9, -1, PROBE_ERROR_TLS},
        {CURLE_SSL_CACERT_BADFILE, "", 9, -1, PROBE_ERROR_LOCAL},
        {CURLE_OPERATION_TIMEDOUT, "", -1, -1, PROBE_ERROR_CONNECT_TIMEOUT},
        {CURLE_OPERATION_TIMEDOUT, "", 9, -1, PROBE_ERROR_NO_ANSWER},
        {CURLE_OPERATION_TIMEDOUT, "", 9, 12, PROBE_ERROR_UNFINISHED},
        {CURLE_WEIRD_SERVER_REPLY, "", 9, 12, PROBE_ERROR_MALFORMED},
        {CURLE_OUT_OF_MEMORY, "", 9, 12, PROBE_ERROR_LOCAL},
        {CURLE_FILESIZE_EXCEEDED, "", 9, 12, PROBE_ERROR_MALFORMED},
        {CURLE_FILESIZE_EXCEEDED, "", -1, -1, PROBE_ERROR_LOCAL},
    };
    struct wire_target wanted = target_to("http://a/");
    struct target *target = target_new(&wanted);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct http_answer answer = {.curl = cases[i].curl,
            .connect_us = cases[i].connect_us,
            .first_byte_us = cases[i].first_byte_us,
            .message = cases[i].message};
        uint32_t flags = 0;
        CU_ASSERT_EQUAL(judge_answer(target, &answer, &flags), cases[i].error);
    }
    target_free(target);
}

/* ── HAProxy ── */

struct seen {
    size_t count;
    char text[2048];
};

static void see(void *owner, const struct haproxy_row *row)
{
    struct seen *seen = owner;
    seen->count++;
    size_t used = strlen(seen->text);
    snprintf(seen->text + used, sizeof seen->text - used, "%s/%s@%s=%d(%ld) ", row->proxy, row->server,
        row->address, (int)row->state, (long)row->sessions);
}

#define CSV                                                                                                  \
    "# pxname,svname,qcur,scur,status,last_chk,type,addr,\n"                                                 \
    "www,FRONTEND,,2,OPEN,,0,,\n"                                                                            \
    "be,app1,0,3,UP,\"Layer7, \"\"ok\"\"\",2,10.0.0.1:8080,\n"                                               \
    "be,app2,0,0,DOWN 1/2,,2,10.0.0.2:8080,\r\n"                                                             \
    "be,app3,0,0,MAINT (via be/app1),,2,,\n"                                                                 \
    "be,app4,0,,DRAIN,\"two\nlines\",2,[::1]:80,\n"                                                          \
    "be,app5,0,x,no check,,2,,\n"                                                                            \
    "be,app6,0,1,NOLB 1/3,,2\n"                                                                              \
    "be,app7,0,1,UP 1/3,,2,,\n"                                                                              \
    "be,app8,0,1,strange,,2,,\n"                                                                             \
    "be,BACKEND,0,3,UP,,1,,"
#define CSV_SEEN                                                                                             \
    "be/app1@10.0.0.1:8080=1(3) be/app2@10.0.0.2:8080=2(0) be/app3@=4(0) be/app4@[::1]:80=3(-1) "            \
    "be/app5@=5(-1) be/app6@=3(1) be/app7@=1(1) be/app8@=0(1) "

static bool parse(const char *text, size_t piece, struct seen *seen, size_t *left_out)
{
    struct haproxy_csv *csv = check_alloc(sizeof *csv);
    *seen = (struct seen){0};
    haproxy_csv_init(csv, see, seen);
    for (size_t at = 0, size = strlen(text); at < size; at += piece)
        haproxy_csv_feed(csv, span_of(text + at, piece < size - at ? piece : size - at));
    bool good = haproxy_csv_end(csv);
    *left_out = csv->left_out;
    free(csv);
    return good;
}

static void haproxys_csv_reads_the_same_in_pieces_of_any_size(void)
{
    for (size_t piece = 1; piece < sizeof CSV; piece++) {
        struct seen seen;
        size_t left_out;
        CU_ASSERT(parse(CSV, piece, &seen, &left_out));
        CU_ASSERT_STRING_EQUAL(seen.text, CSV_SEEN);
        CU_ASSERT_EQUAL(left_out, 0);
    }
}

static void what_is_not_haproxys_csv_is_refused(void)
{
    struct seen seen;
    size_t left_out;
    CU_ASSERT_FALSE(parse("", 1, &seen, &left_out));
    CU_ASSERT_FALSE(parse("<html>\n", 3, &seen, &left_out));
    CU_ASSERT_FALSE(parse("be,app1,0,3,UP,,2\n", 3, &seen, &left_out));
    CU_ASSERT_FALSE(parse("# pxname,svname\nbe,app1\n", 3, &seen, &left_out));
    CU_ASSERT_EQUAL(seen.count, 0);
}

static void overlong_lines_and_odd_names_are_left_out_and_counted(void)
{
    char *text = check_alloc(4 * HAPROXY_LINE_BYTES_MAX);
    strcpy(text, "# pxname,svname,status,type\nbe,");
    memset(text + strlen(text), 'a', HAPROXY_LINE_BYTES_MAX + 5);
    strcat(text, "\nbe,\x07,UP,2\nbe,,UP,2\nbe\nbe,app1,UP,2\n");
    struct seen seen;
    size_t left_out;
    CU_ASSERT(parse(text, 1000, &seen, &left_out));
    CU_ASSERT_STRING_EQUAL(seen.text, "be/app1@=1(-1) ");
    CU_ASSERT_EQUAL(left_out, 4);
    free(text);
}

UNIT_MAIN("probe_pure", {"addresses split and print", addresses_split_and_print},
    {"targets know where their url leads", targets_know_where_their_url_leads},
    {"a target equals itself and nothing else", a_target_equals_itself_and_nothing_else},
    {"the address label takes its place in the order", the_address_label_takes_its_place_in_the_order},
    {"the grid neither drifts nor repeats", the_grid_neither_drifts_nor_repeats},
    {"bursts are bounded whatever is asked", bursts_are_bounded_whatever_is_asked},
    {"bursts take half of the time at most in the long run",
        bursts_take_half_of_the_time_at_most_in_the_long_run},
    {"every errno of connect has its error", every_errno_of_connect_has_its_error},
    {"transfers that break are told apart", transfers_that_break_are_told_apart},
    {"haproxy's csv reads the same in pieces of any size", haproxys_csv_reads_the_same_in_pieces_of_any_size},
    {"what is not haproxy's csv is refused", what_is_not_haproxys_csv_is_refused},
    {"overlong lines and odd names are left out and counted",
        overlong_lines_and_odd_names_are_left_out_and_counted})
