#include "agent/probe/explain.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"

struct facts {
    const struct target *target;
    uint32_t timeout_ms;
    const struct probe_result *result;
    const struct run_story *story;
    const char *address, *message; /* never NULL */
};

typedef void explain_row(const struct facts *facts, char *out);

#define SAY(...) snprintf(out, EXPLAIN_SIZE, __VA_ARGS__)

static void say_ok(const struct facts *f, char *out)
{
    if (f->result->code != 0)
        SAY("%s answers %u after %.1f ms", f->address, f->result->code, (double)f->result->total_us / 1000);
    else
        SAY("%s takes connections after %.1f ms", f->address, (double)f->result->total_us / 1000);
}

static void say_resolve(const struct facts *f, char *out)
{
    SAY("the name %s does not resolve: %s", f->target->name != NULL ? f->target->name : f->target->place.host,
        f->message);
}

static void say_refused(const struct facts *f, char *out)
{
    SAY("refused by %s: nothing listens there, or a firewall rejects", f->address);
}

static void say_unreachable(const struct facts *f, char *out)
{
    SAY("no way to %s: %s", f->address,
        f->story->os_errno != 0 ? strerrordesc_np(f->story->os_errno) : "unreachable");
}

static void say_connect_timeout(const struct facts *f, char *out)
{
    SAY("%s does not answer the connection attempt within %u ms: the host is down or a firewall drops it",
        f->address, f->timeout_ms);
}

/* "DNS:a.example, DNS:b.example" as people write names. */
static const char *names_of(const char *text, char out[static EXPLAIN_SIZE])
{
    size_t size = 0;
    while (*text == ' ') text++;
    while (*text != '\0' && size < EXPLAIN_SIZE - 1) {
        if (strncmp(text, "DNS:", 4) == 0)
            text += 4;
        else
            out[size++] = *text++;
    }
    out[size] = '\0';
    return out;
}

static bool of_another_name(const char *message)
{
    return strstr(message, "does not match") != NULL || strstr(message, "subject name") != NULL;
}

static void say_tls(const struct facts *f, char *out)
{
    char names[EXPLAIN_SIZE];
    if (f->story->certificate_names == NULL)
        SAY("TLS with %s fails: %s", f->address, f->message);
    else if (of_another_name(f->message))
        SAY("certificate is for %.120s, not %.80s", names_of(f->story->certificate_names, names),
            f->target->place.host);
    else
        SAY("certificate for %.100s: %s", names_of(f->story->certificate_names, names), f->message);
}

static void say_reset(const struct facts *f, char *out)
{
    SAY("%s broke the connection: %s", f->address, f->message);
}

static void say_no_answer(const struct facts *f, char *out)
{
    SAY("connected to %s, but nothing came back within %u ms", f->address, f->timeout_ms);
}

static void say_unfinished(const struct facts *f, char *out)
{
    SAY("%s began to answer, but did not end within %u ms", f->address, f->timeout_ms);
}

static void say_status(const struct facts *f, char *out)
{
    SAY("%s answers %u%s", f->address, f->result->code,
        (f->result->flags & PROBE_FLAG_DRAINING) != 0 ? " and announces a drain" : "");
}

static void say_content(const struct facts *f, char *out)
{
    if (f->target->kind == PROBE_HAPROXY_STATS)
        SAY("%s answers %u, but that is not HAProxy's CSV: the URL ends in ;csv", f->address,
            f->result->code);
    else
        SAY("%s answers %u, but '%.80s' is not in it", f->address, f->result->code, f->target->expect_text);
}

static void say_redirect(const struct facts *f, char *out)
{
    SAY("redirects to %s", f->story->redirect != NULL ? f->story->redirect : "another place");
}

static void say_blocked(const struct facts *f, char *out)
{
    SAY("%s does not let this observer in (%u): it needs credentials, or an exception for its address",
        f->address, f->result->code);
}

static void say_local(const struct facts *f, char *out)
{
    SAY("%s", f->message[0] != '\0'     ? f->message
              : f->story->os_errno != 0 ? strerrordesc_np(f->story->os_errno)
                                        : "this host's own trouble");
}

static void say_malformed(const struct facts *f, char *out)
{
    SAY("what %s answers is not HTTP: %s", f->address, f->message);
}

static explain_row *const rows[] = {
    [PROBE_ERROR_NONE] = say_ok,
    [PROBE_ERROR_RESOLVE] = say_resolve,
    [PROBE_ERROR_REFUSED] = say_refused,
    [PROBE_ERROR_UNREACHABLE] = say_unreachable,
    [PROBE_ERROR_CONNECT_TIMEOUT] = say_connect_timeout,
    [PROBE_ERROR_TLS] = say_tls,
    [PROBE_ERROR_RESET] = say_reset,
    [PROBE_ERROR_NO_ANSWER] = say_no_answer,
    [PROBE_ERROR_UNFINISHED] = say_unfinished,
    [PROBE_ERROR_STATUS] = say_status,
    [PROBE_ERROR_CONTENT] = say_content,
    [PROBE_ERROR_REDIRECT] = say_redirect,
    [PROBE_ERROR_BLOCKED] = say_blocked,
    [PROBE_ERROR_LOCAL] = say_local,
    [PROBE_ERROR_MALFORMED] = say_malformed,
};
static_assert(ARRAY_COUNT(rows) == PROBE_ERROR_COUNT, "a sentence per error");

const char *explain(const struct target *target, uint32_t timeout_ms, const struct probe_result *result,
    const struct run_story *story, char out[static EXPLAIN_SIZE])
{
    struct facts facts = {.target = target,
        .timeout_ms = timeout_ms,
        .result = result,
        .story = story,
        .address = story->address != NULL ? story->address : target->place.host,
        .message = story->message != NULL ? story->message : ""};
    CHECK((unsigned)result->error < PROBE_ERROR_COUNT);
    rows[result->error](&facts, out);
    size_t size = strlen(out);
    for (size_t i = 0; i < size; i++) /* peers have a say in it */
        if (out[i] < ' ' || out[i] > '~') out[i] = '?';
    while (size > 0 && (out[size - 1] == ' ' || out[size - 1] == ':')) out[--size] = '\0';
    return out;
}

bool explain_wants_names(const struct probe_result *result, const struct run_story *story)
{
    return result->error == PROBE_ERROR_TLS && story->message != NULL &&
           (of_another_name(story->message) || strstr(story->message, "certificate problem") != NULL);
}
