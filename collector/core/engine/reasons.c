/* Why a path is not proven, and which line of the config cures it. A table: the first row that fits speaks.
 */
#include <stdio.h>
#include <string.h>

#include "collector/core/engine/internal.h"
#include "common/check.h"

#define WORKED_GOOD 10 /* good outcomes by which address, port and scheme are shown to be right */

enum subject { ANY, BALANCER, BACKEND, REFERENCE, ENTRANCE };

struct reason {
    enum probe_error error;
    uint32_t code; /* 0 any */
    enum subject subject;
    const char *reason; /* %T the target, %C the code */
    const char *remedy; /* %O observer, %S service, %T target, %B balancer */
};

static const struct reason reasons[] = {
    {PROBE_ERROR_REDIRECT, 0, BALANCER, "%T redirects (%C): it expects another scheme or host",
        "set `scheme: https` (or port, headers) for %B under services.%S.through, or give `expect` for "
        "services.%S"},
    {PROBE_ERROR_REDIRECT, 0, BACKEND, "%T redirects (%C): it expects another scheme or host",
        "write the backend as https://… under services.%S.backends, or set services.%S.expect"},
    {PROBE_ERROR_REDIRECT, 0, ANY, "%T redirects (%C)",
        "write the final address as services.%S.url, or set services.%S.follow"},
    {PROBE_ERROR_CONNECT_TIMEOUT, 0, REFERENCE, "no answer from %T: this site may not reach the outside",
        "choose other `references` for the site of %O"},
    {PROBE_ERROR_CONNECT_TIMEOUT, 0, BACKEND,
        "no answer to the connection: probably a firewall between %O and %T",
        "open the port for %O, or take it out of the observers with hosts.%O.observer: false"},
    {PROBE_ERROR_CONNECT_TIMEOUT, 0, ANY,
        "no answer to the connection: probably a firewall between %O and %T",
        "open the port for %O, or correct the address (balancers.%B.addresses)"},
    {PROBE_ERROR_UNREACHABLE, 0, ANY, "no route from %O to %T: a firewall or the network",
        "open the way for %O, or take it out of the observers with hosts.%O.observer: false"},
    {PROBE_ERROR_REFUSED, 0, BACKEND,
        "%T refuses the connection: nothing listens there, or a firewall rejects",
        "correct address and port under services.%S.backends"},
    {PROBE_ERROR_REFUSED, 0, BALANCER,
        "%T refuses the connection: nothing listens there, or a firewall rejects",
        "correct balancers.%B.addresses, or `port` under services.%S.through"},
    {PROBE_ERROR_REFUSED, 0, ANY, "%T refuses the connection", "correct services.%S.url"},
    {PROBE_ERROR_TLS, 0, BALANCER, "TLS or the certificate of %T does not pass verification",
        "set `insecure: true` (or another scheme) for %B under services.%S.through, or mend the certificate"},
    {PROBE_ERROR_TLS, 0, BACKEND, "TLS or the certificate of %T does not pass verification",
        "write the backend as http://… under services.%S.backends, or set services.%S.insecure"},
    {PROBE_ERROR_TLS, 0, ANY, "TLS or the certificate of %T does not pass verification",
        "set services.%S.insecure, or mend the certificate"},
    {PROBE_ERROR_BLOCKED, 401, ANY, "%T asks for a login (401)", "set services.%S.credentials_file on %O"},
    {PROBE_ERROR_BLOCKED, 403, ANY, "%T does not let %O in (403)",
        "set services.%S.credentials_file, or let %O's address and User-Agent pass"},
    {PROBE_ERROR_BLOCKED, 429, ANY, "%T limits the rate of %O (429)",
        "exempt %O's address from the rate limit"},
    {PROBE_ERROR_BLOCKED, 0, ANY, "%T does not let %O in", "set services.%S.credentials_file on %O"},
    {PROBE_ERROR_RESOLVE, 0, ANY, "the name of %T does not resolve on %O",
        "correct services.%S.url, or the resolver of %O"},
    {PROBE_ERROR_STATUS, 404, ANY, "%T answers 404: another host name or path is expected",
        "correct services.%S.url, or give a `headers: {Host: …}` for the hop; or set services.%S.expect"},
    {PROBE_ERROR_STATUS, 0, ANY, "%T answers %C", "set services.%S.expect if that is right, else mend it"},
    {PROBE_ERROR_CONTENT, 0, ANY, "the expected text is missing at %T", "correct services.%S.expect"},
    {PROBE_ERROR_NO_ANSWER, 0, ANY, "%T accepts the connection but does not answer",
        "correct scheme or port of %T (TLS spoken to a plain port looks like this)"},
    {PROBE_ERROR_UNFINISHED, 0, ANY, "the answer of %T does not end in time",
        "probe a smaller page: services.%S.url"},
    {PROBE_ERROR_RESET, 0, ANY, "%T breaks the connection: perhaps TLS is expected",
        "set the scheme for it (services.%S.through, services.%S.backends)"},
    {PROBE_ERROR_MALFORMED, 0, ANY, "%T does not speak HTTP on that port",
        "correct scheme and port (services.%S.through, services.%S.backends)"},
    {PROBE_ERROR_LOCAL, 0, ANY,
        "%O cannot run the probe: descriptors, memory, or a credentials file that is missing",
        "see the agent's log on %O; services.%S.credentials_file"},
};

