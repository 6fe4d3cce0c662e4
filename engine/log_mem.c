/* log_mem.c - records in memory, so that a :memory: database can serve its peers from a log like any other.
 * A record is u32 length, u8 type, payload, written through chunks of one size; a position is a byte number from the beginning. */
#include "log_mem.h"

#include <string.h>

#include "base/mem.h"

#define HEAD_BYTES 5u

void log_mem_deinit(struct log_mem *m)
{
    for (size_t i = m->first; i < m->chunk_count; i++)
        mem_free(m->chunks[i]);
    mem_free(m->chunks);
    *m = (struct log_mem){0};
}

static quartet_status make_room(struct log_mem *m, log_pos upto, struct err *err)
{
    while ((log_pos)m->chunk_count * LOG_MEM_CHUNK_BYTES < upto) {
        if (m->chunk_count == m->chunk_cap) {
            size_t cap = m->chunk_cap == 0 ? 16 : m->chunk_cap * 2;
            uint8_t **grown = mem_realloc(m->chunks, cap, sizeof *grown);
            if (grown == NULL)
                return err_nomem(err);
            m->chunks = grown;
            m->chunk_cap = cap;
        }
        uint8_t *chunk = mem_alloc(LOG_MEM_CHUNK_BYTES);
        if (chunk == NULL)
            return err_nomem(err);
        m->chunks[m->chunk_count++] = chunk;
    }
    return QUARTET_OK;
}

static void write_at(struct log_mem *m, log_pos at, const uint8_t *p, size_t n)
{
    while (n > 0) {
        size_t in_chunk = (size_t)(at % LOG_MEM_CHUNK_BYTES);
        size_t part = LOG_MEM_CHUNK_BYTES - in_chunk < n ? LOG_MEM_CHUNK_BYTES - in_chunk : n;
        memcpy(m->chunks[at / LOG_MEM_CHUNK_BYTES] + in_chunk, p, part);
        at += part;
        p += part;
        n -= part;
    }
}

static void read_at(const struct log_mem *m, log_pos at, uint8_t *p, size_t n)
{
    while (n > 0) {
        size_t in_chunk = (size_t)(at % LOG_MEM_CHUNK_BYTES);
        size_t part = LOG_MEM_CHUNK_BYTES - in_chunk < n ? LOG_MEM_CHUNK_BYTES - in_chunk : n;
        memcpy(p, m->chunks[at / LOG_MEM_CHUNK_BYTES] + in_chunk, part);
        at += part;
        p += part;
        n -= part;
    }
}

quartet_status log_mem_append(struct log_mem *m, enum log_type type, const struct slice *parts, size_t part_count, log_pos *at, log_pos *end,
                              struct err *err)
{
    size_t total = 0;
    for (size_t i = 0; i < part_count; i++)
        total += parts[i].n;
    quartet_status rc = make_room(m, m->end + HEAD_BYTES + total, err);
    if (rc != QUARTET_OK)
        return rc;
    uint8_t head[HEAD_BYTES];
    store_le32(head, (uint32_t)total);
    head[4] = (uint8_t)type;
    *at = m->end;
    write_at(m, m->end, head, HEAD_BYTES);
    m->end += HEAD_BYTES;
    for (size_t i = 0; i < part_count; i++) {
        write_at(m, m->end, parts[i].p, parts[i].n);
        m->end += parts[i].n;
    }
    *end = m->end;
    return QUARTET_OK;
}

quartet_status log_mem_read(const struct log_mem *m, log_pos at, enum log_type *type, struct buf *out, log_pos *end, struct err *err)
{
    if (at < (log_pos)m->first * LOG_MEM_CHUNK_BYTES || at + HEAD_BYTES > m->end)
        return err_set(err, QUARTET_NOTFOUND, "log position %llu is not kept", (unsigned long long)at);
    uint8_t head[HEAD_BYTES];
    read_at(m, at, head, HEAD_BYTES);
    size_t n = load_le32(head);
    if (at + HEAD_BYTES + n > m->end)
        return err_set(err, QUARTET_NOTFOUND, "log position %llu is not the start of a record", (unsigned long long)at);
    uint8_t *room = buf_reserve(out, n);
    if (room == NULL)
        return buf_check(out, err);
    read_at(m, at + HEAD_BYTES, room, n);
    out->len += n;
    *type = (enum log_type)head[4];
    *end = at + HEAD_BYTES + n;
    return QUARTET_OK;
}

void log_mem_trim(struct log_mem *m, log_pos before)
{
    for (; m->first < m->chunk_count && (m->first + 1) * (log_pos)LOG_MEM_CHUNK_BYTES <= before; m->first++) {
        mem_free(m->chunks[m->first]);
        m->chunks[m->first] = NULL;
    }
}
