#include "collector/cli/setup_write.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

#define NAMES_MAX 256

struct writer {
    const struct find_host *host;
    FILE *out;
    char names[NAMES_MAX][FIND_NAME_SIZE]; /* of services, each once */
    size_t name_count;
    uint16_t told[FIND_LISTENERS_MAX]; /* ports that stand in the config, or that need no word */
    size_t told_count;
};

/* ── Words ── */

/* A double-quoted YAML scalar: what stands in configuration files of others cannot break out of it. */
static void quoted(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') fputc('\\', out);
        fputc(
            (unsigned char)*text < 0x20 || *text == 0x7f || (unsigned char)*text >= 0x80 ? '?' : *text, out);
    }
    fputc('"', out);
}

/* A remark's text: one line, whatever it holds. */
static void remark(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        fputc(
            (unsigned char)*text < 0x20 || *text == 0x7f || (unsigned char)*text >= 0x80 ? '?' : *text, out);
}

static void good_name(const char *text, char out[static FIND_NAME_SIZE])
{
    size_t used = 0;
    for (; *text != '\0' && used + 1 < FIND_NAME_SIZE; text++)
        out[used++] = (char)(isalnum((unsigned char)*text) || strchr("._-", *text) != NULL ? *text : '-');
    out[used] = '\0';
    if (used == 0) snprintf(out, FIND_NAME_SIZE, "unnamed");
}

/* A name that no service has yet: "www", "www-2", … NULL when there are too many. */
static const char *new_name(struct writer *writer, const char *wish)
{
    char base[FIND_NAME_SIZE];
    if (writer->name_count == NAMES_MAX) return NULL;
    good_name(wish, base);
    char *name = writer->names[writer->name_count];
    snprintf(name, FIND_NAME_SIZE, "%s", base);
    for (unsigned n = 2;; n++) {
        bool taken = false;
        for (size_t i = 0; i < writer->name_count; i++) taken = taken || strcmp(writer->names[i], name) == 0;
        if (!taken) break;
        snprintf(name, FIND_NAME_SIZE, "%.56s-%u", base, n);
    }
    writer->name_count++;
    return name;
}

static const char *or_loopback(const char *host)
{
    return host[0] != '\0' ? host : "127.0.0.1";
}

/* scheme://HOST:PORT, the port left out where it is the scheme's. */
static void url(const char *scheme, const char *host, uint16_t port, const char *path, char out[static 512])
{
    bool v6 = strchr(host, ':') != NULL;
    bool usual = (strcmp(scheme, "http") == 0 && port == 80) || (strcmp(scheme, "https") == 0 && port == 443);
    char tail[8] = "";
    if (!usual) snprintf(tail, sizeof tail, ":%u", port);
    snprintf(out, 512, "%s://%s%s%s%s%s", scheme, v6 ? "[" : "", host, v6 ? "]" : "", tail, path);
}

static void told(struct writer *writer, uint16_t port)
{
    if (writer->told_count < FIND_LISTENERS_MAX) writer->told[writer->told_count++] = port;
}

static bool is_told(const struct writer *writer, uint16_t port)
{
    for (size_t i = 0; i < writer->told_count; i++)
        if (writer->told[i] == port) return true;
    return false;
}

/* ── Databases, search servers, caches, web servers: by port or by the name of the process ── */

static const struct known {
    uint16_t port;
    const char *processes; /* " a b ": any of them, on whatever port */
    const char *name, *kind, *scheme, *path;
    const char *remark;
} known_services[] = {
    {5432, " postgres postmaster ", "postgres", "db", "tcp", "",
        "the connection only; SQL comes with a later version"},
    {3306, " mysqld mariadbd ", "mysql", "db", "tcp", "",
        "the connection only; SQL comes with a later version"},
    {6379, " redis-server valkey-server ", "redis", "cache", "tcp", "", "the connection only"},
    {11211, " memcached ", "memcached", "cache", "tcp", "", "the connection only"},
    {9200, " opensearch elasticsearch ", "search", "search", "http", "/_search?q=faultline",
        "CHANGE: a search like those of your users; a status page stays clean on a slow disk"},
    {10041, " groonga ", "groonga", "search", "http", "/d/status",
        "CHANGE: a select like those of your users; a status page stays clean on a slow disk"},
    {0, " apache2 httpd nginx lighttpd caddy ", "web", "web", "http", "/",
        "CHANGE: a real page, as users come"},
};

static bool is_known(const struct known *known, const struct find_listener *listener)
{
    char word[40];
    snprintf(word, sizeof word, " %s ", listener->process);
    if (listener->process[0] != '\0' && strstr(known->processes, word) != NULL) return true;
    /* Whose port it is by custom decides where the process cannot be seen, and for Java's many names. */
    return known->port != 0 && listener->port == known->port;
}

