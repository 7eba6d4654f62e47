#include "agent/probe/resolve.h"

#include <ares.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/check.h"
#include "common/clock.h"

#define RESOLV_CONF     "/etc/resolv.conf"
#define RELOAD_CHECK_NS (2 * INT64_C(1000000000))

/* Generations of c-ares channels: after a reload the old one lives until its last lookup has ended. */
struct channel {
    struct resolver *resolver;
    struct channel *older;
    ares_channel ares;
    struct loop_timer timer;
    unsigned open;
    bool retired;
};

struct lookup {
    struct resolver *resolver;
    struct channel *channel; /* NULL: c-ares is done with it */
    lookup_call *call;       /* NULL: given up */
    void *owner;
    const char *why;
    int64_t start_ns, end_ns;
    uint16_t port;
    bool starting;             /* on the stack of resolver_lookup */
    struct loop_timer deliver; /* for answers that c-ares has at once */
    struct lookup *previous, *next;
    struct address addresses[RESOLVE_ADDRESSES_MAX];
    size_t count;
};

struct resolver {
    struct loop *loop;
    struct channel *channel; /* the newest; older ones hang on it */
    struct lookup *lookups;
    unsigned open, loads;
    char *servers; /* NULL: resolv.conf's */
    char *resolv_conf;
    struct timespec loaded_mtime;
    ino_t loaded_inode;
    int64_t checked_ns;
};

static void channel_ready(void *owner, int fd, unsigned events);

/* c-ares has changed what it waits for. */
static void channel_arm(struct channel *channel)
{
    struct timeval left;
    if (ares_timeout(channel->ares, NULL, &left) == NULL) {
        loop_cancel(channel->resolver->loop, &channel->timer);
        return;
    }
    int64_t wait_ns = (int64_t)left.tv_sec * 1000000000 + (int64_t)left.tv_usec * 1000;
    loop_at(channel->resolver->loop, &channel->timer, clock_mono_ns() + wait_ns);
}

static void channel_socket(void *data, ares_socket_t fd, int readable, int writable)
{
    struct channel *channel = data;
    struct loop *loop = channel->resolver->loop;
    if (!readable && !writable) {
        loop_unwatch(loop, fd);
        return;
    }
    unsigned events = (readable ? LOOP_READ : 0u) | (writable ? LOOP_WRITE : 0u);
    if (loop_change(loop, fd, events, NULL) != 0) loop_watch(loop, fd, events, channel_ready, channel, NULL);
}

static void channel_process(struct channel *channel, ares_socket_t readable, ares_socket_t writable)
{
    channel->open++; /* keeps it while c-ares is on the stack */
    ares_process_fd(channel->ares, readable, writable);
    channel->open--;
    channel_arm(channel);
}

