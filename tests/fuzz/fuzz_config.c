/* Any bytes as the collector's config: refused with a report that prints, or accepted. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/config/config.h"
#include "common/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *sink;
    if (sink == NULL) sink = fopen("/dev/null", "w");
    CHECK(sink != NULL);
    struct schema_report *report = check_alloc(sizeof *report);
    struct config *config = config_parse((const char *)data, size, "fuzz.yaml", "/nonexistent", report);
    CHECK((config == NULL) == (report->errors > 0));
    schema_report_print(report, sink, true);
    config_free(config);
    schema_report_fini(report);
    free(report);
    return 0;
}
