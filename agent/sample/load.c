#include "agent/sample/parse.h"
#include "agent/sample/source.h"

size_t load_parse(const char *text, const struct sample_sink *sink)
{
    uint64_t load[3];
    for (int i = 0; i < 3; i++)
        if (!parse_hundredths(&text, &load[i])) return 1;
    source_emit(sink, METRIC_load_1m, load[0]);
    source_emit(sink, METRIC_load_5m, load[1]);
    source_emit(sink, METRIC_load_15m, load[2]);
    return 0;
}

size_t uptime_parse(const char *text, const struct sample_sink *sink)
{
    uint64_t hundredths;
    if (!parse_hundredths(&text, &hundredths)) return 1;
    source_emit(sink, METRIC_uptime_s, hundredths / 100);
    return 0;
}
