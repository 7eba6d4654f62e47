#include "agent/probe/target.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/check.h"

static char *copy_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? check_strdup(text) : NULL;
}

static bool url_part(CURLU *url, CURLUPart part, unsigned flags, char *out, size_t size)
{
    char *text = NULL;
    bool fits = curl_url_get(url, part, &text, flags) == CURLUE_OK && strlen(text) < size;
    if (fits) memcpy(out, text, strlen(text) + 1);
    curl_free(text);
    return fits;
}

/* Names beyond ASCII come as xn--…: what the agent's locale would make of others is anybody's guess. */
static bool is_ascii(const char *text)
{
    while (*text > ' ' && *text <= '~') text++;
    return *text == '\0';
}

static bool place_of_http(const char *text, struct target_place *place)
{
    CURLU *url = curl_url();
    CHECK(url != NULL);
    char scheme[16], host[sizeof place->host], port[8];
    bool good = curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
                url_part(url, CURLUPART_SCHEME, 0, scheme, sizeof scheme) &&
                url_part(url, CURLUPART_HOST, 0, host, sizeof host) && is_ascii(host) &&
                url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, port, sizeof port);
    curl_url_cleanup(url);
    if (!good || (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0)) return false;
    size_t size = strlen(host);
    bool brackets = size > 2 && host[0] == '[' && host[size - 1] == ']';
    *place = (struct target_place){
        .tls = strcasecmp(scheme, "https") == 0, .port = (uint16_t)strtoul(port, NULL, 10)};
    memcpy(place->host, host + brackets, size - 2u * brackets);
    return true;
}

static bool place_of_tcp(const char *text, struct target_place *place)
{
    struct target_place parsed = {0};
    char *rest = check_strdup(text + strlen("tcp://"));
    rest[strcspn(rest, "/")] = '\0';
    bool good = address_split(rest, parsed.host, &parsed.port) && parsed.port != 0;
    free(rest);
    size_t size = strlen(parsed.host);
    if (good && parsed.host[0] == '[') {
        memmove(parsed.host, parsed.host + 1, size - 1);
        parsed.host[size - 2] = '\0';
    }
    if (good) *place = parsed;
    return good;
}

bool target_place_of(const char *url, struct target_place *place)
{
    return strncasecmp(url, "tcp://", 6) == 0 ? place_of_tcp(url, place) : place_of_http(url, place);
}

/* What curl is to send besides its own; "name:" alone would remove a header, "name;" sends it empty. */
static struct curl_slist *headers_of(const struct wire_target *wanted)
{
    struct curl_slist *list = NULL;
    for (size_t i = 0; i < wanted->header_count; i++) {
        const struct wire_header *header = &wanted->headers[i];
        char *line = header->value[0] != '\0' ? check_format("%s: %s", header->name, header->value)
                                              : check_format("%s;", header->name);
        struct curl_slist *longer = strpbrk(line, "\r\n") == NULL ? curl_slist_append(list, line) : list;
        free(line);
        CHECK(longer != NULL || list == NULL);
        list = longer;
    }
    return list;
}

/* Decides what to connect to; NULL or why not. */
static char *aim(struct target *target, const struct wire_target *wanted)
{
    if ((unsigned)wanted->probe == 0 || (unsigned)wanted->probe >= PROBE_KIND_COUNT)
        return check_format("unknown kind of probe %u", (unsigned)wanted->probe);
    if (target->url == NULL || !target_place_of(target->url, &target->place))
        return check_format("cannot make sense of the URL '%s'", target->url != NULL ? target->url : "");
    char host[sizeof target->place.host];
    memcpy(host, target->place.host, sizeof target->place.host);
    target->port = target->place.port;
    if (wanted->connect != NULL && wanted->connect[0] != '\0' &&
        !address_split(wanted->connect, host, &target->port))
        return check_format("cannot make sense of connect '%s'", wanted->connect);
    if (!address_parse(host, target->port, &target->address)) target->name = check_strdup(host);
    if (target->expect_text != NULL && strlen(target->expect_text) > TARGET_EXPECT_BYTES_MAX)
        return check_format("the expected text is longer than %d bytes", TARGET_EXPECT_BYTES_MAX);
    if (target->each_address && target->label_count == LIMIT_LABELS)
        return check_format("no room for the label 'address' beside %d labels", LIMIT_LABELS);
    if (target->credentials_file != NULL &&
        (strchr(target->credentials_file, '/') != NULL || target->credentials_file[0] == '.'))
        return check_format("credentials '%s' is not the name of a file", target->credentials_file);
    return NULL;
}

