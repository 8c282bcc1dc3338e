/* pack_inputs.c - all inputs in one: [1, rows, 1, width], sliced and reshaped inside; or in a few. What keeps an input of
 * its own takes that form by itself. */
#include "base/arena.h"
#include "mil/function.h"
#include "mil/lower.h"
#include "mil/rewrite.h"

#include <stdlib.h>

/* Which pieces share an input. The first pack has the activations; weights are there too, or, as inputs, spread over it and
 * others: where all inputs must have surfaces of one size, each in its own would be padded to the largest. */
typedef struct packs {
    int32_t n;
    int32_t *of;       /* per piece: its pack; MIL_NONE: an input of its own */
    mil_value *inputs; /* per pack */
} packs;

static bool packs_init(packs *k, const mil_lowering *l, ane_error *e) {
    k->n = 0;
    k->of = ane_arena_array(l->program->arena, (size_t)l->n_pieces + 1, sizeof *k->of);
    k->inputs = ane_arena_array(l->program->arena, (size_t)l->n_pieces + 1, sizeof *k->inputs);
    if (!k->of || !k->inputs) return mil_no_memory(e, "packs");
    for (int32_t i = 0; i < l->n_pieces; i++) k->of[i] = MIL_NONE;
    return true;
}

static bool in_first(const mil_lowering *l, const mil_piece *p) {
    if (!l->options.pack_inputs) return false;
    return p->kind == MIL_PIECE_INPUT || p->kind == MIL_PIECE_GUARD_IN ||
           (p->kind == MIL_PIECE_WEIGHT && l->options.weights == MIL_WEIGHTS_PACKED);
}

enum { MOST_PACKS = 8 };

/* The largest weight that is in no pack yet; MIL_NONE when all are. */
static int32_t largest_left(const packs *k, const mil_lowering *l) {
    int32_t best = MIL_NONE;
    for (int32_t i = 0; i < l->n_pieces; i++) {
        const mil_piece *p = &l->pieces[i];
        if (p->kind != MIL_PIECE_WEIGHT || k->of[i] != MIL_NONE) continue;
        if (best == MIL_NONE || mil_type_count(&p->type) > mil_type_count(&l->pieces[best].type)) best = i;
    }
    return best;
}

/* Largest first, each into the emptiest of `n` packs, the first of which has the activations. Returns the elements of the
 * fullest. */
static int64_t spread(packs *k, const mil_lowering *l, int32_t n, int64_t activations) {
    int64_t filled[MOST_PACKS] = {activations}, most = activations;
    for (int32_t i = 0; i < l->n_pieces; i++)
        if (l->pieces[i].kind == MIL_PIECE_WEIGHT) k->of[i] = MIL_NONE;
    for (int32_t i; (i = largest_left(k, l)) != MIL_NONE;) {
        int32_t emptiest = 0;
        for (int32_t j = 1; j < n; j++)
            if (filled[j] < filled[emptiest]) emptiest = j;
        filled[emptiest] += mil_type_count(&l->pieces[i].type);
        if (filled[emptiest] > most) most = filled[emptiest];
        k->of[i] = emptiest;
    }
    for (int32_t j = 0; j < n; j++)
        if (filled[j] == 0) return INT64_MAX / MOST_PACKS; /* no use for so many */
    return most;
}

/* As many packs as take the least memory when each is as large as the largest, but at least two. */
static void pack_weights(packs *k, const mil_lowering *l) {
    int64_t activations = 0, least = INT64_MAX;
    int32_t best = 2;
    for (int32_t i = 0; i < l->n_pieces; i++)
        if (k->of[i] == 0) activations += mil_type_count(&l->pieces[i].type);
    if (largest_left(k, l) == MIL_NONE) return;
    for (int32_t n = 2; n <= MOST_PACKS; n++) {
        int64_t size = spread(k, l, n, activations) * n;
        if (size >= least) continue;
        least = size;
        best = n;
    }
    spread(k, l, best, activations);
    k->n = best;
}

static void assign(packs *k, const mil_lowering *l) {
    for (int32_t i = 0; i < l->n_pieces; i++)
        if (in_first(l, &l->pieces[i])) {
            k->of[i] = 0;
            k->n = 1;
        }
    if (l->options.pack_inputs && l->options.weights == MIL_WEIGHTS_INPUT) pack_weights(k, l);
}

static mil_value reshape_back(mil_function *f, mil_value x, const mil_type *type) {
    return type->rank ? mil_reshape(f, x, type->rank, type->dim) : mil_squeeze(f, x, 0, NULL);
}

static mil_value unpack(mil_function *f, mil_value packed, const mil_piece *p) {
    const int32_t begin[] = {0, (int32_t)p->row, 0, 0}, size[] = {1, (int32_t)p->rows, 1, (int32_t)p->width};
    return reshape_back(f, mil_slice_by_size(f, packed, begin, size), &p->type);
}

static mil_value alone(mil_function *f, mil_piece *p) {
    mil_pack_alone(p);
    mil_value x = mil_input(f, p->name, mil_tensor(MIL_FP16, 4, (int64_t[]){1, p->rows, 1, p->width}));
    return reshape_back(f, x, &p->type);
}

static int32_t piece_of(mil_lowering *l, const char *name) {
    mil_piece *p = mil_lowering_piece(l, MIL_PIECE_INPUT, name);
    if (!p) p = mil_lowering_piece(l, MIL_PIECE_GUARD_IN, name);
    if (!p) p = mil_lowering_piece(l, MIL_PIECE_WEIGHT, name);
    return (int32_t)(p - l->pieces);
}

/* The input of a pack; its pieces get their rows and its name. */
static bool declare(mil_rewrite *r, const packs *k, int32_t pack, ane_error *e) {
    mil_lowering *l = r->context;
    const char *name = ane_arena_printf(l->program->arena, pack ? "packed_in_%d" : "packed_in", (int)pack);
    mil_piece **members = calloc((size_t)l->n_pieces + 1, sizeof(mil_piece *));
    int32_t n = 0;
    if (!members || !name) {
        free(members);
        return mil_no_memory(e, "packs");
    }
    for (int32_t i = 0; i < l->n_pieces; i++)
        if (k->of[i] == pack) {
            l->pieces[i].port_name = name;
            members[n++] = &l->pieces[i];
        }
    int64_t rows = 0, width = mil_pack_rows(members, n, l->options.max_dim, &rows, e);
    free(members);
    if (width == 0) return false;
    k->inputs[pack] = mil_input(r->to, name, mil_tensor(MIL_FP16, 4, (int64_t[]){1, rows, 1, width}));
    return true;
}

static bool inputs(mil_rewrite *r, ane_error *e) {
    mil_lowering *l = r->context;
    packs k;
    if (!packs_init(&k, l, e)) return false;
    assign(&k, l);
    for (int32_t pack = 0; pack < k.n; pack++)
        if (!declare(r, &k, pack, e)) return false;
    for (int32_t i = 0; i < r->from->n_inputs; i++) {
        int32_t at = piece_of(l, r->from->values[r->from->inputs[i]].name);
        mil_piece *p = &l->pieces[at];
        r->map[r->from->inputs[i]] =
            k.of[at] == MIL_NONE ? alone(r->to, p) : unpack(r->to, k.inputs[k.of[at]], p);
    }
    return mil_rewrite_ok(r, e);
}

bool mil_pass_pack_inputs(mil_lowering *l, ane_error *e) {
    const mil_rewrite_hooks hooks = {.inputs = inputs, .step = mil_rewrite_copy};
    return mil_rewrite_ports(l->f, &hooks, l, e);
}
