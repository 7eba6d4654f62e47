/* Names by c-ares: the hosts file, a name server of the test's, and resolv.conf when it changes. */
#include <unistd.h>

#include "agent/probe/resolve.h"
#include "common/file.h"
#include "tests/support/scratch.h"
#include "tests/support/unit.h"
#include "tests/unit/agent/probe_fixture.h"

struct asking {
    struct loop *loop;
    struct resolver *resolver;
    size_t answers, wanted, count;
    char first[ADDRESS_TEXT_SIZE], why[128];
    struct loop_timer deadline;
};

static void answered(void *owner, const struct lookup_answer *answer)
{
    struct asking *asking = owner;
    asking->count = answer->count;
    asking->first[0] = '\0';
    if (answer->count > 0) address_text(&answer->addresses[0], asking->first);
    snprintf(asking->why, sizeof asking->why, "%s", answer->why != NULL ? answer->why : "");
    CU_ASSERT(answer->took_us >= 0);
    if (++asking->answers >= asking->wanted) loop_stop(asking->loop);
}

static void give_up(void *owner, int64_t now_ns)
{
    (void)now_ns;
    struct asking *asking = owner;
    CU_FAIL("no answer");
    loop_stop(asking->loop);
}

static void begin(struct asking *asking, const char *resolv_conf)
{
    struct error err;
    *asking = (struct asking){.loop = loop_new(&err), .deadline = {.call = give_up, .owner = asking}};
    asking->resolver = resolver_new(asking->loop, resolv_conf, &err);
    CHECK(asking->resolver != NULL);
}

static void end(struct asking *asking)
{
    resolver_free(asking->resolver);
    loop_free(asking->loop);
}

static void run(struct asking *asking, size_t answers)
{
    struct error err;
    asking->wanted = asking->answers + answers;
    loop_at(asking->loop, &asking->deadline, clock_mono_ns() + DEADLINE_NS);
    CU_ASSERT_EQUAL(loop_run(asking->loop, &err), 0);
    loop_cancel(asking->loop, &asking->deadline);
}

static void ask(struct asking *asking, const char *name)
{
    resolver_lookup(asking->resolver, name, 80, answered, asking);
    run(asking, 1);
}

static void the_hosts_file_answers_without_a_name_server(void)
{
    struct asking asking;
    struct error err;
    begin(&asking, NULL);
    CU_ASSERT_EQUAL(resolver_set_servers(asking.resolver, "127.0.0.1:1", &err), 0);
    ask(&asking, "localhost");
    CU_ASSERT(asking.count >= 1);
    CU_ASSERT(strcmp(asking.first, "127.0.0.1:80") == 0 || strcmp(asking.first, "[::1]:80") == 0);
    end(&asking);
}

static void answers_come_back_exactly_as_the_server_gave_them(void)
{
    struct asking asking;
    struct dns_peer dns;
    struct error err;
    dns_peer_start(&dns, "one.test 127.0.0.9\nmany.test 127.0.0.1 127.0.0.2 127.0.0.3 127.0.0.2 ::1\n"
                         "gone.test NXDOMAIN\nsick.test SERVFAIL\nempty.test");
    begin(&asking, NULL);
    CU_ASSERT_EQUAL(resolver_set_servers(asking.resolver, dns.servers, &err), 0);
    ask(&asking, "one.test");
    CU_ASSERT_EQUAL(asking.count, 1);
    CU_ASSERT_STRING_EQUAL(asking.first, "127.0.0.9:80");
    ask(&asking, "many.test");
    CU_ASSERT_EQUAL(asking.count, 4);
    static const char *const bad[] = {
        "gone.test", "sick.test", "empty.test", "unknown.test", "not a name", "..", ""};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        ask(&asking, bad[i]);
        CU_ASSERT_EQUAL(asking.count, 0);
        CU_ASSERT(asking.why[0] != '\0');
    }
    end(&asking);
    dns_peer_stop(&dns);
}

