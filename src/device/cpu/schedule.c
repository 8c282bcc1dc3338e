/* From nodes to steps: fuse element-wise nodes into chains, order what results, make the steps.
 *
 * Units are groups of nodes that become one step. `before[u]` is the set of units that must run before u,
 * transitively. A node may join a group when the two share an iteration space and no unit stands between
 * them: nothing that the node needs depends on the group, the group itself aside.
 */
#include "device/cpu/chain.h"

#include <string.h>

enum { GROUP_MEMBERS = 24, CANDIDATES = 16 };

typedef struct unit {
    int32_t n, first, last; /* members, first and last of them */
    int32_t members[GROUP_MEMBERS];
    bool fused; /* a chain */
} unit;

typedef struct scheduler {
    cpu_plan *plan;
    int32_t n_units;
    unit *units;
    int32_t *unit_of; /* per node */
    uint64_t *before; /* n_nodes bits per unit */
    size_t words;
    int32_t *writers, *next_writer; /* lists of nodes per storage, newest first */
    int32_t *deps;                  /* units that the node at hand needs */
    int32_t n_deps;
    int32_t *mark; /* per unit: the last node that listed it */
} scheduler;

static bool has_bit(const uint64_t *set, int32_t i) {
    return set[i / 64] >> (i % 64) & 1;
}

static uint64_t *before(const scheduler *s, int32_t u) {
    return s->before + (size_t)u * s->words;
}

static bool is_fusible(const cpu_node *n) {
    return n->type == CPU_NODE_MAP || n->type == CPU_NODE_REDUCE;
}

/* ---- what a node needs --------------------------------------------------------------------------------- */

static void find_deps(scheduler *s, int32_t node) {
    const cpu_node *n = &s->plan->nodes[node];
    s->n_deps = 0;
    for (int i = 0; i < n->n_in; i++)
        for (int32_t w = s->writers[n->in[i].storage]; w >= 0; w = s->next_writer[w]) {
            int32_t u = s->unit_of[w];
            if (s->mark[u] == node) continue;
            s->mark[u] = node;
            s->deps[s->n_deps++] = u;
        }
}

/* ---- joining ------------------------------------------------------------------------------------------- */

static const cpu_view *space_of(const cpu_node *n) {
    return &n->in[0];
}

static bool same_space(const cpu_node *a, const cpu_node *b) {
    const cpu_view *x = space_of(a), *y = space_of(b);
    if (x->rank != y->rank) return false;
    for (int i = 0; i < x->rank; i++)
        if (x->dim[i] != y->dim[i]) return false;
    return true;
}

/* What the node reads of the group's results it must read as they are written: the same elements in the same
 * order. */
static bool reads_in_step(const scheduler *s, const unit *u, const cpu_node *n) {
    for (int i = 0; i < n->n_in; i++) {
        bool touches = false, equal = false;
        for (int32_t m = 0; m < u->n; m++) {
            const cpu_node *w = &s->plan->nodes[u->members[m]];
            if (w->out[0].storage != n->in[i].storage) continue;
            touches = true;
            equal = equal || (w->type == CPU_NODE_MAP && ane_cpu_view_equal(&w->out[0], &n->in[i]));
        }
        if (touches && !equal) return false;
    }
    return true;
}

/* Reductions of one group must be over the same dimensions. */
static bool reduces_alike(const scheduler *s, const unit *u, const cpu_node *n) {
    if (n->type != CPU_NODE_REDUCE) return true;
    for (int32_t m = 0; m < u->n; m++) {
        const cpu_node *other = &s->plan->nodes[u->members[m]];
        if (other->type != CPU_NODE_REDUCE) continue;
        for (int d = 0; d < n->in[0].rank; d++)
            if ((n->out[0].stride[d] == 0) != (other->out[0].stride[d] == 0)) return false;
    }
    return true;
}

static bool can_join(const scheduler *s, int32_t u, const cpu_node *n) {
    const unit *group = &s->units[u];
    if (!group->fused || group->n == GROUP_MEMBERS || !same_space(&s->plan->nodes[group->first], n))
        return false;
    if (!reads_in_step(s, group, n) || !reduces_alike(s, group, n)) return false;
    for (int32_t i = 0; i < s->n_deps; i++)
        if (s->deps[i] != u && has_bit(before(s, s->deps[i]), u)) return false;
    return true;
}

static bool reads_same_storage(const scheduler *s, const unit *u, const cpu_node *n) {
    for (int32_t m = 0; m < u->n; m++)
        for (int i = 0; i < s->plan->nodes[u->members[m]].n_in; i++)
            for (int k = 0; k < n->n_in; k++)
                if (s->plan->nodes[u->members[m]].in[i].storage == n->in[k].storage) return true;
    return false;
}

