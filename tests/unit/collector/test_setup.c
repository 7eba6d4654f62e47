#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/cli/cli.h"
#include "collector/cli/find.h"
#include "collector/cli/setup_write.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "tests/support/golden.h"
#include "tests/support/scratch.h"
#include "tests/support/unit.h"

#define HOSTS FAULTLINE_SOURCE_DIR "/tests/data/hosts"

static char *setup_of(const char *root)
{
    AUTO_FREE struct find_host *host = check_alloc(sizeof *host);
    find_all(root, host);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out != NULL);
    setup_write(host, out);
    fclose(out);
    return text;
}

/* The errors of a config; warnings are printed where they are not expected. */
static size_t errors_in(const char *text)
{
    struct schema_report *report = check_alloc(sizeof *report);
    struct config *config = config_parse(text, strlen(text), "setup.yaml", "/nonexistent", report);
    size_t errors = report->errors;
    if (report->count > 0) schema_report_print(report, stdout, false);
    CU_ASSERT_EQUAL(config == NULL, errors > 0);
    config_free(config);
    schema_report_fini(report);
    free(report);
    return errors;
}

static void recorded_hosts_become_configs_that_pass_check(void)
{
    static const char *const names[] = {"lb1", "db1", "bare"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        AUTO_FREE char *root = check_format("%s/%s", HOSTS, names[i]);
        AUTO_FREE char *golden = check_format("tests/data/hosts/%s.yaml", names[i]);
        AUTO_FREE char *text = setup_of(root);
        CU_ASSERT(golden_same(golden, text));
        CU_ASSERT_EQUAL(errors_in(text), 0);
    }
}

static void this_host_becomes_a_config_that_passes_check(void)
{
    AUTO_FREE char *text = setup_of("");
    CU_ASSERT_EQUAL(errors_in(text), 0);
}

static void haproxy_itself_accepts_the_recorded_configuration(void)
{
    if (access("/usr/sbin/haproxy", X_OK) != 0) {
        puts("skipped: haproxy is not installed");
        return;
    }
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execl("/usr/sbin/haproxy", "haproxy", "-c", "-q", "-f", HOSTS "/lb1/etc/haproxy/haproxy.cfg",
            (char *)NULL);
        _exit(127);
    }
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
}

static void addresses_are_read_as_balancers_write_them(void)
{
    static const struct {
        const char *text;
        bool good;
        const char *host;
        uint16_t port;
    } rows[] = {
        {"10.0.0.5:80", true, "10.0.0.5", 80},
        {"*:80", true, "", 80},
        {":80", true, "", 80},
        {"80", true, "", 80},
        {"0.0.0.0:443", true, "", 443},
        {"[::]:443", true, "", 443},
        {":::8443", true, "", 8443},
        {"[::1]:443", true, "::1", 443},
        {"app1:8080", true, "app1", 8080},
        {"*:8000-8010", true, "", 8000},
        {"/run/x.sock", false, "", 0},
        {"unix@/run/x", false, "", 0},
        {"unix:/run/x", false, "", 0},
        {"app1", false, "", 0},
        {"app1:0", false, "", 0},
        {"app1:99999", false, "", 0},
        {"${HOST}:x", false, "", 0},
        {"", false, "", 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char host[FIND_HOST_SIZE] = "";
        uint16_t port = 0;
        CU_ASSERT_EQUAL(find_parse_address(rows[i].text, host, &port), rows[i].good);
        if (!rows[i].good) continue;
        CU_ASSERT_STRING_EQUAL(host, rows[i].host);
        CU_ASSERT_EQUAL(port, rows[i].port);
    }
}

static void haproxy_servers_and_entrances_are_found(void)
{
    static const char text[] =
        "defaults\n  mode http\n  default-server ssl verify none\n"
        "frontend in\n  bind ipv4@:443 ssl crt /x.pem alpn h2\n  bind 'unix@/run/in.sock'\n  default_backend "
        "\"b\"\n"
        "backend b # with a remark\n  option httpchk /ping\n  server one 10.0.0.1:443\n  server two app\\ "
        "2:1 check\n  server nowhere\n"
        "  server sock /run/s\n"
        "defaults tcp-ones\n  mode tcp\nlisten t\n  bind 10.0.0.5:25\n  server m 10.0.0.2:25\n"
        "listen s\n  mode http\n  bind :9000\n  stats enable\n  stats auth a:b\n";
    AUTO_FREE struct find_balancer *found = check_alloc(sizeof *found);
    find_parse_haproxy(text, found);
    CU_ASSERT_EQUAL(found->front_count, 3);
    CU_ASSERT(found->fronts[0].http);
    CU_ASSERT_EQUAL(found->fronts[0].bind_count, 1);
    CU_ASSERT(found->fronts[0].binds[0].tls);
    CU_ASSERT_STRING_EQUAL(found->fronts[0].pool, "b");
    CU_ASSERT(!found->fronts[1].http);
    CU_ASSERT_EQUAL(found->pools[0].server_count, 2);
    CU_ASSERT(found->pools[0].servers[0].tls);
    CU_ASSERT_STRING_EQUAL(found->pools[0].health, "/ping");
    CU_ASSERT(!found->pools[1].servers[0].tls);
    CU_ASSERT_EQUAL(found->stats.port, 9000);
    CU_ASSERT_STRING_EQUAL(found->stats_path, "/haproxy?stats");
    CU_ASSERT(found->stats_login);
}

static char *includes_itself(void *owner, const char *pattern)
{
    (void)owner;
    return check_format("server { listen 81; } include %s;", pattern);
}

static void nginx_includes_end_and_broken_text_does_no_harm(void)
{
    static const char *const texts[] = {"include x;", "}}}} server {", "server { listen",
        "{{{{{{{{{{{{{{{{{{{{{{{{ listen 80; }", "upstream a { server b; }",
        "server { proxy_pass http://a; } location / { proxy_pass http://b; }", "'unclosed", "\\",
        "listen 80;", "http { server { listen 80; location / { proxy_pass http://$backend; } } }",
        "upstream { server a; } server { proxy_pass x; }"};
    AUTO_FREE struct find_balancer *found = check_alloc(sizeof *found);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        *found = (struct find_balancer){0};
        find_parse_nginx(texts[i], includes_itself, NULL, found);
        CU_ASSERT(found->front_count <= 5);
    }
}

