#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "agent/agent.h"
#include "agent/helper/helper.h"
#include "agent/probe/try.h"
#include "common/check.h"
#include "common/log.h"

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

static int usage(FILE *out, int code)
{
    fputs("faultline-agent --config FILE      samples this host, runs the probes that its collectors plan\n"
          "faultline-agent --check FILE       checks the file and ends\n"
          "faultline-agent --print-schema     every key of the file\n"
          "faultline-agent keygen FILE        makes a key pair (or reads it), prints the public key\n"
          "faultline-agent try                tries probes given as JSON lines on stdin, once\n"
          "faultline-agent --version | --help\n",
        out);
    return code;
}

static int failed(const struct error *err)
{
    fprintf(stderr, "faultline-agent: %s\n", err->text);
    return EXIT_FAILED;
}

/* One arena for two threads, and memory goes back: an agent is small or it is not installed. Pages that are
 * in use stay in memory, so that a dead root disk does not stop the loop; both and the better nice value
 * where it is permitted. */
static void settle_in(void)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TRIM_THRESHOLD, 128 * 1024);
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    setpriority(PRIO_PROCESS, 0, -5);
    mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
    signal(SIGPIPE, SIG_IGN);
}

static int run(const char *path)
{
    struct error err;
    struct agent_config config;
    if (helper_init(&err) != 0 || agent_config_load(path, &config, stderr, &err) != 0) return failed(&err);
    log_init("agent", config.log_level);
    settle_in();
    int result = agent_run(&config, &err);
    agent_config_fini(&config);
    return result == 0 ? EXIT_OK : failed(&err);
}

static int check(const char *path)
{
    struct error err;
    struct agent_config config;
    if (agent_config_load(path, &config, stderr, &err) != 0) return failed(&err);
    agent_config_fini(&config);
    return EXIT_OK;
}

static int keygen(const char *path)
{
    struct error err;
    struct key_pair pair;
    if (keys_load_or_make(path, &pair, &err) != 0) return failed(&err);
    puts(pair.public_key);
    key_pair_fini(&pair);
    return EXIT_OK;
}

static int version(const char *none)
{
    (void)none;
    puts("faultline-agent " FAULTLINE_VERSION);
    return EXIT_OK;
}

static int help(const char *none)
{
    (void)none;
    return usage(stdout, EXIT_OK);
}

static int print_schema(const char *none)
{
    (void)none;
    agent_config_print_schema(stdout);
    return EXIT_OK;
}

static const struct {
    const char *word;
    bool takes_file;
    int (*run)(const char *file);
} commands[] = {
    {"--config", true, run},
    {"--check", true, check},
    {"keygen", true, keygen},
    {"--version", false, version},
    {"--help", false, help},
    {"--print-schema", false, print_schema},
};

int main(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "try") == 0) return agent_try(argc - 1, argv + 1);
    for (size_t i = 0; argc >= 2 && i < ARRAY_COUNT(commands); i++)
        if (strcmp(argv[1], commands[i].word) == 0 && argc == (commands[i].takes_file ? 3 : 2))
            return commands[i].run(argv[argc - 1]);
    return usage(stderr, EXIT_USAGE);
}
