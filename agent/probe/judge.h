/* What happened on the wire -> how a probe ended. Pure.
 *
 * The phase decides before the library's code does: nothing came back to the connection attempt is
 * CONNECT_TIMEOUT, connected without a first byte is NO_ANSWER (a TLS handshake that hangs too), a body that
 * does not end is UNFINISHED. */
#ifndef AGENT_PROBE_JUDGE_H
#define AGENT_PROBE_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/probe/http.h"
#include "agent/probe/target.h"
#include "proto/probe.h"

/* errno of a connect(2) that failed (ICMP answers and local firewalls arrive here as well). */
enum probe_error judge_connect(int os_errno);

/* Given up after the timeout, by how far it got. */
enum probe_error judge_timeout(bool connected, bool first_byte);

/* A transfer that ended: transport first, then status, then content. Sets PROBE_FLAG_DRAINING in *flags for a
 * 503 with Retry-After or with "drain" in its body. */
enum probe_error judge_answer(const struct target *target, const struct http_answer *answer, uint32_t *flags);

#endif
