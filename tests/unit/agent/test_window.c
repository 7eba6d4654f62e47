#include <string.h>

#include "agent/uplink/plan.h"
#include "agent/uplink/resolve.h"
#include "agent/uplink/window.h"
#include "common/check.h"
#include "tests/support/unit.h"

static struct received upto(uint64_t floor)
{
    return (struct received){.floor = floor};
}

static void credit_bounds_what_is_on_its_way(void)
{
    struct window w;
    window_open(&w, 4, 0);
    for (uint64_t q = 1; q <= 4; q++) {
        CU_ASSERT(window_has_room(&w));
        window_sent(&w, q, 0);
    }
    CU_ASSERT(!window_has_room(&w));
    struct received received = upto(3);
    window_acknowledged(&w, &received, 4, 10);
    CU_ASSERT_EQUAL(w.count, 1);
    CU_ASSERT(window_is_in_flight(&w, 4));
    CU_ASSERT(!window_is_in_flight(&w, 3));
    window_acknowledged(&w, &received, 0, 10);
    CU_ASSERT(!window_has_room(&w));
    window_open(&w, 1000000, 0);
    CU_ASSERT_EQUAL(w.credit, LIMIT_CREDIT);
}

static void the_backlog_leaves_room_for_live_batches(void)
{
    struct window w;
    window_open(&w, 8, 0);
    uint64_t q = 0;
    while (window_has_room_for_backlog(&w, 0)) window_sent(&w, ++q, 0);
    CU_ASSERT_EQUAL(q, 4);
    CU_ASSERT(window_has_room(&w));
    window_open(&w, 1, 0);
    CU_ASSERT(window_has_room_for_backlog(&w, 0)); /* a credit of one is enough to go on */
    window_start_over(&w);
    CU_ASSERT(!window_has_room_for_backlog(&w, 0));
}

static void acks_that_stop_are_noticed_after_ten_seconds(void)
{
    struct window w;
    window_open(&w, 8, 0);
    CU_ASSERT(!window_is_deaf(&w, 1000000)); /* nothing sent, nothing expected */
    window_sent(&w, 1, 1000000);
    CU_ASSERT(!window_is_deaf(&w, 1000000 + WINDOW_ACK_MS - 1));
    window_sent(&w, 2, 1005000);
    CU_ASSERT(window_is_deaf(&w, 1000000 + WINDOW_ACK_MS));
    struct received received = upto(1);
    window_acknowledged(&w, &received, 8, 1009000);
    CU_ASSERT(!window_is_deaf(&w, 1009000 + WINDOW_ACK_MS - 1));
    CU_ASSERT(window_is_deaf(&w, 1009000 + WINDOW_ACK_MS));
}

static void what_an_ack_passes_over_goes_again(void)
{
    struct window w;
    window_open(&w, 16, 0);
    w.cursor = 6; /* as after backlog 1..6, or live batches that the backlog went past */
    for (uint64_t q = 3; q <= 9; q++) window_sent(&w, q, 0);
    struct received received = upto(3);
    CU_ASSERT_EQUAL(received_add(&received, 7, 7, NULL), 0);
    window_acknowledged(&w, &received, 16, 10);
    CU_ASSERT_EQUAL(w.cursor, 3); /* 4, 5 and 6 were sent before 7 and are not there: lost */
    for (uint64_t q = 4; q <= 6; q++) CU_ASSERT(!window_is_in_flight(&w, q));
    CU_ASSERT(window_is_in_flight(&w, 8) && window_is_in_flight(&w, 9)); /* may still come */
    CU_ASSERT_EQUAL(w.count, 2);

    for (uint64_t q = 4; q <= 6; q++) window_sent(&w, q, 20); /* again, behind the newer ones */
    w.cursor = 6;
    CU_ASSERT_EQUAL(received_add(&received, 8, 9, NULL), 0);
    window_acknowledged(&w, &received, 16, 30);
    CU_ASSERT_EQUAL(w.count, 3); /* their second journey has not been passed by anything */
    CU_ASSERT_EQUAL(w.cursor, 6);
}

static void waits_are_jittered_from_half_a_second_to_a_minute(void)
{
    static const struct {
        unsigned attempt;
        int64_t most_ms;
    } rows[] = {{0, 1000}, {1, 2000}, {3, 8000}, {6, 60000}, {7, 60000}, {1000000, 60000}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int64_t least = INT64_MAX, most = 0;
        for (uint64_t r = 0; r < 200000; r += 7) {
            int64_t wait_ms = window_backoff_ms(rows[i].attempt, r);
            if (wait_ms < least) least = wait_ms;
            if (wait_ms > most) most = wait_ms;
        }
        CU_ASSERT_EQUAL(least, WINDOW_RETRY_MS);
        CU_ASSERT_EQUAL(most, rows[i].most_ms);
    }
}

