/* The prober as a whole: grid, late answers, bounds, plans, bursts, each address of a name. */
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/probe/lane.h"
#include "tests/support/unit.h"
#include "tests/unit/agent/probe_fixture.h"

#define OK_TEXT "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static size_t count_outcome(const struct bench *bench, enum probe_outcome outcome)
{
    size_t count = 0;
    for (size_t i = 0; i < bench->count; i++) count += bench->rows[i].result.outcome == outcome;
    return count;
}

static size_t count_flag(const struct bench *bench, uint32_t flag)
{
    size_t count = 0;
    for (size_t i = 0; i < bench->count; i++) count += (bench->rows[i].result.flags & flag) != 0;
    return count;
}

static size_t count_address(const struct bench *bench, const char *address)
{
    size_t count = 0;
    for (size_t i = 0; i < bench->count; i++) count += strcmp(bench->rows[i].address, address) == 0;
    return count;
}

static bool several(const struct bench *bench)
{
    return bench->count >= 4;
}

static void probes_begin_on_the_grid_and_every_one_is_told(void)
{
    struct peer peer;
    peer_start(&peer, PEER_TEXT, OK_TEXT);
    struct bench *bench = bench_new();
    struct wire_target target = target_to(peer.url);
    target.phase_ms = 30;
    target.labels[0] = (struct wire_label){"service", "www"};
    target.label_count = 1;
    CU_ASSERT(bench_probe(bench, &target, 1, several));
    for (size_t i = 0; i < bench->count; i++) {
        const struct recorded *row = &bench->rows[i];
        CU_ASSERT_EQUAL(row->result.outcome, PROBE_OK);
        CU_ASSERT_FALSE(row->urgent);
        CU_ASSERT_STRING_EQUAL(row->service, "www");
        CU_ASSERT_EQUAL(row->label_count, 1);
        CU_ASSERT_EQUAL(row->result.flags, 0);
        if (i > 0) CU_ASSERT(row->result.start_ms > bench->rows[i - 1].result.start_ms);
        /* Never before the grid; how long after it is the machine's business. */
        if (i > 0) {
            int64_t slot = (row->result.start_ms - 30) / 100,
                    before = (bench->rows[i - 1].result.start_ms - 30) / 100;
            CU_ASSERT(slot > before);
        }
    }
    uint64_t open, skipped;
    prober_counts(bench->prober, &open, &skipped);
    CU_ASSERT(open <= 1);
    bench_fini(bench);
    peer_stop(&peer);
}

static bool two_finals(const struct bench *bench)
{
    return count_outcome(bench, PROBE_FAIL) >= 2;
}

