#include "agent/probe/judge.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>

#include "common/check.h"

static const struct {
    int os_errno;
    enum probe_error error;
} connect_errors[] = {
    {ECONNREFUSED, PROBE_ERROR_REFUSED}, {ETIMEDOUT, PROBE_ERROR_CONNECT_TIMEOUT},
    {ECONNRESET, PROBE_ERROR_RESET}, {ECONNABORTED, PROBE_ERROR_RESET}, {EPIPE, PROBE_ERROR_RESET},
    {EHOSTUNREACH,
        PROBE_ERROR_UNREACHABLE},           /* ICMP host unreachable, host prohibited, filtered; ARP failed */
    {ENETUNREACH, PROBE_ERROR_UNREACHABLE}, /* no route; ICMP net unreachable or prohibited */
    {EHOSTDOWN, PROBE_ERROR_UNREACHABLE}, {ENETDOWN, PROBE_ERROR_UNREACHABLE},
    {ENONET, PROBE_ERROR_UNREACHABLE}, {ENOPROTOOPT, PROBE_ERROR_UNREACHABLE}, /* ICMP protocol unreachable */
    {EPROTO, PROBE_ERROR_UNREACHABLE},                                         /* ICMPv6 parameter problem */
    {EMSGSIZE, PROBE_ERROR_UNREACHABLE}, /* ICMP fragmentation needed, ICMPv6 packet too big */
    {EPERM, PROBE_ERROR_UNREACHABLE},    /* a local firewall's drop in the output chain */
    {EACCES, PROBE_ERROR_UNREACHABLE},   /* prohibit routes, ICMPv6 administratively prohibited */
    {EINVAL, PROBE_ERROR_UNREACHABLE},   /* blackhole routes */
};

enum probe_error judge_connect(int os_errno)
{
    for (size_t i = 0; i < ARRAY_COUNT(connect_errors); i++)
        if (connect_errors[i].os_errno == os_errno) return connect_errors[i].error;
    return PROBE_ERROR_LOCAL; /* descriptors, memory, ports, addresses of this host */
}

enum probe_error judge_timeout(bool connected, bool first_byte)
{
    if (!connected) return PROBE_ERROR_CONNECT_TIMEOUT;
    return first_byte ? PROBE_ERROR_UNFINISHED : PROBE_ERROR_NO_ANSWER;
}

/* What libcurl's code means whatever the phase. Not in the table: LOCAL before a connection, MALFORMED after.
 */
static const struct {
    CURLcode code;
    enum probe_error error;
} transfer_errors[] = {
    {CURLE_COULDNT_RESOLVE_HOST, PROBE_ERROR_RESOLVE},
    {CURLE_SSL_CONNECT_ERROR, PROBE_ERROR_TLS},
    {CURLE_PEER_FAILED_VERIFICATION, PROBE_ERROR_TLS},
    {CURLE_SSL_CIPHER, PROBE_ERROR_TLS},
    {CURLE_SSL_ISSUER_ERROR, PROBE_ERROR_TLS},
    {CURLE_SSL_INVALIDCERTSTATUS, PROBE_ERROR_TLS},
    {CURLE_SSL_CLIENTCERT, PROBE_ERROR_TLS},
    {CURLE_SEND_ERROR, PROBE_ERROR_RESET},
    {CURLE_RECV_ERROR, PROBE_ERROR_RESET},
    {CURLE_GOT_NOTHING, PROBE_ERROR_RESET},  /* closed without a byte */
    {CURLE_PARTIAL_FILE, PROBE_ERROR_RESET}, /* closed within the body */
    {CURLE_SSL_SHUTDOWN_FAILED, PROBE_ERROR_RESET},
    {CURLE_SSL_CACERT_BADFILE, PROBE_ERROR_LOCAL}, /* this host's certificates */
    {CURLE_SSL_CERTPROBLEM, PROBE_ERROR_LOCAL},
    {CURLE_OUT_OF_MEMORY, PROBE_ERROR_LOCAL},
    {CURLE_FAILED_INIT, PROBE_ERROR_LOCAL},
    {CURLE_URL_MALFORMAT, PROBE_ERROR_LOCAL},
    {CURLE_INTERFACE_FAILED, PROBE_ERROR_LOCAL},
    {CURLE_UNSUPPORTED_PROTOCOL, PROBE_ERROR_MALFORMED}, /* the answer looks like HTTP/0.9 */
    {CURLE_WEIRD_SERVER_REPLY, PROBE_ERROR_MALFORMED},
    {CURLE_HTTP2, PROBE_ERROR_MALFORMED},
    {CURLE_BAD_CONTENT_ENCODING, PROBE_ERROR_MALFORMED},
};

/* libcurl 7.88 keeps errno of connect(2) only: what broke a transfer is in its words. A handshake that is
 * cut off is the connection's fault, one that is declined (an alert) is TLS's, also where TLS 1.3 declines
 * after it. */
static enum probe_error refine(enum probe_error error, const char *message)
{
    if (error == PROBE_ERROR_TLS &&
        (strstr(message, "reset by peer") != NULL || strstr(message, "SSL_ERROR_SYSCALL") != NULL ||
            strstr(message, "unexpected eof") != NULL))
        return PROBE_ERROR_RESET;
    if (error == PROBE_ERROR_RESET && strstr(message, "alert") != NULL) return PROBE_ERROR_TLS;
    if (error == PROBE_ERROR_RESET && strstr(message, "chunked-encoding") != NULL)
        return PROBE_ERROR_MALFORMED;
    return error;
}

static enum probe_error judge_transfer(const struct http_answer *answer)
{
    CURLcode code = (CURLcode)answer->curl;
    if (code == CURLE_COULDNT_CONNECT) return judge_connect(answer->os_errno);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return judge_timeout(answer->connect_us >= 0, answer->first_byte_us >= 0);
    for (size_t i = 0; i < ARRAY_COUNT(transfer_errors); i++)
        if (transfer_errors[i].code == code) return refine(transfer_errors[i].error, answer->message);
    return answer->connect_us >= 0 ? PROBE_ERROR_MALFORMED : PROBE_ERROR_LOCAL;
}

enum probe_error judge_answer(const struct target *target, const struct http_answer *answer, uint32_t *flags)
{
    if (answer->curl != CURLE_OK) return judge_transfer(answer);
    int code = answer->code;
    if (code == 503 && (answer->retry_after || answer->drain_found)) *flags |= PROBE_FLAG_DRAINING;
    bool by_default = target->expect_min == 0 && target->expect_max == 0;
    int least = by_default ? 200 : (int)target->expect_min;
    int most = by_default ? 399 : (int)target->expect_max;
    bool redirect = code >= 300 && code < 400 && answer->redirect != NULL;
    if (redirect && (by_default || code < least || code > most)) return PROBE_ERROR_REDIRECT;
    if (code < least || code > most)
        return code == 401 || code == 403 || code == 429 ? PROBE_ERROR_BLOCKED : PROBE_ERROR_STATUS;
    if (target->expect_text != NULL && !target->head && !answer->text_found) return PROBE_ERROR_CONTENT;
    return PROBE_ERROR_NONE;
}
