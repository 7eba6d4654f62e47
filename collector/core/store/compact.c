#include "collector/core/store/store_inside.h"

#include <stdlib.h>

struct compaction_unit {
    uint32_t host;
    int64_t hour;
};

int compact_step(struct store *store, int64_t now_ms, struct error *err)
{
    (void)store, (void)now_ms, (void)err;
    return 0;
}

void compaction_fini(struct compaction *compaction)
{
    free(compaction->units);
}
