#include "collector/delivery/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"

struct range4 {
    uint32_t network;
    int bits;
    enum address_class class;
};
#define V4(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

static const struct range4 ranges4[] = {
    {V4(0, 0, 0, 0), 8, ADDRESS_PRIVATE},       /* 0.0.0.0 leads to this host on Linux */
    {V4(10, 0, 0, 0), 8, ADDRESS_PRIVATE},      /* RFC 1918 */
    {V4(100, 64, 0, 0), 10, ADDRESS_PRIVATE},   /* carrier-grade NAT; cloud metadata at 100.100.100.200 */
    {V4(127, 0, 0, 0), 8, ADDRESS_PRIVATE},     /* loopback */
    {V4(169, 254, 0, 0), 16, ADDRESS_PRIVATE},  /* link-local; cloud metadata at 169.254.169.254 */
    {V4(172, 16, 0, 0), 12, ADDRESS_PRIVATE},   /* RFC 1918 */
    {V4(192, 0, 0, 0), 24, ADDRESS_PRIVATE},    /* IETF protocol assignments */
    {V4(192, 0, 2, 0), 24, ADDRESS_PRIVATE},    /* documentation */
    {V4(192, 168, 0, 0), 16, ADDRESS_PRIVATE},  /* RFC 1918 */
    {V4(198, 18, 0, 0), 15, ADDRESS_PRIVATE},   /* benchmarking */
    {V4(198, 51, 100, 0), 24, ADDRESS_PRIVATE}, /* documentation */
    {V4(203, 0, 113, 0), 24, ADDRESS_PRIVATE},  /* documentation */
    {V4(224, 0, 0, 0), 4, ADDRESS_NEVER},       /* multicast */
    {V4(240, 0, 0, 0), 4, ADDRESS_NEVER},       /* reserved, broadcast */
};

struct range6 {
    uint8_t network[16];
    int bits;
    enum address_class class;
    int embedded; /* offset of the IPv4 address that decides instead, -1 none */
};

/* First match counts. */
static const struct range6 ranges6[] = {
    {{[15] = 1}, 128, ADDRESS_PRIVATE, -1},                          /* ::1 */
    {{0}, 128, ADDRESS_PRIVATE, -1},                                 /* :: leads to this host */
    {{[10] = 0xff, [11] = 0xff}, 96, ADDRESS_PUBLIC, 12},            /* ::ffff:0:0/96, mapped */
    {{0}, 96, ADDRESS_PUBLIC, 12},                                   /* ::/96, compatible, deprecated */
    {{0x00, 0x64, 0xff, 0x9b}, 96, ADDRESS_PUBLIC, 12},              /* 64:ff9b::/96, NAT64 */
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, ADDRESS_PRIVATE, -1}, /* 64:ff9b:1::/48, local NAT64 */
    {{0x01, 0x00}, 64, ADDRESS_NEVER, -1},                           /* 100::/64, discard */
    {{0x20, 0x01, 0x00, 0x00}, 32, ADDRESS_PRIVATE, -1},             /* 2001::/32, Teredo */
    {{0x20, 0x01, 0x0d, 0xb8}, 32, ADDRESS_PRIVATE, -1},             /* 2001:db8::/32, documentation */
    {{0x20, 0x02}, 16, ADDRESS_PUBLIC, 2},                           /* 2002::/16, 6to4 */
    {{0xfc}, 7, ADDRESS_PRIVATE, -1},        /* fc00::/7, unique local; metadata fd00:ec2::254 */
    {{0xfe, 0x80}, 10, ADDRESS_PRIVATE, -1}, /* fe80::/10, link-local */
    {{0xfe, 0xc0}, 10, ADDRESS_PRIVATE, -1}, /* fec0::/10, site-local, deprecated */
    {{0xff}, 8, ADDRESS_NEVER, -1},          /* ff00::/8, multicast */
};

static enum address_class classify4(uint32_t address)
{
    for (size_t i = 0; i < ARRAY_COUNT(ranges4); i++) {
        uint32_t mask = UINT32_MAX << (32 - ranges4[i].bits);
        if ((address & mask) == ranges4[i].network) return ranges4[i].class;
    }
    return ADDRESS_PUBLIC;
}

static bool within6(const uint8_t *address, const struct range6 *range)
{
    int whole = range->bits / 8, rest = range->bits % 8;
    if (memcmp(address, range->network, (size_t)whole) != 0) return false;
    if (rest == 0) return true;
    int mask = 0xff << (8 - rest) & 0xff;
    return (address[whole] & mask) == range->network[whole];
}

static enum address_class classify6(const uint8_t *address)
{
    for (size_t i = 0; i < ARRAY_COUNT(ranges6); i++) {
        const struct range6 *range = &ranges6[i];
        if (!within6(address, range)) continue;
        if (range->embedded < 0) return range->class;
        const uint8_t *v4 = address + range->embedded;
        return classify4(V4(v4[0], v4[1], v4[2], v4[3]));
    }
    /* Only 2000::/3 is handed out for global use. */
    return (address[0] & 0xe0) == 0x20 ? ADDRESS_PUBLIC : ADDRESS_NEVER;
}

enum address_class address_classify(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        return classify4(ntohl(v4.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        return classify6(v6.sin6_addr.s6_addr);
    }
    return ADDRESS_NEVER;
}

bool address_allowed(const struct sockaddr *address, bool allow_private)
{
    enum address_class class = address_classify(address);
    return class == ADDRESS_PUBLIC || (class == ADDRESS_PRIVATE && allow_private);
}

const char *address_text(const struct sockaddr *address, char out[static ADDRESS_TEXT_SIZE])
{
    snprintf(out, ADDRESS_TEXT_SIZE, "?");
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, out, ADDRESS_TEXT_SIZE);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        inet_ntop(AF_INET6, &v6.sin6_addr, out, ADDRESS_TEXT_SIZE);
    }
    return out;
}
