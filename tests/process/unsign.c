/* unsign.c - process-unsign DIR N: takes the last N signatures out of the log of a copied directory, as a disk does that lied about its last fsync, or a copy that was made
 * between commits and their signature. The commits stay. Formats: docs/STORAGE.md, "Log". */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "engine/log_internal.h"

#define SEALS_MAX 65536u

static uint8_t bytes[LOG_SEGMENT_BYTES]; /* the first segment, which is all there is of a young log */
static size_t seals[SEALS_MAX];

static uint64_t checksum(size_t at, uint32_t n)
{
    uint64_t stream = (uint64_t)LOG_SEGMENT_BYTES - SEGMENT_HEADER_BYTES + at - SEGMENT_HEADER_BYTES;
    return XXH3_64bits_withSeed(bytes + at + 12, n + RECORD_HEAD_BYTES - 12, load_le64(bytes + 8) ^ stream * 0x9E3779B97F4A7C15u ^ (uint64_t)n << 32);
}

int main(int count, char **args)
{
    char path[LOG_PATH_BYTES_MAX];
    size_t found = 0, records = 0, wanted = count == 3 ? (size_t)strtoul(args[2], NULL, 10) : 0;
    if (wanted == 0 || snprintf(path, sizeof path, "%s/log/00000001", args[1]) >= (int)sizeof path) {
        fprintf(stderr, "usage: process-unsign DIR N\n");
        return 64;
    }
    FILE *f = fopen(path, "r+b");
    size_t n = f != NULL ? fread(bytes, 1, sizeof bytes, f) : 0;
    for (size_t at = SEGMENT_HEADER_BYTES; at + RECORD_HEAD_BYTES < n; records++) {
        uint32_t payload = load_le32(bytes + at);
        if (payload == 0 || payload > n - at - RECORD_HEAD_BYTES || load_le64(bytes + at + 4) != checksum(at, payload))
            break;
        if (bytes[at + 12] == LOG_SEAL && found < SEALS_MAX)
            seals[found++] = at;
        at += RECORD_HEAD_BYTES + payload;
    }
    bool ok = found > wanted;
    for (size_t i = 1; i <= wanted && ok; i++) { /* a note of a kind that no version knows */
        size_t at = seals[found - i];
        bytes[at + 12] = LOG_META;
        bytes[at + RECORD_HEAD_BYTES] = 0x7f;
        store_le64(bytes + at + 4, checksum(at, load_le32(bytes + at)));
    }
    ok = ok && fseek(f, 0, SEEK_SET) == 0 && fwrite(bytes, 1, n, f) == n;
    ok = (f == NULL || fclose(f) == 0) && ok;
    if (ok)
        printf("%zu of %zu signatures taken out of %zu records\n", wanted, found, records);
    else
        fprintf(stderr, "%s: %zu signatures in %zu records of %zu bytes, so %zu cannot be taken out\n", path, found, records, n, wanted);
    return ok ? 0 : 1;
}
