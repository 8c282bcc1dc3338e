/* stage.c - see stage.h. */
#include "model/stage.h"

#include "base/packed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Whose a buffer is, when not one copy's. */
enum { ALL = -1, EVEN = -2, ODD = -3 };

typedef struct slot {
    const char *name;
    int copy; /* or ALL, EVEN, ODD */
    ane_buffer *buffer;
    bool owned;
} slot;

struct ane_stage {
    ane_device *device;
    mil_program *program;
    mil_gradient *gradient; /* NULL without backward */
    ane_kernel *forward, *backward;
    ane_stage_options options;
    int copies, ran;                     /* ran: the copy whose forward ran last, -1: none */
    ane_binding **forwards, **backwards; /* [copies] */
    ane_product *products;               /* [copies][gradient->n_param_grads] */
    void *packed;                        /* room for one operand of any of them */
    double *squares, *blocks;            /* of each product's gradient; room for one's parts */
    slot *slots;
    int n_slots, room;
};

static void free_bindings(ane_binding **bindings, int n) {
    for (int i = 0; bindings && i < n; i++) ane_binding_free(bindings[i]);
    free(bindings);
}

void ane_stage_free(ane_stage *s) {
    if (!s) return;
    free_bindings(s->forwards, s->copies);
    free_bindings(s->backwards, s->copies);
    for (int i = 0; i < s->n_slots; i++)
        if (s->slots[i].owned) ane_buffer_free(s->slots[i].buffer);
    if (s->forward) ane_kernel_free(s->forward);
    if (s->backward) ane_kernel_free(s->backward);
    mil_gradient_free(s->gradient);
    mil_program_free(s->program);
    free(s->slots);
    free(s->products);
    free(s->packed);
    free(s->squares);
    free(s->blocks);
    free(s);
}

static bool no_memory(ane_error *e) {
    return ane_fail(e, ANE_ERROR_MEMORY, "", "Not enough memory.");
}

/* ---- compiling ----------------------------------------------------------------------------------------- */

static bool derive(ane_stage *s, ane_error *e) {
    const char *const wrt[] = {s->options.leaf ? s->options.leaf : "x"};
    const mil_grad_options options = {.n_wrt = 1,
        .wrt = wrt,
        .recompute_cheap = true,
        .recompute_attention = s->options.recompute_attention,
        .products_in_program = s->options.device_products};
    s->gradient = mil_differentiate(mil_program_function(s->program, NULL), &options, e);
    if (!s->gradient) return false;
    s->forward = ane_device_compile(s->device, s->gradient->forward, NULL, e);
    s->backward = s->forward ? ane_device_compile(s->device, s->gradient->backward, NULL, e) : NULL;
    s->products = calloc((size_t)(s->copies * s->gradient->n_param_grads) + 1, sizeof *s->products);
    s->squares = calloc((size_t)(s->copies * s->gradient->n_param_grads) + 1, sizeof *s->squares);
    if (!s->products || !s->squares) return no_memory(e);
    return s->backward != NULL;
}

ane_stage *ane_stage_new(ane_device *d, mil_program *p, const ane_stage_options *options, ane_error *e) {
    ane_stage *s = calloc(1, sizeof *s);
    if (!s) {
        mil_program_free(p);
        no_memory(e);
        return NULL;
    }
    s->device = d;
    s->program = p;
    s->options = *options;
    s->copies = options->copies;
    s->ran = -1;
    s->forwards = calloc((size_t)s->copies, sizeof(ane_binding *));
    s->backwards = calloc((size_t)s->copies, sizeof(ane_binding *));
    bool ok = s->forwards && s->backwards ? mil_program_ok(p, e) : no_memory(e);
    if (ok && options->backward)
        ok = derive(s, e);
    else if (ok)
        ok = (s->forward = ane_device_compile(d, p, NULL, e)) != NULL;
    if (ok) return s;
    ane_stage_free(s);
    return NULL;
}

/* ---- buffers by name ----------------------------------------------------------------------------------- */

static bool add_slot(ane_stage *s, int copy, const char *name, ane_buffer *buffer, bool owned, ane_error *e) {
    if (s->n_slots == s->room) {
        int room = s->room ? 2 * s->room : 64;
        slot *grown = realloc(s->slots, (size_t)room * sizeof *grown);
        if (!grown) return no_memory(e);
        s->slots = grown;
        s->room = room;
    }
    s->slots[s->n_slots++] = (slot){name, copy, buffer, owned};
    return true;
}

bool ane_stage_give(ane_stage *s, int copy, const char *name, ane_buffer *buffer, ane_error *e) {
    return add_slot(s, copy, name, buffer, false, e);
}

static bool is_of(int owner, int copy) {
    return owner == copy || owner == ALL || owner == (copy % 2 ? ODD : EVEN);
}

