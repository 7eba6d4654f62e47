/* The process that shows: the read-only HTTP API of collector/contract/README.md on a unix socket and, if
 * configured, on TCP. It asks engine, store and delivery for what is only in memory and reads the files by
 * itself. */
#ifndef COLLECTOR_WEB_WEB_H
#define COLLECTOR_WEB_WEB_H

#include "collector/config/config.h"

/* Runs until SIGTERM or SIGINT. The process's exit code. */
int web_main(const struct config *config);

#endif
