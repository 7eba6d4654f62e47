#include "agent/probe/http.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/check.h"
#include "common/clock.h"

#define IDLE_HANDLES_MAX 16
#define HEADER_BYTES_MAX (64 * 1024)
#define RECEIVE_BYTES    (8 * 1024) /* libcurl's buffer of each transfer; its default is 16 KiB */
#define USER_AGENT       "faultline/" FAULTLINE_VERSION " (+probe)"
#define DRAIN_WORD       "drain"
#define NEEDLE_BYTES_MAX 256
#define PIECE_BYTES      1024

/* Looks for a text in a body that arrives in pieces. */
struct finder {
    const char *needle; /* lower case where fold */
    size_t size;        /* 0: nothing to look for */
    bool fold, found;
    char tail[NEEDLE_BYTES_MAX];
    size_t tail_size; /* at most size - 1 */
};

struct transfer {
    struct http *http;
    CURL *easy;
    http_done_call *done;
    void *owner;
    void (*body)(void *owner, int code, struct span piece);
    struct transfer *previous, *next;
    struct curl_slist connect_to, *headers; /* headers: joined, owned; NULL where the caller's were enough */
    char connect_text[ADDRESS_TEXT_SIZE + 3];
    char message[CURL_ERROR_SIZE];
    size_t body_bytes, body_bytes_max, header_bytes;
    int fd;                                  /* while libcurl has it watched, else -1 */
    int64_t start_ns, open_ns, connected_ns; /* 0 not yet */
    bool complete;                           /* the rest of the body was not wanted */
    struct finder expect, drain;
};

struct http {
    struct loop *loop;
    CURLM *multi;
    struct loop_timer timer;
    struct transfer *transfers;
    CURL *idle[IDLE_HANDLES_MAX];
    size_t idle_count;
};

static void finder_init(struct finder *finder, const char *needle, bool fold)
{
    *finder = (struct finder){.needle = needle, .size = needle != NULL ? strlen(needle) : 0, .fold = fold};
    CHECK(finder->size <= NEEDLE_BYTES_MAX);
}

/* At most PIECE_BYTES at a time, so that the text that straddles two pieces lies in one window. */
static void finder_piece(struct finder *finder, const char *data, size_t size)
{
    char window[NEEDLE_BYTES_MAX + PIECE_BYTES];
    memcpy(window, finder->tail, finder->tail_size);
    memcpy(window + finder->tail_size, data, size);
    size_t length = finder->tail_size + size;
    if (finder->fold)
        for (size_t i = finder->tail_size; i < length; i++)
            if (window[i] >= 'A' && window[i] <= 'Z') window[i] = (char)(window[i] + ('a' - 'A'));
    finder->found = memmem(window, length, finder->needle, finder->size) != NULL;
    finder->tail_size = length < finder->size ? length : finder->size - 1;
    memcpy(finder->tail, window + length - finder->tail_size, finder->tail_size);
}

static void finder_feed(struct finder *finder, const char *data, size_t size)
{
    if (finder->size == 0) return;
    while (size > 0 && !finder->found) {
        size_t piece = size < PIECE_BYTES ? size : PIECE_BYTES;
        finder_piece(finder, data, piece);
        data += piece;
        size -= piece;
    }
}

static size_t on_header(char *data, size_t size, size_t count, void *owner)
{
    (void)data;
    struct transfer *transfer = owner;
    transfer->header_bytes += size * count;
    return transfer->header_bytes <= HEADER_BYTES_MAX ? size * count : 0;
}

static int response_code(CURL *easy)
{
    long code = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
    return code > 0 && code < 1000 ? (int)code : 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *owner)
{
    struct transfer *transfer = owner;
    size_t wanted = size * count, room = transfer->body_bytes_max - transfer->body_bytes;
    size_t taken = wanted < room ? wanted : room;
    int code = response_code(transfer->easy);
    finder_feed(&transfer->expect, data, taken);
    if (code == 503) finder_feed(&transfer->drain, data, taken);
    if (transfer->body != NULL) transfer->body(transfer->owner, code, span_of(data, taken));
    transfer->body_bytes += taken;
    transfer->complete = transfer->body_bytes == transfer->body_bytes_max;
    return transfer->complete ? 0 : wanted;
}

