/* Names to addresses by c-ares on the agent's loop: /etc/hosts, then the servers of resolv.conf, asked anew
 * for every lookup. Nothing blocks but the reading of /etc/hosts. resolv.conf is looked at every two seconds
 * while lookups are made, and read again when it changed. One thread: the loop's. */
#ifndef AGENT_PROBE_RESOLVE_H
#define AGENT_PROBE_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/probe/address.h"
#include "common/error.h"
#include "common/loop.h"

#define RESOLVE_ADDRESSES_MAX 16
#define RESOLVE_OPEN_MAX      512  /* lookups under way, given-up ones included; more fail at once */
#define RESOLVE_TRY_MS        1000 /* until the next server is asked; the second round waits twice as long */
#define RESOLVE_TRIES         2

struct resolver;
struct lookup;

/* Borrowed for the call. */
struct lookup_answer {
    const struct address *addresses; /* in the order of RFC 6724, the best first; none where it failed */
    size_t count;
    const char *why; /* "Domain name not found", …; NULL where there are addresses */
    int64_t took_us;
};
typedef void lookup_call(void *owner, const struct lookup_answer *answer);

/* resolv_conf NULL: /etc/resolv.conf. */
struct resolver *resolver_new(struct loop *loop, const char *resolv_conf, struct error *err);
/* Ends all lookups without calling anybody. */
void resolver_free(struct resolver *resolver);

/* "127.0.0.1:5353,[::1]:53": asks these instead, for tests. They stay whatever resolv.conf says. */
int resolver_set_servers(struct resolver *resolver, const char *servers, struct error *err);

/* Calls back exactly once, never from within this function, unless cancelled. The answer has `port` in its
 * addresses. */
struct lookup *resolver_lookup(
    struct resolver *resolver, const char *name, uint16_t port, lookup_call *call, void *owner);
/* NULL is fine. Never after the callback. */
void lookup_cancel(struct lookup *lookup);

/* How often resolv.conf was read. */
unsigned resolver_loads(const struct resolver *resolver);

#endif
