/* The command line. One table of commands (cli.c); a file per group (command_NAME.c). One thread; talks to
 * the API over its socket and, with the collector down, reads the files read-only and says so on stderr.
 *
 * Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed or not found, 2 wrong usage.
 */
#ifndef COLLECTOR_CLI_CLI_H
#define COLLECTOR_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "collector/config/config.h"
#include "common/error.h"
#include "common/span.h"

#define CLI_OK     0
#define CLI_FAILED 1
#define CLI_USAGE  2

#define CLI_CONFIG_DEFAULT "/etc/faultline/faultline.yaml"
#define CLI_API_TIMEOUT_MS 8000
#define CLI_ANSWER_MAX     ((size_t)64 << 20)

struct cli {
    bool json;               /* --json */
    bool colour;             /* stdout is a terminal and NO_COLOR is not set */
    const char *socket_path; /* --socket, NULL: from the config */
    const char *config_path; /* --config, FAULTLINE_CONFIG or the default */
    struct config *config;   /* cli_config, loaded once */
    bool config_failed;      /* and its errors printed once */
};

struct cli_command {
    const char *name;
    const char *arguments;                              /* "METRIC --host H …" */
    const char *summary;                                /* one line */
    const char *help;                                   /* the rest of `--help`, "" none */
    int (*run)(struct cli *cli, int argc, char **argv); /* argv[0] is the command's name */
};

/* The program: parses the global options, runs a command. */
int cli_run(int argc, char **argv);

/* ── Options of a command ── */

struct cli_option {
    const char *name;   /* "--host" */
    const char **value; /* takes a value; NULL: */
    bool *flag;         /* takes none */
    size_t *count;      /* with value: an array of values_max, filled one after the other */
    size_t values_max;
};
/* Options anywhere, at most words_max other words (the rest is an error). 0, or CLI_USAGE with the reason
 * said. */
int cli_parse(const char *command, int argc, char **argv, const struct cli_option *options,
    const char **words, size_t words_max, size_t *word_count);

/* "faultline: …" on stderr; returns code. */
int cli_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* " (did you mean 'x'?)" or "". */
const char *cli_suggestion(const char *word, const char *const *words, size_t count, char out[static 128]);

/* ── Where things come from ── */

/* The configuration; NULL after its errors were printed. */
const struct config *cli_config(struct cli *cli);

enum cli_answer {
    CLI_ANSWER,       /* *object is the answer */
    CLI_ANSWER_WRONG, /* 4xx: err holds the API's words and remedy, *status the code */
    CLI_ANSWER_DOWN   /* nobody answers, or 5xx: err says what */
};
/* GET path?parameters; parameters: name, value, … (values are escaped here), NULL ends. */
enum cli_answer cli_get(struct cli *cli, const char *path, const char *const *parameters, json_t **object,
    int *status, struct error *err);
/* cli_get for commands that need a living collector: prints the reason and returns the exit code, or 0. */
int cli_get_or_fail(struct cli *cli, const char *path, const char *const *parameters, json_t **object);

/* Whether the configured collector runs although its API does not answer: RUN/processes.json names a process
 * of it, other than web, that lives. false where --socket names another one. */
bool cli_collector_runs(struct cli *cli);

/* With the collector down: incidents and an incident from state.db, read-only; says so on stderr. NULL with
 * err. */
json_t *cli_offline_incidents(
    struct cli *cli, const char *state, size_t limit, const struct error *why, struct error *err);
json_t *cli_offline_incident(struct cli *cli, const char *id, const struct error *why, struct error *err);

/* Prints pretty JSON. */
void cli_print_json(const json_t *object);

/* An array as {"incident", "timeline", "deliveries"}; the exit code, 0 with *object. */
int cli_load_incident(struct cli *cli, const char *id, json_t **object);

extern const struct cli_command command_status, command_incidents, command_incident, command_query,
    command_agents, command_hook, command_report, command_map, command_enroll, command_keys, command_check,
    command_setup;

#endif
