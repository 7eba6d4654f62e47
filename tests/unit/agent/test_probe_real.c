/* Probes of real programs: nginx with and without TLS, HAProxy's statistics. */
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/probe/explain.h"
#include "common/file.h"
#include "tests/support/scratch.h"
#include "tests/support/unit.h"
#include "tests/unit/agent/probe_fixture.h"

/* Paths are relative to the prefix. */
static const char nginx_config[] =
    "daemon off; master_process off; pid nginx.pid; error_log error.log;\n"
    "events {}\n"
    "http { access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;\n"
    "  uwsgi_temp_path u; scgi_temp_path s; ssl_certificate cert.pem; ssl_certificate_key key.pem;\n"
    "  server { listen %s:%u; listen %s:%u ssl;\n"
    "    location / { return 200 \"page of $host by $scheme $ssl_server_name\\n\"; }\n"
    "    location /away { return 301 https://www.example.com/login; }\n"
    "    location /boom { return 500; }\n"
    "    location /deny { return 403; }\n"
    "    location /drain { add_header Retry-After 3 always; return 503; }\n"
    "} }\n";

struct site {
    char directory[SCRATCH_SIZE];
    struct peer nginx;
    uint16_t tls_port;
    bool up;
};

static void write_text(const char *directory, const char *name, const char *text)
{
    char path[128];
    struct error err;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    CHECK(file_write_atomic(path, span_text(text), 0600, &err) == 0);
}

static void site_start(struct site *site)
{
    char command[512], config[4096], path[128];
    scratch_make(site->directory);
    snprintf(command, sizeof command,
        "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "
        "/CN=faultline "
        "-addext subjectAltName=DNS:www.example.com,DNS:shop.example.com -keyout key.pem -out cert.pem "
        "2>/dev/null",
        site->directory);
    CU_ASSERT_EQUAL_FATAL(system(command), 0);
    uint16_t port = peer_free_port();
    do site->tls_port = peer_free_port();
    while (site->tls_port == port);
    snprintf(config, sizeof config, nginx_config, peer_host(), (unsigned)port, peer_host(),
        (unsigned)site->tls_port);
    write_text(site->directory, "nginx.conf", config);
    snprintf(path, sizeof path, "%s/nginx.conf", site->directory);
    const char *const argv[] = {"/usr/sbin/nginx", "-p", site->directory, "-c", path, "-e", "stderr", NULL};
    site->up = peer_spawn(&site->nginx, site->directory, port, argv);
    CU_ASSERT_FATAL(site->up);
}

static void site_stop(struct site *site)
{
    peer_stop(&site->nginx);
    scratch_remove(site->directory);
}

static void nginx_answers_are_judged_by_status_redirect_and_drain(void)
{
    static const struct {
        const char *path;
        enum probe_error error;
        uint32_t code, flags;
        const char *detail;
    } cases[] = {
        {"", PROBE_ERROR_NONE, 200, 0, "answers 200 after"},
        {"away", PROBE_ERROR_REDIRECT, 301, 0, "redirects to https://www.example.com/login"},
        {"boom", PROBE_ERROR_STATUS, 500, 0, "answers 500"},
        {"deny", PROBE_ERROR_BLOCKED, 403, 0, "does not let this observer in (403)"},
        {"drain", PROBE_ERROR_STATUS, 503, PROBE_FLAG_DRAINING, "answers 503 and announces a drain"},
        {"none", PROBE_ERROR_NONE, 200, 0, "answers 200 after"},
    };
    struct site site;
    site_start(&site);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char url[128], detail[256];
        snprintf(url, sizeof url, "%s%s", site.nginx.url, cases[i].path);
        struct wire_target target = target_to(url);
        struct probe_result result;
        struct error err;
        CU_ASSERT_EQUAL(prober_try(&target, &result, detail, &err), 0);
        CU_ASSERT_EQUAL(result.error, cases[i].error);
        CU_ASSERT_EQUAL(result.code, cases[i].code);
        CU_ASSERT_EQUAL(result.flags, cases[i].flags);
        CU_ASSERT_PTR_NOT_NULL(strstr(detail, cases[i].detail));
    }
    site_stop(&site);
}

static void tls_is_timed_and_its_certificate_explained(void)
{
    struct site site;
    site_start(&site);
    char connect[64], detail[256];
    snprintf(connect, sizeof connect, "%s:%u", peer_host(), site.tls_port);
    struct wire_target target = target_to("https://www.example.com/");
    target.connect = connect;
    struct probe_result result;
    struct error err;
    CU_ASSERT_EQUAL(prober_try(&target, &result, detail, &err), 0);
    CU_ASSERT_EQUAL(result.error, PROBE_ERROR_TLS);
    CU_ASSERT(result.connect_us >= 0);
    CU_ASSERT_EQUAL(result.first_byte_us, -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(detail, "certificate for www.example.com, shop.example.com: "));
    CU_ASSERT_PTR_NOT_NULL(strstr(detail, "self-signed"));

    target.insecure = true;
    target.expect_text = "page of www.example.com by https www.example.com"; /* Host and SNI stay the URL's */
    CU_ASSERT_EQUAL(prober_try(&target, &result, detail, &err), 0);
    CU_ASSERT_EQUAL(result.error, PROBE_ERROR_NONE);
    CU_ASSERT(result.connect_us >= 0 && result.tls_us > 0);
    CU_ASSERT(result.first_byte_us >= result.connect_us + result.tls_us);
    CU_ASSERT(result.total_us >= result.first_byte_us);

    char url[64]; /* TLS to a port that speaks plain HTTP */
    snprintf(url, sizeof url, "https://%s:%u/", peer_host(), site.nginx.port);
    target = target_to(url);
    CU_ASSERT_EQUAL(prober_try(&target, &result, detail, &err), 0);
    CU_ASSERT_EQUAL(result.error, PROBE_ERROR_TLS);
    site_stop(&site);
}

