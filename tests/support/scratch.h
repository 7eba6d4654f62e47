/* A directory of a test's own, removed with all that is in it. */
#ifndef TESTS_SUPPORT_SCRATCH_H
#define TESTS_SUPPORT_SCRATCH_H

#define SCRATCH_SIZE 56 /* short enough for unix sockets below it */

/* Makes one under $TMPDIR (or /tmp where that is too long); ends the program if it cannot. */
void scratch_make(char path[static SCRATCH_SIZE]);
void scratch_remove(const char *path);

#endif
