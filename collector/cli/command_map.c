/* The graph of the site as a tree: what users pass, what stands behind it, what is not measured. */
#include <stdlib.h>
#include <string.h>

#include "collector/cli/cli.h"
#include "collector/cli/text.h"
#include "collector/web/map.h"

#define DEPTH_MAX 16

static const json_t *find_node(const json_t *map, const char *id)
{
    size_t i;
    json_t *node;
    json_array_foreach(
        json_object_get(map, "nodes"), i, node) if (strcmp(text_of(node, "id"), id) == 0) return node;
    return NULL;
}

static void print_node(
    const struct cli *cli, const json_t *map, const char *id, const char *kind, int depth, json_t *seen)
{
    const json_t *node = find_node(map, id);
    if (node == NULL || depth > DEPTH_MAX) return;
    bool again = json_object_get(seen, id) != NULL;
    const char *state = text_of(node, "state");
    printf("%*s%s", 2 * depth, "", id);
    if (strcmp(kind, "on") == 0 || strcmp(kind, "in") == 0) printf(" (%s)", kind);
    fputs("  ", stdout);
    text_paint(stdout, cli->colour, text_state_colour(state), state);
    putchar('\n');
    if (again) return;
    json_object_set_new(seen, id, json_true());
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(node, "missing"), i, row)
        printf("%*snot measured: %s\n", 2 * depth + 4, "", json_string_value(row));
    json_array_foreach(json_object_get(map, "edges"), i, row) if (strcmp(text_of(row, "from"), id) == 0)
        print_node(cli, map, text_of(row, "to"), text_of(row, "kind"), depth + 1, seen);
}

static void print_map(const struct cli *cli, const json_t *map)
{
    json_t *seen = json_object();
    print_node(cli, map, "users", "", 0, seen);
    size_t i;
    json_t *node;
    json_array_foreach(
        json_object_get(map, "nodes"), i, node) if (json_object_get(seen, text_of(node, "id")) == NULL)
        print_node(cli, map, text_of(node, "id"), "", 0, seen);
    json_decref(seen);
}

static int run_map(struct cli *cli, int argc, char **argv)
{
    const char *format = cli->json ? "json" : "text";
    const struct cli_option options[] = {{.name = "--format", .value = &format}, {0}};
    size_t words;
    int result = cli_parse("map", argc, argv, options, NULL, 0, &words);
    if (result != 0) return result;
    bool json = strcmp(format, "json") == 0;
    if (!json && strcmp(format, "text") != 0)
        return cli_fail(CLI_USAGE, "map: format is text or json, not '%s'", format);
    json_t *map = NULL;
    struct error why;
    int status = 0;
    if (cli_get(cli, "/api/v1/map", NULL, &map, &status, &why) != CLI_ANSWER) {
        if (cli->socket_path != NULL) return cli_fail(CLI_FAILED, "%s", why.text);
        const struct config *config = cli_config(cli);
        if (config == NULL) return CLI_FAILED;
        fprintf(stderr, "faultline: the collector cannot be asked: %s; states are unknown\n", why.text);
        map = map_build(config, NULL);
    }
    if (json)
        cli_print_json(map);
    else
        print_map(cli, map);
    json_decref(map);
    return CLI_OK;
}

const struct cli_command command_map = {
    .name = "map",
    .arguments = "[--format text|json]",
    .summary = "the site as Faultline sees it: who depends on whom, what is not measured",
    .help = "Works with the collector down: the graph comes from the configuration.",
    .run = run_map,
};
