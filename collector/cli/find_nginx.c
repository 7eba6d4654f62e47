#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "collector/cli/find.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/url.h"

#define WORDS_MAX    32
#define DEPTH_MAX    16 /* of blocks */
#define INCLUDES_MAX 4  /* of includes in includes */

enum block { BLOCK_OTHER, BLOCK_SERVER, BLOCK_UPSTREAM, BLOCK_LOCATION, BLOCK_LOCATION_ROOT };

struct reader {
    struct find_balancer *balancer;
    find_include *include;
    void *owner;
    enum block blocks[DEPTH_MAX];
    size_t depth;
    struct find_front *front; /* inside server */
    struct find_pool *pool;   /* inside upstream */
};

/* The next word into out; returns what ended the directive so far: ';', '{', '}', 'w' for a word, 0 at the
 * end. */
static char next_word(const char **text, char *out, size_t size)
{
    const char *at = *text;
    for (;;) {
        while (isspace((unsigned char)*at)) at++;
        if (*at != '#') break;
        at += strcspn(at, "\n");
    }
    size_t used = 0;
    char quote = *at == '"' || *at == '\'' ? *at : '\0';
    if (*at == '\0' || *at == ';' || *at == '{' || *at == '}') {
        *text = *at != '\0' ? at + 1 : at;
        return *at;
    }
    if (quote != '\0') at++;
    while (*at != '\0' &&
           (quote != '\0' ? *at != quote : !isspace((unsigned char)*at) && *at != ';' && *at != '{')) {
        if (*at == '$' && at[1] == '{' && used + 1 < size) out[used++] = *at++; /* ${name} is no block */
        if (*at == '\\' && at[1] != '\0') at++;
        if (used + 1 < size) out[used++] = *at;
        at++;
    }
    if (quote != '\0' && *at == quote) at++;
    out[used] = '\0';
    *text = at;
    return 'w';
}

static enum block inside(const struct reader *reader)
{
    return reader->depth > 0 && reader->depth <= DEPTH_MAX ? reader->blocks[reader->depth - 1] : BLOCK_OTHER;
}

static struct find_pool *add_pool(struct reader *reader, const char *name)
{
    struct find_balancer *balancer = reader->balancer;
    if (balancer->pool_count == FIND_POOLS_MAX) return NULL;
    struct find_pool *pool = &balancer->pools[balancer->pool_count++];
    *pool = (struct find_pool){.http = true};
    snprintf(pool->name, sizeof pool->name, "%s", name);
    return pool;
}

static void open_block(struct reader *reader, char words[][256], size_t count)
{
    enum block block = BLOCK_OTHER;
    struct find_balancer *balancer = reader->balancer;
    if (strcmp(words[0], "server") == 0 && balancer->front_count < FIND_FRONTS_MAX) {
        block = BLOCK_SERVER;
        reader->front = &balancer->fronts[balancer->front_count++];
        *reader->front = (struct find_front){.http = true};
    } else if (strcmp(words[0], "upstream") == 0 && count > 1) {
        block = BLOCK_UPSTREAM;
        reader->pool = add_pool(reader, words[1]);
    } else if (strcmp(words[0], "location") == 0) {
        block = count == 2 && strcmp(words[1], "/") == 0 ? BLOCK_LOCATION_ROOT : BLOCK_LOCATION;
    }
    if (reader->depth < DEPTH_MAX) reader->blocks[reader->depth] = block;
    reader->depth++;
}

static void close_block(struct reader *reader)
{
    if (reader->depth == 0) return;
    enum block block = inside(reader);
    if (block == BLOCK_SERVER) {
        if (reader->front != NULL &&
            reader->front->bind_count == 0) /* ngx_http_core_module, listen: *:80 by default */
            reader->front->binds[reader->front->bind_count++] = (struct find_bind){.port = 80};
        reader->front = NULL;
    }
    if (block == BLOCK_UPSTREAM) reader->pool = NULL;
    reader->depth--;
}

static bool has_word(char words[][256], size_t count, const char *word)
{
    for (size_t i = 2; i < count; i++)
        if (strcmp(words[i], word) == 0) return true;
    return false;
}

static void take_listen(struct reader *reader, char words[][256], size_t count)
{
    struct find_front *front = reader->front;
    struct find_bind bind = {.tls = has_word(words, count, "ssl")};
    if (front->bind_count == FIND_BINDS_MAX || strncmp(words[1], "unix:", 5) == 0) return;
    if (!find_parse_address(words[1], bind.host, &bind.port)) { /* an address alone is port 80 */
        bind.port = 80;
        snprintf(bind.host, sizeof bind.host, "%s", words[1]);
    }
    front->binds[front->bind_count++] = bind;
}

