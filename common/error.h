/* One error type for the whole program: what the caller can do about it, and one line that a person can act
 * on.
 *
 * Any thread. A function that can fail returns int (0 or -1) or a pointer (NULL) and takes `struct error
 * *err` last; `err` may be NULL. Outputs are untouched on failure. Library folders do not log: the owner logs
 * once. */
#ifndef COMMON_ERROR_H
#define COMMON_ERROR_H

enum error_kind {
    ERROR_NONE,
    ERROR_INPUT,       /* what was given is wrong: tell whoever gave it */
    ERROR_IO,          /* the operating system refused; os_errno says why */
    ERROR_LIMIT,       /* a named bound was reached */
    ERROR_AGAIN,       /* not now: try later */
    ERROR_CORRUPT,     /* stored data is not what was written */
    ERROR_DENIED,      /* not permitted */
    ERROR_UNSUPPORTED, /* this host, kernel or library cannot do it */
    ERROR_KIND_COUNT
};

struct error {
    enum error_kind kind;
    int os_errno; /* 0 where no system call failed */
    char text[480];
};

/* The kind's word for logs: "input", "io", ... Never NULL. */
const char *error_kind_name(enum error_kind kind);

/* Fills err (if any) and returns -1, so that `return fail(err, ERROR_INPUT, "…")` fails and leaves in one
 * statement. */
int fail(struct error *err, enum error_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a failed system call: kind ERROR_IO, errno kept, ": strerror" appended. */
int fail_errno(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "context: " before the text of an error that is handed on; returns -1. */
int fail_context(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
