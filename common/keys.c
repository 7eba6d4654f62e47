#include "common/keys.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "common/check.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/span.h"

#define KEY_FILE_BYTES_MAX ((size_t)4096)
#define BOOK_BYTES_MAX     ((size_t)4 << 20)
#define KEY_TEXT_LENGTH    (KEYS_TEXT_SIZE - 1)

static void wipe_buffer(struct buffer *buffer)
{
    if (buffer->data != NULL) OPENSSL_cleanse(buffer->data, buffer->capacity);
    buffer_fini(buffer);
}

void key_pair_fini(struct key_pair *pair)
{
    if (pair != NULL) OPENSSL_cleanse(pair, sizeof *pair);
}

int keys_check_public(const char *text, struct error *err)
{
    uint8_t key[32];
    if (strlen(text) != KEY_TEXT_LENGTH)
        return fail(
            err, ERROR_INPUT, "a public key has %d characters, not %zu", KEY_TEXT_LENGTH, strlen(text));
    if (zmq_z85_decode(key, text) == NULL)
        return fail(err, ERROR_INPUT, "\"%s\" is no public key (Z85)", text);
    return 0;
}

/* ── Lines of "WORD VALUE" and comments. Z85 has the character '#', but no key begins with it: there, at the
 * start of a word, it begins a comment. ── */

struct line {
    const char *word, *value; /* borrowed from the text, which is cut at their ends */
    int number;
};

/* The next line with content, 0 at the end, -1 where a line is not two words. */
static int next_line(char **rest, struct line *line, const char *path, struct error *err)
{
    for (char *text; (text = strsep(rest, "\n")) != NULL;) {
        line->number++;
        char *save = NULL;
        line->word = strtok_r(text, " \t\r", &save);
        if (line->word == NULL || line->word[0] == '#') continue;
        line->value = strtok_r(NULL, " \t\r", &save);
        const char *third = strtok_r(NULL, " \t\r", &save);
        if (line->value == NULL || (third != NULL && third[0] != '#'))
            return fail(err, ERROR_INPUT, "%s:%d: expected two words", path, line->number);
        return 1;
    }
    return 0;
}

/* ── One's own pair ── */

static int parse_pair(char *text, const char *path, struct key_pair *pair, struct error *err)
{
    struct key_pair read = {0};
    struct line line = {0};
    int more;
    while ((more = next_line(&text, &line, path, err)) > 0) {
        char *into = strcmp(line.word, "public") == 0   ? read.public_key
                     : strcmp(line.word, "secret") == 0 ? read.secret_key
                                                        : NULL;
        if (into == NULL) {
            more = fail(err, ERROR_INPUT, "%s:%d: expected \"public\" or \"secret\"", path, line.number);
            break;
        }
        if (strlen(line.value) != KEY_TEXT_LENGTH) {
            more =
                fail(err, ERROR_INPUT, "%s:%d: a key has %d characters", path, line.number, KEY_TEXT_LENGTH);
            break;
        }
        memcpy(into, line.value, KEYS_TEXT_SIZE);
    }
    char derived[KEYS_TEXT_SIZE] = "";
    if (more == 0 && (read.public_key[0] == '\0' || read.secret_key[0] == '\0'))
        more = fail(err, ERROR_INPUT, "%s: needs a line \"public KEY\" and a line \"secret KEY\"", path);
    if (more == 0 &&
        (zmq_curve_public(derived, read.secret_key) != 0 || strcmp(derived, read.public_key) != 0))
        more = fail(err, ERROR_CORRUPT, "%s: the public key does not belong to the secret key", path);
    if (more == 0) *pair = read;
    key_pair_fini(&read);
    return more;
}

int keys_load(const char *path, struct key_pair *pair, struct error *err)
{
    if (file_check_private(path, err) != 0) return -1;
    AUTO(wipe_buffer) struct buffer content = {0};
    if (file_read(path, KEY_FILE_BYTES_MAX, &content, err) != 0) return -1;
    buffer_text(&content);
    return parse_pair((char *)content.data, path, pair, err);
}

int keys_load_or_make(const char *path, struct key_pair *pair, struct error *err)
{
    struct error missing = {0};
    if (keys_load(path, pair, &missing) == 0) return 0;
    if (missing.os_errno != ENOENT) {
        if (err != NULL) *err = missing;
        return -1;
    }
    struct key_pair made = {0};
    if (zmq_curve_keypair(made.public_key, made.secret_key) != 0) return fail_errno(err, "make a key pair");
    char text[256];
    int size = snprintf(text, sizeof text, "public %s\nsecret %s\n", made.public_key, made.secret_key);
    int result = file_write_atomic(path, span_of(text, (size_t)size), 0600, err);
    if (result == 0) *pair = made;
    key_pair_fini(&made);
    OPENSSL_cleanse(text, sizeof text);
    return result;
}

/* ── The book of who may speak ── */

static bool host_name_good(const char *name)
{
    size_t size = strlen(name);
    if (size < 1 || size > 64) return false;
    for (; *name != '\0'; name++)
        if (!isalnum((unsigned char)*name) && strchr("._-", *name) == NULL) return false;
    return true;
}

/* In the order of keys; qsort's companion, so that duplicates become neighbours however long the book is. */
static int compare_keys(const void *a, const void *b)
{
    const struct key_book_entry *const *left = a, *const *right = b;
    return strcmp((*left)->public_key, (*right)->public_key);
}

