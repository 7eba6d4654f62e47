/* What the files of config/ share: reading a checked tree into struct config, then judging it. Not for
 * others. */
#ifndef COLLECTOR_CONFIG_CONFIG_BUILD_H
#define COLLECTOR_CONFIG_CONFIG_BUILD_H

#include "collector/config/config.h"
#include "common/arena.h"

/* A config with the memory that its strings and arrays live in. `config` comes first. */
struct config_store {
    struct config config;
    struct arena arena;
};

struct config_build {
    struct config *config;
    struct arena *arena;
    struct schema_report *report;
    const char *directory; /* relative file names count from here */
    const struct schema_node *root;
};

/* Fills build->config from a tree that may hold errors: what is wrong is left at its default. */
void config_read(struct config_build *build);

/* What the table cannot say: references between sections, files, addresses, sense. */
void config_check(struct config_build *build);
/* The part of it that concerns services and balancers. */
void config_check_services(struct config_build *build);

/* The length of a list or of a map, at most what the table allows; 0 where node is something else. */
size_t config_list_count(const struct schema_node *node);
size_t config_map_count(const struct schema_node *node);

/* A name's index in a map of the top level, CONFIG_NONE if absent. */
size_t config_index(const struct config_build *build, const char *map, const char *name);

#endif
