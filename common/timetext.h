/* Times and durations as people and files write them. Pure. */
#ifndef COMMON_TIMETEXT_H
#define COMMON_TIMETEXT_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define TIMETEXT_RFC3339_SIZE 32

/* "2026-11-23T13:45:00.123Z" (RFC 3339, UTC, milliseconds) into out; returns out. Years 0000 to 9999, others
 * clamp. */
const char *timetext_rfc3339(int64_t wall_ms, char out[static TIMETEXT_RFC3339_SIZE]);

/* Accepts RFC 3339 with any offset, "now", "-10m" (before now), and Unix seconds ("1795400000",
 * "1795400000.5"). */
int timetext_parse(const char *text, int64_t now_ms, int64_t *wall_ms, struct error *err);

/* "500ms", "2s", "1.5m", "2h", "14d": a number and a unit (us ms s m h d), result in microseconds, >= 0.
 * A number without a unit is an error that says which units there are. */
int timetext_parse_duration(const char *text, int64_t *us, struct error *err);

/* The shortest exact form in one unit ("500ms", "90s", "2m"); returns out. */
const char *timetext_duration(int64_t us, char out[static 32]);

/* How long ago or until, for people: "3 s", "5 min", "2 h 10 min", "4 d". Returns out. */
const char *timetext_about(int64_t ms, char out[static 32]);

#endif
