/* report.c - what was found: for people, as JSON, and as JUnit XML. */
#include "suite/suite.h"

#include <stdio.h>
#include <string.h>

#include "engine/types.h"

static void put_value(struct buf *out, const struct value *v)
{
    if (v->type == VALUE_NULL)
        buf_str(out, "NULL");
    else if (v->type == VALUE_TEXT)
        buf_printf(out, "'%.*s'", (int)v->s.n, (const char *)v->s.p);
    else
        value_to_text(v, out);
}

/* transfer(source = 1, target = 2) */
static void put_call(struct buf *out, const struct suite *u, const struct step *x)
{
    const struct wl_txn *t = &u->w.txns[x->txn];
    buf_printf(out, "%s(", t->name);
    for (uint32_t i = 0; i < t->draw_count; i++) {
        buf_printf(out, "%s%s = ", i > 0 ? ", " : "", t->draws[i].name);
        put_value(out, &x->params[i]);
    }
    buf_str(out, ")");
}

/* "account 1: balance = 90" */
static void put_row(struct buf *out, const struct row_change *r)
{
    uint32_t shown = 0;
    buf_printf(out, "%s%s %s", r->del && !r->insert ? "delete " : r->insert ? "insert " : "", r->table, r->key);
    for (uint32_t i = 0; i < r->cell_count; i++) {
        const struct cell_change *c = &r->cells[i];
        if (c->key)
            continue;
        if (c->add)
            buf_printf(out, "%s%s %s %s", shown++ > 0 ? ", " : ": ", c->column, c->value[0] == '-' ? "-" : "+", c->value[0] == '-' ? c->value + 1 : c->value);
        else
            buf_printf(out, "%s%s = %s", shown++ > 0 ? ", " : ": ", c->column, c->value);
    }
}

static const struct write_result *write_of(const struct outcome *o, uint32_t step)
{
    for (uint32_t i = 0; i < o->write_count; i++)
        if (o->writes[i].step == step)
            return &o->writes[i];
    return NULL;
}

/* One line that says what the step is, without its effects. */
static void put_step(struct buf *out, const struct suite *u, const struct schedule *s, uint32_t at)
{
    const struct step *x = &s->steps[at];
    switch (x->kind) {
    case STEP_RUN:
    case STEP_BEGIN:
        buf_printf(out, "node %u: ", (unsigned)x->node);
        put_call(out, u, x);
        buf_str(out, x->kind == STEP_BEGIN ? ", without its COMMIT" : "");
        break;
    case STEP_COMMIT:
        buf_printf(out, "node %u: COMMIT", (unsigned)x->node);
        break;
    case STEP_MEET:
        buf_printf(out, "nodes %u and %u meet and merge", (unsigned)x->node, (unsigned)x->other);
        break;
    case STEP_CUT:
        buf_str(out, "the network is cut: nodes");
        for (uint8_t k = 0; k < s->nodes; k++)
            if (x->other >> k & 1)
                buf_printf(out, " %u", (unsigned)k);
        buf_str(out, " from the others");
        break;
    default:
        buf_str(out, "the network heals");
        break;
    }
}

static void put_schedule(struct buf *out, const struct report *r, const struct finding *f)
{
    uint32_t line = 1;
    for (uint32_t i = 0; i < f->shortest.count; i++) {
        const struct write_result *w = write_of(&f->outcome, i);
        buf_printf(out, "    %u. ", line++);
        put_step(out, r->u, &f->shortest, i);
        buf_str(out, "\n");
        if (w != NULL && w->reads != NULL && w->reads[0] != '\0')
            buf_printf(out, "         read   %s\n", w->reads);
        if (w != NULL && !w->committed)
            buf_printf(out, "         rolled back: %s\n", w->why);
        for (uint32_t k = 0; w != NULL && k < w->row_count && k < 12; k++) {
            buf_str(out, k == 0 ? "         wrote  " : "                ");
            put_row(out, &w->rows[k]);
            buf_str(out, "\n");
        }
    }
    buf_printf(out, "    %u. all nodes meet and merge\n", line);
}

static const char *const verdicts[] = {[CURE_HELPS] = "helps", [CURE_NOT_ENOUGH] = "not enough", [CURE_REFUSED] = "refused", [CURE_UNTRIED] = "untried"};

