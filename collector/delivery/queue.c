#include "collector/delivery/queue.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/check.h"
#include "common/timetext.h"

#define RECORDED_MAX 256 /* words "recorded" that came before their delivery */

struct lane {
    struct lane *next;
    char *incident;
    struct queue_job *jobs; /* by number; only the first may be under way */
};

struct hook {
    struct hook *next;
    char *name;
    struct lane *lanes; /* oldest first */
    size_t in_flight;
    bool troubled;         /* the last attempt did not succeed */
    int64_t not_before_ms; /* Retry-After holds for the whole hook */
};

struct finished {
    uint64_t id_hash;
    char *outcome;
};

struct queue {
    struct hook *hooks;
    struct hook *last; /* served last: the search goes on behind it */
    size_t job_count, in_flight, in_flight_troubled;
    uint64_t random;
    struct finished finished[QUEUE_FINISHED_MAX];
    size_t finished_next;
    uint64_t recorded[RECORDED_MAX];
    size_t recorded_next;
};

static uint64_t hash_id(const char *id)
{
    return XXH3_64bits(id, strlen(id));
}

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t draw(struct queue *queue)
{
    uint64_t z = queue->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

struct queue *queue_new(uint64_t seed)
{
    struct queue *queue = check_alloc(sizeof *queue);
    queue->random = seed;
    return queue;
}

static void job_free(struct queue_job *job)
{
    free(job->id);
    free(job->hook);
    free(job->incident);
    free(job->step);
    json_decref(job->message);
    free(job);
}

void queue_free(struct queue *queue)
{
    if (queue == NULL) return;
    for (struct hook *hook = queue->hooks, *next_hook; hook != NULL; hook = next_hook) {
        next_hook = hook->next;
        for (struct lane *lane = hook->lanes, *next_lane; lane != NULL; lane = next_lane) {
            next_lane = lane->next;
            for (struct queue_job *job = lane->jobs, *next; job != NULL; job = next) {
                next = job->next;
                job_free(job);
            }
            free(lane->incident);
            free(lane);
        }
        free(hook->name);
        free(hook);
    }
    for (size_t i = 0; i < QUEUE_FINISHED_MAX; i++) free(queue->finished[i].outcome);
    free(queue);
}

static struct hook *hook_of(struct queue *queue, const char *name)
{
    struct hook **link = &queue->hooks;
    for (; *link != NULL; link = &(*link)->next)
        if (strcmp((*link)->name, name) == 0) return *link;
    struct hook *hook = check_alloc(sizeof *hook);
    hook->name = check_strdup(name);
    return *link = hook;
}

static struct lane *lane_of(struct hook *hook, const char *incident)
{
    struct lane **link = &hook->lanes;
    for (; *link != NULL; link = &(*link)->next)
        if (strcmp((*link)->incident, incident) == 0) return *link;
    struct lane *lane = check_alloc(sizeof *lane);
    lane->incident = check_strdup(incident);
    return *link = lane;
}

/* Behind everything with its number or a lower one, but never before what is under way. */
static void lane_insert(struct lane *lane, struct queue_job *job)
{
    struct queue_job **link = &lane->jobs;
    while (*link != NULL && ((*link)->in_flight || (*link)->number <= job->number)) link = &(*link)->next;
    job->next = *link;
    *link = job;
}

static struct queue_job *find(const struct queue *queue, const char *id)
{
    for (struct hook *hook = queue->hooks; hook != NULL; hook = hook->next)
        for (struct lane *lane = hook->lanes; lane != NULL; lane = lane->next)
            for (struct queue_job *job = lane->jobs; job != NULL; job = job->next)
                if (strcmp(job->id, id) == 0) return job;
    return NULL;
}

static const char *finished_outcome(const struct queue *queue, uint64_t id_hash)
{
    for (size_t i = 0; i < QUEUE_FINISHED_MAX; i++)
        if (queue->finished[i].outcome != NULL && queue->finished[i].id_hash == id_hash)
            return queue->finished[i].outcome;
    return NULL;
}

static bool was_recorded(const struct queue *queue, uint64_t id_hash)
{
    for (size_t i = 0; i < RECORDED_MAX; i++)
        if (queue->recorded[i] == id_hash) return true;
    return false;
}

static struct queue_job *job_parse(const json_t *delivery, struct error *err)
{
    const char *id, *hook, *incident, *step, *at;
    json_int_t number, attempts = 0;
    json_t *message;
    json_error_t problem;
    if (json_unpack_ex((json_t *)(uintptr_t)delivery, &problem, 0, "{s:s, s:s, s:s, s:s, s:I, s:s, s:o, s?I}",
            "id", &id, "hook", &hook, "incident", &incident, "step", &step, "number", &number, "at", &at,
            "message", &message, "attempts", &attempts) < 0) {
        fail(err, ERROR_INPUT, "delivery: %s", problem.text);
        return NULL;
    }
    int64_t at_ms;
    if (timetext_parse(at, 0, &at_ms, err) < 0) {
        fail_context(err, "delivery %s, at", id);
        return NULL;
    }
    struct queue_job *job = check_alloc(sizeof *job);
    *job = (struct queue_job){.id = check_strdup(id),
        .hook = check_strdup(hook),
        .incident = check_strdup(incident),
        .step = check_strdup(step),
        .number = (uint64_t)number,
        .at_ms = at_ms,
        .message = json_incref(message),
        .attempt = attempts > 0 && attempts < UINT16_MAX ? (unsigned)attempts : 0};
    return job;
}

enum queue_added queue_add(struct queue *queue, const json_t *delivery, int64_t wall_ms, int64_t now_ms,
    const char **outcome, struct error *err)
{
    struct queue_job *job = job_parse(delivery, err);
    if (job == NULL) return QUEUE_MALFORMED;
    uint64_t id_hash = hash_id(job->id);
    bool recorded = json_is_true(json_object_get(delivery, "recorded")) || was_recorded(queue, id_hash);
    enum queue_added added = QUEUE_NEW;
    *outcome = finished_outcome(queue, id_hash);
    if (*outcome != NULL)
        added = QUEUE_FINISHED;
    else if (find(queue, job->id) != NULL)
        added = QUEUE_KNOWN;
    else if (queue->job_count == QUEUE_JOBS_MAX)
        added = QUEUE_FULL;
    if (added != QUEUE_NEW) {
        if (added == QUEUE_KNOWN && recorded) queue_recorded(queue, job->id, now_ms);
        job_free(job);
        return added;
    }
    job->due_ms = recorded ? now_ms : now_ms + QUEUE_UNRECORDED_MS;
    /* A clock that stepped back makes age negative; the budget never grows beyond itself. */
    int64_t age_ms = wall_ms > job->at_ms ? wall_ms - job->at_ms : 0;
    job->give_up_ms = now_ms + QUEUE_BUDGET_MS - age_ms;
    lane_insert(lane_of(hook_of(queue, job->hook), job->incident), job);
    queue->job_count++;
    return QUEUE_NEW;
}

void queue_recorded(struct queue *queue, const char *id, int64_t now_ms)
{
    struct queue_job *job = find(queue, id);
    if (job == NULL) {
        queue->recorded[queue->recorded_next++ % RECORDED_MAX] = hash_id(id);
        return;
    }
    /* Only shortens the wait for the record, never a backoff. */
    if (job->attempt == 0 && !job->in_flight && job->due_ms > now_ms) job->due_ms = now_ms;
}

static bool hook_has_room(const struct queue *queue, const struct hook *hook)
{
    if (!hook->troubled) return hook->in_flight < QUEUE_PER_HOOK_MAX;
    return hook->in_flight < 1 && queue->in_flight_troubled < QUEUE_IN_FLIGHT_TROUBLED_MAX;
}

/* When the hook's earliest lane is due, whatever room there is; INT64_MAX: nothing waits. */
static int64_t hook_due_ms(const struct hook *hook, struct queue_job **which)
{
    int64_t due_ms = INT64_MAX;
    for (const struct lane *lane = hook->lanes; lane != NULL; lane = lane->next) {
        struct queue_job *head = lane->jobs;
        if (head == NULL || head->in_flight || head->due_ms >= due_ms) continue;
        due_ms = head->due_ms;
        if (which != NULL) *which = head;
    }
    return due_ms < INT64_MAX && due_ms < hook->not_before_ms ? hook->not_before_ms : due_ms;
}

struct queue_job *queue_next(struct queue *queue, int64_t now_ms)
{
    if (queue->in_flight >= QUEUE_IN_FLIGHT_MAX || queue->hooks == NULL) return NULL;
    struct hook *first = queue->last != NULL && queue->last->next != NULL ? queue->last->next : queue->hooks;
    struct hook *hook = first;
    do {
        struct queue_job *job = NULL;
        if (hook_has_room(queue, hook) && hook_due_ms(hook, &job) <= now_ms) {
            queue->last = hook;
            job->in_flight = true;
            job->attempt++;
            hook->in_flight++;
            queue->in_flight++;
            if (hook->troubled) queue->in_flight_troubled++;
            return job;
        }
        hook = hook->next != NULL ? hook->next : queue->hooks;
    } while (hook != first);
    return NULL;
}

int64_t queue_due_ms(const struct queue *queue, int64_t now_ms)
{
    int64_t due_ms = INT64_MAX;
    if (queue->in_flight >= QUEUE_IN_FLIGHT_MAX) return due_ms;
    for (const struct hook *hook = queue->hooks; hook != NULL; hook = hook->next) {
        int64_t hook_ms = hook_has_room(queue, hook) ? hook_due_ms(hook, NULL) : INT64_MAX;
        if (hook_ms < due_ms) due_ms = hook_ms;
    }
    return due_ms < now_ms ? now_ms : due_ms;
}

int64_t queue_backoff_ms(unsigned attempt, uint64_t random)
{
    int64_t ceiling_ms = QUEUE_BACKOFF_MAX_MS;
    if (attempt >= 1 && attempt <= 9) ceiling_ms = (int64_t)QUEUE_BACKOFF_MIN_MS << (attempt - 1);
    if (ceiling_ms > QUEUE_BACKOFF_MAX_MS) ceiling_ms = QUEUE_BACKOFF_MAX_MS;
    int64_t wait_ms = (int64_t)(random % (uint64_t)(ceiling_ms + 1));
    return wait_ms < 200 ? 200 : wait_ms;
}

enum channel_verdict queue_ended(struct queue *queue, struct queue_job *job, enum channel_verdict verdict,
    int64_t retry_after_ms, int64_t now_ms)
{
    struct hook *hook = hook_of(queue, job->hook);
    CHECK(job->in_flight && hook->in_flight > 0 && queue->in_flight > 0);
    job->in_flight = false;
    hook->in_flight--;
    queue->in_flight--;
    /* Counted by what the hook is, so that entering and leaving trouble while attempts are under way stays
     * exact. */
    bool troubled = verdict != CHANNEL_DELIVERED;
    if (hook->troubled) queue->in_flight_troubled--;
    if (troubled && !hook->troubled) queue->in_flight_troubled += hook->in_flight;
    if (!troubled && hook->troubled) queue->in_flight_troubled -= hook->in_flight;
    hook->troubled = troubled;
    if (verdict != CHANNEL_RETRY) return verdict;
    int64_t wait_ms = queue_backoff_ms(job->attempt, draw(queue));
    if (retry_after_ms > 0) {
        if (retry_after_ms > QUEUE_BUDGET_MS) retry_after_ms = QUEUE_BUDGET_MS;
        if (now_ms + retry_after_ms > hook->not_before_ms) hook->not_before_ms = now_ms + retry_after_ms;
        if (wait_ms < retry_after_ms) wait_ms = retry_after_ms;
    }
    job->due_ms = now_ms + wait_ms;
    return job->due_ms > job->give_up_ms ? CHANNEL_PERMANENT : CHANNEL_RETRY;
}

void queue_finish(struct queue *queue, struct queue_job *job, const char *outcome)
{
    struct finished *slot = &queue->finished[queue->finished_next++ % QUEUE_FINISHED_MAX];
    free(slot->outcome);
    *slot = (struct finished){.id_hash = hash_id(job->id), .outcome = check_strdup(outcome)};
    struct hook *hook = hook_of(queue, job->hook);
    for (struct lane **link = &hook->lanes; *link != NULL; link = &(*link)->next) {
        struct lane *lane = *link;
        if (strcmp(lane->incident, job->incident) != 0) continue;
        struct queue_job **at = &lane->jobs;
        while (*at != job) at = &(*at)->next;
        *at = job->next;
        if (lane->jobs == NULL) {
            *link = lane->next;
            free(lane->incident);
            free(lane);
        }
        break;
    }
    job_free(job);
    queue->job_count--;
}

size_t queue_waiting(const struct queue *queue)
{
    return queue->job_count - queue->in_flight;
}

size_t queue_in_flight(const struct queue *queue)
{
    return queue->in_flight;
}