static struct span part_frame(
    struct buffer *out, uint32_t version, uint32_t part, uint32_t parts, uint64_t key)
{
    const struct wire_target target = {.key = key,
        .probe = PROBE_TCP,
        .url = "tcp://10.0.0.1:80",
        .connect = "",
        .expect_text = "",
        .credentials_file = "",
        .method = "GET",
        .interval_ms = 1000,
        .timeout_ms = 2000,
        .late_after_ms = 500,
        .labels = {{"target", "www"}},
        .label_count = 1};
    const struct wire_from_collector message = {.kind = WIRE_PLAN,
        .plan = {.version = version, .part = part, .parts = parts, .targets = &target, .target_count = 1}};
    struct error err = {0};
    buffer_clear(out);
    CU_ASSERT_EQUAL_FATAL(wire_encode_from_collector(&message, out, &err), 0);
    return buffer_span(out);
}

static int add(struct plan_parts *plan, struct arena *arena, uint32_t version, uint32_t part, uint32_t parts,
    struct wire_target **targets, size_t *count)
{
    struct buffer frame = {0};
    struct wire_from_collector message;
    part_frame(&frame, version, part, parts, version * 100 + part);
    CU_ASSERT_EQUAL_FATAL(wire_decode_from_collector(buffer_span(&frame), arena, &message, NULL), 0);
    int result = plan_add(plan, &message.plan, buffer_span(&frame), arena, targets, count, NULL);
    buffer_fini(&frame);
    return result;
}

static void a_plan_counts_once_all_its_parts_are_there(void)
{
    struct plan_parts plan = {0};
    struct arena arena = {0};
    struct wire_target *targets;
    size_t count;
    CU_ASSERT_EQUAL(add(&plan, &arena, 1, 0, 3, &targets, &count), 0);
    CU_ASSERT_EQUAL(add(&plan, &arena, 1, 2, 3, &targets, &count), 0);
    CU_ASSERT_EQUAL(add(&plan, &arena, 1, 2, 3, &targets, &count), 0); /* repeated */
    CU_ASSERT_EQUAL(add(&plan, &arena, 2, 1, 2, &targets, &count), 0); /* a newer one replaces it */
    CU_ASSERT_EQUAL(add(&plan, &arena, 2, 0, 2, &targets, &count), 1);
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT_EQUAL(targets[0].key, 200);
    CU_ASSERT_EQUAL(targets[1].key, 201);
    CU_ASSERT_STRING_EQUAL(targets[1].url, "tcp://10.0.0.1:80");
    CU_ASSERT_EQUAL(add(&plan, &arena, 3, 0, 1, &targets, &count), 1);
    const struct wire_plan wrong = {.version = 4, .part = 2, .parts = 2};
    CU_ASSERT_EQUAL(plan_add(&plan, &wrong, span_of("", 0), &arena, &targets, &count, NULL), -1);
    plan_fini(&plan);
    arena_fini(&arena);
}

static void addresses_are_told_apart(void)
{
    static const struct {
        const char *text;
        bool ok, numeric;
        const char *endpoint;
    } rows[] = {
        {"tcp://127.0.0.1:7440", true, true, "tcp://127.0.0.1:7440"},
        {"tcp://[::1]:7440", true, true, "tcp://[::1]:7440"},
        {"tcp://ops.example.com:7440", true, false, ""},
        {"tcp://127.0.0.1", false, false, ""},
        {"https://127.0.0.1:7440", false, false, ""},
        {"tcp://127.0.0.1:7440/x", false, false, ""},
        {"127.0.0.1:7440", false, false, ""},
        {"", false, false, ""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char endpoint[RESOLVE_ADDRESS_SIZE] = "";
        CU_ASSERT_EQUAL(resolve_check(rows[i].text, NULL) == 0, rows[i].ok);
        CU_ASSERT_EQUAL(resolve_is_numeric(rows[i].text, endpoint), rows[i].numeric);
        CU_ASSERT_STRING_EQUAL(endpoint, rows[i].endpoint);
    }
}

UNIT_MAIN("window", {"credit bounds what is on its way", credit_bounds_what_is_on_its_way},
    {"the backlog leaves room for live batches", the_backlog_leaves_room_for_live_batches},
    {"acks that stop are noticed after ten seconds", acks_that_stop_are_noticed_after_ten_seconds},
    {"what an ack passes over goes again", what_an_ack_passes_over_goes_again},
    {"waits are jittered from half a second to a minute", waits_are_jittered_from_half_a_second_to_a_minute},
    {"a plan counts once all its parts are there", a_plan_counts_once_all_its_parts_are_there},
    {"addresses are told apart", addresses_are_told_apart})
