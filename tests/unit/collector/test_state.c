#include "collector/core/state/state.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/check.h"
#include "tests/support/scratch.h"
#include "tests/support/unit.h"

static char directory[SCRATCH_SIZE];
static struct error err;

static struct state *begin(void)
{
    scratch_make(directory);
    err = (struct error){0};
    struct state *state = state_open(directory, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(state);
    return state;
}

static void end(struct state *state)
{
    state_close(state);
    scratch_remove(directory);
}

static json_t *delivery(const char *id)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:{s:s}}", "id", id, "hook", "ops", "channel",
        "webhook", "incident", "A-1", "step", "opened", "number", 1, "at", "2026-11-23T13:45:00.000Z",
        "message", "step", "opened");
}

/* deliveries: ids separated by blanks. */
static json_t *step(
    const char *incident, int number, const char *word, const char *state, const char *deliveries)
{
    json_t *list = json_array();
    char copy[256];
    snprintf(copy, sizeof copy, "%s", deliveries);
    for (char *id = strtok(copy, " "); id != NULL; id = strtok(NULL, " "))
        json_array_append_new(list, delivery(id));
    return json_pack("{s:{s:s, s:s, s:s, s:s, s:s, s:n, s:n, s:i}, s:s, s:i, s:s, s:o}", "incident", "id",
        incident, "state", state, "component", "lb:lb-www", "headline", word, "onset",
        "2026-11-23T13:44:58.000Z", "notified_at", "resolved_at", "steps", number, "step", word, "number",
        number, "at", "2026-11-23T13:45:00.123Z", "deliveries", list);
}

static void put(struct state *state, json_t *object)
{
    CU_ASSERT_EQUAL(state_record_step(state, object, &err), 0);
    json_decref(object);
}

static char *dump(struct state *state, const char *id)
{
    json_t *object = state_incident(state, id, &err);
    char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(object);
    return text;
}

static size_t pending_count(struct state *state)
{
    json_t *pending = state_pending(state, &err);
    size_t count = json_array_size(pending);
    json_decref(pending);
    return count;
}

static int outcome(struct state *state, const char *id, int attempt, const char *result, char *first)
{
    json_t *object = json_pack("{s:s, s:s, s:s, s:i, s:s, s:i, s:s, s:i}", "id", id, "hook", "ops", "at",
        "2026-11-23T13:45:01.000Z", "attempt", attempt, "result", result, "status", 200, "detail", "", "ms",
        12);
    int64_t at_ms = 0;
    int rc = state_record_outcome(state, object, first, &at_ms, &err);
    if (first[0] != '\0') CU_ASSERT_EQUAL(at_ms, 1795441501000);
    json_decref(object);
    return rc;
}

static void a_step_is_read_back_with_all_that_belongs_to_it(void)
{
    struct state *state = begin();
    put(state, step("A-1", 1, "opened", "open", "d1 d2"));
    put(state, step("A-1", 2, "resolved", "resolved", "d3"));
    json_t *note = json_pack("{s:s, s:s, s:s, s:s}", "at", "2026-11-23T13:45:30.000Z", "kind", "observer",
        "component", "", "text", "ops reports again");
    CU_ASSERT_EQUAL(state_record_note(state, note, &err), 0);
    json_decref(note);
    json_t *all = state_incident(state, "A-1", &err);
    CU_ASSERT_STRING_EQUAL(
        json_string_value(json_object_get(json_object_get(all, "incident"), "state")), "resolved");
    json_t *timeline = json_object_get(all, "timeline");
    CU_ASSERT_EQUAL_FATAL(json_array_size(timeline), 3);
    json_t *first = json_array_get(timeline, 0);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(first, "kind")), "opened");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(first, "at")), "2026-11-23T13:45:00.123Z");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(all, "deliveries")), 3);
    json_decref(all);
    put(state, step("A-2", 1, "opened", "open", ""));
    static const struct {
        const char *only;
        size_t limit, count;
        const char *first;
    } cases[] = {
        {NULL, 10, 2, "A-2"}, {"open", 10, 1, "A-2"}, {"resolved", 10, 1, "A-1"}, {NULL, 1, 1, "A-2"}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        json_t *list = state_incidents(state, cases[i].only, cases[i].limit, &err);
        CU_ASSERT_EQUAL(json_array_size(list), cases[i].count);
        CU_ASSERT_STRING_EQUAL(
            json_string_value(json_object_get(json_array_get(list, 0), "id")), cases[i].first);
        json_decref(list);
    }
    CU_ASSERT_PTR_NULL(state_incident(state, "A-9", &err));
    CU_ASSERT_EQUAL(err.kind, ERROR_INPUT);
    end(state);
}

