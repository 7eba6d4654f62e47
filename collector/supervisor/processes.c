#include "collector/supervisor/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/cleanup.h"
#include "common/timetext.h"

static json_t *time_json(int64_t wall_ms)
{
    char text[TIMETEXT_RFC3339_SIZE];
    return wall_ms > 0 ? json_string(timetext_rfc3339(wall_ms, text)) : json_null();
}

static char *to_text(const struct process_state *states, size_t count)
{
    json_t *processes = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(processes,
            json_pack("{s:s, s:I, s:I, s:o}", "name", states[i].name, "pid", (json_int_t)states[i].pid,
                "restarts", (json_int_t)states[i].restarts, "started_at", time_json(states[i].started_ms)));
    char *text = json_dumps(processes, JSON_COMPACT);
    CHECK(text != NULL);
    json_decref(processes);
    return text;
}

int processes_write(const char *path, const struct process_state *states, size_t count, struct error *err)
{
    AUTO_FREE char *text = to_text(states, count);
    AUTO_FREE char *fresh = check_format("%s.new", path);
    AUTO_CLOSE int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return fail_errno(err, "%s", fresh);
    size_t size = strlen(text);
    ssize_t written = write(fd, text, size);
    if (written != (ssize_t)size) {
        if (written >= 0) errno = ENOSPC;
        return fail_errno(err, "%s", fresh);
    }
    if (rename(fresh, path) != 0) return fail_errno(err, "%s", path);
    return 0;
}
