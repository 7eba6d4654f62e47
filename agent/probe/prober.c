#include "agent/probe/prober.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "agent/probe/lane.h"
#include "agent/probe/schedule.h"
#include "common/check.h"
#include "common/clock.h"

#define COLLECTORS_MAX 8
#define LETTER_BYTES   16

/* A target that at least one collector wants. */
struct entry {
    struct prober *prober;
    struct target *target;
    unsigned wanted_by; /* a bit per collector */
    struct loop_timer tick, burst_tick;
    struct schedule_burst burst;
    int64_t grid_ms; /* the point that the tick is armed for */
    struct lane *lanes;
    size_t lane_count;
    struct lookup *lookup; /* each_address: of the present addresses */
    int64_t lookup_start_ms, lookup_start_ns;
};

struct prober {
    struct lane_context context;
    struct entry **entries; /* by key, ascending */
    size_t count;
    char collectors[COLLECTORS_MAX][LETTER_BYTES];
    size_t collector_count;
    uint64_t random;
    char *credentials_directory;
};

static void entry_tick(void *owner, int64_t now_ns);
static void entry_burst_tick(void *owner, int64_t now_ns);

static struct lane *add_lane(struct entry *entry, const struct address *address)
{
    struct lane_context *context = &entry->prober->context;
    uint64_t spread =
        XXH3_64bits_withSeed(&entry->target->key, sizeof entry->target->key, entry->prober->random);
    struct lane *lane = lane_new(context, entry->target, address, (uint32_t)(spread % LANE_LONG_EACH));
    struct lane **at = &entry->lanes; /* in the order of addresses */
    while (*at != NULL && address != NULL && address_compare(&(*at)->address, address) < 0) at = &(*at)->next;
    lane->next = *at;
    *at = lane;
    entry->lane_count++;
    return lane;
}

static void arm(struct entry *entry)
{
    int64_t wall_ms = clock_wall_ms();
    entry->grid_ms =
        schedule_next_ms(wall_ms, entry->grid_ms, entry->target->interval_ms, entry->target->phase_ms);
    loop_at(entry->prober->context.run.loop, &entry->tick,
        clock_mono_ns() + (entry->grid_ms - wall_ms) * INT64_C(1000000));
}

static struct entry *entry_new(struct prober *prober, struct target *target)
{
    struct entry *entry = check_alloc(sizeof *entry);
    *entry = (struct entry){.prober = prober,
        .target = target,
        .tick = {.call = entry_tick, .owner = entry},
        .burst_tick = {.call = entry_burst_tick, .owner = entry}};
    if (target->broken != NULL || !target->each_address)
        add_lane(entry, NULL);
    else if (target->address.size > 0)
        add_lane(entry, &target->address);
    arm(entry);
    return entry;
}

static void entry_free(struct entry *entry)
{
    struct loop *loop = entry->prober->context.run.loop;
    while (entry->lanes != NULL) {
        struct lane *lane = entry->lanes;
        entry->lanes = lane->next;
        lane_free(lane);
    }
    lookup_cancel(entry->lookup);
    loop_cancel(loop, &entry->tick);
    loop_cancel(loop, &entry->burst_tick);
    target_free(entry->target);
    free(entry);
}

/* ── Each address of a name ── */

static void tell_unresolved(struct entry *entry, int64_t now_ns)
{
    int64_t took_us = (now_ns - entry->lookup_start_ns) / 1000;
    struct probe_result result = {.start_ms = entry->lookup_start_ms,
        .outcome = PROBE_FAIL,
        .error = PROBE_ERROR_RESOLVE,
        .resolve_us = took_us,
        .connect_us = -1,
        .tls_us = -1,
        .first_byte_us = -1,
        .total_us = took_us};
    const struct prober_sink *sink = &entry->prober->context.sink;
    sink->outcome(sink->owner, entry->target->labels, entry->target->label_count, &result, true);
}

static bool contains(const struct lookup_answer *answer, const struct address *address)
{
    for (size_t i = 0; i < answer->count; i++)
        if (address_compare(&answer->addresses[i], address) == 0) return true;
    return false;
}

static bool has_lane(const struct entry *entry, const struct address *address)
{
    for (const struct lane *lane = entry->lanes; lane != NULL; lane = lane->next)
        if (address_compare(&lane->address, address) == 0) return true;
    return false;
}

