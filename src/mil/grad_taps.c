/* Which forward values backward is given: a minimum cut.
 *
 * Every value is two nodes with an edge between them whose capacity is its size: cutting it means keeping the
 * value. Edges from an operand to a result have no limit where the operation may be done again in backward;
 * the source feeds results of all other operations, and values that gradients ask for drain into the sink.
 * The smallest cut is the least memory; of equal ones the cut nearest to the sink is taken, which computes
 * least again. Inputs, parameters and constants are there anyway and take no part. (The idea: Griewank and
 * Walther's store-or-recompute trade as a cut, as PyTorch's min-cut rematerialisation does it.)
 */
#include "mil/grad.h"

#include "base/arena.h"
#include "mil/function.h"

#include <stdlib.h>
#include <string.h>

typedef struct edge {
    int32_t to, next; /* the next edge of the same node; -1 at the end. Edge i ^ 1 is the way back. */
    int64_t room;
} edge;

typedef struct network {
    const mil_grad_state *g;
    bool cheap;
    int32_t n_nodes, n_edges, source, sink; /* value v: nodes 2 v (in) and 2 v + 1 (out) */
    int32_t *first;                         /* per node */
    edge *edges;
    int32_t *queue, *through; /* per node: breadth-first search; the edge that led there, -1: not reached */
    bool *involved;           /* per value */
} network;

static const int64_t unlimited = INT64_MAX / 4;

static bool is_attention(const mil_function *f, const mil_operation *op) {
    if (op->opcode == MIL_OP_SOFTMAX || op->opcode == MIL_OP_CAUSAL_ATTENTION) return true;
    return op->opcode == MIL_OP_MATMUL &&
           !mil_grad_is_root(f, mil_grad_same_memory(f, mil_arg_value(op, "x"))) &&
           !mil_grad_is_root(f, mil_grad_same_memory(f, mil_arg_value(op, "y")));
}

/* True when an operation may be done again in backward. constexpr_* are done when compiling: again costs nothing. */
static bool is_repeatable(const network *n, const mil_operation *op) {
    bool cheap = n->cheap;
    if (n->g->recompute_attention && is_attention(n->g->f, op)) return true;
    if (op->info->traits & (MIL_TRAIT_VIEW | MIL_TRAIT_CONSTEXPR)) return true;
    if (op->opcode == MIL_OP_SPLIT || op->opcode == MIL_OP_IDENTITY) return true;
    return cheap && (op->info->traits & MIL_TRAIT_ELEMENTWISE || op->opcode == MIL_OP_CONCAT ||
                        op->opcode == MIL_OP_TILE || op->opcode == MIL_OP_PAD);
}

static void connect(network *n, int32_t from, int32_t to, int64_t room) {
    n->edges[n->n_edges] = (edge){to, n->first[from], room};
    n->first[from] = n->n_edges++;
    n->edges[n->n_edges] = (edge){from, n->first[to], 0};
    n->first[to] = n->n_edges++;
}

/* Mark what a needed value could be computed again from, up to what cannot. Operands come before results, so
 * one sweep from the end suffices. Returns the number of operands met. */
static int64_t mark_involved(network *n) {
    const mil_function *f = n->g->f;
    int64_t operands = 0;
    for (int32_t v = 0; v < f->n_values; v++) n->involved[v] = n->g->needed[v] && !mil_grad_is_root(f, v);
    for (int32_t i = f->n_ops - 1; i >= 0; i--) {
        const mil_operation *op = &f->ops[i];
        bool involved = false;
        for (int r = 0; r < op->n_results; r++) involved = involved || n->involved[op->results[r]];
        for (int a = 0; a < op->info->n_params; a++) {
            operands += (int64_t)op->args[a].n * op->n_results;
            for (int32_t k = 0; involved && is_repeatable(n, op) && k < op->args[a].n; k++)
                if (!mil_grad_is_root(f, op->args[a].values[k])) n->involved[op->args[a].values[k]] = true;
        }
    }
    return operands;
}

static void connect_value(network *n, mil_value v) {
    const mil_function *f = n->g->f;
    const mil_operation *op = &f->ops[f->values[v].op];
    connect(n, 2 * v, 2 * v + 1, n->g->is_output[v] ? 0 : mil_type_bytes(&f->values[v].type));
    if (n->g->needed[v]) connect(n, 2 * v + 1, n->sink, unlimited);
    if (!is_repeatable(n, op)) {
        connect(n, n->source, 2 * v, unlimited);
        return;
    }
    for (int a = 0; a < op->info->n_params; a++)
        for (int32_t k = 0; k < op->args[a].n; k++)
            if (!mil_grad_is_root(f, op->args[a].values[k]))
                connect(n, 2 * op->args[a].values[k] + 1, 2 * v, unlimited);
}

