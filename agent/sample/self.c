#include <unistd.h>

#include "agent/sample/parse.h"
#include "agent/sample/source.h"

size_t self_memory_parse(const char *text, const struct sample_sink *sink)
{
    uint64_t size, resident, bytes;
    if (!parse_u64(&text, &size) || !parse_u64(&text, &resident)) return 1;
    if (__builtin_mul_overflow(resident, (uint64_t)sysconf(_SC_PAGESIZE), &bytes)) return 1;
    source_emit(sink, METRIC_agent_memory_kib, bytes / 1024);
    return 0;
}