static void write_known(
    struct writer *writer, const struct known *known, const struct find_listener *listener)
{
    const char *name = new_name(writer, known->name);
    if (name == NULL) return;
    bool tls = strcmp(known->scheme, "http") == 0 && (listener->port == 443 || listener->port == 8443);
    char address[512];
    url(tls ? "https" : known->scheme, or_loopback(listener->host), listener->port, known->path, address);
    fprintf(writer->out, "  %s:\n    kind: %s\n    url: ", name, known->kind);
    quoted(writer->out, address);
    fprintf(writer->out, "   # %s\n", known->remark);
    if (tls)
        fputs(
            "    insecure: yes   # CHANGE: with the site's name in the URL its certificate can be checked\n",
            writer->out);
    fprintf(writer->out, "    hosts: [%s]\n", writer->host->name);
    told(writer, listener->port);
}

static void write_known_services(struct writer *writer)
{
    for (size_t i = 0; i < writer->host->listener_count; i++) {
        const struct find_listener *listener = &writer->host->listeners[i];
        for (size_t k = 0; k < ARRAY_COUNT(known_services); k++) {
            if (is_told(writer, listener->port) || !is_known(&known_services[k], listener)) continue;
            write_known(writer, &known_services[k], listener);
        }
    }
}

/* ── Balancers ── */

/* The entrance that users take: one with TLS before one without, and only where somebody listens. */
static const struct find_bind *best_bind(const struct find_host *host, const struct find_front *front)
{
    const struct find_bind *best = NULL;
    for (size_t i = 0; i < front->bind_count; i++) {
        if (find_listener_of(host, front->binds[i].port) == NULL) continue;
        if (best == NULL || (front->binds[i].tls && !best->tls)) best = &front->binds[i];
    }
    return best;
}

/* Whether an earlier front, or one with TLS, leads to the same servers for the same site: plain HTTP beside
 * HTTPS. */
static bool is_doubled(const struct find_host *host, const struct find_balancer *balancer, size_t index)
{
    const struct find_front *front = &balancer->fronts[index];
    const struct find_bind *own = best_bind(host, front);
    for (size_t i = 0; i < balancer->front_count; i++) {
        const struct find_front *other = &balancer->fronts[i];
        const struct find_bind *bind = best_bind(host, other);
        bool same_site = strcmp(balancer->program, "haproxy") == 0 || strcmp(other->name, front->name) == 0;
        if (i == index || bind == NULL || !same_site || strcmp(other->pool, front->pool) != 0) continue;
        if (own != NULL && bind->tls != own->tls ? bind->tls : i < index) return true;
    }
    return false;
}

static bool is_used(const struct find_host *host, const struct find_balancer *balancer, size_t index)
{
    const struct find_front *front = &balancer->fronts[index];
    const struct find_pool *pool = find_pool_of(balancer, front->pool);
    return pool != NULL && pool->server_count > 0 && best_bind(host, front) != NULL &&
           !is_doubled(host, balancer, index);
}

static bool any_used(const struct find_host *host, const struct find_balancer *balancer)
{
    for (size_t i = 0; i < balancer->front_count; i++)
        if (is_used(host, balancer, i)) return true;
    return false;
}

static void write_balancer(struct writer *writer, const struct find_balancer *balancer)
{
    const struct find_host *host = writer->host;
    if (!any_used(host, balancer)) return;
    fprintf(writer->out, "  %s:\n    addresses: [", balancer->program);
    const char *written[FIND_FRONTS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < balancer->front_count; i++) {
        if (!is_used(host, balancer, i)) continue;
        const struct find_bind *bind = best_bind(host, &balancer->fronts[i]);
        CHECK(bind != NULL); /* is_used */
        const char *address = or_loopback(bind->host);
        bool again = false;
        for (size_t k = 0; k < count; k++) again = again || strcmp(written[k], address) == 0;
        if (again) continue;
        if (count > 0) fputs(", ", writer->out);
        char one[300];
        snprintf(one, sizeof one, strchr(address, ':') != NULL ? "[%s]" : "%s", address);
        quoted(writer->out, one);
        written[count++] = address;
    }
    fprintf(writer->out,
        "]   # as this host sees it; observers elsewhere need its address, or dns\n    host: %s\n",
        host->name);
    if (balancer->stats.port == 0 || find_listener_of(host, balancer->stats.port) == NULL) return;
    char stats[512], path[160];
    const char *question = strchr(balancer->stats_path, '?');
    snprintf(path, sizeof path, "%.*s;csv", question != NULL ? (int)(question - balancer->stats_path) : 127,
        balancer->stats_path);
    url(balancer->stats.tls ? "https" : "http", or_loopback(balancer->stats.host), balancer->stats.port, path,
        stats);
    if (balancer->stats_login)
        fputs("    # its statistics want a login, which observers do not have:\n    # ", writer->out);
    else
        fputs("    ", writer->out);
    fputs("stats: ", writer->out);
    quoted(writer->out, stats);
    fputc('\n', writer->out);
    told(writer, balancer->stats.port);
}

