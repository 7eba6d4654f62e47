#include "proto/wire_text.h"

#include <stdint.h>
#include <string.h>

#include "proto/limits.h"
#include "proto/wire.h"

/* Length of the sequence that starts at `at`, 0 if it is none. The ranges of the second byte are those of
 * Unicode's table 3-7, which leave out overlong forms, surrogates and what lies above U+10FFFF. */
static size_t sequence_length(const uint8_t *at, size_t left)
{
    static const struct {
        uint8_t first_min, first_max, second_min, second_max, length;
    } rows[] = {
        {0xC2, 0xC2, 0xA0, 0xBF, 2}, /* from U+00A0: U+0080 to U+009F are control characters */
        {0xC3, 0xDF, 0x80, 0xBF, 2},
        {0xE0, 0xE0, 0xA0, 0xBF, 3},
        {0xE1, 0xEC, 0x80, 0xBF, 3},
        {0xED, 0xED, 0x80, 0x9F, 3},
        {0xEE, 0xEF, 0x80, 0xBF, 3},
        {0xF0, 0xF0, 0x90, 0xBF, 4},
        {0xF1, 0xF3, 0x80, 0xBF, 4},
        {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (at[0] < rows[i].first_min || at[0] > rows[i].first_max) continue;
        if (left < rows[i].length || at[1] < rows[i].second_min || at[1] > rows[i].second_max) return 0;
        for (size_t k = 2; k < rows[i].length; k++)
            if ((at[k] & 0xC0) != 0x80) return 0;
        return rows[i].length;
    }
    return 0;
}

bool wire_text_ok(const char *text, size_t size)
{
    const uint8_t *bytes = (const uint8_t *)text;
    for (size_t i = 0; i < size;) {
        if (bytes[i] >= 0x20 && bytes[i] < 0x7F) {
            i++;
            continue;
        }
        size_t length = sequence_length(bytes + i, size - i);
        if (length == 0) return false;
        i += length;
    }
    return true;
}

bool wire_string_ok(const char *text, size_t bytes_max)
{
    size_t size = strnlen(text, bytes_max + 1);
    return size <= bytes_max && wire_text_ok(text, size);
}

bool wire_name_ok(const char *name, size_t bytes_max)
{
    size_t size = 0;
    for (; name[size] != '\0'; size++) {
        char c = name[size];
        bool letter = (c >= 'a' && c <= 'z') || c == '_';
        bool digit = c >= '0' && c <= '9';
        if (size >= bytes_max || !(letter || (digit && size > 0))) return false;
    }
    return size > 0;
}

bool wire_label_value_ok(const char *value)
{
    return wire_string_ok(value, LIMIT_LABEL_VALUE_BYTES);
}

bool wire_host_ok(const char *host)
{
    size_t size = 0;
    for (; host[size] != '\0'; size++) {
        char c = host[size];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                    c == '_' || c == '-';
        if (size >= LIMIT_HOST_BYTES || !good) return false;
    }
    return size > 0;
}
