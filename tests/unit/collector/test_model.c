#include "collector/core/model/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/model/model_build.h"
#include "collector/core/model/plan.h"
#include "common/check.h"
#include "tests/support/site.h"
#include "tests/support/unit.h"

static struct error err;

static struct model *build(const struct site *site)
{
    struct model *model = model_build(&site->config, site->present, site->present_count, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    return model;
}

static const struct model_target *find(
    const struct model *model, enum model_entrance entrance, enum probe_kind probe, const char *name)
{
    for (uint32_t i = 0; i < model->target_count; i++) {
        const struct model_target *target = &model->targets[i];
        if (target->entrance == entrance && target->probe == probe && strcmp(target->name, name) == 0)
            return target;
    }
    return NULL;
}

static size_t count_of(const struct model *model, enum model_entrance entrance, enum probe_kind probe)
{
    size_t count = 0;
    for (uint32_t i = 0; i < model->target_count; i++)
        count += model->targets[i].entrance == entrance && model->targets[i].probe == probe;
    return count;
}

static void every_entrance_is_probed(void)
{
    struct site *site = site_small(3, 3);
    struct config_service *service = &site->config.services[0];
    service->health = arena_strdup(&site->arena, "/healthz");
    site->config.balancers[0].stats = arena_strdup(&site->arena, "http://127.0.0.1:8404/stats;csv");
    char *references[] = {arena_strdup(&site->arena, "https://example.org/"),
        arena_strdup(&site->arena, "https://example.net/")};
    site->config.sites[0].references = (struct config_text_list){references, 2};
    struct model *model = build(site);
    static const struct {
        enum model_entrance entrance;
        enum probe_kind probe;
        size_t count;
    } cases[] = {{ENTRANCE_USERS, PROBE_HTTP, 1}, {ENTRANCE_USERS, PROBE_TCP, 1},
        {ENTRANCE_HOP, PROBE_HTTP, 1}, {ENTRANCE_HOP, PROBE_TCP, 1}, {ENTRANCE_BACKEND, PROBE_HTTP, 3},
        {ENTRANCE_BACKEND, PROBE_TCP, 3}, {ENTRANCE_HEALTH, PROBE_HTTP, 3},
        {ENTRANCE_REFERENCE, PROBE_HTTP, 2}, {ENTRANCE_STATS, PROBE_HAPROXY_STATS, 1}};
    size_t sum = 0;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CU_ASSERT_EQUAL(count_of(model, cases[i].entrance, cases[i].probe), cases[i].count);
        sum += cases[i].count;
    }
    CU_ASSERT_EQUAL(model->target_count, sum);
    const struct model_target *hop = find(model, ENTRANCE_HOP, PROBE_HTTP, "lb-www");
    CU_ASSERT_STRING_EQUAL(hop->wire.url, "http://127.0.0.1:8080/inbox");
    CU_ASSERT_STRING_EQUAL(hop->wire.connect, "127.0.0.1:8080");
    CU_ASSERT_STRING_EQUAL(hop->address, "127.0.0.1:8080");
    const struct model_target *page = find(model, ENTRANCE_BACKEND, PROBE_HTTP, "app2");
    CU_ASSERT_STRING_EQUAL(page->wire.url, "http://127.0.0.1:8080/inbox");
    CU_ASSERT_STRING_EQUAL(page->wire.connect, "127.0.0.1:9002");
    CU_ASSERT_EQUAL(page->observer_count, 3);
    CU_ASSERT_STRING_EQUAL(
        find(model, ENTRANCE_BACKEND, PROBE_TCP, "app2")->wire.url, "tcp://127.0.0.1:9002");
    CU_ASSERT_STRING_EQUAL(
        find(model, ENTRANCE_HEALTH, PROBE_HTTP, "app1")->wire.url, "http://127.0.0.1:8080/healthz");
    CU_ASSERT_EQUAL(find(model, ENTRANCE_STATS, PROBE_HAPROXY_STATS, "lb-www")->observer_count, 1);
    CU_ASSERT_EQUAL(find(model, ENTRANCE_REFERENCE, PROBE_HTTP, "https://example.net/")->observer_count, 3);
    model_free(model);
    site_free(site);
}