static uint32_t clamp(uint32_t value, uint32_t least, uint32_t most)
{
    return value < least ? least : value > most ? most : value;
}

struct target *target_new(const struct wire_target *wanted)
{
    struct target *target = check_alloc(sizeof *target);
    *target = (struct target){.key = wanted->key,
        .kind = wanted->probe,
        .url = copy_or_null(wanted->url),
        .interval_ms = clamp(wanted->interval_ms, TARGET_INTERVAL_MS_MIN, 24 * 3600 * 1000),
        .late_after_ms = wanted->late_after_ms,
        .timeout_ms = clamp(wanted->timeout_ms, 1, TARGET_TIMEOUT_MS_MAX),
        .long_timeout_ms = clamp(wanted->long_timeout_ms, 0, TARGET_TIMEOUT_MS_MAX),
        .expect_min = wanted->expect_code_min,
        .expect_max = wanted->expect_code_max,
        .expect_text = copy_or_null(wanted->expect_text),
        .insecure = wanted->insecure,
        .each_address = wanted->each_address,
        .follow = wanted->follow,
        .head = wanted->method != NULL && strcasecmp(wanted->method, "HEAD") == 0,
        .credentials_file = copy_or_null(wanted->credentials_file),
        .label_count = wanted->label_count};
    CHECK(wanted->label_count <= LIMIT_LABELS);
    for (size_t i = 0; i < wanted->label_count; i++)
        target->labels[i] = (struct wire_label){
            .name = check_strdup(wanted->labels[i].name), .value = check_strdup(wanted->labels[i].value)};
    target->phase_ms = wanted->phase_ms % target->interval_ms;
    target->headers = headers_of(wanted);
    target->broken = aim(target, wanted);
    return target;
}

static void free_text(const char *text)
{
    union {
        const char *borrowed;
        char *owned;
    } both = {.borrowed = text};
    free(both.owned);
}

void target_free(struct target *target)
{
    if (target == NULL) return;
    for (size_t i = 0; i < target->label_count; i++) {
        free_text(target->labels[i].name);
        free_text(target->labels[i].value);
    }
    curl_slist_free_all(target->headers);
    free(target->url);
    free(target->name);
    free(target->expect_text);
    free(target->credentials_file);
    free(target->broken);
    free(target);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_headers(const struct curl_slist *a, const struct curl_slist *b)
{
    for (; a != NULL && b != NULL; a = a->next, b = b->next)
        if (strcmp(a->data, b->data) != 0) return false;
    return a == NULL && b == NULL;
}

static bool same_labels(const struct target *a, const struct target *b)
{
    if (a->label_count != b->label_count) return false;
    for (size_t i = 0; i < a->label_count; i++)
        if (strcmp(a->labels[i].name, b->labels[i].name) != 0 ||
            strcmp(a->labels[i].value, b->labels[i].value) != 0)
            return false;
    return true;
}

bool target_equal(const struct target *a, const struct target *b)
{
    return a->key == b->key && a->kind == b->kind && same_text(a->url, b->url) &&
           same_text(a->name, b->name) && a->port == b->port && a->address.size == b->address.size &&
           (a->address.size == 0 || address_compare(&a->address, &b->address) == 0) &&
           a->interval_ms == b->interval_ms && a->phase_ms == b->phase_ms &&
           a->late_after_ms == b->late_after_ms && a->timeout_ms == b->timeout_ms &&
           a->long_timeout_ms == b->long_timeout_ms && a->expect_min == b->expect_min &&
           a->expect_max == b->expect_max && same_text(a->expect_text, b->expect_text) &&
           a->insecure == b->insecure && a->each_address == b->each_address && a->follow == b->follow &&
           a->head == b->head && same_text(a->credentials_file, b->credentials_file) &&
           same_headers(a->headers, b->headers) && same_labels(a, b) && same_text(a->broken, b->broken);
}

size_t target_labels(const struct target *target, const char *address, struct wire_label *out)
{
    size_t count = 0;
    bool pending = address != NULL && target->label_count < LIMIT_LABELS;
    for (size_t i = 0; i < target->label_count; i++) {
        if (pending && strcmp(target->labels[i].name, "address") > 0) {
            out[count++] = (struct wire_label){.name = "address", .value = address};
            pending = false;
        }
        out[count++] = target->labels[i];
    }
    if (pending) out[count++] = (struct wire_label){.name = "address", .value = address};
    return count;
}