/* libcurl 7.88 tells when a connection stood only once TLS stands as well. So its sockets are looked at here,
 * before libcurl gets their events; getpeername leaves the socket's error to it. */
static void note_connected(struct transfer *transfer, int fd)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    if (transfer->connected_ns == 0 && getpeername(fd, (struct sockaddr *)&peer, &size) == 0)
        transfer->connected_ns = clock_mono_ns();
}

static curl_socket_t on_open(void *owner, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    struct transfer *transfer = owner;
    transfer->open_ns = clock_mono_ns();
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* What is the same for all transfers. */
static CURL *handle_new(void)
{
    CURL *easy = curl_easy_init();
    if (easy == NULL) return NULL;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*"); /* whatever the environment says */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, USER_AGENT);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    return easy;
}

static void http_due(void *owner, int64_t now_ns);

static int on_timer(CURLM *multi, long timeout_ms, void *owner)
{
    (void)multi;
    struct http *http = owner;
    if (timeout_ms < 0)
        loop_cancel(http->loop, &http->timer);
    else
        loop_at(http->loop, &http->timer, clock_mono_ns() + timeout_ms * INT64_C(1000000));
    return 0;
}

static void fill_names(CURL *easy, struct http_answer *answer)
{
    struct curl_certinfo *info = NULL;
    curl_easy_getinfo(easy, CURLINFO_CERTINFO, &info);
    static const char *const fields[] = {"X509v3 Subject Alternative Name:", "Subject:"};
    for (size_t f = 0; f < ARRAY_COUNT(fields) && answer->certificate_names == NULL; f++)
        for (const struct curl_slist *line = info != NULL && info->num_of_certs > 0 ? info->certinfo[0]
                                                                                    : NULL;
             line != NULL; line = line->next)
            if (strncmp(line->data, fields[f], strlen(fields[f])) == 0)
                answer->certificate_names = line->data + strlen(fields[f]);
}

/* A point in time of libcurl's, microseconds since its own start; -1 not reached. */
static int64_t reached(CURL *easy, CURLINFO which)
{
    curl_off_t us = 0;
    return curl_easy_getinfo(easy, which, &us) == CURLE_OK && us > 0 ? us : -1;
}

/* libcurl counts from when it takes the transfer up; its address was looked up (it is numeric) as the socket
 * was opened. */
static void fill_times(const struct transfer *transfer, struct http_answer *answer)
{
    int64_t connected_us = reached(transfer->easy, CURLINFO_CONNECT_TIME_T);
    int64_t tls_done_us = reached(transfer->easy, CURLINFO_APPCONNECT_TIME_T);
    int64_t first_byte_us = reached(transfer->easy, CURLINFO_STARTTRANSFER_TIME_T);
    int64_t opened_us = reached(transfer->easy, CURLINFO_NAMELOOKUP_TIME_T);
    if (opened_us < 0) opened_us = 0;
    if (connected_us >= 0)
        answer->connect_us = connected_us - opened_us;
    else
        answer->connect_us =
            transfer->connected_ns > 0 ? (transfer->connected_ns - transfer->open_ns) / 1000 : -1;
    answer->tls_us = tls_done_us >= 0 && connected_us >= 0 ? tls_done_us - connected_us : -1;
    answer->first_byte_us =
        first_byte_us >= 0 ? (transfer->open_ns - transfer->start_ns) / 1000 - opened_us + first_byte_us : -1;
}

static void fill(struct transfer *transfer, CURLcode code, struct http_answer *answer)
{
    if (transfer->open_ns == 0) { /* a handle that has not begun still tells of its last transfer */
        *answer = (struct http_answer){.curl = (int)code,
            .connect_us = -1,
            .tls_us = -1,
            .first_byte_us = -1,
            .message = transfer->message};
        return;
    }
    CURL *easy = transfer->easy;
    long os_errno = 0;
    char *redirect = NULL;
    struct curl_header *header;
    curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_errno);
    curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &redirect);
    *answer = (struct http_answer){.curl = (int)code,
        .os_errno = (int)os_errno,
        .code = response_code(easy),
        .text_found = transfer->expect.found,
        .drain_found = transfer->drain.found,
        .redirect = redirect,
        .message = transfer->message,
        .retry_after = curl_easy_header(easy, "Retry-After", 0, CURLH_HEADER, -1, &header) == CURLHE_OK};
    fill_times(transfer, answer);
    if (code == CURLE_GOT_NOTHING) answer->first_byte_us = -1; /* libcurl takes the end for a byte */
    fill_names(easy, answer);
}

