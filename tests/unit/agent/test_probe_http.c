/* How probes of misbehaving servers end, each against a real one on loopback. */
#include <sys/stat.h>

#include "common/cleanup.h"
#include "tests/support/scratch.h"
#include "tests/support/unit.h"
#include "tests/unit/agent/probe_fixture.h"

#define OK_TEXT "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static void try_target(const struct wire_target *target, struct probe_result *result, char detail[static 256])
{
    struct error err;
    CHECK(prober_try(target, result, detail, &err) == 0);
}

static void how_servers_misbehave_decides_the_error(void)
{
    static const struct {
        const char *label;
        enum peer_manner manner;
        const char *text;
        enum probe_error error;
        uint32_t code;
    } cases[] = {
        {"a good answer", PEER_TEXT, OK_TEXT, PROBE_ERROR_NONE, 200},
        {"a good answer byte by byte", PEER_TRICKLE, OK_TEXT, PROBE_ERROR_NONE, 200},
        {"an answer without a length", PEER_TEXT, "HTTP/1.0 200 OK\r\n\r\nhello", PROBE_ERROR_NONE, 200},
        {"never an answer", PEER_SILENT, NULL, PROBE_ERROR_NO_ANSWER, 0},
        {"half a status line, then nothing", PEER_STALL, "HTTP/1.", PROBE_ERROR_UNFINISHED, 0},
        {"headers, then nothing", PEER_STALL, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            PROBE_ERROR_UNFINISHED, 200},
        {"half a body, then nothing", PEER_STALL, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell",
            PROBE_ERROR_UNFINISHED, 200},
        {"half a body, then closed", PEER_TEXT, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell",
            PROBE_ERROR_RESET, 200},
        {"half a body, then RST", PEER_CUT, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell",
            PROBE_ERROR_RESET, 200},
        {"RST after the request", PEER_RESET, NULL, PROBE_ERROR_RESET, 0},
        {"RST at once", PEER_RESET_AT_ONCE, NULL, PROBE_ERROR_RESET, 0},
        {"closed after the request", PEER_CLOSE, NULL, PROBE_ERROR_RESET, 0},
        {"garbage", PEER_TEXT, "\x16\x03 SSH-2.0-OpenSSH_9.2\r\n\r\n", PROBE_ERROR_MALFORMED, 0},
        {"a broken chunk", PEER_TEXT, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyzzy\r\n",
            PROBE_ERROR_MALFORMED, 200},
        {"500", PEER_TEXT, "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", PROBE_ERROR_STATUS, 500},
        {"503", PEER_TEXT, "HTTP/1.1 503 Oh\r\nContent-Length: 0\r\n\r\n", PROBE_ERROR_STATUS, 503},
        {"404", PEER_TEXT, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", PROBE_ERROR_STATUS, 404},
        {"401", PEER_TEXT, "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", PROBE_ERROR_BLOCKED, 401},
        {"403", PEER_TEXT, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", PROBE_ERROR_BLOCKED, 403},
        {"429", PEER_TEXT, "HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n", PROBE_ERROR_BLOCKED, 429},
        {"a redirect", PEER_TEXT, "HTTP/1.1 302 Go\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
            PROBE_ERROR_REDIRECT, 302},
        {"304 without a way to go", PEER_TEXT, "HTTP/1.1 304 Same\r\n\r\n", PROBE_ERROR_NONE, 304},
        {"a full backlog", PEER_DROP, NULL, PROBE_ERROR_CONNECT_TIMEOUT, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct peer peer;
        peer_start(&peer, cases[i].manner, cases[i].text);
        struct wire_target target = target_to(peer.url);
        bool hangs = cases[i].error == PROBE_ERROR_NO_ANSWER || cases[i].error == PROBE_ERROR_UNFINISHED ||
                     cases[i].error == PROBE_ERROR_CONNECT_TIMEOUT;
        if (hangs) target.timeout_ms = 150;
        struct probe_result result;
        char detail[256];
        try_target(&target, &result, detail);
        bool good = result.error == cases[i].error && result.code == cases[i].code &&
                    result.outcome == (cases[i].error == PROBE_ERROR_NONE ? PROBE_OK : PROBE_FAIL) &&
                    (cases[i].manner == PEER_RESET_AT_ONCE || /* whether it stood for a moment is a race */
                        (result.connect_us >= 0) == (cases[i].error != PROBE_ERROR_CONNECT_TIMEOUT)) &&
                    result.resolve_us == -1 && result.tls_us == -1 && detail[0] != '\0' &&
                    (result.first_byte_us >= 0) == (cases[i].text != NULL) &&
                    result.total_us >= result.first_byte_us;
        if (!good)
            fprintf(stderr, "%s: %s, code %u, connect %ld, first byte %ld, total %ld: %s\n", cases[i].label,
                probe_error_name(result.error), result.code, (long)result.connect_us,
                (long)result.first_byte_us, (long)result.total_us, detail);
        CU_ASSERT(good);
        peer_stop(&peer);
    }
}

static void refused_ports_are_refused(void)
{
    char url[64], tcp[64], detail[256];
    uint16_t port = peer_free_port();
    snprintf(url, sizeof url, "http://%s:%u/", peer_host(), port);
    snprintf(tcp, sizeof tcp, "tcp://%s:%u", peer_host(), port);
    struct wire_target targets[] = {target_to(url), target_to(tcp)};
    targets[1].probe = PROBE_TCP;
    for (size_t i = 0; i < 2; i++) {
        struct probe_result result;
        try_target(&targets[i], &result, detail);
        CU_ASSERT_EQUAL(result.error, PROBE_ERROR_REFUSED);
        CU_ASSERT_EQUAL(result.connect_us, -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(detail, "refused by 127."));
    }
}

static void tcp_connects_and_times_out(void)
{
    struct peer open, full;
    peer_start(&open, PEER_SILENT, NULL);
    peer_start(&full, PEER_DROP, NULL);
    char url[64], detail[256];
    struct probe_result result;
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", open.port);
    struct wire_target target = target_to(url);
    target.probe = PROBE_TCP;
    try_target(&target, &result, detail);
    CU_ASSERT_EQUAL(result.outcome, PROBE_OK);
    CU_ASSERT(result.connect_us >= 0 && result.total_us >= result.connect_us);
    CU_ASSERT_EQUAL(result.first_byte_us, -1);
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", full.port);
    target.timeout_ms = 100;
    try_target(&target, &result, detail);
    CU_ASSERT_EQUAL(result.error, PROBE_ERROR_CONNECT_TIMEOUT);
    CU_ASSERT(result.total_us >= 100 * 1000);
    peer_stop(&open);
    peer_stop(&full);
}

static void tls_to_a_mute_or_plain_server_is_told_apart(void)
{
    static const struct {
        enum peer_manner manner;
        const char *text;
        enum probe_error error;
    } cases[] = {
        {PEER_SILENT, NULL, PROBE_ERROR_NO_ANSWER},
        {PEER_RESET_AT_ONCE, NULL, PROBE_ERROR_RESET},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct peer peer;
        peer_start(&peer, cases[i].manner, cases[i].text);
        char url[64], detail[256];
        snprintf(url, sizeof url, "https://127.0.0.1:%u/", peer.port);
        struct wire_target target = target_to(url);
        target.timeout_ms = cases[i].error == PROBE_ERROR_NO_ANSWER ? 200 : PATIENT_MS;
        struct probe_result result;
        try_target(&target, &result, detail);
        CU_ASSERT_EQUAL(result.error, cases[i].error);
        if (cases[i].manner == PEER_SILENT) CU_ASSERT(result.connect_us >= 0);
        CU_ASSERT_EQUAL(result.tls_us, -1);
        peer_stop(&peer);
    }
}

static void the_expected_text_is_found_across_pieces_and_missed_when_absent(void)
{
    struct peer peer;
    peer_start(&peer, PEER_TRICKLE, OK_TEXT);
    struct probe_result result;
    char detail[256];
    struct wire_target target = target_to(peer.url);
    target.expect_text = "ello";
    try_target(&target, &result, detail);
    CU_ASSERT_EQUAL(result.error, PROBE_ERROR_NONE);
    target.expect_text = "elloh";
    try_target(&target, &result, detail);
    CU_ASSERT_EQUAL(result.error, PROBE_ERROR_CONTENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(detail, "'elloh' is not in it"));
    peer_stop(&peer);
}

static void a_body_without_end_is_enough_at_64_kib(void)
{
    AUTO_FREE char *text = check_alloc(200 * 1024);
    int head = snprintf(text, 100, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    memset(text + head, 'x', PROBER_BODY_BYTES_MAX);
    memcpy(text + head + PROBER_BODY_BYTES_MAX - 4, "last", 4);
    strcpy(text + head + PROBER_BODY_BYTES_MAX, "beyond");
    struct peer peer;
    peer_start(&peer, PEER_STALL, text);
    struct probe_result result;
    char detail[256];
    struct wire_target target = target_to(peer.url);
    target.expect_text = "last";
    try_target(&target, &result, detail);
    CU_ASSERT_EQUAL(result.error, PROBE_ERROR_NONE);
    target.expect_text = "beyond";
    try_target(&target, &result, detail);
    CU_ASSERT_EQUAL(result.error, PROBE_ERROR_CONTENT);
    peer_stop(&peer);
}

static void endless_headers_are_not_http(void)
{
    AUTO_FREE char *text = check_alloc(200 * 1024);
    strcpy(text, "HTTP/1.1 200 OK\r\n");
    size_t size = strlen(text);
    while (size < 150 * 1024) size += (size_t)sprintf(text + size, "X-Filler: %0100d\r\n", 7);
    struct peer peer;
    peer_start(&peer, PEER_STALL, text);
    struct probe_result result;
    char detail[256];
    struct wire_target target = target_to(peer.url);
    try_target(&target, &result, detail);
    CU_ASSERT_EQUAL(result.error, PROBE_ERROR_MALFORMED);
    peer_stop(&peer);
}

/* The peer echoes the request: what we look for must be in it. */
static bool request_has(const struct wire_target *given, const char *text)
{
    struct wire_target target = *given;
    target.expect_text = text;
    struct probe_result result;
    char detail[256];
    try_target(&target, &result, detail);
    return result.error == PROBE_ERROR_NONE;
}

static void requests_are_marked_and_carry_host_and_headers_of_the_url_not_of_connect(void)
{
    struct peer peer;
    peer_start(&peer, PEER_ECHO, NULL);
    char connect[64];
    snprintf(connect, sizeof connect, "127.0.0.1:%u", peer.port);
    struct wire_header headers[] = {{"X-Probe", "yes"}, {"X-Empty", ""}, {"X-Evil", "a\r\nX-Injected: b"}};
    struct wire_target target = target_to("http://www.example.com/inbox?a=b");
    target.connect = connect;
    target.headers = headers;
    target.header_count = 3;
    CU_ASSERT(request_has(&target, "GET /inbox?a=b HTTP/1.1\r\n"));
    CU_ASSERT(request_has(&target, "Host: www.example.com\r\n"));
    CU_ASSERT(request_has(&target, "User-Agent: faultline/" FAULTLINE_VERSION " (+probe)\r\n"));
    CU_ASSERT(request_has(&target, "X-Probe: yes\r\n"));
    CU_ASSERT(request_has(&target, "X-Empty:"));
    CU_ASSERT_FALSE(request_has(&target, "X-Injected"));
    CU_ASSERT_FALSE(request_has(&target, "Accept-Encoding"));
    CU_ASSERT_FALSE(request_has(&target, "Cookie"));
    peer_stop(&peer);
}

static void the_environment_offers_no_proxy(void)
{
    struct peer peer, proxy;
    peer_start(&peer, PEER_TEXT, OK_TEXT);
    peer_start(&proxy, PEER_TEXT, "HTTP/1.1 500 Proxied\r\nContent-Length: 0\r\n\r\n");
    setenv("http_proxy", proxy.url, 1);
    setenv("ALL_PROXY", proxy.url, 1);
    struct probe_result result;
    char detail[256];
    struct wire_target target = target_to(peer.url);
    try_target(&target, &result, detail);
    CU_ASSERT_EQUAL(result.code, 200);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    peer_stop(&peer);
    peer_stop(&proxy);
}

static void redirects_are_followed_only_where_asked_and_not_for_ever(void)
{
    struct peer there, here, circle;
    char text[256], detail[256];
    peer_start(&there, PEER_TEXT, OK_TEXT);
    snprintf(text, sizeof text, "HTTP/1.1 301 Go\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", there.url);
    peer_start(&here, PEER_TEXT, text);
    peer_start(&circle, PEER_TEXT, "HTTP/1.1 302 Go\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n");
    struct probe_result result;
    struct wire_target target = target_to(here.url);
    try_target(&target, &result, detail);
    CU_ASSERT_EQUAL(result.error, PROBE_ERROR_REDIRECT);
    CU_ASSERT_PTR_NOT_NULL(strstr(detail, there.url));
    target.expect_code_min = target.expect_code_max = 301;
    try_target(&target, &result, detail);
    CU_ASSERT_EQUAL(result.error, PROBE_ERROR_NONE);
    target.expect_code_min = target.expect_code_max = 200;
    target.follow = true;
    try_target(&target, &result, detail);
    CU_ASSERT_EQUAL(result.error, PROBE_ERROR_NONE);
    CU_ASSERT_EQUAL(result.code, 200);
    target.url = circle.url;
    try_target(&target, &result, detail);
    CU_ASSERT_EQUAL(result.error, PROBE_ERROR_REDIRECT);
    peer_stop(&there);
    peer_stop(&here);
    peer_stop(&circle);
}

static void an_announced_drain_is_flagged(void)
{
    static const struct {
        const char *text;
        uint32_t flags;
    } cases[] = {
        {"HTTP/1.1 503 Oh\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n", PROBE_FLAG_DRAINING},
        {"HTTP/1.1 503 Oh\r\nContent-Length: 8\r\n\r\nDRAINING", PROBE_FLAG_DRAINING},
        {"HTTP/1.1 503 Oh\r\nContent-Length: 8\r\n\r\nno drai!", 0},
        {"HTTP/1.1 500 Oh\r\nContent-Length: 8\r\n\r\nDRAINING", 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct peer peer;
        peer_start(&peer, PEER_TRICKLE, cases[i].text);
        struct probe_result result;
        char detail[256];
        struct wire_target target = target_to(peer.url);
        try_target(&target, &result, detail);
        CU_ASSERT_EQUAL(result.error, PROBE_ERROR_STATUS);
        CU_ASSERT_EQUAL(result.flags, cases[i].flags);
        peer_stop(&peer);
    }
}

static void a_name_with_a_refusing_address_uses_the_next_one(void)
{
    struct peer peer;
    peer_start_at(&peer, "127.0.0.1", 0, PEER_TEXT, OK_TEXT); /* localhost is ::1 first */
    char url[64], detail[256];
    snprintf(url, sizeof url, "http://localhost:%u/", peer.port);
    struct probe_result result;
    struct wire_target target = target_to(url);
    try_target(&target, &result, detail);
    CU_ASSERT_EQUAL(result.error, PROBE_ERROR_NONE);
    CU_ASSERT(result.resolve_us >= 0);
    CU_ASSERT(result.first_byte_us >= result.resolve_us);
    peer_stop(&peer);
}

static bool any_outcome(const struct bench *bench)
{
    return bench->count > 0;
}

static void credentials_come_from_private_files_and_go_nowhere_else(void)
{
    char directory[SCRATCH_SIZE], path[128], text[256];
    scratch_make(directory);
    struct peer echo, away;
    peer_start(&echo, PEER_ECHO, NULL);
    snprintf(text, sizeof text, "HTTP/1.1 302 Go\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", echo.url);
    peer_start(&away, PEER_TEXT, text);
    snprintf(path, sizeof path, "%s/page", directory);
    FILE *file = fopen(path, "w");
    fputs("# two ways\nanna:s3cret\nX-Key: k4y\nBearer t0ken\n", file);
    fclose(file);
    static const struct {
        mode_t mode;
        const char *name, *expect;
        bool through_redirect;
        enum probe_error error;
    } cases[] = {
        {0600, "page", "X-Key: k4y", false, PROBE_ERROR_NONE},
        {0600, "page", "Authorization: Bearer t0ken", false, PROBE_ERROR_NONE},
        {0600, "page", "", false, PROBE_ERROR_NONE},
        {0644, "page", "", false, PROBE_ERROR_LOCAL},
        {0600, "none", "", false, PROBE_ERROR_LOCAL},
        {0600, "../page", "", false, PROBE_ERROR_LOCAL},
        {0600, "page", "k4y", true, PROBE_ERROR_CONTENT},
        {0600, "page", "t0ken", true, PROBE_ERROR_CONTENT},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        chmod(path, cases[i].mode);
        struct bench *bench = check_alloc(sizeof *bench);
        bench_init(bench, directory);
        struct wire_target target = target_to(cases[i].through_redirect ? away.url : echo.url);
        target.credentials_file = cases[i].name;
        target.expect_text = cases[i].expect;
        target.follow = cases[i].through_redirect;
        CU_ASSERT(bench_probe(bench, &target, 1, any_outcome));
        CU_ASSERT_EQUAL(bench->rows[0].result.error, cases[i].error);
        bench_fini(bench);
    }
    peer_stop(&echo);
    peer_stop(&away);
    scratch_remove(directory);
}

static void a_target_that_makes_no_sense_is_the_observers_own_trouble(void)
{
    static const struct {
        const char *url, *connect;
    } cases[] = {{"ftp://127.0.0.1/", ""}, {"http://", ""}, {"not a url", ""},
        {"http://127.0.0.1/", "host:port"}, {"http://127.0.0.1/", "host:99999"}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct wire_target target = target_to(cases[i].url);
        target.connect = cases[i].connect;
        struct probe_result result;
        char detail[256];
        try_target(&target, &result, detail);
        CU_ASSERT_EQUAL(result.error, PROBE_ERROR_LOCAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(detail, "cannot make sense of"));
    }
}

UNIT_MAIN("probe_http",
    {"how a server misbehaves decides the error", how_servers_misbehave_decides_the_error},
    {"refused ports are refused", refused_ports_are_refused},
    {"tcp connects and times out", tcp_connects_and_times_out},
    {"tls to a mute server and to one that resets are told apart",
        tls_to_a_mute_or_plain_server_is_told_apart},
    {"the expected text is found across pieces and missed when absent",
        the_expected_text_is_found_across_pieces_and_missed_when_absent},
    {"64 KiB of a body without end are enough", a_body_without_end_is_enough_at_64_kib},
    {"endless headers are not http", endless_headers_are_not_http},
    {"requests are marked and carry host and headers of the url, not of connect",
        requests_are_marked_and_carry_host_and_headers_of_the_url_not_of_connect},
    {"the environment offers no proxy", the_environment_offers_no_proxy},
    {"redirects are followed only where asked, and not for ever",
        redirects_are_followed_only_where_asked_and_not_for_ever},
    {"an announced drain is flagged", an_announced_drain_is_flagged},
    {"a name with a refusing address uses the next one", a_name_with_a_refusing_address_uses_the_next_one},
    {"credentials come from private files and go nowhere else",
        credentials_come_from_private_files_and_go_nowhere_else},
    {"a target that makes no sense is the observer's own trouble",
        a_target_that_makes_no_sense_is_the_observers_own_trouble})
