/* Numbers and words out of the text of /proc. Pure. */
#ifndef AGENT_SAMPLE_PARSE_H
#define AGENT_SAMPLE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Skips blanks, reads decimal digits into value and moves the cursor behind them. False, cursor unmoved, if
 * there are no digits or the number exceeds 64 bits. */
bool parse_u64(const char **cursor, uint64_t *value);

/* Skips blanks, then takes everything up to a blank, newline or NUL, at most size - 1 bytes. False, cursor
 * unmoved, if there is nothing or it does not fit. */
bool parse_word(const char **cursor, char *out, size_t size);

/* Skips blanks and then `text`. False, cursor unmoved, if something else stands there. */
bool parse_literal(const char **cursor, const char *text);

/* A number with two decimals in hundredths: "0.07" -> 7. False, cursor unmoved, for anything else. */
bool parse_hundredths(const char **cursor, uint64_t *value);

/* Whether the present line has its newline: without one it may have been cut. */
bool parse_line_is_whole(const char *line);

/* The start of the line after this one, NULL at the end of the text. */
const char *parse_next_line(const char *line);

/* A counter of the kernel as a value on the wire: 64-bit counters beyond INT64_MAX stay there. */
int64_t parse_clamp(uint64_t value);

#endif
