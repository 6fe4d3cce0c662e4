/* member_internal.h - what the files of the membership document share. Only member*.c include it. */
#ifndef NET_MEMBER_INTERNAL_H
#define NET_MEMBER_INTERNAL_H

#include "member.h"

/* member.c: texts of a document */
void member_put_text(struct buf *out, const char *s);
void member_get_text(struct bytes_in *in, char *out, size_t out_bytes, bool (*ok)(const char *s, size_t n)); /* bad where it is too long or not ok */
bool member_address_ok(const char *s, size_t n); /* printable ASCII without blanks */
bool member_has_key(const struct member_doc *d, const uint8_t *public_key); /* of a node, now or formerly */

/* member_join.c: the part of a document that the root signs; then what follows the signature. */
void member_put_invites(struct buf *out, const struct member_doc *d);
void member_get_invites(struct bytes_in *in, struct member_doc *d);
/* Reads the admissions behind the signature, checks each, and lists the nodes that they admit. */
quartet_status member_get_admissions(struct bytes_in *in, struct member_doc *d, struct err *err);

/* member_root.c: the successors of the first root key. */
void member_put_roots(struct buf *out, const struct member_doc *d);
void member_get_roots(struct bytes_in *in, struct member_doc *d);
quartet_status member_check_roots(const struct member_doc *d, struct err *err); /* each is signed by the one before */

#endif