/* The group that gains most: one whose results the node reads, else one that reads what the node reads. */
static int32_t best_group(const scheduler *s, const cpu_node *n) {
    int32_t best = -1;
    for (int32_t i = 0; i < s->n_deps; i++)
        if (s->deps[i] > best && can_join(s, s->deps[i], n)) best = s->deps[i];
    if (best >= 0) return best;
    for (int32_t u = s->n_units - 1; u >= 0 && u >= s->n_units - CANDIDATES; u--)
        if (s->units[u].fused && reads_same_storage(s, &s->units[u], n) && can_join(s, u, n)) return u;
    return -1;
}

/* Unit u now needs s->deps, and so does everything that needs u. */
static void add_deps(scheduler *s, int32_t u) {
    uint64_t *mine = before(s, u);
    for (int32_t i = 0; i < s->n_deps; i++) {
        if (s->deps[i] == u) continue;
        const uint64_t *theirs = before(s, s->deps[i]);
        for (size_t w = 0; w < s->words; w++) mine[w] |= theirs[w];
        mine[s->deps[i] / 64] |= 1ull << (s->deps[i] % 64);
    }
    for (int32_t other = 0; other < s->n_units; other++)
        if (has_bit(before(s, other), u))
            for (size_t w = 0; w < s->words; w++) before(s, other)[w] |= mine[w];
}

static bool joins(scheduler *s, int32_t node, int32_t u);

static void place_node(scheduler *s, int32_t node) {
    const cpu_node *n = &s->plan->nodes[node];
    find_deps(s, node);
    int32_t u = is_fusible(n) ? best_group(s, n) : -1;
    if (u < 0 || !joins(s, node, u)) {
        u = s->n_units++;
        s->units[u] = (unit){.n = 1, .first = node, .last = node, .members = {node}, .fused = is_fusible(n)};
    }
    s->unit_of[node] = u;
    add_deps(s, u);
    for (int i = 0; i < n->n_out; i++) {
        s->next_writer[node] =
            s->writers[n->out[i].storage]; /* several results of one node are distinct storages */
        s->writers[n->out[i].storage] = node;
    }
}

/* ---- which results reach memory ------------------------------------------------------------------------ */

/* A result stays in the chain when only its own group reads it and it is not part of something larger. */
static bool must_store(const scheduler *s, int32_t node) {
    const cpu_plan *plan = s->plan;
    int32_t storage = plan->nodes[node].out[0].storage;
    if (plan->storages[storage].place != CPU_SCRATCH) return true;
    for (int32_t i = 0; i < plan->n_nodes; i++)
        for (int k = 0; k < plan->nodes[i].n_in; k++)
            if (plan->nodes[i].in[k].storage == storage && s->unit_of[i] != s->unit_of[node]) return true;
    return false;
}

static const void *build_chain(const scheduler *s, const unit *u) {
    bool stored[GROUP_MEMBERS];
    for (int32_t m = 0; m < u->n; m++) stored[m] = must_store(s, u->members[m]);
    return ane_cpu_chain_build(s->plan, u->n, u->members, stored);
}

/* Whether the group with the node still fits a chain. */
static bool joins(scheduler *s, int32_t node, int32_t u) {
    unit larger = s->units[u];
    larger.members[larger.n++] = node;
    larger.last = node;
    if (!ane_cpu_chain_fits(s->plan, larger.n, larger.members)) return false;
    s->units[u] = larger;
    return true;
}

/* ---- steps --------------------------------------------------------------------------------------------- */

static const cpu_step_type *const step_types[] = {
    [CPU_NODE_MAP] = &ane_cpu_chain_step,
    [CPU_NODE_REDUCE] = &ane_cpu_chain_step,
    [CPU_NODE_GEMM] = &ane_cpu_gemm_step,
    [CPU_NODE_PACK] = &ane_cpu_pack_step,
    [CPU_NODE_SOFTMAX] = &ane_cpu_softmax_step,
    [CPU_NODE_MOVE] = &ane_cpu_move_step,
    [CPU_NODE_GATHER] = &ane_cpu_gather_step,
    [CPU_NODE_QUANTIZE] = &ane_cpu_quantize_step,
    [CPU_NODE_CONVERT] = &ane_cpu_convert_step,
    [CPU_NODE_ATTENTION] = &ane_cpu_attention_step,
    [CPU_NODE_ATTENTION_GRADIENT] = &ane_cpu_attention_gradient_step,
    [CPU_NODE_CACHED] = &ane_cpu_cached_step,
    [CPU_NODE_FALLBACK] = &ane_cpu_fallback_step,
};

static void touch(cpu_plan *plan, int32_t storage, int32_t step) {
    cpu_storage *s = &plan->storages[storage];
    if (s->first < 0) s->first = step;
    s->last = step;
}

