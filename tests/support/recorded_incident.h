/* A state.db with one open incident in it, for tests of what reads the file. */
#ifndef TESTS_SUPPORT_RECORDED_INCIDENT_H
#define TESTS_SUPPORT_RECORDED_INCIDENT_H

#include <stdint.h>

/* Records A-1, lb:lb-www down, certain, users_down, page, detected 2 s after its onset, with the step
 * "opened" at noon of 2026-11-23 and no delivery. CUnit assertions hold each call. */
void record_incident(const char *data_directory, int64_t onset_ms, const char *headline);

#endif
