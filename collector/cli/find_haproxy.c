#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/cli/find.h"
#include "common/check.h"
#include "common/cleanup.h"

#define WORDS_MAX 64

/* Where the parser is: a "listen" is a front and a pool of one name. */
struct section {
    struct find_front *front; /* NULL outside */
    struct find_pool *pool;
    bool defaults;
};

struct reader {
    struct find_balancer *balancer;
    struct section section;
    bool default_http;
    bool default_tls; /* default-server ssl */
};

/* Splits a line into words as HAProxy does: quotes, backslashes, comments (configuration manual,
 * section 2.2). */
static size_t split(char *line, char *words[static WORDS_MAX])
{
    size_t count = 0;
    char *to = line;
    while (count < WORDS_MAX) {
        while (isspace((unsigned char)*line)) line++;
        if (*line == '\0' || *line == '#') break;
        words[count++] = to;
        for (char quote = '\0'; *line != '\0' && (quote != '\0' || !isspace((unsigned char)*line)); line++) {
            if (*line == '\\' && quote != '\'' && line[1] != '\0')
                *to++ = *++line;
            else if (quote != '\0' && *line == quote)
                quote = '\0';
            else if (quote == '\0' && (*line == '"' || *line == '\''))
                quote = *line;
            else if (quote == '\0' && *line == '#')
                break;
            else
                *to++ = *line;
        }
        bool comment = *line == '#', end = *line == '\0';
        if (!end && !comment) line++;
        *to++ = '\0';
        if (end || comment) break;
    }
    return count;
}

static bool has_word(char *const *words, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0) return true;
    return false;
}

static void begin_section(struct reader *reader, char *const *words, size_t count)
{
    struct find_balancer *balancer = reader->balancer;
    const char *name = count > 1 ? words[1] : "";
    bool listen = strcmp(words[0], "listen") == 0;
    reader->section = (struct section){.defaults = strcmp(words[0], "defaults") == 0};
    if (reader->section.defaults) {
        reader->default_http = false; /* HAProxy's own default is tcp */
        reader->default_tls = false;
    }
    if ((listen || strcmp(words[0], "frontend") == 0) && balancer->front_count < FIND_FRONTS_MAX) {
        struct find_front *front = &balancer->fronts[balancer->front_count++];
        *front = (struct find_front){.http = reader->default_http};
        snprintf(front->name, sizeof front->name, "%s", name);
        if (listen) snprintf(front->pool, sizeof front->pool, "%s", name);
        reader->section.front = front;
    }
    if ((listen || strcmp(words[0], "backend") == 0) && balancer->pool_count < FIND_POOLS_MAX) {
        struct find_pool *pool = &balancer->pools[balancer->pool_count++];
        *pool = (struct find_pool){.http = reader->default_http};
        snprintf(pool->name, sizeof pool->name, "%s", name);
        reader->section.pool = pool;
    }
}

static void take_mode(struct reader *reader, char *const *words, size_t count)
{
    bool http = count > 1 && strcmp(words[1], "http") == 0;
    if (reader->section.defaults) reader->default_http = http;
    if (reader->section.front != NULL) reader->section.front->http = http;
    if (reader->section.pool != NULL) reader->section.pool->http = http;
}

static void take_bind(struct reader *reader, char *const *words, size_t count)
{
    struct find_front *front = reader->section.front;
    if (front == NULL || count < 2) return;
    char *save = NULL;
    for (char *one = strtok_r(words[1], ",", &save); one != NULL; one = strtok_r(NULL, ",", &save)) {
        struct find_bind bind = {.tls = has_word(words, count, "ssl")};
        if (strncmp(one, "ipv4@", 5) == 0 || strncmp(one, "ipv6@", 5) == 0) one += 5;
        if (front->bind_count < FIND_BINDS_MAX && find_parse_address(one, bind.host, &bind.port))
            front->binds[front->bind_count++] = bind;
    }
}

