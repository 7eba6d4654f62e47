/* The page for the night: what is broken, whether users are served, what is not known and why. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "collector/cli/cli.h"
#include "collector/cli/status_line.h"
#include "collector/cli/status_services.h"
#include "collector/cli/text.h"
#include "collector/contract/words.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/timetext.h"

#define WATCH_MS        1000
#define EVIDENCE_SHOWN  5 /* of an incident; `faultline incident ID` shows all */
#define RULED_OUT_SHOWN 3

/* ── Incidents, hosts, collector ── */

/* The engine adds what a host's newest samples say, beside its state or as "view". */
static const json_t *host_view(const json_t *host)
{
    const json_t *view = json_object_get(host, "view");
    return json_is_object(view) ? view : host;
}

static void describe_disks(const json_t *disks, char *out, size_t size)
{
    size_t i, used = 0;
    json_t *disk;
    out[0] = '\0';
    json_array_foreach(disks, i, disk)
    {
        double read_ms = text_real(disk, "read_await_ms", -1),
               write_ms = text_real(disk, "write_await_ms", -1);
        char read[32], write[32];
        int n = snprintf(out + used, size - used, "%s%s r %s w %s", used > 0 ? ", " : "",
            text_of(disk, "device"), text_latency(read_ms < 0 ? -1 : (int64_t)(read_ms * 1000), read),
            text_latency(write_ms < 0 ? -1 : (int64_t)(write_ms * 1000), write));
        used += n > 0 ? (size_t)n : 0;
        if (used >= size) return;
    }
}

static void print_hosts(const struct cli *cli, const json_t *hosts, int64_t now_ms)
{
    if (json_array_size(hosts) == 0) return;
    struct text_table table;
    text_table_init(&table, 5);
    size_t i;
    json_t *host;
    json_array_foreach(hosts, i, host)
    {
        char about[32], disks[400], load[64] = "";
        const char *state = text_of(host, "state");
        int64_t heard_ms = text_time(host, "last_heard");
        const json_t *view = host_view(host);
        double cpu = text_real(view, "cpu_busy", -1), memory = text_real(view, "memory_available", -1);
        if (cpu >= 0 && memory >= 0)
            snprintf(load, sizeof load, "cpu %.0f %%, memory free %.0f %%", cpu * 100, memory * 100);
        describe_disks(json_object_get(view, "disks"), disks, sizeof disks);
        text_cell(&table, TEXT_PLAIN, "%s", text_of(host, "name"));
        text_cell(&table, text_state_colour(state), "%s", state);
        if (heard_ms > 0)
            text_cell(
                &table, TEXT_DIM, "%s ago", timetext_about(now_ms > heard_ms ? now_ms - heard_ms : 0, about));
        else
            text_cell(&table, TEXT_DIM, "%s", "never heard");
        text_cell(&table, TEXT_PLAIN, "%s", load);
        text_cell(&table, TEXT_PLAIN, "%s", disks);
    }
    puts("\nhosts");
    text_table_print(&table, stdout, "  ", cli->colour);
    text_table_fini(&table);
}

/* What is not as usual comes first; at most EVIDENCE_SHOWN lines in all. Returns how many were printed so
 * far. */
static size_t print_evidence(const json_t *evidence, bool unusual, size_t shown)
{
    size_t i;
    json_t *row;
    json_array_foreach(evidence, i, row)
    {
        bool differs = text_real(row, "value", 0) != text_real(row, "baseline", 0);
        if (differs != unusual || shown == EVIDENCE_SHOWN) continue;
        printf("  - %s\n", text_of(row, "text"));
        shown++;
    }
    return shown;
}