static void addresses_came(void *owner, const struct lookup_answer *answer)
{
    struct entry *entry = owner;
    entry->lookup = NULL;
    if (answer->count == 0) { /* what was known before is probed on */
        tell_unresolved(entry, clock_mono_ns());
        return;
    }
    for (struct lane *lane = entry->lanes; lane != NULL; lane = lane->next) {
        bool gone = !contains(answer, &lane->address);
        if (gone && !lane->vanished) lane->farewells = LANE_FAREWELLS;
        lane->vanished = gone;
    }
    for (size_t i = 0; i < answer->count; i++) {
        if (has_lane(entry, &answer->addresses[i])) continue;
        if (entry->lane_count == PROBER_ADDRESSES_MAX)
            entry->prober->context.skipped++;
        else
            lane_probe(add_lane(entry, &answer->addresses[i]), 0);
    }
}

/* Asks anew with every tick, beside the probes: a dead name server delays none of them. */
static void look_up(struct entry *entry, int64_t now_ns)
{
    const struct target *target = entry->target;
    if (target->name == NULL || target->broken != NULL) return;
    if (entry->lookup != NULL) {
        if (now_ns - entry->lookup_start_ns < target->timeout_ms * INT64_C(1000000)) return;
        lookup_cancel(entry->lookup);
        entry->lookup = NULL;
        tell_unresolved(entry, now_ns);
    }
    entry->lookup_start_ns = now_ns;
    entry->lookup_start_ms = clock_wall_ms();
    entry->lookup = resolver_lookup(
        entry->prober->context.run.resolver, target->name, target->port, addresses_came, entry);
}

static void drop_vanished(struct entry *entry)
{
    for (struct lane **at = &entry->lanes; *at != NULL;) {
        struct lane *lane = *at;
        if (!lane->vanished || lane->farewells > 0 || !lane_idle(lane)) {
            at = &lane->next;
            continue;
        }
        *at = lane->next;
        entry->lane_count--;
        lane_free(lane);
    }
}

/* ── Time ── */

static void probe_lanes(struct entry *entry, uint32_t flags)
{
    for (struct lane *lane = entry->lanes; lane != NULL; lane = lane->next) {
        if (lane->vanished && flags != 0) continue;
        if (lane->vanished && lane->farewells == 0) continue;
        if (lane->vanished) lane->farewells--;
        lane_probe(lane, flags);
    }
}

static void entry_tick(void *owner, int64_t now_ns)
{
    struct entry *entry = owner;
    arm(entry);
    if (entry->target->each_address) {
        drop_vanished(entry);
        look_up(entry, now_ns);
    }
    probe_lanes(entry, 0);
}

static void arm_burst(struct entry *entry)
{
    int64_t wait_ms = schedule_burst_wait_ms(&entry->burst, clock_mono_ms(), clock_wall_ms());
    if (wait_ms >= 0)
        loop_at(entry->prober->context.run.loop, &entry->burst_tick,
            clock_mono_ns() + wait_ms * INT64_C(1000000));
}

static void entry_burst_tick(void *owner, int64_t now_ns)
{
    (void)now_ns;
    struct entry *entry = owner;
    arm_burst(entry);
    probe_lanes(entry, PROBE_FLAG_BURST);
}

/* ── Plans ── */

static int by_key(const void *a, const void *b)
{
    uint64_t x = (*(struct entry *const *)a)->target->key, y = (*(struct entry *const *)b)->target->key;
    return (x > y) - (x < y);
}

static struct entry *find(const struct prober *prober, size_t count, uint64_t key)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint64_t there = prober->entries[middle]->target->key;
        if (there == key) return prober->entries[middle];
        if (there < key)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* 0: no more collectors fit. */
static unsigned collector_bit(struct prober *prober, const char *letter)
{
    for (size_t i = 0; i < prober->collector_count; i++)
        if (strcmp(prober->collectors[i], letter) == 0) return 1u << i;
    if (prober->collector_count == COLLECTORS_MAX || strlen(letter) >= LETTER_BYTES) return 0;
    snprintf(prober->collectors[prober->collector_count], LETTER_BYTES, "%s", letter);
    return 1u << prober->collector_count++;
}

/* How many targets there would be: those of others, and the new ones. */
static size_t count_after(
    const struct prober *prober, unsigned bit, const struct wire_target *targets, size_t count)
{
    size_t total = count;
    for (size_t i = 0; i < prober->count; i++) total += (prober->entries[i]->wanted_by & ~bit) != 0;
    for (size_t i = 0; i < count; i++) {
        const struct entry *entry = find(prober, prober->count, targets[i].key);
        if (entry != NULL && (entry->wanted_by & ~bit) != 0) total--;
    }
    return total;
}

