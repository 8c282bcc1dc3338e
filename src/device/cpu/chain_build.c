/* Making a chain of nodes: find what it reads, order its dimensions, give its values registers. */
#include "device/cpu/chain.h"

#include <string.h>

typedef struct builder {
    cpu_plan *plan;
    cpu_chain *c;
    int n_members;
    const int32_t *members;
    const bool *stored;                  /* per member: its result must reach memory */
    int32_t first_storage;               /* unused entries of made[] are -1 */
    cpu_view load_view[CPU_CHAIN_LOADS]; /* what each load reads */
    int16_t result[CPU_CHAIN_INSTRS];    /* per member: index of its instruction, -1 for a reduction */
    cpu_view store_view[CPU_CHAIN_STORES], sink_view[CPU_CHAIN_SINKS];
} builder;

static const cpu_node *member(const builder *b, int i) {
    return &b->plan->nodes[b->members[i]];
}

/* The register that holds view v: an earlier member's result, a load made before, or a new load. -1: too
 * many. */
static int register_of(builder *b, int upto, const cpu_view *v) {
    for (int i = 0; i < upto; i++)
        if (member(b, i)->type == CPU_NODE_MAP && ane_cpu_view_equal(&member(b, i)->out[0], v))
            return CPU_CHAIN_LOADS + b->result[i];
    for (int i = 0; i < b->c->n_loads; i++)
        if (ane_cpu_view_equal(&b->load_view[i], v)) return i;
    if (b->c->n_loads == CPU_CHAIN_LOADS) return -1;
    b->load_view[b->c->n_loads] = *v;
    return b->c->n_loads++;
}

static bool add_map(builder *b, int i) {
    const cpu_node *n = member(b, i);
    cpu_chain *c = b->c;
    if (c->n_instrs == CPU_CHAIN_INSTRS || (b->stored[i] && c->n_stores == CPU_CHAIN_STORES)) return false;
    cpu_instr in = {
        .op = (cpu_map)n->op, .p = n->p, .round = n->round, .source = {-1, -1, -1}, .temp = -1, .store = -1};
    for (int k = 0; k < n->n_in; k++) {
        int r = register_of(b, i, &n->in[k]);
        if (r < 0) return false;
        in.source[k] = (int16_t)r;
    }
    if (b->stored[i]) {
        b->store_view[c->n_stores] = n->out[0];
        c->store_source[c->n_stores] = (int16_t)(CPU_CHAIN_LOADS + c->n_instrs);
        in.store = (int16_t)c->n_stores++;
    }
    b->result[i] = (int16_t)c->n_instrs;
    c->instrs[c->n_instrs++] = in;
    return true;
}

static bool add_reduction(builder *b, int i) {
    const cpu_node *n = member(b, i);
    cpu_chain *c = b->c;
    if (c->n_sinks == CPU_CHAIN_SINKS) return false;
    int r = register_of(b, i, &n->in[0]);
    if (r < 0) return false;
    double count = 1;
    for (int d = 0; d < n->in[0].rank; d++)
        if (n->in[0].dim[d] > 1 && n->out[0].stride[d] == 0) count *= (double)n->in[0].dim[d];
    b->sink_view[c->n_sinks] = n->out[0];
    c->sinks[c->n_sinks++] = (cpu_sink){.source = (int16_t)r,
        .op = (cpu_reduction)n->op,
        .round = n->round,
        .factor = n->op == CPU_REDUCE_MEAN ? (float)(1 / count) : 1};
    b->result[i] = -1;
    return true;
}

/* ---- the iteration space ------------------------------------------------------------------------------- */

static void set_view(cpu_chain *c, int at, const cpu_view *v) {
    c->storage[at] = v->storage;
    c->offset[at] = v->offset;
    for (int d = 0; d < v->rank; d++) c->stride[at][d] = v->dim[d] == 1 ? 0 : v->stride[d];
}

static void set_space(builder *b) {
    cpu_chain *c = b->c;
    const cpu_view *shape = &member(b, 0)->in[0]; /* a map's operands have its result's shape */
    c->rank = shape->rank;
    memcpy(c->dim, shape->dim, sizeof c->dim);
    for (int i = 0; i < c->n_loads; i++) set_view(c, i, &b->load_view[i]);
    for (int i = 0; i < c->n_stores; i++) set_view(c, c->n_loads + i, &b->store_view[i]);
    for (int i = 0; i < c->n_sinks; i++) set_view(c, c->n_loads + c->n_stores + i, &b->sink_view[i]);
    c->rank = ane_cpu_collapse(c->rank, c->dim, cpu_chain_views(c), c->stride);
}

/* The dimension along which most is contiguous, writes above all. */
static int best_inner(const cpu_chain *c) {
    int best = c->rank - 1, best_score = -1;
    for (int d = c->rank - 1; d >= 0; d--) {
        int score = 0;
        for (int v = 0; v < cpu_chain_views(c); v++)
            score += c->stride[v][d] == 1 ? (v < c->n_loads ? 2 : 3) : 0;
        if (score > best_score) {
            best = d;
            best_score = score;
        }
    }
    return best;
}

