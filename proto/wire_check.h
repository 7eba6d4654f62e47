/* The rules that every message of wire.h keeps, on its way out as on its way in. Pure. */
#ifndef PROTO_WIRE_CHECK_H
#define PROTO_WIRE_CHECK_H

#include "common/error.h"
#include "proto/wire.h"

/* ERROR_INPUT (ERROR_LIMIT for a bound of limits.h) naming the first rule that is broken. What wire_scan sees
 * of the encoded frame (elements, packed values, UTF-8) is left to it. */
int wire_check_from_agent(const struct wire_from_agent *message, struct error *err);
int wire_check_from_collector(const struct wire_from_collector *message, struct error *err);

#endif
