#include "collector/web/map.h"
#include "collector/web/metrics_text.h"
#include "tests/support/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void metrics_satisfy_promtool(void)
{
    struct buffer out = {0};
    metrics_family(&out, "faultline_incidents", "gauge", "Incidents by state.");
    metrics_sample(&out, "faultline_incidents", "state", "op\"e\\n\n", 2);
    json_t *counts = json_pack("{s:i, s:i, s:i, s:i, s:f, s:s, s:i, s:i}", "batches", 5, "commit_us", 2500000,
        "link_frames_total", 7, "link_connected", 3, "waiting_count", 1.0, "ignored", "text", "heads-kib", 4,
        "lag_ms", 5);
    metrics_counts(&out, "store", counts);
    json_decref(counts);
    const char *text = buffer_text(&out);
    static const char *const expected[] = {"faultline_incidents{state=\"op\\\"e\\\\n\\n\"} 2\n",
        "\nfaultline_store_batches_total 5\n", "\nfaultline_store_commit_seconds_total 2.5\n",
        "\nfaultline_link_frames_total 7\n", "\nfaultline_link_connected 3\n",
        "\nfaultline_store_waiting 1\n", "\nfaultline_store_heads_bytes 4096\n",
        "# TYPE faultline_store_lag_seconds gauge\n"};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        if (strstr(text, expected[i]) == NULL) printf("missing: %s", expected[i]);
        CU_ASSERT_PTR_NOT_NULL(strstr(text, expected[i]));
    }
    CU_ASSERT_PTR_NULL(strstr(text, "ignored"));
    if (system("command -v promtool >/dev/null") == 0) {       /* NOLINT */
        FILE *promtool = popen("promtool check metrics", "w"); /* NOLINT */
        fputs(text, promtool);
        CU_ASSERT_EQUAL(pclose(promtool), 0);
    }
    buffer_fini(&out);
}

static const json_t *node(const json_t *map, const char *id)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(map, "nodes"), i,
        row) if (strcmp(json_string_value(json_object_get(row, "id")), id) == 0) return row;
    return NULL;
}

static bool has_edge(const json_t *map, const char *from, const char *to)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(map, "edges"), i,
        row) if (strcmp(json_string_value(json_object_get(row, "from")), from) == 0 &&
                 strcmp(json_string_value(json_object_get(row, "to")), to) == 0) return true;
    return false;
}

static void map_tells_what_is_missing(void)
{
    char empty[] = "", east[] = "east", a[] = "a", app1[] = "app1", lb_www[] = "lb-www", www[] = "www",
         main_db[] = "main", url[] = "https://www.example.com/", health[] = "/healthz";
    struct config_site sites[] = {{.name = east, .provider = empty}};
    struct config_host hosts[] = {{.name = app1, .site = 0, .zone = a}};
    struct config_balancer balancers[] = {{.name = lb_www, .host = CONFIG_NONE, .stats = empty}};
    struct config_hop hops[] = {{.balancer = 0}};
    struct config_backend backends[] = {{.name = app1, .url = url, .host = 0}};
    size_t depends[] = {1};
    struct config_service services[] = {{.name = www,
                                            .url = url,
                                            .health = health,
                                            .through = hops,
                                            .through_count = 1,
                                            .backends = backends,
                                            .backend_count = 1,
                                            .depends_on = depends,
                                            .depends_count = 1},
        {.name = main_db, .kind = SERVICE_DB, .url = empty, .health = empty}};
    struct config config = {.sites = sites,
        .site_count = 1,
        .hosts = hosts,
        .host_count = 1,
        .balancers = balancers,
        .balancer_count = 1,
        .services = services,
        .service_count = 2};
    json_t *status = json_loads("{\"services\":[{\"name\":\"www\",\"verdict\":\"healthy\"}],"
                                "\"hosts\":[{\"name\":\"app1\",\"state\":\"reporting\"}],"
                                "\"incidents\":[{\"component\":\"lb:lb-www\",\"mode\":\"down\","
                                "\"symptoms\":[{\"component\":\"service:www\"}]}]}",
        0, NULL);
    json_t *map = map_build(&config, status);
    static const char *const edges[][2] = {{"users", "service:www"}, {"service:www", "lb:lb-www"},
        {"lb:lb-www", "backend:www/app1"}, {"backend:www/app1", "db:main"}, {"backend:www/app1", "host:app1"},
        {"host:app1", "zone:a"}, {"host:app1", "egress:east"}};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++)
        CU_ASSERT(has_edge(map, edges[i][0], edges[i][1]));
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(node(map, "lb:lb-www"), "state")), "down");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(node(map, "service:www"), "state")), "affected");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(node(map, "host:app1"), "state")), "reporting");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(node(map, "lb:lb-www"), "missing")), 2);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(node(map, "backend:www/app1"), "measured")), 2);
    json_decref(map);
    map = map_build(&config, NULL);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(node(map, "host:app1"), "state")), "unknown");
    json_decref(map);
    json_decref(status);
}

UNIT_MAIN("web_parts", {"metrics satisfy promtool", metrics_satisfy_promtool},
    {"the map tells what is measured and what is missing", map_tells_what_is_missing})
