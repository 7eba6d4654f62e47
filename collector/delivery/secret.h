/* A secret of a channel: held in memory that is wiped, never printed. Delivery and `faultline hook test`
 * only; the owner's storage, one thread. There is on purpose no function that gives it back as text. */
#ifndef COLLECTOR_DELIVERY_SECRET_H
#define COLLECTOR_DELIVERY_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define SECRET_SIZE_MAX 4096         /* bytes */
#define SECRET_REDACTED "<redacted>" /* what stands for one wherever something is printed */

struct secret {
    uint8_t *bytes; /* NULL: there is none */
    size_t size;
};

/* Wipes and frees. Zeroed is fine. */
void secret_fini(struct secret *secret);

/* Reads a key for signatures: "whsec_BASE64" (Standard Webhooks) or raw text, one final newline not counted.
 * "" as path leaves the secret empty: unsigned. ERROR_DENIED where others may read the file, ERROR_INPUT
 * where it is empty or its base64 is broken. The text of an error never quotes the content. */
int secret_load(const char *path, struct secret *secret, struct error *err);
int secret_parse(const char *text, size_t size, struct secret *secret, struct error *err);

#endif
