#include "agent/spool/crc32c.h"

#include <stddef.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u /* reflected */

static uint32_t by_table(uint32_t crc, struct span bytes)
{
    static uint32_t table[256];
    if (table[1] == 0) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int bit = 0; bit < 8; bit++) c = (c & 1) != 0 ? POLYNOMIAL ^ (c >> 1) : c >> 1;
            table[i] = c;
        }
    }
    for (size_t i = 0; i < bytes.size; i++) crc = table[(crc ^ bytes.data[i]) & 0xff] ^ (crc >> 8);
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, struct span bytes)
{
    uint64_t wide = crc;
    for (; bytes.size >= 8; bytes = span_of(bytes.data + 8, bytes.size - 8)) {
        uint64_t word;
        memcpy(&word, bytes.data, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; bytes.size > 0; bytes = span_of(bytes.data + 1, bytes.size - 1))
        crc = __builtin_ia32_crc32qi(crc, bytes.data[0]);
    return crc;
}
#endif

uint32_t crc32c(uint32_t before, struct span bytes)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return ~by_instruction(~before, bytes);
#endif
    return ~by_table(~before, bytes);
}
