/* Runs a fuzz target once over every file of the folders named on the command line: how a corpus replays in
 * the normal test run, without libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    static uint8_t bytes[1 << 20];
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    /* An exact copy on the heap, so that AddressSanitizer sees a read past the end. */
    uint8_t *copy = malloc(size + 1);
    if (copy == NULL) return -1;
    uint8_t *exact = realloc(copy, size > 0 ? size : 1);
    if (exact == NULL) exact = copy;
    memcpy(exact, bytes, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 0;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        struct dirent **names = NULL;
        int n = scandir(argv[i], &names, NULL, alphasort);
        if (n < 0) {
            perror(argv[i]);
            return 1;
        }
        for (int k = 0; k < n; k++) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", argv[i], names[k]->d_name);
            if (names[k]->d_name[0] != '.') {
                if (replay_file(path) != 0) return 1;
                count++;
            }
            free(names[k]);
        }
        free(names);
    }
    printf("%zu inputs replayed\n", count);
    return count > 0 ? 0 : 1;
}