static void a_certificate_of_another_name_is_told(void)
{
    struct wire_target wanted = target_to("https://beta.example.com/");
    struct target *target = target_new(&wanted);
    struct probe_result result = {.outcome = PROBE_FAIL, .error = PROBE_ERROR_TLS};
    struct run_story story = {.address = "10.0.0.5:443",
        .message = "SSL: no alternative certificate subject name matches target host name 'beta.example.com'",
        .certificate_names = "DNS:www.example.com, DNS:shop.example.com"};
    char detail[EXPLAIN_SIZE];
    CU_ASSERT(explain_wants_names(&result, &story));
    CU_ASSERT_STRING_EQUAL(explain(target, 1000, &result, &story, detail),
        "certificate is for www.example.com, shop.example.com, not beta.example.com");
    target_free(target);
}

/* ── HAProxy ── */

static const char haproxy_config[] =
    "global\n  stats socket %s/admin.sock level admin\n"
    "defaults\n  mode http\n  timeout connect 1s\n  timeout client 5s\n  timeout server 5s\n"
    "frontend stats\n  bind %s:%u\n  stats enable\n  stats uri /stats\n  stats show-legends\n"
    "backend www\n"
    "  server good 127.0.0.1:%u check inter 50ms\n"
    "  server dead %s:%u check inter 50ms\n"
    "  server unchecked 127.0.0.1:%u\n"
    "  server away 127.0.0.1:%u check disabled\n"
    "  server leaving 127.0.0.1:%u check inter 50ms\n";

static int64_t state_of(const struct bench *bench, const char *server)
{
    for (size_t i = bench->value_count; i-- > 0;)
        if (strcmp(bench->values[i].server, server) == 0 &&
            strcmp(bench->values[i].metric, "balancer_server_state") == 0)
            return bench->values[i].value;
    return -1;
}

static bool all_states_seen(const struct bench *bench)
{
    return state_of(bench, "good") == BALANCER_SERVER_UP && state_of(bench, "dead") == BALANCER_SERVER_DOWN &&
           state_of(bench, "unchecked") == BALANCER_SERVER_UNCHECKED &&
           state_of(bench, "away") == BALANCER_SERVER_MAINTENANCE &&
           state_of(bench, "leaving") == BALANCER_SERVER_DRAINING;
}

static void command_haproxy(const char *directory, const char *command)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/admin.sock", directory);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    CU_ASSERT(write(fd, command, strlen(command)) > 0);
    char answer[64];
    while (read(fd, answer, sizeof answer) > 0) {
    }
    close(fd);
}

static void haproxys_servers_become_values(void)
{
    char directory[SCRATCH_SIZE], config[2048], path[128], url[128], address[64];
    scratch_make(directory);
    struct peer app, haproxy;
    peer_start(&app, PEER_TEXT, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    uint16_t port = peer_free_port(), dead = peer_free_port();
    unsigned good = app.port;
    snprintf(config, sizeof config, haproxy_config, directory, peer_host(), (unsigned)port, good, peer_host(),
        (unsigned)dead, good, good, good);
    write_text(directory, "haproxy.cfg", config);
    snprintf(path, sizeof path, "%s/haproxy.cfg", directory);
    const char *const argv[] = {"/usr/sbin/haproxy", "-db", "-f", path, NULL};
    CU_ASSERT_FATAL(peer_spawn(&haproxy, directory, port, argv));
    command_haproxy(directory, "set server www/leaving state drain\n");

    snprintf(url, sizeof url, "http://%s:%u/stats;csv", peer_host(), port);
    struct wire_target target = target_to(url);
    target.probe = PROBE_HAPROXY_STATS;
    target.labels[0] = (struct wire_label){"target", "lb-www"};
    target.label_count = 1;
    struct bench *bench = bench_new();
    CU_ASSERT(bench_probe(bench, &target, 1, all_states_seen));
    CU_ASSERT_EQUAL(bench->rows[bench->count - 1].result.outcome, PROBE_OK);
    snprintf(address, sizeof address, "127.0.0.1:%u", app.port);
    CU_ASSERT_STRING_EQUAL(bench->values[0].address, address);
    CU_ASSERT_STRING_EQUAL(bench->values[0].balancer, "lb-www");
    CU_ASSERT_STRING_EQUAL(bench->values[0].proxy, "www");
    CU_ASSERT_STRING_EQUAL(bench->values[0].server, "good");
    bench_fini(bench);
    peer_stop(&haproxy);
    peer_stop(&app);
    scratch_remove(directory);
}

UNIT_MAIN("probe_real",
    {"nginx's answers are judged by status, redirect and drain",
        nginx_answers_are_judged_by_status_redirect_and_drain},
    {"tls is timed and its certificate explained", tls_is_timed_and_its_certificate_explained},
    {"a certificate of another name is told", a_certificate_of_another_name_is_told},
    {"haproxy's servers become values", haproxys_servers_become_values})
