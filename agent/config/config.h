/* The agent's file: whom to send to, with which key, where to keep what is not yet acknowledged. Read once at
 * start. */
#ifndef AGENT_CONFIG_CONFIG_H
#define AGENT_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"
#include "common/keys.h"
#include "common/log.h"

#define AGENT_COLLECTORS_MAX 4

struct agent_collector {
    char *address; /* "tcp://HOST:PORT" */
    char key[KEYS_TEXT_SIZE];
};

struct agent_config {
    struct agent_collector collectors[AGENT_COLLECTORS_MAX];
    size_t collector_count;
    char *key_file;
    char *spool_directory; /* NULL: memory only */
    uint64_t spool_bytes_max;
    char **disks; /* NULL: by rule */
    size_t disk_count;
    char *credentials_directory;
    int64_t interval_ms;
    enum log_level log_level;
};

/* Reads and checks the file; problems go to `report` as compilers print them, all at once. Only errors fail
 * it. Relative paths count from the file's directory. */
int agent_config_load(const char *path, struct agent_config *config, FILE *report, struct error *err);
/* The same for a text; `path` is only named. */
int agent_config_parse(const char *text, size_t size, const char *path, struct agent_config *config,
    FILE *report, struct error *err);
void agent_config_fini(struct agent_config *config);

/* The table as a reference, for `--print-schema`. */
void agent_config_print_schema(FILE *out);

#endif
