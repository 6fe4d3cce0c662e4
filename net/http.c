/* http.c - the request line and nothing more: headers are skipped, a body is never read. Why no
 * library: a health check needs forty lines, and every byte of a port that anybody may reach is a
 * risk. */
#include "http.h"

#include <string.h>

static enum http_parse refuse(struct http_request *out, int status)
{
    out->refuse_status = status;
    return HTTP_BAD;
}

/* The end of the head (after the empty line), or 0. Lone line feeds are accepted, as RFC 9112
 * allows. */
static size_t head_end(struct slice head)
{
    for (size_t i = 0; i < head.n; i++) {
        if (head.p[i] != '\n')
            continue;
        if (i + 1 < head.n && head.p[i + 1] == '\n')
            return i + 2;
        if (i + 2 < head.n && head.p[i + 1] == '\r' && head.p[i + 2] == '\n')
            return i + 3;
    }
    return 0;
}

static bool copy_part(char *out, size_t out_bytes, const uint8_t *p, size_t n)
{
    if (n >= out_bytes)
        return false;
    memcpy(out, p, n);
    out[n] = '\0';
    return true;
}

enum http_parse http_parse_request(struct slice head, struct http_request *out)
{
    memset(out, 0, sizeof *out);
    static const char get[] = "GET ";
    size_t known = head.n < sizeof get - 1 ? head.n : sizeof get - 1;
    if (memcmp(head.p, get, known) != 0) {
        bool method = head.p[0] >= 'A' && head.p[0] <= 'Z';
        return refuse(out, method ? 405 : 400);
    }
    if (head_end(head) == 0)
        return head.n >= HTTP_REQUEST_BYTES_MAX ? refuse(out, 431) : HTTP_MORE;
    const uint8_t *line_end = memchr(head.p, '\n', head.n);
    size_t line = (size_t)(line_end - head.p);
    if (line > 0 && head.p[line - 1] == '\r')
        line--;
    const uint8_t *target = head.p + sizeof get - 1;
    size_t left = line - (sizeof get - 1);
    const uint8_t *space = memchr(target, ' ', left);
    static const char version[] = "HTTP/1.";
    size_t target_n = space != NULL ? (size_t)(space - target) : 0;
    if (space == NULL || left - target_n - 1 != sizeof version ||
        memcmp(space + 1, version, sizeof version - 1) != 0 || target_n == 0 || target[0] != '/')
        return refuse(out, 400);
    for (size_t i = 0; i < target_n; i++)
        if (target[i] <= ' ' || target[i] >= 0x7f)
            return refuse(out, 400);
    const uint8_t *question = memchr(target, '?', target_n);
    size_t path_n = question != NULL ? (size_t)(question - target) : target_n;
    if (!copy_part(out->path, sizeof out->path, target, path_n) ||
        (question != NULL &&
         !copy_part(out->query, sizeof out->query, question + 1, target_n - path_n - 1)))
        return refuse(out, 414);
    return HTTP_READY;
}

static const char *reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 414:
        return "URI Too Long";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    default:
        return "Status";
    }
}

void http_put_reply(struct buf *out, const struct http_reply *reply)
{
    buf_printf(out,
               "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: "
               "no-store\r\nConnection: close\r\n\r\n",
               reply->status, reason(reply->status),
               reply->content_type != NULL ? reply->content_type : "text/plain; charset=utf-8",
               reply->body.len);
    buf_put(out, reply->body.data, reply->body.len);
}
