/* The parts of a URL, as far as config and messages need them. Pure. */
#ifndef COMMON_URL_H
#define COMMON_URL_H

#include <stdint.h>

#include "common/error.h"
#include "common/span.h"

/* Borrowed from the text. */
struct url_parts {
    struct span scheme;
    struct span host; /* without the brackets of IPv6 */
    uint16_t port;    /* 0 where none is written */
    struct span rest; /* path, query, fragment; may be empty */
};

/* "scheme://host[:port][rest]" (RFC 3986, without user and password, which are an error: they belong in a
 * file). The error says what is wrong in one clause. */
int url_split(const char *text, struct url_parts *parts, struct error *err);

/* "HOST:PORT" or "HOST" ("[v6]:PORT"): the host part and port (0 where none is written). */
int url_split_authority(struct span authority, struct span *host, uint16_t *port, struct error *err);

/* 80, 443, …; 0 for a scheme without a default. */
uint16_t url_default_port(struct span scheme);

#endif
