/* The command line without a collector: files read as they were left, hooks tried against a real receiver,
 * keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/contract/incident.h"
#include "collector/core/state/state.h"
#include "collector/delivery/sign.h"
#include "common/check.h"
#include "common/file.h"
#include "common/keys.h"
#include "tests/support/program.h"
#include "tests/support/receiver.h"
#include "tests/support/scratch.h"
#include "tests/support/recorded_incident.h"
#include "tests/support/unit.h"

#define PROGRAM    FAULTLINE_BINARY_DIR "/bin/faultline"
#define TIMEOUT_MS 20000
#define NOON       1795435200000 /* 2026-11-23 12:00 UTC */

struct bench {
    char directory[SCRATCH_SIZE], config[SCRATCH_SIZE + 20];
    struct receiver *receiver;
};

static void open_bench(struct bench *bench)
{
    char path[128], text[2048];
    scratch_make(bench->directory);
    bench->receiver = receiver_start();
    int port = receiver_port(bench->receiver);
    snprintf(path, sizeof path, "%s/ops.key", bench->directory);
    CHECK(file_write_atomic(path, span_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), 0600, NULL) == 0);
    snprintf(bench->config, sizeof bench->config, "%s/faultline.yaml", bench->directory);
    snprintf(text, sizeof text,
        "collector: {listen: \"tcp://127.0.0.1:*\", data: \"%s/data\", run: \"%s\", letter: A}\n"
        "sites: {east: {}}\n"
        "hosts: {app1: {site: east, zone: a}}\n"
        "balancers: {lb-www: {addresses: dns}}\n"
        "services: {www: {url: \"https://www.example.com/\", through: [lb-www], backends: "
        "[\"http://app1:8080\"]}}\n"
        "hooks:\n"
        "  ops: {webhook: {url: \"http://127.0.0.1:%d/ok\", secret_file: ops.key, allow_private: true}}\n"
        "  gone: {webhook: {url: \"http://127.0.0.1:%d/status/410\", secret_file: ops.key, allow_private: "
        "true}}\n"
        "  closed: {webhook: {url: \"http://0x7f000001:%d/ok\", secret_file: ops.key}}\n"
        "routes: [{severity: page, to: [ops, gone, closed]}]\n",
        bench->directory, bench->directory, port, port, port);
    CHECK(file_write_atomic(bench->config, span_text(text), 0644, NULL) == 0);
}

static void close_bench(struct bench *bench)
{
    receiver_stop(bench->receiver);
    scratch_remove(bench->directory);
}

static struct program_result run(const struct bench *bench, const char *const *words)
{
    const char *argv[16] = {PROGRAM, "--config", bench->config};
    size_t count = 3;
    while (*words != NULL) argv[count++] = *words++;
    return program_run(argv, TIMEOUT_MS);
}
#define RUN(bench, ...) run(bench, (const char *const[]){__VA_ARGS__, NULL})

static void expect(const struct program_result *got, int code, const char *out, const char *err)
{
    bool fits = got->code == code && strstr(got->out, out) != NULL && strstr(got->err, err) != NULL;
    if (!fits)
        printf("exit %d, expected %d, \"%s\" and \"%s\" in\n%s--\n%s", got->code, code, out, err, got->out,
            got->err);
    CU_ASSERT(fits);
}

static void record(const struct bench *bench)
{
    char data[128];
    snprintf(data, sizeof data, "%s/data", bench->directory);
    CHECK(file_make_directory(data, 0700, NULL) == 0);
    record_incident(data, NOON, "lb:lb-www down, \033[31mcertain");
}