static void put_finding(struct buf *out, const struct report *r, uint32_t i)
{
    const struct finding *f = &r->findings[i];
    const struct wl_invariant *v = &r->u->w.invariants[i];
    const struct break_point *b = &f->outcome.breaks[i];
    buf_printf(out, "\nBROKEN  %s  (%s:%u)\n", v->name, r->u->w.file, v->line);
    buf_printf(out, "  in %llu of %llu runs, first in seed %llu. The shortest schedule that breaks it, on %u nodes:\n", (unsigned long long)f->broken_runs,
               (unsigned long long)r->runs, (unsigned long long)f->first_seed, f->shortest.nodes);
    put_schedule(out, r, f);
    if (b->step < f->shortest.count)
        buf_printf(out, "  After step %u node %u answers: %s\n", b->step + 1, (unsigned)b->node, b->rows);
    else
        buf_printf(out, "  Then node %u answers: %s\n", (unsigned)b->node, b->rows);
    buf_printf(out, "  Anomaly: %s. %s\n", anomaly_name(f->diagnosis.kind), f->diagnosis.text);
    buf_str(out, "  Cures:\n");
    for (uint32_t k = 0; k < f->cures.count; k++)
        buf_printf(out, "    %-10s  %s\n                %s\n", verdicts[f->cures.item[k].verdict], f->cures.item[k].what, f->cures.item[k].detail);
}

void report_people(const struct report *r, struct buf *out)
{
    uint32_t broken = 0;
    for (uint32_t i = 0; i < r->u->w.invariant_count; i++)
        broken += r->findings[i].broken_runs > 0;
    buf_printf(out, "%s, %s: %llu runs from seed %llu on ", r->u->w.schema_file, r->u->w.file, (unsigned long long)r->runs, (unsigned long long)r->u->seed);
    if (r->u->nodes_min == r->u->nodes_max)
        buf_printf(out, "%u nodes", r->u->nodes_min);
    else
        buf_printf(out, "%u to %u nodes", r->u->nodes_min, r->u->nodes_max);
    buf_printf(out, "; %llu transactions committed, %llu gave up\n", (unsigned long long)r->committed, (unsigned long long)r->given_up);
    for (uint32_t i = 0; i < r->u->w.invariant_count; i++)
        if (r->findings[i].broken_runs == 0)
            buf_printf(out, "held    %s\n", r->u->w.invariants[i].name);
    for (uint32_t i = 0; i < r->u->w.invariant_count; i++)
        if (r->findings[i].broken_runs > 0)
            put_finding(out, r, i);
    buf_printf(out, "\n%u of %u invariants held, %.1f s\n", r->u->w.invariant_count - broken, r->u->w.invariant_count, r->seconds);
}

/* ---- JSON ---- */

static void put_json(struct buf *out, const char *s)
{
    buf_u8(out, '"');
    for (; s != NULL && *s != '\0'; s++)
        if (*s == '"' || *s == '\\')
            buf_printf(out, "\\%c", *s);
        else if ((unsigned char)*s < 0x20)
            buf_printf(out, "\\u%04x", (unsigned)*s);
        else
            buf_u8(out, (uint8_t)*s);
    buf_u8(out, '"');
}

static void json_text(struct buf *out, const char *name, const char *s)
{
    buf_printf(out, "\"%s\":", name);
    put_json(out, s);
}

static void json_buf(struct buf *out, const char *name, struct buf *text)
{
    buf_u8(text, 0);
    json_text(out, name, text->failed ? "" : (const char *)text->data);
    buf_deinit(text);
}

static void json_steps(struct buf *out, const struct report *r, const struct finding *f)
{
    for (uint32_t i = 0; i < f->shortest.count; i++) {
        const struct write_result *w = write_of(&f->outcome, i);
        struct buf text = {0};
        buf_str(out, i > 0 ? ",{" : "{");
        put_step(&text, r->u, &f->shortest, i);
        json_buf(out, "step", &text);
        if (w != NULL) {
            buf_printf(out, ",\"node\":%u,\"committed\":%s,", (unsigned)w->node, w->committed ? "true" : "false");
            json_text(out, "read", w->reads);
            buf_str(out, ",\"wrote\":[");
            for (uint32_t k = 0; k < w->row_count; k++) {
                struct buf row = {0};
                put_row(&row, &w->rows[k]);
                buf_u8(&row, 0);
                buf_str(out, k > 0 ? "," : "");
                put_json(out, row.failed ? "" : (const char *)row.data);
                buf_deinit(&row);
            }
            buf_str(out, "]");
        }
        buf_str(out, "}");
    }
}

