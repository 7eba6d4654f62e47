#include "collector/cli/cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/schema.h"

static const struct cli_command *const commands[] = {
    &command_status,
    &command_incidents,
    &command_incident,
    &command_report,
    &command_query,
    &command_agents,
    &command_map,
    &command_hook,
    &command_enroll,
    &command_keys,
    &command_check,
    &command_setup,
};

int cli_fail(int code, const char *format, ...)
{
    char text[1200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fputs("faultline: ", stderr);
    /* Words of the command line and of others are quoted here: shown, never obeyed. */
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            fprintf(stderr, "\\x%02x", (unsigned char)*c);
        else
            fputc(*c, stderr);
    fputc('\n', stderr);
    return code;
}

const char *cli_suggestion(const char *word, const char *const *words, size_t count, char out[static 128])
{
    const char *close = schema_suggest(word, words, count);
    out[0] = '\0';
    if (close != NULL) snprintf(out, 128, "; did you mean '%s'?", close);
    return out;
}

static int unknown_option(const char *command, const char *word, const struct cli_option *options)
{
    const char *names[16];
    size_t count = 0;
    for (; options[count].name != NULL && count < ARRAY_COUNT(names); count++)
        names[count] = options[count].name;
    char close[128];
    return cli_fail(
        CLI_USAGE, "%s: unknown option '%s'%s", command, word, cli_suggestion(word, names, count, close));
}

static int take_option(
    const char *command, const struct cli_option *option, const char *inside, int argc, char **argv, int *at)
{
    if (option->flag != NULL) {
        *option->flag = true;
        return inside == NULL ? 0 : cli_fail(CLI_USAGE, "%s: %s takes no value", command, option->name);
    }
    if (inside == NULL && *at + 1 >= argc)
        return cli_fail(CLI_USAGE, "%s: %s needs a value", command, option->name);
    const char *value = inside != NULL ? inside : argv[++*at];
    if (option->count == NULL) {
        *option->value = value;
        return 0;
    }
    if (*option->count == option->values_max)
        return cli_fail(CLI_USAGE, "%s: more than %zu times %s", command, option->values_max, option->name);
    option->value[(*option->count)++] = value;
    return 0;
}

int cli_parse(const char *command, int argc, char **argv, const struct cli_option *options,
    const char **words, size_t words_max, size_t *word_count)
{
    *word_count = 0;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0 || argv[i][2] == '\0') {
            if (*word_count == words_max)
                return cli_fail(CLI_USAGE, "%s: '%s' is one word too many; see faultline %s --help", command,
                    argv[i], command);
            words[(*word_count)++] = argv[i];
            continue;
        }
        const char *equals = strchr(argv[i], '=');
        size_t length = equals != NULL ? (size_t)(equals - argv[i]) : strlen(argv[i]);
        const struct cli_option *option = options;
        while (option->name != NULL &&
               (strlen(option->name) != length || strncmp(option->name, argv[i], length) != 0))
            option++;
        if (option->name == NULL) return unknown_option(command, argv[i], options);
        int result = take_option(command, option, equals != NULL ? equals + 1 : NULL, argc, argv, &i);
        if (result != 0) return result;
    }
    return 0;
}

static void print_help(void)
{
    puts("faultline: which part of the site broke\n\n"
         "usage: faultline [--config FILE] [--socket PATH] [--json] COMMAND …\n");
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
        printf("  %-11s%s\n", commands[i]->name, commands[i]->summary);
    puts("\n  --config FILE   the collector's configuration (default: $FAULTLINE_CONFIG, "
         "else " CLI_CONFIG_DEFAULT ")\n"
         "  --socket PATH   the collector's API socket, where it is not the configured one\n"
         "  --json          JSON instead of text\n"
         "  --version       the version\n\n"
         "faultline COMMAND --help explains a command. Exit codes: 0 done, 1 failed or not found, 2 wrong "
         "usage.");
}

static int print_command_help(const struct cli_command *command)
{
    printf("usage: faultline %s%s%s\n\n%s\n", command->name, command->arguments[0] != '\0' ? " " : "",
        command->arguments, command->summary);
    if (command->help[0] != '\0') printf("\n%s\n", command->help);
    return CLI_OK;
}

static const struct cli_command *find_command(const char *word)
{
    const char *names[ARRAY_COUNT(commands)];
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        if (strcmp(commands[i]->name, word) == 0) return commands[i];
        names[i] = commands[i]->name;
    }
    char close[128];
    cli_fail(
        CLI_USAGE, "unknown command '%s'%s", word, cli_suggestion(word, names, ARRAY_COUNT(names), close));
    return NULL;
}

/* Takes the global options out of argv wherever they stand; what is left belongs to the command. */
static int take_globals(struct cli *cli, int *argc, char **argv, bool *help, bool *version)
{
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        const char **value = strcmp(argv[i], "--config") == 0   ? &cli->config_path
                             : strcmp(argv[i], "--socket") == 0 ? &cli->socket_path
                                                                : NULL;
        if (value != NULL) {
            if (i + 1 == *argc) return cli_fail(CLI_USAGE, "%s needs a value", argv[i]);
            *value = argv[++i];
        } else if (strncmp(argv[i], "--config=", 9) == 0 || strncmp(argv[i], "--socket=", 9) == 0) {
            *(argv[i][2] == 'c' ? &cli->config_path : &cli->socket_path) = argv[i] + 9;
        } else if (strcmp(argv[i], "--json") == 0) {
            cli->json = true;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *help = true;
        } else if (strcmp(argv[i], "--version") == 0) {
            *version = true;
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    return 0;
}

int cli_run(int argc, char **argv)
{
    const char *from_environment = getenv("FAULTLINE_CONFIG"), *no_colour = getenv("NO_COLOR");
    struct cli cli = {
        .colour = isatty(STDOUT_FILENO) != 0 && (no_colour == NULL || no_colour[0] == '\0'),
        .config_path =
            from_environment != NULL && from_environment[0] != '\0' ? from_environment : CLI_CONFIG_DEFAULT,
    };
    bool help = false, version = false;
    int result = take_globals(&cli, &argc, argv, &help, &version);
    if (result != 0) return result;
    if (version) {
        puts("faultline " FAULTLINE_VERSION);
        return CLI_OK;
    }
    if (argc < 2) {
        print_help();
        return help ? CLI_OK : CLI_USAGE;
    }
    const struct cli_command *command = find_command(argv[1]);
    if (command == NULL) return CLI_USAGE;
    if (help) return print_command_help(command);
    result = command->run(&cli, argc - 1, argv + 1);
    config_free(cli.config);
    if (fflush(stdout) != 0 && result == CLI_OK) result = CLI_FAILED;
    return result;
}