static void the_same_step_twice_changes_nothing(void)
{
    struct state *state = begin();
    put(state, step("A-1", 1, "opened", "open", "d1"));
    put(state, step("A-1", 2, "mitigated", "mitigated", "d2"));
    char first[INCIDENT_ID_SIZE];
    CU_ASSERT_EQUAL(outcome(state, "d1", 1, "delivered", first), 0);
    char *before = dump(state, "A-1");
    put(state, step("A-1", 2, "mitigated", "mitigated", "d2"));
    put(state, step("A-1", 1, "opened", "open", "d1"));
    put(state, step("A-1", 1, "amended", "open",
                   "d1")); /* replayed differently after a crash: the first one stands */
    CU_ASSERT_EQUAL(outcome(state, "d1", 1, "delivered", first), 0);
    CU_ASSERT_STRING_EQUAL(first, "");
    char *after = dump(state, "A-1");
    CU_ASSERT_STRING_EQUAL(before, after);
    free(before);
    free(after);
    end(state);
}

static void a_delivery_may_follow_its_step_later(void)
{
    struct state *state = begin();
    put(state, step("A-1", 1, "opened", "open", "d1"));
    put(state, step("A-1", 2, "mitigated", "mitigated", ""));
    put(state, step("A-1", 1, "opened", "open", "d1 late"));
    CU_ASSERT_EQUAL(pending_count(state), 2);
    json_t *all = state_incident(state, "A-1", &err);
    CU_ASSERT_STRING_EQUAL(
        json_string_value(json_object_get(json_object_get(all, "incident"), "state")), "mitigated");
    json_decref(all);
    end(state);
}

static void deliveries_are_pending_until_their_final_outcome_across_restarts(void)
{
    struct state *state = begin();
    put(state, step("A-1", 1, "opened", "open", "d1 d2 d3"));
    char first[INCIDENT_ID_SIZE];
    CU_ASSERT_EQUAL(outcome(state, "d1", 1, "retry", first), 0);
    CU_ASSERT_STRING_EQUAL(first, "");
    CU_ASSERT_EQUAL(pending_count(state), 3);
    CU_ASSERT_EQUAL(outcome(state, "d2", 1, "permanent", first), 0);
    CU_ASSERT_STRING_EQUAL(first, "");
    state_close(state);
    state = state_open(directory, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(state);
    json_t *pending = state_pending(state, &err);
    CU_ASSERT_EQUAL_FATAL(json_array_size(pending), 2);
    json_t *d1 = json_array_get(pending, 0);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(d1, "id")), "d1");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(d1, "attempts")), 1);
    CU_ASSERT_STRING_EQUAL(
        json_string_value(json_object_get(json_object_get(d1, "message"), "step")), "opened");
    json_decref(pending);
    CU_ASSERT_EQUAL(outcome(state, "d1", 2, "delivered", first), 0);
    CU_ASSERT_STRING_EQUAL(first, "A-1");
    CU_ASSERT_EQUAL(outcome(state, "d3", 1, "delivered", first), 0);
    CU_ASSERT_STRING_EQUAL(first, ""); /* the incident was told before */
    CU_ASSERT_EQUAL(pending_count(state), 0);
    json_t *list = state_incidents(state, NULL, 1, &err);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json_array_get(list, 0), "notified_at")),
        "2026-11-23T13:45:01.000Z");
    json_decref(list);
    end(state);
}

