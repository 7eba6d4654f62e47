#include "collector/core/store/series.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"

struct identity {
    const struct series_host *host;
    const char *metric, *labels;
};

static bool is_host(const void *item, const void *key)
{
    const struct series_host *host = item;
    return strcmp(host->name, key) == 0;
}

static bool is_series(const void *item, const void *key)
{
    const struct series *series = item;
    const struct identity *wanted = key;
    return series->host == wanted->host && strcmp(series->metric, wanted->metric) == 0 &&
           strcmp(series->labels, wanted->labels) == 0;
}

struct series_host *registry_host(struct registry *registry, const char *name)
{
    uint64_t hash = table_hash_texts(&name, 1);
    struct series_host *host = table_find(&registry->hosts, hash, is_host, name);
    if (host != NULL) return host;
    host = check_alloc(sizeof *host);
    strncpy(host->name, name, sizeof host->name - 1);
    host->hash = hash;
    table_add(&registry->hosts, hash, host);
    if (registry->host_count == registry->host_capacity) {
        registry->host_capacity = registry->host_capacity > 0 ? registry->host_capacity * 2 : 16;
        registry->order = check_realloc_array(registry->order, registry->host_capacity, sizeof(void *));
    }
    registry->order[registry->host_count++] = host;
    return host;
}

static struct series *series_new(struct series_host *host, const char *metric, const char *labels)
{
    size_t metric_size = strlen(metric) + 1, labels_size = strlen(labels) + 1;
    struct series *series = check_alloc(sizeof *series + metric_size + labels_size);
    char *texts = (char *)(series + 1);
    memcpy(texts, metric, metric_size);
    memcpy(texts + metric_size, labels, labels_size);
    series->host = host;
    series->metric = texts;
    series->labels = texts + metric_size;
    return series;
}

struct series *registry_series(struct registry *registry, struct series_host *host, const char *metric,
    const char *labels, bool counted, int64_t now_ms)
{
    const char *texts[] = {host->name, metric, labels};
    uint64_t hash = table_hash_texts(texts, ARRAY_COUNT(texts));
    struct identity wanted = {host, metric, labels};
    struct series *series = table_find(&registry->series, hash, is_series, &wanted);
    if (series != NULL) return series;
    if (counted &&
        (registry->counted >= registry->series_max || host->counted >= registry->series_per_host_max))
        return NULL;
    series = series_new(host, metric, labels);
    series->hash = hash;
    series->counted = counted;
    series->used_ms = now_ms;
    table_add(&registry->series, hash, series);
    if (host->series_count == host->series_capacity) {
        host->series_capacity = host->series_capacity > 0 ? host->series_capacity * 2 : 16;
        host->series = check_realloc_array(host->series, host->series_capacity, sizeof(void *));
    }
    host->series[host->series_count++] = series;
    host->counted += counted;
    registry->counted += counted;
    return series;
}

static void series_free(struct series *series)
{
    head_fini(&series->head);
    free(series);
}

bool registry_expire(struct registry *registry, int64_t used_before_ms)
{
    bool any = false;
    for (size_t h = 0; h < registry->host_count; h++)
        for (size_t s = 0; s < registry->order[h]->series_count; s++) {
            struct series *series = registry->order[h]->series[s];
            series->expired = series->head.first == NULL && series->used_ms < used_before_ms;
            any = any || series->expired;
        }
    return any;
}

void registry_drop_expired(struct registry *registry)
{
    for (size_t h = 0; h < registry->host_count; h++) {
        struct series_host *host = registry->order[h];
        size_t kept = 0;
        for (size_t s = 0; s < host->series_count; s++) {
            struct series *series = host->series[s];
            if (!series->expired) {
                host->series[kept++] = series;
                continue;
            }
            host->counted -= series->counted;
            registry->counted -= series->counted;
            table_remove(&registry->series, series->hash, series);
            series_free(series);
        }
        host->series_count = kept;
    }
}

void registry_fini(struct registry *registry)
{
    for (size_t h = 0; h < registry->host_count; h++) {
        struct series_host *host = registry->order[h];
        for (size_t s = 0; s < host->series_count; s++) series_free(host->series[s]);
        free(host->series);
        free(host->marks);
        free(host);
    }
    free(registry->order);
    table_fini(&registry->hosts);
    table_fini(&registry->series);
    *registry = (struct registry){0};
}
