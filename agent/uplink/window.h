/* What is on its way to one collector: which sequences, how many more may go, when to believe that nobody
 * listens. Pure: time is an argument. */
#ifndef AGENT_UPLINK_WINDOW_H
#define AGENT_UPLINK_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/received.h"

#define WINDOW_ACK_MS       10000 /* sent, connected, and no ack for this long: the connection is no good */
#define WINDOW_BACKLOG_MS   100   /* one batch of the backlog at most this often: ten times the live rate */
#define WINDOW_RETRY_MS     500   /* the first wait is between this and twice this */
#define WINDOW_RETRY_MS_MAX 60000

struct window {
    uint64_t in_flight[LIMIT_CREDIT]; /* in the order of sending */
    size_t count;
    uint32_t credit;
    int64_t waiting_since_ms; /* the last ack, or the first batch sent after nothing was on its way */
    uint64_t cursor;          /* backlog up to here has been sent on this connection */
    int64_t backlog_due_ms;
    bool hold_backlog; /* until the next live batch has gone: it carries the dictionary */
};

void window_open(struct window *window, uint32_t credit, int64_t now_ms);
bool window_has_room(const struct window *window);
/* The backlog may fill half of the credit: live batches never wait for it. */
bool window_has_room_for_backlog(const struct window *window, int64_t now_ms);
bool window_is_in_flight(const struct window *window, uint64_t sequence);
void window_sent(struct window *window, uint64_t sequence, int64_t now_ms);
/* Also takes for lost, to be sent again as backlog, what was sent before something that is received now. */
void window_acknowledged(
    struct window *window, const struct received *received, uint32_t credit, int64_t now_ms);
bool window_is_deaf(const struct window *window, int64_t now_ms);

/* Everything unacknowledged goes again, after the next live batch. */
void window_start_over(struct window *window);

/* How long to wait before attempt n (from 0): full jitter between WINDOW_RETRY_MS and a ceiling that doubles.
 */
int64_t window_backoff_ms(unsigned attempt, uint64_t random);

#endif
