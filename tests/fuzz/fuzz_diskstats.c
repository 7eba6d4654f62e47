/* Any bytes as /proc/diskstats: every emitted value is non-negative and carries a device name. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sample/source.h"
#include "common/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool any(void *owner, unsigned device_major, unsigned device_minor, const char *name)
{
    (void)owner, (void)device_major, (void)device_minor;
    return name[0] != 'p';
}

static void look(
    void *owner, enum metric metric, const struct wire_label *labels, size_t label_count, int64_t value)
{
    (void)owner;
    CHECK(metric < METRIC_COUNT && label_count == 1 && labels[0].value[0] != '\0' && value >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = check_alloc(size + 1);
    memcpy(text, data, size);
    const struct disk_filter filter = {.wanted = any};
    diskstats_parse(&filter, text, &(struct sample_sink){.value = look});
    free(text);
    return 0;
}