static ane_buffer *find(const ane_stage *s, int copy, const char *name) {
    for (int i = 0; i < s->n_slots; i++)
        if (strcmp(s->slots[i].name, name) == 0 && is_of(s->slots[i].copy, copy)) return s->slots[i].buffer;
    return NULL;
}

static bool make(ane_stage *s, int copy, const char *name, mil_type type, ane_error *e) {
    ane_buffer *b = ane_buffer_new(s->device, type, e);
    if (!b) return false;
    if (add_slot(s, copy, name, b, true, e)) return true;
    ane_buffer_free(b);
    return false;
}

/* ---- binding ------------------------------------------------------------------------------------------- */

typedef struct masters {
    ane_stage_param *param;
    const void *weights, *gradients;
} masters;

static bool bind_weights(ane_binding *b, const ane_kernel *k, int copy, const masters *m, ane_error *e) {
    for (int i = 0; i < ane_kernel_weights(k); i++) {
        const char *name = ane_kernel_weight(k, i, NULL);
        int64_t count = 0;
        const float *master = m->param(m->weights, copy, name, &count);
        if (!master) return ane_fail(e, ANE_ERROR_ARGUMENT, name, "The model has no weight of this name.");
        if (!ane_bind_weight(b, name, master, count, e)) return false;
    }
    return true;
}

/* Forward's outputs are read by the copy's own backward, which may follow at once; those of backward by its products
 * alone. */
static int owner_of(const ane_stage *s, const ane_kernel *k, int copy) {
    if (k != s->backward && !s->options.recompute) return copy;
    return s->options.products_beside ? (copy % 2 ? ODD : EVEN) : ALL;
}

/* Bind every input and output of a kernel; outputs without a buffer get one. */
static bool bind_buffers(ane_stage *s, ane_binding *b, const ane_kernel *k, int copy, ane_error *e) {
    for (int i = 0; i < ane_kernel_inputs(k); i++) {
        const char *name = ane_kernel_input(k, i, NULL);
        ane_buffer *buffer = find(s, copy, name);
        if (!buffer) return ane_fail(e, ANE_ERROR_ARGUMENT, name, "Nothing fills the input of this name.");
        if (!ane_bind(b, name, buffer, 0, e)) return false;
    }
    for (int i = 0; i < ane_kernel_outputs(k); i++) {
        mil_type type;
        const char *name = ane_kernel_output(k, i, &type);
        if (!find(s, copy, name) && !make(s, owner_of(s, k, copy), name, type, e)) return false;
        if (!ane_bind(b, name, find(s, copy, name), 0, e)) return false;
    }
    return true;
}

static bool bind_kernel(
    ane_stage *s, ane_kernel *k, ane_binding **binding, int copy, const masters *m, ane_error *e) {
    *binding = ane_binding_new(k, e);
    if (*binding && s->options.keeps_weights) ane_binding_keep_weights(*binding);
    return *binding && bind_weights(*binding, k, copy, m, e) && bind_buffers(s, *binding, k, copy, e);
}

static bool find_product(
    ane_stage *s, int copy, const mil_param_grad *how, ane_product *p, const masters *m, ane_error *e) {
    p->how = how;
    p->squares = &s->squares[p - s->products];
    *p->squares = NAN; /* nothing is known before the first step */
    p->weight = m->param(m->weights, copy, how->param, &p->count);
    p->gradient = m->param(m->gradients, copy, how->param, &p->count);
    if (how->is_product) {
        p->left = find(s, copy, how->left);
        p->right = find(s, copy, how->right);
    } else {
        p->value = find(s, copy, how->value);
    }
    if (p->gradient && (how->is_product ? p->left && p->right : p->value != NULL)) return true;
    return ane_fail(e, ANE_ERROR_ARGUMENT, how->param, "No buffer holds what its gradient is formed from.");
}

/* Those of one parameter follow each other: behind the last its gradient is complete. */
static bool find_products(ane_stage *s, int copy, const masters *m, ane_error *e) {
    const int n = s->gradient->n_param_grads;
    const mil_param_grad *how = s->gradient->param_grads;
    ane_product *p = s->products + (int64_t)copy * n;
    for (int first = 0; first < n; first++) {
        bool continues = false;
        for (int k = 0; k < first; k++) continues |= strcmp(how[k].param, how[first].param) == 0;
        for (int i = first; i < n && !continues; i++) {
            if (strcmp(how[i].param, how[first].param) != 0) continue;
            p->continues = i > first;
            if (!find_product(s, copy, &how[i], p++, m, e)) return false;
        }
    }
    return true;
}

