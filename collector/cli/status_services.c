/* The services of the page: entrances in the order in which users pass them, and why a path does not count.
 */
#include "collector/cli/status_services.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/cli/status_line.h"
#include "collector/cli/text.h"
#include "common/check.h"
#include "common/timetext.h"

#define GOOD_IN_ROW   30 /* probes after which a path counts, where the engine does not say */
#define OBSERVERS_MAX 8

/* The paths of one entrance to one target at one address, over all observers. */
struct group {
    const char *entrance, *target, *address, *probe;
    size_t observers, good, silent; /* a silent one is neither good nor bad */
    double p50_us, q99_us;
    const json_t *bad; /* one whose last probe was not good */
    int64_t seen_ms;   /* the newest probe of all */
};

static struct group *group_of(struct group *groups, size_t *count, const json_t *path)
{
    struct group row = {.entrance = text_of(path, "entrance"),
        .target = text_of(path, "target"),
        .address = text_of(path, "address"),
        .probe = text_of(path, "probe"),
        .p50_us = -1,
        .q99_us = -1};
    for (size_t i = 0; i < *count; i++)
        if (strcmp(groups[i].entrance, row.entrance) == 0 && strcmp(groups[i].target, row.target) == 0 &&
            strcmp(groups[i].address, row.address) == 0 && strcmp(groups[i].probe, row.probe) == 0)
            return &groups[i];
    groups[*count] = row;
    return &groups[(*count)++];
}

/* In the order in which users pass them. */
static int entrance_order(const char *entrance)
{
    static const char *const order[] = {"users", "hop", "backend", "health", "reference", "stats"};
    for (size_t i = 0; i < ARRAY_COUNT(order); i++)
        if (strcmp(order[i], entrance) == 0) return (int)i;
    return ARRAY_COUNT(order);
}

static int compare_groups(const void *a, const void *b)
{
    const struct group *left = a, *right = b;
    int order = entrance_order(left->entrance) - entrance_order(right->entrance);
    if (order == 0) order = strcmp(left->target, right->target);
    if (order == 0) order = strcmp(left->address, right->address);
    return order != 0 ? order : strcmp(left->probe, right->probe);
}

static size_t group_paths(const json_t *paths, struct group *groups)
{
    size_t i, count = 0;
    json_t *path;
    json_array_foreach(paths, i, path)
    {
        struct group *group = group_of(groups, &count, path);
        group->observers++;
        int64_t seen_ms = text_time(json_object_get(path, "last"), "at");
        if (seen_ms > group->seen_ms) group->seen_ms = seen_ms;
        if (status_path_is_silent(path))
            group->silent++;
        else if (status_path_is_good(path))
            group->good++;
        else
            group->bad = path;
        double p50 = text_real(path, "p50_us", -1), q99 = text_real(path, "q99_us", -1);
        if (p50 > group->p50_us) group->p50_us = p50;
        if (q99 > group->q99_us) group->q99_us = q99;
    }
    qsort(groups, count, sizeof *groups, compare_groups);
    return count;
}

static void describe_bad(const struct group *group, char *out, size_t size)
{
    const json_t *last = json_object_get(group->bad, "last");
    const char *error = text_of(last, "error");
    int code = (int)text_real(last, "code", 0);
    out[0] = '\0';
    if (group->bad == NULL) return;
    if (last == NULL || json_is_null(last))
        snprintf(out, size, "nothing from %s yet", text_of(group->bad, "observer"));
    else if (code > 0)
        snprintf(out, size, "%s: %s %d", text_of(group->bad, "observer"), error, code);
    else
        snprintf(out, size, "%s: %s", text_of(group->bad, "observer"),
            error[0] != '\0' ? error : text_of(last, "outcome"));
    for (char *c = out; *c != '\0'; c++)
        if (*c == '_') *c = ' ';
}

/* Connecting only is shown where it fails: where a page is asked for, it says the same. */
static bool worth_a_row(const struct group *group)
{
    return strcmp(group->probe, "tcp") != 0 || group->good + group->silent < group->observers;
}

/* How many of those that are heard of say good: "2/3 ok", "2/2 ok, 1 silent", "? of 3". */
static enum text_colour count_good(const struct group *group, char *out, size_t size)
{
    size_t heard = group->observers - group->silent;
    if (heard == 0) {
        snprintf(out, size, "? of %zu", group->observers);
        return TEXT_DIM;
    }
    int n = snprintf(out, size, "%zu/%zu ok", group->good, heard);
    if (group->silent > 0 && n > 0 && (size_t)n < size)
        snprintf(out + n, size - (size_t)n, ", %zu silent", group->silent);
    return group->good == heard ? TEXT_GREEN : group->good > 0 ? TEXT_YELLOW : TEXT_RED;
}

