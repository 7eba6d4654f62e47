/* Numbers out of the text of /proc. Pure. */
#ifndef AGENT_SAMPLE_PARSE_H
#define AGENT_SAMPLE_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* Skips blanks, reads decimal digits into value and moves the cursor behind them. False, cursor unmoved, if
 * there are no digits or the number exceeds 64 bits. */
bool parse_u64(const char **cursor, uint64_t *value);

#endif
