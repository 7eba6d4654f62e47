#include "tests/support/scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

void scratch_make(char path[static SCRATCH_SIZE])
{
    const char *base = getenv("TMPDIR");
    if (base == NULL || strlen(base) > SCRATCH_SIZE - 16) base = "/tmp";
    snprintf(path, SCRATCH_SIZE, "%s/fl-XXXXXX", base);
    CHECK(mkdtemp(path) != NULL);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

void scratch_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
