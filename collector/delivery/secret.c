#include "collector/delivery/secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/file.h"
#include "common/span.h"

#define PREFIX    "whsec_"
#define READ_ROOM (128 * 1024) /* bytes, more than file_read asks for at once */

void secret_fini(struct secret *secret)
{
    if (secret->bytes != NULL) OPENSSL_cleanse(secret->bytes, secret->size);
    free(secret->bytes);
    *secret = (struct secret){0};
}

/* EVP_DecodeBlock wants whole groups of four and counts the padding as bytes. */
static int decode_base64(const char *text, size_t size, struct secret *secret, struct error *err)
{
    size_t padding = 0;
    while (padding < 2 && padding < size && text[size - 1 - padding] == '=') padding++;
    if (size == 0 || size % 4 != 0 || memchr(text, '=', size - padding) != NULL)
        return fail(err, ERROR_INPUT, "the text after \"" PREFIX "\" is not base64 with its padding");
    uint8_t *bytes = check_alloc(size);
    int n = EVP_DecodeBlock(bytes, (const uint8_t *)text, (int)size);
    if (n < (int)padding + 1) {
        OPENSSL_cleanse(bytes, size);
        free(bytes);
        return fail(err, ERROR_INPUT, "the text after \"" PREFIX "\" is not base64");
    }
    *secret = (struct secret){.bytes = bytes, .size = (size_t)n - padding};
    return 0;
}

int secret_parse(const char *text, size_t size, struct secret *secret, struct error *err)
{
    if (size > 0 && text[size - 1] == '\n') size--;
    if (size > 0 && text[size - 1] == '\r') size--;
    if (size == 0) return fail(err, ERROR_INPUT, "the secret is empty");
    size_t prefix = strlen(PREFIX);
    if (size >= prefix && memcmp(text, PREFIX, prefix) == 0)
        return decode_base64(text + prefix, size - prefix, secret, err);
    *secret = (struct secret){.bytes = check_alloc(size), .size = size};
    memcpy(secret->bytes, text, size);
    return 0;
}

int secret_load(const char *path, struct secret *secret, struct error *err)
{
    *secret = (struct secret){0};
    if (path[0] == '\0') return 0;
    if (file_check_private(path, err) < 0) return -1;
    /* Room for everything at once, so that no reallocation leaves a copy behind. */
    struct buffer content = {0};
    int result = -1;
    if (buffer_reserve(&content, READ_ROOM, err) != NULL &&
        file_read(path, SECRET_SIZE_MAX, &content, err) == 0) {
        result = secret_parse((const char *)content.data, content.size, secret, err);
        if (result < 0) fail_context(err, "%s", path);
    }
    if (content.data != NULL) OPENSSL_cleanse(content.data, content.capacity);
    buffer_fini(&content);
    return result;
}