static void print_incident(const struct cli *cli, const json_t *incident)
{
    char clock[32];
    size_t i;
    json_t *row;
    printf("\n%s  %s since %s UTC, impact %s\n", text_of(incident, "id"), text_of(incident, "state"),
        text_clock(text_of(incident, "onset"), clock), text_of(incident, "impact"));
    printf("  %s\n", text_of(incident, "headline"));
    size_t shown = print_evidence(json_object_get(incident, "evidence"), true, 0);
    shown = print_evidence(json_object_get(incident, "evidence"), false, shown);
    json_array_foreach(json_object_get(incident, "ruled_out"), i, row)
    {
        if (i < RULED_OUT_SHOWN) printf("  not %s: %s\n", text_of(row, "component"), text_of(row, "why"));
    }
    size_t left = json_array_size(json_object_get(incident, "evidence")) - shown;
    left += i > RULED_OUT_SHOWN ? i - RULED_OUT_SHOWN : 0;
    if (left > 0) printf("  %zu more: faultline incident %s\n", left, text_of(incident, "id"));
    if (text_of(incident, "advice")[0] == '\0') return;
    text_paint(stdout, cli->colour, TEXT_BOLD, "  first: ");
    puts(text_of(incident, "advice"));
}

static void print_incidents(const struct cli *cli, const json_t *incidents)
{
    size_t others, i;
    json_t *incident;
    const json_t *worst = status_worst_incident(incidents, &others);
    if (worst != NULL) print_incident(cli, worst);
    json_array_foreach(
        incidents, i, incident) if (incident != worst && strcmp(text_of(incident, "state"), "resolved") != 0)
        print_incident(cli, incident);
}

static void print_collector(const struct cli *cli, const json_t *collector, int64_t now_ms)
{
    if (!json_is_object(collector)) return;
    size_t i;
    json_t *process;
    double restarts = 0;
    char about[32], names[256] = "";
    json_array_foreach(json_object_get(collector, "processes"), i, process)
    {
        double count = text_real(process, "restarts", 0);
        restarts += count;
        size_t used = strlen(names);
        if (count > 0)
            snprintf(names + used, sizeof names - used, "%s%s %.0f", used > 0 ? ", " : "",
                text_of(process, "name"), count);
    }
    int64_t started_ms = text_time(collector, "started_at");
    printf("\ncollector %s  version %s", text_of(collector, "letter"), text_of(collector, "version"));
    if (started_ms > 0)
        printf(", up %s", timetext_about(now_ms > started_ms ? now_ms - started_ms : 0, about));
    if (restarts > 0) {
        fputs(", ", stdout);
        text_paint(stdout, cli->colour, TEXT_YELLOW, "restarts");
        printf(": %s", names);
    }
    putchar('\n');
}

static void print_status(const struct cli *cli, const json_t *status)
{
    char line[600];
    enum text_colour colour;
    status_line(status, line, sizeof line, &colour);
    int64_t now_ms = text_time(status, "at");
    if (now_ms == 0) now_ms = clock_wall_ms();
    text_paint(stdout, cli->colour, colour, line);
    putchar('\n');
    print_incidents(cli, json_object_get(status, "incidents"));
    status_print_services(cli, json_object_get(status, "services"), now_ms);
    print_hosts(cli, json_object_get(status, "hosts"), now_ms);
    print_collector(cli, json_object_get(status, "collector"), now_ms);
}

/* ── The command ── */

/* What the files still tell: the incidents that were open. */
static json_t *offline_status(struct cli *cli, const struct error *why, struct error *err)
{
    json_t *incidents = cli_offline_incidents(cli, NULL, 100, why, err);
    if (incidents == NULL) return NULL;
    json_t *open = json_array();
    size_t i;
    json_t *incident;
    json_array_foreach(incidents, i, incident) if (strcmp(text_of(incident, "state"), "resolved") != 0)
        json_array_append(open, incident);
    json_decref(incidents);
    return json_pack(
        "{s:n, s:[], s:[], s:o, s:n}", "at", "services", "hosts", "incidents", open, "collector");
}

static void print_offline(struct cli *cli, const json_t *status)
{
    size_t others;
    const json_t *incidents = json_object_get(status, "incidents");
    const json_t *worst = status_worst_incident(incidents, &others);
    bool runs = cli_collector_runs(cli);
    const char *line =
        runs && worst == NULL ? "the API is restarting: users unknown for now; no incident is open"
        : runs                ? "the API is restarting: users unknown for now; what is open:"
        : worst == NULL       ? "the collector is down: nothing is known of now; no incident was open"
                              : "the collector is down: what was open before is not watched";
    text_paint(stdout, cli->colour, TEXT_YELLOW, line);
    putchar('\n');
    if (worst != NULL) print_incidents(cli, incidents);
}

