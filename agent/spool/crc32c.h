/* CRC-32C (Castagnoli; RFC 3720, appendix B.4). Pure, any thread. */
#ifndef AGENT_SPOOL_CRC32C_H
#define AGENT_SPOOL_CRC32C_H

#include <stdint.h>

#include "common/span.h"

/* Of the bytes behind those that gave `before` (0 at the start). */
uint32_t crc32c(uint32_t before, struct span bytes);

#endif
