#include "collector/delivery/address.h"
#include "collector/delivery/channel.h"
#include "collector/delivery/delivery.h"
#include "collector/delivery/sign.h"
#include "tests/support/unit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/check.h"

static void signature_vectors(void)
{
    /* The first from the Standard-Webhooks libraries' own tests; the second computed with Python's hmac. */
    static const struct {
        const char *secret, *id;
        int64_t timestamp_s;
        const char *body, *signature;
    } rows[] = {
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
            "{\"test\": 2432232314}", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
        {"plain text\n", "a", 1, "", "v1,7vxu7VXrPbcStDQBTi3lO40YzTsux7SqnyHQ5MtIicg="},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct secret secret;
        struct error err;
        char out[SIGN_WEBHOOK_SIZE];
        CU_ASSERT_EQUAL_FATAL(secret_parse(rows[i].secret, strlen(rows[i].secret), &secret, &err), 0);
        sign_webhook(&secret, rows[i].id, rows[i].timestamp_s, span_text(rows[i].body), out);
        CU_ASSERT_STRING_EQUAL(out, rows[i].signature);
        secret_fini(&secret);
    }
}

static void bad_secrets(void)
{
    static const char *const rows[] = {"", "\n", "whsec_", "whsec_abc", "whsec_****", "whsec_===="};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct secret secret = {0};
        struct error err = {0};
        CU_ASSERT_EQUAL(secret_parse(rows[i], strlen(rows[i]), &secret, &err), -1);
        CU_ASSERT_EQUAL(err.kind, ERROR_INPUT);
        CU_ASSERT_PTR_NULL(secret.bytes);
    }
    struct error err = {0};
    struct secret secret;
    secret_parse("whsec_canary!", 13, &secret, &err);
    CU_ASSERT_PTR_NULL(strstr(err.text, "canary"));
}

static void secret_file_that_others_may_read(void)
{
    char path[] = "/tmp/faultline-secret-XXXXXX";
    int fd = mkstemp(path);
    CU_ASSERT_EQUAL(write(fd, "hush", 4), 4);
    fchmod(fd, 0644);
    close(fd);
    struct secret secret;
    struct error err = {0};
    CU_ASSERT_EQUAL(secret_load(path, &secret, &err), -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_DENIED);
    chmod(path, 0600);
    CU_ASSERT_EQUAL(secret_load(path, &secret, &err), 0);
    CU_ASSERT_EQUAL(secret.size, 4);
    secret_fini(&secret);
    unlink(path);
}

static void address_ranges(void)
{
    static const struct {
        const char *text;
        enum address_class class;
    } rows[] = {
        {"8.8.8.8", ADDRESS_PUBLIC},
        {"1.1.1.1", ADDRESS_PUBLIC},
        {"172.15.255.255", ADDRESS_PUBLIC},
        {"172.32.0.0", ADDRESS_PUBLIC},
        {"100.63.255.255", ADDRESS_PUBLIC},
        {"100.128.0.0", ADDRESS_PUBLIC},
        {"0.0.0.0", ADDRESS_PRIVATE},
        {"10.1.2.3", ADDRESS_PRIVATE},
        {"100.100.100.200", ADDRESS_PRIVATE},
        {"127.0.0.1", ADDRESS_PRIVATE},
        {"127.255.255.254", ADDRESS_PRIVATE},
        {"169.254.169.254", ADDRESS_PRIVATE},
        {"172.16.0.1", ADDRESS_PRIVATE},
        {"172.31.255.255", ADDRESS_PRIVATE},
        {"192.168.0.1", ADDRESS_PRIVATE},
        {"224.0.0.1", ADDRESS_NEVER},
        {"255.255.255.255", ADDRESS_NEVER},
        {"::1", ADDRESS_PRIVATE},
        {"::", ADDRESS_PRIVATE},
        {"::ffff:169.254.169.254", ADDRESS_PRIVATE},
        {"::ffff:8.8.8.8", ADDRESS_PUBLIC},
        {"::127.0.0.1", ADDRESS_PRIVATE},
        {"64:ff9b::a9fe:a9fe", ADDRESS_PRIVATE},
        {"64:ff9b::808:808", ADDRESS_PUBLIC},
        {"2002:7f00:1::", ADDRESS_PRIVATE},
        {"fe80::1", ADDRESS_PRIVATE},
        {"febf::1", ADDRESS_PRIVATE},
        {"fd00:ec2::254", ADDRESS_PRIVATE},
        {"fc00::1", ADDRESS_PRIVATE},
        {"ff02::1", ADDRESS_NEVER},
        {"2001:db8::1", ADDRESS_PRIVATE},
        {"2606:4700::1111", ADDRESS_PUBLIC},
        {"4000::1", ADDRESS_NEVER},
        {"100::1", ADDRESS_NEVER},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct sockaddr_storage storage = {0};
        struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&storage;
        if (inet_pton(AF_INET, rows[i].text, &v4->sin_addr) == 1)
            storage.ss_family = AF_INET;
        else if (inet_pton(AF_INET6, rows[i].text, &v6->sin6_addr) == 1)
            storage.ss_family = AF_INET6;
        enum address_class class = address_classify((struct sockaddr *)&storage);
        if (class != rows[i].class) printf("%s: class %d\n", rows[i].text, class);
        CU_ASSERT_EQUAL(class, rows[i].class);
    }
    struct sockaddr local = {.sa_family = AF_UNIX};
    CU_ASSERT_FALSE(address_allowed(&local, true));
}

/* ── What holds for every channel ── */

