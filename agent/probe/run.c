#include "agent/probe/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/probe/credentials.h"
#include "agent/probe/judge.h"
#include "agent/probe/prober.h"
#include "agent/probe/tcp.h"
#include "common/check.h"
#include "common/clock.h"

#define STATS_BYTES_MAX (1024 * 1024) /* of HAProxy's CSV, parsed as it comes */

struct run {
    struct run_context context;
    struct run_order order;
    const struct target *target;
    run_call *call;
    void *owner;
    int64_t start_ns, asked_ns; /* of the probe; of the present attempt */
    struct probe_result result;
    struct loop_timer timer; /* late_after first, then the timeout */
    bool late_told, graced;
    struct lookup *lookup;
    struct address addresses[RESOLVE_ADDRESSES_MAX];
    size_t address_count, address_next;
    struct transfer *transfer;
    struct tcp *tcp;
    struct credentials credentials;
    char *url; /* of the present request where a redirect was followed, NULL: the target's */
    struct target_place place;
    unsigned redirects;
    struct haproxy_csv *csv;
};

static int64_t since_us(const struct run *run, int64_t now_ns)
{
    return (now_ns - run->start_ns) / 1000;
}

static void run_free(struct run *run)
{
    loop_cancel(run->context.loop, &run->timer);
    lookup_cancel(run->lookup);
    http_cancel(run->transfer);
    tcp_cancel(run->tcp);
    credentials_fini(&run->credentials);
    free(run->url);
    free(run->csv);
    free(run);
}

void run_cancel(struct run *run)
{
    if (run != NULL) run_free(run);
}

static void tell(
    struct run *run, enum probe_outcome outcome, enum probe_error error, const struct run_story *story)
{
    struct probe_result result = run->result;
    result.outcome = outcome;
    result.error = error;
    result.total_us = since_us(run, clock_mono_ns());
    /* Two clocks' zeros are laid on each other: a pause of the process between them makes the first byte
     * late. */
    if (result.first_byte_us > result.total_us) result.first_byte_us = result.total_us;
    struct run_story told = story != NULL ? *story : (struct run_story){0};
    char text[ADDRESS_TEXT_SIZE];
    if (run->address_next > 0) told.address = address_text(&run->addresses[run->address_next - 1], text);
    run->call(run->owner, &result, &told);
}

static void finish(struct run *run, enum probe_error error, const struct run_story *story)
{
    loop_cancel(run->context.loop, &run->timer); /* its owner may run the loop to look closer */
    tell(run, error == PROBE_ERROR_NONE ? PROBE_OK : PROBE_FAIL, error, story);
    run_free(run);
}

static void finish_local(struct run *run, const char *why)
{
    finish(run, PROBE_ERROR_LOCAL, &(struct run_story){.message = why});
}

/* Durations of phases out of libcurl's points in time. */
static void take_phases(struct run *run, const struct http_answer *answer)
{
    struct probe_result *result = &run->result;
    result->code = (uint32_t)answer->code;
    result->connect_us = answer->connect_us;
    result->tls_us = answer->tls_us;
    result->first_byte_us =
        answer->first_byte_us >= 0 ? (run->asked_ns - run->start_ns) / 1000 + answer->first_byte_us : -1;
}

static void time_is_up(struct run *run)
{
    if (run->lookup != NULL) {
        finish(run, PROBE_ERROR_RESOLVE, &(struct run_story){.message = "no answer from the name servers"});
        return;
    }
    bool connected = run->result.connect_us >= 0;
    finish(run, judge_timeout(connected, run->result.first_byte_us >= 0), NULL);
}

