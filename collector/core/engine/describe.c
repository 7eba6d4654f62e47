/* The words of an incident: headline, what was ruled out and why, symptoms, advice; evidence.c has the
 * numbers. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "collector/core/engine/internal.h"
#include "common/check.h"

/* The newest outcome of each observer through a balancer (or at the entrance), and each backend directly. */
struct counts {
    uint32_t through_ok, through_all;
    uint32_t direct_ok, direct_all;
    uint32_t observers_ok, observers_all; /* of one backend, directly */
    uint32_t share_bad, share_all;        /* through, all outcomes since the onset within the window */
    int64_t slow_us_sum;
    uint32_t slow_count;
    int64_t direct_us;
};

int64_t cause_window_start_ms(const struct engine *engine, const struct cause *cause)
{
    int64_t since = engine->now_ms - MODE_WINDOW_MS;
    return since > cause->incident.onset_ms ? since : cause->incident.onset_ms;
}

/* One observer and service count once, with the newest of what they saw through the place. */
static void count_through(
    const struct engine *engine, const struct cause *cause, uint32_t place, struct counts *counts)
{
    int64_t since = cause_window_start_ms(engine, cause);
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *path = &engine->paths[p];
        const struct model_target *target = &engine->model->targets[path->target];
        if (path->shallow || path->aside || !engine->ways[path->way].proven || !path_fresh(engine, path))
            continue;
        if (target->entrance != ENTRANCE_USERS && target->entrance != ENTRANCE_HOP) continue;
        if (!place_covers_path(engine, place, p)) continue;
        struct tally tally = {0};
        tally_path(path, since, &tally);
        counts->share_bad += tally_bad(&tally);
        counts->share_all += tally_all(&tally);
        counts->slow_us_sum += tally.slow_us_sum;
        counts->slow_count += tally.slow;
        /* An earlier path of the same observer and service? Then both are one. */
        const struct ending *newest = path_newest(path);
        bool first = true;
        for (uint32_t o = 0; o < engine->path_count; o++) {
            const struct path *other = &engine->paths[o];
            const struct model_target *its = &engine->model->targets[other->target];
            if (o == p || other->host != path->host || its->service != target->service || other->shallow ||
                !engine->ways[other->way].proven || !path_fresh(engine, other))
                continue;
            if ((its->entrance != ENTRANCE_USERS && its->entrance != ENTRANCE_HOP) ||
                !place_covers_path(engine, place, o))
                continue;
            const struct ending *seen = path_newest(other);
            if (o < p) first = false;
            if (seen != NULL && (newest == NULL || seen->start_ms > newest->start_ms)) newest = seen;
        }
        if (!first || newest == NULL) continue;
        counts->through_all++;
        if (ending_is_good(newest)) counts->through_ok++;
    }
}

static void count_direct(const struct engine *engine, const struct cause *cause, struct counts *counts)
{
    for (uint32_t s = 0; s < engine->model->service_count; s++) {
        if (!cause_touches_service(engine, cause, s)) continue;
        const struct model_service *service = &engine->model->services[s];
        for (uint32_t i = 0; i < service->backend_count; i++) {
            bool known;
            bool answers = backend_answers(engine, service->first_backend + i, &known);
            if (!known || engine->backends[service->first_backend + i].excluded) continue;
            counts->direct_all++;
            if (answers) counts->direct_ok++;
        }
    }
}

static void count_backend(const struct engine *engine, uint32_t backend, struct counts *counts)
{
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *path = &engine->paths[p];
        const struct model_target *target = &engine->model->targets[path->target];
        if (target->entrance != ENTRANCE_BACKEND || target->backend != backend || path->shallow ||
            path->aside)
            continue;
        if (!engine->ways[path->way].proven || !path_fresh(engine, path)) continue;
        const struct ending *newest = path_newest(path);
        if (newest == NULL) continue;
        counts->observers_all++;
        if (ending_is_good(newest)) counts->observers_ok++;
    }
}

static int64_t median_direct_us(const struct engine *engine, const struct cause *cause)
{
    for (uint32_t p = 0; p < engine->pool_count; p++)
        if (engine->pools[p].service != MODEL_NONE && engine->pools[p].median_us > 0 &&
            cause_touches_service(engine, cause, engine->pools[p].service) &&
            strstr(engine->pools[p].key, "|2|1|") != NULL) /* backends, HTTP */
            return engine->pools[p].median_us;
    return 0;
}