/* Breadth first from the source along edges with room; true when the sink was reached. */
static bool search(network *n) {
    int32_t head = 0, tail = 0;
    for (int32_t i = 0; i < n->n_nodes; i++) n->through[i] = -1;
    n->queue[tail++] = n->source;
    while (head < tail) {
        int32_t at = n->queue[head++];
        for (int32_t i = n->first[at]; i >= 0; i = n->edges[i].next) {
            int32_t to = n->edges[i].to;
            if (n->edges[i].room == 0 || n->through[to] >= 0 || to == n->source) continue;
            n->through[to] = i;
            if (to == n->sink) return true;
            n->queue[tail++] = to;
        }
    }
    return false;
}

/* Edmonds and Karp: fill shortest paths until none is left. */
static void fill(network *n) {
    while (search(n)) {
        int64_t room = unlimited;
        for (int32_t at = n->sink; at != n->source; at = n->edges[n->through[at] ^ 1].to)
            if (n->edges[n->through[at]].room < room) room = n->edges[n->through[at]].room;
        for (int32_t at = n->sink; at != n->source; at = n->edges[n->through[at] ^ 1].to) {
            n->edges[n->through[at]].room -= room;
            n->edges[n->through[at] ^ 1].room += room;
        }
    }
}

/* Nodes from which the sink can still be reached: through[node] >= 0. The cut runs along their border. */
static void search_back(network *n) {
    int32_t head = 0, tail = 0;
    for (int32_t i = 0; i < n->n_nodes; i++) n->through[i] = -1;
    n->queue[tail++] = n->sink;
    n->through[n->sink] = 0;
    while (head < tail) {
        int32_t at = n->queue[head++];
        for (int32_t i = n->first[at]; i >= 0; i = n->edges[i].next) {
            int32_t from = n->edges[i].to;
            if (n->edges[i ^ 1].room == 0 || n->through[from] >= 0) continue;
            n->through[from] = i;
            n->queue[tail++] = from;
        }
    }
}

/* What to keep of v: rather a value than a reshaped view of it, rather a product as it comes than its transpose (unless that
 * is an output anyway). */
static mil_value kept_form(const network *n, mil_value v) {
    const mil_function *f = n->g->f;
    bool is_output = n->g->is_output[v];
    v = mil_grad_same_memory(f, v);
    if (is_output || n->g->is_output[v]) return v;
    mil_value from = v;
    while (f->values[from].op != MIL_NONE && f->ops[f->values[from].op].opcode == MIL_OP_TRANSPOSE)
        from = mil_grad_same_memory(f, mil_arg_value(&f->ops[f->values[from].op], "x"));
    bool computed = f->values[from].op != MIL_NONE && !is_repeatable(n, &f->ops[f->values[from].op]);
    return computed ? from : v;
}

bool mil_grad_choose_taps(mil_grad_state *g, bool cheap, ane_error *e) {
    const mil_function *f = g->f;
    network n = {.g = g, .cheap = cheap, .n_nodes = 2 * f->n_values + 2};
    n.source = n.n_nodes - 2;
    n.sink = n.n_nodes - 1;
    n.involved = ane_arena_array(g->arena, (size_t)f->n_values + 1, sizeof *n.involved);
    int64_t most = n.involved ? 2 * (mark_involved(&n) + 3 * (int64_t)f->n_values) : 0;
    n.first = ane_arena_array(g->arena, (size_t)n.n_nodes, sizeof *n.first);
    n.queue = ane_arena_array(g->arena, (size_t)n.n_nodes, sizeof *n.queue);
    n.through = ane_arena_array(g->arena, (size_t)n.n_nodes, sizeof *n.through);
    n.edges = most > 0 && most < INT32_MAX ? ane_arena_array(g->arena, (size_t)most, sizeof *n.edges) : NULL;
    if (!n.first || !n.queue || !n.through || !n.edges) return mil_no_memory(e, f->name);
    for (int32_t i = 0; i < n.n_nodes; i++) n.first[i] = -1;
    for (mil_value v = 0; v < f->n_values; v++)
        if (n.involved[v]) connect_value(&n, v);
    fill(&n);
    search_back(&n);
    for (mil_value v = 0; v < f->n_values; v++)
        if (n.involved[v] && n.through[(size_t)v * 2] < 0 && n.through[(size_t)v * 2 + 1] >= 0)
            g->kept[kept_form(&n, v)] = true;
    return true;
}
