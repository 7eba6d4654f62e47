/* Prometheus text format 0.0.4, written so that `promtool check metrics` has nothing to say. Pure. */
#ifndef COLLECTOR_WEB_METRICS_TEXT_H
#define COLLECTOR_WEB_METRICS_TEXT_H

#include <jansson.h>
#include <stdbool.h>

#include "common/span.h"

/* HELP and TYPE of a family; its samples must follow at once. */
void metrics_family(struct buffer *out, const char *name, const char *type, const char *help);
/* One sample; label NULL: none. The label's value is escaped. */
void metrics_sample(
    struct buffer *out, const char *name, const char *label, const char *label_value, double value);

/* A role's answer to "counts": each numeric member becomes a family faultline_ROLE_KEY (the role is not
 * repeated where the key begins with it; link's counters come in the engine's answer as link_KEY). Names are
 * made to fit the conventions: known counters get _total, _us and _ms become seconds, _count goes. What is no
 * number is left out. */
void metrics_counts(struct buffer *out, const char *role, const json_t *counts);

#endif