static void reads_the_files_and_says_so(void)
{
    struct bench bench;
    open_bench(&bench);
    record(&bench);
    static const struct {
        const char *words[4];
        const char *out;
    } rows[] = {
        {{"status"}, "the collector is down: what was open before is not watched"},
        {{"incidents"}, "A-1  open   page      lb:lb-www down  certain"},
        {{"incident", "A-1"}, "lb:lb-www down,  [31mcertain"}, /* nothing reaches the terminal as a command */
        {{"report", "A-1"}, "# Incident A-1: lb:lb-www down"},
        {{"incidents", "--json"}, "\"onset\": \"2026-11-23T12:00:00.000Z\""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct program_result got = run(&bench, rows[i].words);
        expect(&got, 0, rows[i].out, "as it was left");
        program_result_fini(&got);
    }
    struct program_result got = RUN(&bench, "incident", "A-2");
    expect(&got, 1, "", "no incident A-2");
    program_result_fini(&got);
    got = RUN(&bench, "map");
    expect(&got, 0, "lb:lb-www  unknown", "states are unknown");
    program_result_fini(&got);
    /* Who names a socket does not want the files of another collector. */
    static const char *const asked[] = {"status", "incidents", "map"};
    for (size_t i = 0; i < ARRAY_COUNT(asked); i++) {
        got = RUN(&bench, asked[i], "--socket", "/nonexistent/api.sock");
        expect(&got, 1, "", "nobody answers at /nonexistent/api.sock");
        CU_ASSERT_STRING_EQUAL(got.out, "");
        program_result_fini(&got);
    }
    got = RUN(&bench, "agents");
    expect(&got, 1, "", "the collector cannot be asked: nobody answers at ");
    program_result_fini(&got);
    close_bench(&bench);
}

static void an_api_that_restarts_is_no_collector_that_is_down(void)
{
    struct bench bench;
    char path[SCRATCH_SIZE + 20], text[128];
    open_bench(&bench);
    record(&bench);
    snprintf(path, sizeof path, "%s/processes.json", bench.directory);
    snprintf(
        text, sizeof text, "[{\"name\":\"core\",\"pid\":%d},{\"name\":\"web\",\"pid\":0}]", (int)getpid());
    CHECK(file_write_atomic(path, span_text(text), 0644, NULL) == 0);
    struct program_result got = RUN(&bench, "status");
    expect(&got, 0, "the API is restarting: users unknown for now; what is open:", "as it is now");
    program_result_fini(&got);
    got = RUN(&bench, "agents");
    expect(&got, 1, "", "the API is restarting, try again in a second");
    program_result_fini(&got);
    close_bench(&bench);
}

static void without_files_either(void)
{
    struct bench bench;
    open_bench(&bench);
    struct program_result got = RUN(&bench, "status");
    CU_ASSERT_EQUAL(got.code, 1);
    CU_ASSERT_STRING_EQUAL(got.out, "");
    CU_ASSERT_NOT_EQUAL(strlen(got.err), 0);
    program_result_fini(&got);
    close_bench(&bench);
}

static void hook_test_sends_what_it_prints(void)
{
    struct bench bench;
    open_bench(&bench);
    struct program_result got = RUN(&bench, "hook", "test", "ops", "--dry-run");
    expect(&got, 0, "webhook-signature: v1,", "");
    CU_ASSERT_PTR_NULL(strstr(got.out, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    CU_ASSERT_EQUAL(receiver_count(bench.receiver, "/ok"), 0);
    program_result_fini(&got);

    got = RUN(&bench, "hook", "test", "ops");
    expect(&got, 0, "delivered in ", "");
    static struct receiver_request seen;
    CU_ASSERT(receiver_get(bench.receiver, "/ok", 0, &seen));
    CU_ASSERT_PTR_NOT_NULL(strstr(got.out, seen.body));
    char id[128], timestamp[32], signature[128], expected[SIGN_WEBHOOK_SIZE];
    receiver_header(&seen, "webhook-id", id, sizeof id);
    receiver_header(&seen, "webhook-timestamp", timestamp, sizeof timestamp);
    receiver_header(&seen, "webhook-signature", signature, sizeof signature);
    struct secret secret;
    CU_ASSERT_EQUAL(secret_parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 38, &secret, NULL), 0);
    sign_webhook(&secret, id, strtoll(timestamp, NULL, 10), span_text(seen.body), expected);
    secret_fini(&secret);
    CU_ASSERT_STRING_EQUAL(signature, expected);
    program_result_fini(&got);

    got = RUN(&bench, "hook", "test", "gone");
    expect(&got, 1, "POST http://127.0.0.1", "not delivered: HTTP 410");
    program_result_fini(&got);
    got = RUN(&bench, "hook", "test", "closed");
    expect(&got, 1, "", "`allow_private: true` at the hook permits it");
    program_result_fini(&got);
    got = RUN(&bench, "hook", "test", "opps");
    expect(&got, 1, "", "no hook 'opps'; did you mean 'ops'?");
    program_result_fini(&got);
    got = RUN(&bench, "hook", "test", "ops", "--json");
    expect(&got, 0, "\"result\": \"delivered\"", "");
    program_result_fini(&got);
    close_bench(&bench);
}

static void keys_and_enrolment(void)
{
    struct bench bench;
    open_bench(&bench);
    struct program_result got = RUN(&bench, "keys");
    expect(&got, 1, "", "the collector makes it at its first start");
    program_result_fini(&got);
    char data[128], path[160];
    snprintf(data, sizeof data, "%s/data", bench.directory);
    CHECK(file_make_directory(data, 0700, NULL) == 0);
    snprintf(path, sizeof path, "%s/collector.key", data);
    struct key_pair pair;
    CHECK(keys_load_or_make(path, &pair, NULL) == 0);
    got = RUN(&bench, "keys");
    expect(&got, 0, pair.public_key, "");
    CU_ASSERT_PTR_NULL(strstr(got.out, pair.secret_key));
    program_result_fini(&got);

    got = RUN(&bench, "enroll", "app1", pair.public_key);
    expect(&got, 0, "app1 may speak now", "");
    program_result_fini(&got);
    struct key_book book = {0};
    snprintf(path, sizeof path, "%s/agents", data);
    CU_ASSERT_EQUAL(key_book_load(path, &book, NULL), 0);
    const char *host = key_book_host(&book, pair.public_key);
    CU_ASSERT(host != NULL && strcmp(host, "app1") == 0);
    key_book_fini(&book);
    got = RUN(&bench, "enroll", "bad name", pair.public_key);
    CU_ASSERT_EQUAL(got.code, 2);
    program_result_fini(&got);
    key_pair_fini(&pair);
    close_bench(&bench);
}

UNIT_MAIN("cli_files",
    {"with the collector down the files are read, and it says so", reads_the_files_and_says_so},
    {"an API that restarts is no collector that is down", an_api_that_restarts_is_no_collector_that_is_down},
    {"without files either it fails with a sentence", without_files_either},
    {"hook test sends exactly what it prints", hook_test_sends_what_it_prints},
    {"keys are shown and hosts enrolled", keys_and_enrolment})
