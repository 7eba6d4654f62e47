#include "collector/link/doors.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "collector/link/front.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/span.h"

#define LISTENER_FD_MAX 4096 /* listeners are opened at the start, among the first */

/* The next line of what the process before this one listened at; NULL if there is none. */
static const char *next_line(char **text)
{
    const char *line = *text != NULL ? strsep(text, "\n") : NULL;
    return line != NULL && line[0] != '\0' ? line : NULL;
}

/* libzmq does not tell its descriptor of a listener: the one that accepts connections at this port. */
static int find_listener(const char *endpoint)
{
    const char *colon = strrchr(endpoint, ':');
    long port = colon != NULL ? strtol(colon + 1, NULL, 10) : 0;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return -1;
    for (int fd = 0; fd < (int)files.rlim_cur && fd < LISTENER_FD_MAX; fd++) {
        int accepts = 0;
        socklen_t size = sizeof accepts;
        union {
            struct sockaddr any;
            struct sockaddr_in v4;
            struct sockaddr_in6 v6;
        } address = {0};
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size) != 0 || accepts == 0) continue;
        size = sizeof address;
        if (getsockname(fd, &address.any, &size) != 0) continue;
        if (address.any.sa_family == AF_INET && ntohs(address.v4.sin_port) == port) return fd;
        if (address.any.sa_family == AF_INET6 && ntohs(address.v6.sin6_port) == port) return fd;
    }
    return -1;
}

static int bind_one(
    struct doors *doors, void *front, const char *endpoint, const char *earlier, struct error *err)
{
    char *resolved = doors->endpoints[doors->count];
    size_t size = strlen(endpoint);
    bool any_port = size > 2 && strcmp(endpoint + size - 2, ":*") == 0;
    bool same_address = earlier != NULL && strncmp(earlier, endpoint, size - 1) == 0;
    if (any_port && same_address && front_bind(front, earlier, resolved, DOORS_ENDPOINT_SIZE, NULL) == 0)
        return 0;
    return front_bind(front, endpoint, resolved, DOORS_ENDPOINT_SIZE, err);
}

int doors_open(struct doors *doors, void *front, const char *const *listen, size_t count, const char *run,
    struct error *err)
{
    if (count == 0 || count > DOORS_MAX)
        return fail(err, ERROR_INPUT, "%zu addresses to listen at; 1 to %d are possible", count, DOORS_MAX);
    *doors = (struct doors){0};
    AUTO_FREE char *path = check_format("%s/link.endpoints", run);
    AUTO(buffer_fini) struct buffer before = {0};
    AUTO(buffer_fini) struct buffer text = {0};
    (void)file_read(path, DOORS_MAX * DOORS_ENDPOINT_SIZE, &before, NULL);
    buffer_text(&before);
    char *rest = (char *)before.data;
    for (; doors->count < count; doors->count++) {
        if (bind_one(doors, front, listen[doors->count], next_line(&rest), err) != 0) return -1;
        doors->listeners[doors->count] = find_listener(doors->endpoints[doors->count]);
        if (buffer_format(&text, err, "%s\n", doors->endpoints[doors->count]) != 0) return -1;
    }
    return file_write_atomic(path, buffer_span(&text), 0644, err);
}

void doors_shut(struct doors *doors, bool shut)
{
    struct sock_filter nobody = BPF_STMT(BPF_RET | BPF_K, 0);
    const struct sock_fprog program = {.len = 1, .filter = &nobody};
    for (size_t i = 0; i < doors->count; i++) {
        if (doors->listeners[i] < 0) continue;
        setsockopt(doors->listeners[i], SOL_SOCKET, shut ? SO_ATTACH_FILTER : SO_DETACH_FILTER, &program,
            sizeof program);
    }
    doors->shut = shut;
}