static void take_backend(struct reader *reader, char *const *words, size_t count)
{
    if (reader->section.front != NULL && count > 1)
        snprintf(reader->section.front->pool, sizeof reader->section.front->pool, "%s", words[1]);
}

static void take_default_server(struct reader *reader, char *const *words, size_t count)
{
    if (reader->section.defaults) reader->default_tls = has_word(words, count, "ssl");
}

static void take_server(struct reader *reader, char *const *words, size_t count)
{
    struct find_pool *pool = reader->section.pool;
    if (pool == NULL || count < 3 || pool->server_count == FIND_SERVERS_MAX) return;
    struct find_server server = {.tls = reader->default_tls || has_word(words + 3, count - 3, "ssl"),
        .disabled = has_word(words + 3, count - 3, "disabled")};
    snprintf(server.name, sizeof server.name, "%s", words[1]);
    if (find_parse_address(words[2], server.host, &server.port) && server.host[0] != '\0')
        pool->servers[pool->server_count++] = server;
}

/* "option httpchk", "option httpchk /path", "option httpchk GET /path HTTP/1.1". */
static void take_option(struct reader *reader, char *const *words, size_t count)
{
    if (reader->section.pool == NULL || count < 3 || strcmp(words[1], "httpchk") != 0) return;
    const char *path = words[count > 3 ? 3 : 2];
    if (path[0] == '/')
        snprintf(reader->section.pool->health, sizeof reader->section.pool->health, "%s", path);
}

/* "http-check send meth GET uri /healthz". */
static void take_http_check(struct reader *reader, char *const *words, size_t count)
{
    for (size_t i = 2; reader->section.pool != NULL && i + 1 < count; i++)
        if (strcmp(words[i], "uri") == 0 && words[i + 1][0] == '/')
            snprintf(reader->section.pool->health, sizeof reader->section.pool->health, "%s", words[i + 1]);
}

static void take_stats(struct reader *reader, char *const *words, size_t count)
{
    struct find_balancer *balancer = reader->balancer;
    const struct find_front *front = reader->section.front;
    if (front == NULL || front->bind_count == 0 || count < 2) return;
    bool first = balancer->stats.port == 0;
    if (first) {
        balancer->stats = front->binds[0];
        snprintf(balancer->stats_path, sizeof balancer->stats_path,
            "/haproxy?stats"); /* unless "stats uri" says another */
    }
    if (strcmp(words[1], "uri") == 0 && count > 2)
        snprintf(balancer->stats_path, sizeof balancer->stats_path, "%s", words[2]);
    if (strcmp(words[1], "auth") == 0) balancer->stats_login = true;
}

static const struct {
    const char *word;
    void (*take)(struct reader *reader, char *const *words, size_t count);
} keywords[] = {
    {"defaults", begin_section},
    {"frontend", begin_section},
    {"backend", begin_section},
    {"listen", begin_section},
    {"global", begin_section},
    {"peers", begin_section},
    {"resolvers", begin_section},
    {"userlist", begin_section},
    {"mailers", begin_section},
    {"cache", begin_section},
    {"program", begin_section},
    {"mode", take_mode},
    {"bind", take_bind},
    {"default_backend", take_backend},
    {"default-server", take_default_server},
    {"server", take_server},
    {"option", take_option},
    {"http-check", take_http_check},
    {"stats", take_stats},
};

void find_parse_haproxy(const char *text, struct find_balancer *balancer)
{
    balancer->program = "haproxy";
    struct reader reader = {.balancer = balancer};
    AUTO_FREE char *copy = check_strdup(text);
    char *rest = copy;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        char *words[WORDS_MAX];
        size_t count = split(line, words);
        for (size_t i = 0; count > 0 && i < ARRAY_COUNT(keywords); i++)
            if (strcmp(words[0], keywords[i].word) == 0) keywords[i].take(&reader, words, count);
    }
}
