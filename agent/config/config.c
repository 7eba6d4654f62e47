#include "agent/config/config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/spool/spool.h"
#include "agent/uplink/resolve.h"
#include "common/check.h"
#include "common/file.h"
#include "common/schema.h"

static_assert(AGENT_COLLECTORS_MAX == SPOOL_COLLECTORS_MAX, "a cursor for each");

static const struct schema_field collector_fields[] = {
    {.name = "address", .type = SCHEMA_TEXT, .required = true, .help = "where it listens, tcp://HOST:PORT"},
    {.name = "key", .type = SCHEMA_TEXT, .help = "its public key, as `faultline keys` prints it"},
    {.name = "key_file", .type = SCHEMA_FILE, .help = "a file with its public key, instead of `key`"},
    {0},
};
static const struct schema_field collector_element = {
    .name = "collector", .type = SCHEMA_OBJECT, .fields = collector_fields, .help = "a collector"};
static const struct schema_field disk_element = {
    .name = "disk", .type = SCHEMA_TEXT, .help = "a device's name as in /proc/diskstats"};

static const struct schema_field spool_fields[] = {
    {.name = "directory", .type = SCHEMA_FILE, .help = "kept across restarts; without it memory only"},
    {.name = "bytes_max",
        .type = SCHEMA_INTEGER,
        .min = 1 << 20,
        .max = INT64_C(1) << 40,
        .fallback = "268435456",
        .help = "bytes on disk; then the oldest goes, and that is told"},
    {0},
};

static const struct schema_field log_fields[] = {
    {.name = "level",
        .type = SCHEMA_CHOICE,
        .words = "debug info warn error",
        .fallback = "info",
        .help = "the least that is logged"},
    {0},
};

static const struct schema_field fields[] = {
    {.name = "collectors",
        .type = SCHEMA_LIST,
        .element = &collector_element,
        .min = 1,
        .max = AGENT_COLLECTORS_MAX,
        .help = "whom to send to; each gets everything"},
    {.name = "collector",
        .type = SCHEMA_OBJECT,
        .fields = collector_fields,
        .help = "the only one, instead of a list"},
    {.name = "key_file",
        .type = SCHEMA_FILE,
        .fallback = "/etc/faultline/agent.key",
        .help = "this agent's key pair, made if there is none"},
    {.name = "spool", .type = SCHEMA_OBJECT, .fields = spool_fields, .help = "what is not yet acknowledged"},
    {.name = "disks",
        .type = SCHEMA_LIST,
        .element = &disk_element,
        .min = 1,
        .max = 4096,
        .help = "exactly these; without it all whole disks, and loop devices that something is mounted from"},
    {.name = "credentials",
        .type = SCHEMA_FILE,
        .fallback = "/etc/faultline/credentials",
        .help = "directory of the files that probes take their credentials from"},
    {.name = "interval", .type = SCHEMA_DURATION, .fallback = "1s", .help = "of sampling, 1s to 60s"},
    {.name = "log", .type = SCHEMA_OBJECT, .fields = log_fields, .help = "log lines on stderr"},
    {0},
};

static char *absolute(const char *path, const char *config_path)
{
    const char *slash = strrchr(config_path, '/');
    if (path[0] == '/' || slash == NULL) return check_strdup(path);
    return check_format("%.*s/%s", (int)(slash - config_path), config_path, path);
}

/* The word behind "public", or the only word of the file. */
static int read_public_key(const char *path, char key[static KEYS_TEXT_SIZE], struct error *err)
{
    struct buffer content = {0};
    int result = file_read(path, 4096, &content, err);
    if (result == 0) {
        const char *text = buffer_text(&content);
        const char *found = strstr(text, "public ");
        char word[64] = "";
        sscanf(found != NULL ? found + 7 : text, "%63s", word);
        result = keys_check_public(word, err);
        if (result == 0)
            memcpy(key, word, KEYS_TEXT_SIZE);
        else
            fail_context(err, "%s", path);
    }
    buffer_fini(&content);
    return result;
}

static void take_collector(struct agent_config *config, const struct schema_node *node, const char *path,
    struct schema_report *report)
{
    if (node == NULL || config->collector_count == AGENT_COLLECTORS_MAX) return;
    struct agent_collector *c = &config->collectors[config->collector_count++];
    const struct schema_node *address = schema_get(node, "address");
    const struct schema_node *key = schema_get(node, "key");
    const struct schema_node *key_file = schema_get(node, "key_file");
    struct error err;
    c->address = check_strdup(schema_text(address, ""));
    if (address != NULL && resolve_check(c->address, &err) != 0)
        schema_problem(report, SCHEMA_ERROR, address, "address: %s", err.text);
    if ((key != NULL) == (key_file != NULL)) {
        schema_problem(
            report, SCHEMA_ERROR, node, "a collector needs either key or key_file: its public key");
    } else if (key != NULL) {
        if (keys_check_public(schema_text(key, ""), &err) != 0)
            schema_problem(report, SCHEMA_ERROR, key, "key: %s", err.text);
        else
            memcpy(c->key, schema_text(key, ""), KEYS_TEXT_SIZE);
    } else {
        char *file = absolute(schema_text(key_file, ""), path);
        if (read_public_key(file, c->key, &err) != 0)
            schema_problem(report, SCHEMA_ERROR, key_file, "key_file: %s", err.text);
        free(file);
    }
}

