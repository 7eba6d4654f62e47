#include "common/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "common/check.h"

#define HOST_BYTES_MAX ((size_t)253) /* RFC 1035 */

static struct span span_cut(struct span text, size_t from, size_t to)
{
    return span_of(text.data + from, to - from);
}

static size_t span_find(struct span text, const char *any)
{
    size_t i = 0;
    while (i < text.size && strchr(any, text.data[i]) == NULL) i++;
    return i;
}

static int parse_port(struct span text, uint16_t *port, struct error *err)
{
    uint32_t value = 0;
    for (size_t i = 0; i < text.size && value <= 65535; i++) {
        if (!isdigit(text.data[i])) return fail(err, ERROR_INPUT, "the port is no number");
        value = value * 10 + (uint32_t)(text.data[i] - '0');
    }
    if (text.size == 0 || value == 0 || value > 65535) return fail(err, ERROR_INPUT, "a port is 1 to 65535");
    *port = (uint16_t)value;
    return 0;
}

static int check_host(struct span host, struct error *err)
{
    if (host.size == 0) return fail(err, ERROR_INPUT, "the host is missing");
    if (host.size > HOST_BYTES_MAX)
        return fail(err, ERROR_INPUT, "the host is longer than %zu bytes", HOST_BYTES_MAX);
    size_t label = 0;
    for (size_t i = 0; i < host.size; i++) {
        unsigned char c = host.data[i];
        if (c == '.') {
            if (label == 0) return fail(err, ERROR_INPUT, "the host has an empty part between dots");
            label = 0;
            continue;
        }
        if (!isalnum(c) && c != '-' && c != '_')
            return fail(err, ERROR_INPUT, "the host holds a character that no name has");
        if (++label > 63) return fail(err, ERROR_INPUT, "a part of the host is longer than 63 bytes");
    }
    /* Digits and dots alone are meant as an IPv4 address. */
    char text[HOST_BYTES_MAX + 1];
    memcpy(text, host.data, host.size);
    text[host.size] = '\0';
    struct in_addr address;
    if (strspn(text, "0123456789.") == host.size && inet_pton(AF_INET, text, &address) != 1)
        return fail(err, ERROR_INPUT, "%.40s is no IPv4 address", text);
    return 0;
}

static int check_ipv6(struct span host, struct error *err)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (host.size >= sizeof text) return fail(err, ERROR_INPUT, "no IPv6 address in the brackets");
    memcpy(text, host.data, host.size);
    text[host.size] = '\0';
    if (inet_pton(AF_INET6, text, &address) != 1)
        return fail(err, ERROR_INPUT, "no IPv6 address in the brackets");
    return 0;
}

int url_split_authority(struct span authority, struct span *host, uint16_t *port, struct error *err)
{
    struct span found, rest;
    bool ipv6 = authority.size > 0 && authority.data[0] == '[';
    size_t end = span_find(authority, ipv6 ? "]" : ":");
    if (ipv6 && end == authority.size)
        return fail(err, ERROR_INPUT, "the bracket of the address is not closed");
    found = ipv6 ? span_cut(authority, 1, end) : span_cut(authority, 0, end);
    rest = span_cut(authority, ipv6 ? end + 1 : end, authority.size);
    if ((ipv6 ? check_ipv6(found, err) : check_host(found, err)) != 0) return -1;
    uint16_t number = 0;
    if (rest.size > 0 && rest.data[0] != ':')
        return fail(err, ERROR_INPUT, "after the address comes a colon and the port");
    if (rest.size > 0 && parse_port(span_cut(rest, 1, rest.size), &number, err) != 0) return -1;
    *host = found;
    *port = number;
    return 0;
}

int url_split(const char *text, struct url_parts *parts, struct error *err)
{
    struct span all = span_text(text);
    for (size_t i = 0; i < all.size; i++)
        if (all.data[i] <= ' ' || all.data[i] >= 0x7f)
            return fail(err, ERROR_INPUT, "it holds a space or a character that must be written as %%XX");
    size_t scheme = 0;
    while (scheme < all.size && (isalnum(all.data[scheme]) || strchr("+-.", all.data[scheme]) != NULL))
        scheme++;
    if (scheme == 0 || all.size < scheme + 3 || memcmp(all.data + scheme, "://", 3) != 0)
        return fail(err, ERROR_INPUT, "it does not begin with scheme://");
    struct span behind = span_cut(all, scheme + 3, all.size);
    size_t end = span_find(behind, "/?#");
    struct span authority = span_cut(behind, 0, end);
    if (span_find(authority, "@") < authority.size)
        return fail(err, ERROR_INPUT, "user and password do not belong in a URL, but in a file");
    struct url_parts found = {.scheme = span_cut(all, 0, scheme), .rest = span_cut(behind, end, behind.size)};
    if (url_split_authority(authority, &found.host, &found.port, err) != 0) return -1;
    *parts = found;
    return 0;
}

uint16_t url_default_port(struct span scheme)
{
    static const struct {
        const char *scheme;
        uint16_t port;
    } rows[] = {{"http", 80}, {"https", 443}, {"tcp", 0}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (strlen(rows[i].scheme) == scheme.size &&
            strncasecmp(rows[i].scheme, (const char *)scheme.data, scheme.size) == 0)
            return rows[i].port;
    return 0;
}