/* Takes the transfer out of libcurl and gives its handle back. */
static void transfer_free(struct transfer *transfer)
{
    struct http *http = transfer->http;
    curl_multi_remove_handle(http->multi, transfer->easy);
    if (transfer->fd >= 0) loop_unwatch(http->loop, transfer->fd);
    curl_easy_setopt(transfer->easy, CURLOPT_USERPWD, NULL); /* no secret outlives its transfer */
    curl_easy_setopt(transfer->easy, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, NULL);
    if (http->idle_count < IDLE_HANDLES_MAX)
        http->idle[http->idle_count++] = transfer->easy;
    else
        curl_easy_cleanup(transfer->easy);
    if (transfer->previous != NULL)
        transfer->previous->next = transfer->next;
    else
        http->transfers = transfer->next;
    if (transfer->next != NULL) transfer->next->previous = transfer->previous;
    curl_slist_free_all(transfer->headers);
    free(transfer);
}

/* Tells the owners of all that has ended; they may start and cancel others. */
static void reap(struct http *http)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE) continue;
        char *data = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &data);
        struct transfer *transfer = (struct transfer *)(void *)data;
        CURLcode code = message->data.result;
        if (code == CURLE_WRITE_ERROR && transfer->complete) code = CURLE_OK;
        struct http_answer answer;
        fill(transfer, code, &answer);
        transfer->done(transfer->owner, &answer);
        transfer_free(transfer);
    }
}

static void transfer_ready(void *owner, int fd, unsigned events)
{
    struct transfer *transfer = owner;
    struct http *http = transfer->http;
    int mask = ((events & LOOP_READ) != 0 ? CURL_CSELECT_IN : 0) |
               ((events & LOOP_WRITE) != 0 ? CURL_CSELECT_OUT : 0) |
               ((events & LOOP_ERROR) != 0 ? CURL_CSELECT_ERR : 0);
    int running;
    note_connected(transfer, fd);
    curl_multi_socket_action(http->multi, fd, mask, &running);
    reap(http);
}

static void http_due(void *owner, int64_t now_ns)
{
    (void)now_ns;
    struct http *http = owner;
    int running;
    curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    reap(http);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *owner, void *watcher)
{
    struct http *http = owner;
    struct transfer *transfer = watcher;
    if (what == CURL_POLL_REMOVE) {
        if (transfer == NULL) return 0;
        loop_unwatch(http->loop, fd);
        transfer->fd = -1;
        curl_multi_assign(http->multi, fd, NULL);
        return 0;
    }
    unsigned events =
        ((what & CURL_POLL_IN) != 0 ? LOOP_READ : 0u) | ((what & CURL_POLL_OUT) != 0 ? LOOP_WRITE : 0u);
    if (transfer != NULL) {
        loop_change(http->loop, fd, events, NULL);
    } else {
        char *data = NULL;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &data);
        transfer = (struct transfer *)(void *)data;
        if (transfer == NULL || loop_watch(http->loop, fd, events, transfer_ready, transfer, NULL) != 0)
            return 0;
        transfer->fd = fd;
        curl_multi_assign(http->multi, fd, transfer);
    }
    note_connected(transfer, fd);
    return 0;
}

