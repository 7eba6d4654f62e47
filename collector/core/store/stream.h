/* What is known of one (agent key, incarnation): the sequences received from it and its dictionary. One
 * thread. */
#ifndef COLLECTOR_CORE_STORE_STREAM_H
#define COLLECTOR_CORE_STORE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/core/store/series.h"
#include "proto/received.h"

#define STREAM_KEY_SIZE      64 /* a Z85 public key has 40 */
#define STREAM_DICT_MAX      8192
#define STREAM_PER_KEY_MAX   16
#define STREAM_RECENT_FINALS 16
#define STREAM_PROBE_SERIES  9

/* What an id stands for. Of a probe target: the series of its columns, and when its last outcomes that were
 * final began, so that a LATE that comes after its final one (live before backlog) does not cover it. */
struct dict_entry {
    uint32_t id;
    bool is_probe;
    bool stored; /* in the journal */
    int64_t used_ms;
    char *metric, *labels; /* one allocation */
    union {
        struct series *series;        /* NULL: not looked up yet, or refused */
        struct series **probe_series; /* STREAM_PROBE_SERIES of them */
    };
    int64_t *recent_finals_ms;
    size_t recent_next;
};

struct stream {
    uint32_t number; /* of its row in the journal */
    char key[STREAM_KEY_SIZE];
    uint64_t incarnation;
    struct series_host *host;
    struct received durable; /* what may be acknowledged */
    struct received pending; /* with the open group */
    int64_t seen_ms;
    uint64_t group; /* the open group that it takes part in */
    bool stored;    /* has a row */
    struct table dict;
};

struct streams {
    struct table table;
    uint32_t next_number; /* from 1 */
};

struct stream *streams_find(const struct streams *streams, const char *key, uint64_t incarnation);
struct stream *streams_add(
    struct streams *streams, const char *key, uint64_t incarnation, struct series_host *host);
void streams_remove(struct streams *streams, struct stream *stream); /* frees it */
void streams_fini(struct streams *streams);
size_t streams_of_key(const struct streams *streams, const char *key, struct stream **oldest);

struct dict_entry *stream_entry(const struct stream *stream, uint32_t id);
/* Takes nothing; NULL at STREAM_DICT_MAX. */
struct dict_entry *stream_add_entry(
    struct stream *stream, uint32_t id, const char *metric, const char *labels, int64_t now_ms);
void stream_remove_entry(struct stream *stream, struct dict_entry *entry);
/* Forgets pointers to series, either all or the expired ones. */
void stream_detach(struct stream *stream, bool only_expired);

#endif
