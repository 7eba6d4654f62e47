#include "collector/delivery/queue.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>

#define WALL INT64_C(1795400000000)

/* A delivery of step `number` of `incident` to `hook`; recorded. */
static json_t *delivery(const char *id, const char *hook, const char *incident, int number, bool recorded)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:b, s:{s:{s:s}}}", "id", id, "hook", hook, "incident",
        incident, "step", number == 1 ? "opened" : "resolved", "number", number, "at",
        "2026-11-23T02:13:20.000Z", "recorded", recorded, "message", "incident", "id", incident);
}

static enum queue_added add(
    struct queue *queue, const char *id, const char *hook, const char *incident, int number, int64_t now_ms)
{
    const char *outcome;
    json_t *object = delivery(id, hook, incident, number, true);
    enum queue_added added = queue_add(queue, object, WALL, now_ms, &outcome, NULL);
    json_decref(object);
    return added;
}

static void keeps_order(void)
{
    struct queue *queue = queue_new(1);
    CU_ASSERT_EQUAL(add(queue, "b", "ops", "A-1", 2, 0), QUEUE_NEW);
    CU_ASSERT_EQUAL(add(queue, "a", "ops", "A-1", 1, 0), QUEUE_NEW);
    CU_ASSERT_EQUAL(add(queue, "c", "ops", "A-2", 1, 0), QUEUE_NEW);
    struct queue_job *first = queue_next(queue, 0);
    CU_ASSERT_STRING_EQUAL(first->id, "a");
    CU_ASSERT_EQUAL(queue_ended(queue, first, CHANNEL_RETRY, 0, 0), CHANNEL_RETRY);
    /* "resolved" waits behind "opened" for as long as that is tried again; the other incident does not. */
    struct queue_job *other = queue_next(queue, 100);
    CU_ASSERT_STRING_EQUAL(other->id, "c");
    queue_ended(queue, other, CHANNEL_DELIVERED, 0, 100);
    queue_finish(queue, other, "{}");
    struct queue_job *again = queue_next(queue, 2000);
    CU_ASSERT_STRING_EQUAL(again->id, "a");
    CU_ASSERT_EQUAL(again->attempt, 2);
    CU_ASSERT_PTR_NULL(queue_next(queue, 2000));
    queue_ended(queue, again, CHANNEL_DELIVERED, 0, 2000);
    queue_finish(queue, again, "{}");
    CU_ASSERT_STRING_EQUAL(queue_next(queue, 2000)->id, "b");
    queue_free(queue);
}

static void same_id_once(void)
{
    struct queue *queue = queue_new(1);
    const char *outcome = NULL;
    add(queue, "a", "ops", "A-1", 1, 0);
    CU_ASSERT_EQUAL(add(queue, "a", "ops", "A-1", 1, 0), QUEUE_KNOWN);
    struct queue_job *job = queue_next(queue, 0);
    CU_ASSERT_EQUAL(add(queue, "a", "ops", "A-1", 1, 0), QUEUE_KNOWN);
    queue_ended(queue, job, CHANNEL_DELIVERED, 0, 5);
    queue_finish(queue, job, "{\"result\":\"delivered\"}");
    json_t *object = delivery("a", "ops", "A-1", 1, true);
    CU_ASSERT_EQUAL(queue_add(queue, object, WALL, 9, &outcome, NULL), QUEUE_FINISHED);
    CU_ASSERT_STRING_EQUAL(outcome, "{\"result\":\"delivered\"}");
    json_decref(object);
    CU_ASSERT_PTR_NULL(queue_next(queue, 1000000));
    queue_free(queue);
}

static void waits_for_the_record(void)
{
    struct queue *queue = queue_new(1);
    const char *outcome;
    json_t *object = delivery("a", "ops", "A-1", 1, false);
    queue_add(queue, object, WALL, 1000, &outcome, NULL);
    json_decref(object);
    CU_ASSERT_PTR_NULL(queue_next(queue, 1099));
    CU_ASSERT_EQUAL(queue_due_ms(queue, 1000), 1100);
    queue_recorded(queue, "a", 1020);
    CU_ASSERT_PTR_NOT_NULL(queue_next(queue, 1020));

    object = delivery("b", "ops", "A-2", 1, false);
    queue_add(queue, object, WALL, 2000, &outcome, NULL);
    json_decref(object);
    CU_ASSERT_PTR_NOT_NULL(queue_next(queue, 2100)); /* nobody said recorded: told all the same */

    queue_recorded(queue, "c", 3000); /* the record was quicker than the delivery */
    object = delivery("c", "other", "A-3", 1, false);
    queue_add(queue, object, WALL, 3001, &outcome, NULL);
    json_decref(object);
    CU_ASSERT_PTR_NOT_NULL(queue_next(queue, 3001));
    queue_free(queue);
}

static void hanging_hook_holds_up_no_other(void)
{
    struct queue *queue = queue_new(1);
    char id[32], incident[32];
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof id, "h%d", i);
        snprintf(incident, sizeof incident, "A-%d", i);
        add(queue, id, "hanging", incident, 1, 0);
    }
    CU_ASSERT_STRING_EQUAL(queue_next(queue, 0)->hook, "hanging");
    CU_ASSERT_STRING_EQUAL(queue_next(queue, 0)->hook, "hanging");
    CU_ASSERT_PTR_NULL(queue_next(queue, 0)); /* two of eight slots at most */
    add(queue, "good", "ops", "A-1", 1, 0);
    CU_ASSERT_STRING_EQUAL(queue_next(queue, 0)->id, "good");
    queue_free(queue);
}

