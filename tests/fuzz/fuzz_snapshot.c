/* The engine's snapshot: whatever bytes come back from state.db, it is restored as far as it fits or refused,
 * and the engine goes on. */
#include <stddef.h>
#include <stdint.h>

#include "collector/core/engine/engine.h"
#include "common/check.h"
#include "tests/support/site_builder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct site_builder *site = builder_simple(3, 3, true);
    const struct model *model = builder_model(site);
    int64_t now = 1795400000000;
    struct engine *engine = engine_new(model, now);
    struct error err = {0};
    if (engine_restore(engine, span_of(data, size), now, &err) != 0) CHECK(err.kind == ERROR_CORRUPT);
    struct engine_output output;
    for (uint32_t i = 0; i < 200; i++) {
        struct engine_observation observation = {.host = i % 4,
            .target = i % model->target_count,
            .address = "",
            .result = {.start_ms = now + i * 20,
                .outcome = i % 3 == 0 ? PROBE_FAIL : PROBE_OK,
                .error = i % 3 == 0 ? PROBE_ERROR_REFUSED : PROBE_ERROR_NONE,
                .total_us = 1000}};
        engine_observe(engine, &observation, now + i * 20);
        if (i % 10 == 0) engine_step(engine, now + i * 20, &output);
    }
    json_decref(engine_status(engine, now + 5000));
    struct buffer again = {0};
    engine_snapshot(engine, &again);
    struct engine *next = engine_new(model, now);
    CHECK(engine_restore(next, buffer_span(&again), now, NULL) == 0); /* what it writes it reads */
    engine_free(next);
    buffer_fini(&again);
    engine_free(engine);
    builder_free(site);
    return 0;
}
