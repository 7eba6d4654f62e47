/* How the rows of an incident's timeline are told: `incident` and `report` say the same. Pure. */
#ifndef COLLECTOR_CLI_TIMELINE_H
#define COLLECTOR_CLI_TIMELINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Whether a row is the collector's own housekeeping, which tells nothing of the incident. */
bool timeline_is_housekeeping(const json_t *row);

/* What a row says. An end is told as one: the headline that comes with it says what was broken. Returns out
 * or the row's own words, borrowed. */
const char *timeline_text(const json_t *incident, const json_t *row, char *out, size_t size);

/* "2.4 s" from one time of the incident to another, "-" where one is not known. Returns out or "-". */
const char *timeline_lasted(const json_t *incident, const char *from, const char *to, char out[static 32]);

#endif