static int compare_hosts(const void *a, const void *b)
{
    const struct key_book_entry *const *left = a, *const *right = b;
    return strcmp((*left)->host, (*right)->host);
}

static int check_unique(const struct key_book *book, const char *path, struct error *err)
{
    AUTO_FREE const struct key_book_entry **sorted = check_alloc_array(book->count, sizeof *sorted);
    for (size_t i = 0; i < book->count; i++) sorted[i] = &book->entries[i];
    qsort(sorted, book->count, sizeof *sorted, compare_keys);
    for (size_t i = 1; i < book->count; i++)
        if (compare_keys(&sorted[i - 1], &sorted[i]) == 0)
            return fail(err, ERROR_INPUT, "%s: %s and %s have the same key", path, sorted[i - 1]->host,
                sorted[i]->host);
    qsort(sorted, book->count, sizeof *sorted, compare_hosts);
    for (size_t i = 1; i < book->count; i++)
        if (compare_hosts(&sorted[i - 1], &sorted[i]) == 0)
            return fail(err, ERROR_INPUT, "%s: %s has two keys", path, sorted[i]->host);
    return 0;
}

static int parse_book(char *text, const char *path, struct key_book *book, struct error *err)
{
    struct line line = {0};
    size_t capacity = 0;
    int more;
    while ((more = next_line(&text, &line, path, err)) > 0) {
        if (!host_name_good(line.word))
            return fail(err, ERROR_INPUT, "%s:%d: \"%.80s\" is no host name", path, line.number, line.word);
        if (keys_check_public(line.value, err) != 0) return fail_context(err, "%s:%d", path, line.number);
        if (book->count == capacity) {
            capacity = capacity > 0 ? capacity * 2 : 16;
            book->entries = check_realloc_array(book->entries, capacity, sizeof *book->entries);
        }
        struct key_book_entry *entry = &book->entries[book->count++];
        snprintf(entry->host, sizeof entry->host, "%s", line.word);
        snprintf(entry->public_key, sizeof entry->public_key, "%s", line.value);
    }
    return more < 0 ? -1 : check_unique(book, path, err);
}

int key_book_load(const char *path, struct key_book *book, struct error *err)
{
    AUTO(buffer_fini) struct buffer content = {0};
    struct error why = {0};
    AUTO(key_book_fini) struct key_book read = {0};
    if (file_read(path, BOOK_BYTES_MAX, &content, &why) != 0 && why.os_errno != ENOENT) {
        if (err != NULL) *err = why;
        return -1;
    }
    buffer_text(&content);
    if (parse_book((char *)content.data, path, &read, err) != 0) return -1;
    *book = read;
    read = (struct key_book){0};
    return 0;
}

void key_book_fini(struct key_book *book)
{
    if (book == NULL) return;
    free(book->entries);
    *book = (struct key_book){0};
}

const char *key_book_host(const struct key_book *book, const char *public_key)
{
    if (strlen(public_key) != KEY_TEXT_LENGTH) return NULL;
    const char *host = NULL;
    for (size_t i = 0; i < book->count; i++)
        if (CRYPTO_memcmp(book->entries[i].public_key, public_key, KEY_TEXT_LENGTH) == 0)
            host = book->entries[i].host;
    return host;
}

/* Copies the book's text but for the line of `host`, keeping comments and order. */
static int copy_without(char *text, const char *host, struct buffer *out, struct error *err)
{
    size_t host_size = strlen(host);
    for (char *line; (line = strsep(&text, "\n")) != NULL;) {
        const char *word = line + strspn(line, " \t");
        bool same =
            strncmp(word, host, host_size) == 0 && (word[host_size] == ' ' || word[host_size] == '\t');
        bool last_and_empty = text == NULL && line[0] == '\0';
        if (same || last_and_empty) continue;
        if (buffer_format(out, err, "%s\n", line) != 0) return -1;
    }
    return 0;
}

int key_book_enroll(const char *path, const char *host, const char *public_key, struct error *err)
{
    if (!host_name_good(host)) return fail(err, ERROR_INPUT, "\"%.80s\" is no host name", host);
    if (keys_check_public(public_key, err) != 0) return -1;
    AUTO_FREE char *lock_path = check_format("%s.lock", path);
    AUTO_CLOSE int lock = file_lock(lock_path, err);
    if (lock < 0) return -1;

    AUTO(key_book_fini) struct key_book book = {0};
    if (key_book_load(path, &book, err) != 0) return -1;
    const char *owner = key_book_host(&book, public_key);
    if (owner != NULL && strcmp(owner, host) != 0)
        return fail(err, ERROR_INPUT, "this key is enrolled for %s already", owner);

    AUTO(buffer_fini) struct buffer old = {0};
    AUTO(buffer_fini) struct buffer fresh = {0};
    struct error why = {0};
    if (file_read(path, BOOK_BYTES_MAX, &old, &why) != 0 && why.os_errno != ENOENT) {
        if (err != NULL) *err = why;
        return -1;
    }
    buffer_text(&old);
    if (copy_without((char *)old.data, host, &fresh, err) != 0) return -1;
    if (buffer_format(&fresh, err, "%s %s\n", host, public_key) != 0) return -1;
    return file_write_atomic(path, buffer_span(&fresh), 0644, err);
}