static void take_collectors(struct agent_config *config, const struct schema_node *root, const char *path,
    struct schema_report *report)
{
    const struct schema_node *list = schema_get(root, "collectors");
    const struct schema_node *single = schema_get(root, "collector");
    if (list != NULL && single != NULL)
        schema_problem(report, SCHEMA_ERROR, single, "collector and collectors exclude each other");
    else if (list == NULL && single == NULL)
        schema_problem(report, SCHEMA_ERROR, NULL,
            "no collector: write collectors: [{address: \"tcp://HOST:7440\", key: \"ITS PUBLIC KEY\"}]");
    for (size_t i = 0; list != NULL && i < list->count; i++)
        take_collector(config, list->children[i], path, report);
    if (list == NULL) take_collector(config, single, path, report);
}

static void take_disks(struct agent_config *config, const struct schema_node *list)
{
    if (list == NULL) return;
    config->disks = check_alloc_array(list->count + 1, sizeof *config->disks);
    for (size_t i = 0; i < list->count; i++) {
        const char *name = schema_text(list->children[i], "");
        if (strncmp(name, "/dev/", 5) == 0) name += 5;
        config->disks[config->disk_count++] = check_strdup(name);
    }
}

static void take_all(struct agent_config *config, const struct schema_node *root, const char *path,
    struct schema_report *report)
{
    take_collectors(config, root, path, report);
    take_disks(config, schema_get(root, "disks"));
    config->key_file = absolute(schema_text(schema_get(root, "key_file"), "/etc/faultline/agent.key"), path);
    config->credentials_directory =
        absolute(schema_text(schema_get(root, "credentials"), "/etc/faultline/credentials"), path);
    const struct schema_node *spool = schema_get(root, "spool");
    const struct schema_node *directory = schema_get(spool, "directory");
    if (directory != NULL) config->spool_directory = absolute(schema_text(directory, ""), path);
    config->spool_bytes_max = (uint64_t)schema_integer(schema_get(spool, "bytes_max"), 256 << 20);
    const struct schema_node *interval = schema_get(root, "interval");
    config->interval_ms = schema_duration_us(interval, 1000000) / 1000;
    if (config->interval_ms < 1000 || config->interval_ms > 60000 || config->interval_ms % 1000 != 0)
        schema_problem(report, SCHEMA_ERROR, interval, "interval must be whole seconds from 1s to 60s");
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    const char *level = schema_text(schema_get(schema_get(root, "log"), "level"), "info");
    config->log_level = LOG_INFO;
    for (size_t i = 0; i < ARRAY_COUNT(levels); i++)
        if (strcmp(level, levels[i]) == 0) config->log_level = (enum log_level)i;
}

int agent_config_parse(const char *text, size_t size, const char *path, struct agent_config *config,
    FILE *report_to, struct error *err)
{
    struct schema_report report = {0};
    struct agent_config fresh = {0};
    struct schema_tree *tree = schema_parse(text, size, path, fields, &report);
    if (tree != NULL) take_all(&fresh, schema_root(tree), path, &report);
    if (report.count > 0 && report_to != NULL) schema_report_print(&report, report_to, false);
    size_t errors = report.errors;
    schema_tree_free(tree);
    schema_report_fini(&report);
    if (tree == NULL || errors > 0) {
        agent_config_fini(&fresh);
        return fail(err, ERROR_INPUT, "%s has %zu error%s", path, errors, errors == 1 ? "" : "s");
    }
    *config = fresh;
    return 0;
}

int agent_config_load(const char *path, struct agent_config *config, FILE *report, struct error *err)
{
    struct buffer text = {0};
    int result = file_read(path, SCHEMA_FILE_BYTES_MAX, &text, err);
    if (result == 0)
        result = agent_config_parse((const char *)text.data, text.size, path, config, report, err);
    buffer_fini(&text);
    return result;
}

void agent_config_fini(struct agent_config *config)
{
    for (size_t i = 0; i < config->collector_count; i++) free(config->collectors[i].address);
    for (size_t i = 0; i < config->disk_count; i++) free(config->disks[i]);
    free(config->disks);
    free(config->key_file);
    free(config->spool_directory);
    free(config->credentials_directory);
    *config = (struct agent_config){0};
}

void agent_config_print_schema(FILE *out)
{
    schema_print(fields, out);
}
