/* CURVE key pairs in files, names bound to keys. Files hold one line `public PUBLIC` and, in a private file
 * (0600), one line `secret SECRET`, both Z85 (40 characters). */
#ifndef COMMON_KEYS_H
#define COMMON_KEYS_H

#include <stddef.h>

#include "common/error.h"

#define KEYS_TEXT_SIZE 41 /* 40 characters of Z85 and NUL */

struct key_pair {
    char public_key[KEYS_TEXT_SIZE];
    char secret_key[KEYS_TEXT_SIZE];
};

void key_pair_fini(struct key_pair *pair); /* wipes */

/* Reads path, or makes a pair and writes it (0600, atomically) if there is none. Refuses a file that others
 * may read. */
int keys_load_or_make(const char *path, struct key_pair *pair, struct error *err);
int keys_load(const char *path, struct key_pair *pair, struct error *err);

/* Whether text is 40 characters of Z85 that decode. */
int keys_check_public(const char *text, struct error *err);

/* The list of who may speak: lines "HOST PUBLICKEY", '#' comments. */
struct key_book_entry {
    char host[65];
    char public_key[KEYS_TEXT_SIZE];
};
struct key_book {
    struct key_book_entry *entries;
    size_t count;
};
/* Reads the whole book; errors name path:line. Duplicate keys are an error. An absent file is an empty book.
 */
int key_book_load(const char *path, struct key_book *book, struct error *err);
void key_book_fini(struct key_book *book);
/* NULL if unknown. Constant time in the key's bytes. */
const char *key_book_host(const struct key_book *book, const char *public_key);
/* Adds or replaces the key of a host in the file (atomic rewrite, lock beside it). */
int key_book_enroll(const char *path, const char *host, const char *public_key, struct error *err);

#endif
