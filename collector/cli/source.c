/* Where answers come from: the API over its socket, else the files. */
#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/cli/cli.h"
#include "collector/cli/text.h"
#include "collector/core/state/state.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/schema.h"

const struct config *cli_config(struct cli *cli)
{
    if (cli->config != NULL || cli->config_failed) return cli->config;
    struct schema_report *report = check_alloc(sizeof *report);
    cli->config = config_load(cli->config_path, report);
    cli->config_failed = cli->config == NULL;
    if (cli->config_failed) schema_report_print(report, stderr, false);
    schema_report_fini(report);
    free(report);
    return cli->config;
}

/* What agents and receivers said must not move the cursor of who reads it: control bytes become blanks, in
 * place. JSON output escapes them by itself. */
static void flatten(json_t *value)
{
    const char *key;
    size_t i;
    json_t *child;
    if (json_is_string(value)) {
        char *text = check_strdup(json_string_value(value));
        for (char *c = text; *c != '\0'; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = ' ';
        json_string_set_nocheck(value, text);
        free(text);
    } else if (json_is_object(value)) {
        json_object_foreach(value, key, child) flatten(child);
    } else {
        json_array_foreach(value, i, child) flatten(child);
    }
}

static json_t *for_people(const struct cli *cli, json_t *object)
{
    if (!cli->json && object != NULL) flatten(object);
    return object;
}

static size_t take_bytes(char *bytes, size_t size, size_t count, void *owner)
{
    return buffer_append(owner, span_of(bytes, size * count), NULL) == 0 ? size * count : 0;
}

static int make_url(CURL *curl, const char *path, const char *const *parameters, struct buffer *url)
{
    int result = buffer_format(url, NULL, "http://localhost%s", path);
    for (size_t i = 0; parameters != NULL && parameters[i] != NULL; i += 2) {
        if (parameters[i + 1] == NULL) continue;
        char *name = curl_easy_escape(curl, parameters[i], 0),
             *value = curl_easy_escape(curl, parameters[i + 1], 0);
        result |= buffer_format(
            url, NULL, "%c%s=%s", strchr((const char *)buffer_text(url), '?') ? '&' : '?', name, value);
        curl_free(name);
        curl_free(value);
    }
    return result;
}

static enum cli_answer judge(json_t *answer, long status, const char *socket_path, struct error *err)
{
    if (status >= 200 && status < 300 && answer != NULL) return CLI_ANSWER;
    const char *said = json_string_value(json_object_get(answer, "error"));
    const char *remedy = json_string_value(json_object_get(answer, "remedy"));
    if (said == NULL)
        fail(err, ERROR_IO, "%s answered with status %ld and no JSON", socket_path, status);
    else
        fail(err, status < 500 ? ERROR_INPUT : ERROR_AGAIN, "%s%s%s", said, remedy != NULL ? "; " : "",
            remedy != NULL ? remedy : "");
    return status >= 400 && status < 500 ? CLI_ANSWER_WRONG : CLI_ANSWER_DOWN;
}

enum cli_answer cli_get(struct cli *cli, const char *path, const char *const *parameters, json_t **object,
    int *status, struct error *err)
{
    const char *socket_path = cli->socket_path;
    if (socket_path == NULL) {
        const struct config *config = cli_config(cli);
        if (config == NULL) {
            fail(err, ERROR_INPUT,
                "no usable configuration in %s; name one with --config, or a socket with --socket",
                cli->config_path);
            return CLI_ANSWER_DOWN;
        }
        socket_path = config->collector.api_socket;
    }
    CURL *curl = curl_easy_init();
    CHECK(curl != NULL);
    struct buffer url = {0}, body = {.size_max = CLI_ANSWER_MAX};
    enum cli_answer result = CLI_ANSWER_DOWN;
    make_url(curl, path, parameters, &url);
    curl_easy_setopt(curl, CURLOPT_URL, buffer_text(&url));
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)CLI_API_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    CURLcode code = curl_easy_perform(curl);
    if (code == CURLE_OK) {
        long answered = 0;
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answered);
        json_t *answer = json_loadb((const char *)body.data, body.size, 0, NULL);
        result = judge(answer, answered, socket_path, err);
        *status = (int)answered;
        if (result == CLI_ANSWER)
            *object = for_people(cli, answer);
        else
            json_decref(answer);
    } else if (code == CURLE_COULDNT_CONNECT && access(socket_path, F_OK) == 0 &&
               access(socket_path, W_OK) != 0) {
        fail(err, ERROR_DENIED, "%s may not be used by this user; join its group or use sudo", socket_path);
    } else {
        fail(err, ERROR_AGAIN, "nobody answers at %s", socket_path);
    }
    curl_easy_cleanup(curl);
    buffer_fini(&url);
    buffer_fini(&body);
    return result;
}

