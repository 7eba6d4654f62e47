#include "collector/core/judge/engine_role.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

#include "collector/contract/roles.h"
#include "collector/core/judge/judge.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/timetext.h"

#define MESSAGES_PER_TURN 512 /* of engine.data between two ticks */
#define TICK_MIN_MS       10  /* a burst of frames is judged together: at most 100 rounds a second */
#define BOOK_EACH_MS      1000
#define UP_EACH_MS        200
#define SLEW_SHARE        10 /* a set clock is followed by at most a tenth of the time that passes */

/* Wall time that never jumps: the monotonic clock plus an offset that follows the wall clock slowly. */
struct steady {
    int64_t offset_ms, last_mono_ms;
};

struct engine_role {
    const struct config *config;
    void *control, *data, *in, *ask;        /* receiving */
    void *to_link, *to_state, *to_delivery; /* sending */
    struct steady steady;
    struct judge *judge;  /* NULL until state has answered */
    int64_t tick_mono_ms; /* the last round of judging */
    bool untold;          /* something was taken since */
    int64_t start_mono_ms, up_sent_mono_ms, book_mono_ms;
    struct stat book; /* as it was when it was read */
    struct buffer payload, second;
};

static void steady_start(struct steady *steady)
{
    steady->last_mono_ms = clock_mono_ms();
    steady->offset_ms = clock_wall_ms() - steady->last_mono_ms;
}

static int64_t steady_now(struct steady *steady)
{
    int64_t mono_ms = clock_mono_ms(), most_ms = (mono_ms - steady->last_mono_ms) / SLEW_SHARE;
    int64_t off_ms = clock_wall_ms() - mono_ms - steady->offset_ms;
    if (most_ms > 0) {
        steady->last_mono_ms = mono_ms;
        steady->offset_ms += off_ms > most_ms ? most_ms : off_ms < -most_ms ? -most_ms : off_ms;
    }
    return mono_ms + steady->offset_ms;
}

/* ── What the judge speaks through ── */

static bool to_agent(void *owner, const char *key, const char *host, struct span frame)
{
    struct engine_role *role = owner;
    struct role_header header = role_header_of(ROLE_SEND, steady_now(&role->steady));
    memcpy(header.key, key, strnlen(key, sizeof header.key - 1));
    memcpy(header.host, host, strnlen(host, sizeof header.host - 1));
    return role_send(role->to_link, NULL, &header, frame, (struct span){0}, NULL) == 0;
}

static bool to_state(
    void *owner, enum role_message message, uint64_t serial, struct span payload, struct span second)
{
    struct engine_role *role = owner;
    struct role_header header = role_header_of(message, steady_now(&role->steady));
    header.number = serial;
    return role_send(role->to_state, NULL, &header, payload, second, NULL) == 0;
}

static bool to_delivery(void *owner, struct span delivery)
{
    struct engine_role *role = owner;
    struct role_header header = role_header_of(ROLE_DELIVER, steady_now(&role->steady));
    return role_send(role->to_delivery, NULL, &header, delivery, (struct span){0}, NULL) == 0;
}

static void on_step(void *owner, const struct engine_step *step)
{
    (void)owner;
    const struct incident *incident = &step->incident;
    log_line(LOG_INFO, "incident", "id=%s step=%s component=%s mode=\"%s\" severity=%s headline=\"%s\"",
        incident->id, step_word(step->step), incident->component, mode_word(incident->mode),
        severity_word(incident->severity), incident->headline);
}

/* ── The book of keys ── */

static bool book_changed(const struct stat *a, const struct stat *b)
{
    return a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec ||
           a->st_size != b->st_size || a->st_ino != b->st_ino;
}

/* The hosts of the book, each once; free the array, the names are the book's. */
static const char **enrolled_names(const struct key_book *book, size_t *count)
{
    const char **names = check_alloc_array(book->count + 1, sizeof *names);
    *count = 0;
    for (size_t i = 0; i < book->count; i++) {
        size_t j = 0;
        while (j < *count && strcmp(names[j], book->entries[i].host) != 0) j++;
        if (j == *count) names[(*count)++] = book->entries[i].host;
    }
    return names;
}

static int load_book(struct engine_role *role, struct key_book *book, struct error *err)
{
    struct stat now = {0};
    if (stat(role->config->collector.agents_file, &now) != 0) now = (struct stat){0};
    if (key_book_load(role->config->collector.agents_file, book, err) != 0) return -1;
    role->book = now;
    return 0;
}

static void refresh_book(struct engine_role *role, int64_t now_ms)
{
    struct stat now = {0};
    if (stat(role->config->collector.agents_file, &now) != 0) now = (struct stat){0};
    if (!book_changed(&now, &role->book)) return;
    struct error err = {0};
    struct key_book book = {0};
    if (load_book(role, &book, &err) != 0) {
        log_error("book_of_keys_unreadable", &err, "keeps=the_one_before");
        role->book = now;
        return;
    }
    size_t count;
    AUTO_FREE const char **names = enrolled_names(&book, &count);
    if (judge_set_enrolled(role->judge, names, count, now_ms, &err) != 0)
        log_error("plan_failed", &err, "hosts=%zu", count);
    key_book_fini(&book);
}

