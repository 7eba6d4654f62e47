/* What a collector sends, as agents decode it. What decodes is encoded again, and that has to mean the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct buffer first = {0}, second = {0};
    struct wire_from_collector message;
    struct error err;
    if (wire_decode_from_collector(span_of(data, size), &arena, &message, &err) == 0) {
        /* Another spelling may need a few more elements than a sender who avoids them. */
        int encoded = wire_encode_from_collector(&message, &first, &err);
        CHECK(encoded == 0 || err.kind == ERROR_LIMIT);
        if (encoded == 0) {
            CHECK(wire_decode_from_collector(buffer_span(&first), &arena, &message, &err) == 0);
            CHECK(wire_encode_from_collector(&message, &second, &err) == 0);
            CHECK(span_equal(buffer_span(&first), buffer_span(&second)));
        }
    }
    buffer_fini(&first);
    buffer_fini(&second);
    arena_fini(&arena);
    return 0;
}