static void a_late_answer_is_told_at_once_and_again_when_it_ends(void)
{
    struct peer peer;
    peer_start(&peer, PEER_SILENT, NULL);
    struct bench *bench = bench_new();
    struct wire_target target = target_to(peer.url);
    target.interval_ms = 400;
    target.late_after_ms = 20;
    target.timeout_ms = 200;
    CU_ASSERT(bench_probe(bench, &target, 1, two_finals));
    const struct recorded *late = &bench->rows[0], *final = NULL;
    for (size_t i = 1; i < bench->count && final == NULL; i++)
        if (bench->rows[i].result.start_ms == late->result.start_ms) final = &bench->rows[i];
    CU_ASSERT_EQUAL(late->result.outcome, PROBE_LATE);
    CU_ASSERT_EQUAL(late->result.error, PROBE_ERROR_NONE);
    CU_ASSERT(late->urgent);
    CU_ASSERT(late->result.total_us >= 20 * 1000);
    CU_ASSERT(late->result.connect_us >= 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(final);
    CU_ASSERT_EQUAL(final->result.outcome, PROBE_FAIL);
    CU_ASSERT_EQUAL(final->result.error, PROBE_ERROR_NO_ANSWER);
    CU_ASSERT(final->urgent);
    CU_ASSERT(final->result.total_us >= 200 * 1000);
    bench_fini(bench);
    peer_stop(&peer);
}

static bool a_late_one_ended_well(const struct bench *bench)
{
    return count_outcome(bench, PROBE_OK) >= 1;
}

static void a_late_answer_that_comes_is_ok_and_urgent(void)
{
    struct peer peer;
    peer_start(&peer, PEER_TRICKLE, OK_TEXT); /* about 100 ms */
    struct bench *bench = bench_new();
    struct wire_target target = target_to(peer.url);
    target.interval_ms = 1000;
    target.late_after_ms = 1;
    CU_ASSERT(bench_probe(bench, &target, 1, a_late_one_ended_well));
    CU_ASSERT_EQUAL(bench->rows[0].result.outcome, PROBE_LATE);
    const struct recorded *last = &bench->rows[bench->count - 1];
    CU_ASSERT_EQUAL(last->result.outcome, PROBE_OK);
    CU_ASSERT(last->urgent);
    bench_fini(bench);
    peer_stop(&peer);
}

static bool patience_seen(const struct bench *bench)
{
    return count_outcome(bench, PROBE_OK) >= 2;
}

static void one_in_ten_waits_longer(void)
{
    struct peer peer;
    peer_start(&peer, PEER_TRICKLE, OK_TEXT); /* about 100 ms */
    struct bench *bench = bench_new();
    struct wire_target target = target_to(peer.url);
    target.timeout_ms = 10;
    target.long_timeout_ms = PATIENT_MS;
    CU_ASSERT(bench_probe(bench, &target, 1, patience_seen));
    size_t regular = 0, patient = 0, between = 0;
    for (size_t i = 0; i < bench->count; i++) {
        const struct probe_result *result = &bench->rows[i].result;
        if (result->flags != 0) continue;
        regular++;
        if (result->outcome == PROBE_OK) patient++;
        if (patient == 1) between++;
    }
    CU_ASSERT_EQUAL(patient, 2);
    CU_ASSERT(regular >= 10 && between <= 14);
    bench_fini(bench);
    peer_stop(&peer);
}

static size_t open_descriptors(void)
{
    size_t count = 0;
    for (int fd = 0; fd < 1024; fd++) count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static bool many(const struct bench *bench)
{
    return bench->count >= 24;
}

static void descriptors_are_given_back(void)
{
    struct peer peers[4];
    static const enum peer_manner manners[] = {PEER_TEXT, PEER_SILENT, PEER_RESET, PEER_STALL};
    struct wire_target targets[4];
    struct bench *bench = bench_new();
    size_t before = open_descriptors();
    for (size_t i = 0; i < 4; i++) {
        peer_start(&peers[i], manners[i], OK_TEXT);
        targets[i] = target_to(peers[i].url);
        targets[i].key = i + 1;
        targets[i].timeout_ms = 30;
        targets[i].phase_ms = (uint32_t)i * 20;
    }
    CU_ASSERT(bench_probe(bench, targets, 4, many));
    struct error err;
    CU_ASSERT_EQUAL(prober_plan(bench->prober, "A", NULL, 0, &err), 0);
    uint64_t open, skipped;
    prober_counts(bench->prober, &open, &skipped);
    CU_ASSERT_EQUAL(open, 0);
    CU_ASSERT(open_descriptors() <= before + 1); /* libcurl's own */
    bench_fini(bench);
    for (size_t i = 0; i < 4; i++) peer_stop(&peers[i]);
}

static bool two_skipped(const struct bench *bench)
{
    uint64_t open, skipped;
    prober_counts(bench->prober, &open, &skipped);
    return skipped >= 2;
}

static void three_of_a_target_are_open_at_most_and_the_others_are_counted(void)
{
    struct peer peer, beat;
    peer_start(&peer, PEER_SILENT, NULL);
    peer_start(&beat, PEER_TEXT, OK_TEXT);
    struct bench *bench = bench_new();
    struct wire_target targets[] = {target_to(peer.url), target_to(beat.url)};
    targets[1].key = 2;
    CU_ASSERT(bench_probe(bench, targets, 2, two_skipped));
    uint64_t open, skipped;
    prober_counts(bench->prober, &open, &skipped);
    CU_ASSERT(open == 3 || open == 4); /* of the other target one may be open */
    bench_fini(bench);
    peer_stop(&peer);
    peer_stop(&beat);
}

static bool some_bursts(const struct bench *bench)
{
    return count_flag(bench, PROBE_FLAG_BURST) >= 3 && bench->count >= 8;
}

static void a_failure_is_confirmed_and_a_lasting_one_not_for_ever(void)
{
    char url[64];
    snprintf(url, sizeof url, "http://%s:%u/", peer_host(), peer_free_port());
    struct bench *bench = bench_new();
    struct wire_target target = target_to(url);
    target.interval_ms = 300;
    CU_ASSERT(bench_probe(bench, &target, 1, some_bursts));
    CU_ASSERT_EQUAL(count_flag(bench, PROBE_FLAG_BURST), 3);
    CU_ASSERT_EQUAL(bench->rows[0].result.flags, 0);
    CU_ASSERT_EQUAL(bench->rows[1].result.flags, PROBE_FLAG_BURST);
    int64_t gap = bench->rows[1].result.start_ms - bench->rows[0].result.start_ms;
    CU_ASSERT(gap >= 249);
    CU_ASSERT(bench->rows[0].urgent);
    bench_fini(bench);
}

static bool five_bursts(const struct bench *bench)
{
    return count_flag(bench, PROBE_FLAG_BURST) >= 5;
}

static void a_burst_probes_more_often_and_within_its_bound(void)
{
    struct peer peer;
    peer_start(&peer, PEER_TEXT, OK_TEXT);
    struct bench *bench = bench_new();
    struct error err;
    struct wire_target target = target_to(peer.url);
    target.interval_ms = 60000;
    CU_ASSERT_EQUAL(prober_plan(bench->prober, "A", &target, 1, &err), 0);
    uint64_t keys[] = {1, 99};
    struct wire_burst burst = {
        .keys = keys, .key_count = 2, .duration_ms = 60000, .interval_ms = 1, .phase_ms = 7};
    prober_burst(bench->prober, &burst);
    CU_ASSERT(bench_run(bench, five_bursts));
    int64_t slot = 0; /* of the grid of 100 ms, the least interval there is */
    for (size_t i = 0; i < bench->count; i++) {
        if (bench->rows[i].result.flags != PROBE_FLAG_BURST) continue; /* the turn of the minute */
        CU_ASSERT((bench->rows[i].result.start_ms - 7) / 100 > slot);
        slot = (bench->rows[i].result.start_ms - 7) / 100;
    }
    bench_fini(bench);
    peer_stop(&peer);
}

static bool both_seen(const struct bench *bench)
{
    bool one = false, two = false;
    for (size_t i = 0; i < bench->count; i++) {
        one |= strcmp(bench->rows[i].service, "one") == 0;
        two |= strcmp(bench->rows[i].service, "two") == 0;
    }
    return one && two;
}

static bool four(const struct bench *bench)
{
    return bench->count >= 4;
}

static void plans_of_several_collectors_are_one_union(void)
{
    struct peer peer;
    peer_start(&peer, PEER_TEXT, OK_TEXT);
    struct bench *bench = bench_new();
    struct error err;
    struct wire_target targets[2] = {target_to(peer.url), target_to(peer.url)};
    targets[0].key = 11;
    targets[0].labels[0] = (struct wire_label){"service", "one"};
    targets[1].key = 5;
    targets[1].labels[0] = (struct wire_label){"service", "two"};
    targets[0].label_count = targets[1].label_count = 1;
    CU_ASSERT_EQUAL(prober_plan(bench->prober, "A", targets, 2, &err), 0);
    CU_ASSERT_EQUAL(prober_plan(bench->prober, "B", &targets[1], 1, &err), 0);
    CU_ASSERT(bench_run(bench, both_seen));
    CU_ASSERT_EQUAL(prober_plan(bench->prober, "A", NULL, 0, &err), 0); /* B still wants the second */
    bench->count = 0;
    CU_ASSERT(bench_run(bench, four));
    for (size_t i = 0; i < bench->count; i++) CU_ASSERT_STRING_EQUAL(bench->rows[i].service, "two");
    for (size_t i = 1; i < bench->count; i++) /* once per interval, not once per collector */
        CU_ASSERT(bench->rows[i].result.start_ms / 100 > bench->rows[i - 1].result.start_ms / 100);
    bench_fini(bench);
    peer_stop(&peer);
}

static bool three(const struct bench *bench)
{
    return bench->count >= 3;
}

static void no_two_probes_of_a_series_have_the_same_start(void)
{
    struct peer peer;
    peer_start(&peer, PEER_DROP, NULL);
    char url[64];
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", peer.port);
    struct bench *bench = bench_new();
    struct wire_target wanted = target_to(url);
    wanted.probe = PROBE_TCP;
    wanted.timeout_ms = 20;
    struct target *target = target_new(&wanted);
    struct lane_context context = {
        .run = {.loop = bench->loop}, .sink = {.owner = bench, .outcome = bench_outcome}};
    struct lane *lane = lane_new(&context, target, NULL, 1);
    lane_probe(lane, 0);
    lane_probe(lane, PROBE_FLAG_BURST);
    lane_probe(lane, PROBE_FLAG_BURST);
    CU_ASSERT(bench_run(bench, three));
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < i; k++)
            CU_ASSERT(bench->rows[i].result.start_ms != bench->rows[k].result.start_ms);
    lane_free(lane);
    target_free(target);
    bench_fini(bench);
    peer_stop(&peer);
}

static void a_plan_with_too_many_targets_changes_nothing(void)
{
    struct bench *bench = bench_new();
    struct error err;
    size_t count = LIMIT_TARGETS_PER_AGENT + 1;
    struct wire_target *targets = check_alloc_array(count, sizeof *targets);
    for (size_t i = 0; i < count; i++) {
        targets[i] = target_to("tcp://127.0.0.1:1");
        targets[i].probe = PROBE_TCP;
        targets[i].key = i + 1;
        targets[i].interval_ms = 3600 * 1000;
        targets[i].phase_ms = (uint32_t)i;
    }
    CU_ASSERT_EQUAL(prober_plan(bench->prober, "A", targets, count, &err), -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_LIMIT);
    CU_ASSERT_EQUAL(prober_plan(bench->prober, "A", targets, count - 1, &err), 0);
    CU_ASSERT_EQUAL(prober_plan(bench->prober, "B", targets, count - 1, &err), 0);
    CU_ASSERT_EQUAL(prober_plan(bench->prober, "B", &targets[1], count - 1, &err), -1); /* one more in all */
    CU_ASSERT_EQUAL(prober_plan(bench->prober, "A", &targets[1], count - 2, &err), 0);
    free(targets);
    bench_fini(bench);
}

static void open_probes_of_all_targets_are_bounded(void)
{
    struct peer peer;
    peer_start(&peer, PEER_DROP, NULL);
    struct bench *bench = bench_new();
    char url[64];
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", peer.port);
    size_t count = PROBER_OPEN_MAX + 50;
    struct wire_target *targets = check_alloc_array(count, sizeof *targets);
    for (size_t i = 0; i < count; i++) {
        targets[i] = target_to(url);
        targets[i].probe = PROBE_TCP;
        targets[i].key = i + 1;
        targets[i].late_after_ms = 1;
    }
    CU_ASSERT(bench_probe(bench, targets, count, two_skipped));
    uint64_t open, skipped;
    prober_counts(bench->prober, &open, &skipped);
    CU_ASSERT_EQUAL(open, PROBER_OPEN_MAX);
    free(targets);
    bench_fini(bench);
    peer_stop(&peer);
}

/* ── Names ── */

static char first_address[32], second_address[32];

static bool both_addresses(const struct bench *bench)
{
    return count_address(bench, first_address) >= 2 && count_address(bench, second_address) >= 2;
}

static bool first_goes_on(const struct bench *bench)
{
    return count_address(bench, first_address) >= 6;
}

static bool unresolved_and_probed_on(const struct bench *bench)
{
    size_t unresolved = 0;
    for (size_t i = 0; i < bench->count; i++)
        unresolved += bench->rows[i].result.error == PROBE_ERROR_RESOLVE;
    return unresolved >= 2 && count_address(bench, first_address) >= 2;
}

static void each_address_is_probed_until_it_has_left_the_answer(void)
{
    struct peer one, two;
    struct dns_peer dns;
    struct error err;
    peer_start_at(&one, "127.0.0.1", 0, PEER_TEXT, OK_TEXT);
    peer_start_at(&two, "127.0.0.2", one.port, PEER_TEXT, OK_TEXT);
    dns_peer_start(&dns, "lb.test 127.0.0.2 127.0.0.1");
    snprintf(first_address, sizeof first_address, "127.0.0.1:%u", one.port);
    snprintf(second_address, sizeof second_address, "127.0.0.2:%u", one.port);
    char url[64];
    snprintf(url, sizeof url, "http://lb.test:%u/", one.port);
    struct bench *bench = bench_new();
    CU_ASSERT_EQUAL(prober_set_dns_servers(bench->prober, dns.servers, &err), 0);
    struct wire_target target = target_to(url);
    target.each_address = true;
    target.labels[0] = (struct wire_label){"service", "www"};
    target.label_count = 1;
    CU_ASSERT(bench_probe(bench, &target, 1, both_addresses));
    for (size_t i = 0; i < bench->count; i++) {
        CU_ASSERT_EQUAL(bench->rows[i].label_count, 2);
        CU_ASSERT_EQUAL(bench->rows[i].result.outcome, PROBE_OK);
        CU_ASSERT_EQUAL(bench->rows[i].result.resolve_us, -1);
    }

    /* It leaves the answer: a probe that was under way when the answer came, then three more. */
    dns_peer_say(&dns, "lb.test 127.0.0.1");
    bench->count = 0;
    CU_ASSERT(bench_run(bench, first_goes_on));
    size_t farewells = count_address(bench, second_address);
    CU_ASSERT(farewells >= 3 && farewells <= 5);

    /* Names fail: told without an address, and what was known is probed on. */
    dns_peer_say(&dns, "lb.test SERVFAIL");
    bench->count = 0;
    CU_ASSERT(bench_run(bench, unresolved_and_probed_on));
    for (size_t i = 0; i < bench->count; i++)
        if (bench->rows[i].result.error == PROBE_ERROR_RESOLVE) {
            CU_ASSERT_STRING_EQUAL(bench->rows[i].address, "");
            CU_ASSERT(bench->rows[i].urgent);
        }
    bench_fini(bench);
    dns_peer_stop(&dns);
    peer_stop(&one);
    peer_stop(&two);
}

static bool one_final(const struct bench *bench)
{
    return count_outcome(bench, PROBE_FAIL) + count_outcome(bench, PROBE_OK) > 0;
}

static void names_that_do_not_resolve_end_with_resolve(void)
{
    static const char *const rows[] = {"x.test NXDOMAIN", "x.test SERVFAIL", "x.test MUTE", "x.test"};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct dns_peer dns;
        struct error err;
        dns_peer_start(&dns, rows[i]);
        struct bench *bench = bench_new();
        CU_ASSERT_EQUAL(prober_set_dns_servers(bench->prober, dns.servers, &err), 0);
        struct wire_target target = target_to("http://x.test:1/");
        if (i == 2) target.timeout_ms = 100;
        CU_ASSERT(bench_probe(bench, &target, 1, one_final));
        CU_ASSERT_EQUAL(bench->rows[0].result.error, PROBE_ERROR_RESOLVE);
        CU_ASSERT_EQUAL(bench->rows[0].result.connect_us, -1);
        bench_fini(bench);
        dns_peer_stop(&dns);
    }
}