/* ── Starting ── */

static int begin(struct engine_role *role, struct span snapshot, uint64_t last_number, struct error *err)
{
    int64_t now_ms = steady_now(&role->steady);
    const struct judge_io io = {.to_agent = to_agent,
        .to_state = to_state,
        .to_delivery = to_delivery,
        .on_step = on_step,
        .owner = role};
    struct key_book book = {0};
    if (load_book(role, &book, err) != 0) {
        log_error("book_of_keys_unreadable", err, "starts=without");
        book = (struct key_book){0};
    }
    size_t count;
    AUTO_FREE const char **names = enrolled_names(&book, &count);
    role->judge = judge_new(role->config, &io, names, count, now_ms, err);
    key_book_fini(&book);
    if (role->judge == NULL) return -1;
    struct error restore_err = {0};
    if (judge_restore(role->judge, snapshot, now_ms, &restore_err) != 0)
        log_error("snapshot_not_restored", &restore_err, "bytes=%zu", snapshot.size);
    judge_set_last_number(role->judge, last_number);
    log_line(LOG_INFO, "judging", "hosts=%zu snapshot_bytes=%zu", count, snapshot.size);
    return 0;
}

/* Without state nobody knows which numbers were used. Minutes since 2026 are above any counter, and ids that
 * come twice would be taken for repetitions, by state and by those who are told. */
static uint64_t number_without_state(int64_t now_ms)
{
    static const int64_t epoch_ms = 1767225600000;
    return now_ms > epoch_ms ? (uint64_t)((now_ms - epoch_ms) / 60000) : 0;
}

/* Until state has told what was, nothing is taken from engine.data: it waits in the socket. */
static int wait_for_restore(struct engine_role *role, struct error *err)
{
    int64_t mono_ms = clock_mono_ms();
    if (mono_ms - role->start_mono_ms >= ENGINE_ROLE_RESTORE_MS) {
        log_line(LOG_WARN, "state_silent", "waited_ms=%d starts=without_snapshot", ENGINE_ROLE_RESTORE_MS);
        return begin(role, (struct span){0}, number_without_state(steady_now(&role->steady)), err);
    }
    if (role->up_sent_mono_ms != 0 && mono_ms - role->up_sent_mono_ms < UP_EACH_MS) return 0;
    if (to_state(role, ROLE_ENGINE_UP, 0, (struct span){0}, (struct span){0}))
        role->up_sent_mono_ms = mono_ms;
    return 0;
}

/* ── Messages ── */

static void take_notified(struct engine_role *role)
{
    json_t *object = json_loadb((const char *)role->payload.data, role->payload.size, 0, NULL);
    const char *incident = json_string_value(json_object_get(object, "incident"));
    const char *at = json_string_value(json_object_get(object, "at"));
    int64_t at_ms;
    if (incident != NULL && at != NULL && timetext_parse(at, 0, &at_ms, NULL) == 0)
        judge_notified(role->judge, incident, at_ms);
    json_decref(object);
}

/* One message of engine.in. 0 none left, 1 one taken, -1 the role cannot go on. */
static int take_in(struct engine_role *role, struct error *err)
{
    struct role_header header;
    int got = role_receive(role->in, NULL, &header, &role->payload, &role->second, err);
    if (got < 0) {
        log_error("message_dropped", err, "from=state");
        return 1;
    }
    if (got == 0) return 0;
    if (header.message == ROLE_RESTORE && role->judge == NULL)
        return begin(role, buffer_span(&role->payload), header.number, err) == 0 ? 1 : -1;
    if (role->judge == NULL) return 1;
    if (header.message == ROLE_STEP_RECORDED)
        judge_recorded(role->judge, header.number, steady_now(&role->steady));
    if (header.message == ROLE_NOTIFIED) take_notified(role);
    return 1;
}

static void take_data(struct engine_role *role)
{
    struct error err;
    struct role_header header;
    for (int i = 0; i < MESSAGES_PER_TURN; i++) {
        int got = role_receive(role->data, NULL, &header, &role->payload, &role->second, &err);
        if (got == 0) return;
        role->untold = true;
        int64_t now_ms = steady_now(&role->steady);
        int64_t arrival_ms =
            header.arrival_mono_ms != 0 ? header.arrival_mono_ms + role->steady.offset_ms : now_ms;
        if (got > 0 &&
            judge_take(role->judge, &header, buffer_span(&role->payload), arrival_ms, now_ms, &err) == 0)
            continue;
        log_error("message_dropped", &err, "from=link host=%s", got > 0 ? header.host : "");
    }
}

