#include "agent/probe/credentials.h"

#include <curl/curl.h>
#include <string.h>

#include "common/check.h"
#include "common/cleanup.h"
#include "common/file.h"

#define CREDENTIALS_BYTES_MAX 8192

static void wipe(char *text)
{
    if (text != NULL) explicit_bzero(text, strlen(text));
    free(text);
}

static void add_header(struct credentials *credentials, const char *name, const char *value)
{
    char *line = check_format("%s%s", name, value);
    struct curl_slist *longer = curl_slist_append(credentials->headers, line);
    CHECK(longer != NULL);
    credentials->headers = longer;
    wipe(line);
}

static int read_line(struct credentials *credentials, char *line, struct error *err)
{
    const char *colon = strchr(line, ':');
    if (line[0] == '\0' || line[0] == '#') return 0;
    if (strncmp(line, "Bearer ", 7) == 0)
        add_header(credentials, "Authorization: ", line);
    else if (colon != NULL && colon != line && colon[1] == ' ')
        add_header(credentials, "", line);
    else if (colon != NULL && colon != line && credentials->userpwd == NULL)
        credentials->userpwd = check_strdup(line);
    else
        return fail(err, ERROR_INPUT, "lines are 'user:password', 'Bearer TOKEN' or 'Name: value'");
    return 0;
}

int credentials_load(const char *directory, const char *name, struct credentials *out, struct error *err)
{
    if (directory == NULL) return fail(err, ERROR_INPUT, "no directory for credentials, '%s' wanted", name);
    AUTO_FREE char *path = check_format("%s/%s", directory, name);
    if (file_check_private(path, err) != 0) return -1;
    struct buffer buffer = {0};
    struct credentials made = {0};
    int result = file_read(path, CREDENTIALS_BYTES_MAX, &buffer, err);
    if (result == 0) {
        buffer_text(&buffer); /* ends it */
        char *rest = (char *)buffer.data;
        for (char *line; result == 0 && rest != NULL && (line = strsep(&rest, "\n")) != NULL;) {
            size_t size = strlen(line);
            if (size > 0 && line[size - 1] == '\r') line[size - 1] = '\0';
            result = read_line(&made, line, err);
        }
        if (result != 0) fail_context(err, "credentials %s", name);
    }
    if (buffer.data != NULL) explicit_bzero(buffer.data, buffer.capacity);
    buffer_fini(&buffer);
    if (result != 0)
        credentials_fini(&made);
    else
        *out = made;
    return result;
}

void credentials_fini(struct credentials *credentials)
{
    for (struct curl_slist *line = credentials->headers; line != NULL; line = line->next)
        explicit_bzero(line->data, strlen(line->data));
    curl_slist_free_all(credentials->headers);
    wipe(credentials->userpwd);
    *credentials = (struct credentials){0};
}