static void channel_ready(void *owner, int fd, unsigned events)
{
    channel_process(owner, (events & (LOOP_READ | LOOP_ERROR)) != 0 ? fd : ARES_SOCKET_BAD,
        (events & LOOP_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
}

static void channel_due(void *owner, int64_t now_ns)
{
    (void)now_ns;
    channel_process(owner, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void channel_free(struct channel *channel)
{
    ares_destroy(channel->ares);
    loop_cancel(channel->resolver->loop, &channel->timer);
    free(channel);
}

static void free_idle_channels(struct resolver *resolver)
{
    for (struct channel **at = &resolver->channel->older; *at != NULL;) {
        struct channel *old = *at;
        if (old->open > 0) {
            at = &old->older;
            continue;
        }
        *at = old->older;
        channel_free(old);
    }
}

static int channel_open(struct resolver *resolver, struct error *err)
{
    struct channel *channel = check_alloc(sizeof *channel);
    channel->resolver = resolver;
    channel->timer.call = channel_due;
    channel->timer.owner = channel;
    struct ares_options options = {.timeout = RESOLVE_TRY_MS,
        .tries = RESOLVE_TRIES,
        .sock_state_cb = channel_socket,
        .sock_state_cb_data = channel,
        .resolvconf_path = resolver->resolv_conf};
    int status = ares_init_options(&channel->ares, &options,
        ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF);
    if (status == ARES_SUCCESS && resolver->servers != NULL) {
        status = ares_set_servers_ports_csv(channel->ares, resolver->servers);
        if (status != ARES_SUCCESS) ares_destroy(channel->ares);
    }
    if (status != ARES_SUCCESS) {
        free(channel);
        return fail(err, ERROR_IO, "resolver: %s", ares_strerror(status));
    }
    channel->older = resolver->channel;
    resolver->channel = channel;
    resolver->loads++;
    return 0;
}

/* Remembers which resolv.conf is in force; whether it is another one than before. */
static bool conf_changed(struct resolver *resolver)
{
    struct stat now = {0};
    if (stat(resolver->resolv_conf, &now) != 0) return false; /* keep what we have */
    bool same = now.st_ino == resolver->loaded_inode && now.st_mtim.tv_sec == resolver->loaded_mtime.tv_sec &&
                now.st_mtim.tv_nsec == resolver->loaded_mtime.tv_nsec;
    resolver->loaded_inode = now.st_ino;
    resolver->loaded_mtime = now.st_mtim;
    return !same;
}

struct resolver *resolver_new(struct loop *loop, const char *resolv_conf, struct error *err)
{
    int status = ares_library_init(ARES_LIB_INIT_ALL);
    if (status != ARES_SUCCESS) {
        fail(err, ERROR_IO, "c-ares: %s", ares_strerror(status));
        return NULL;
    }
    struct resolver *resolver = check_alloc(sizeof *resolver);
    resolver->loop = loop;
    resolver->resolv_conf = check_strdup(resolv_conf != NULL ? resolv_conf : RESOLV_CONF);
    conf_changed(resolver);
    resolver->checked_ns = clock_mono_ns();
    if (channel_open(resolver, err) != 0) {
        resolver_free(resolver);
        return NULL;
    }
    return resolver;
}

static void lookup_free(struct lookup *lookup)
{
    struct resolver *resolver = lookup->resolver;
    if (lookup->previous != NULL)
        lookup->previous->next = lookup->next;
    else
        resolver->lookups = lookup->next;
    if (lookup->next != NULL) lookup->next->previous = lookup->previous;
    loop_cancel(resolver->loop, &lookup->deliver);
    resolver->open--;
    free(lookup);
}

void resolver_free(struct resolver *resolver)
{
    if (resolver == NULL) return;
    for (struct lookup *lookup = resolver->lookups; lookup != NULL; lookup = lookup->next)
        lookup->call = NULL;
    while (resolver->channel != NULL) {
        struct channel *channel = resolver->channel;
        resolver->channel = channel->older;
        channel_free(channel); /* ends its lookups */
    }
    for (struct lookup *lookup = resolver->lookups, *next; lookup != NULL; lookup = next) {
        next = lookup->next;
        lookup_free(lookup); /* those that had only to be delivered */
    }
    free(resolver->servers);
    free(resolver->resolv_conf);
    free(resolver);
    ares_library_cleanup();
}

int resolver_set_servers(struct resolver *resolver, const char *servers, struct error *err)
{
    char *old = resolver->servers;
    resolver->servers = check_strdup(servers);
    if (channel_open(resolver, err) != 0) {
        free(resolver->servers);
        resolver->servers = old;
        return -1;
    }
    free(old);
    return 0;
}

unsigned resolver_loads(const struct resolver *resolver)
{
    return resolver->loads;
}

static void lookup_deliver(void *owner, int64_t now_ns)
{
    (void)now_ns;
    struct lookup *lookup = owner;
    struct lookup_answer answer = {.addresses = lookup->addresses,
        .count = lookup->count,
        .why = lookup->count == 0 ? lookup->why : NULL,
        .took_us = (lookup->end_ns - lookup->start_ns) / 1000};
    lookup_call *call = lookup->call;
    lookup->call = NULL; /* lookup_cancel from within the callback has nothing to do */
    if (call != NULL) call(lookup->owner, &answer);
    lookup_free(lookup);
}

static void copy_addresses(struct lookup *lookup, const struct ares_addrinfo *info)
{
    for (const struct ares_addrinfo_node *node = info->nodes; node != NULL; node = node->ai_next) {
        struct address address;
        if (lookup->count == RESOLVE_ADDRESSES_MAX) break;
        if (!address_from(node->ai_addr, lookup->port, &address)) continue;
        bool known = false;
        for (size_t i = 0; i < lookup->count; i++)
            if (address_compare(&lookup->addresses[i], &address) == 0) known = true;
        if (!known) lookup->addresses[lookup->count++] = address;
    }
}

static void lookup_answered(void *owner, int status, int timeouts, struct ares_addrinfo *info)
{
    (void)timeouts;
    struct lookup *lookup = owner;
    lookup->channel->open--;
    lookup->channel = NULL;
    lookup->end_ns = clock_mono_ns();
    if (status == ARES_SUCCESS) copy_addresses(lookup, info);
    lookup->why = status == ARES_SUCCESS ? "no address of this name" : ares_strerror(status);
    if (info != NULL) ares_freeaddrinfo(info);
    if (lookup->call == NULL)
        lookup_free(lookup);
    else if (lookup->starting)
        loop_at(lookup->resolver->loop, &lookup->deliver, lookup->end_ns);
    else
        lookup_deliver(lookup, lookup->end_ns);
}

static void reload_if_changed(struct resolver *resolver, int64_t now_ns)
{
    free_idle_channels(resolver);
    if (resolver->servers != NULL || now_ns - resolver->checked_ns < RELOAD_CHECK_NS) return;
    resolver->checked_ns = now_ns;
    if (conf_changed(resolver)) channel_open(resolver, NULL); /* failing, the old one serves on */
}

struct lookup *resolver_lookup(
    struct resolver *resolver, const char *name, uint16_t port, lookup_call *call, void *owner)
{
    int64_t now_ns = clock_mono_ns();
    reload_if_changed(resolver, now_ns);
    struct lookup *lookup = check_alloc(sizeof *lookup);
    *lookup = (struct lookup){.resolver = resolver,
        .call = call,
        .owner = owner,
        .start_ns = now_ns,
        .port = port,
        .starting = true,
        .deliver = {.call = lookup_deliver, .owner = lookup},
        .next = resolver->lookups};
    if (lookup->next != NULL) lookup->next->previous = lookup;
    resolver->lookups = lookup;
    if (++resolver->open > RESOLVE_OPEN_MAX) {
        lookup->why = "too many lookups under way";
        lookup->end_ns = now_ns;
        loop_at(resolver->loop, &lookup->deliver, now_ns);
        return lookup;
    }
    struct channel *channel = lookup->channel = resolver->channel;
    channel->open++;
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    ares_getaddrinfo(channel->ares, name, NULL, &hints, lookup_answered, lookup);
    lookup->starting = false;
    channel_arm(channel);
    return lookup;
}

void lookup_cancel(struct lookup *lookup)
{
    if (lookup == NULL || lookup->call == NULL) return;
    lookup->call = NULL;
    if (lookup->channel == NULL) lookup_free(lookup); /* else c-ares still owes its callback */
}
