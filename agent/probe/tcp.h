/* A TCP connection attempt that is closed as soon as it stands. One thread: the loop's. */
#ifndef AGENT_PROBE_TCP_H
#define AGENT_PROBE_TCP_H

#include "agent/probe/address.h"
#include "common/loop.h"

struct tcp;

/* os_errno 0: connected. Called once, never from within tcp_start; the attempt is gone when it is called. */
typedef void tcp_call(void *owner, int os_errno);

struct tcp *tcp_start(struct loop *loop, const struct address *address, tcp_call *call, void *owner);
void tcp_cancel(struct tcp *tcp); /* NULL is fine */

#endif