void report_json(const struct report *r, struct buf *out)
{
    buf_str(out, "{");
    json_text(out, "schema", r->u->w.schema_file);
    buf_str(out, ",");
    json_text(out, "workload", r->u->w.file);
    buf_printf(out, ",\"seed\":%llu,\"runs\":%llu,\"committed\":%llu,\"gave_up\":%llu,\"invariants\":[", (unsigned long long)r->u->seed,
               (unsigned long long)r->runs, (unsigned long long)r->committed, (unsigned long long)r->given_up);
    for (uint32_t i = 0; i < r->u->w.invariant_count; i++) {
        const struct finding *f = &r->findings[i];
        buf_str(out, i > 0 ? ",{" : "{");
        json_text(out, "name", r->u->w.invariants[i].name);
        buf_printf(out, ",\"line\":%u,\"held\":%s,\"broken_runs\":%llu", r->u->w.invariants[i].line, f->broken_runs == 0 ? "true" : "false",
                   (unsigned long long)f->broken_runs);
        if (f->broken_runs > 0) {
            buf_printf(out, ",\"first_seed\":%llu,\"nodes\":%u,\"schedule\":[", (unsigned long long)f->first_seed, f->shortest.nodes);
            json_steps(out, r, f);
            buf_printf(out, "],\"broken_on_node\":%u,", (unsigned)f->outcome.breaks[i].node);
            json_text(out, "answer", f->outcome.breaks[i].rows);
            buf_str(out, ",");
            json_text(out, "anomaly", anomaly_name(f->diagnosis.kind));
            buf_str(out, ",");
            json_text(out, "explanation", f->diagnosis.text);
            buf_str(out, ",\"cures\":[");
            for (uint32_t k = 0; k < f->cures.count; k++) {
                buf_str(out, k > 0 ? ",{" : "{");
                json_text(out, "change", f->cures.item[k].what);
                buf_str(out, ",");
                json_text(out, "verdict", verdicts[f->cures.item[k].verdict]);
                buf_str(out, ",");
                json_text(out, "detail", f->cures.item[k].detail);
                buf_str(out, "}");
            }
            buf_str(out, "]");
        }
        buf_str(out, "}");
    }
    buf_str(out, "]}\n");
}

/* ---- JUnit ---- */

static void put_xml(struct buf *out, const char *s)
{
    for (; s != NULL && *s != '\0'; s++)
        if (*s == '<')
            buf_str(out, "&lt;");
        else if (*s == '>')
            buf_str(out, "&gt;");
        else if (*s == '&')
            buf_str(out, "&amp;");
        else if (*s == '"')
            buf_str(out, "&quot;");
        else if ((unsigned char)*s >= 0x20 || *s == '\n' || *s == '\t')
            buf_u8(out, (uint8_t)*s); /* XML 1.0 has no other control characters */
}

void report_junit(const struct report *r, struct buf *out)
{
    uint32_t broken = 0;
    for (uint32_t i = 0; i < r->u->w.invariant_count; i++)
        broken += r->findings[i].broken_runs > 0;
    buf_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"quartet-check ");
    put_xml(out, r->u->w.file);
    buf_printf(out, "\" tests=\"%u\" failures=\"%u\" errors=\"0\" skipped=\"0\" time=\"%.3f\">\n", r->u->w.invariant_count, broken, r->seconds);
    for (uint32_t i = 0; i < r->u->w.invariant_count; i++) {
        buf_str(out, "    <testcase classname=\"");
        put_xml(out, r->u->w.file);
        buf_str(out, "\" name=\"");
        put_xml(out, r->u->w.invariants[i].name);
        if (r->findings[i].broken_runs == 0) {
            buf_str(out, "\"/>\n");
            continue;
        }
        struct buf text = {0};
        put_finding(&text, r, i);
        buf_u8(&text, 0);
        buf_str(out, "\">\n      <failure type=\"");
        put_xml(out, anomaly_name(r->findings[i].diagnosis.kind));
        buf_printf(out, "\" message=\"broken in %llu of %llu runs\">", (unsigned long long)r->findings[i].broken_runs, (unsigned long long)r->runs);
        put_xml(out, text.failed ? "" : (const char *)text.data);
        buf_str(out, "</failure>\n    </testcase>\n");
        buf_deinit(&text);
    }
    buf_str(out, "  </testsuite>\n</testsuites>\n");
}