/* ---- headline ---- */

static void say(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(char *out, size_t size, const char *format, ...)
{
    size_t used = strlen(out);
    va_list args;
    va_start(args, format);
    vsnprintf(out + used, size - used, format, args);
    va_end(args);
}

static void milliseconds(char *out, size_t size, int64_t us)
{
    if (us >= 1000000)
        snprintf(out, size, "%.1f s", (double)us / 1e6);
    else
        snprintf(out, size, "%.*f ms", us < 10000 ? 1 : 0, (double)us / 1e3);
}

static void headline_balancer(struct engine *engine, struct cause *cause, const struct place *place,
    const struct counts *c, char *out, size_t size)
{
    enum mode mode = cause->incident.mode;
    if (place->kind == PLACE_LB_ADDRESS) {
        const struct balancer_run *run = &engine->balancers[place->balancer];
        say(out, size, "address %s: %u of %u through it, ", run->addresses[place->address], c->through_ok,
            c->through_all);
        say(out, size, "%u other address%s answer%s", run->address_count - 1,
            run->address_count > 2 ? "es" : "", run->address_count > 2 ? "" : "s");
        return;
    }
    if (place->kind == PLACE_LBNET_BACKEND) {
        say(out, size, "it cannot reach %s, which answers others directly",
            engine->model->backends[place->backend].name);
        return;
    }
    if (mode == MODE_SLOW && c->slow_count > 0) {
        char text[32];
        milliseconds(text, sizeof text, c->slow_us_sum / c->slow_count);
        say(out, size, "%s through the balancer, ", text);
        int64_t direct = median_direct_us(engine, cause);
        milliseconds(text, sizeof text, direct);
        if (direct > 0) say(out, size, "usually %s directly, ", text);
        say(out, size, "%u of %u answer directly", c->direct_ok, c->direct_all);
        return;
    }
    if (mode == MODE_ERRORS && c->share_all > 0)
        say(out, size, "%u of the last %u through the balancer failed, ", c->share_bad, c->share_all);
    else
        say(out, size, "%u of %u through the balancer, ", c->through_ok, c->through_all);
    if (c->direct_all > 0)
        say(out, size, "%u of %u directly", c->direct_ok, c->direct_all);
    else
        say(out, size, "no backend can be asked directly");
}

/* What tells the way out of a site from the service: the words name what has been seen. */
static const char *egress_told_by(const struct engine *engine, const struct place *place)
{
    bool references = false, others = false;
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *path = &engine->paths[p];
        const struct model_target *target = &engine->model->targets[path->target];
        if (!engine->ways[path->way].proven || !path_fresh(engine, path)) continue;
        const struct ending *newest = path_newest(path);
        if (newest == NULL) continue;
        bool here = engine->model->hosts[path->host].site == place->site;
        bool good = ending_is_good(newest);
        if (target->entrance == ENTRANCE_REFERENCE) {
            references = references || (here && !good);
        } else if (!here && good && !path->shallow && !path->aside && target->service != MODEL_NONE) {
            others = others || engine->services[target->service].group == place->group;
        }
    }
    if (references)
        return others ? ", its references too; other sites' observers do not" : ", its references too";
    return others ? ", other sites' observers do not" : "";
}

