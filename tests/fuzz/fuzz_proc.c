/* Any bytes as any file of /proc that the sampler reads: the first byte chooses the parser. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sample/source.h"
#include "common/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(
    void *owner, enum metric metric, const struct wire_label *labels, size_t label_count, int64_t value)
{
    (void)owner;
    CHECK(metric < METRIC_COUNT && label_count <= 1 && value >= 0);
    if (label_count == 1) CHECK(labels[0].value[0] != '\0');
}

static size_t mounts(const char *text, const struct sample_sink *sink)
{
    (void)sink;
    size_t skipped = 0;
    while (text != NULL && *text != '\0') {
        struct mount_entry entry;
        if (!mount_parse_line(&text, &entry))
            skipped++;
        else
            (void)mount_is_real(&entry);
    }
    return skipped;
}

static size_t (*const parsers[])(const char *text, const struct sample_sink *sink) = {
    pressure_cpu_parse,
    pressure_io_parse,
    pressure_memory_parse,
    cpu_parse,
    load_parse,
    uptime_parse,
    meminfo_parse,
    vmstat_parse,
    network_parse,
    tcp_parse,
    self_memory_parse,
    mounts,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    char *text = check_alloc(size);
    memcpy(text, data + 1, size - 1);
    parsers[data[0] % ARRAY_COUNT(parsers)](text, &(struct sample_sink){.value = look});
    free(text);
    return 0;
}
