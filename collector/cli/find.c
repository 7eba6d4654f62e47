#include "collector/cli/find.h"

#include <ctype.h>
#include <dirent.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/cleanup.h"
#include "common/file.h"

#define FILE_BYTES_MAX ((size_t)4 << 20)

/* The file's text, "" where it cannot be read; freed by the caller. */
static char *read_text(const char *root, const char *path)
{
    AUTO_FREE char *full = check_format("%s%s", root, path);
    AUTO(buffer_fini) struct buffer content = {0};
    if (file_read(full, FILE_BYTES_MAX, &content, NULL) != 0) return check_strdup("");
    return check_strdup(buffer_text(&content));
}

static void trim(char *text)
{
    size_t size = strlen(text);
    while (size > 0 && isspace((unsigned char)text[size - 1])) text[--size] = '\0';
}

/* ── Addresses ── */

bool find_parse_address(const char *text, char host[static FIND_HOST_SIZE], uint16_t *port)
{
    if (text[0] == '/' || strchr(text, '@') != NULL || strncmp(text, "unix:", 5) == 0) return false;
    const char *colon = strrchr(text, ':');
    const char *digits = colon != NULL ? colon + 1 : text;
    char *end = NULL;
    unsigned long number = strtoul(digits, &end, 10);
    if (end == digits || (*end != '\0' && *end != '-') || number == 0 || number > 65535) return false;
    size_t size = colon != NULL ? (size_t)(colon - text) : 0;
    if (size >= 2 && text[0] == '[' && text[size - 1] == ']') {
        text++;
        size -= 2;
    }
    if (size >= FIND_HOST_SIZE) return false;
    memcpy(host, text, size);
    host[size] = '\0';
    /* The ways to write "all addresses". */
    if (strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0) host[0] = '\0';
    *port = (uint16_t)number;
    return true;
}

/* ── Disks ── */

static bool is_whole_disk(const char *name)
{
    static const char *const others[] = {"loop", "ram", "zram", "sr", "fd", "dm-", "nbd", "."};
    for (size_t i = 0; i < ARRAY_COUNT(others); i++)
        if (strncmp(name, others[i], strlen(others[i])) == 0) return false;
    return true;
}

static void find_disks(const char *root, struct find_host *host)
{
    AUTO_FREE char *directory = check_format("%s/sys/block", root);
    struct dirent **names = NULL;
    int count = scandir(directory, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        if (is_whole_disk(name) && host->disk_count < FIND_DISKS_MAX) {
            char path[400];
            snprintf(path, sizeof path, "/sys/block/%s/size", name);
            AUTO_FREE char *sectors = read_text(root, path);
            snprintf(path, sizeof path, "/sys/block/%s/queue/rotational", name);
            AUTO_FREE char *rotational = read_text(root, path);
            snprintf(path, sizeof path, "/sys/block/%s/device/model", name);
            AUTO_FREE char *model = read_text(root, path);
            trim(model);
            struct find_disk disk = {
                .size_bytes = strtoull(sectors, NULL, 10) * 512, .rotational = rotational[0] == '1'};
            snprintf(disk.name, sizeof disk.name, "%s", name);
            snprintf(disk.model, sizeof disk.model, "%s", model);
            if (disk.size_bytes > 0) host->disks[host->disk_count++] = disk;
        }
        free(names[i]);
    }
    free(names);
}

/* ── Whose sockets ── */

static void name_process(const char *root, const char *pid, const char *link, struct find_host *host)
{
    static const char prefix[] = "socket:[";
    if (strncmp(link, prefix, strlen(prefix)) != 0) return;
    uint64_t inode = strtoull(link + strlen(prefix), NULL, 10);
    for (size_t i = 0; i < host->listener_count; i++) {
        struct find_listener *listener = &host->listeners[i];
        if (listener->inode != inode || listener->process[0] != '\0') continue;
        AUTO_FREE char *path = check_format("/proc/%s/comm", pid);
        AUTO_FREE char *comm = read_text(root, path);
        trim(comm);
        snprintf(listener->process, sizeof listener->process, "%s", comm);
    }
}

static void find_processes(const char *root, struct find_host *host)
{
    AUTO_FREE char *pattern = check_format("%s/proc/[0-9]*/fd/*", root);
    glob_t found = {0};
    if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            char link[128];
            ssize_t n = readlink(found.gl_pathv[i], link, sizeof link - 1);
            if (n <= 0) continue; /* gone meanwhile, or not permitted */
            link[n] = '\0';
            char pid[16] = "";
            sscanf(found.gl_pathv[i] + strlen(root), "/proc/%15[0-9]", pid);
            name_process(root, pid, link, host);
        }
    }
    globfree(&found);
}

/* ── All of it ── */

static void find_name(const char *root, struct find_host *host)
{
    AUTO_FREE char *name = read_text(root, "/proc/sys/kernel/hostname");
    size_t used = 0;
    for (const char *c = name;
         *c != '\0' && *c != '.' && !isspace((unsigned char)*c) && used + 1 < sizeof host->name; c++)
        host->name[used++] = (char)(isalnum((unsigned char)*c) || *c == '-' || *c == '_' ? *c : '-');
    if (used == 0) snprintf(host->name, sizeof host->name, "localhost");
}

struct include_root {
    const char *root;
};

static char *include_files(void *owner, const char *pattern)
{
    const struct include_root *from = owner;
    AUTO_FREE char *full =
        check_format("%s%s%s", from->root, pattern[0] == '/' ? "" : "/etc/nginx/", pattern);
    glob_t found = {0};
    AUTO(buffer_fini) struct buffer text = {.size_max = FILE_BYTES_MAX};
    if (glob(full, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++) {
            file_read(found.gl_pathv[i], FILE_BYTES_MAX, &text, NULL);
            buffer_format(&text, NULL, "\n");
        }
    globfree(&found);
    return check_strdup(buffer_text(&text));
}

void find_all(const char *root, struct find_host *host)
{
    *host = (struct find_host){0};
    find_name(root, host);
    find_disks(root, host);
    AUTO_FREE char *tcp = read_text(root, "/proc/net/tcp"), *tcp6 = NULL, *haproxy = NULL, *nginx = NULL;
    tcp6 = read_text(root, "/proc/net/tcp6");
    find_parse_sockets(tcp, false, host);
    find_parse_sockets(tcp6, true, host);
    find_processes(root, host);
    haproxy = read_text(root, "/etc/haproxy/haproxy.cfg");
    find_parse_haproxy(haproxy, &host->haproxy);
    nginx = read_text(root, "/etc/nginx/nginx.conf");
    find_parse_nginx(nginx, include_files, &(struct include_root){root}, &host->nginx);
}

const struct find_listener *find_listener_of(const struct find_host *host, uint16_t port)
{
    for (size_t i = 0; i < host->listener_count; i++)
        if (host->listeners[i].port == port) return &host->listeners[i];
    return NULL;
}

const struct find_pool *find_pool_of(const struct find_balancer *balancer, const char *name)
{
    for (size_t i = 0; i < balancer->pool_count; i++)
        if (strcmp(balancer->pools[i].name, name) == 0) return &balancer->pools[i];
    return NULL;
}