/* Puts the target into its entry. The same definition leaves everything as it is; another one starts anew. */
static void take_target(struct prober *prober, size_t known, struct target *target, unsigned bit)
{
    struct entry *entry = find(prober, known, target->key);
    for (size_t i = known; entry == NULL && i < prober->count;
         i++) /* twice in one plan: the last one counts */
        if (prober->entries[i]->target->key == target->key) entry = prober->entries[i];
    if (entry == NULL) {
        prober->entries[prober->count] = entry_new(prober, target);
        prober->entries[prober->count++]->wanted_by = bit;
        return;
    }
    entry->wanted_by |= bit;
    if (target_equal(entry->target, target)) {
        target_free(target);
        return;
    }
    struct entry *fresh = entry_new(prober, target);
    fresh->wanted_by = entry->wanted_by;
    for (size_t i = 0; i < prober->count; i++)
        if (prober->entries[i] == entry) prober->entries[i] = fresh;
    entry_free(entry);
}

static void drop_unwanted(struct prober *prober)
{
    size_t kept = 0;
    for (size_t i = 0; i < prober->count; i++) {
        if (prober->entries[i]->wanted_by == 0)
            entry_free(prober->entries[i]);
        else
            prober->entries[kept++] = prober->entries[i];
    }
    prober->count = kept;
}

int prober_plan(struct prober *prober, const char *collector, const struct wire_target *targets, size_t count,
    struct error *err)
{
    unsigned bit = collector_bit(prober, collector);
    if (bit == 0) return fail(err, ERROR_LIMIT, "plans of more than %d collectors", COLLECTORS_MAX);
    if (count > LIMIT_TARGETS_PER_AGENT || count_after(prober, bit, targets, count) > LIMIT_TARGETS_PER_AGENT)
        return fail(err, ERROR_LIMIT, "more than %d targets for this agent", LIMIT_TARGETS_PER_AGENT);
    for (size_t i = 0; i < prober->count; i++) prober->entries[i]->wanted_by &= ~bit;
    size_t known = prober->count;
    prober->entries = check_realloc_array(prober->entries, known + count + 1, sizeof(struct entry *));
    for (size_t i = 0; i < count; i++) take_target(prober, known, target_new(&targets[i]), bit);
    drop_unwanted(prober);
    if (prober->count > 0) qsort(prober->entries, prober->count, sizeof(struct entry *), by_key);
    return 0;
}

void prober_burst(struct prober *prober, const struct wire_burst *burst)
{
    int64_t now_ms = clock_mono_ms();
    for (size_t i = 0; i < burst->key_count; i++) {
        struct entry *entry = find(prober, prober->count, burst->keys[i]);
        if (entry != NULL && schedule_burst_ask(&entry->burst, now_ms, burst->duration_ms, burst->interval_ms,
                                 burst->phase_ms))
            arm_burst(entry);
    }
}

/* ── Life ── */

struct prober *prober_new(struct loop *loop, const struct prober_sink *sink,
    const char *credentials_directory, uint64_t random_seed, struct error *err)
{
    struct prober *prober = check_alloc(sizeof *prober);
    *prober = (struct prober){.context = {.run = {.loop = loop}, .sink = *sink}, .random = random_seed};
    if (credentials_directory != NULL) prober->credentials_directory = check_strdup(credentials_directory);
    struct run_context *run = &prober->context.run;
    run->credentials_directory = prober->credentials_directory;
    run->resolver = resolver_new(loop, NULL, err);
    run->http = run->resolver != NULL ? http_new(loop, err) : NULL;
    if (run->http != NULL) return prober;
    prober_free(prober);
    return NULL;
}

void prober_free(struct prober *prober)
{
    if (prober == NULL) return;
    for (size_t i = 0; i < prober->count; i++) entry_free(prober->entries[i]);
    http_free(prober->context.run.http);
    resolver_free(prober->context.run.resolver);
    free(prober->entries);
    free(prober->credentials_directory);
    free(prober);
}

int prober_set_dns_servers(struct prober *prober, const char *servers, struct error *err)
{
    return resolver_set_servers(prober->context.run.resolver, servers, err);
}

void prober_counts(const struct prober *prober, uint64_t *open, uint64_t *skipped)
{
    *open = prober->context.open;
    *skipped = prober->context.skipped;
}
