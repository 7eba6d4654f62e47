#include "agent/helper/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/check.h"
#include "common/cleanup.h"

#define NURSERY_ANSWER_S 1

struct request {
    helper_serve *serve; /* the same address in every process: all are forks of one image */
    enum helper_socket type;
    unsigned char argument[HELPER_ARGUMENT_BYTES_MAX];
};

struct answer {
    pid_t pid; /* 0: it could not be started */
    int os_errno;
};

static int nursery_fd = -1;

static const int socket_types[] = {[HELPER_STREAM] = SOCK_STREAM, [HELPER_PACKETS] = SOCK_SEQPACKET};

/* In the nursery: a fork and the parent's end of its socket. */
static pid_t give_birth(const struct request *request, int control, int *parent_end)
{
    int pair[2];
    if (socketpair(AF_UNIX, socket_types[request->type] | SOCK_CLOEXEC, 0, pair) != 0) return -1;
    pid_t pid = fork();
    if (pid == 0) {
        close(control);
        close(pair[0]);
        request->serve(pair[1], request->argument);
        _exit(0);
    }
    int saved = errno;
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        errno = saved;
        return -1;
    }
    *parent_end = pair[0];
    return pid;
}

static void send_answer(int control, const struct answer *answer, int fd)
{
    struct iovec body = {
        .iov_base = &(struct answer){answer->pid, answer->os_errno}, .iov_len = sizeof *answer};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } rights = {0};
    struct msghdr message = {.msg_iov = &body, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = rights.bytes;
        message.msg_controllen = sizeof rights.bytes;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(head), &fd, sizeof fd);
    }
    while (sendmsg(control, &message, MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
}

static _Noreturn void run_nursery(int control)
{
    prctl(PR_SET_NAME, "faultline-nurse");
    signal(SIGCHLD, SIG_IGN); /* the kernel buries them */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file too large is an error like a full disk */
    struct request request;
    for (;;) {
        ssize_t n = recv(control, &request, sizeof request, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n != (ssize_t)sizeof request) _exit(0);
        int fd = -1;
        pid_t pid = give_birth(&request, control, &fd);
        send_answer(control, &(struct answer){pid > 0 ? pid : 0, pid > 0 ? 0 : errno}, fd);
        if (fd >= 0) close(fd);
    }
}

int helper_init(struct error *err)
{
    CHECK(nursery_fd < 0);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return fail_errno(err, "socketpair");
    pid_t pid = fork();
    if (pid < 0) {
        close(pair[0]);
        close(pair[1]);
        return fail_errno(err, "fork of the helpers' nursery");
    }
    if (pid == 0) {
        close(pair[0]);
        run_nursery(pair[1]);
    }
    close(pair[1]);
    /* A nursery that does not answer, because its pages lie on a dead disk, must not stop the loop for long.
     */
    struct timeval limit = {.tv_sec = NURSERY_ANSWER_S};
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    nursery_fd = pair[0];
    return 0;
}

void helper_fini(void)
{
    if (nursery_fd >= 0) close(nursery_fd);
    nursery_fd = -1;
}

static int receive_answer(struct answer *answer, int *fd)
{
    struct iovec body = {.iov_base = answer, .iov_len = sizeof *answer};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } rights = {0};
    struct msghdr message = {.msg_iov = &body,
        .msg_iovlen = 1,
        .msg_control = rights.bytes,
        .msg_controllen = sizeof rights.bytes};
    ssize_t n;
    do {
        n = recvmsg(nursery_fd, &message, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    *fd = -1;
    const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (n > 0 && head != NULL && head->cmsg_type == SCM_RIGHTS) memcpy(fd, CMSG_DATA(head), sizeof *fd);
    return n == (ssize_t)sizeof *answer ? 0 : -1;
}

int helper_start(struct helper *helper, enum helper_socket type, helper_serve *serve, const void *argument,
    size_t argument_size, struct error *err)
{
    CHECK(argument_size <= HELPER_ARGUMENT_BYTES_MAX);
    if (nursery_fd < 0) return fail(err, ERROR_UNSUPPORTED, "no helpers in this process");
    struct request request = {.serve = serve, .type = type};
    if (argument_size > 0) memcpy(request.argument, argument, argument_size);
    if (send(nursery_fd, &request, sizeof request, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)sizeof request)
        return fail_errno(err, "ask for a helper");
    struct answer answer;
    int fd;
    if (receive_answer(&answer, &fd) != 0) {
        /* A late answer would be taken for the next one's: this nursery is done. */
        helper_fini();
        return fail(err, ERROR_IO, "the helpers' nursery does not answer");
    }
    if (answer.pid == 0 || fd < 0) {
        errno = answer.os_errno;
        return fail_errno(err, "start a helper");
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    *helper = (struct helper){.fd = fd, .pid = answer.pid};
    return 0;
}

void helper_finish(struct helper *helper)
{
    if (helper->fd > 0) close(helper->fd);
    *helper = (struct helper){0};
}

void helper_abandon(struct helper *helper)
{
    if (helper->pid > 0) kill(helper->pid, SIGKILL);
    helper_finish(helper);
}
