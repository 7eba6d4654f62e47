#include "agent/probe/haproxy_csv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

#define FIELDS_MAX  256
#define TYPE_SERVER "2"

static const char *const column_names[] = {[HAPROXY_PROXY] = "pxname",
    [HAPROXY_SERVER] = "svname",
    [HAPROXY_SESSIONS] = "scur",
    [HAPROXY_STATUS] = "status",
    [HAPROXY_TYPE] = "type",
    [HAPROXY_ADDRESS] = "addr"};
static_assert(ARRAY_COUNT(column_names) == HAPROXY_COLUMN_COUNT, "a name per column");

/* By how the text begins: behind it stand counts ("UP 1/3": on its way down, still used) and reasons. NOLB is
 * a server that answers its check with 404 under disable-on-404, or is soft-stopped: no new work, as in a
 * drain. */
static const struct {
    const char *begins;
    enum balancer_server_state state;
} states[] = {
    {"UP", BALANCER_SERVER_UP},
    {"DOWN", BALANCER_SERVER_DOWN},
    {"NOLB", BALANCER_SERVER_DRAINING},
    {"DRAIN", BALANCER_SERVER_DRAINING},
    {"MAINT", BALANCER_SERVER_MAINTENANCE},
    {"no check", BALANCER_SERVER_UNCHECKED},
};

enum balancer_server_state haproxy_state(const char *status)
{
    for (size_t i = 0; i < ARRAY_COUNT(states); i++)
        if (strncmp(status, states[i].begins, strlen(states[i].begins)) == 0) return states[i].state;
    return BALANCER_SERVER_UNKNOWN;
}

void haproxy_csv_init(struct haproxy_csv *csv, haproxy_row_call *call, void *owner)
{
    csv->call = call;
    csv->owner = owner;
    csv->has_header = csv->in_quotes = csv->overlong = false;
    csv->size = csv->left_out = 0;
    for (size_t i = 0; i < HAPROXY_COLUMN_COUNT; i++) csv->columns[i] = -1;
}

/* Cuts the line in place; "a ""quoted"" field" loses its quotes. Returns how many fields there are. */
static size_t split(char *line, char *fields[static FIELDS_MAX])
{
    size_t count = 0;
    char *read = line;
    while (count < FIELDS_MAX) {
        char *write = read;
        bool quoted = false;
        fields[count++] = write;
        for (; *read != '\0' && (quoted || *read != ','); read++) {
            if (*read != '"') {
                *write++ = *read;
            } else if (quoted && read[1] == '"') {
                *write++ = '"';
                read++;
            } else {
                quoted = !quoted;
            }
        }
        bool last = *read == '\0';
        *write = '\0';
        if (last) break;
        read++;
    }
    return count;
}

static void read_header(struct haproxy_csv *csv, char *fields[static FIELDS_MAX], size_t count)
{
    for (size_t f = 0; f < count; f++)
        for (size_t c = 0; c < HAPROXY_COLUMN_COUNT; c++)
            if (strcmp(fields[f], column_names[c]) == 0 && csv->columns[c] < 0) csv->columns[c] = (int)f;
    csv->has_header = csv->columns[HAPROXY_PROXY] >= 0 && csv->columns[HAPROXY_SERVER] >= 0 &&
                      csv->columns[HAPROXY_STATUS] >= 0 && csv->columns[HAPROXY_TYPE] >= 0;
}

static bool name_ok(const char *name)
{
    size_t size = 0;
    for (; name[size] != '\0'; size++)
        if (name[size] <= ' ' || name[size] > '~' || size >= HAPROXY_NAME_BYTES_MAX) return false;
    return size > 0;
}

static int64_t count_of(const char *text)
{
    char *end;
    long long value = strtoll(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' ? value : -1;
}

static void read_server(struct haproxy_csv *csv, char *fields[static FIELDS_MAX], size_t count)
{
    const char *values[HAPROXY_COLUMN_COUNT];
    for (size_t c = 0; c < HAPROXY_COLUMN_COUNT; c++)
        values[c] = csv->columns[c] >= 0 && (size_t)csv->columns[c] < count ? fields[csv->columns[c]] : "";
    if (strcmp(values[HAPROXY_TYPE], TYPE_SERVER) != 0) {
        csv->left_out += values[HAPROXY_TYPE][0] == '\0';
        return; /* a frontend, a backend as a whole, a listener */
    }
    if (!name_ok(values[HAPROXY_PROXY]) || !name_ok(values[HAPROXY_SERVER])) {
        csv->left_out++;
        return;
    }
    struct haproxy_row row = {.proxy = values[HAPROXY_PROXY],
        .server = values[HAPROXY_SERVER],
        .address = name_ok(values[HAPROXY_ADDRESS]) ? values[HAPROXY_ADDRESS] : "",
        .state = haproxy_state(values[HAPROXY_STATUS]),
        .sessions = count_of(values[HAPROXY_SESSIONS])};
    csv->call(csv->owner, &row);
}

static void end_line(struct haproxy_csv *csv)
{
    if (csv->size > 0 && csv->line[csv->size - 1] == '\r') csv->size--;
    csv->line[csv->size] = '\0';
    if (csv->overlong) {
        csv->left_out++;
    } else if (csv->size > 0) {
        char *fields[FIELDS_MAX];
        bool header = strncmp(csv->line, "# ", 2) == 0;
        size_t count = split(csv->line + (header ? 2 : 0), fields);
        if (header && !csv->has_header)
            read_header(csv, fields, count);
        else if (!header && csv->has_header)
            read_server(csv, fields, count);
    }
    csv->size = 0;
    csv->overlong = csv->in_quotes = false;
}

void haproxy_csv_feed(struct haproxy_csv *csv, struct span piece)
{
    for (size_t i = 0; i < piece.size; i++) {
        char c = (char)piece.data[i];
        if (c == '\n' && (!csv->in_quotes || csv->overlong)) {
            end_line(csv);
            continue;
        }
        if (c == '"') csv->in_quotes = !csv->in_quotes;
        if (csv->size == HAPROXY_LINE_BYTES_MAX - 1)
            csv->overlong = true;
        else
            csv->line[csv->size++] = c != '\0' ? c : ' ';
    }
}

bool haproxy_csv_end(struct haproxy_csv *csv)
{
    end_line(csv);
    return csv->has_header;
}
