/* The dictionary: (metric, labels) to id and back. Pure but for memory; one owner. */
#ifndef AGENT_BATCH_SERIES_H
#define AGENT_BATCH_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/metrics.h"
#include "proto/wire.h"

#define SERIES_PROBE METRIC_COUNT /* in place of a metric: an outcome of a probe */

struct series {
    uint32_t id;
    unsigned metric; /* enum metric or SERIES_PROBE */
    char *text;      /* "name\0value\0name\0value\0", names ascending */
    uint16_t text_size;
    uint8_t label_count;
    bool sent; /* its meaning travelled in a batch */
    bool kept; /* it was handed out for the spool's dictionary */
    uint64_t hash;
    int64_t value_time_ms; /* of its last waiting value, at value_slot */
    size_t value_slot;
    uint64_t used; /* the round it was last used in */
};

struct dictionary {
    struct series *list; /* positions are stable until a forgotten one is replaced */
    size_t count, capacity;
    uint32_t *slots; /* open addressing: position + 1 */
    size_t slot_count;
    uint32_t next_id;
    uint64_t round;
};

void dictionary_init(struct dictionary *dictionary);
void dictionary_fini(struct dictionary *dictionary);

#define SERIES_NONE ((size_t)-1)
/* The position of a series, new if unknown. Labels in ascending order. SERIES_NONE: not allowed on the wire,
 * or LIMIT_SERIES_PER_HOST are in use (those not used for SERIES_FORGET_ROUNDS make room). */
size_t dictionary_get(
    struct dictionary *dictionary, unsigned metric, const struct wire_label *labels, size_t label_count);
#define SERIES_FORGET_ROUNDS 3600

/* As dictionary_get, but with an id that an earlier run gave. New ids begin SERIES_ID_SKIP after it: that run
 * may have given some that left no trace. */
#define SERIES_ID_SKIP 4096
void dictionary_learn(struct dictionary *dictionary, const struct wire_dict_entry *entry);

/* As the wire wants it; borrows from the dictionary. */
void series_entry(const struct series *series, struct wire_dict_entry *entry);

#endif
