/* Agents: who reports, who may. */
#include <string.h>

#include "collector/cli/cli.h"
#include "collector/cli/text.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/keys.h"
#include "common/timetext.h"

static void print_services(struct text_table *table, const json_t *services)
{
    char text[256] = "";
    size_t i, used = 0;
    json_t *service;
    json_array_foreach(services, i, service)
    {
        int n = snprintf(
            text + used, sizeof text - used, "%s%s", used > 0 ? ", " : "", json_string_value(service));
        used += n > 0 ? (size_t)n : 0;
        if (used >= sizeof text) break;
    }
    text_cell(table, TEXT_PLAIN, "%s", text);
}

static void print_agents(const struct cli *cli, const json_t *agents)
{
    static const char *const heads[] = {
        "HOST", "STATE", "LAST HEARD", "VERSION", "CLOCK", "BACKLOG", "OBSERVES"};
    struct text_table table;
    size_t i;
    json_t *agent;
    if (json_array_size(agents) == 0) {
        puts("no agents; `faultline enroll HOST PUBLICKEY` lets one in");
        return;
    }
    text_table_init(&table, ARRAY_COUNT(heads));
    for (i = 0; i < ARRAY_COUNT(heads); i++) text_cell(&table, TEXT_DIM, "%s", heads[i]);
    json_array_foreach(agents, i, agent)
    {
        char about[32];
        int64_t heard_ms = text_time(agent, "last_heard"), age_ms = clock_wall_ms() - heard_ms;
        double offset_ms = text_real(agent, "offset_ms", 0);
        text_cell(&table, TEXT_PLAIN, "%s", text_of(agent, "host"));
        text_cell(&table, text_state_colour(text_of(agent, "state")), "%s", text_of(agent, "state"));
        text_cell(&table, TEXT_PLAIN, "%s%s",
            heard_ms > 0 ? timetext_about(age_ms > 0 ? age_ms : 0, about) : "never",
            heard_ms > 0 ? " ago" : "");
        text_cell(&table, TEXT_PLAIN, "%s", text_of(agent, "version"));
        if (json_is_number(json_object_get(agent, "offset_ms")))
            text_cell(&table, offset_ms > 500 || offset_ms < -500 ? TEXT_YELLOW : TEXT_PLAIN, "%+.0f ms",
                offset_ms);
        else
            text_cell(&table, TEXT_PLAIN, "-");
        text_cell(&table, TEXT_PLAIN, "%.0f", text_real(agent, "backlog_batches", 0));
        print_services(&table, json_object_get(agent, "observes"));
    }
    text_table_print(&table, stdout, "", cli->colour);
    text_table_fini(&table);
}

static int run_agents(struct cli *cli, int argc, char **argv)
{
    static const struct cli_option options[] = {{0}};
    size_t words;
    json_t *agents = NULL;
    int result = cli_parse("agents", argc, argv, options, NULL, 0, &words);
    if (result == 0) result = cli_get_or_fail(cli, "/api/v1/agents", NULL, &agents);
    if (result != 0) return result;
    if (cli->json)
        cli_print_json(agents);
    else
        print_agents(cli, agents);
    json_decref(agents);
    return CLI_OK;
}

static int run_enroll(struct cli *cli, int argc, char **argv)
{
    static const struct cli_option options[] = {{0}};
    const char *given[2] = {0};
    size_t words;
    struct error err;
    int result = cli_parse("enroll", argc, argv, options, given, 2, &words);
    if (result != 0) return result;
    if (words < 2)
        return cli_fail(CLI_USAGE, "enroll: HOST PUBLICKEY; `faultline-agent keygen FILE` prints the key");
    if (keys_check_public(given[1], &err) < 0) return cli_fail(CLI_USAGE, "enroll: %s", err.text);
    const struct config *config = cli_config(cli);
    if (config == NULL) return CLI_FAILED;
    if (key_book_enroll(config->collector.agents_file, given[0], given[1], &err) < 0)
        return cli_fail(err.kind == ERROR_INPUT ? CLI_USAGE : CLI_FAILED, "enroll: %s", err.text);
    bool known = false;
    for (size_t i = 0; i < config->host_count; i++) known |= strcmp(config->hosts[i].name, given[0]) == 0;
    if (cli->json) {
        json_t *done =
            json_pack("{s:s, s:s, s:b}", "host", given[0], "public_key", given[1], "configured", known);
        cli_print_json(done);
        json_decref(done);
        return CLI_OK;
    }
    printf("%s may speak now (%s)\n", given[0], config->collector.agents_file);
    if (!known)
        fprintf(stderr,
            "faultline: hosts has no '%s' yet; without it the site does not know where this agent stands\n",
            given[0]);
    return CLI_OK;
}

/* Only the line that is public: the other one is nobody's business here. */
static int run_keys(struct cli *cli, int argc, char **argv)
{
    static const struct cli_option options[] = {{0}};
    size_t words;
    int result = cli_parse("keys", argc, argv, options, NULL, 0, &words);
    if (result != 0) return result;
    const struct config *config = cli_config(cli);
    if (config == NULL) return CLI_FAILED;
    struct key_pair pair;
    struct error err;
    if (keys_load(config->collector.key_file, &pair, &err) < 0)
        return cli_fail(CLI_FAILED, "%s (the collector makes it at its first start)", err.text);
    char public_key[KEYS_TEXT_SIZE];
    memcpy(public_key, pair.public_key, sizeof public_key);
    key_pair_fini(&pair);
    if (cli->json) {
        json_t *object = json_pack("{s:s}", "public_key", public_key);
        cli_print_json(object);
        json_decref(object);
    } else {
        puts(public_key);
    }
    return CLI_OK;
}

const struct cli_command command_agents = {
    .name = "agents",
    .arguments = "",
    .summary = "which agents report, since when, and what they observe",
    .help = "CLOCK is how far the host's clock is from the collector's; verdicts correct it.",
    .run = run_agents,
};

const struct cli_command command_enroll = {
    .name = "enroll",
    .arguments = "HOST PUBLICKEY",
    .summary = "let an agent in: binds a host's name to its key",
    .help = "The key is what `faultline-agent keygen FILE` printed on that host. A host that is there "
            "already gets the\n"
            "new key. The collector reads the file again by itself.",
    .run = run_enroll,
};

const struct cli_command command_keys = {
    .name = "keys",
    .arguments = "",
    .summary = "the collector's public key, for the agents' configuration",
    .help = "",
    .run = run_keys,
};
