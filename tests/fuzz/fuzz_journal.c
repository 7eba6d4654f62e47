/* Rows of the journal, as a damaged file could give them, become heads; then the heads travel to a reader.
 * The input is rows: an operation byte, then its fields as varints and texts (varint length, bytes). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/store/heads.h"
#include "collector/core/store/store_inside.h"
#include "collector/core/store/store_read.h"
#include "common/check.h"
#include "common/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOON 1795435200000

static struct span take_bytes(struct cursor *in)
{
    size_t size = (size_t)cursor_varint(in);
    if (size > cursor_left(in)) size = cursor_left(in);
    const uint8_t *bytes = cursor_bytes(in, size);
    return span_of(bytes, bytes != NULL ? size : 0);
}

static char *take_text(struct cursor *in)
{
    struct span bytes = take_bytes(in);
    char *text = check_alloc(bytes.size + 1);
    if (bytes.size > 0) memcpy(text, bytes.data, bytes.size);
    return text;
}

static void visit_stream(struct cursor *in, const struct journal_visitor *visitor)
{
    AUTO_FREE char *key = take_text(in);
    AUTO_FREE char *host = take_text(in);
    struct journal_stream row = {.key = key, .host = host, .number = (uint32_t)cursor_varint(in)};
    row.incarnation = cursor_varint(in);
    row.received.floor = cursor_varint(in) % (1u << 20);
    if (row.number != 0) visitor->stream(visitor->owner, &row, NULL);
}

static void visit_entry(struct cursor *in, const struct journal_visitor *visitor)
{
    AUTO_FREE char *metric = take_text(in);
    AUTO_FREE char *labels = take_text(in);
    struct journal_entry row = {.metric = metric, .labels = labels, .stream = (uint32_t)cursor_varint(in)};
    row.id = (uint32_t)cursor_varint(in);
    visitor->entry(visitor->owner, &row, NULL);
}

static void visit_frame(struct cursor *in, const struct journal_visitor *visitor, uint64_t serial)
{
    struct journal_frame row = {.serial = serial, .stream = (uint32_t)cursor_varint(in), .arrival_ms = NOON};
    row.bytes = take_bytes(in);
    visitor->frame(visitor->owner, &row, NULL);
}

static void read_heads(const struct store *store)
{
    AUTO(buffer_fini) struct buffer heads = {0};
    AUTO(arena_fini) struct arena arena = {0};
    const struct store_selector selector = {.metric = "disk_reads_total", .from_ms = 0, .to_ms = NOON * 2};
    struct heads_reader reader;
    struct heads_host host;
    if (store_heads(store, &selector, &heads, NULL) != 0) return;
    CHECK(heads_reader_init(&reader, buffer_span(&heads), NULL) == 0);
    int more;
    while ((more = heads_next(&reader, &arena, &host, NULL)) == 1) continue;
    CHECK(more == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store store = {.lock = -1, .retention_days = 14, .group = 1, .now_ms = NOON};
    store.registry.series_max = store.registry.series_per_host_max = 100;
    struct replay replay = {.store = &store, .arena.bytes_max = LIMIT_DECODE_BYTES};
    const struct journal_visitor visitor = replay_visitor(&replay);
    struct cursor in = cursor_of(span_of(data, size));
    for (uint64_t serial = 1; cursor_left(&in) > 0 && !in.bad; serial++) switch (cursor_byte(&in) % 3) {
        case 0: visit_stream(&in, &visitor); break;
        case 1: visit_entry(&in, &visitor); break;
        default: visit_frame(&in, &visitor, serial); break;
        }
    replay_fini(&replay);
    read_heads(&store);
    streams_fini(&store.streams);
    registry_fini(&store.registry);
    free(store.touched);
    return 0;
}
