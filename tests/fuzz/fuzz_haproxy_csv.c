/* HAProxy's CSV from a peer that may say anything: every row handed out keeps its promises, and the size of
 * the pieces makes no difference. The first byte of the input is that size. */
#include <string.h>

#include "agent/probe/haproxy_csv.h"
#include "common/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t count;
    uint64_t digest;
};

static void see(void *owner, const struct haproxy_row *row)
{
    struct seen *seen = owner;
    CHECK(row->proxy[0] != '\0' && strlen(row->proxy) <= HAPROXY_NAME_BYTES_MAX);
    CHECK(row->server[0] != '\0' && strlen(row->server) <= HAPROXY_NAME_BYTES_MAX);
    CHECK(strlen(row->address) <= HAPROXY_NAME_BYTES_MAX);
    CHECK(row->state <= BALANCER_SERVER_UNCHECKED && row->sessions >= -1);
    seen->count++;
    for (const char *c = row->server; *c != '\0'; c++) seen->digest = seen->digest * 31 + (uint8_t)*c;
    seen->digest = seen->digest * 31 + (uint64_t)row->state + (uint64_t)row->sessions;
}

static struct seen parse(const uint8_t *data, size_t size, size_t piece)
{
    static struct haproxy_csv csv;
    struct seen seen = {0};
    haproxy_csv_init(&csv, see, &seen);
    for (size_t at = 0; at < size; at += piece)
        haproxy_csv_feed(&csv, span_of(data + at, piece < size - at ? piece : size - at));
    haproxy_csv_end(&csv);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    struct seen pieces = parse(data + 1, size - 1, (size_t)data[0] + 1),
                whole = parse(data + 1, size - 1, size - 1);
    CHECK(pieces.count == whole.count && pieces.digest == whole.digest);
    return 0;
}