static void tls_in_front_and_overrides_keep_host_and_change_the_way(void)
{
    struct site *site = site_small(1, 3);
    struct arena *arena = &site->arena;
    struct config_service *service = &site->config.services[0];
    service->url = arena_strdup(arena, "https://www.example.com/inbox?q=1");
    service->backends[0].url = arena_strdup(arena, "http://app1:8080");
    char *addresses[] = {
        arena_strdup(arena, "10.0.0.5"), arena_strdup(arena, "10.0.0.6:8443"), arena_strdup(arena, "::1")};
    site->config.balancers[0].addresses = (struct config_text_list){addresses, 3};
    char *headers[] = {arena_strdup(arena, "X-Forwarded-Proto"), arena_strdup(arena, "https")};
    struct model *model = build(site);
    const char *hops[3];
    size_t found = 0;
    for (uint32_t i = 0; i < model->target_count; i++)
        if (model->targets[i].entrance == ENTRANCE_HOP && model->targets[i].probe == PROBE_HTTP && found < 3)
            hops[found++] = model->targets[i].wire.connect;
    CU_ASSERT_EQUAL_FATAL(found, 3);
    CU_ASSERT_STRING_EQUAL(hops[0], "10.0.0.5:443");
    CU_ASSERT_STRING_EQUAL(hops[1], "10.0.0.6:8443");
    CU_ASSERT_STRING_EQUAL(hops[2], "[::1]:443");
    const struct model_target *page = find(model, ENTRANCE_BACKEND, PROBE_HTTP, "app1");
    CU_ASSERT_STRING_EQUAL(page->wire.url, "http://www.example.com/inbox?q=1");
    CU_ASSERT_STRING_EQUAL(page->wire.connect, "app1:8080");
    model_free(model);

    service->through[0].scheme = arena_strdup(arena, "http");
    service->through[0].port = 8081;
    service->through[0].headers = (struct config_text_list){headers, 2};
    model = build(site);
    const struct model_target *hop = find(model, ENTRANCE_HOP, PROBE_HTTP, "lb-www");
    CU_ASSERT_STRING_EQUAL(hop->wire.url, "http://www.example.com/inbox?q=1");
    CU_ASSERT_STRING_EQUAL(hop->wire.connect, "10.0.0.5:8081");
    CU_ASSERT_EQUAL_FATAL(hop->wire.header_count, 1);
    CU_ASSERT_STRING_EQUAL(hop->wire.headers[0].name, "X-Forwarded-Proto");
    model_free(model);

    site->config.balancers[0].addresses_dns = true;
    model = build(site);
    hop = find(model, ENTRANCE_HOP, PROBE_HTTP, "lb-www");
    CU_ASSERT_TRUE(hop->wire.each_address);
    CU_ASSERT_STRING_EQUAL(hop->wire.url, "http://www.example.com:8081/inbox?q=1");
    CU_ASSERT_STRING_EQUAL(hop->wire.connect, "");
    CU_ASSERT_STRING_EQUAL(hop->address, "");
    CU_ASSERT_EQUAL_FATAL(hop->wire.header_count, 2);
    CU_ASSERT_STRING_EQUAL(hop->wire.headers[1].value, "www.example.com");
    model_free(model);
    site_free(site);
}