static void run_due(void *owner, int64_t now_ns)
{
    struct run *run = owner;
    if (!run->graced) { /* after a pause of the agent the answer may lie in the socket: descriptors have their
                           turn first */
        run->graced = true;
        loop_at(run->context.loop, &run->timer, now_ns);
        return;
    }
    run->graced = false;
    if (run->transfer != NULL) {
        struct http_answer so_far;
        http_progress(run->transfer, &so_far);
        take_phases(run, &so_far);
    }
    int64_t end_ns = run->start_ns + run->order.timeout_ms * INT64_C(1000000);
    if (run->late_told || now_ns >= end_ns) {
        time_is_up(run);
        return;
    }
    run->late_told = true;
    loop_at(run->context.loop, &run->timer, end_ns);
    tell(run, PROBE_LATE, PROBE_ERROR_NONE, NULL);
}

static void attempt(struct run *run);

/* LOCAL: such as no IPv6 on this host, where the name has addresses of both kinds. */
static bool worth_another(const struct run *run, enum probe_error error)
{
    return run->address_next < run->address_count &&
           (error == PROBE_ERROR_REFUSED || error == PROBE_ERROR_UNREACHABLE || error == PROBE_ERROR_LOCAL);
}

static void connected(void *owner, int os_errno)
{
    struct run *run = owner;
    run->tcp = NULL;
    if (os_errno == 0) {
        run->result.connect_us = (clock_mono_ns() - run->asked_ns) / 1000;
        finish(run, PROBE_ERROR_NONE, NULL);
        return;
    }
    enum probe_error error = judge_connect(os_errno);
    if (worth_another(run, error))
        attempt(run);
    else
        finish(run, error, &(struct run_story){.os_errno = os_errno});
}

static bool same_place(const struct target_place *a, const struct target_place *b)
{
    return strcmp(a->host, b->host) == 0 && a->port == b->port && a->tls == b->tls;
}

static void resolve(struct run *run, const char *name, uint16_t port);

/* Asks at the place that the answer names; secrets go to the place that they are for only. */
static void follow(struct run *run, const char *redirect)
{
    char *url = check_strdup(redirect);
    free(run->url);
    run->url = url;
    run->redirects++;
    run->result.connect_us = run->result.tls_us = run->result.first_byte_us = -1;
    if (!target_place_of(url, &run->place)) {
        finish(run, PROBE_ERROR_MALFORMED,
            &(struct run_story){.message = "redirects to nowhere", .redirect = url});
        return;
    }
    if (same_place(&run->place, &run->target->place)) {
        if (run->order.address == NULL && run->target->name != NULL)
            resolve(run, run->target->name, run->target->port);
        else {
            run->addresses[0] = run->order.address != NULL ? *run->order.address : run->target->address;
            run->address_next = 0;
            run->address_count = 1;
            attempt(run);
        }
        return;
    }
    run->address_next = 0;
    run->address_count = address_parse(run->place.host, run->place.port, &run->addresses[0]);
    if (run->address_count > 0)
        attempt(run);
    else
        resolve(run, run->place.host, run->place.port);
}

static enum probe_error judge_stats(struct run *run, enum probe_error error)
{
    return error == PROBE_ERROR_NONE && run->csv != NULL && !haproxy_csv_end(run->csv) ? PROBE_ERROR_CONTENT
                                                                                       : error;
}

static void answered(void *owner, const struct http_answer *answer)
{
    struct run *run = owner;
    run->transfer = NULL;
    take_phases(run, answer);
    uint32_t flags = 0;
    enum probe_error error = judge_stats(run, judge_answer(run->target, answer, &flags));
    run->result.flags |= flags;
    if (answer->connect_us < 0 && worth_another(run, error))
        attempt(run);
    else if (error == PROBE_ERROR_REDIRECT && run->target->follow && run->redirects < RUN_REDIRECTS_MAX)
        follow(run, answer->redirect);
    else
        finish(run, error,
            &(struct run_story){.message = answer->message,
                .redirect = answer->redirect,
                .certificate_names = answer->certificate_names,
                .os_errno = answer->os_errno});
}

static void stats_piece(void *owner, int code, struct span piece)
{
    struct run *run = owner;
    if (code == 200) haproxy_csv_feed(run->csv, piece);
}

static void stats_row(void *owner, const struct haproxy_row *row)
{
    struct run *run = owner;
    if (run->order.row != NULL) run->order.row(run->owner, row);
}

