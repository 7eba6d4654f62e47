#include "collector/delivery/sign.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"

void sign_webhook(const struct secret *secret, const char *id, int64_t timestamp_s, struct span body,
    char out[static SIGN_WEBHOOK_SIZE])
{
    struct buffer signed_text = {0};
    CHECK(buffer_format(&signed_text, NULL, "%s.%" PRId64 ".", id, timestamp_s) == 0);
    CHECK(buffer_append(&signed_text, body, NULL) == 0);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    CHECK(HMAC(EVP_sha256(), secret->bytes, (int)secret->size, signed_text.data, signed_text.size, digest,
              &size) != NULL);
    buffer_fini(&signed_text);
    int prefix = snprintf(out, SIGN_WEBHOOK_SIZE, "v1,");
    EVP_EncodeBlock((uint8_t *)out + prefix, digest, (int)size);
}
