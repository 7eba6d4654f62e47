/* The thread that judges: binds engine.data, engine.in and engine.ask, reads the clock and the book of keys,
 * and leaves the rest to judge.h. Nothing here waits for a disk: state and delivery are told and repeated to,
 * never asked. */
#ifndef COLLECTOR_CORE_JUDGE_ENGINE_ROLE_H
#define COLLECTOR_CORE_JUDGE_ENGINE_ROLE_H

#include "collector/config/config.h"

#define ENGINE_ROLE_CONTROL "inproc://engine.control" /* PAIR, bound by core_main: any message means stop */
#define ENGINE_ROLE_RESTORE_MS                                                                               \
    10000 /* so long it waits for state to say what was; then it judges without                              \
           */
#define ENGINE_ROLE_TICK_MS 50

/* Runs until told to stop; then leaves a last snapshot with state. Returns 0, or -1 if it could not start
 * (logged). */
int engine_role_main(void *zmq, const struct config *config);

#endif
