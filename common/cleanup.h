/* Ownership written into the declaration: `AUTO_FREE char *text = …;` is freed when it leaves its scope, and
 * `return TAKE(text)` hands it out instead. Every callback accepts what is NULL, -1 or zeroed. */
#ifndef COMMON_CLEANUP_H
#define COMMON_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

static inline void cleanup_close(const int *fd)
{
    if (*fd >= 0) close(*fd);
}

static inline void cleanup_fclose(FILE **file)
{
    if (*file != NULL) fclose(*file);
}

#define AUTO(callback) __attribute__((cleanup(callback)))
#define AUTO_FREE      AUTO(cleanup_free)
#define AUTO_CLOSE     AUTO(cleanup_close)
#define AUTO_FCLOSE    AUTO(cleanup_fclose)

/* Moves a pointer out of a variable and leaves NULL there. */
#define TAKE(variable)                                                                                       \
    __extension__({                                                                                          \
        __typeof__(variable) taken_ = (variable);                                                            \
        (variable) = NULL;                                                                                   \
        taken_;                                                                                              \
    })

#endif
