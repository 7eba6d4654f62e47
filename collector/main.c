/* faultline-collector: checks its config, takes the data directory, and keeps the four processes running;
 * with
 * --process it is one of them. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/config/config.h"
#include "collector/core/core.h"
#include "collector/delivery/delivery.h"
#include "collector/link/link.h"
#include "collector/supervisor/limits.h"
#include "collector/supervisor/supervisor.h"
#include "collector/web/web.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/keys.h"
#include "common/log.h"

/* One process for each kind of trust. Those in front stop first: link, so that nothing new arrives; then
 * core, which commits what did; then who only tells and shows. */
static const struct process {
    const char *name, *title; /* title: at most 15 bytes, for ps */
    int (*main)(const struct config *config);
    unsigned stop_order;
    int stop_ms;
} processes[] = {
    {"link", "faultline-link", link_main, 0, 1000},
    {"core", "faultline-core", core_main, 1, 3000},
    {"delivery", "faultline-deliv", delivery_main, 2, 3500},
    {"web", "faultline-web", web_main, 2, 1000},
};

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

static const char usage[] =
    "faultline-collector listens to agents, judges, stores and tells.\n"
    "\n"
    "Usage: faultline-collector --config FILE [--check]\n"
    "  --config FILE   the configuration (see deploy/guide)\n"
    "  --check         only check the configuration: exit 0 if it is good, 2 with every error if not\n"
    "  --process NAME  run one of its processes (link, core, delivery, web); the supervisor does this\n"
    "  --version, --help\n"
    "\n"
    "SIGTERM stops it in order, SIGHUP makes it read the list of agents again.\n";

struct arguments {
    const char *config_path, *process;
    bool check;
    int status; /* -1: go on */
};

static struct arguments parse_arguments(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'k'}, {"process", required_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'v'}, {0}};
    struct arguments arguments = {.status = -1};
    for (int option; (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        switch (option) {
        case 'c': arguments.config_path = optarg; break;
        case 'k': arguments.check = true; break;
        case 'p': arguments.process = optarg; break;
        case 'h': fputs(usage, stdout); return (struct arguments){.status = EXIT_OK};
        case 'v':
            puts("faultline-collector " FAULTLINE_VERSION);
            return (struct arguments){.status = EXIT_OK};
        default: return (struct arguments){.status = EXIT_USAGE};
        }
    }
    if (optind < argc) {
        fprintf(stderr, "faultline-collector: unexpected \"%s\"; see --help\n", argv[optind]);
        arguments.status = EXIT_USAGE;
    } else if (arguments.config_path == NULL) {
        fputs("faultline-collector: --config FILE is needed; see --help\n", stderr);
        arguments.status = EXIT_USAGE;
    }
    return arguments;
}

/* NULL after all problems have been printed. Children print none: their parent has done so. */
static struct config *load(const char *path, bool tell)
{
    struct schema_report *report = check_alloc(sizeof *report);
    struct config *config = config_load(path, report);
    if (tell && report->count > 0) schema_report_print(report, stderr, isatty(STDERR_FILENO));
    schema_report_fini(report);
    free(report);
    return config;
}

/* ── As a child ── */

static int run_process(const char *name, const char *config_path)
{
    for (size_t i = 0; i < ARRAY_COUNT(processes); i++) {
        if (strcmp(processes[i].name, name) != 0) continue;
        log_init(name, LOG_INFO);
        prctl(PR_SET_NAME, processes[i].title);
        struct config *config = load(config_path, false);
        if (config == NULL) {
            log_line(LOG_ERROR, "config_unreadable", "path=%s", config_path);
            return EXIT_USAGE;
        }
        int status = processes[i].main(config);
        config_free(config);
        return status;
    }
    fprintf(stderr, "faultline-collector: no process is named \"%s\"\n", name);
    return EXIT_USAGE;
}

/* ── As the parent ── */

/* What every process finds in place: directories that nobody else may enter, the collector's key, the lock.
 */
static int prepare(const struct config *config, int *lock, struct error *err)
{
    const struct config_collector *collector = &config->collector;
    if (file_make_directory(collector->data, 0700, err) != 0) return -1;
    if (file_make_directory(collector->run, 0700, err) != 0) return -1;
    AUTO_FREE char *lock_path = check_format("%s/collector.lock", collector->data);
    *lock = file_lock(lock_path, err);
    if (*lock < 0) {
        if (err->kind == ERROR_AGAIN)
            fail(err, ERROR_AGAIN,
                "another faultline-collector runs on %s; stop it, or give this one a directory of its own",
                collector->data);
        return -1;
    }
    struct key_pair key = {0};
    int result = keys_load_or_make(collector->key_file, &key, err);
    key_pair_fini(&key);
    return result;
}

static int run_supervisor(const struct config *config, const char *config_path, struct error *err)
{
    struct supervisor_child children[ARRAY_COUNT(processes)];
    char *argv[ARRAY_COUNT(processes)][6];
    char words[][20] = {"faultline-collector", "--process", "--config"};
    AUTO_FREE char *path = check_strdup(config_path);
    char names[ARRAY_COUNT(processes)][20];
    for (size_t i = 0; i < ARRAY_COUNT(processes); i++) {
        snprintf(names[i], sizeof names[i], "%s", processes[i].name);
        char *const row[] = {words[0], words[1], names[i], words[2], path, NULL};
        memcpy(argv[i], row, sizeof row);
        /* The file this process runs, even if the name leads to a newer one by now: what is between the
         * processes has to be of one version. */
        children[i] = (struct supervisor_child){.name = processes[i].name,
            .program = "/proc/self/exe",
            .argv = argv[i],
            .stop_order = processes[i].stop_order,
            .stop_ms = processes[i].stop_ms};
    }
    AUTO_FREE char *processes_path = check_format("%s/processes.json", config->collector.run);
    const struct supervisor_options options = {
        .children = children, .count = ARRAY_COUNT(processes), .processes_path = processes_path};
    return supervisor_run(&options, err);
}

static int supervise(const struct config *config, const char *config_path)
{
    struct error err = {0};
    AUTO_CLOSE int lock = -1;
    log_init("collector", LOG_INFO);
    umask(0077);
    limits_raise_files();
    if (prepare(config, &lock, &err) != 0 || run_supervisor(config, config_path, &err) != 0) {
        fprintf(stderr, "faultline-collector: %s\n", err.text);
        return EXIT_FAILED;
    }
    return EXIT_OK;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    struct arguments arguments = parse_arguments(argc, argv);
    if (arguments.status >= 0) return arguments.status;
    if (arguments.process != NULL) return run_process(arguments.process, arguments.config_path);
    struct config *config = load(arguments.config_path, true);
    if (config == NULL) return EXIT_USAGE;
    int status = arguments.check ? EXIT_OK : supervise(config, arguments.config_path);
    config_free(config);
    return status;
}
