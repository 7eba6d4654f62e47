#include "agent/sample/parse.h"

bool parse_u64(const char **cursor, uint64_t *value)
{
    const char *c = *cursor;
    while (*c == ' ' || *c == '\t') c++;
    if (*c < '0' || *c > '9') return false;
    uint64_t sum = 0;
    for (; *c >= '0' && *c <= '9'; c++)
        if (__builtin_mul_overflow(sum, 10u, &sum) || __builtin_add_overflow(sum, (uint64_t)(*c - '0'), &sum))
            return false;
    *value = sum;
    *cursor = c;
    return true;
}
