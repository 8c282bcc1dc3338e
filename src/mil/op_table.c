/* The table itself: ops.def turned into rows. */
#include "mil/op_functions.h"
#include "mil/ops.h"

#include <string.h>

#define MIL_OP(NAME, op, traits, infer, eval, grad, scalar1, scalar2, ...)                                   \
    static const mil_param_info params_##op[] = {__VA_ARGS__};
#include "mil/ops.def"
#undef MIL_OP

const mil_op_info mil_op_table[MIL_OP_COUNT] = {
#define MIL_OP(NAME, op, traits, infer, eval, grad, scalar1, scalar2, ...)                                   \
    {#op, MIL_OP_##NAME, traits,                                                                             \
        (traits)&MIL_TRAIT_LEAF ? 0 : (int)(sizeof params_##op / sizeof *params_##op), params_##op, infer,   \
        eval, grad, scalar1, scalar2},
#include "mil/ops.def"
#undef MIL_OP
};

const mil_op_info *mil_op_find(const char *name) {
    for (int i = 0; i < MIL_OP_COUNT; i++)
        if (strcmp(mil_op_table[i].name, name) == 0) return &mil_op_table[i];
    return NULL;
}

int mil_param_index(const mil_op_info *info, const char *name) {
    for (int i = 0; i < info->n_params; i++)
        if (strcmp(info->params[i].name, name) == 0) return i;
    return -1;
}