/* A chain touches what it loads and stores; other steps what their nodes read and write. */
static void touch_all(cpu_plan *plan, const unit *u, const void *data, int32_t step) {
    if (u->fused) {
        const cpu_chain *c = data;
        for (int v = 0; v < cpu_chain_views(c); v++) touch(plan, c->storage[v], step);
        return;
    }
    const cpu_node *n = &plan->nodes[u->first];
    for (int i = 0; i < n->n_in; i++) touch(plan, n->in[i].storage, step);
    for (int i = 0; i < n->n_out; i++) touch(plan, n->out[i].storage, step);
}

static bool is_ready(const scheduler *s, int32_t u, const uint64_t *done) {
    const uint64_t *needs = before(s, u);
    for (size_t w = 0; w < s->words; w++)
        if (needs[w] & ~done[w]) return false;
    return true;
}

static void finish(uint64_t *done, int32_t u) {
    done[u / 64] |= 1ull << (u % 64);
}

/* The product with a vector that a unit is; NULL when it is something else. */
static const cpu_gemm *vector_product(const scheduler *s, int32_t u) {
    const cpu_node *n = &s->plan->nodes[s->units[u].first];
    const cpu_gemm *g = n->type == CPU_NODE_GEMM ? n->data : NULL;
    return g && g->vector ? g : NULL;
}

/* A product with a vector, and all others with the same that could be made now. */
static const cpu_gemvs *gather_products(scheduler *s, int32_t first, uint64_t *done) {
    const cpu_gemm *one = vector_product(s, first);
    cpu_gemvs *all = ane_arena_alloc(s->plan->arena, sizeof *all);
    if (!all) return NULL;
    *all = (cpu_gemvs){1, {one}};
    for (int32_t u = 0; u < s->n_units && all->n < CPU_GEMVS; u++) {
        const cpu_gemm *g = u != first && !has_bit(done, u) ? vector_product(s, u) : NULL;
        if (!g || g->storage[1] != one->storage[1] || g->offset[1] != one->offset[1] || !is_ready(s, u, done))
            continue;
        all->product[all->n++] = g;
        touch_all(s->plan, &s->units[u], g, s->plan->n_steps);
        finish(done, u);
    }
    return all;
}

static bool add_step(scheduler *s, int32_t unit_index, uint64_t *done) {
    cpu_plan *plan = s->plan;
    const unit *u = &s->units[unit_index];
    const cpu_node *n = &plan->nodes[u->first];
    bool multiplies = vector_product(s, unit_index) != NULL;
    const void *data = multiplies ? gather_products(s, unit_index, done)
                       : u->fused ? build_chain(s, u)
                                  : n->data;
    if (!data) return false;
    touch_all(plan, u, data, plan->n_steps);
    plan->steps[plan->n_steps++] = (cpu_step){multiplies ? &ane_cpu_gemv_step : step_types[n->type], data};
    finish(done, unit_index);
    return true;
}

/* Always the unit whose last member came first in the program: close to the order in which it was written. */
static bool emit_steps(scheduler *s, uint64_t *done) {
    for (;;) {
        int32_t best = -1, left = 0;
        for (int32_t u = 0; u < s->n_units; u++) {
            if (has_bit(done, u)) continue;
            left++;
            if ((best < 0 || s->units[u].last < s->units[best].last) && is_ready(s, u, done)) best = u;
        }
        if (!left) return true;
        if (best < 0 || !add_step(s, best, done)) return false;
    }
}

bool ane_cpu_schedule(cpu_plan *plan, ane_error *e) {
    size_t n = (size_t)plan->n_nodes + 1, words = (n + 63) / 64;
    ane_arena *arena = ane_arena_new();
    scheduler s = {.plan = plan, .words = words};
    bool ok = arena != NULL;
    if (ok) {
        s.units = ane_arena_array(arena, n, sizeof *s.units);
        s.unit_of = ane_arena_array(arena, n, sizeof *s.unit_of);
        s.before = ane_arena_array(arena, n * words, sizeof *s.before);
        s.writers = ane_arena_array(arena, (size_t)plan->n_storages + 1, sizeof *s.writers);
        s.next_writer = ane_arena_array(arena, n, sizeof *s.next_writer);
        s.deps = ane_arena_array(arena, n, sizeof *s.deps);
        s.mark = ane_arena_array(arena, n, sizeof *s.mark);
        plan->steps = ane_arena_array(plan->arena, n, sizeof *plan->steps);
    }
    uint64_t *done = ok ? ane_arena_array(arena, words, sizeof *done) : NULL;
    ok = ok && s.units && s.unit_of && s.before && s.writers && s.next_writer && s.deps && s.mark &&
         plan->steps && done;
    for (int32_t i = 0; ok && i < plan->n_storages; i++) s.writers[i] = -1;
    for (size_t i = 0; ok && i < n; i++) s.mark[i] = -1;
    for (int32_t i = 0; ok && i < plan->n_nodes; i++) place_node(&s, i);
    ok = ok && emit_steps(&s, done);
    ane_arena_free(arena);
    return ok || ane_fail(e, ANE_ERROR_MEMORY, plan->f->name, "no memory for the plan's steps");
}
