#include "tests/support/golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/cleanup.h"
#include "common/file.h"

static void print_difference(const char *path, const char *expected, const char *found)
{
    int line = 1;
    while (*expected != '\0' && *expected == *found) {
        line += *expected == '\n';
        expected++;
        found++;
    }
    fprintf(stderr, "%s:%d: expected \"%.*s\", found \"%.*s\" (FAULTLINE_GOLDEN=write rewrites)\n", path,
        line, (int)strcspn(expected, "\n"), expected, (int)strcspn(found, "\n"), found);
}

bool golden_same(const char *path, const char *text)
{
    AUTO_FREE char *full = check_format("%s/%s", FAULTLINE_SOURCE_DIR, path);
    const char *wish = getenv("FAULTLINE_GOLDEN");
    struct error err = {0};
    if (wish != NULL && strcmp(wish, "write") == 0) {
        if (file_write_atomic(full, span_text(text), 0644, &err) == 0) return true;
        fprintf(stderr, "%s\n", err.text);
        return false;
    }
    AUTO(buffer_fini) struct buffer expected = {0};
    if (file_read(full, BUFFER_SIZE_MAX, &expected, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return false;
    }
    if (strcmp(buffer_text(&expected), text) == 0) return true;
    print_difference(path, buffer_text(&expected), text);
    return false;
}
