/* The book of who may speak (common/keys.h), read again when its file changes. One thread. */
#ifndef COLLECTOR_LINK_BOOK_H
#define COLLECTOR_LINK_BOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/error.h"
#include "common/keys.h"

struct book {
    const char *path; /* borrowed */
    struct key_book keys;
    struct stat seen;    /* of the file that was read last, also if it was wrong */
    uint64_t generation; /* grows with each new content; from 1 */
};

/* Looks whether the file has changed and reads it. 1 new content is in force, 0 nothing has changed, -1 it
 * cannot be read and the content before stays in force; that is told once per change of the file. */
int book_refresh(struct book *book, struct error *err);
void book_fini(struct book *book);

/* NULL if the key may not speak. */
const char *book_host(const struct book *book, const char *key);

#endif
