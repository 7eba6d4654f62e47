/* Who is connected: for each key its newest connection. A host's identity is its key and nothing else, since
 * routing ids are chosen by peers. Bounded by the book: only keys that are in it get a row. One thread. */
#ifndef COLLECTOR_LINK_PEERS_H
#define COLLECTOR_LINK_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/keys.h"
#include "proto/limits.h"

#define ROUTE_BYTES_MAX 255

/* libzmq's name for a connection. */
struct route {
    uint8_t bytes[ROUTE_BYTES_MAX];
    uint8_t size;
};

struct peer {
    char key[KEYS_TEXT_SIZE];
    char host[LIMIT_HOST_BYTES + 1];
    uint64_t generation; /* of the book in which the key was found last */
    uint64_t connection; /* number of the newest connection, 0 none */
    struct route route;  /* of that connection, or of the last one */
    struct route old;    /* of the connection before: what it still sends does not bring it back */
    int64_t heard_ms;    /* monotonic */
    int64_t wrong_since_ms;
    unsigned wrong_count; /* wrong frames since then */
    int64_t ignored_until_ms;
};

/* Zeroed is empty. Rows move when one is added or removed: keep no pointer across either. */
struct peers {
    struct peer **slots; /* open addressing, linear probing, at most half full */
    size_t slot_count, count;
};

void peers_fini(struct peers *peers);
struct peer *peers_find(const struct peers *peers, const char *key); /* NULL if absent */
struct peer *peers_add(struct peers *peers, const char *key);        /* finds or makes */
/* Removes every row for which `gone` says so. */
void peers_remove_if(struct peers *peers, bool (*gone)(void *owner, struct peer *peer), void *owner);
void peers_each(const struct peers *peers, void (*call)(void *owner, struct peer *peer), void *owner);

bool route_equal(const struct route *a, const struct route *b);

#endif
