/* test_member.c - membership documents and key files: round trips, forgery, damage at every place,
 * rights. */
#include "unit/cunit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "unit/net/toy.h"

static void test_document_round_trip(void)
{
    struct toy_cluster c;
    struct err err = ERR_INIT;
    static const char *const addresses[] = {"127.0.0.1:7401", "b:7402", "[::1]:7403", "d:7404"};
    toy_cluster_init(&c, 4, addresses, 1);
    struct member_doc d = {0};
    CU_ASSERT_EQUAL_FATAL(
        member_doc_decode(slice_of(c.doc_bytes.data, c.doc_bytes.len), &c.doc.cluster, &d, &err),
        QUARTET_OK);
    CU_ASSERT(d.epoch == 1 && d.node_count == 4 && d.client_count == 2);
    CU_ASSERT_STRING_EQUAL(member_find_slot(&d, 2)->address, "[::1]:7403");
    CU_ASSERT_STRING_EQUAL(d.clients[1].name, "bob");
    uint8_t secret[64], public_key[32];
    member_key_expand(&c.keys.nodes[3], secret, public_key);
    CU_ASSERT_EQUAL(member_find_node(&d, public_key)->slot, 3);
    member_key_expand(&c.keys.clients[0], secret, public_key);
    CU_ASSERT_STRING_EQUAL(member_find_client(&d, public_key)->name, "alice");
    CU_ASSERT_PTR_NULL(member_find_node(&d, public_key));
    struct buf again = {0};
    CU_ASSERT_EQUAL(member_doc_encode(&d, c.keys.root.seed, &again, &err), QUARTET_OK);
    CU_ASSERT(
        slice_eq(slice_of(again.data, again.len), slice_of(c.doc_bytes.data, c.doc_bytes.len)));
    buf_clear(&again);
    CU_ASSERT_EQUAL(member_doc_encode(&d, c.keys.nodes[0].seed, &again, &err),
                    QUARTET_AUTH); /* not the root key */
    buf_deinit(&again);
    member_doc_deinit(&d);
    toy_cluster_deinit(&c);
}

static void test_document_damage_is_refused_everywhere(void)
{
    struct toy_cluster c;
    struct err err = ERR_INIT;
    toy_cluster_init(&c, 2, NULL, 2);
    size_t n = c.doc_bytes.len;
    for (size_t cut = 0; cut < n; cut++) {
        struct member_doc d = {0};
        uint8_t *copy = mem_dup(c.doc_bytes.data, cut);
        CU_ASSERT(member_doc_decode(slice_of(copy, cut), NULL, &d, &err) != QUARTET_OK);
        mem_free(copy);
    }
    for (size_t bit = 0; bit < n * 8; bit += 3) {
        struct member_doc d = {0};
        uint8_t *copy = mem_dup(c.doc_bytes.data, n);
        copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        CU_ASSERT(member_doc_decode(slice_of(copy, n), NULL, &d, &err) != QUARTET_OK);
        mem_free(copy);
    }
    toy_cluster_deinit(&c);
}

