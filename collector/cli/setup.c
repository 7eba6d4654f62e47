/* `faultline setup`: looks around on this host and writes a first config. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/cli/cli.h"
#include "collector/cli/find.h"
#include "collector/cli/setup_write.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/file.h"

static json_t *disks_json(const struct find_host *host)
{
    json_t *list = json_array();
    for (size_t i = 0; i < host->disk_count; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:b, s:s*}", "name", host->disks[i].name, "size_bytes",
                      (json_int_t)host->disks[i].size_bytes, "rotational", (int)host->disks[i].rotational,
                      "model", host->disks[i].model[0] != '\0' ? host->disks[i].model : NULL));
    return list;
}

static json_t *listeners_json(const struct find_host *host)
{
    json_t *list = json_array();
    for (size_t i = 0; i < host->listener_count; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:i, s:s*}", "address",
                      host->listeners[i].host[0] != '\0' ? host->listeners[i].host : "*", "port",
                      (int)host->listeners[i].port, "process",
                      host->listeners[i].process[0] != '\0' ? host->listeners[i].process : NULL));
    return list;
}

static json_t *balancer_json(const struct find_balancer *balancer)
{
    json_t *fronts = json_array();
    for (size_t i = 0; i < balancer->front_count; i++) {
        const struct find_front *front = &balancer->fronts[i];
        const struct find_pool *pool = find_pool_of(balancer, front->pool);
        json_t *servers = json_array();
        for (size_t s = 0; pool != NULL && s < pool->server_count; s++)
            json_array_append_new(
                servers, json_pack("{s:s, s:s, s:i}", "name", pool->servers[s].name, "address",
                             pool->servers[s].host, "port", (int)pool->servers[s].port));
        json_array_append_new(fronts, json_pack("{s:s, s:i, s:s, s:o}", "name", front->name, "port",
                                          front->bind_count > 0 ? (int)front->binds[0].port : 0, "pool",
                                          front->pool, "servers", servers));
    }
    return json_pack("{s:s, s:o}", "program", balancer->program, "fronts", fronts);
}

static void print_json(const struct find_host *host, const char *config)
{
    json_t *object = json_pack("{s:s, s:o, s:o, s:[o, o], s:s}", "host", host->name, "disks",
        disks_json(host), "listeners", listeners_json(host), "balancers", balancer_json(&host->haproxy),
        balancer_json(&host->nginx), "config", config);
    if (object != NULL) cli_print_json(object);
    json_decref(object);
}

/* What setup wrote must pass check: anything else is a fault of ours, and is said. */
static int verify(const char *text)
{
    struct schema_report *report = check_alloc(sizeof *report);
    struct config *config = config_parse(text, strlen(text), "setup", "/", report);
    if (config == NULL) schema_report_print(report, stderr, false);
    int result = config != NULL
                     ? CLI_OK
                     : cli_fail(CLI_FAILED, "setup: what was found makes no valid config (see above)");
    config_free(config);
    schema_report_fini(report);
    free(report);
    return result;
}

static int save(const char *path, const char *text, bool force)
{
    struct error err;
    if (!force && access(path, F_OK) == 0)
        return cli_fail(CLI_FAILED, "setup: %s exists; --force writes over it", path);
    if (file_write_atomic(path, span_text(text), 0640, &err) != 0)
        return cli_fail(CLI_FAILED, "setup: %s", err.text);
    fprintf(stderr,
        "faultline: %s written; next: edit the lines with CHANGE, then faultline check --live %s\n", path,
        path);
    return CLI_OK;
}

static int run_setup(struct cli *cli, int argc, char **argv)
{
    const char *root = "", *output = NULL;
    bool force = false;
    const struct cli_option options[] = {{.name = "--root", .value = &root},
        {.name = "--output", .value = &output}, {.name = "--force", .flag = &force}, {0}};
    size_t words = 0;
    int result = cli_parse("setup", argc, argv, options, NULL, 0, &words);
    if (result != 0) return result;
    struct stat looked;
    if (root[0] != '\0' && (stat(root, &looked) != 0 || !S_ISDIR(looked.st_mode)))
        return cli_fail(CLI_FAILED, "setup: --root %s is no directory", root);
    AUTO_FREE struct find_host *host = check_alloc(sizeof *host);
    find_all(root, host);
    AUTO_FREE char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out != NULL);
    setup_write(host, out);
    CHECK(fclose(out) == 0);
    result = verify(text);
    if (result != CLI_OK) return result;
    if (output != NULL) result = save(output, text, force);
    if (cli->json)
        print_json(host, text);
    else if (output == NULL)
        fputs(text, stdout);
    return result;
}

const struct cli_command command_setup = {
    .name = "setup",
    .arguments = "[--output FILE] [--force] [--root DIR]",
    .summary = "looks around on this host and writes a first configuration",
    .help = "Finds whole disks, listening sockets and whose they are (as root: of all processes), the "
            "balancers and\n"
            "servers of haproxy and nginx, databases, search servers and caches. Writes to stdout or to a "
            "new file.\n\n"
            "--output FILE  writes there; an existing file only with --force\n"
            "--root DIR     looks at a copy of a host's files below DIR\n"
            "--json         what was found, and the configuration as \"config\"",
    .run = run_setup,
};
