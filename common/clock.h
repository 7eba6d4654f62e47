/* The only place that reads a clock. Modules take `now` as an argument; main loops call these. Any thread. */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void); /* Unix time, milliseconds UTC */
int64_t clock_mono_ns(void); /* CLOCK_BOOTTIME, nanoseconds: never steps, counts suspend */
int64_t clock_mono_ms(void);

#endif