static void labels_are_ascending_and_lead_back_to_their_target(void)
{
    struct site *site = site_large(10, 12, 40);
    struct model *model = build(site);
    for (uint32_t i = 0; i < model->target_count; i++) {
        const struct wire_target *wire = &model->targets[i].wire;
        for (size_t l = 1; l < wire->label_count; l++)
            CU_ASSERT_TRUE(strcmp(wire->labels[l - 1].name, wire->labels[l].name) < 0);
        CU_ASSERT_EQUAL(model_target_by_labels(model, wire->labels, wire->label_count), i);
        CU_ASSERT_EQUAL(model_target_find(model, model->targets[i].key), i);
    }
    /* What an observer fills in does not hide the target; what nobody knows is nobody's. */
    const struct model_target *users = find(model, ENTRANCE_USERS, PROBE_HTTP, "www1");
    struct wire_label labels[LIMIT_LABELS] = {{"address", "10.0.0.9"}};
    memcpy(labels + 1, users->wire.labels, users->wire.label_count * sizeof *labels);
    CU_ASSERT_EQUAL(model_target_by_labels(model, labels, users->wire.label_count + 1),
        (uint32_t)(users - model->targets));
    labels[0].name = "colour";
    CU_ASSERT_EQUAL(model_target_by_labels(model, labels, users->wire.label_count + 1), MODEL_NONE);
    CU_ASSERT_EQUAL(model_target_by_labels(model, labels, 0), MODEL_NONE);
    CU_ASSERT_EQUAL(model_target_find(model, 12345), MODEL_NONE);
    model_free(model);
    site_free(site);
}

/* Requests a second that the busiest backend of any service gets from all plans together; TCP connects are
 * none. */
static double busiest_backend(const struct model *model)
{
    double most = 0;
    for (uint32_t b = 0; b < model->backend_count; b++) {
        double rate = 0;
        for (uint32_t i = 0; i < model->target_count; i++) {
            const struct model_target *target = &model->targets[i];
            if (target->probe != PROBE_HTTP || target->service != model->backends[b].service) continue;
            double one = target->observer_count * 1e3 / target->wire.interval_ms;
            if (target->entrance == ENTRANCE_BACKEND || target->entrance == ENTRANCE_HEALTH)
                rate += target->backend == b ? one : 0;
            else
                rate += one / model->services[target->service].backend_count;
        }
        if (rate > most) most = rate;
    }
    return most;
}