/* What stands in another program's configuration ends up as a value, whatever it is. */
static void hostile_names_cannot_leave_their_place(void)
{
    AUTO_FREE struct find_host *host = check_alloc(sizeof *host);
    *host = (struct find_host){.name = "lb",
        .listener_count = 3,
        .listeners = {{.port = 80, .process = "haproxy"}, {.port = 81, .process = "x\nservices: {}"},
            {.port = 443, .process = "nginx"}}};
    find_parse_haproxy(
        "defaults\n mode http\nlisten w\\\nw\n bind :80\n option httpchk /a\\\"b:\\#{}\n"
        "listen \"a: &b *c\"\n bind :80\n server \"x]: {\" 10.0.0.1:1\n server x]:-{ 10.0.0.1:2\n"
        "backend 'left\xff: [out'\n server a 10.0.0.1:1\n",
        &host->haproxy);
    find_parse_nginx("server { listen 443 ssl; server_name 'a\"b\\\\.example.com'; location / { proxy_pass "
                     "http://10.0.0.1:80; } }",
        NULL, NULL, &host->nginx);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    setup_write(host, out);
    fclose(out);
    struct schema_report *report = check_alloc(sizeof *report);
    struct config *config = config_parse(text, size, "setup.yaml", "/nonexistent", report);
    /* A URL may be refused for its host; never may the file stop being what setup meant. */
    for (size_t i = 0; i < report->count; i++)
        CU_ASSERT_PTR_NULL(strstr(report->problems[i].text, "unknown key"));
    CU_ASSERT_PTR_NULL(strstr(text, "\nservices: {}"));
    config_free(config);
    schema_report_fini(report);
    free(report);
    free(text);
}

static void an_existing_file_is_written_over_only_when_told(void)
{
    char scratch[SCRATCH_SIZE];
    scratch_make(scratch);
    AUTO_FREE char *path = check_format("%s/faultline.yaml", scratch);
    char command[] = "setup", root[] = "--root=" HOSTS "/db1", output[] = "--output", force[] = "--force";
    char *argv[] = {command, root, output, path, force, NULL};
    struct cli cli = {0};
    CU_ASSERT_EQUAL(command_setup.run(&cli, 4, argv), CLI_OK);
    CU_ASSERT_EQUAL(command_setup.run(&cli, 4, argv), CLI_FAILED);
    CU_ASSERT_EQUAL(command_setup.run(&cli, 5, argv), CLI_OK);
    AUTO(buffer_fini) struct buffer content = {0};
    CU_ASSERT_EQUAL(file_read(path, 1 << 20, &content, NULL), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(buffer_text(&content), "tcp://127.0.0.1:5432"));
    scratch_remove(scratch);
}

UNIT_MAIN("setup",
    {"recorded hosts become configs that pass check", recorded_hosts_become_configs_that_pass_check},
    {"this host becomes a config that passes check", this_host_becomes_a_config_that_passes_check},
    {"HAProxy itself accepts the recorded configuration", haproxy_itself_accepts_the_recorded_configuration},
    {"addresses are read as balancers write them", addresses_are_read_as_balancers_write_them},
    {"HAProxy's servers and entrances are found", haproxy_servers_and_entrances_are_found},
    {"nginx's includes end, and broken text does no harm", nginx_includes_end_and_broken_text_does_no_harm},
    {"hostile names cannot leave their place", hostile_names_cannot_leave_their_place},
    {"an existing file is written over only when told", an_existing_file_is_written_over_only_when_told})
