#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/cli/find.h"
#include "common/check.h"
#include "common/cleanup.h"

#define STATE_LISTEN 0x0a /* TCP_LISTEN, include/net/tcp_states.h */

/* The kernel prints addresses as 32-bit words in the host's byte order. */
static bool parse_host(const char *hex, bool ipv6, char host[static FIND_HOST_SIZE])
{
    size_t words = ipv6 ? 4 : 1;
    uint32_t address[4] = {0};
    if (strlen(hex) != words * 8) return false;
    for (size_t i = 0; i < words; i++) {
        char word[9] = "";
        memcpy(word, hex + i * 8, 8);
        char *end = NULL;
        address[i] = (uint32_t)strtoul(word, &end, 16);
        if (*end != '\0') return false;
    }
    bool any = true;
    for (size_t i = 0; i < words; i++) any = any && address[i] == 0;
    host[0] = '\0';
    return any || inet_ntop(ipv6 ? AF_INET6 : AF_INET, address, host, FIND_HOST_SIZE) != NULL;
}

static void add(struct find_host *host, const struct find_listener *listener)
{
    /* By port; one that listens on all addresses stands for the others. */
    size_t at = 0;
    while (at < host->listener_count && host->listeners[at].port < listener->port) at++;
    if (at < host->listener_count && host->listeners[at].port == listener->port) {
        if (listener->host[0] == '\0' && host->listeners[at].host[0] != '\0') host->listeners[at] = *listener;
        return;
    }
    if (host->listener_count == FIND_LISTENERS_MAX) return;
    memmove(&host->listeners[at + 1], &host->listeners[at], (host->listener_count - at) * sizeof *listener);
    host->listeners[at] = *listener;
    host->listener_count++;
}

/* sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode … (proc(5)) */
static bool parse_line(char *line, bool ipv6, struct find_listener *listener)
{
    char *words[10], *save = NULL;
    size_t count = 0;
    for (char *word = strtok_r(line, " ", &save); word != NULL && count < ARRAY_COUNT(words);
         word = strtok_r(NULL, " ", &save))
        words[count++] = word;
    char *colon = count == ARRAY_COUNT(words) ? strchr(words[1], ':') : NULL;
    if (colon == NULL || strtoul(words[3], NULL, 16) != STATE_LISTEN) return false;
    *colon = '\0';
    unsigned long port = strtoul(colon + 1, NULL, 16);
    listener->port = port <= 65535 ? (uint16_t)port : 0;
    listener->inode = strtoull(words[9], NULL, 10);
    return listener->port != 0 && parse_host(words[1], ipv6, listener->host);
}

void find_parse_sockets(const char *text, bool ipv6, struct find_host *host)
{
    AUTO_FREE char *copy = check_strdup(text);
    char *rest = copy;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        struct find_listener listener = {0};
        if (parse_line(line, ipv6, &listener)) add(host, &listener);
    }
}