static void headline_of(
    struct engine *engine, struct cause *cause, const struct place *place, const struct counts *c)
{
    struct incident *i = &cause->incident;
    snprintf(i->headline, sizeof i->headline, "%s %s, %s: ", i->component, mode_word(i->mode),
        confidence_spoken(i->confidence));
    char *out = i->headline;
    size_t size = sizeof i->headline;
    switch (place->kind) {
    case PLACE_LB:
    case PLACE_LB_ADDRESS:
    case PLACE_LBNET:
    case PLACE_LBNET_BACKEND: headline_balancer(engine, cause, place, c, out, size); break;
    case PLACE_BACKEND:
        say(out, size, "%u of %u observers reach it directly, %u of %u backends answer", c->observers_ok,
            c->observers_all, c->direct_ok, c->direct_all);
        break;
    case PLACE_BACKENDS:
        if (cause->blind)
            say(out, size, "%u of %u backends answer directly, nor does the balancer: a cause they share",
                c->direct_ok, c->direct_all);
        else if (cause->behind)
            say(out, size,
                "pages fail on all backends while their health URLs answer: something behind the "
                "applications, %u of %u backends serve the page",
                c->direct_ok, c->direct_all);
        else
            say(out, size, "%u of %u backends answer directly: a cause they share", c->direct_ok,
                c->direct_all);
        break;
    case PLACE_ZONE: say(out, size, "%u of %u backends answer directly", c->direct_ok, c->direct_all); break;
    case PLACE_SERVICE:
        say(out, size, "%u of %u observers get an answer", c->through_ok, c->through_all);
        break;
    case PLACE_OBSERVER:
        if (cause->blind)
            say(out, size, "it reaches nothing and no other observer can tell; it may as well be %s",
                i->runner_up);
        else if (cause->single)
            say(out, size, "what it probes fails, and nobody else looks");
        else
            say(out, size, "what it sees fail, the other observers see answer");
        break;
    case PLACE_EGRESS_USERS:
    case PLACE_EGRESS_HOPS:
    case PLACE_EGRESS_ALL:
        if (cause->blind)
            say(out, size, "no observer reaches anything and all are at this site; it may as well be %s",
                i->runner_up);
        else
            say(out, size, "all observers of the site fail together%s", egress_told_by(engine, place));
        break;
    case PLACE_PATH_LB:
    case PLACE_PATH_LB_ADDRESS:
    case PLACE_PATH_BACKEND:
    case PLACE_PATH_SERVICE: say(out, size, "only this observer fails there, and only there"); break;
    case PLACE_KIND_COUNT: break;
    }
}

/* ---- what was ruled out ---- */

static void rule_out(struct engine *engine, struct cause *cause, const struct place *place)
{
    int64_t since = cause_window_start_ms(engine, cause);
    const struct group *group = &engine->groups[place->group];
    for (uint32_t i = 0; i < group->place_count; i++) {
        if (cause->incident.ruled_out_count == INCIDENT_RULED_OUT_MAX) return;
        uint32_t index = group->places[i];
        const struct place *other = &engine->places[index];
        if (!other->live || strcmp(other->component, place->component) == 0 || other->open) continue;
        if (other->kind == PLACE_LB_ADDRESS || other->kind == PLACE_LBNET_BACKEND ||
            other->kind == PLACE_PATH_LB_ADDRESS || other->kind == PLACE_EGRESS_USERS ||
            other->kind == PLACE_EGRESS_HOPS)
            continue;
        bool path_of_interest = other->kind == PLACE_PATH_LB || other->kind == PLACE_PATH_BACKEND ||
                                other->kind == PLACE_PATH_SERVICE;
        if (path_of_interest && group->place_count > 24) continue; /* the observers say it for all paths */
        struct tally own = {0}, blamed = {0}, both = {0};
        tally_place(engine, index, since, false, &own);
        uint32_t ground = cause->grounds[0].place;
        tally_place(engine, ground, since, false, &blamed);
        for (uint32_t p = 0; p < engine->path_count; p++)
            if (!engine->paths[p].shallow && place_covers_path(engine, index, p) &&
                place_covers_path(engine, ground, p))
                tally_path(&engine->paths[p], since, &both);
        uint32_t unexplained = tally_bad(&blamed) - tally_bad(&both);
        if (own.ok > 0)
            incident_add_ruled_out(&cause->incident, other->component,
                "%u of %u probes that it would break answered%s", own.ok, tally_all(&own),
                unexplained > 0 ? ", and others fail as well" : "");
        else if (unexplained > 0)
            incident_add_ruled_out(&cause->incident, other->component, "%u of %u failures happen without it",
                unexplained, tally_bad(&blamed));
    }
}

/* ---- all of it ---- */

