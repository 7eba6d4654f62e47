#include "collector/core/store/labels.h"

#include <string.h>

void labels_write(const struct wire_label *labels, size_t count, char out[static LABELS_TEXT_SIZE])
{
    char *at = out, *end = out + LABELS_TEXT_SIZE - 1;
    for (size_t i = 0; i < count && i < LIMIT_LABELS; i++) {
        if (i > 0 && at < end) *at++ = ',';
        for (const char *c = labels[i].name; *c != '\0' && at < end; c++) *at++ = *c;
        if (at < end) *at++ = '=';
        for (const char *c = labels[i].value; *c != '\0' && at + 1 < end; c++) {
            if (*c == '\\' || *c == ',') *at++ = '\\';
            *at++ = *c;
        }
    }
    *at = '\0';
}

bool labels_next(const char **cursor, char name[static LIMIT_LABEL_NAME_BYTES + 1],
    char value[static LIMIT_LABEL_VALUE_BYTES + 1])
{
    const char *at = *cursor;
    if (*at == '\0') return false;
    size_t length = 0;
    for (; *at != '\0' && *at != '=' && *at != ','; at++)
        if (length < LIMIT_LABEL_NAME_BYTES) name[length++] = *at;
    name[length] = '\0';
    length = 0;
    if (*at == '=') at++;
    for (; *at != '\0' && *at != ','; at++) {
        if (*at == '\\' && at[1] != '\0') at++;
        if (length < LIMIT_LABEL_VALUE_BYTES) value[length++] = *at;
    }
    value[length] = '\0';
    *cursor = *at == ',' ? at + 1 : at;
    return true;
}

bool labels_match(const char *text, const char *const *pairs, size_t pair_count)
{
    char name[LIMIT_LABEL_NAME_BYTES + 1], value[LIMIT_LABEL_VALUE_BYTES + 1];
    for (size_t i = 0; i < pair_count; i++) {
        bool found = false;
        for (const char *cursor = text; !found && labels_next(&cursor, name, value);)
            found = strcmp(name, pairs[2 * i]) == 0 && strcmp(value, pairs[2 * i + 1]) == 0;
        if (!found) return false;
    }
    return true;
}
