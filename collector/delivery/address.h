/* Which addresses an outgoing request may reach. Pure, any thread.
 *
 * The check sees the address that the connection is opened to, after name resolution: numeric tricks
 * (0xa9fea9fe,
 * ::ffff:169.254.169.254) and a name server that changes its answer (DNS rebinding) all end here.
 * Ranges: IANA special-purpose registries for IPv4 and IPv6 (RFC 6890 and later). */
#ifndef COLLECTOR_DELIVERY_ADDRESS_H
#define COLLECTOR_DELIVERY_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

enum address_class {
    ADDRESS_PUBLIC,
    ADDRESS_PRIVATE, /* loopback, private, link-local (metadata services too), documentation: only by
                        allow_private */
    ADDRESS_NEVER    /* multicast, broadcast, reserved, no internet address at all */
};

/* IPv4 inside IPv6 (mapped, compatible, NAT64, 6to4) counts as the IPv4 address it leads to. */
enum address_class address_classify(const struct sockaddr *address);
bool address_allowed(const struct sockaddr *address, bool allow_private);

/* "127.0.0.1", "::1"; returns out. */
#define ADDRESS_TEXT_SIZE 64
const char *address_text(const struct sockaddr *address, char out[static ADDRESS_TEXT_SIZE]);

#endif
