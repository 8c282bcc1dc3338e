/* stage.h - a program of the network with its derivative, compiled once and bound several times.
 *
 * A stage has copies that share kernels: the blocks of a model are one stage with a copy per layer, the head
 * is one with a single copy. Every input and output of forward and backward is a buffer found by name: one
 * that was given, or one that the stage makes (an output of forward for each copy, an output of backward once
 * for all). */
#ifndef ANEMONE_MODEL_STAGE_H
#define ANEMONE_MODEL_STAGE_H

#include "anemone/model.h"
#include "model/host.h"

typedef struct ane_stage ane_stage;

/* The stage's master copy of a parameter in one of its copies; NULL when there is none. */
typedef float *ane_stage_param(const void *store, int copy, const char *name, int64_t *count);

typedef struct ane_stage_options {
    int copies;
    bool backward;        /* derive it, by input "x" or by the inner value `leaf` */
    const char *leaf;     /* NULL: by "x" */
    bool device_products; /* parameter gradients are outputs of backward, not products for the host */
    bool
        recompute; /* what forward keeps for backward is one copy's: backward runs forward again where it is another's */
    bool recompute_attention;
    bool keeps_weights; /* they change seldom or never (ane_binding_keep_weights) */
    int64_t
        rows; /* 0, or parameter gradients are formed so many rows at a time, too (ane_stage_product_rows) */
    int threads;          /* that form parameter gradients on the host; without backward any */
    bool products_beside; /* what backward makes for a copy stays until the copy after the next one */
} ane_stage_options;

/* Takes `p` over. */
ane_stage *ane_stage_new(ane_device *d, mil_program *p, const ane_stage_options *options, ane_error *e);
void ane_stage_free(ane_stage *s);
/* Use `buffer` under `name` in a copy; copy -1 is all of them. The caller keeps it. */
bool ane_stage_give(ane_stage *s, int copy, const char *name, ane_buffer *buffer, ane_error *e);
/* Make the buffers that were not given, bind everything. `gradients` NULL when there is no backward. */
bool ane_stage_bind(
    ane_stage *s, ane_stage_param *param, const void *weights, const void *gradients, ane_error *e);

bool ane_stage_forward(ane_stage *s, int copy, ane_error *e);
bool ane_stage_backward(ane_stage *s, int copy, ane_error *e);
/* Form the parameter gradients of a copy whose backward ran last (beside: last but one), in place of what the store holds,
 * or with `add` added to it. */
bool ane_stage_products(ane_stage *s, int copy, bool add, float *const staging[2], ane_error *e);
/* The same one after the other: each is complete, and its own, during one call of `use`; so all may be in one place. */
typedef void ane_stage_user(void *context, const float *weight, int64_t count, const float *gradient);
bool ane_stage_use_products(
    ane_stage *s, int copy, ane_stage_user *use, void *context, float *const staging[2], ane_error *e);
/* Of one parameter, rows [first, first + rows), to `to`; a gradient that the device forms is whole. */
bool ane_stage_product_rows(ane_stage *s, int copy, const char *param, int64_t first, int64_t rows, float *to,
    float *const staging[2], ane_error *e);
/* squares[t] = the sum of squares of weight t's gradient for those that the stage forms, NaN where a product did not give it. */
void ane_stage_squares(const ane_stage *s, const ane_weights *weights, double *squares);
bool ane_stage_weights_changed(ane_stage *s, ane_error *e);

/* Of one run of all copies: forward, backward and products. */
double ane_stage_flops(const ane_stage *s);
double ane_stage_product_flops(const ane_stage *s); /* of those, ane_stage_products */

#endif
