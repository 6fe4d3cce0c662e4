/* server_http.c - connections of the HTTP port: one small request, one answer, closed. */
#include <stdio.h>

#include "base/mem.h"
#include "server_internal.h"

static void on_closed(uv_handle_t *handle)
{
    struct http_connection *c = handle->data;
    server *s = c->server;
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        s->https = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    s->http_count--;
    buf_deinit(&c->in);
    buf_deinit(&c->out);
    mem_free(c);
}

static void close_connection(struct http_connection *c)
{
    if (c->closing)
        return;
    c->closing = true;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void on_written(uv_write_t *write, int status)
{
    (void)status; /* done or failed: it ends here either way */
    close_connection(write->data);
}

static void answer(struct http_connection *c, const struct http_request *request, int refuse_status)
{
    server *s = c->server;
    struct http_reply reply = {.status = 404,
                               .content_type = "text/plain; charset=utf-8",
                               .body.limit_bytes = HTTP_BODY_BYTES_MAX};
    if (refuse_status != 0) {
        reply.status = refuse_status;
        buf_str(&reply.body, "refused\n");
    } else {
        s->host.http(s->host.ctx, request, &reply);
    }
    c->answered = true;
    (void)uv_read_stop((uv_stream_t *)&c->tcp);
    http_put_reply(&c->out, &reply);
    bool failed = reply.body.failed || c->out.failed;
    buf_deinit(&reply.body);
    uv_buf_t b = uv_buf_init((char *)c->out.data, (unsigned)c->out.len);
    c->write.data = c;
    if (failed || uv_write(&c->write, (uv_stream_t *)&c->tcp, &b, 1, on_written) != 0)
        close_connection(c);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *b)
{
    (void)suggested; /* the same buffer as for links: never in use twice */
    struct http_connection *c = handle->data;
    *b = uv_buf_init((char *)c->server->read_buffer, HTTP_REQUEST_BYTES_MAX);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
    struct http_connection *c = stream->data;
    if (c->closing || c->answered || n == 0)
        return;
    if (n > 0)
        buf_put(&c->in, b->base, (size_t)n);
    if (n < 0 || c->in.failed) {
        close_connection(c);
        return;
    }
    struct http_request request;
    switch (http_parse_request(slice_of(c->in.data, c->in.len), &request)) {
    case HTTP_MORE:
        break;
    case HTTP_READY:
        answer(c, &request, 0);
        break;
    case HTTP_BAD:
        answer(c, &request, request.refuse_status);
        break;
    }
}

void server_http_on_connection(uv_stream_t *listener, int status)
{
    server *s = listener->data;
    if (status != 0)
        return;
    struct http_connection *c = mem_zalloc(1, sizeof *c);
    if (c == NULL)
        return;
    if (uv_tcp_init(&s->loop, &c->tcp) != 0) {
        mem_free(c);
        return;
    }
    bool full = s->http_count >= SERVER_HTTP_MAX;
    c->tcp.data = c;
    c->server = s;
    c->opened_ms = server_now_ms(s);
    c->in.limit_bytes = 2 * HTTP_REQUEST_BYTES_MAX;
    c->next = s->https;
    if (c->next != NULL)
        c->next->prev = c;
    s->https = c;
    s->http_count++;
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0 || full ||
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0)
        close_connection(c);
}

void server_http_tick(server *s, uint64_t now_ms)
{
    for (struct http_connection *c = s->https, *next = NULL; c != NULL; c = next) {
        next = c->next;
        if (now_ms - c->opened_ms > SERVER_HTTP_DEADLINE_MS)
            close_connection(c);
    }
}

void server_http_close_all(server *s)
{
    for (struct http_connection *c = s->https, *next = NULL; c != NULL; c = next) {
        next = c->next;
        close_connection(c);
    }
}
