#include "collector/link/peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/check.h"

/* The slot that holds the key, or the free one where it belongs. */
static size_t slot_of(const struct peers *peers, const char *key)
{
    size_t mask = peers->slot_count - 1;
    size_t slot = (size_t)XXH3_64bits(key, strlen(key)) & mask;
    while (peers->slots[slot] != NULL && strcmp(peers->slots[slot]->key, key) != 0) slot = (slot + 1) & mask;
    return slot;
}

/* A table with `slot_count` slots and the rows that `gone` spares. */
static void rebuild(
    struct peers *peers, size_t slot_count, bool (*gone)(void *owner, struct peer *peer), void *owner)
{
    struct peers fresh = {
        .slots = check_alloc_array(slot_count, sizeof *fresh.slots), .slot_count = slot_count};
    for (size_t i = 0; i < peers->slot_count; i++) {
        struct peer *peer = peers->slots[i];
        if (peer == NULL) continue;
        if (gone != NULL && gone(owner, peer)) {
            free(peer);
            continue;
        }
        fresh.slots[slot_of(&fresh, peer->key)] = peer;
        fresh.count++;
    }
    free(peers->slots);
    *peers = fresh;
}

void peers_fini(struct peers *peers)
{
    if (peers == NULL) return;
    for (size_t i = 0; i < peers->slot_count; i++) free(peers->slots[i]);
    free(peers->slots);
    *peers = (struct peers){0};
}

struct peer *peers_find(const struct peers *peers, const char *key)
{
    return peers->count > 0 ? peers->slots[slot_of(peers, key)] : NULL;
}

struct peer *peers_add(struct peers *peers, const char *key)
{
    if (2 * (peers->count + 1) > peers->slot_count)
        rebuild(peers, peers->slot_count > 0 ? 2 * peers->slot_count : 64, NULL, NULL);
    size_t slot = slot_of(peers, key);
    if (peers->slots[slot] != NULL) return peers->slots[slot];
    struct peer *peer = check_alloc(sizeof *peer);
    snprintf(peer->key, sizeof peer->key, "%s", key);
    peers->slots[slot] = peer;
    peers->count++;
    return peer;
}

void peers_remove_if(struct peers *peers, bool (*gone)(void *owner, struct peer *peer), void *owner)
{
    if (peers->count > 0) rebuild(peers, peers->slot_count, gone, owner);
}

void peers_each(const struct peers *peers, void (*call)(void *owner, struct peer *peer), void *owner)
{
    for (size_t i = 0; i < peers->slot_count; i++)
        if (peers->slots[i] != NULL) call(owner, peers->slots[i]);
}

bool route_equal(const struct route *a, const struct route *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}
