/* What was found on a host, as a commented config that passes `check`. Pure. */
#ifndef COLLECTOR_CLI_SETUP_WRITE_H
#define COLLECTOR_CLI_SETUP_WRITE_H

#include <stdio.h>

#include "collector/cli/find.h"

void setup_write(const struct find_host *host, FILE *out);

#endif
