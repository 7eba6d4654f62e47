#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "collector/config/config.h"
#include "collector/link/link.h"
#include "collector/supervisor/limits.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"

/* SIGTERM, SIGINT and SIGHUP as a descriptor; blocked before libzmq starts its thread, so that it inherits
 * that. */
static int open_signals(struct error *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return fail_errno(err, "block signals");
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return fd >= 0 ? fd : fail_errno(err, "signalfd");
}

/* False when it is time to end. */
static bool take_signals(struct link *link, int fd)
{
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo != SIGHUP) return false;
        link_reload(link);
    }
    return true;
}

static int run(struct link *link, int signals, struct error *err)
{
    while (take_signals(link, signals)) {
        if (link_wait(link, signals, 250, err) != 0) return -1;
        link_work(link, clock_wall_ms(), clock_mono_ms());
    }
    return 0;
}

/* A connection takes some 100 KiB at most (README). A wrong book is told later, by who reads it for good. */
static size_t memory_max(const char *agents_file)
{
    struct key_book book = {0};
    if (key_book_load(agents_file, &book, NULL) != 0) return LINK_MEMORY_BYTES;
    size_t needed = book.count * LINK_MEMORY_BYTES_PER_KEY;
    key_book_fini(&book);
    return needed > LINK_MEMORY_BYTES ? needed : LINK_MEMORY_BYTES;
}

static struct link *open_link(
    const struct config *config, struct key_pair *key, uint64_t files_max, struct error *err)
{
    const struct config_collector *collector = &config->collector;
    const struct link_options options = {.listen = (const char *const *)collector->listen.items,
        .listen_count = collector->listen.count,
        .run = collector->run,
        .agents_file = collector->agents_file,
        .key = key,
        .letter = collector->letter[0],
        .files_max = files_max};
    if (limits_memory(memory_max(collector->agents_file), err) != 0) return NULL;
    if (keys_load(collector->key_file, key, err) != 0) return NULL;
    return link_open(&options, err);
}

int link_main(const struct config *config)
{
    struct error err = {0};
    struct key_pair key = {0};
    uint64_t files = limits_raise_files();
    AUTO_CLOSE int signals = open_signals(&err);
    struct link *link = signals >= 0 ? open_link(config, &key, files, &err) : NULL;
    key_pair_fini(&key); /* libzmq has its own copy */
    if (link == NULL) {
        log_error("link_failed", &err, "while=starting");
        return 1;
    }
    for (size_t i = 0; i < config->collector.listen.count; i++)
        log_line(LOG_INFO, "listening", "endpoint=%s files=%llu", link_endpoint(link, i),
            (unsigned long long)files);
    int result = run(link, signals, &err);
    if (result != 0) log_error("link_failed", &err, "while=running");
    link_close(link);
    return result == 0 ? 0 : 1;
}
