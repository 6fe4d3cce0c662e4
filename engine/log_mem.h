/* log_mem.h - the log of a :memory: database: records by position, in memory only. Used by commit_log.c alone. Not thread-safe. */
#ifndef ENGINE_LOG_MEM_H
#define ENGINE_LOG_MEM_H

#include "commit_log.h"

#define LOG_MEM_CHUNK_BYTES (256u << 10)

struct log_mem {
    uint8_t **chunks; /* of LOG_MEM_CHUNK_BYTES; NULL where trimmed */
    size_t chunk_count, chunk_cap;
    size_t first;     /* chunks below are trimmed */
    log_pos end;
};

void log_mem_deinit(struct log_mem *m);
/* All or nothing. */
quartet_status log_mem_append(struct log_mem *m, enum log_type type, const struct slice *parts, size_t part_count, log_pos *at, log_pos *end,
                              struct err *err);
quartet_status log_mem_read(const struct log_mem *m, log_pos at, enum log_type *type, struct buf *out, log_pos *end, struct err *err);
void log_mem_trim(struct log_mem *m, log_pos before);

#endif