int cli_get_or_fail(struct cli *cli, const char *path, const char *const *parameters, json_t **object)
{
    struct error err;
    int status = 0;
    switch (cli_get(cli, path, parameters, object, &status, &err)) {
    case CLI_ANSWER: return CLI_OK;
    case CLI_ANSWER_WRONG: return cli_fail(status == 404 ? CLI_FAILED : CLI_USAGE, "%s", err.text);
    default:
        return cli_fail(CLI_FAILED, "%s: %s",
            cli_collector_runs(cli) ? "the API is restarting, try again in a second"
                                    : "the collector cannot be asked",
            err.text);
    }
}

/* ── The files, with the collector down ── */

bool cli_collector_runs(struct cli *cli)
{
    const struct config *config = cli->socket_path == NULL ? cli_config(cli) : NULL;
    if (config == NULL) return false;
    AUTO_FREE char *path = check_format("%s/processes.json", config->collector.run);
    json_t *processes = json_load_file(path, 0, NULL), *process;
    bool runs = false;
    size_t i;
    json_array_foreach(processes, i, process)
    {
        pid_t pid = (pid_t)text_real(process, "pid", 0);
        bool web = strcmp(text_of(process, "name"), "web") == 0;
        runs |= !web && pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
    }
    json_decref(processes);
    return runs;
}

static struct state *open_files(struct cli *cli, const struct error *why, struct error *err)
{
    /* Who names a socket asks that collector: files of another one are no answer. */
    const struct config *config = cli->socket_path == NULL ? cli_config(cli) : NULL;
    if (config == NULL) {
        fail(err, ERROR_INPUT, "%s", why->text);
        return NULL;
    }
    struct state *state = state_open_reader(config->collector.data, err);
    if (state != NULL)
        fprintf(stderr, "faultline: %s: %s; read from %s, %s\n",
            cli_collector_runs(cli) ? "the API is restarting" : "the collector cannot be asked", why->text,
            config->collector.data, cli_collector_runs(cli) ? "as it is now" : "as it was left");
    return state;
}

json_t *cli_offline_incidents(
    struct cli *cli, const char *state_word, size_t limit, const struct error *why, struct error *err)
{
    struct state *state = open_files(cli, why, err);
    json_t *incidents = state != NULL ? state_incidents(state, state_word, limit, err) : NULL;
    state_close(state);
    return for_people(cli, incidents);
}

json_t *cli_offline_incident(struct cli *cli, const char *id, const struct error *why, struct error *err)
{
    struct state *state = open_files(cli, why, err);
    json_t *incident = state != NULL ? state_incident(state, id, err) : NULL;
    state_close(state);
    return for_people(cli, incident);
}

int cli_load_incident(struct cli *cli, const char *id, json_t **object)
{
    struct error why, err;
    int status = 0;
    CURL *curl = curl_easy_init();
    CHECK(curl != NULL);
    char *escaped = curl_easy_escape(curl, id, 0);
    char *path = check_format("/api/v1/incidents/%s", escaped);
    enum cli_answer answer = cli_get(cli, path, NULL, object, &status, &why);
    free(path);
    curl_free(escaped);
    curl_easy_cleanup(curl);
    if (answer == CLI_ANSWER) return CLI_OK;
    if (answer == CLI_ANSWER_WRONG) return cli_fail(CLI_FAILED, "%s", why.text);
    *object = cli_offline_incident(cli, id, &why, &err);
    return *object != NULL ? CLI_OK : cli_fail(CLI_FAILED, "%s", err.text);
}

void cli_print_json(const json_t *object)
{
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    putchar('\n');
}