static bool is_reduced(const cpu_chain *c, int d) {
    return c->n_sinks > 0 && c->dim[d] > 1 && c->stride[c->n_loads + c->n_stores][d] == 0;
}

/* Order: dimensions that stay, dimensions reduced, the inner one. */
static void order_dimensions(cpu_chain *c) {
    int order[MIL_MAX_RANK], n = 0, inner = best_inner(c);
    for (int pass = 0; pass < 2; pass++) {
        for (int d = 0; d < c->rank; d++)
            if (d != inner && is_reduced(c, d) == (pass == 1)) order[n++] = d;
        if (pass == 0) c->n_kept = n;
    }
    order[n] = inner;
    c->inner_reduced = is_reduced(c, inner);
    cpu_chain old = *c;
    for (int i = 0; i < c->rank; i++) {
        c->dim[i] = old.dim[order[i]];
        for (int v = 0; v < cpu_chain_views(c); v++) c->stride[v][i] = old.stride[v][order[i]];
    }
}

/* ---- registers ----------------------------------------------------------------------------------------- */

static bool is_single(const cpu_chain *c, int r) {
    return r < CPU_CHAIN_LOADS ? c->load_mode[r] == CPU_LOAD_SINGLE : c->instrs[r - CPU_CHAIN_LOADS].single;
}

static void set_load_modes(cpu_chain *c) {
    int inner = c->rank - 1;
    for (int i = 0; i < c->n_loads; i++) {
        int64_t s = c->stride[i][inner];
        c->load_mode[i] = c->dim[inner] == 1 || s == 1 ? CPU_LOAD_IN_PLACE
                          : s == 0                     ? CPU_LOAD_SINGLE
                                                       : CPU_LOAD_GATHERED;
    }
}

/* Which instructions work on single elements, and which variant of its loop each one takes. Select has none,
 * and neither has what is stored or summed: there single operands are spread first (`filled`). */
static void set_variants(cpu_chain *c) {
    for (int i = 0; i < c->n_instrs; i++) {
        cpu_instr *in = &c->instrs[i];
        int n = ane_cpu_map_operands(in->op), singles = 0;
        for (int k = 0; k < n; k++) singles += is_single(c, in->source[k]);
        in->single = singles == n;
        in->variant = 0;
        if (n == 2 && singles == 1) in->variant = is_single(c, in->source[0]) ? CPU_SCALAR_A : CPU_SCALAR_B;
    }
}

/* Insert, as instruction `at`, one that spreads register r over a tile; false when there is no room. */
static bool insert_fill(cpu_chain *c, int at, int r) {
    if (c->n_instrs == CPU_CHAIN_INSTRS) return false;
    memmove(&c->instrs[at + 1], &c->instrs[at], (size_t)(c->n_instrs - at) * sizeof *c->instrs);
    c->n_instrs++;
    for (int i = at + 1; i < c->n_instrs; i++)
        for (int k = 0; k < 3; k++)
            if (c->instrs[i].source[k] >= CPU_CHAIN_LOADS + at) c->instrs[i].source[k]++;
    for (int i = 0; i < c->n_stores; i++)
        if (c->store_source[i] >= CPU_CHAIN_LOADS + at) c->store_source[i]++;
    for (int i = 0; i < c->n_sinks; i++)
        if (c->sinks[i].source >= CPU_CHAIN_LOADS + at) c->sinks[i].source++;
    c->instrs[at] = (cpu_instr){
        .op = CPU_COPY, .variant = CPU_SCALAR_A, .source = {(int16_t)r, -1, -1}, .temp = -1, .store = -1};
    return true;
}

static bool fill_selects(cpu_chain *c) {
    for (int i = 0; i < c->n_instrs; i++) {
        if (c->instrs[i].op != CPU_SELECT || c->instrs[i].single) continue;
        for (int k = 0; k < 3; k++) {
            int r = c->instrs[i].source[k];
            if (!is_single(c, r)) continue;
            if (!insert_fill(c, i, r)) return false;
            c->instrs[i + 1].source[k] = (int16_t)(CPU_CHAIN_LOADS + i);
            i++;
        }
    }
    return true;
}

static bool fill_ends(cpu_chain *c) {
    for (int i = 0; i < c->n_stores; i++) {
        int r = c->store_source[i];
        if (!is_single(c, r)) continue;
        int at = c->n_instrs;
        if (!insert_fill(c, at, r)) return false;
        c->instrs[r - CPU_CHAIN_LOADS].store = -1;
        c->instrs[at].store = (int16_t)i;
        c->store_source[i] = (int16_t)(CPU_CHAIN_LOADS + at);
    }
    for (int i = 0; i < c->n_sinks; i++)
        if (is_single(c, c->sinks[i].source)) {
            int at = c->n_instrs;
            if (!insert_fill(c, at, c->sinks[i].source)) return false;
            c->sinks[i].source = (int16_t)(CPU_CHAIN_LOADS + at);
        }
    return true;
}