static void an_outcome_may_arrive_before_its_step(void)
{
    struct state *state = begin();
    char first[INCIDENT_ID_SIZE];
    int64_t at_ms = 0;
    CU_ASSERT_EQUAL(outcome(state, "d1", 1, "delivered", first), 0);
    CU_ASSERT_STRING_EQUAL(first, "");
    put(state, step("A-1", 1, "opened", "open", "d1"));
    CU_ASSERT_EQUAL(pending_count(state), 0);
    CU_ASSERT_EQUAL(state_take_notified(state, "A-1", &at_ms, &err), 1);
    CU_ASSERT_EQUAL(at_ms, 1795441501000);
    CU_ASSERT_EQUAL(state_take_notified(state, "A-1", &at_ms, &err), 0);
    end(state);
}

static void snapshot_and_step_are_one(void)
{
    struct state *state = begin();
    struct buffer out = {0};
    CU_ASSERT_EQUAL(state_get_snapshot(state, &out, &err), 0);
    CU_ASSERT_EQUAL(out.size, 0);
    CU_ASSERT_EQUAL(state_put_snapshot(state, span_of("old\0bytes", 9), 1, &err), 0);
    json_t *good = step("A-1", 1, "opened", "open", "d1"), *bad = step("A-2", 1, "opened", "open", "d2");
    json_object_set_new(bad, "deliveries", json_pack("[{s:s}]", "id", "no hook"));
    CU_ASSERT_EQUAL(state_record_step_and_snapshot(state, bad, span_text("lost"), &err), -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_INPUT);
    CU_ASSERT_EQUAL(state_get_snapshot(state, &out, &err), 0);
    CU_ASSERT_TRUE(span_equal(buffer_span(&out), span_of("old\0bytes", 9)));
    CU_ASSERT_PTR_NULL(state_incident(state, "A-2", &err));
    CU_ASSERT_EQUAL(state_record_step_and_snapshot(state, good, span_text("new"), &err), 0);
    buffer_clear(&out);
    CU_ASSERT_EQUAL(state_get_snapshot(state, &out, &err), 0);
    CU_ASSERT_TRUE(span_equal(buffer_span(&out), span_text("new")));
    json_decref(good);
    json_decref(bad);
    buffer_fini(&out);
    end(state);
}

/* Records steps for ever and writes the number of each that is committed to fd. */
static void write_steps(int fd)
{
    struct state *state = state_open(directory, NULL);
    uint64_t last = 0;
    if (state == NULL || state_last_number(state, &last, NULL) != 0) _exit(2);
    for (int64_t n = (int64_t)last;; n++) {
        char incident[32], ids[64], snapshot[32];
        /* The one that may have been committed unheard comes again. */
        snprintf(incident, sizeof incident, "A-%lld", (long long)(n > 0 ? n : 1));
        snprintf(ids, sizeof ids, "%s-a %s-b", incident, incident);
        snprintf(snapshot, sizeof snapshot, "%s", incident);
        json_t *object = step(incident, 1, "opened", "open", ids);
        if (state_record_step_and_snapshot(state, object, span_text(snapshot), NULL) != 0) _exit(3);
        json_decref(object);
        int64_t committed = n > 0 ? n : 1;
        if (write(fd, &committed, sizeof committed) != sizeof committed) _exit(4);
    }
}

