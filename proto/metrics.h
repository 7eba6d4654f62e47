/* The table of metrics (metrics.def) as data. Pure. */
#ifndef PROTO_METRICS_H
#define PROTO_METRICS_H

#include <stddef.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_ENUM };

enum metric {
#define METRIC(name, kind, unit, scale, help) METRIC_##name,
#include "proto/metrics.def"
#undef METRIC
    METRIC_COUNT
};

struct metric_info {
    const char *name;
    enum metric_kind kind;
    const char *unit; /* of value / scale: "ms", "B", "1", … */
    int scale;
    const char *help;
};

const struct metric_info *metric_info(enum metric metric);
/* NULL for an unknown name. */
const struct metric_info *metric_find(const char *name);
/* The same as a number; METRIC_COUNT for an unknown name. */
enum metric metric_of(const char *name);

#endif
