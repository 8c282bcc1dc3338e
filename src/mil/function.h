/* function.h - how a function stores its values, operations and names. Private to src/mil.
 *
 * Arrays grow by doubling inside the program's arena: an old array stays where it was, so a pointer from
 * mil_type_of() never dangles.
 */
#ifndef ANEMONE_MIL_FUNCTION_H
#define ANEMONE_MIL_FUNCTION_H

#include "mil/ops.h"

/* A name ever seen: the value that bears it now (MIL_NONE: free) and the next suffix to try for it. */
typedef struct mil_name_entry {
    const char *name;
    mil_value value;
    int32_t next;
} mil_name_entry;

typedef struct mil_builder { /* mil_function.builder */
    int32_t value_capacity, op_capacity, input_capacity, output_capacity;
    int32_t n_names, name_capacity; /* open addressing; the capacity is a power of two */
    mil_name_entry *names;
} mil_builder;

/* Report that memory ran out; returns false. */
bool mil_no_memory(ane_error *e, const char *where);
/* Make room for element n of an array of `size`-byte elements. */
bool mil_grow(struct ane_arena *arena, void *array, int32_t *capacity, int32_t n, size_t size);

/* True when `type` may be a value's: known element type, dimensions >= 1, a size that fits. */
bool mil_type_check(const mil_type *type, const char *where, ane_error *e);
/* "[1, 2, 3]" into `text`; returns `text`. */
const char *mil_shape_print(const mil_type *t, char *text, size_t size);

/* What compatible generators write into buildInfo, unless it names Apple's compiler already. */
bool mil_program_add_build_info(mil_program *p, ane_error *e);

/* An empty function that belongs to `p` but is not in its list yet. NULL when out of memory (reported). */
mil_function *mil_function_blank(mil_program *p, const char *name, const char *opset, ane_error *e);

/* The entry of a name, made when it is not there; NULL when out of memory. */
mil_name_entry *mil_name_entry_of(mil_function *f, const char *name);
/* Give `v` a name of the form base_N that is free. */
bool mil_name_fresh(mil_function *f, mil_value v, const char *base, ane_error *e);
/* Give `v` exactly this name: another value that bears it is renamed, unless it is an input, a parameter or
 * an output. */
bool mil_name_exact(mil_function *f, mil_value v, const char *name, ane_error *e);

/* Append an operation without arguments whose one result has this type: const and parameter. */
mil_value mil_emit_leaf(mil_function *f, mil_opcode opcode, const mil_type *type);
/* A const operation that shares `constant`, which must live in the program's arena. */
mil_value mil_emit_constant(mil_function *f, const mil_type *type, mil_constant *constant);
/* Append `v` to the outputs; its name is kept as it is. */
bool mil_append_output(mil_function *f, mil_value v);

/* `matmul "scores"` into `text`: the operation and its label or first result. */
const char *mil_op_where(const mil_function *f, const mil_operation *op, char *text, size_t size);
/* Check the arguments against the row and infer the results' types (op->n_results of them). */
bool mil_op_infer(const mil_function *f, const mil_operation *op, mil_type *types, ane_error *e);

#endif