static void killed_at_any_moment_it_keeps_what_it_confirmed_and_doubles_nothing(void)
{
    end(begin());
    scratch_make(directory);
    int64_t confirmed = 0;
    for (int round = 0; round < 10; round++) {
        int ends[2];
        CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0) write_steps(ends[1]);
        close(ends[1]);
        int64_t number;
        for (int heard = 0; heard < 3 + 7 * round && read(ends[0], &number, sizeof number) == sizeof number;
             heard++)
            confirmed = number;
        kill(child, SIGKILL);
        int status;
        waitpid(child, &status, 0);
        CU_ASSERT_TRUE(WIFSIGNALED(status));
        while (read(ends[0], &number, sizeof number) == sizeof number) confirmed = number;
        close(ends[0]);
    }
    struct state *state = state_open(directory, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(state);
    uint64_t last = 0;
    CU_ASSERT_EQUAL(state_last_number(state, &last, &err), 0);
    CU_ASSERT_TRUE((int64_t)last == confirmed || (int64_t)last == confirmed + 1);
    json_t *list = state_incidents(state, NULL, 10000, &err);
    CU_ASSERT_EQUAL(json_array_size(list), last);
    CU_ASSERT_EQUAL(pending_count(state), 2 * last);
    struct buffer snapshot = {0};
    char expected[32];
    snprintf(expected, sizeof expected, "A-%llu", (unsigned long long)last);
    CU_ASSERT_EQUAL(state_get_snapshot(state, &snapshot, &err), 0);
    CU_ASSERT_STRING_EQUAL(buffer_text(&snapshot), expected);
    buffer_fini(&snapshot);
    json_decref(list);
    end(state);
}

