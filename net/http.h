/* http.h - just enough of HTTP/1.1 for health checks and metrics: one GET per connection, a small
 * bounded request. Pure. */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "base/buf.h"
#include "base/bytes.h"

#define HTTP_REQUEST_BYTES_MAX 8192u
#define HTTP_PATH_BYTES_MAX    256u
#define HTTP_BODY_BYTES_MAX    (1u << 20)

enum http_parse { HTTP_MORE, HTTP_READY, HTTP_BAD };

struct http_request {
    char path[HTTP_PATH_BYTES_MAX];  /* without the query */
    char query[HTTP_PATH_BYTES_MAX]; /* after '?', or empty */
    int refuse_status;               /* HTTP_BAD: 400, 405, 414 or 431 */
};
/* `head`: all bytes so far. READY when the empty line has come. */
enum http_parse http_parse_request(struct slice head, struct http_request *out);

struct http_reply {
    int status;               /* 200, 404, 503, ... */
    const char *content_type; /* static text */
    struct buf body;          /* limited to HTTP_BODY_BYTES_MAX */
};
void http_put_reply(struct buf *out, const struct http_reply *reply);

#endif
