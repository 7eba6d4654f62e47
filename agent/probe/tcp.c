#include "agent/probe/tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/check.h"
#include "common/clock.h"

struct tcp {
    struct loop *loop;
    int fd; /* -1: there is none */
    int os_errno;
    tcp_call *call;
    void *owner;
    struct loop_timer failed; /* for attempts that end at once */
};

void tcp_cancel(struct tcp *tcp)
{
    if (tcp == NULL) return;
    loop_cancel(tcp->loop, &tcp->failed);
    if (tcp->fd >= 0) {
        loop_unwatch(tcp->loop, tcp->fd);
        close(tcp->fd);
    }
    free(tcp);
}

static void end(struct tcp *tcp, int os_errno)
{
    tcp_call *call = tcp->call;
    void *owner = tcp->owner;
    tcp_cancel(tcp);
    call(owner, os_errno);
}

static void tcp_ready(void *owner, int fd, unsigned events)
{
    (void)events;
    int os_errno = 0;
    socklen_t size = sizeof os_errno;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &os_errno, &size) != 0) os_errno = errno;
    end(owner, os_errno);
}

static void tcp_failed(void *owner, int64_t now_ns)
{
    (void)now_ns;
    struct tcp *tcp = owner;
    end(tcp, tcp->os_errno);
}

struct tcp *tcp_start(struct loop *loop, const struct address *address, tcp_call *call, void *owner)
{
    struct tcp *tcp = check_alloc(sizeof *tcp);
    *tcp = (struct tcp){
        .loop = loop, .call = call, .owner = owner, .failed = {.call = tcp_failed, .owner = tcp}};
    tcp->fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct error err;
    if (tcp->fd < 0 || (connect(tcp->fd, &address->any, address->size) != 0 && errno != EINPROGRESS))
        tcp->os_errno = errno;
    else if (loop_watch(loop, tcp->fd, LOOP_WRITE, tcp_ready, tcp, &err) != 0)
        tcp->os_errno = ENOMEM;
    if (tcp->os_errno != 0) loop_at(loop, &tcp->failed, clock_mono_ns());
    return tcp;
}
