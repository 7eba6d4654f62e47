#include <stdlib.h>
#include <string.h>

#include "collector/core/model/model_build.h"

/* Splits host[:port], brackets taken off. False if it is no such thing. */
static bool split_authority(const char *text, char *host, size_t size, uint32_t *port)
{
    const char *colon = strrchr(text, ':');
    const char *end = text + strlen(text);
    if (text[0] == '[') {
        const char *close = strchr(text, ']');
        if (close == NULL) return false;
        colon = close[1] == ':' ? close + 1 : NULL;
        end = close;
        text++;
    } else if (colon != NULL && strchr(text, ':') != colon) {
        colon = NULL; /* a bare IPv6 address */
    } else if (colon != NULL) {
        end = colon;
    }
    *port = 0;
    if (colon != NULL) {
        char *rest;
        unsigned long value = strtoul(colon + 1, &rest, 10);
        if (rest == colon + 1 || *rest != '\0' || value == 0 || value > 65535) return false;
        *port = (uint32_t)value;
    }
    size_t length = (size_t)(end - text);
    if (length == 0 || length >= size) return false;
    memcpy(host, text, length);
    host[length] = '\0';
    return true;
}

int model_url_split(const char *text, struct model_url *url, struct error *err)
{
    const char *separator = strstr(text, "://");
    if (separator == NULL || (size_t)(separator - text) >= sizeof url->scheme || separator == text)
        return fail(err, ERROR_INPUT, "%s is no URL", text);
    *url = (struct model_url){0};
    memcpy(url->scheme, text, (size_t)(separator - text));
    const char *authority = separator + 3;
    size_t length = strcspn(authority, "/?#");
    if (length >= sizeof url->authority) return fail(err, ERROR_LIMIT, "%s: host too long", text);
    memcpy(url->authority, authority, length);
    url->rest = authority[length] == '/' ? authority + length : "/";
    if (!split_authority(url->authority, url->host, sizeof url->host, &url->port))
        return fail(err, ERROR_INPUT, "%s: no host[:port] in it", text);
    return 0;
}

uint32_t model_url_port(const struct model_url *url)
{
    if (url->port != 0) return url->port;
    return strcmp(url->scheme, "https") == 0 ? 443 : 80;
}

const char *model_url_connect(struct arena *arena, const char *address, uint32_t port)
{
    char host[264];
    uint32_t written = 0;
    if (!split_authority(address, host, sizeof host, &written)) return arena_strdup(arena, address);
    if (strchr(host, ':') != NULL) return arena_format(arena, "[%s]:%u", host, written != 0 ? written : port);
    return arena_format(arena, "%s:%u", host, written != 0 ? written : port);
}