static void attempt_http(struct run *run, const struct address *address)
{
    const struct target *target = run->target;
    bool stats = target->kind == PROBE_HAPROXY_STATS, home = same_place(&run->place, &target->place);
    struct http_request request = {.url = run->url != NULL ? run->url : target->url,
        .address = address,
        .headers = target->headers,
        .secrets = home ? run->credentials.headers : NULL,
        .userpwd = home ? run->credentials.userpwd : NULL,
        .expect_text = target->expect_text,
        .head = target->head && !stats,
        .insecure = target->insecure,
        .want_certificate = run->order.want_certificate,
        .body_bytes_max = stats ? STATS_BYTES_MAX : PROBER_BODY_BYTES_MAX,
        .body = stats ? stats_piece : NULL};
    if (stats && run->csv == NULL) run->csv = check_alloc(sizeof *run->csv);
    if (stats) haproxy_csv_init(run->csv, stats_row, run);
    struct error err;
    run->transfer = http_start(run->context.http, &request, answered, run, &err);
    if (run->transfer == NULL) finish_local(run, err.text);
}

/* Connects to the next address. */
static void attempt(struct run *run)
{
    const struct address *address = &run->addresses[run->address_next++];
    run->asked_ns = clock_mono_ns();
    if (run->target->kind != PROBE_TCP) {
        attempt_http(run, address);
        return;
    }
    run->tcp = tcp_start(run->context.loop, address, connected, run);
}

static void resolved(void *owner, const struct lookup_answer *answer)
{
    struct run *run = owner;
    run->lookup = NULL;
    if (run->redirects == 0) run->result.resolve_us = answer->took_us;
    if (answer->count == 0) {
        finish(run, PROBE_ERROR_RESOLVE, &(struct run_story){.message = answer->why});
        return;
    }
    memcpy(run->addresses, answer->addresses, answer->count * sizeof *answer->addresses);
    run->address_count = answer->count;
    run->address_next = 0;
    attempt(run);
}

static void resolve(struct run *run, const char *name, uint16_t port)
{
    run->lookup = resolver_lookup(run->context.resolver, name, port, resolved, run);
}

/* The first step, on the loop, so that nobody is called back before run_start has returned. */
static void run_begin(void *owner, int64_t now_ns)
{
    (void)now_ns;
    struct run *run = owner;
    const struct target *target = run->target;
    run->timer.call = run_due;
    uint32_t late_ms = target->late_after_ms;
    bool can_be_late = late_ms > 0 && late_ms < run->order.timeout_ms;
    run->late_told = !can_be_late;
    loop_at(run->context.loop, &run->timer,
        run->start_ns + (can_be_late ? late_ms : run->order.timeout_ms) * INT64_C(1000000));
    struct error err;
    if (target->broken != NULL) {
        finish_local(run, target->broken);
    } else if (target->credentials_file != NULL &&
               credentials_load(run->context.credentials_directory, target->credentials_file,
                   &run->credentials, &err) != 0) {
        finish_local(run, err.text);
    } else if (run->order.address != NULL || target->address.size > 0) {
        run->addresses[0] = run->order.address != NULL ? *run->order.address : target->address;
        run->address_count = 1;
        attempt(run);
    } else {
        resolve(run, target->name, target->port);
    }
}

struct run *run_start(
    const struct run_context *context, const struct run_order *order, run_call *call, void *owner)
{
    struct run *run = check_alloc(sizeof *run);
    *run = (struct run){.context = *context,
        .order = *order,
        .target = order->target,
        .call = call,
        .owner = owner,
        .start_ns = clock_mono_ns(),
        .place = order->target->place,
        .timer = {.call = run_begin, .owner = run},
        .result = {.start_ms = order->start_ms,
            .flags = order->flags,
            .resolve_us = -1,
            .connect_us = -1,
            .tls_us = -1,
            .first_byte_us = -1,
            .total_us = -1}};
    loop_at(context->loop, &run->timer, run->start_ns);
    return run;
}