static int status_once(struct cli *cli)
{
    json_t *status = NULL;
    struct error why, err;
    int code = 0;
    enum cli_answer answer = cli_get(cli, "/api/v1/status", NULL, &status, &code, &why);
    if (answer == CLI_ANSWER_WRONG) return cli_fail(CLI_FAILED, "%s", why.text);
    if (answer == CLI_ANSWER_DOWN) {
        status = offline_status(cli, &why, &err);
        if (status == NULL) return cli_fail(CLI_FAILED, "%s", err.text);
    }
    if (cli->json)
        cli_print_json(status);
    else if (answer == CLI_ANSWER_DOWN)
        print_offline(cli, status);
    else
        print_status(cli, status);
    json_decref(status);
    return CLI_OK;
}

/* For pipes: a line whenever the first line has changed. */
static void watch_plain(const json_t *status, const struct error *why, char *last, size_t size)
{
    char line[600], at[TIMETEXT_RFC3339_SIZE];
    enum text_colour colour;
    if (status != NULL)
        status_line(status, line, sizeof line, &colour);
    else
        snprintf(line, sizeof line, "the collector cannot be asked: %s", why->text);
    if (strcmp(line, last) == 0) return;
    printf("%s  %s\n", timetext_rfc3339(clock_wall_ms(), at), line);
    snprintf(last, size, "%s", line);
}

/* For programs: the whole status as one line, whenever the first line of the text has changed. */
static void watch_json(const json_t *status, const struct error *why, char *last, size_t size)
{
    char line[600];
    enum text_colour colour;
    if (status != NULL)
        status_line(status, line, sizeof line, &colour);
    else
        snprintf(line, sizeof line, "%s", why->text);
    if (strcmp(line, last) == 0) return;
    snprintf(last, size, "%s", line);
    json_t *error = status == NULL ? json_pack("{s:s}", "error", line) : NULL;
    json_dumpf(status != NULL ? status : error, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
    putchar('\n');
    json_decref(error);
}

static int watch(struct cli *cli, bool plain)
{
    char last[600] = "";
    while (!ferror(stdout)) {
        json_t *status = NULL;
        struct error why;
        int code = 0;
        bool answered = cli_get(cli, "/api/v1/status", NULL, &status, &code, &why) == CLI_ANSWER;
        if (cli->json) {
            watch_json(status, &why, last, sizeof last);
        } else if (plain) {
            watch_plain(status, &why, last, sizeof last);
        } else {
            fputs("\033[H\033[J", stdout);
            if (answered)
                print_status(cli, status);
            else
                printf("the collector cannot be asked: %s\n", why.text);
            if (cli->config != NULL)
                printf("\nconfig %s, data %s", cli->config_path, cli->config->collector.data);
            puts("\nCtrl-C ends");
        }
        fflush(stdout);
        json_decref(status);
        if (cli->config_failed && cli->socket_path == NULL) return CLI_FAILED;
        poll(NULL, 0, WATCH_MS);
    }
    return CLI_FAILED;
}

static int run_status(struct cli *cli, int argc, char **argv)
{
    bool keep = false, plain = false;
    const struct cli_option options[] = {
        {.name = "--watch", .flag = &keep}, {.name = "--plain", .flag = &plain}, {0}};
    size_t words;
    int result = cli_parse("status", argc, argv, options, NULL, 0, &words);
    if (result != 0) return result;
    if (plain) cli->colour = false;
    return keep ? watch(cli, plain || !cli->colour) : status_once(cli);
}

const struct cli_command command_status = {
    .name = "status",
    .arguments = "[--watch] [--plain]",
    .summary = "is the site up, and if not, which part broke",
    .help = "The first line says all. Below it: open incidents with their evidence, each service with its "
            "entrances\n"
            "(users, hop, backend, health), why a path is not proven yet and which line cures it, hosts, the "
            "collector.\n"
            "--watch refreshes each second; with --plain, or into a pipe, it prints a line whenever the "
            "first line\n"
            "changes; with --json the whole status as one line then.",
    .run = run_status,
};