static void troubled_hooks_leave_room(void)
{
    struct queue *queue = queue_new(7);
    char hook[32], id[32];
    for (int i = 0; i < 12; i++) {
        snprintf(hook, sizeof hook, "bad%d", i);
        snprintf(id, sizeof id, "i%d", i);
        add(queue, id, hook, "A-1", 1, 0);
    }
    for (int i = 0; i < 12; i++) queue_ended(queue, queue_next(queue, 0), CHANNEL_RETRY, 0, 0);
    int started = 0;
    while (queue_next(queue, 10000) != NULL) started++;
    CU_ASSERT_EQUAL(started, QUEUE_IN_FLIGHT_TROUBLED_MAX);
    add(queue, "good1", "ops", "A-1", 1, 10000);
    add(queue, "good2", "ops", "A-2", 1, 10000);
    add(queue, "good3", "ops2", "A-2", 1, 10000);
    CU_ASSERT_PTR_NOT_NULL(queue_next(queue, 10000));
    CU_ASSERT_PTR_NOT_NULL(queue_next(queue, 10000));
    CU_ASSERT_PTR_NULL(queue_next(queue, 10000)); /* eight in all */
    CU_ASSERT_EQUAL(queue_in_flight(queue), QUEUE_IN_FLIGHT_MAX);
    queue_free(queue);
}

static void retry_after_holds_for_the_hook(void)
{
    struct queue *queue = queue_new(3);
    add(queue, "a", "ops", "A-1", 1, 0);
    struct queue_job *job = queue_next(queue, 0);
    queue_ended(queue, job, CHANNEL_RETRY, 60000, 0);
    add(queue, "b", "ops", "A-2", 1, 10);
    CU_ASSERT_PTR_NULL(queue_next(queue, 59999));
    CU_ASSERT_EQUAL(queue_due_ms(queue, 10), 60000);
    CU_ASSERT_PTR_NOT_NULL(queue_next(queue, 60000));
    queue_free(queue);
}

static void gives_up_after_a_day(void)
{
    struct queue *queue = queue_new(3);
    add(queue, "a", "ops", "A-1", 1, 0);
    int64_t now_ms = 0;
    unsigned attempts = 0;
    for (;;) {
        now_ms = queue_due_ms(queue, now_ms);
        struct queue_job *job = queue_next(queue, now_ms);
        attempts++;
        if (queue_ended(queue, job, CHANNEL_RETRY, 0, now_ms) == CHANNEL_RETRY) continue;
        queue_finish(queue, job, "{}");
        break;
    }
    CU_ASSERT(now_ms <= QUEUE_BUDGET_MS && now_ms > QUEUE_BUDGET_MS - QUEUE_BACKOFF_MAX_MS);
    CU_ASSERT(attempts > 300 && attempts < 1500);
    CU_ASSERT_EQUAL(queue_waiting(queue), 0);
    queue_free(queue);
}

static void backoff_is_bounded(void)
{
    for (unsigned attempt = 1; attempt < 70; attempt++) {
        int64_t ceiling_ms = attempt < 10 ? INT64_C(1000) << (attempt - 1) : QUEUE_BACKOFF_MAX_MS;
        if (ceiling_ms > QUEUE_BACKOFF_MAX_MS) ceiling_ms = QUEUE_BACKOFF_MAX_MS;
        CU_ASSERT_EQUAL(queue_backoff_ms(attempt, 0), 200);
        CU_ASSERT_EQUAL(queue_backoff_ms(attempt, (uint64_t)ceiling_ms), ceiling_ms);
        CU_ASSERT(queue_backoff_ms(attempt, UINT64_MAX) <= ceiling_ms);
    }
}

static void refuses_when_full(void)
{
    struct queue *queue = queue_new(3);
    char id[32];
    for (int i = 0; i < QUEUE_JOBS_MAX; i++) {
        snprintf(id, sizeof id, "%d", i);
        CU_ASSERT_EQUAL_FATAL(add(queue, id, "ops", "A-1", i, 0), QUEUE_NEW);
    }
    CU_ASSERT_EQUAL(add(queue, "more", "ops", "A-1", 1, 0), QUEUE_FULL);
    CU_ASSERT_EQUAL(queue_waiting(queue), QUEUE_JOBS_MAX);
    queue_free(queue);
}

static void refuses_what_is_no_delivery(void)
{
    static const char bad_time[] = "{\"id\":\"a\",\"hook\":\"h\",\"incident\":\"A-1\",\"step\":\"opened\","
                                   "\"number\":1,\"at\":\"noon\",\"message\":{}}";
    static const char *const texts[] = {"{}", "{\"id\":1}", "[]", bad_time};
    struct queue *queue = queue_new(1);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *object = json_loads(texts[i], 0, NULL);
        const char *outcome;
        struct error err = {0};
        CU_ASSERT_EQUAL(queue_add(queue, object, WALL, 0, &outcome, &err), QUEUE_MALFORMED);
        CU_ASSERT_EQUAL(err.kind, ERROR_INPUT);
        json_decref(object);
    }
    queue_free(queue);
}

UNIT_MAIN("delivery_queue", {"steps of an incident go out in order, incidents independently", keeps_order},
    {"the same id is delivered once and its outcome told again", same_id_once},
    {"waits for the record, but no longer than 100 ms", waits_for_the_record},
    {"a hanging hook holds up no other", hanging_hook_holds_up_no_other},
    {"hooks in trouble leave room for those that work", troubled_hooks_leave_room},
    {"Retry-After holds for the whole hook", retry_after_holds_for_the_hook},
    {"gives up after a day of trying", gives_up_after_a_day},
    {"the backoff stays within its bounds", backoff_is_bounded}, {"refuses when full", refuses_when_full},
    {"refuses what is no delivery", refuses_what_is_no_delivery})