static void write_backends(struct writer *writer, const struct find_pool *pool, bool http)
{
    fputs("    backends:\n", writer->out);
    char names[FIND_SERVERS_MAX][FIND_NAME_SIZE];
    for (size_t i = 0; i < pool->server_count; i++) {
        const struct find_server *server = &pool->servers[i];
        char address[512];
        url(!http ? "tcp" : server->tls ? "https" : "http", server->host, server->port, "", address);
        bool named = server->name[0] != '\0';
        if (named) good_name(server->name, names[i]);
        for (size_t k = 0; named && k < i; k++) named = strcmp(names[k], names[i]) != 0;
        if (!named) names[i][0] = '\0';
        fputs("      - {", writer->out);
        if (named) fprintf(writer->out, "name: %s, ", names[i]);
        fputs("url: ", writer->out);
        quoted(writer->out, address);
        fputs(server->disabled ? ", state: maintenance}\n" : "}\n", writer->out);
    }
}

static void write_front(
    struct writer *writer, const struct find_balancer *balancer, const struct find_front *front)
{
    const struct find_pool *pool = find_pool_of(balancer, front->pool);
    const struct find_bind *bind = best_bind(writer->host, front);
    CHECK(pool != NULL && bind != NULL); /* is_used */
    bool http = front->http && pool->http,
         named = strcmp(balancer->program, "nginx") == 0 && front->name[0] != '\0';
    const char *name = new_name(writer, front->name[0] != '\0' ? front->name : pool->name);
    if (name == NULL) return;
    const char *scheme = !http ? "tcp" : bind->tls ? "https" : "http";
    const char *kind = "web";
    for (size_t k = 0; k < ARRAY_COUNT(known_services); k++)
        if (!http && known_services[k].port == pool->servers[0].port) kind = known_services[k].kind;
    char address[512];
    url(scheme, named ? front->name : or_loopback(bind->host), bind->port, http ? "/" : "", address);
    fprintf(writer->out, "  %s:\n", name);
    if (strcmp(kind, "web") != 0) fprintf(writer->out, "    kind: %s\n", kind);
    fputs("    url: ", writer->out);
    quoted(writer->out, address);
    fprintf(writer->out, "   # CHANGE: %s\n",
        !http   ? "as its clients connect"
        : named ? "a real page that users open"
                : "as users come, by the site's name: a real page");
    if (bind->tls && !named)
        fputs(
            "    insecure: yes   # CHANGE: with the site's name in the URL its certificate can be checked\n",
            writer->out);
    if (http && pool->health[0] != '\0') {
        fputs("    health: ", writer->out);
        quoted(writer->out, pool->health);
        fprintf(writer->out, "   # as %s checks its servers\n", balancer->program);
    }
    fprintf(writer->out, "    through: [%s]\n", balancer->program);
    write_backends(writer, pool, http);
}

static void write_fronts(struct writer *writer, const struct find_balancer *balancer)
{
    for (size_t i = 0; i < balancer->front_count; i++)
        if (is_used(writer->host, balancer, i)) write_front(writer, balancer, &balancer->fronts[i]);
    /* Its other ports only redirect, or stand in a remark. */
    for (size_t i = 0; any_used(writer->host, balancer) && i < balancer->front_count; i++)
        for (size_t b = 0; b < balancer->fronts[i].bind_count; b++)
            told(writer, balancer->fronts[i].binds[b].port);
}

/* What is configured and stays out of the config, with the reason. */
static void write_left_out(struct writer *writer, const struct find_balancer *balancer)
{
    for (size_t i = 0; i < balancer->front_count; i++) {
        const struct find_front *front = &balancer->fronts[i];
        const struct find_pool *pool = find_pool_of(balancer, front->pool);
        if (front->bind_count == 0 || pool == NULL || best_bind(writer->host, front) != NULL) continue;
        fprintf(writer->out, "  # %s also has '", balancer->program);
        remark(writer->out, front->name[0] != '\0' ? front->name : front->pool);
        fprintf(writer->out, "' on port %u, where nobody listens now\n", front->binds[0].port);
    }
    for (size_t i = 0; i < balancer->pool_count; i++) {
        const struct find_pool *pool = &balancer->pools[i];
        bool reached = pool->server_count == 0;
        for (size_t f = 0; f < balancer->front_count; f++)
            reached = reached || strcmp(balancer->fronts[f].pool, pool->name) == 0;
        if (reached) continue;
        fprintf(writer->out, "  # %s also has the servers '", balancer->program);
        remark(writer->out, pool->name);
        fputs("', chosen by rules: give a service with the URL that leads there\n", writer->out);
    }
}

