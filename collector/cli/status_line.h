/* The first line of `status`, which says all: whether users are served, then the worst open incident, else
 * how many backends answer. Pure. */
#ifndef COLLECTOR_CLI_STATUS_LINE_H
#define COLLECTOR_CLI_STATUS_LINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "collector/cli/text.h"

/* status: the API's object. */
void status_line(const json_t *status, char *out, size_t size, enum text_colour *colour);

/* The worst that is not resolved, by severity, then impact; NULL: there is none. *others: how many more.
 * Borrowed. */
const json_t *status_worst_incident(const json_t *incidents, size_t *others);

/* Whether nothing is heard of a path any more: its last probe tells nothing of now. */
bool status_path_is_silent(const json_t *path);

/* Whether a path is heard of and its last probe was good. */
bool status_path_is_good(const json_t *path);

#endif