/* Whoever makes a document of his own cannot give it another cluster's id. */
static void test_document_of_another_root_is_refused(void)
{
    struct toy_cluster a, b;
    struct err err = ERR_INIT;
    struct member_doc d = {0};
    toy_cluster_init(&a, 1, NULL, 3);
    toy_cluster_init(&b, 1, NULL, 4);
    CU_ASSERT_EQUAL(
        member_doc_decode(slice_of(b.doc_bytes.data, b.doc_bytes.len), &a.doc.cluster, &d, &err),
        QUARTET_AUTH);
    struct cluster_id id = b.doc.cluster;
    b.doc.cluster = a.doc.cluster;
    buf_clear(&b.doc_bytes);
    CU_ASSERT_EQUAL(member_doc_encode(&b.doc, b.keys.root.seed, &b.doc_bytes, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(
        member_doc_decode(slice_of(b.doc_bytes.data, b.doc_bytes.len), &a.doc.cluster, &d, &err),
        QUARTET_AUTH);
    b.doc.cluster = id;
    toy_cluster_deinit(&a);
    toy_cluster_deinit(&b);
}

static void test_init_limits(void)
{
    struct toy_env env;
    struct err err = ERR_INIT;
    struct member_doc doc;
    struct member_keys keys;
    toy_env_init(&env, 5);
    struct member_plan plan = {.node_count = 5};
    CU_ASSERT_EQUAL(member_init(&env.env, &plan, &doc, &keys, &err), QUARTET_LIMIT);
    plan.node_count = 0;
    CU_ASSERT_EQUAL(member_init(&env.env, &plan, &doc, &keys, &err), QUARTET_LIMIT);
    plan.node_count = 1;
    CU_ASSERT_EQUAL(member_init(&env.env, &plan, &doc, &keys, &err), QUARTET_MISUSE);
    plan.address[0] = "a host:1";
    CU_ASSERT_EQUAL(member_init(&env.env, &plan, &doc, &keys, &err), QUARTET_MISUSE);
    const char *many[MEMBER_CLIENTS_MAX + 1];
    char names[MEMBER_CLIENTS_MAX + 1][MEMBER_NAME_BYTES_MAX];
    for (uint32_t i = 0; i <= MEMBER_CLIENTS_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "client %03u with a name that is as long as a name can get", i);
        many[i] = names[i];
    }
    plan = (struct member_plan){.node_count = 1,
                                .address = {"a:1"},
                                .client_names = many,
                                .client_count = MEMBER_CLIENTS_MAX + 1};
    CU_ASSERT_EQUAL(member_init(&env.env, &plan, &doc, &keys, &err), QUARTET_LIMIT);
    plan.client_count = MEMBER_CLIENTS_MAX;
    CU_ASSERT_EQUAL_FATAL(member_init(&env.env, &plan, &doc, &keys, &err), QUARTET_OK);
    struct buf out = {0};
    CU_ASSERT_EQUAL(member_doc_encode(&doc, keys.root.seed, &out, &err), QUARTET_OK);
    CU_ASSERT(out.len <= MEMBER_DOC_BYTES_MAX);
    buf_deinit(&out);
    member_doc_deinit(&doc);
    member_keys_deinit(&keys);
}

static void test_key_files(void)
{
    struct toy_cluster c;
    struct err err = ERR_INIT;
    toy_cluster_init(&c, 3, NULL, 6);
    const struct member_key *keys[] = {&c.keys.root, &c.keys.nodes[2], &c.keys.clients[1]};
    for (size_t i = 0; i < 3; i++) {
        struct buf text = {0};
        struct member_key k;
        CU_ASSERT_EQUAL(member_key_encode(keys[i], &text, &err), QUARTET_OK);
        CU_ASSERT(text.len <= MEMBER_KEY_FILE_BYTES_MAX);
        CU_ASSERT_EQUAL(member_key_decode(slice_of(text.data, text.len), &k, &err), QUARTET_OK);
        CU_ASSERT(k.kind == keys[i]->kind && k.slot == keys[i]->slot &&
                  strcmp(k.name, keys[i]->name) == 0);
        CU_ASSERT(memcmp(k.seed, keys[i]->seed, 32) == 0 &&
                  memcmp(k.gate, keys[i]->gate, 32) == 0 &&
                  memcmp(&k.cluster, &keys[i]->cluster, 32) == 0);
        for (size_t cut = 0; cut < text.len; cut++)
            CU_ASSERT_EQUAL(member_key_decode(slice_of(text.data, cut), &k, &err), QUARTET_CORRUPT);
        for (size_t at = 0; at < text.len; at++) {
            text.data[at] ^= 1;
            CU_ASSERT_EQUAL(member_key_decode(slice_of(text.data, text.len), &k, &err),
                            QUARTET_CORRUPT);
            text.data[at] ^= 1;
        }
        buf_deinit(&text);
    }
    toy_cluster_deinit(&c);
}

/* Nodes get the lowest free slot, four at most; clients come and go by name; what is signed anew reads back. */
static void test_changes(void)
{
    struct toy_cluster c;
    struct err err = ERR_INIT;
    struct member_key key = {0};
    struct member_doc d = {0}, again = {0};
    toy_cluster_init(&c, 2, NULL, 5);
    CU_ASSERT_EQUAL_FATAL(member_doc_copy(&d, &c.doc, &err), QUARTET_OK);
    const uint8_t *gate = c.keys.clients[0].gate;
    CU_ASSERT_EQUAL(member_add_node(env_posix(), &d, gate, "", NULL, &key, &err), QUARTET_MISUSE);
    CU_ASSERT_EQUAL(member_add_node(env_posix(), &d, gate, "third:1", "third:2", &key, &err), QUARTET_OK);
    CU_ASSERT(key.kind == MEMBER_KEY_NODE && key.slot == 2 && d.node_count == 3);
    uint8_t secret[64], public_key[32];
    member_key_expand(&key, secret, public_key);
    CU_ASSERT_EQUAL(memcmp(member_find_slot(&d, 2)->public_key, public_key, sizeof public_key), 0);
    uint8_t evicted[32];
    memcpy(evicted, d.nodes[1].public_key, sizeof evicted);
    CU_ASSERT_EQUAL(member_evict(&d, 1, d.epoch + 1, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(member_evict(&d, 1, d.epoch + 1, &err), QUARTET_NOTFOUND);
    CU_ASSERT(d.node_count == 2 && member_find_slot(&d, 1) == NULL && member_find_node(&d, evicted) == NULL);
    CU_ASSERT_EQUAL(member_add_node(env_posix(), &d, gate, "second:1", NULL, &key, &err), QUARTET_OK);
    CU_ASSERT(key.slot == 1 && d.nodes[1].slot == 1 && d.nodes[2].slot == 2);
    CU_ASSERT_EQUAL(member_add_node(env_posix(), &d, gate, "fourth:1", NULL, &key, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(member_add_node(env_posix(), &d, gate, "fifth:1", NULL, &key, &err), QUARTET_LIMIT);
    uint8_t renewed[32];
    memcpy(renewed, d.nodes[2].public_key, sizeof renewed);
    CU_ASSERT_EQUAL(member_new_key(env_posix(), &d, gate, 2, d.epoch + 1, &key, &err), QUARTET_OK);
    CU_ASSERT(key.kind == MEMBER_KEY_NODE && key.slot == 2 && memcmp(key.gate, gate, sizeof key.gate) == 0);
    member_key_expand(&key, secret, public_key);
    CU_ASSERT(memcmp(d.nodes[2].public_key, public_key, sizeof public_key) == 0 && member_find_former(&d, renewed) != NULL && member_find_node(&d, renewed) == NULL);
    CU_ASSERT_EQUAL(member_set_address(&d.nodes[0], "moved:9", NULL, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(member_set_zone(&d.nodes[0], "west", &err), QUARTET_OK);
    CU_ASSERT_EQUAL(member_add_client(env_posix(), &d, gate, "alice", &key, &err), QUARTET_MISUSE);
    CU_ASSERT_EQUAL(member_add_client(env_posix(), &d, gate, "", &key, &err), QUARTET_MISUSE);
    CU_ASSERT_EQUAL(member_add_client(env_posix(), &d, gate, "carol", &key, &err), QUARTET_OK);
    CU_ASSERT(member_remove_client(&d, "alice") && !member_remove_client(&d, "alice"));
    d.epoch++;
    struct buf bytes = {0};
    err_clear(&err);
    CU_ASSERT_EQUAL(member_doc_encode(&d, c.keys.root.seed, &bytes, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(member_doc_decode(slice_of(bytes.data, bytes.len), &c.doc.cluster, &again, &err), QUARTET_OK);
    CU_ASSERT(again.epoch == 2 && again.node_count == 4 && again.client_count == 2);
    CU_ASSERT_STRING_EQUAL(again.nodes[0].address, "moved:9");
    CU_ASSERT_STRING_EQUAL(again.nodes[0].zone, "west");
    CU_ASSERT_STRING_EQUAL(again.clients[1].name, "carol");
    const struct member_former *former = member_find_former(&again, evicted);
    CU_ASSERT_FATAL(former != NULL);
    CU_ASSERT(former->slot == 1 && former->epoch == 2 && member_find_former(&again, again.nodes[1].public_key) == NULL);
    for (uint8_t slot = 3; slot > 0; slot--)
        CU_ASSERT_EQUAL(member_evict(&d, slot, d.epoch, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(member_evict(&d, 0, d.epoch, &err), QUARTET_MISUSE); /* somebody must stay */
    err_clear(&err);
    while (d.former_count < MEMBER_FORMER_MAX && err.code == QUARTET_OK) {
        (void)member_add_node(env_posix(), &d, gate, "next:1", NULL, &key, &err);
        (void)member_evict(&d, 1, d.epoch, &err);
    }
    buf_clear(&bytes);
    member_doc_deinit(&again);
    CU_ASSERT_EQUAL(member_doc_encode(&d, c.keys.root.seed, &bytes, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(member_doc_decode(slice_of(bytes.data, bytes.len), &c.doc.cluster, &again, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(again.former_count, MEMBER_FORMER_MAX);
    CU_ASSERT_EQUAL(member_add_node(env_posix(), &d, gate, "last:1", NULL, &key, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(member_evict(&d, 1, d.epoch, &err), QUARTET_LIMIT);
    CU_ASSERT_EQUAL(member_new_key(env_posix(), &d, gate, 1, d.epoch, &key, &err), QUARTET_LIMIT);
    CU_ASSERT_EQUAL(member_new_key(env_posix(), &d, gate, 3, d.epoch, &key, &err), QUARTET_NOTFOUND);
    buf_deinit(&bytes);
    member_doc_deinit(&d);
    member_doc_deinit(&again);
    toy_cluster_deinit(&c);
}

static void test_key_file_rights(void)
{
    char path[] = "/tmp/quartet_test_key_XXXXXX";
    struct err err = ERR_INIT;
    int fd = mkstemp(path);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(member_key_check_rights(path, &err), QUARTET_OK);
    static const mode_t wide[] = {0640, 0604, 0620, 0660, 0644};
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        CU_ASSERT_EQUAL(fchmod(fd, wide[i]), 0);
        CU_ASSERT_EQUAL(member_key_check_rights(path, &err), QUARTET_AUTH);
    }
    (void)close(fd);
    (void)unlink(path);
    CU_ASSERT_EQUAL(member_key_check_rights(path, &err), QUARTET_CANTOPEN);
}

const char *const unit_suite = "member";
const struct unit_test unit_tests[] = {
    {"document round trip", test_document_round_trip},
    {"document damage is refused everywhere", test_document_damage_is_refused_everywhere},
    {"document of another root is refused", test_document_of_another_root_is_refused},
    {"init limits", test_init_limits},
    {"changes", test_changes},
    {"key files", test_key_files},
    {"key file rights", test_key_file_rights},
    {NULL, NULL},
};
