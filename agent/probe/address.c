#include "agent/probe/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool address_parse(const char *host, uint16_t port, struct address *out)
{
    char bare[INET6_ADDRSTRLEN];
    size_t size = strlen(host);
    if (size >= 2 && host[0] == '[' && host[size - 1] == ']') {
        host++;
        size -= 2;
    }
    if (size >= sizeof bare) return false;
    memcpy(bare, host, size);
    bare[size] = '\0';
    struct address parsed = {0};
    if (inet_pton(AF_INET, bare, &parsed.v4.sin_addr) == 1) {
        parsed.v4.sin_family = AF_INET;
        parsed.v4.sin_port = htons(port);
        parsed.size = sizeof parsed.v4;
    } else if (inet_pton(AF_INET6, bare, &parsed.v6.sin6_addr) == 1) {
        parsed.v6.sin6_family = AF_INET6;
        parsed.v6.sin6_port = htons(port);
        parsed.size = sizeof parsed.v6;
    } else {
        return false;
    }
    *out = parsed;
    return true;
}

bool address_from(const struct sockaddr *from, uint16_t port, struct address *out)
{
    struct address made = {0};
    if (from->sa_family == AF_INET) {
        memcpy(&made.v4, from, sizeof made.v4);
        made.v4.sin_port = htons(port);
        made.size = sizeof made.v4;
    } else if (from->sa_family == AF_INET6) {
        memcpy(&made.v6, from, sizeof made.v6);
        made.v6.sin6_port = htons(port);
        made.size = sizeof made.v6;
    } else {
        return false;
    }
    *out = made;
    return true;
}

const char *address_text(const struct address *address, char out[static ADDRESS_TEXT_SIZE])
{
    char ip[INET6_ADDRSTRLEN] = "?";
    if (address->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address->v6.sin6_addr, ip, sizeof ip);
        snprintf(out, ADDRESS_TEXT_SIZE, "[%s]:%u", ip, ntohs(address->v6.sin6_port));
    } else {
        inet_ntop(AF_INET, &address->v4.sin_addr, ip, sizeof ip);
        snprintf(out, ADDRESS_TEXT_SIZE, "%s:%u", ip, ntohs(address->v4.sin_port));
    }
    return out;
}

int address_compare(const struct address *a, const struct address *b)
{
    if (a->any.sa_family != b->any.sa_family) return a->any.sa_family == AF_INET ? -1 : 1;
    int order;
    uint16_t port_a, port_b;
    if (a->any.sa_family == AF_INET) {
        order = memcmp(&a->v4.sin_addr, &b->v4.sin_addr, sizeof a->v4.sin_addr);
        port_a = ntohs(a->v4.sin_port);
        port_b = ntohs(b->v4.sin_port);
    } else {
        order = memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr);
        port_a = ntohs(a->v6.sin6_port);
        port_b = ntohs(b->v6.sin6_port);
    }
    return order != 0 ? order : (port_a > port_b) - (port_a < port_b);
}

bool address_split(const char *text, char host[static 256], uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    const char *bracket = strrchr(text, ']');
    if (colon != NULL && bracket != NULL && colon < bracket) colon = NULL;
    if (colon != NULL && bracket == NULL && strchr(text, ':') != colon)
        colon = NULL; /* a bare IPv6 address */
    size_t size = colon != NULL ? (size_t)(colon - text) : strlen(text);
    if (size == 0 || size >= 256) return false;
    if (colon != NULL) {
        char *end;
        unsigned long number = strtoul(colon + 1, &end, 10);
        if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || number == 0 || number > UINT16_MAX)
            return false;
        *port = (uint16_t)number;
    }
    memcpy(host, text, size);
    host[size] = '\0';
    return true;
}