/* "server app1:8080 weight=2 down;" of an upstream. */
static void take_server(struct reader *reader, char words[][256], size_t count)
{
    struct find_pool *pool = reader->pool;
    struct find_server server = {.disabled = has_word(words, count, "down"), .port = 80};
    if (pool->server_count == FIND_SERVERS_MAX || strncmp(words[1], "unix:", 5) == 0) return;
    if (!find_parse_address(words[1], server.host, &server.port))
        snprintf(server.host, sizeof server.host, "%s", words[1]);
    if (server.host[0] != '\0') pool->servers[pool->server_count++] = server;
}

/* proxy_pass to an upstream by name, or to one server by its address. */
static void take_proxy_pass(struct reader *reader, const char *url)
{
    struct find_front *front = reader->front;
    struct url_parts parts;
    bool at_root = inside(reader) == BLOCK_LOCATION_ROOT;
    if (front == NULL || (front->pool[0] != '\0' && !at_root) || strchr(url, '$') != NULL) return;
    if (url_split(url, &parts, NULL) != 0) return;
    /* The upstream may stand further down: names are resolved when all is read. */
    if (parts.port == 0)
        snprintf(
            front->pool, sizeof front->pool, "%.*s", (int)parts.host.size, (const char *)parts.host.data);
    else
        snprintf(front->pool, sizeof front->pool, "%.*s:%u", (int)parts.host.size,
            (const char *)parts.host.data, parts.port);
    struct find_pool *known = NULL;
    for (size_t i = 0; i < reader->balancer->pool_count; i++)
        if (strcmp(reader->balancer->pools[i].name, front->pool) == 0) known = &reader->balancer->pools[i];
    bool tls = span_equal(parts.scheme, span_text("https"));
    if (known == NULL && parts.port != 0 && (known = add_pool(reader, front->pool)) != NULL) {
        struct find_server server = {.port = parts.port, .tls = tls};
        snprintf(
            server.host, sizeof server.host, "%.*s", (int)parts.host.size, (const char *)parts.host.data);
        known->servers[known->server_count++] = server;
    }
}

static void parse(struct reader *reader, const char *text, size_t includes);

static void directive(struct reader *reader, char words[][256], size_t count, size_t includes)
{
    if (count < 2) return;
    if (strcmp(words[0], "include") == 0 && includes < INCLUDES_MAX) {
        AUTO_FREE char *text = reader->include != NULL ? reader->include(reader->owner, words[1]) : NULL;
        if (text != NULL) parse(reader, text, includes + 1);
    } else if (strcmp(words[0], "listen") == 0 && inside(reader) == BLOCK_SERVER && reader->front != NULL) {
        take_listen(reader, words, count);
    } else if (strcmp(words[0], "server_name") == 0 && reader->front != NULL && strcmp(words[1], "_") != 0) {
        /* Patterns are no names that a probe could ask for. */
        if (strpbrk(words[1], "*~^$") == NULL)
            snprintf(reader->front->name, sizeof reader->front->name, "%s", words[1]);
    } else if (strcmp(words[0], "server") == 0 && reader->pool != NULL) {
        take_server(reader, words, count);
    } else if (strcmp(words[0], "proxy_pass") == 0) {
        take_proxy_pass(reader, words[1]);
    }
}

static void parse(struct reader *reader, const char *text, size_t includes)
{
    char words[WORDS_MAX][256];
    size_t count = 0;
    for (;;) {
        char word[256];
        char end = next_word(&text, word, sizeof word);
        if (end == '\0') return;
        if (end == 'w') {
            if (count < WORDS_MAX) memcpy(words[count++], word, sizeof word);
            continue;
        }
        if (count == 0) words[0][0] = '\0';
        if (end == '{') open_block(reader, words, count);
        if (end == ';' && count > 0) directive(reader, words, count, includes);
        if (end == '}') close_block(reader);
        count = 0;
    }
}

void find_parse_nginx(const char *text, find_include *include, void *owner, struct find_balancer *balancer)
{
    balancer->program = "nginx";
    struct reader reader = {.balancer = balancer, .include = include, .owner = owner};
    parse(&reader, text, 0);
}