static void connect_may_be_a_name_while_the_host_stays(void)
{
    struct peer peer;
    struct dns_peer dns;
    struct error err;
    peer_start(&peer, PEER_ECHO, NULL);
    dns_peer_start(&dns, "app1.test 127.0.0.1");
    struct bench *bench = bench_new();
    CU_ASSERT_EQUAL(prober_set_dns_servers(bench->prober, dns.servers, &err), 0);
    char connect[64];
    snprintf(connect, sizeof connect, "app1.test:%u", peer.port);
    struct wire_target target = target_to("http://www.example.com/");
    target.connect = connect;
    target.expect_text = "Host: www.example.com\r\n";
    CU_ASSERT(bench_probe(bench, &target, 1, one_final));
    CU_ASSERT_EQUAL(bench->rows[0].result.error, PROBE_ERROR_NONE);
    CU_ASSERT(bench->rows[0].result.resolve_us >= 0);
    bench_fini(bench);
    dns_peer_stop(&dns);
    peer_stop(&peer);
}

static void a_refusing_address_is_followed_by_the_next_one(void)
{
    struct peer peer;
    struct dns_peer dns;
    struct error err;
    peer_start(&peer, PEER_TEXT, OK_TEXT); /* on 127.0.0.1 only */
    dns_peer_start(&dns, "two.test 127.0.0.3 127.0.0.1");
    char http[64], tcp[64];
    snprintf(http, sizeof http, "http://two.test:%u/", peer.port);
    snprintf(tcp, sizeof tcp, "tcp://two.test:%u", peer.port);
    struct wire_target targets[] = {target_to(http), target_to(tcp)};
    targets[1].probe = PROBE_TCP;
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = bench_new();
        CU_ASSERT_EQUAL(prober_set_dns_servers(bench->prober, dns.servers, &err), 0);
        CU_ASSERT(bench_probe(bench, &targets[i], 1, one_final));
        CU_ASSERT_EQUAL(bench->rows[0].result.error, PROBE_ERROR_NONE);
        CU_ASSERT(bench->rows[0].result.connect_us >= 0);
        bench_fini(bench);
    }
    dns_peer_stop(&dns);
    peer_stop(&peer);
}

