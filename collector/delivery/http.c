#include "collector/delivery/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "collector/delivery/address.h"
#include "common/check.h"
#include "common/clock.h"

struct transfer {
    struct transfer *next, **link;
    struct http *http;
    CURL *easy;
    struct curl_slist *headers;
    struct channel_request request;
    struct http_rules rules;
    struct buffer answer;
    bool cut;     /* the answer was longer than what is read */
    bool refused; /* by the rules for addresses */
    char refused_text[ADDRESS_TEXT_SIZE];
    char curl_error[CURL_ERROR_SIZE];
    http_done *done;
    void *owner;
};

struct http {
    struct loop *loop;
    CURLM *multi;
    struct loop_timer timer; /* what curl asked for */
    struct transfer *transfers;
};

static void collect(struct http *http);

static void transfer_free(struct transfer *transfer)
{
    if (transfer->next != NULL) transfer->next->link = transfer->link;
    *transfer->link = transfer->next;
    if (transfer->easy != NULL) {
        curl_multi_remove_handle(transfer->http->multi, transfer->easy);
        curl_easy_cleanup(transfer->easy);
    }
    curl_slist_free_all(transfer->headers);
    channel_request_fini(&transfer->request);
    buffer_fini(&transfer->answer);
    free(transfer);
}

static void on_socket_ready(void *owner, int fd, unsigned events)
{
    struct http *http = owner;
    int running = 0;
    int what = ((events & LOOP_READ) != 0 ? CURL_CSELECT_IN : 0) |
               ((events & LOOP_WRITE) != 0 ? CURL_CSELECT_OUT : 0) |
               ((events & LOOP_ERROR) != 0 ? CURL_CSELECT_ERR : 0);
    curl_multi_socket_action(http->multi, fd, what, &running);
    collect(http);
}

static void on_timer(void *owner, int64_t now_ns)
{
    (void)now_ns;
    struct http *http = owner;
    int running = 0;
    curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(http);
}

/* curl tells which descriptors it wants watched; `known` is non-NULL once we watch it. */
static int tell_socket(CURL *easy, curl_socket_t fd, int what, void *owner, void *known)
{
    (void)easy;
    struct http *http = owner;
    if (what == CURL_POLL_REMOVE) {
        if (known != NULL) loop_unwatch(http->loop, fd);
        return 0;
    }
    unsigned events =
        (what & CURL_POLL_IN ? (unsigned)LOOP_READ : 0) | (what & CURL_POLL_OUT ? (unsigned)LOOP_WRITE : 0);
    struct error err;
    if (known != NULL) return loop_change(http->loop, fd, events, &err);
    if (loop_watch(http->loop, fd, events, on_socket_ready, http, &err) < 0) return -1;
    curl_multi_assign(http->multi, fd, http);
    return 0;
}

static int tell_timer(CURLM *multi, long timeout_ms, void *owner)
{
    (void)multi;
    struct http *http = owner;
    if (timeout_ms < 0)
        loop_cancel(http->loop, &http->timer);
    else
        loop_at(http->loop, &http->timer, clock_mono_ns() + timeout_ms * INT64_C(1000000));
    return 0;
}

/* The last line of defence, and the only one that counts: this address is the one connected to. */
static curl_socket_t open_socket(void *owner, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *transfer = owner;
    if (purpose != CURLSOCKTYPE_IPCXN) return CURL_SOCKET_BAD;
    if (!address_allowed(&address->addr, transfer->rules.allow_private)) {
        transfer->refused = true;
        address_text(&address->addr, transfer->refused_text);
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t take_answer(char *bytes, size_t size, size_t count, void *owner)
{
    struct transfer *transfer = owner;
    if (buffer_append(&transfer->answer, span_of(bytes, size * count), NULL) == 0) return size * count;
    transfer->cut = true;
    return 0; /* ends the transfer */
}

static bool was_connected(const struct transfer *transfer)
{
    curl_off_t connect_us = 0;
    return curl_easy_getinfo(transfer->easy, CURLINFO_CONNECT_TIME_T, &connect_us) == CURLE_OK &&
           connect_us > 0;
}

static enum channel_failure failure_of(const struct transfer *transfer, CURLcode code)
{
    if (code == CURLE_OK || transfer->cut) return CHANNEL_FAILURE_NONE;
    if (transfer->refused && code == CURLE_COULDNT_CONNECT) return CHANNEL_FAILURE_ADDRESS;
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT: return CHANNEL_FAILURE_TIMEOUT;
    case CURLE_URL_MALFORMAT: return CHANNEL_FAILURE_REQUEST;
    case CURLE_UNSUPPORTED_PROTOCOL: /* curl also says so of an answer that is no HTTP/1 */
        return was_connected(transfer) ? CHANNEL_FAILURE_NETWORK : CHANNEL_FAILURE_REQUEST;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR: return CHANNEL_FAILURE_TLS;
    default: return CHANNEL_FAILURE_NETWORK;
    }
}

/* The first line of the answer's text, for people. */
static void first_line(struct span body, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < body.size && n + 1 < size && n < 100; i++) {
        uint8_t c = body.data[i];
        if (c == '\n' || c == '\r') {
            if (n > 0) break;
            continue;
        }
        out[n++] = c < 0x20 || c >= 0x7f || c == '"' ? ' ' : (char)c;
    }
    out[n] = '\0';
}