static json_t *message(void)
{
    return json_pack("{s:{s:s, s:s, s:f}, s:s}", "incident", "id", "A-7", "headline", "lb:lb-www down",
        "magnitude", 0.9, "step", "opened");
}

static void every_channel_keeps_the_contract(void)
{
    for (int kind = 0; kind < HOOK_KIND_COUNT; kind++) {
        const struct channel *channel = channel_of((enum hook_kind)kind);
        if (channel == NULL) continue;
        CU_ASSERT(channel->name[0] != '\0');
        char url[] = "https://hooks.example.com/a", empty[] = "", name[] = "ops";
        struct config_hook hook = {.name = name,
            .kind = (enum hook_kind)kind,
            .url = url,
            .secret_file = empty,
            .credentials_file = empty};
        json_t *told = message();
        struct channel_message once = {.id = "d-1",
            .step = "opened",
            .incident = "A-7",
            .at_ms = 1795400000123,
            .message = told,
            .letter = 'A'};
        struct secret secret = {0};
        struct channel_request first = {0}, second = {0};
        struct error err = {0};
        CU_ASSERT_EQUAL(channel->render(&hook, &secret, &once, 1000, &first, &err), 0);
        CU_ASSERT_EQUAL(channel->render(&hook, &secret, &once, 999000, &second, &err), 0);
        CU_ASSERT(span_equal(buffer_span(&first.body), buffer_span(&second.body)));
        CU_ASSERT_STRING_EQUAL(first.url, url);
        channel_request_fini(&first);
        channel_request_fini(&second);
        json_t *none = json_object();
        once.message = none;
        CU_ASSERT_EQUAL(channel->render(&hook, &secret, &once, 1000, &first, &err), -1);
        channel_request_fini(&first);
        json_decref(none);
        json_decref(told);
        struct channel_response answers[] = {{.status = 200}, {.status = 503}, {.status = 429},
            {.failure = CHANNEL_FAILURE_TIMEOUT}, {.failure = CHANNEL_FAILURE_NETWORK},
            {.failure = CHANNEL_FAILURE_ADDRESS}, {.status = 400}};
        static const enum channel_verdict verdicts[] = {CHANNEL_DELIVERED, CHANNEL_RETRY, CHANNEL_RETRY,
            CHANNEL_RETRY, CHANNEL_RETRY, CHANNEL_PERMANENT, CHANNEL_PERMANENT};
        for (size_t i = 0; i < ARRAY_COUNT(answers); i++)
            CU_ASSERT_EQUAL(channel->classify(&answers[i]), verdicts[i]);
    }
}

static void webhook_is_a_cloud_event(void)
{
    char url[] = "https://hooks.example.com/a", empty[] = "", name[] = "ops";
    struct config_hook hook = {.name = name, .url = url, .secret_file = empty, .credentials_file = empty};
    json_t *told = message();
    struct channel_message once = {.id = "d-1",
        .step = "opened",
        .incident = "A-7",
        .at_ms = 1795400000123,
        .message = told,
        .letter = 'A'};
    struct channel_request request = {0};
    struct error err = {0};
    CU_ASSERT_EQUAL_FATAL(delivery_render(&hook, &once, 1795400001000, &request, &err), 0);
    CU_ASSERT_STRING_EQUAL(buffer_text(&request.body),
        "{\"specversion\":\"1.0\",\"id\":\"d-1\",\"source\":\"/faultline/"
        "A\",\"type\":\"dev.faultline.incident.opened\","
        "\"subject\":\"A-7\",\"time\":\"2026-11-23T02:13:20.123Z\",\"datacontenttype\":\"application/json\","
        "\"data\":{\"id\":\"A-7\",\"headline\":\"lb:lb-www down\",\"magnitude\":0.9,\"step\":\"opened\"}}");
    CU_ASSERT_STRING_EQUAL(request.headers[0], "content-type: application/cloudevents+json");
    CU_ASSERT_STRING_EQUAL(request.headers[1], "webhook-id: d-1");
    CU_ASSERT_STRING_EQUAL(request.headers[2], "webhook-timestamp: 1795400001");
    CU_ASSERT_EQUAL(request.header_count, 3); /* no secret, no signature */
    CU_ASSERT_PTR_NULL(
        json_object_get(json_object_get(told, "incident"), "step")); /* the message is untouched */
    channel_request_fini(&request);
    json_decref(told);
}

static void header_values_stay_on_their_line(void)
{
    struct channel_request request = {0};
    channel_request_header(&request, "webhook-id", "a\r\nx-evil: 1");
    CU_ASSERT_STRING_EQUAL(request.headers[0], "webhook-id: a  x-evil: 1");
    channel_request_fini(&request);
}

static void a_kind_without_channel_says_so(void)
{
    char empty[] = "", name[] = "public";
    struct config_hook hook = {.name = name, .kind = HOOK_X, .url = empty, .secret_file = empty};
    struct channel_request request = {0};
    struct error err = {0};
    if (channel_of(HOOK_X) != NULL) return;
    CU_ASSERT_EQUAL(delivery_render(&hook, NULL, 0, &request, &err), -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_UNSUPPORTED);
}

UNIT_MAIN("delivery_channel", {"signatures match the Standard-Webhooks vectors", signature_vectors},
    {"refuses broken secrets without quoting them", bad_secrets},
    {"refuses a secret that others may read", secret_file_that_others_may_read},
    {"classifies addresses, embedded IPv4 too", address_ranges},
    {"every channel keeps the contract", every_channel_keeps_the_contract},
    {"a webhook is a CloudEvent with the incident as data", webhook_is_a_cloud_event},
    {"header values stay on their line", header_values_stay_on_their_line},
    {"a kind without a channel says so", a_kind_without_channel_says_so})
