#include <stdlib.h>
#include <string.h>

#include "collector/config/config_build.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/file.h"

struct config *config_parse(
    const char *text, size_t size, const char *path, const char *directory, struct schema_report *report)
{
    size_t errors_before = report->errors;
    struct schema_tree *tree = schema_parse(text, size, path, config_schema(), report);
    if (tree == NULL) return NULL;
    struct config_store *store = check_alloc(sizeof *store);
    store->config.tree = tree;
    store->config.path = arena_strdup(&store->arena, path);
    struct config_build build = {.config = &store->config,
        .arena = &store->arena,
        .report = report,
        .directory = directory,
        .root = schema_root(tree)};
    config_read(&build);
    config_check(&build);
    schema_report_sort(report);
    if (report->errors == errors_before) return &store->config;
    config_free(&store->config);
    return NULL;
}

struct config *config_load(const char *path, struct schema_report *report)
{
    AUTO(buffer_fini) struct buffer content = {0};
    struct error err;
    snprintf(report->file, sizeof report->file, "%s", path);
    if (file_read(path, SCHEMA_FILE_BYTES_MAX, &content, &err) != 0) {
        schema_problem(report, SCHEMA_ERROR, NULL, "%s", err.text);
        return NULL;
    }
    AUTO_FREE char *absolute = realpath(path, NULL);
    const char *slash = absolute != NULL ? strrchr(absolute, '/') : NULL;
    if (slash == NULL) {
        schema_problem(report, SCHEMA_ERROR, NULL, "cannot tell which directory the file is in");
        return NULL;
    }
    AUTO_FREE char *directory =
        check_format("%.*s", slash == absolute ? 1 : (int)(slash - absolute), absolute);
    return config_parse(buffer_text(&content), content.size, path, directory, report);
}

void config_free(struct config *config)
{
    if (config == NULL) return;
    struct config_store *store = (struct config_store *)config; /* its first member */
    schema_tree_free(config->tree);
    arena_fini(&store->arena);
    free(store);
}
