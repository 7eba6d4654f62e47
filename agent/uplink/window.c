#include "agent/uplink/window.h"

void window_open(struct window *w, uint32_t credit, int64_t now_ms)
{
    *w = (struct window){.credit = credit < LIMIT_CREDIT ? credit : LIMIT_CREDIT, .waiting_since_ms = now_ms};
}

bool window_has_room(const struct window *w)
{
    return w->count < w->credit;
}

bool window_has_room_for_backlog(const struct window *w, int64_t now_ms)
{
    return !w->hold_backlog && now_ms >= w->backlog_due_ms && w->count < (w->credit + 1) / 2;
}

bool window_is_in_flight(const struct window *w, uint64_t sequence)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->in_flight[i] == sequence) return true;
    return false;
}

void window_sent(struct window *w, uint64_t sequence, int64_t now_ms)
{
    if (w->count == LIMIT_CREDIT) return;
    if (w->count == 0) w->waiting_since_ms = now_ms;
    w->in_flight[w->count++] = sequence;
}

/* Everything on the way keeps its order, so what is still missing when something sent after it has arrived is
 * lost: the collector's processes restart without the connection noticing. */
void window_acknowledged(struct window *w, const struct received *received, uint32_t credit, int64_t now_ms)
{
    size_t kept = 0, newest = w->count;
    while (newest > 0 && !received_has(received, w->in_flight[newest - 1])) newest--;
    for (size_t i = 0; i < w->count; i++) {
        uint64_t sequence = w->in_flight[i];
        if (i >= newest)
            w->in_flight[kept++] = sequence;
        else if (!received_has(received, sequence) && sequence <= w->cursor)
            w->cursor = sequence - 1;
    }
    w->count = kept;
    w->credit = credit < LIMIT_CREDIT ? credit : LIMIT_CREDIT;
    w->waiting_since_ms = now_ms;
}

bool window_is_deaf(const struct window *w, int64_t now_ms)
{
    return w->count > 0 && now_ms - w->waiting_since_ms >= WINDOW_ACK_MS;
}

void window_start_over(struct window *w)
{
    w->count = 0;
    w->cursor = 0;
    w->hold_backlog = true;
}

int64_t window_backoff_ms(unsigned attempt, uint64_t random)
{
    int64_t ceiling_ms = WINDOW_RETRY_MS_MAX;
    if (attempt < 7) ceiling_ms = (int64_t)WINDOW_RETRY_MS << (attempt + 1);
    if (ceiling_ms > WINDOW_RETRY_MS_MAX) ceiling_ms = WINDOW_RETRY_MS_MAX;
    return WINDOW_RETRY_MS + (int64_t)(random % (uint64_t)(ceiling_ms - WINDOW_RETRY_MS + 1));
}