static void take_questions(struct engine_role *role)
{
    struct role_identity from;
    struct role_header header;
    while (role_receive(role->ask, &from, &header, &role->payload, &role->second, NULL) == 1) {
        if (header.message != ROLE_QUESTION) continue;
        json_t *question = json_loadb((const char *)role->payload.data, role->payload.size, 0, NULL);
        json_t *answer = judge_answer(role->judge, question, steady_now(&role->steady));
        AUTO_FREE char *text = json_dumps(answer, JSON_COMPACT);
        struct role_header reply = role_header_of(ROLE_ANSWER, steady_now(&role->steady));
        reply.number = header.number;
        /* Whoever does not wait any more gets nothing. */
        role_send(role->ask, &from, &reply, span_text(text != NULL ? text : "{}"), (struct span){0}, NULL);
        json_decref(question);
        json_decref(answer);
    }
}

static int wait_ms(const struct engine_role *role)
{
    return role->untold ? TICK_MIN_MS : ENGINE_ROLE_TICK_MS;
}

static void work(struct engine_role *role)
{
    take_data(role);
    int64_t mono_ms = clock_mono_ms();
    if (mono_ms - role->tick_mono_ms >= wait_ms(role)) {
        judge_tick(role->judge, steady_now(&role->steady));
        role->tick_mono_ms = mono_ms;
        role->untold = false;
    }
    take_questions(role);
    if (mono_ms - role->book_mono_ms < BOOK_EACH_MS) return;
    role->book_mono_ms = mono_ms;
    refresh_book(role, steady_now(&role->steady));
}

static int run(struct engine_role *role, struct error *err)
{
    /* The first two are awaited even while the snapshot is; the data and the questions wait for it. */
    zmq_pollitem_t items[] = {{.socket = role->control, .events = ZMQ_POLLIN},
        {.socket = role->in, .events = ZMQ_POLLIN}, {.socket = role->data, .events = ZMQ_POLLIN},
        {.socket = role->ask, .events = ZMQ_POLLIN}};
    for (;;) {
        if (zmq_poll(items, role->judge != NULL ? 4 : 2, wait_ms(role)) < 0 && zmq_errno() != EINTR) return 0;
        if (items[0].revents & ZMQ_POLLIN) return 0;
        int rc;
        while ((rc = take_in(role, err)) > 0) {
        }
        if (rc == 0 && role->judge == NULL) rc = wait_for_restore(role, err);
        if (rc < 0) return -1;
        if (role->judge != NULL) work(role);
    }
}

static int open_sockets(struct engine_role *role, void *zmq, struct error *err)
{
    const char *where = role->config->collector.run;
    role->control = zmq_socket(zmq, ZMQ_PAIR);
    if (role->control == NULL || zmq_connect(role->control, ENGINE_ROLE_CONTROL) != 0)
        return fail(err, ERROR_IO, "control socket: %s", zmq_strerror(zmq_errno()));
    if ((role->data = role_bind(zmq, where, ROLE_ENGINE_DATA, err)) == NULL) return -1;
    if ((role->in = role_bind(zmq, where, ROLE_ENGINE_IN, err)) == NULL) return -1;
    if ((role->ask = role_bind(zmq, where, ROLE_ENGINE_ASK, err)) == NULL) return -1;
    if ((role->to_link = role_connect(zmq, where, ROLE_LINK_OUT, err)) == NULL) return -1;
    if ((role->to_state = role_connect(zmq, where, ROLE_STATE_IN, err)) == NULL) return -1;
    return (role->to_delivery = role_connect(zmq, where, ROLE_DELIVERY_IN, err)) != NULL ? 0 : -1;
}

static void leave_snapshot(struct engine_role *role)
{
    struct buffer snapshot = {0};
    int linger_ms = 500;
    judge_snapshot(role->judge, &snapshot);
    zmq_setsockopt(role->to_state, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    to_state(role, ROLE_SNAPSHOT, 0, buffer_span(&snapshot), (struct span){0});
    buffer_fini(&snapshot);
}

int engine_role_main(void *zmq, const struct config *config)
{
    struct engine_role role = {.config = config, .start_mono_ms = clock_mono_ms()};
    struct error err = {0};
    steady_start(&role.steady);
    int result = open_sockets(&role, zmq, &err);
    if (result == 0) result = run(&role, &err);
    if (result != 0) log_error("engine_role_failed", &err, "%s", "role=engine");
    if (role.judge != NULL && result == 0) leave_snapshot(&role);
    judge_free(role.judge);
    void *const sockets[] = {
        role.control, role.data, role.in, role.ask, role.to_link, role.to_state, role.to_delivery};
    for (size_t i = 0; i < ARRAY_COUNT(sockets); i++)
        if (sockets[i] != NULL) zmq_close(sockets[i]);
    buffer_fini(&role.payload);
    buffer_fini(&role.second);
    return result;
}
