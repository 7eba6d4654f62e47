#include "collector/link/book.h"

#include <errno.h>

/* An absent file is an empty book, and looks like no file at all. */
static int look(const char *path, struct stat *now, struct error *err)
{
    *now = (struct stat){0};
    if (stat(path, now) == 0 || errno == ENOENT) return 0;
    return fail_errno(err, "%s", path);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int book_refresh(struct book *book, struct error *err)
{
    struct stat now;
    if (look(book->path, &now, err) != 0) return -1;
    if (book->generation > 0 && same_file(&now, &book->seen)) return 0;
    book->seen = now;
    struct key_book fresh = {0};
    if (key_book_load(book->path, &fresh, err) != 0) {
        if (book->generation == 0) book->generation = 1;
        return -1;
    }
    key_book_fini(&book->keys);
    book->keys = fresh;
    book->generation++;
    return 1;
}

void book_fini(struct book *book)
{
    if (book == NULL) return;
    key_book_fini(&book->keys);
}

const char *book_host(const struct book *book, const char *key)
{
    return key_book_host(&book->keys, key);
}