/* ── The file ── */

static void write_head(const struct writer *writer)
{
    const struct find_host *host = writer->host;
    fprintf(writer->out,
        "# Faultline's configuration, begun by `faultline setup` on %s with what was found there.\n"
        "# Lines with CHANGE hold a guess. `faultline check FILE` shows every mistake at once, `faultline "
        "check --live FILE`\n"
        "# tries each probe, `faultline check --print-schema` lists every key.\n"
        "#\n"
        "# Disks (the agent on this host samples all of them):",
        host->name);
    for (size_t i = 0; i < host->disk_count; i++) {
        const struct find_disk *disk = &host->disks[i];
        fprintf(writer->out, "%s %s %.0f GB%s", i > 0 ? "," : "", disk->name, (double)disk->size_bytes / 1e9,
            disk->rotational ? " rotational" : "");
        if (disk->model[0] != '\0') {
            fputs(" (", writer->out);
            remark(writer->out, disk->model);
            fputc(')', writer->out);
        }
    }
    fprintf(writer->out,
        "%s\n\n"
        "collector:\n"
        "  listen: \"tcp://0.0.0.0:7440\"   # agents connect here\n"
        "  data: /var/lib/faultline\n"
        "  letter: A\n\n"
        "sites:\n"
        "  here: {}   # add two URLs elsewhere, so that a broken way out is not taken for a broken site:\n"
        "             # here: {references: [\"https://example.org/\", \"https://example.net/\"]}\n\n"
        "hosts:       # with one observer outages can only warn: add hosts with agents, best at other sites\n"
        "  %s: {site: here}\n",
        host->disk_count == 0 ? " none found" : "", host->name);
}

static void write_others(struct writer *writer)
{
    static const char *const plain[] = {"sshd", "systemd", "systemd-resolve", "init", "haproxy"};
    bool first = true;
    for (size_t i = 0; i < writer->host->listener_count; i++) {
        const struct find_listener *listener = &writer->host->listeners[i];
        bool skip = is_told(writer, listener->port) || listener->process[0] == '\0';
        skip = skip || strncmp(listener->process, "faultline", 9) == 0;
        for (size_t k = 0; k < ARRAY_COUNT(plain); k++)
            skip = skip || strcmp(listener->process, plain[k]) == 0;
        if (skip) continue;
        if (first) fputs("  # Also listening here:\n", writer->out);
        first = false;
        fprintf(writer->out, "  #   %s%s%s:%u  ", strchr(listener->host, ':') != NULL ? "[" : "",
            listener->host[0] != '\0' ? listener->host : "*", strchr(listener->host, ':') != NULL ? "]" : "",
            listener->port);
        remark(writer->out, listener->process);
        fputc('\n', writer->out);
    }
}

static void write_tail(const struct writer *writer)
{
    fputs(
        "\n# Who is told. The secret signs what is posted (Standard Webhooks): mode 0600, beside this file.\n"
        "# hooks:\n"
        "#   ops: {webhook: {url: \"https://hooks.example.com/a\", secret_file: ops.key}}\n"
        "# routes:\n"
        "#   - {severity: page, to: [ops]}\n",
        writer->out);
}

void setup_write(const struct find_host *host, FILE *out)
{
    struct writer *writer = check_alloc(sizeof *writer);
    writer->host = host;
    writer->out = out;
    write_head(writer);
    if (any_used(host, &host->haproxy) || any_used(host, &host->nginx)) fputs("\nbalancers:\n", out);
    write_balancer(writer, &host->haproxy);
    write_balancer(writer, &host->nginx);
    fputs("\nservices:\n", out);
    write_fronts(writer, &host->haproxy);
    write_fronts(writer, &host->nginx);
    write_known_services(writer);
    if (writer->name_count == 0)
        fputs("  # Nothing was found that is known. A web server, say:\n"
              "  # www: {url: \"https://www.example.com/\", health: /healthz, backends: "
              "[\"http://app1:8080\"]}\n",
            out);
    write_left_out(writer, &host->haproxy);
    write_left_out(writer, &host->nginx);
    write_others(writer);
    write_tail(writer);
    free(writer);
}
