/* CHECK(condition): for states that cannot happen. Stays on in release; never for input, disk, peer or
 * kernel. */
#ifndef COMMON_CHECK_H
#define COMMON_CHECK_H

#include <stddef.h>

_Noreturn void check_failed(const char *file, int line, const char *condition);

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

/* Memory that must be there: allocation failure ends the process with one line, its supervisor restarts it.
 * What a peer's message decides the size of is bounded before it comes here. All are freed with free(). */
void *check_alloc(size_t size) __attribute__((malloc, alloc_size(1))); /* zeroed */
void *check_alloc_array(size_t count, size_t size)
    __attribute__((alloc_size(1, 2))); /* zeroed, overflow checked */
void *check_realloc_array(void *old, size_t count, size_t size);
char *check_strdup(const char *text);
char *check_format(const char *format, ...) __attribute__((format(printf, 1, 2))); /* a new string */

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
