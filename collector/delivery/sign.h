/* Signatures of outgoing requests. Pure, any thread.
 * Standard Webhooks:
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
#ifndef COLLECTOR_DELIVERY_SIGN_H
#define COLLECTOR_DELIVERY_SIGN_H

#include <stdint.h>

#include "collector/delivery/secret.h"
#include "common/span.h"

#define SIGN_WEBHOOK_SIZE 48 /* "v1," + base64 of 32 bytes + NUL */

/* "v1,BASE64(HMAC-SHA256(secret, id.timestamp.body))" into out; timestamp in Unix seconds. */
void sign_webhook(const struct secret *secret, const char *id, int64_t timestamp_s, struct span body,
    char out[static SIGN_WEBHOOK_SIZE]);

#endif