struct http *http_new(struct loop *loop, struct error *err)
{
    /* OpenSSL writes to broken connections without MSG_NOSIGNAL, and CURLOPT_NOSIGNAL keeps libcurl from
     * caring. */
    signal(SIGPIPE, SIG_IGN);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        fail(err, ERROR_UNSUPPORTED, "libcurl does not start");
        return NULL;
    }
    CURLM *multi = curl_multi_init();
    CHECK(multi != NULL);
    struct http *http = check_alloc(sizeof *http);
    *http = (struct http){.loop = loop, .multi = multi, .timer = {.call = http_due, .owner = http}};
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, http);
    return http;
}

void http_free(struct http *http)
{
    if (http == NULL) return;
    for (struct transfer *transfer = http->transfers, *next; transfer != NULL; transfer = next) {
        next = transfer->next;
        transfer_free(transfer);
    }
    while (http->idle_count > 0) curl_easy_cleanup(http->idle[--http->idle_count]);
    curl_multi_cleanup(http->multi);
    loop_cancel(http->loop, &http->timer);
    free(http);
    curl_global_cleanup();
}

static struct curl_slist *join(const struct curl_slist *a, const struct curl_slist *b)
{
    struct curl_slist *joined = NULL;
    for (int second = 0; second < 2; second++)
        for (const struct curl_slist *line = second ? b : a; line != NULL; line = line->next) {
            struct curl_slist *longer = curl_slist_append(joined, line->data);
            CHECK(longer != NULL);
            joined = longer;
        }
    return joined;
}

struct transfer *http_start(struct http *http, const struct http_request *request, http_done_call *done,
    void *owner, struct error *err)
{
    CURL *easy = http->idle_count > 0 ? http->idle[--http->idle_count] : handle_new();
    if (easy == NULL) {
        fail(err, ERROR_LIMIT, "libcurl gives no handle");
        return NULL;
    }
    struct transfer *transfer = check_alloc(sizeof *transfer);
    *transfer = (struct transfer){.http = http,
        .easy = easy,
        .done = done,
        .owner = owner,
        .fd = -1,
        .start_ns = clock_mono_ns(),
        .body = request->body,
        .body_bytes_max = request->body_bytes_max,
        .next = http->transfers};
    finder_init(&transfer->expect, request->expect_text, false);
    finder_init(&transfer->drain, DRAIN_WORD, true);
    char text[ADDRESS_TEXT_SIZE];
    snprintf(
        transfer->connect_text, sizeof transfer->connect_text, "::%s", address_text(request->address, text));
    transfer->connect_to.data = transfer->connect_text;
    if (request->secrets != NULL) transfer->headers = join(request->headers, request->secrets);
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, &transfer->connect_to);
    curl_easy_setopt(
        easy, CURLOPT_HTTPHEADER, transfer->headers != NULL ? transfer->headers : request->headers);
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    if (request->head) curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(easy, CURLOPT_USERPWD, request->userpwd);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, request->insecure ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, request->insecure ? 0L : 2L);
    curl_easy_setopt(easy, CURLOPT_CERTINFO, request->want_certificate ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->message);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)(void *)transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
    if (transfer->next != NULL) transfer->next->previous = transfer;
    http->transfers = transfer;
    CURLMcode added = curl_multi_add_handle(http->multi, easy);
    if (added != CURLM_OK) {
        transfer_free(transfer);
        fail(err, ERROR_LIMIT, "libcurl: %s", curl_multi_strerror(added));
        return NULL;
    }
    return transfer;
}

void http_progress(struct transfer *transfer, struct http_answer *answer)
{
    fill(transfer, CURLE_OK, answer);
}

void http_cancel(struct transfer *transfer)
{
    if (transfer != NULL) transfer_free(transfer);
}