static void describe(const struct group *group, int64_t now_ms, char *out, size_t size)
{
    char about[32];
    int64_t ago_ms = now_ms > group->seen_ms ? now_ms - group->seen_ms : 0;
    if (group->silent < group->observers)
        describe_bad(group, out, size);
    else if (group->seen_ms > 0)
        snprintf(out, size, "last seen %s ago", timetext_about(ago_ms, about));
    else
        snprintf(out, size, "never seen");
}

static void print_paths(const struct cli *cli, const json_t *paths, int64_t now_ms)
{
    struct text_table table;
    size_t most = json_array_size(paths);
    struct group *groups = check_alloc_array(most + 1, sizeof *groups);
    size_t count = group_paths(paths, groups);
    text_table_init(&table, 6);
    for (size_t i = 0; i < count; i++) {
        const struct group *group = &groups[i];
        char p50[32], q99[32], good[64], about[160];
        if (!worth_a_row(group)) continue;
        describe(group, now_ms, about, sizeof about);
        enum text_colour colour = count_good(group, good, sizeof good);
        text_cell(&table, TEXT_DIM, "%s%s", group->entrance, strcmp(group->probe, "tcp") == 0 ? " tcp" : "");
        text_cell(&table, TEXT_PLAIN, "%s%s%s", group->target, group->address[0] != '\0' ? " " : "",
            group->address);
        text_cell(&table, colour, "%s", good);
        text_cell(
            &table, TEXT_PLAIN, "%s", group->p50_us > 0 ? text_latency((int64_t)group->p50_us, p50) : "");
        text_cell(&table, TEXT_DIM, "%s%s", group->q99_us > 0 ? "q99 " : "",
            group->q99_us > 0 ? text_latency((int64_t)group->q99_us, q99) : "");
        text_cell(&table, colour == TEXT_DIM ? TEXT_DIM : TEXT_PLAIN, "%s", about);
    }
    text_table_print(&table, stdout, "  ", cli->colour);
    text_table_fini(&table);
    free(groups);
}

static bool same_trouble(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"entrance", "target", "address", "reason", "remedy"};
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
        if (strcmp(text_of(a, keys[i]), text_of(b, keys[i])) != 0) return false;
    return true;
}

static bool is_unproven(const json_t *path)
{
    return strcmp(text_of(path, "state"), "unproven") == 0;
}

/* The observers that share a trouble, each once: "app1, ops". */
static void name_observers(const json_t *paths, const json_t *like, char *out, size_t size)
{
    const char *names[OBSERVERS_MAX];
    size_t i, k, count = 0, used = 0;
    json_t *path;
    json_array_foreach(paths, i, path)
    {
        if (!is_unproven(path) || !same_trouble(path, like)) continue;
        const char *name = text_of(path, "observer");
        for (k = 0; k < count && strcmp(names[k], name) != 0; k++) {
        }
        if (k < count || count == OBSERVERS_MAX) continue;
        names[count++] = name;
        used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? ", " : "", name);
        if (used >= size) return;
    }
}

static void print_unproven(const struct cli *cli, const json_t *paths)
{
    size_t i, k, waiting = 0;
    double good_least = 0, needed_least = 0; /* of the path with the longest way to go */
    json_t *path;
    json_array_foreach(paths, i, path)
    {
        if (!is_unproven(path)) continue;
        if (text_of(path, "reason")[0] == '\0') {
            double good = text_real(path, "good_in_row", 0);
            double needed = text_real(path, "good_needed", GOOD_IN_ROW);
            if (waiting == 0 || needed - good > needed_least - good_least) {
                good_least = good;
                needed_least = needed;
            }
            waiting++;
            continue;
        }
        bool told = false;
        for (k = 0; k < i && !told; k++)
            told = is_unproven(json_array_get(paths, k)) && same_trouble(json_array_get(paths, k), path);
        if (told) continue;
        char observers[256] = "";
        name_observers(paths, path, observers, sizeof observers);
        text_paint(stdout, cli->colour, TEXT_YELLOW, "  unproven");
        printf("  %s %s%s%s from %s: %s\n", text_of(path, "entrance"), text_of(path, "target"),
            text_of(path, "address")[0] != '\0' ? " " : "", text_of(path, "address"), observers,
            text_of(path, "reason"));
        if (text_of(path, "remedy")[0] != '\0') printf("            %s\n", text_of(path, "remedy"));
    }
    if (waiting > 0)
        printf("  learning  %zu path%s, %.0f of %.0f good probes in a row\n", waiting,
            waiting == 1 ? "" : "s", good_least, needed_least);
}

void status_print_services(const struct cli *cli, const json_t *services, int64_t now_ms)
{
    size_t i;
    json_t *service;
    json_array_foreach(services, i, service)
    {
        const char *verdict = text_of(service, "verdict");
        printf("\n%s  ", text_of(service, "name"));
        text_paint(stdout, cli->colour, text_state_colour(verdict), verdict);
        putchar('\n');
        print_paths(cli, json_object_get(service, "paths"), now_ms);
        print_unproven(cli, json_object_get(service, "paths"));
    }
}