static void without_descriptors_it_is_the_observers_own_trouble(void)
{
    struct peer peer;
    peer_start(&peer, PEER_TEXT, OK_TEXT);
    char tcp[64];
    snprintf(tcp, sizeof tcp, "tcp://127.0.0.1:%u", peer.port);
    struct wire_target targets[] = {target_to(peer.url), target_to(tcp)};
    targets[1].probe = PROBE_TCP;
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = bench_new();
        struct rlimit limit, few;
        CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        int next = dup(0);
        close(next);
        few = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = limit.rlim_max};
        CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
        CU_ASSERT(bench_probe(bench, &targets[i], 1, one_final));
        CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        CU_ASSERT_EQUAL(bench->rows[0].result.error, PROBE_ERROR_LOCAL);
        bench->count = 0;
        CU_ASSERT(bench_run(bench, a_late_one_ended_well)); /* and it goes on when there are some again */
        bench_fini(bench);
    }
    peer_stop(&peer);
}

UNIT_MAIN("probe_prober",
    {"probes begin on the grid and every one is told", probes_begin_on_the_grid_and_every_one_is_told},
    {"a late answer is told at once, and again when it ends",
        a_late_answer_is_told_at_once_and_again_when_it_ends},
    {"a late answer that comes is ok and urgent", a_late_answer_that_comes_is_ok_and_urgent},
    {"one in ten waits longer", one_in_ten_waits_longer},
    {"descriptors are given back", descriptors_are_given_back},
    {"three of a target are open at most, and the others are counted",
        three_of_a_target_are_open_at_most_and_the_others_are_counted},
    {"a failure is confirmed, and a lasting one not for ever",
        a_failure_is_confirmed_and_a_lasting_one_not_for_ever},
    {"a burst probes more often, within its bound", a_burst_probes_more_often_and_within_its_bound},
    {"plans of several collectors are one union", plans_of_several_collectors_are_one_union},
    {"no two probes of a series have the same start", no_two_probes_of_a_series_have_the_same_start},
    {"a plan with too many targets changes nothing", a_plan_with_too_many_targets_changes_nothing},
    {"open probes of all targets are bounded", open_probes_of_all_targets_are_bounded},
    {"each address is probed until it has left the answer",
        each_address_is_probed_until_it_has_left_the_answer},
    {"names that do not resolve end with resolve", names_that_do_not_resolve_end_with_resolve},
    {"a refusing address is followed by the next one", a_refusing_address_is_followed_by_the_next_one},
    {"without descriptors it is the observer's own trouble",
        without_descriptors_it_is_the_observers_own_trouble},
    {"connect may be a name while the host stays", connect_may_be_a_name_while_the_host_stays})