static void a_backend_gets_at_most_six_requests_a_second_when_quiet(void)
{
    static const struct {
        const char *label;
        size_t services, backends, hosts, addresses;
        uint32_t observers;
        bool health, lb_host;
    } cases[] = {
        {"the issue's bar", 10, 12, 40, 1, 0, true, false},
        {"three of each", 1, 3, 3, 1, 0, true, false},
        {"with the balancer's host", 1, 3, 4, 1, 0, true, true},
        {"one backend", 1, 1, 3, 1, 0, true, true},
        {"two backends, three addresses", 1, 2, 3, 3, 0, true, false},
        {"five observers", 2, 4, 9, 2, 5, true, false},
        {"five observers, one backend", 1, 1, 5, 8, 5, true, false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct site *site = site_large(cases[i].services, cases[i].backends, cases[i].hosts);
        char *addresses[8];
        for (size_t a = 0; a < cases[i].addresses; a++)
            addresses[a] = arena_format(&site->arena, "10.0.0.%zu", a + 1);
        site->config.balancers[0].addresses = (struct config_text_list){addresses, cases[i].addresses};
        if (cases[i].lb_host) site->config.balancers[0].host = 0;
        for (size_t s = 0; s < cases[i].services; s++) {
            site->config.services[s].observers = cases[i].observers;
            if (cases[i].health) site->config.services[s].health = arena_strdup(&site->arena, "/healthz");
        }
        struct model *model = build(site);
        double rate = busiest_backend(model);
        CU_ASSERT_TRUE(rate > 1);
        CU_ASSERT_TRUE(rate <= 6 + 1e-9);
        if (rate > 6 + 1e-9) printf("%s: %.2f a second\n", cases[i].label, rate);
        model_free(model);
        site_free(site);
    }
}

static void three_of_each_probe_as_fast_as_the_budget_allows(void)
{
    struct site *site = site_small(3, 3);
    site->config.services[0].health = arena_strdup(&site->arena, "/healthz");
    struct model *model = build(site);
    CU_ASSERT_EQUAL(find(model, ENTRANCE_USERS, PROBE_HTTP, "www")->wire.interval_ms, 1000);
    CU_ASSERT_EQUAL(find(model, ENTRANCE_HOP, PROBE_HTTP, "lb-www")->wire.interval_ms, 1000);
    CU_ASSERT_EQUAL(find(model, ENTRANCE_BACKEND, PROBE_HTTP, "app1")->wire.interval_ms, 1000);
    CU_ASSERT_EQUAL(find(model, ENTRANCE_HEALTH, PROBE_HTTP, "app1")->wire.interval_ms, 3000);
    model_free(model);
    site_free(site);
}

static void observers_of_a_target_are_spread_over_its_interval(void)
{
    struct site *site = site_small(3, 3);
    struct model *model = build(site);
    for (uint32_t i = 0; i < model->target_count; i++) {
        const struct model_target *target = &model->targets[i];
        for (uint32_t o = 0; o < target->observer_count; o++) {
            CU_ASSERT_TRUE(plan_phase_ms(target, o) < target->wire.interval_ms);
            if (o > 0)
                CU_ASSERT_TRUE(labs((long)plan_phase_ms(target, o) - (long)plan_phase_ms(target, o - 1) -
                                    (long)target->wire.interval_ms / 3) <= 1);
        }
    }
    model_free(model);
    site_free(site);
}

static void observers_are_spread_over_sites_and_zones_and_stay_when_others_come(void)
{
    struct site *site = site_large(10, 3, 40);
    struct model *before = build(site);
    for (uint32_t s = 0; s < before->service_count; s++) {
        const struct model_service *service = &before->services[s];
        CU_ASSERT_EQUAL_FATAL(service->observer_count, 3);
        bool sites[3] = {false};
        for (uint32_t i = 0; i < 3; i++) sites[before->hosts[service->observers[i]].site] = true;
        CU_ASSERT_TRUE(sites[0] && sites[1] && sites[2]);
    }
    CU_ASSERT_TRUE(
        memcmp(before->services[0].observers, before->services[1].observers, 3 * sizeof(uint32_t)) != 0);
    /* One host leaves that observes nothing of the first service: nothing changes there. */
    const struct model_service *first = &before->services[0];
    size_t gone = 0;
    while (gone == first->observers[0] || gone == first->observers[1] || gone == first->observers[2]) gone++;
    const char *name = site->present[gone];
    site->present[gone] = site->present[--site->present_count];
    struct model *after = build(site);
    CU_ASSERT_EQUAL(memcmp(after->services[0].observers, first->observers, 3 * sizeof(uint32_t)), 0);
    size_t moved = 0;
    for (uint32_t s = 0; s < 10; s++)
        for (uint32_t i = 0; i < 3; i++) {
            CU_ASSERT_STRING_NOT_EQUAL(after->hosts[after->services[s].observers[i]].name, name);
            moved += after->services[s].observers[i] != before->services[s].observers[i];
        }
    CU_ASSERT_TRUE(moved <= 10); /* at most that host's own places */
    model_free(before);
    model_free(after);
    site_free(site);
}

static void who_may_observe(void)
{
    static const struct {
        const char *label;
        size_t backends, hosts;   /* hosts: all enrolled */
        size_t backend_on, lb_on; /* host of app1, of lb-www; CONFIG_NONE */
        size_t refused;           /* host with observer: false */
        uint32_t service, app1, app2;
    } cases[] = {
        {"all apart", 2, 3, CONFIG_NONE, CONFIG_NONE, CONFIG_NONE, 3, 3, 3},
        {"a backend's own host is left out", 2, 4, 0, CONFIG_NONE, CONFIG_NONE, 3, 3, 3},
        {"it fills up where others are too few, never on itself", 2, 3, 0, CONFIG_NONE, CONFIG_NONE, 3, 2, 3},
        {"the balancer's agent joins the direct probes", 2, 4, CONFIG_NONE, 1, CONFIG_NONE, 3, 4, 4},
        {"observer: false", 2, 3, CONFIG_NONE, CONFIG_NONE, 1, 2, 2, 2},
        {"alone on one machine it observes itself", 2, 1, 0, CONFIG_NONE, CONFIG_NONE, 1, 1, 1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct site *site = site_small(cases[i].backends, cases[i].hosts);
        site->config.services[0].backends[0].host = cases[i].backend_on;
        site->config.balancers[0].host = cases[i].lb_on;
        if (cases[i].refused != CONFIG_NONE) site->config.hosts[cases[i].refused].observer = false;
        struct model *model = build(site);
        uint32_t service = model->services[0].observer_count;
        uint32_t app1 = find(model, ENTRANCE_BACKEND, PROBE_HTTP, "app1")->observer_count;
        uint32_t app2 = find(model, ENTRANCE_BACKEND, PROBE_HTTP, "app2")->observer_count;
        bool good = service == cases[i].service && app1 == cases[i].app1 && app2 == cases[i].app2;
        CU_ASSERT_TRUE(good);
        if (!good) printf("%s: %u observers, app1 %u, app2 %u\n", cases[i].label, service, app1, app2);
        model_free(model);
        site_free(site);
    }
}

static void hosts_that_are_not_enrolled_are_known_and_do_not_observe(void)
{
    struct site *site = site_small(2, 4);
    const char *present[] = {"o2", "o4", "laptop"};
    struct model *model = model_build(&site->config, present, 3, &err);
    CU_ASSERT_EQUAL(model->host_count, 5);
    CU_ASSERT_EQUAL(model_host_find(model, "o1"), 0);
    CU_ASSERT_EQUAL(model_host_find(model, "laptop"), 4);
    CU_ASSERT_EQUAL(model->hosts[4].site, MODEL_NONE);
    CU_ASSERT_EQUAL(model_host_find(model, "nobody"), MODEL_NONE);
    CU_ASSERT_EQUAL(model->services[0].observer_count, 3);
    for (uint32_t i = 0; i < 3; i++)
        CU_ASSERT_TRUE(model->services[0].observers[i] % 2 == 1 || model->services[0].observers[i] == 4);
    model_free(model);
    model = model_build(&site->config, NULL, 0, &err);
    CU_ASSERT_EQUAL(model->target_count, 0);
    model_free(model);
    site_free(site);
}

static void a_target_keeps_its_key_while_rates_and_observers_change(void)
{
    struct site *site = site_small(3, 3);
    struct model *before = build(site);
    site->config.services[0].health = arena_strdup(&site->arena, "/healthz");
    site->present_count = 2;
    struct model *after = build(site);
    for (uint32_t i = 0; i < before->target_count; i++)
        CU_ASSERT_NOT_EQUAL(model_target_find(after, before->targets[i].key), MODEL_NONE);
    CU_ASSERT_NOT_EQUAL(plan_fingerprint(before), plan_fingerprint(after));
    struct model *again = build(site);
    CU_ASSERT_EQUAL(plan_fingerprint(again), plan_fingerprint(after));
    model_free(again);
    model_free(before);
    model_free(after);
    site_free(site);
}

struct received_plan {
    struct arena arena;
    size_t targets, parts;
    uint32_t announced;
    bool wrong;
};

static void take_part(void *owner, struct span frame)
{
    struct received_plan *plan = owner;
    struct wire_from_collector message;
    if (wire_decode_from_collector(frame, &plan->arena, &message, &err) != 0 || message.kind != WIRE_PLAN ||
        message.plan.part != plan->parts || message.plan.version != 7) {
        plan->wrong = true;
        return;
    }
    plan->parts++;
    plan->announced = message.plan.parts;
    plan->targets += message.plan.target_count;
    for (size_t i = 0; i < message.plan.target_count; i++)
        plan->wrong |= message.plan.targets[i].late_after_ms != 700;
}

static void a_plan_travels_in_parts_that_fit_a_frame(void)
{
    static const struct {
        const char *label;
        size_t services, backends, path_bytes;
    } cases[] = {{"none", 0, 1, 1}, {"one part", 1, 3, 1}, {"many", 20, 60, 1}, {"long URLs", 20, 60, 1500}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct site *site = site_large(cases[i].services, cases[i].backends, 2);
        char path[2000];
        memset(path, 'p', sizeof path);
        path[cases[i].path_bytes] = '\0';
        for (size_t s = 0; s < cases[i].services; s++)
            site->config.services[s].url = arena_format(&site->arena, "http://10.0.0.1/%s", path);
        struct model *model = build(site);
        size_t expected = 0;
        for (uint32_t t = 0; t < model->target_count; t++)
            for (uint32_t o = 0; o < model->targets[t].observer_count; o++)
                expected += model->targets[t].observers[o] == 0;
        uint32_t *late_after_ms = check_alloc_array(model->target_count + 1, sizeof *late_after_ms);
        for (uint32_t t = 0; t < model->target_count; t++) late_after_ms[t] = 700;
        struct received_plan plan = {0};
        int left_out = plan_encode(model, 0, 7, late_after_ms, take_part, &plan, &err);
        CU_ASSERT_FALSE(plan.wrong);
        CU_ASSERT_EQUAL(plan.parts, plan.announced);
        CU_ASSERT_EQUAL(plan.targets + (size_t)left_out, expected);
        CU_ASSERT_EQUAL(
            plan.targets, expected < LIMIT_TARGETS_PER_AGENT ? expected : LIMIT_TARGETS_PER_AGENT);
        arena_fini(&plan.arena);
        free(late_after_ms);
        model_free(model);
        site_free(site);
    }
}

static void urls_are_split(void)
{
    static const struct {
        const char *text, *host;
        uint32_t port;
        const char *rest;
        bool good;
    } cases[] = {
        {"http://app1:8080", "app1", 8080, "/", true},
        {"https://www.example.com/a/b?c#d", "www.example.com", 443, "/a/b?c#d", true},
        {"http://[::1]:81/x", "::1", 81, "/x", true},
        {"http://[::1]/x", "::1", 80, "/x", true},
        {"http:///x", "", 0, "", false},
        {"http://h:0/", "", 0, "", false},
        {"http://h:99999/", "", 0, "", false},
        {"http://h:8x/", "", 0, "", false},
        {"no url", "", 0, "", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct model_url url;
        int rc = model_url_split(cases[i].text, &url, &err);
        CU_ASSERT_EQUAL(rc == 0, cases[i].good);
        if (rc != 0) continue;
        CU_ASSERT_STRING_EQUAL(url.host, cases[i].host);
        CU_ASSERT_STRING_EQUAL(url.rest, cases[i].rest);
        CU_ASSERT_EQUAL(model_url_port(&url), cases[i].port);
    }
}

UNIT_MAIN("model", {"every entrance is probed", every_entrance_is_probed},
    {"TLS in front and overrides keep Host and change the way",
        tls_in_front_and_overrides_keep_host_and_change_the_way},
    {"labels are ascending and lead back to their target",
        labels_are_ascending_and_lead_back_to_their_target},
    {"a backend gets at most six requests a second when quiet",
        a_backend_gets_at_most_six_requests_a_second_when_quiet},
    {"three of each probe as fast as the budget allows", three_of_each_probe_as_fast_as_the_budget_allows},
    {"observers of a target are spread over its interval",
        observers_of_a_target_are_spread_over_its_interval},
    {"observers are spread over sites and zones and stay when others come",
        observers_are_spread_over_sites_and_zones_and_stay_when_others_come},
    {"who may observe", who_may_observe},
    {"hosts that are not enrolled are known and do not observe",
        hosts_that_are_not_enrolled_are_known_and_do_not_observe},
    {"a target keeps its key while rates and observers change",
        a_target_keeps_its_key_while_rates_and_observers_change},
    {"a plan travels in parts that fit a frame", a_plan_travels_in_parts_that_fit_a_frame},
    {"URLs are split", urls_are_split})
