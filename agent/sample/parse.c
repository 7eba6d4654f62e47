#include "agent/sample/parse.h"

#include <string.h>

static const char *skip_blanks(const char *c)
{
    while (*c == ' ' || *c == '\t') c++;
    return c;
}

bool parse_u64(const char **cursor, uint64_t *value)
{
    const char *c = skip_blanks(*cursor);
    if (*c < '0' || *c > '9') return false;
    uint64_t sum = 0;
    for (; *c >= '0' && *c <= '9'; c++)
        if (__builtin_mul_overflow(sum, 10u, &sum) || __builtin_add_overflow(sum, (uint64_t)(*c - '0'), &sum))
            return false;
    *value = sum;
    *cursor = c;
    return true;
}

bool parse_word(const char **cursor, char *out, size_t size)
{
    const char *c = skip_blanks(*cursor);
    size_t n = strcspn(c, " \t\n");
    if (n == 0 || n >= size) return false;
    memcpy(out, c, n);
    out[n] = '\0';
    *cursor = c + n;
    return true;
}

bool parse_literal(const char **cursor, const char *text)
{
    const char *c = skip_blanks(*cursor);
    size_t n = strlen(text);
    if (strncmp(c, text, n) != 0) return false;
    *cursor = c + n;
    return true;
}

bool parse_hundredths(const char **cursor, uint64_t *value)
{
    const char *c = *cursor;
    uint64_t whole;
    if (!parse_u64(&c, &whole) || c[0] != '.') return false;
    if (c[1] < '0' || c[1] > '9' || c[2] < '0' || c[2] > '9' || (c[3] >= '0' && c[3] <= '9')) return false;
    uint64_t part = (uint64_t)(c[1] - '0') * 10 + (uint64_t)(c[2] - '0');
    uint64_t sum;
    if (__builtin_mul_overflow(whole, 100u, &sum) || __builtin_add_overflow(sum, part, &sum)) return false;
    *value = sum;
    *cursor = c + 3;
    return true;
}

bool parse_line_is_whole(const char *line)
{
    return strchr(line, '\n') != NULL;
}

const char *parse_next_line(const char *line)
{
    const char *end = strchr(line, '\n');
    return end != NULL && end[1] != '\0' ? end + 1 : NULL;
}

int64_t parse_clamp(uint64_t value)
{
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}
