#include <string.h>

#include "agent/sample/parse.h"
#include "agent/sample/source.h"

/* Columns of /proc/net/dev: bytes packets errs drop fifo frame compressed multicast, received and then sent.
 */
enum column { BYTES, PACKETS, ERRORS, DROPS, SENT = 8, COLUMN_COUNT = 16 };

/* Ends of containers' cables come and go by the hundred; what flows through them is seen on the bridge. */
static bool interface_is_reported(const char *name)
{
    return strncmp(name, "veth", 4) != 0;
}

static bool parse_line(const char *line, const struct sample_sink *sink)
{
    while (*line == ' ') line++;
    size_t n = strcspn(line, ":\n");
    char name[64];
    if (n == 0 || n >= sizeof name || line[n] != ':') return false;
    memcpy(name, line, n);
    name[n] = '\0';
    line += n + 1;
    uint64_t v[COLUMN_COUNT];
    for (int i = 0; i < COLUMN_COUNT; i++)
        if (!parse_u64(&line, &v[i])) return false;
    if (!interface_is_reported(name)) return true;
    const struct wire_label label = {.name = "interface", .value = name};
    const struct {
        enum metric metric;
        uint64_t value;
    } out[] = {
        {METRIC_network_received_bytes, v[BYTES]},
        {METRIC_network_received_packets, v[PACKETS]},
        {METRIC_network_received_errors, v[ERRORS] + v[DROPS]},
        {METRIC_network_sent_bytes, v[SENT + BYTES]},
        {METRIC_network_sent_packets, v[SENT + PACKETS]},
        {METRIC_network_sent_errors, v[SENT + ERRORS] + v[SENT + DROPS]},
    };
    for (size_t i = 0; i < sizeof out / sizeof out[0]; i++)
        sink->value(sink->owner, out[i].metric, &label, 1, parse_clamp(out[i].value));
    return true;
}

size_t network_parse(const char *text, const struct sample_sink *sink)
{
    size_t skipped = 0;
    for (const char *line = text; line != NULL && *line != '\0'; line = parse_next_line(line)) {
        if (memchr(line, '|', strcspn(line, "\n")) != NULL) continue; /* the two header lines */
        if (!parse_line_is_whole(line) || !parse_line(line, sink)) skipped++;
    }
    return skipped;
}

/* /proc/net/snmp: a line of names, then a line of values, per protocol. */
size_t tcp_parse(const char *text, const struct sample_sink *sink)
{
    const char *names = NULL;
    for (const char *line = text; line != NULL && *line != '\0'; line = parse_next_line(line)) {
        if (strncmp(line, "Tcp:", 4) != 0) continue;
        if (names == NULL) {
            names = line + 4;
            continue;
        }
        const char *values = line + 4;
        char name[48], value[48];
        while (parse_word(&names, name, sizeof name) && parse_word(&values, value, sizeof value)) {
            if (strcmp(name, "RetransSegs") != 0) continue;
            const char *c = value;
            uint64_t segments;
            if (!parse_line_is_whole(line) || !parse_u64(&c, &segments) || *c != '\0') return 1;
            source_emit(sink, METRIC_tcp_retransmits_total, segments);
            return 0;
        }
        return 1;
    }
    return 1;
}
