/* Numeric addresses with a port: what a probe connects to. Pure, any thread. */
#ifndef AGENT_PROBE_ADDRESS_H
#define AGENT_PROBE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDRESS_TEXT_SIZE 64

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t size;
};

/* Whether host is an IPv4 or IPv6 address (brackets allowed, no zone); fills out if so. */
bool address_parse(const char *host, uint16_t port, struct address *out);

/* From what a resolver or the kernel gave; false for other families. */
bool address_from(const struct sockaddr *from, uint16_t port, struct address *out);

/* "10.0.0.5:8080", "[::1]:8080"; returns out. */
const char *address_text(const struct address *address, char out[static ADDRESS_TEXT_SIZE]);

/* Orders IPv4 before IPv6, then by bytes, then by port. */
int address_compare(const struct address *a, const struct address *b);

/* Cuts "host:port", "[v6]:port", "host" into its parts; port is left alone where there is none. False if
 * malformed. */
bool address_split(const char *text, char host[static 256], uint16_t *port);

#endif