/* The last instruction that reads a register; n_instrs when stores from a temporary or sinks do. */
static int last_use(const cpu_chain *c, int r) {
    int last = -1;
    for (int i = 0; i < c->n_instrs; i++)
        for (int k = 0; k < 3; k++)
            if (c->instrs[i].source[k] == r) last = i;
    for (int i = 0; i < c->n_sinks; i++)
        if (c->sinks[i].source == r) last = c->n_instrs;
    for (int i = 0; i < c->n_stores; i++)
        if (c->store_source[i] == r) last = c->n_instrs;
    return last;
}

static int16_t take_temp(cpu_chain *c, int *free_after, int now, int until) {
    for (int t = 0; t < c->n_temps; t++)
        if (free_after[t] < now) {
            free_after[t] = until;
            return (int16_t)t;
        }
    free_after[c->n_temps] = until;
    return (int16_t)c->n_temps++;
}

/* Whether the outputs that the chain writes are in no near cache any more when they are read: it reads and writes more than
 * this. */
static bool is_large(const cpu_chain *c) {
    const int64_t large = 8 << 20;
    int64_t sum = 0;
    for (int v = 0; v < cpu_chain_views(c); v++) {
        int64_t bytes = sizeof(float);
        for (int d = 0; d < c->rank; d++)
            if (c->stride[v][d] != 0) bytes *= c->dim[d];
        sum += bytes;
    }
    return sum >= large;
}

/* Results that are stored contiguously are written in place, unless they are large outputs, which go past the caches; all others share a few temporary tiles. A
 * temporary is free for instruction i when its last reader stands before i, so no instruction writes what it
 * reads. */
static void assign_temps(const cpu_plan *plan, cpu_chain *c) {
    int free_after[CPU_CHAIN_TEMPS] = {0};
    int inner = c->rank - 1;
    bool large = is_large(c);
    for (int i = 0; i < c->n_loads; i++)
        if (c->load_mode[i] == CPU_LOAD_GATHERED)
            c->load_temp[i] = take_temp(c, free_after, -1, last_use(c, i));
    for (int i = 0; i < c->n_instrs; i++) {
        cpu_instr *in = &c->instrs[i];
        int r = CPU_CHAIN_LOADS + i, view = c->n_loads + in->store;
        bool in_place = in->store >= 0 && (c->stride[view][inner] == 1 || c->dim[inner] == 1);
        bool streams = in_place && large && c->stride[view][inner] == 1 &&
                       plan->storages[c->storage[view]].place == CPU_OUTPUT;
        if (streams) c->streams[in->store] = true;
        if (in_place && !streams) {
            c->store_source[in->store] = -1;
            continue;
        }
        int until = last_use(c, r);
        in->temp = take_temp(c, free_after, i, until < i ? i : until);
    }
}

static bool same_reduced_dims(const cpu_chain *c) {
    int first = c->n_loads + c->n_stores;
    for (int s = 1; s < c->n_sinks; s++)
        for (int d = 0; d < c->rank; d++)
            if ((c->stride[first + s][d] == 0) != (c->stride[first][d] == 0)) return false;
    return true;
}

/* Counted as if everything were stored and every operand had to be spread: who reads what is not known while
 * groups grow. */
bool ane_cpu_chain_fits(const cpu_plan *plan, int n_members, const int32_t *members) {
    int loads = 0, instrs = 0, sinks = 0, maps = 0;
    for (int i = 0; i < n_members; i++) {
        const cpu_node *n = &plan->nodes[members[i]];
        bool is_map = n->type == CPU_NODE_MAP;
        maps += is_map;
        sinks += !is_map;
        loads += n->n_in; /* an upper bound: results of other members are counted, too */
        instrs += !is_map ? 1 : n->op == CPU_SELECT ? 4 : 1;
    }
    return maps <= CPU_CHAIN_STORES && 2 * maps + sinks <= CPU_CHAIN_INSTRS &&
           instrs + maps + sinks <= CPU_CHAIN_INSTRS && loads <= CPU_CHAIN_LOADS && sinks <= CPU_CHAIN_SINKS;
}

const void *ane_cpu_chain_build(cpu_plan *plan, int n_members, const int32_t *members, const bool *stored) {
    cpu_chain *c = ane_arena_alloc(plan->arena, sizeof *c);
    if (!c) return NULL;
    builder b = {.plan = plan, .c = c, .n_members = n_members, .members = members, .stored = stored};
    for (int i = 0; i < n_members; i++)
        if (!(member(&b, i)->type == CPU_NODE_MAP ? add_map(&b, i) : add_reduction(&b, i))) return NULL;
    set_space(&b);
    if (!same_reduced_dims(c)) return NULL;
    order_dimensions(c);
    set_load_modes(c);
    set_variants(c);
    if (!fill_selects(c) || !fill_ends(c)) return NULL;
    assign_temps(plan, c);
    return c;
}
