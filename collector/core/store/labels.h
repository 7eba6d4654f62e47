/* Labels as one text: "device=vda,mount=/data", names ascending, `\` and `,` in values escaped by `\`. This
 * text is part of a series' identity in the files. Pure. */
#ifndef COLLECTOR_CORE_STORE_LABELS_H
#define COLLECTOR_CORE_STORE_LABELS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/limits.h"
#include "proto/wire.h"

#define LABELS_TEXT_SIZE (LIMIT_LABELS * (LIMIT_LABEL_NAME_BYTES + 2 * LIMIT_LABEL_VALUE_BYTES + 2) + 1)

void labels_write(const struct wire_label *labels, size_t count, char out[static LABELS_TEXT_SIZE]);

/* One label after the other: false at the end. name and value are filled and NUL-terminated. */
bool labels_next(const char **cursor, char name[static LIMIT_LABEL_NAME_BYTES + 1],
    char value[static LIMIT_LABEL_VALUE_BYTES + 1]);

/* Whether the text holds every one of the given pairs (name, value, …). */
bool labels_match(const char *text, const char *const *pairs, size_t pair_count);

#endif