static void describe(const struct transfer *transfer, CURLcode code, struct channel_response *response)
{
    char *out = response->detail;
    size_t size = sizeof response->detail;
    char line[128];
    first_line(response->body, line, sizeof line);
    switch (response->failure) {
    case CHANNEL_FAILURE_ADDRESS:
        snprintf(out, size, "%s is not a public address; `allow_private: true` at the hook permits it",
            transfer->refused_text);
        return;
    case CHANNEL_FAILURE_TIMEOUT:
        snprintf(out, size, "no complete answer within %lld s",
            (long long)((transfer->rules.deadline_ms + 500) / 1000));
        return;
    case CHANNEL_FAILURE_NONE:
        snprintf(out, size, "HTTP %d%s%s%s", response->status, line[0] != '\0' ? ": " : "", line,
            transfer->cut ? " (answer cut)" : "");
        return;
    default:
        snprintf(out, size, "%s",
            transfer->curl_error[0] != '\0' ? transfer->curl_error : curl_easy_strerror(code));
    }
}

static void finish(struct transfer *transfer, CURLcode code)
{
    struct channel_response response = {.body = buffer_span(&transfer->answer)};
    long status = 0;
    curl_off_t retry_after_s = 0, total_us = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    curl_easy_getinfo(transfer->easy, CURLINFO_TOTAL_TIME_T, &total_us);
    response.status = (int)status;
    response.retry_after_ms = retry_after_s > INT64_C(1) << 32 ? INT64_C(1000) << 32 : retry_after_s * 1000;
    response.duration_ms = total_us / 1000;
    response.failure = failure_of(transfer, code);
    describe(transfer, code, &response);
    transfer->done(transfer->owner, &response);
    transfer_free(transfer);
}

static void collect(struct http *http)
{
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(http->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE) continue;
        struct transfer *transfer = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        finish(transfer, code);
    }
}

struct http *http_new(struct loop *loop, struct error *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        fail(err, ERROR_UNSUPPORTED, "libcurl does not start");
        return NULL;
    }
    struct http *http = check_alloc(sizeof *http);
    http->loop = loop;
    http->timer = (struct loop_timer){.call = on_timer, .owner = http};
    http->multi = curl_multi_init();
    CHECK(http->multi != NULL);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, tell_socket);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, tell_timer);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    return http;
}

void http_free(struct http *http)
{
    if (http == NULL) return;
    for (struct transfer *transfer = http->transfers, *next; transfer != NULL; transfer = next) {
        next = transfer->next;
        transfer_free(transfer);
    }
    curl_multi_cleanup(http->multi);
    loop_cancel(http->loop, &http->timer);
    free(http);
}

static void set_rules(CURL *easy, struct transfer *transfer)
{
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* none, whatever the environment says */
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
    /* No reuse: each attempt opens, and so checks, its own connection. */
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)transfer->rules.deadline_ms);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* Without it the removal of a handle waits for its resolver thread: a dead name server would stop the
     * loop. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
}

static void set_request(CURL *easy, struct transfer *transfer)
{
    struct channel_request *request = &transfer->request;
    for (size_t i = 0; i < request->header_count; i++)
        transfer->headers = curl_slist_append(transfer->headers, request->headers[i]);
    transfer->headers = curl_slist_append(transfer->headers, "Expect:");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "faultline/" FAULTLINE_VERSION);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.data);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_error);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
}

void http_start(struct http *http, struct channel_request *request, const struct http_rules *rules,
    http_done *done, void *owner)
{
    struct transfer *transfer = check_alloc(sizeof *transfer);
    transfer->http = http;
    transfer->request = *request;
    *request = (struct channel_request){0};
    transfer->rules = *rules;
    if (transfer->rules.deadline_ms == 0) transfer->rules.deadline_ms = HTTP_DEADLINE_MS;
    transfer->answer.size_max = CHANNEL_ANSWER_MAX;
    transfer->done = done;
    transfer->owner = owner;
    transfer->next = http->transfers;
    transfer->link = &http->transfers;
    if (transfer->next != NULL) transfer->next->link = &transfer->next;
    http->transfers = transfer;
    transfer->easy = curl_easy_init();
    CHECK(transfer->easy != NULL);
    set_rules(transfer->easy, transfer);
    set_request(transfer->easy, transfer);
    CHECK(curl_multi_add_handle(http->multi, transfer->easy) == CURLM_OK);
}