static bool same_right(const ane_product *a, const ane_product *b) {
    return a->how->is_product && b->how->is_product && a->right == b->right && a->how->k == b->how->k &&
           a->how->n == b->how->n && a->how->right_transposed == b->how->right_transposed;
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Products by our own kernels, where there are any: all use one room, one after the other. */
static bool pack_products(ane_stage *s, ane_error *e) {
    int n = s->copies * s->gradient->n_param_grads;
    const ane_capabilities *c = ane_device_capabilities(s->device);
    const ane_packed_kernel *kernel =
        ane_packed_kernel_find(c->precision == ANE_BF16, *c->products ? c->products : NULL);
    int64_t room = 0, blocks = 0;
    for (int i = 0; i < n; i++) {
        s->products[i].kernel = kernel;
        s->products[i].threads = s->options.threads;
        room = larger(room, ane_product_room(&s->products[i], s->options.rows));
        blocks = larger(blocks, ane_product_blocks(&s->products[i]));
    }
    if (room == 0) return true;
    s->blocks = calloc((size_t)blocks + 1, sizeof *s->blocks);
    if (!s->blocks || posix_memalign(&s->packed, 64, (size_t)room) != 0) return no_memory(e);
    for (int i = 0; i < n; i++) {
        s->products[i].packed = s->packed;
        s->products[i].blocks = s->blocks;
        s->products[i].right_is_packed =
            i % s->gradient->n_param_grads > 0 && same_right(&s->products[i], &s->products[i - 1]);
    }
    return true;
}

bool ane_stage_bind(
    ane_stage *s, ane_stage_param *param, const void *weights, const void *gradients, ane_error *e) {
    const masters m = {param, weights, gradients};
    for (int copy = 0; copy < s->copies; copy++) {
        if (!bind_kernel(s, s->forward, &s->forwards[copy], copy, &m, e)) return false;
        if (!s->backward) continue;
        if (!bind_kernel(s, s->backward, &s->backwards[copy], copy, &m, e) || !find_products(s, copy, &m, e))
            return false;
    }
    return !s->backward || pack_products(s, e);
}

/* ---- running ------------------------------------------------------------------------------------------- */

bool ane_stage_forward(ane_stage *s, int copy, ane_error *e) {
    s->ran = copy;
    return ane_run(s->forwards[copy], NULL, e);
}

bool ane_stage_backward(ane_stage *s, int copy, ane_error *e) {
    bool again = s->options.recompute && s->ran != copy;
    return (!again || ane_stage_forward(s, copy, e)) && ane_run(s->backwards[copy], NULL, e);
}

bool ane_stage_products(ane_stage *s, int copy, bool add, float *const staging[2], ane_error *e) {
    int n = s->gradient->n_param_grads;
    for (int i = 0; i < n; i++) {
        const ane_product *p = &s->products[copy * n + i];
        if (!ane_product_form(p, add || p->continues, staging, e)) return false;
    }
    return true;
}

bool ane_stage_use_products(
    ane_stage *s, int copy, ane_stage_user *use, void *context, float *const staging[2], ane_error *e) {
    int n = s->gradient->n_param_grads;
    for (int i = 0; i < n; i++) {
        const ane_product *p = &s->products[copy * n + i];
        if (!ane_product_form(p, p->continues, staging, e)) return false;
        if (i + 1 == n || !p[1].continues) use(context, p->weight, p->count, p->gradient);
    }
    return true;
}

bool ane_stage_product_rows(ane_stage *s, int copy, const char *param, int64_t first, int64_t rows, float *to,
    float *const staging[2], ane_error *e) {
    int n = s->gradient->n_param_grads;
    for (int i = 0; i < n; i++) {
        ane_product p = s->products[copy * n + i];
        p.gradient = to;
        p.right_is_packed = false; /* what was packed for the one before may be long gone */
        if (strcmp(p.how->param, param) == 0 &&
            !ane_product_form_rows(&p, first, rows, p.continues, staging, e))
            return false;
    }
    return true;
}

bool ane_stage_weights_changed(ane_stage *s, ane_error *e) {
    for (int i = 0; i < s->copies; i++)
        if (!ane_weights_changed(s->forwards[i], e) ||
            (s->backward && !ane_weights_changed(s->backwards[i], e)))
            return false;
    return true;
}

void ane_stage_squares(const ane_stage *s, const ane_weights *weights, double *squares) {
    int n = s->gradient ? s->copies * s->gradient->n_param_grads : 0;
    for (int i = 0; i < n; i++)
        for (int t = 0; t < weights->n_tensors; t++)
            if (weights->data + weights->tensors[t].offset == s->products[i].weight)
                squares[t] = s->squares[i];
}

double ane_stage_product_flops(const ane_stage *s) {
    double flops = 0;
    for (int i = 0; s->gradient && i < s->gradient->n_param_grads; i++)
        flops += ane_product_flops(&s->gradient->param_grads[i]);
    return flops * s->copies;
}

double ane_stage_flops(const ane_stage *s) {
    double flops = ane_kernel_flops(s->forward) + (s->backward ? ane_kernel_flops(s->backward) : 0);
    return flops * s->copies + ane_stage_product_flops(s);
}
