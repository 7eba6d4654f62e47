/* Golden files: the expected output beside its input, compared byte by byte; with FAULTLINE_GOLDEN=write in
 * the environment they are rewritten instead, to be reviewed like code. */
#ifndef TESTS_SUPPORT_GOLDEN_H
#define TESTS_SUPPORT_GOLDEN_H

#include <stdbool.h>

/* Whether `text` is what the file holds; prints the first line that differs. `path` is relative to the source
 * tree. */
bool golden_same(const char *path, const char *text);

#endif
