#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/cli/find.h"

#define STATE_LISTEN 0x0a /* TCP_LISTEN, include/net/tcp_states.h */

/* The kernel prints addresses as 32-bit words in the host's byte order. */
static bool parse_host(const char *hex, bool ipv6, char host[static FIND_HOST_SIZE])
{
    size_t words = ipv6 ? 4 : 1;
    uint32_t address[4] = {0};
    if (strlen(hex) != words * 8) return false;
    for (size_t i = 0; i < words; i++)
        if (sscanf(hex + i * 8, "%8x", &address[i]) != 1) return false;
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

void find_parse_sockets(const char *text, bool ipv6, struct find_host *host)
{
    for (; *text != '\0'; text += strcspn(text, "\n"), text += *text == '\n') {
        char address[40];
        unsigned port, state;
        unsigned long long inode;
        /* sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode */
        if (sscanf(text, " %*u: %39[0-9A-Fa-f]:%4x %*[0-9A-Fa-f]:%*x %2x %*x:%*x %*x:%*x %*x %*u %*u %llu",
                address, &port, &state, &inode) != 4)
            continue;
        struct find_listener listener = {.port = (uint16_t)port, .inode = inode};
        if (state == STATE_LISTEN && port > 0 && parse_host(address, ipv6, listener.host))
            add(host, &listener);
    }
}
