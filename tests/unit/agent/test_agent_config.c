#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config/config.h"
#include "common/check.h"
#include "tests/support/unit.h"

#define KEY "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"

static int parse(const char *text, struct agent_config *config, char *report, size_t report_size)
{
    FILE *out = fmemopen(report, report_size, "w");
    struct error err = {0};
    int result = agent_config_parse(text, strlen(text), "/etc/faultline/agent.yaml", config, out, &err);
    fclose(out);
    return result;
}

static void a_short_file_is_enough(void)
{
    struct agent_config config;
    char report[4096] = "";
    CU_ASSERT_EQUAL_FATAL(parse("collectors: [{address: \"tcp://ops.example.com:7440\", key: \"" KEY "\"}]\n",
                              &config, report, sizeof report),
        0);
    CU_ASSERT_STRING_EQUAL(report, "");
    CU_ASSERT_EQUAL(config.collector_count, 1);
    CU_ASSERT_STRING_EQUAL(config.collectors[0].address, "tcp://ops.example.com:7440");
    CU_ASSERT_STRING_EQUAL(config.collectors[0].key, KEY);
    CU_ASSERT_STRING_EQUAL(config.key_file, "/etc/faultline/agent.key");
    CU_ASSERT_PTR_NULL(config.spool_directory);
    CU_ASSERT_EQUAL(config.spool_bytes_max, 256 << 20);
    CU_ASSERT_PTR_NULL(config.disks);
    CU_ASSERT_EQUAL(config.interval_ms, 1000);
    CU_ASSERT_EQUAL(config.log_level, LOG_INFO);
    agent_config_fini(&config);
}

static void every_key_is_taken_and_paths_count_from_the_file(void)
{
    struct agent_config config;
    char report[4096] = "";
    CU_ASSERT_EQUAL_FATAL(parse("collector: {address: \"tcp://[::1]:7440\", key: \"" KEY "\"}\n"
                                "key_file: own.key\n"
                                "spool: {directory: spool, bytes_max: 10000000}\n"
                                "disks: [/dev/vda, sdb]\n"
                                "credentials: /run/credentials\n"
                                "interval: 10s\n"
                                "log: {level: debug}\n",
                              &config, report, sizeof report),
        0);
    CU_ASSERT_STRING_EQUAL(config.key_file, "/etc/faultline/own.key");
    CU_ASSERT_STRING_EQUAL(config.spool_directory, "/etc/faultline/spool");
    CU_ASSERT_EQUAL(config.spool_bytes_max, 10000000);
    CU_ASSERT_EQUAL_FATAL(config.disk_count, 2);
    CU_ASSERT_STRING_EQUAL(config.disks[0], "vda");
    CU_ASSERT_STRING_EQUAL(config.disks[1], "sdb");
    CU_ASSERT_STRING_EQUAL(config.credentials_directory, "/run/credentials");
    CU_ASSERT_EQUAL(config.interval_ms, 10000);
    CU_ASSERT_EQUAL(config.log_level, LOG_DEBUG);
    agent_config_fini(&config);
}

static void a_collectors_key_may_stand_in_a_file(void)
{
    char path[] = "/tmp/faultline-key-XXXXXX";
    int fd = mkstemp(path);
    CU_ASSERT_FATAL(fd >= 0);
    static const char *const contents[] = {"public " KEY "\nsecret " KEY "\n", KEY "\n"};
    for (size_t i = 0; i < ARRAY_COUNT(contents); i++) {
        CU_ASSERT_EQUAL(ftruncate(fd, 0), 0);
        CU_ASSERT_EQUAL(pwrite(fd, contents[i], strlen(contents[i]), 0), (ssize_t)strlen(contents[i]));
        char text[300], report[4096] = "";
        snprintf(text, sizeof text, "collector: {address: \"tcp://127.0.0.1:1\", key_file: %s}\n", path);
        struct agent_config config;
        CU_ASSERT_EQUAL_FATAL(parse(text, &config, report, sizeof report), 0);
        CU_ASSERT_STRING_EQUAL(config.collectors[0].key, KEY);
        agent_config_fini(&config);
    }
    close(fd);
    unlink(path);
}

static void mistakes_are_told_with_their_place(void)
{
    static const struct {
        const char *text, *told;
    } rows[] = {
        {"", "the file is empty"},
        {"interval: 1s\n", "no collector"},
        {"colectors: []\n", "agent.yaml:1:1: error: unknown key 'colectors'; did you mean 'collectors'?"},
        {"collectors: [{key: \"" KEY "\"}]\n", "address"},
        {"collectors: [{address: \"tcp://a:1\"}]\n", "needs either key or key_file"},
        {"collectors: [{address: \"tcp://a:1\", key: short}]\n", "agent.yaml:1:42: error: key:"},
        {"collectors: [{address: \"a:1\", key: \"" KEY "\"}]\n", "agent.yaml:1:24: error: address:"},
        {"collectors: [{address: \"tcp://a\", key: \"" KEY "\"}]\n", "needs a port"},
        {"collectors: [{address: \"tcp://a:1\", key_file: /nowhere}]\n", "/nowhere"},
        {"collector: {address: \"tcp://a:1\", key: \"" KEY
         "\"}\ncollectors: [{address: \"tcp://a:1\", key: \"" KEY "\"}]\n",
            "exclude each other"},
        {"collector: {address: \"tcp://a:1\", key: \"" KEY "\"}\ninterval: 1500ms\n",
            "agent.yaml:2:11: error:"},
        {"collector: {address: \"tcp://a:1\", key: \"" KEY "\"}\ninterval: 3\n", "has no unit"},
        {"collector: {address: \"tcp://a:1\", key: \"" KEY "\"}\nspool: {bytes_max: 5}\n", "agent.yaml:2:"},
        {"collector: {address: \"tcp://a:1\", key: \"" KEY "\"}\nlog: {level: loud}\n", "agent.yaml:2:"},
        {"collector: [unfinished\n", "error"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct agent_config config = {0};
        char report[8192] = "";
        CU_ASSERT_EQUAL(parse(rows[i].text, &config, report, sizeof report), -1);
        if (strstr(report, rows[i].told) == NULL)
            fprintf(stderr, "\"%s\" not in:\n%s\n", rows[i].told, report);
        CU_ASSERT_PTR_NOT_NULL(strstr(report, rows[i].told));
        CU_ASSERT_PTR_NULL(config.key_file); /* untouched */
    }
}

UNIT_MAIN("agent config", {"a short file is enough", a_short_file_is_enough},
    {"every key is taken and paths count from the file", every_key_is_taken_and_paths_count_from_the_file},
    {"a collector's key may stand in a file", a_collectors_key_may_stand_in_a_file},
    {"mistakes are told with their place", mistakes_are_told_with_their_place})
