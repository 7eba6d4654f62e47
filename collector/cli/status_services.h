/* The services as `status` shows them: a row per entrance, target and address over all observers, then why
 * paths are not proven yet. */
#ifndef COLLECTOR_CLI_STATUS_SERVICES_H
#define COLLECTOR_CLI_STATUS_SERVICES_H

#include <jansson.h>
#include <stdint.h>

#include "collector/cli/cli.h"

/* services: of the API's status. now_ms: its wall clock, what "ago" counts from. Prints to stdout. */
void status_print_services(const struct cli *cli, const json_t *services, int64_t now_ms);

#endif
