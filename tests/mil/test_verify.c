/* The verifier finds each kind of damage. Programs are open structs, so tests break them by hand. */
#include "support/support.h"

#include "mil/ops.h"

#include <string.h>

/* y = (x + w) * 2 in "main": a sound program to damage. */
static mil_program *sound(void) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_type t = mil_tensor(MIL_FP32, 2, (int64_t[]){2, 3});
    mil_value h = mil_name(f, mil_add(f, mil_input(f, "x", t), mil_param(f, "w", t)), "h");
    mil_output(f, "y", mil_mul_scalar(f, h, 2));
    assert_ok(mil_verify(p, &e), &e);
    return p;
}

static mil_operation *op_of(mil_function *f, const char *name) {
    return &f->ops[f->values[mil_find(f, name)].op];
}

static void assert_damaged(mil_program *p, ane_code code, const char *part) {
    ane_error e = {0};
    assert_false(mil_verify(p, &e));
    assert_error(&e, code, part);
    assert_false(mil_program_ok(p, NULL));
    mil_program_free(p);
}

static void test_empty(void **state) {
    (void)state;
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    assert_damaged(p, ANE_ERROR_ARGUMENT, "no function");
    p = mil_program_new(MIL_IOS18, &e);
    mil_input(mil_function_new(p, "main"), "x", mil_scalar(MIL_FP32));
    assert_damaged(p, ANE_ERROR_ARGUMENT, "no outputs");
}

static void test_types(void **state) {
    (void)state;
    mil_program *p = sound();
    mil_function *f = p->functions[0];
    f->values[mil_find(f, "y")].type.dim[1] = 4;
    assert_damaged(
        p, ANE_ERROR_SHAPE, "\"y\" is declared tensor<fp32, [2, 4]>; expected tensor<fp32, [2, 3]>");
    p = sound();
    f = p->functions[0];
    f->values[mil_find(f, "y")].type.dtype = MIL_FP16;
    assert_damaged(p, ANE_ERROR_TYPE, "is declared tensor<fp16, [2, 3]>");
    p = sound();
    f = p->functions[0];
    f->values[mil_find(f, "x")].type.dim[1] = 5;
    assert_damaged(p, ANE_ERROR_SHAPE, "do not broadcast");
    p = sound();
    f = p->functions[0];
    f->values[mil_find(f, "x")].type.rank = 40;
    assert_damaged(p, ANE_ERROR_SHAPE, "rank 40");
}

/* The place: function and operation, or line and column when the program came from a text. */
static void test_places(void **state) {
    (void)state;
    mil_program *p = sound();
    mil_function *f = p->functions[0];
    f->values[mil_find(f, "h")].type.rank = 1;
    assert_damaged(p, ANE_ERROR_SHAPE, "main: add \"h\"");
    p = sound();
    f = p->functions[0];
    f->values[mil_find(f, "h")].type.rank = 1;
    op_of(f, "h")->line = 12;
    op_of(f, "h")->column = 5;
    op_of(f, "h")->label = "the sum";
    assert_damaged(p, ANE_ERROR_SHAPE, "12:5: add \"the sum\"");
}

static void test_order(void **state) {
    (void)state;
    mil_program *p = sound();
    mil_function *f = p->functions[0];
    int32_t add = f->values[mil_find(f, "h")].op, mul = f->values[mil_find(f, "y")].op;
    mil_operation swapped = f->ops[add];
    f->ops[add] = f->ops[mul];
    f->ops[mul] = swapped;
    assert_damaged(p, ANE_ERROR_ARGUMENT, "uses \"h\" before it is defined");
    p = sound();
    f = p->functions[0];
    op_of(f, "h")->args[0].values[0] = 1000;
    assert_damaged(p, ANE_ERROR_ARGUMENT, "uses \"?\" before it is defined");
    p = sound();
    f = p->functions[0];
    op_of(f, "h")->args[0].values[0] = mil_find(f, "h"); /* itself */
    assert_damaged(p, ANE_ERROR_ARGUMENT, "uses \"h\" before it is defined");
}

static void test_definitions(void **state) {
    (void)state;
    mil_program *p = sound();
    mil_function *f = p->functions[0];
    op_of(f, "y")->results[0] = mil_find(f, "h");
    assert_damaged(p, ANE_ERROR_ARGUMENT, "main: h");
    p = sound();
    f = p->functions[0];
    f->inputs[0] = -5;
    assert_damaged(p, ANE_ERROR_ARGUMENT, "does not exist");
    p = sound();
    f = p->functions[0];
    f->n_inputs = 0;
    assert_damaged(p, ANE_ERROR_ARGUMENT, "uses \"x\" before");
    p = sound();
    f = p->functions[0];
    f->n_ops--;
    assert_damaged(p, ANE_ERROR_ARGUMENT, "nothing defines the value");
    p = sound();
    f = p->functions[0];
    f->values[mil_find(f, "y")].op = 0;
    assert_damaged(p, ANE_ERROR_ARGUMENT, "another operation as its maker");
}

static void test_names(void **state) {
    (void)state;
    mil_program *p = sound();
    mil_function *f = p->functions[0];
    f->values[mil_find(f, "h")].name = "x";
    assert_damaged(p, ANE_ERROR_ARGUMENT, "two values have this name");
    p = sound();
    f = p->functions[0];
    f->values[mil_find(f, "h")].name = "";
    assert_damaged(p, ANE_ERROR_ARGUMENT, "no name");
    p = sound();
    f = p->functions[0];
    f->values[mil_find(f, "h")].name = NULL;
    assert_damaged(p, ANE_ERROR_ARGUMENT, "a value without a name");
}

static void test_outputs(void **state) {
    (void)state;
    mil_program *p = sound();
    p->functions[0]->outputs[0] = 1000;
    assert_damaged(p, ANE_ERROR_ARGUMENT, "the output is not defined");
    p = sound();
    mil_function *f = p->functions[0];
    mil_output(f, "z", mil_exp(f, mil_find(f, "h")));
    f->outputs[1] = f->outputs[0];
    assert_damaged(p, ANE_ERROR_ARGUMENT, "stands twice");
}

static void test_constants(void **state) {
    (void)state;
    mil_constant empty = {0};
    mil_program *p = sound();
    mil_function *f = p->functions[0];
    mil_value k = op_of(f, "y")->args[1].values[0];
    f->values[k].constant = &empty;
    assert_damaged(p, ANE_ERROR_ARGUMENT, "the constant has no value");
    p = sound();
    f = p->functions[0];
    f->values[k].constant = NULL;
    assert_damaged(p, ANE_ERROR_ARGUMENT, "a const without a value");
    p = sound();
    f = p->functions[0];
    f->values[mil_find(f, "h")].constant = f->values[k].constant;
    assert_damaged(p, ANE_ERROR_ARGUMENT, "made by something else than const");
}

static void test_operations(void **state) {
    (void)state;
    mil_program *p = sound();
    op_of(p->functions[0], "h")->opcode = 1000;
    assert_damaged(p, ANE_ERROR_ARGUMENT, "is damaged");
    p = sound();
    op_of(p->functions[0], "h")->info = &mil_op_table[MIL_OP_SUB];
    assert_damaged(p, ANE_ERROR_ARGUMENT, "is damaged");
    p = sound();
    op_of(p->functions[0], "h")->args[1].n = 0;
    assert_damaged(p, ANE_ERROR_ARGUMENT, "y is missing");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_definitions),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_constants),
        cmocka_unit_test(test_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