static void a_mute_server_leaves_the_others_their_answers(void)
{
    struct asking asking;
    struct dns_peer mute, good;
    struct error err;
    dns_peer_start(&mute, "one.test MUTE");
    dns_peer_start(&good, "one.test 127.0.0.9");
    begin(&asking, NULL);
    char servers[80];
    snprintf(servers, sizeof servers, "%s,%s", mute.servers, good.servers);
    CU_ASSERT_EQUAL(resolver_set_servers(asking.resolver, servers, &err), 0);
    ask(&asking, "one.test");
    CU_ASSERT_STRING_EQUAL(asking.first, "127.0.0.9:80");
    end(&asking);
    dns_peer_stop(&mute);
    dns_peer_stop(&good);
}

static void cancelled_and_unfinished_lookups_call_nobody(void)
{
    struct asking asking;
    struct dns_peer dns;
    struct error err;
    dns_peer_start(&dns, "one.test 127.0.0.9\nmute.test MUTE");
    begin(&asking, NULL);
    CU_ASSERT_EQUAL(resolver_set_servers(asking.resolver, dns.servers, &err), 0);
    lookup_cancel(resolver_lookup(asking.resolver, "one.test", 80, answered, &asking));
    lookup_cancel(resolver_lookup(asking.resolver, "localhost", 80, answered, &asking));
    lookup_cancel(NULL);
    resolver_lookup(asking.resolver, "mute.test", 80, answered, &asking);
    ask(&asking, "one.test");
    CU_ASSERT_EQUAL(asking.answers, 1);
    resolver_lookup(asking.resolver, "localhost", 80, answered, &asking); /* not delivered yet */
    end(&asking);
    dns_peer_stop(&dns);
}

static void more_lookups_than_the_bound_fail_at_once(void)
{
    struct asking asking;
    struct dns_peer dns;
    struct error err;
    dns_peer_start(&dns, "mute.test MUTE");
    begin(&asking, NULL);
    CU_ASSERT_EQUAL(resolver_set_servers(asking.resolver, dns.servers, &err), 0);
    for (size_t i = 0; i < RESOLVE_OPEN_MAX; i++)
        resolver_lookup(asking.resolver, "mute.test", 80, answered, &asking);
    ask(&asking, "mute.test");
    CU_ASSERT_STRING_EQUAL(asking.why, "too many lookups under way");
    end(&asking);
    dns_peer_stop(&dns);
}

static void a_changed_resolv_conf_is_read_again(void)
{
    char directory[SCRATCH_SIZE], path[128];
    scratch_make(directory);
    snprintf(path, sizeof path, "%s/resolv.conf", directory);
    struct error err;
    CU_ASSERT_EQUAL(file_write_atomic(path, span_text("nameserver 127.0.0.1\n"), 0644, &err), 0);
    struct asking asking;
    begin(&asking, path);
    CU_ASSERT_EQUAL(resolver_loads(asking.resolver), 1);
    ask(&asking, "localhost");
    CU_ASSERT_EQUAL(resolver_loads(asking.resolver), 1);
    CU_ASSERT_EQUAL(file_write_atomic(path, span_text("nameserver 127.0.0.2\n"), 0644, &err), 0);
    for (int i = 0; i < 400 && resolver_loads(asking.resolver) == 1; i++) { /* it is looked at every 2 s */
        ask(&asking, "localhost");
        usleep(10 * 1000);
    }
    CU_ASSERT_EQUAL(resolver_loads(asking.resolver), 2);
    ask(&asking, "localhost");
    CU_ASSERT(asking.count > 0);
    end(&asking);
    scratch_remove(directory);
}

UNIT_MAIN("probe_resolve",
    {"the hosts file answers without a name server", the_hosts_file_answers_without_a_name_server},
    {"answers come back exactly as the server gave them", answers_come_back_exactly_as_the_server_gave_them},
    {"a mute server leaves the others their answers", a_mute_server_leaves_the_others_their_answers},
    {"cancelled and unfinished lookups call nobody", cancelled_and_unfinished_lookups_call_nobody},
    {"more lookups than the bound fail at once", more_lookups_than_the_bound_fail_at_once},
    {"a changed resolv.conf is read again", a_changed_resolv_conf_is_read_again})