static void execute(const char *sql)
{
    char path[SCRATCH_SIZE + 16];
    snprintf(path, sizeof path, "%s/state.db", directory);
    sqlite3 *db;
    CU_ASSERT_EQUAL(sqlite3_open(path, &db), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static size_t read_file(void *bytes, size_t size)
{
    char path[SCRATCH_SIZE + 16];
    snprintf(path, sizeof path, "%s/state.db", directory);
    FILE *file = fopen(path, "r");
    size_t got = fread(bytes, 1, size, file);
    fclose(file);
    return got;
}

static void a_newer_schema_is_refused_and_not_touched(void)
{
    struct state *state = begin();
    put(state, step("A-1", 1, "opened", "open", "d1"));
    state_close(state);
    execute("PRAGMA user_version=2");
    static char before[1 << 20], after[1 << 20];
    size_t size = read_file(before, sizeof before);
    CU_ASSERT_PTR_NULL(state_open(directory, &err));
    CU_ASSERT_EQUAL(err.kind, ERROR_UNSUPPORTED);
    CU_ASSERT_PTR_NULL(state_open_reader(directory, &err));
    CU_ASSERT_EQUAL(err.kind, ERROR_UNSUPPORTED);
    CU_ASSERT_EQUAL(read_file(after, sizeof after), size);
    CU_ASSERT_EQUAL(memcmp(before, after, size), 0);
    end(NULL);
}

static void a_corrupt_file_is_moved_aside_and_a_new_one_begun(void)
{
    struct state *state = begin();
    for (int i = 1; i <= 40; i++) {
        char id[16];
        snprintf(id, sizeof id, "A-%d", i);
        put(state, step(id, 1, "opened", "open", id));
    }
    state_close(state);
    char path[SCRATCH_SIZE + 32];
    snprintf(path, sizeof path, "%s/state.db", directory);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    static char garbage[3 * 4096];
    memset(garbage, 0x5a, sizeof garbage);
    CU_ASSERT_EQUAL(pwrite(fd, garbage, sizeof garbage, 4096), sizeof garbage);
    close(fd);
    state = state_open(directory, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(state);
    CU_ASSERT_PTR_NOT_NULL(strstr(state_replaced(state), "moved to"));
    uint64_t last = 9;
    CU_ASSERT_EQUAL(state_last_number(state, &last, &err), 0);
    CU_ASSERT_EQUAL(last, 0);
    put(state, step("A-1", 1, "opened", "open", "d1"));
    snprintf(path, sizeof path, "%s/state.db.corrupt-1", directory);
    CU_ASSERT_EQUAL(access(path, F_OK), 0);
    end(state);
}

static void there_is_one_writer(void)
{
    struct state *state = begin();
    CU_ASSERT_PTR_NULL(state_open(directory, &err));
    CU_ASSERT_EQUAL(err.kind, ERROR_AGAIN);
    end(state);
}

static void a_reader_reads_beside_the_writer_and_after_it_and_never_writes(void)
{
    scratch_make(directory);
    CU_ASSERT_PTR_NULL(state_open_reader(directory, &err));
    CU_ASSERT_EQUAL(err.kind, ERROR_IO);
    struct state *state = state_open(directory, &err);
    put(state, step("A-1", 1, "opened", "open", "d1"));
    struct state *reader = state_open_reader(directory, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reader);
    put(state, step("A-2", 1, "opened", "open", "d2"));
    json_t *list = state_incidents(reader, NULL, 10, &err);
    CU_ASSERT_EQUAL(json_array_size(list), 2);
    json_decref(list);
    json_t *third = step("A-3", 1, "opened", "open", "d3");
    CU_ASSERT_EQUAL(state_record_step(reader, third, &err), -1);
    json_decref(third);
    state_close(state);
    list = state_incidents(reader, NULL, 10, &err);
    CU_ASSERT_EQUAL(json_array_size(list), 2);
    json_decref(list);
    state_close(reader);
    reader = state_open_reader(directory, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reader);
    CU_ASSERT_EQUAL(pending_count(reader), 2);
    end(reader);
}

static void hostile_text_stays_text(void)
{
    struct state *state = begin();
    static const char hostile[] = "'; DROP TABLE steps; --\"<script>\n{{x}}$(id)";
    json_t *object = step("A-1", 1, "opened", "open", "d1");
    json_object_set_new(json_object_get(object, "incident"), "headline", json_string(hostile));
    json_object_set_new(json_object_get(object, "incident"), "component", json_string(hostile));
    put(state, object);
    json_t *all = state_incident(state, "A-1", &err);
    CU_ASSERT_STRING_EQUAL(
        json_string_value(json_object_get(json_array_get(json_object_get(all, "timeline"), 0), "text")),
        hostile);
    json_decref(all);
    CU_ASSERT_PTR_NULL(state_incident(state, hostile, &err));
    end(state);
}

static void incomplete_input_is_refused_with_its_key(void)
{
    struct state *state = begin();
    char first[INCIDENT_ID_SIZE];
    int64_t at_ms;
    json_t *whole = step("A-1", 1, "opened", "open", "d1");
    static const char *const keys[] = {"incident", "step", "number", "at"};
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        json_t *part = json_copy(whole);
        json_object_del(part, keys[i]);
        CU_ASSERT_EQUAL(state_record_step(state, part, &err), -1);
        CU_ASSERT_EQUAL(err.kind, ERROR_INPUT);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, keys[i]));
        json_decref(part);
    }
    json_t *empty = json_object();
    CU_ASSERT_EQUAL(state_record_outcome(state, empty, first, &at_ms, &err), -1);
    CU_ASSERT_EQUAL(state_record_note(state, empty, &err), -1);
    json_decref(empty);
    json_decref(whole);
    CU_ASSERT_EQUAL(pending_count(state), 0);
    end(state);
}

UNIT_MAIN("state",
    {"a step is read back with all that belongs to it", a_step_is_read_back_with_all_that_belongs_to_it},
    {"the same step twice changes nothing", the_same_step_twice_changes_nothing},
    {"a delivery may follow its step later", a_delivery_may_follow_its_step_later},
    {"deliveries are pending until their final outcome, across restarts",
        deliveries_are_pending_until_their_final_outcome_across_restarts},
    {"an outcome may arrive before its step", an_outcome_may_arrive_before_its_step},
    {"snapshot and step are one", snapshot_and_step_are_one},
    {"killed at any moment it keeps what it confirmed and doubles nothing",
        killed_at_any_moment_it_keeps_what_it_confirmed_and_doubles_nothing},
    {"a newer schema is refused and not touched", a_newer_schema_is_refused_and_not_touched},
    {"a corrupt file is moved aside and a new one begun", a_corrupt_file_is_moved_aside_and_a_new_one_begun},
    {"there is one writer", there_is_one_writer},
    {"a reader reads beside the writer and after it and never writes",
        a_reader_reads_beside_the_writer_and_after_it_and_never_writes},
    {"hostile text stays text", hostile_text_stays_text},
    {"incomplete input is refused with its key", incomplete_input_is_refused_with_its_key})
