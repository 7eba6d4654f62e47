/* Text from the network: UTF-8 without control bytes. Pure. */
#ifndef PROTO_WIRE_TEXT_H
#define PROTO_WIRE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Whether all bytes are valid UTF-8 (RFC 3629: no overlong forms, no surrogates) and none is a control
 * character: C0 with NUL, DEL, C1. */
bool wire_text_ok(const char *text, size_t size);

/* The same for a string of at most bytes_max bytes. */
bool wire_string_ok(const char *text, size_t bytes_max);

#endif