static enum subject subject_of(const struct model_target *target)
{
    switch (target->entrance) {
    case ENTRANCE_HOP:
    case ENTRANCE_STATS: return BALANCER;
    case ENTRANCE_BACKEND:
    case ENTRANCE_HEALTH: return BACKEND;
    case ENTRANCE_REFERENCE: return REFERENCE;
    case ENTRANCE_USERS:
    case ENTRANCE_COUNT: break;
    }
    return ENTRANCE;
}

static void fill_in(const struct engine *engine, const struct path *path, uint32_t code, const char *format,
    char *out, size_t size)
{
    const struct model *model = engine->model;
    const struct model_target *target = &model->targets[path->target];
    size_t used = 0;
    for (; *format != '\0' && used + 1 < size; format++) {
        if (*format != '%') {
            out[used++] = *format;
            continue;
        }
        char number[16];
        const char *word = "";
        switch (*++format) {
        case 'T': word = target->name; break;
        case 'O': word = model->hosts[path->host].name; break;
        case 'S': word = target->service != MODEL_NONE ? model->services[target->service].name : ""; break;
        case 'B':
            word = target->balancer < model->balancer_count ? model->balancers[target->balancer].name
                                                            : target->name;
            break;
        case 'C':
            snprintf(number, sizeof number, "%u", code);
            word = number;
            break;
        default: break;
        }
        size_t length = strlen(word);
        if (length > size - 1 - used) length = size - 1 - used;
        memcpy(out + used, word, length);
        used += length;
    }
    out[used] = '\0';
}

bool reason_for(const struct engine *engine, const struct path *path, char *reason, size_t reason_size,
    char *remedy, size_t remedy_size)
{
    const struct way *way = &engine->ways[path->way];
    reason[0] = remedy[0] = '\0';
    if (way->last_bad.start_ms == 0 || (way->proven && way->blocked_in_row == 0)) return false;
    if (way->good_in_row >= 5 && way->good_in_row > way->bad_in_row)
        return false; /* on its way to be proven */
    if (way->good >= WORKED_GOOD) {
        /* Its line of the config is right: no remedy. */
        snprintf(reason, reason_size, "%s worked before and fails now: %s",
            engine->model->targets[path->target].name, probe_error_phrase(way->last_bad.error));
        return true;
    }
    enum subject subject = subject_of(&engine->model->targets[path->target]);
    for (size_t i = 0; i < ARRAY_COUNT(reasons); i++) {
        const struct reason *row = &reasons[i];
        if (row->error != way->last_bad.error || (row->code != 0 && row->code != way->last_bad.code))
            continue;
        if (row->subject != ANY && row->subject != subject) continue;
        fill_in(engine, path, way->last_bad.code, row->reason, reason, reason_size);
        fill_in(engine, path, way->last_bad.code, row->remedy, remedy, remedy_size);
        return true;
    }
    return false;
}