static const struct {
    enum component kind;
    const char *text;
    const char *alone; /* where a single observer, or nobody, sees enough; NULL: the same */
} advices[] = {
    {COMPONENT_LB, "lead users around the balancer, or repair it; the backends are not the cause",
        "ask the service from elsewhere; then lead users around the balancer, or repair it"},
    {COMPONENT_BACKEND, "look at this server", NULL}, /* and at the others: advise_on_backend */
    {COMPONENT_BACKENDS, "look for what the backends share: database, storage, network, the last deployment",
        "ask the service from elsewhere; then look for what its servers share: network, power, host"},
    {COMPONENT_SERVICE, "look at what the application calls: database, search, cache", NULL},
    {COMPONENT_OBSERVER, "look at the observer; the site answers the others",
        "ask the service from elsewhere; if it answers, look at this observer's network"},
    {COMPONENT_EGRESS, "look at the site's gateway; the service answers from elsewhere",
        "ask the service from elsewhere; if it answers, look at this site's gateway"},
    {COMPONENT_PATH, "look at the route and the firewalls between the two", NULL},
    {COMPONENT_ZONE, "take the zone out of the balancers", NULL},
};

/* By the count that the headline tells. */
static void advise_on_backend(const struct engine *engine, struct cause *cause)
{
    struct incident *i = &cause->incident;
    struct counts counts = {0};
    count_direct(engine, cause, &counts);
    if (counts.direct_all < 2) return;
    if (counts.direct_ok == 0)
        snprintf(i->advice, sizeof i->advice,
            "look at this server and at what it shares with the others: none of them answers");
    else if (counts.direct_ok + 1 < counts.direct_all)
        snprintf(i->advice, sizeof i->advice,
            "look at this server; it is not the only one, %u of %u backends answer", counts.direct_ok,
            counts.direct_all);
    else
        snprintf(i->advice, sizeof i->advice, "look at this server; the others answer");
}

static void describe_matrix(struct engine *engine, struct cause *cause)
{
    struct incident *incident = &cause->incident;
    services_text(engine, cause, incident->services, sizeof incident->services);
    if (cause->ground_count == 0 || cause->grounds[0].place == MODEL_NONE) return;
    const struct place *place = &engine->places[cause->grounds[0].place];
    struct counts counts = {0};
    count_through(engine, cause, cause->grounds[0].place, &counts);
    for (uint32_t g = 1; g < cause->ground_count; g++)
        if (cause->grounds[g].place != MODEL_NONE)
            count_through(engine, cause, cause->grounds[g].place, &counts);
    count_direct(engine, cause, &counts);
    if (place->kind == PLACE_BACKEND) count_backend(engine, place->backend, &counts);
    if (cause_is_past(cause)) return; /* the words of the fault stay */
    headline_of(engine, cause, place, &counts);
    incident->ruled_out_count = 0;
    evidence_collect(engine, cause);
    rule_out(engine, cause, place);
}

void describe(struct engine *engine, struct cause *cause, const struct impact_view *view)
{
    struct incident *incident = &cause->incident;
    if (cause->source == CAUSE_MATRIX) describe_matrix(engine, cause);
    if (incident->state == INCIDENT_STATE_RESOLVED) return;
    for (size_t i = 0; i < ARRAY_COUNT(advices); i++)
        if (advices[i].kind == incident->kind)
            snprintf(incident->advice, sizeof incident->advice, "%s",
                (cause->blind || cause->single) && advices[i].alone != NULL ? advices[i].alone
                                                                            : advices[i].text);
    if (incident->kind == COMPONENT_BACKEND) advise_on_backend(engine, cause);
    if (cause->recovered_ms != 0)
        snprintf(incident->advice, sizeof incident->advice,
            "it answers again, but it came back before: resolved when it stays well for %.0f s",
            (double)cause->hold_ms / 1000);
    for (uint32_t s = 0; s < engine->model->service_count; s++) {
        if (incident->impact < IMPACT_USERS_HURT || !cause_touches_service(engine, cause, s)) continue;
        char component[INCIDENT_COMPONENT_SIZE];
        snprintf(component, sizeof component, "service:%s", engine->model->services[s].name);
        if (strcmp(component, incident->component) == 0) continue;
        incident_add_symptom(incident, component,
            incident->impact == IMPACT_USERS_DOWN ? MODE_DOWN : MODE_ERRORS, incident->onset_ms);
    }
    if (cause->capacity_short && view->backends > 0)
        incident_add_evidence(incident, "", "", view->up, view->needed,
            "%u of %u backends are up, %u are needed to carry the load", view->up, view->backends,
            view->needed);
}
