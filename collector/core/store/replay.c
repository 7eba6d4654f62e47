/* After a restart: streams, dictionaries and heads come back from the journal. */
#include <stdlib.h>
#include <string.h>

#include "collector/core/store/store_inside.h"
#include "common/arena.h"
#include "common/check.h"

static int replay_stream(void *owner, const struct journal_stream *row, struct error *err)
{
    struct replay *replay = owner;
    (void)err;
    if (strlen(row->key) >= STREAM_KEY_SIZE || !wire_host_ok(row->host) ||
        streams_find(&replay->store->streams, row->key, row->incarnation) != NULL) {
        replay->unreadable++;
        return 0;
    }
    struct streams *streams = &replay->store->streams;
    uint32_t next = streams->next_number;
    struct stream *stream =
        streams_add(streams, row->key, row->incarnation, registry_host(&replay->store->registry, row->host));
    stream->number = row->number;
    streams->next_number = row->number > next ? row->number : next;
    table_add(&replay->by_number, table_hash_number(row->number), stream);
    stream->durable = stream->pending = row->received;
    stream->seen_ms = row->seen_ms;
    stream->stored = true;
    return 0;
}

static bool has_number(const void *item, const void *key)
{
    const struct stream *stream = item;
    return stream->number == *(const uint32_t *)key;
}

static struct stream *stream_of_number(const struct replay *replay, uint32_t number)
{
    return table_find(&replay->by_number, table_hash_number(number), has_number, &number);
}

static int replay_entry(void *owner, const struct journal_entry *row, struct error *err)
{
    struct replay *replay = owner;
    (void)err;
    struct stream *stream = stream_of_number(replay, row->stream);
    struct dict_entry *entry = NULL;
    if (stream != NULL && stream_entry(stream, row->id) == NULL)
        entry = stream_add_entry(stream, row->id, row->metric, row->labels, replay->store->now_ms);
    if (entry == NULL)
        replay->unreadable++;
    else
        entry->stored = true;
    return 0;
}

static int replay_frame(void *owner, const struct journal_frame *row, struct error *err)
{
    struct replay *replay = owner;
    struct wire_from_agent message;
    (void)err;
    struct stream *stream = stream_of_number(replay, row->stream);
    arena_reset(&replay->arena);
    if (stream == NULL || wire_decode_from_agent(row->bytes, &replay->arena, &message, NULL) != 0 ||
        message.kind != WIRE_BATCH || message.batch.incarnation != stream->incarnation) {
        replay->unreadable++;
        return 0;
    }
    struct store_counts ignored = {0};
    const struct apply_context context = {.store = replay->store,
        .stream = stream,
        .serial = row->serial,
        .arrival_ms = row->arrival_ms,
        .replaying = true,
        .counts = &ignored};
    apply_dictionary(&context, &message.batch);
    apply_batch(&context, &message.batch);
    /* A journal that was taken over from a damaged one may hold a frame whose stream's row is older. */
    received_add(&stream->durable, message.batch.sequence, message.batch.sequence, NULL);
    stream->pending = stream->durable;
    return 0;
}

static void forget_marks(struct registry *registry)
{
    for (size_t i = 0; i < registry->host_count; i++) {
        free(registry->order[i]->marks);
        registry->order[i]->marks = NULL;
        registry->order[i]->mark_count = 0;
    }
}

struct journal_visitor replay_visitor(struct replay *replay)
{
    return (struct journal_visitor){replay, replay_stream, replay_entry, replay_frame};
}

void replay_fini(struct replay *replay)
{
    struct store *store = replay->store;
    forget_marks(&store->registry);
    arena_fini(&replay->arena);
    table_fini(&replay->by_number);
    store->touched_count = 0; /* what the journal holds is no open group */
    store->group++;
}

int store_replay(struct store *store, struct error *err)
{
    struct replay replay = {.store = store, .arena.bytes_max = LIMIT_DECODE_BYTES};
    const struct journal_visitor visitor = replay_visitor(&replay);
    int result = days_load_marks(&store->days, &store->registry, store->now_ms, err);
    if (result == 0) result = journal_replay(store->journal, &visitor, err);
    if (replay.unreadable > 0)
        store_note(store, "%llu rows of the journal could not be read and are left out",
            (unsigned long long)replay.unreadable);
    replay_fini(&replay);
    return result;
}
