/* Peers for probes, each a process of its own that ends with the test: servers that misbehave in one way,
 * name servers that answer what they are told, and real programs (nginx, haproxy) with a config of the
 * test's. All on loopback. */
#ifndef TESTS_SUPPORT_HTTP_PEER_H
#define TESTS_SUPPORT_HTTP_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum peer_manner {
    PEER_TEXT,          /* reads a request, sends `text`, closes */
    PEER_ECHO,          /* answers 200 with the request as its body */
    PEER_SILENT,        /* accepts and reads, never answers */
    PEER_STALL,         /* sends `text`, then nothing more, keeps the connection */
    PEER_TRICKLE,       /* sends `text` a byte at a time, 2 ms apart */
    PEER_RESET,         /* reads a request, then RST */
    PEER_RESET_AT_ONCE, /* accepts, then RST */
    PEER_CLOSE,         /* reads a request, closes */
    PEER_CUT,           /* sends `text`, then RST */
    PEER_DROP           /* never accepts: its backlog is full, so connection attempts get no answer */
};

struct peer {
    pid_t pid;
    uint16_t port;
    int fds[4];   /* PEER_DROP: what fills the backlog */
    char url[64]; /* http://127.0.0.1:PORT/ */
};

/* Ends the program if it cannot. host NULL: 127.0.0.1. */
void peer_start(struct peer *peer, enum peer_manner manner, const char *text);
void peer_start_at(
    struct peer *peer, const char *host, uint16_t port, enum peer_manner manner, const char *text);
void peer_stop(struct peer *peer);

/* A loopback address that is this process's alone (127.64.0.0/10 by its id): tests that run side by side do
 * not take each other's ports. */
const char *peer_host(void);

/* A port that nothing listens on at peer_host. */
uint16_t peer_free_port(void);

/* Starts a program that serves `port` at peer_host and waits until it accepts. False: it is not installed, or
 * did not begin within 10 s. Its output goes to LOG in `directory`. */
bool peer_spawn(struct peer *peer, const char *directory, uint16_t port, const char *const argv[]);

/* A name server on a free UDP port. Rows "name address address…", "name NXDOMAIN", "name SERVFAIL", "name
 * MUTE"; unknown names do not exist. AAAA questions are answered by the addresses with a colon. */
struct dns_peer {
    pid_t pid;
    uint16_t port;
    char *rows;       /* shared with the process: dns_peer_say changes it */
    char servers[32]; /* "127.0.0.1:PORT" */
};
void dns_peer_start(struct dns_peer *peer, const char *rows);
void dns_peer_say(struct dns_peer *peer, const char *rows);
void dns_peer_stop(struct dns_peer *peer);

#endif
