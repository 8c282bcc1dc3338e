/* Operations that move or unpack elements: the type of the result, and each way to get it wrong. */
#include "mil/infer_cases.h"

/* ---- moving elements ----------------------------------------------------------------------------------- */

static void test_reshape(void **state) {
    (void)state;
    GIVES("tensor<fp32, [4, 6]>", mil_reshape(f, F(2, 3, 4), 2, (int64_t[]){4, -1}));
    GIVES("tensor<fp32, [2, 12]>", call("reshape", "x", F(2, 3, 4), "shape", INTS(2, 12), NULL));
    GIVES("tensor<fp32, [2, 4, 3]>", call("reshape", "x", F(2, 3, 4), "shape", INTS(0, 4, 3), NULL));
    GIVES("tensor<fp32, [1, 1]>", mil_reshape(f, SCALAR(MIL_FP32), 2, (int64_t[]){1, 1}));
    REFUSED("reshape", SHAPE, "x is [2, 3] with 6 elements; shape [4, 2] has 8",
        mil_reshape(f, F(2, 3), 2, (int64_t[]){4, 2}));
    REFUSED("reshape", SHAPE, "shape[1] is -1; expected at least 1, or -1 once",
        mil_reshape(f, F(2, 3), 2, (int64_t[]){-1, -1}));
    REFUSED("reshape", SHAPE, "shape[0] is -2", mil_reshape(f, F(2, 3), 1, (int64_t[]){-2}));
    REFUSED("reshape", SHAPE, "with 6 elements", mil_reshape(f, F(2, 3), 2, (int64_t[]){4, -1}));
    REFUSED("reshape", SHAPE, "shape[0] is", mil_reshape(f, F(2, 3), 1, (int64_t[]){1LL << 40}));
    REFUSED("reshape", ARGUMENT, "shape is missing",
        mil_reshape(f, F(2, 3), 9, (int64_t[]){1, 1, 1, 1, 1, 1, 1, 2, 3}));
    REFUSED("reshape", ARGUMENT, "shape must be a constant whose value is in memory",
        call("reshape", "x", F(2), "shape",
            mil_const_blob(f, mil_tensor(MIL_INT32, 1, (int64_t[]){1}), "@model_path/s.bin", 64), NULL));
}

static void test_expand_and_squeeze(void **state) {
    (void)state;
    GIVES("tensor<fp32, [1, 2, 3, 1]>", mil_expand_dims(f, F(2, 3), 2, (int32_t[]){0, -1}));
    GIVES("tensor<fp32, [1]>", mil_expand_dims(f, SCALAR(MIL_FP32), 1, (int32_t[]){0}));
    REFUSED("expand_dims", SHAPE, "axes is 4; expected between -3 and 2",
        mil_expand_dims(f, F(2, 3), 1, (int32_t[]){4}));
    REFUSED("expand_dims", SHAPE, "the result would have rank 9",
        mil_expand_dims(f, F(1, 1, 1, 1, 1, 1, 1, 1), 1, (int32_t[]){0}));
    REFUSED("expand_dims", ARGUMENT, "axes is missing", mil_expand_dims(f, F(2, 3), 0, NULL));
    GIVES("tensor<fp32, [2, 3]>", mil_squeeze(f, F(1, 2, 1, 3), 0, NULL));
    GIVES("tensor<fp32, [1, 2, 3]>", mil_squeeze(f, F(1, 2, 1, 3), 1, (int32_t[]){-2}));
    GIVES("fp32", mil_squeeze(f, F(1), 0, NULL));
    REFUSED("squeeze", SHAPE, "axis 1 of x is 2; only axes of size 1",
        mil_squeeze(f, F(1, 2), 1, (int32_t[]){1}));
}

static void test_transpose(void **state) {
    (void)state;
    GIVES("tensor<fp32, [4, 2, 3]>", mil_transpose(f, F(2, 3, 4), (int32_t[]){2, 0, 1}));
    GIVES("tensor<fp32, [4, 2, 3]>", mil_transpose(f, F(2, 3, 4), (int32_t[]){-1, -3, 1}));
    REFUSED("transpose", ARGUMENT, "perm names axis 0 twice", mil_transpose(f, F(2, 3), (int32_t[]){0, 0}));
    REFUSED("transpose", SHAPE, "perm is 2; expected between -2 and 1",
        mil_transpose(f, F(2, 3), (int32_t[]){0, 2}));
    REFUSED("transpose", SHAPE, "perm has 3 elements; expected 2",
        call("transpose", "x", F(2, 3), "perm", INTS(0, 1, 2), NULL));
}

static mil_value by_index(mil_value x, int32_t begin, int32_t end, int32_t stride) {
    return mil_slice_by_index(f, x, &begin, &end, &stride);
}

static void test_slices(void **state) {
    (void)state;
    GIVES("tensor<fp32, [1, 2]>", mil_slice_by_size(f, F(2, 3), (int32_t[]){1, 1}, (int32_t[]){1, -1}));
    GIVES("tensor<fp32, [1, 2]>", mil_slice_by_size(f, F(2, 3), (int32_t[]){-1, 0}, (int32_t[]){1, 2}));
    REFUSED("slice_by_size", SHAPE, "axis 1: begin 2 with size 2 does not lie inside the 3 elements",
        mil_slice_by_size(f, F(2, 3), (int32_t[]){0, 2}, (int32_t[]){2, 2}));
    REFUSED("slice_by_size", SHAPE, "axis 0: begin -3",
        mil_slice_by_size(f, F(2), (int32_t[]){-3}, (int32_t[]){1}));
    REFUSED("slice_by_size", SHAPE, "size 0", mil_slice_by_size(f, F(2), (int32_t[]){0}, (int32_t[]){0}));
    REFUSED("slice_by_size", SHAPE, "begin has 1 elements; expected 2",
        call("slice_by_size", "x", F(2, 3), "begin", INTS(0), "size", INTS(1, 1), NULL));
    GIVES("tensor<fp32, [3]>", by_index(F(8), 1, 7, 2));
    GIVES("tensor<fp32, [2]>", by_index(F(8), -2, 100, 1));
    GIVES("tensor<fp32, [8]>", by_index(F(8), 7, -9, -1));
    GIVES("tensor<fp32, [3]>", by_index(F(8), 6, 0, -2));
    REFUSED("slice_by_index", SHAPE, "axis 0: [5:2:1] takes nothing from 8", by_index(F(8), 5, 2, 1));
    REFUSED("slice_by_index", ARGUMENT, "axis 0: stride is 0", by_index(F(8), 0, 8, 0));
    GIVES("tensor<fp32, [2, 4]>",
        call("slice_by_index", "x", F(2, 3, 4), "begin", INTS(9, -1, 2), "end", INTS(9, 9, 0), "begin_mask",
            bools(3, 5), "end_mask", bools(3, 5), "squeeze_mask", bools(3, 2), NULL));
    REFUSED("slice_by_index", SHAPE, "axis 0: begin 5 does not lie inside 3",
        call("slice_by_index", "x", F(3), "begin", INTS(5), "end", INTS(6), "squeeze_mask", bools(1, 1),
            NULL));
    REFUSED("slice_by_index", SHAPE, "end_mask has 2 elements; expected 1",
        call("slice_by_index", "x", F(3), "begin", INTS(0), "end", INTS(1), "end_mask", bools(2, 0), NULL));
}

static mil_value concat(mil_value a, mil_value b, int32_t axis) {
    return mil_concat(f, 2, (mil_value[]){a, b}, axis);
}

static mil_value interleave(mil_value a, mil_value b) {
    mil_value axis = INT(1), yes = BOOL(true), result;
    mil_named_arg args[] = {{"values", 2, (mil_value[]){a, b}}, {"axis", 1, &axis}, {"interleave", 1, &yes}};
    mil_call(f, "concat", 3, args, 1, &result);
    return result;
}

static void test_concat(void **state) {
    (void)state;
    GIVES("tensor<fp32, [2, 7]>", concat(F(2, 3), F(2, 4), -1));
    GIVES("tensor<fp32, [2, 6]>", interleave(F(2, 3), F(2, 3)));
    REFUSED("concat", SHAPE, "expected equal shapes to interleave", interleave(F(2, 3), F(2, 4)));
    REFUSED("concat", SHAPE,
        "values[1] is [3, 3], values[0] is [2, 3]; expected equal shapes but for the axis",
        concat(F(2, 3), F(3, 3), 1));
    REFUSED("concat", SHAPE, "values[1] is [2]", concat(F(2, 3), F(2), 1));
    REFUSED("concat", TYPE, "element types differ", concat(F(2, 3), T(MIL_FP16, 2, 3), 1));
    REFUSED("concat", SHAPE, "axis is 2", concat(F(2, 3), F(2, 3), 2));
    REFUSED("concat", ARGUMENT, "values is missing", mil_concat(f, 0, NULL, 0));
    REFUSED("concat", SHAPE, "the sum along axis 0 does not fit",
        concat(T(MIL_UINT1, 1LL << 62), T(MIL_UINT1, 1LL << 62), 0));
}

/* A split into n results, of which the first is returned. */
static mil_value split(mil_value x, const char *how, mil_value sizes, int n) {
    mil_value axis = INT(1), results[300] = {MIL_NONE};
    mil_named_arg args[] = {{"x", 1, &x}, {how, 1, &sizes}, {"axis", 1, &axis}};
    mil_call(f, "split", 3, args, n, results);
    return results[0];
}

static void test_split(void **state) {
    (void)state;
    mil_value parts[3];
    GIVES("tensor<fp32, [2, 2]>", (mil_split(f, F(2, 6), 3, 1, parts), parts[2]));
    GIVES("tensor<fp32, [2, 1]>", split(F(2, 6), "split_sizes", INTS(1, 5), 2));
    REFUSED("split", SHAPE, "num_splits is 4; expected what divides the 6 elements",
        split(F(2, 6), "num_splits", INT(4), 4));
    REFUSED("split", ARGUMENT, "num_splits is 3, but there are 2 results",
        split(F(2, 6), "num_splits", INT(3), 2));
    REFUSED("split", SHAPE, "must hold 3 sizes", split(F(2, 6), "split_sizes", INTS(1, 5), 3));
    REFUSED("split", SHAPE, "add up to 6", split(F(2, 6), "split_sizes", INTS(1, 4), 2));
    REFUSED("split", SHAPE, "positive", split(F(2, 6), "split_sizes", INTS(-1, 7), 2));
    REFUSED("split", UNSUPPORTED, "300 parts; at most 256", split(F(2, 300), "num_splits", INT(300), 300));
    REFUSED(
        "split", ARGUMENT, "expected at least one result; found 0", split(F(2, 6), "num_splits", INT(3), 0));
}

static void test_tile_and_pad(void **state) {
    (void)state;
    GIVES("tensor<fp32, [4, 3]>", mil_tile(f, F(2, 3), (int32_t[]){2, 1}));
    REFUSED("tile", SHAPE, "reps[1] is 0", mil_tile(f, F(2, 3), (int32_t[]){2, 0}));
    REFUSED(
        "tile", SHAPE, "reps has 1 elements; expected 2", call("tile", "x", F(2, 3), "reps", INTS(2), NULL));
    REFUSED("tile", SHAPE, "too large", mil_tile(f, F(1LL << 28, 1LL << 28), (int32_t[]){8, 1}));
    GIVES("tensor<fp32, [3, 8]>", mil_pad(f, F(2, 3), (int32_t[]){0, 1, 2, 3}, 0));
    GIVES("tensor<fp32, [2, 8]>", call("pad", "x", F(2, 3), "pad", INTS(2, 3), NULL)); /* the last axis */
    GIVES(
        "tensor<fp32, [2, 5]>", call("pad", "x", F(2, 3), "pad", INTS(1, 1), "mode", TEXT("reflect"), NULL));
    REFUSED("pad", SHAPE, "axis 1: a reflection must be shorter than the 3",
        call("pad", "x", F(2, 3), "pad", INTS(3, 0), "mode", TEXT("reflect"), NULL));
    REFUSED("pad", ARGUMENT, "mode \"wrap\" is unknown",
        call("pad", "x", F(2, 3), "pad", INTS(3, 0), "mode", TEXT("wrap"), NULL));
    REFUSED("pad", ARGUMENT, "pad[3] is -1", mil_pad(f, F(2, 3), (int32_t[]){0, 0, 0, -1}, 0));
    REFUSED("pad", SHAPE, "the padded size does not fit",
        call("pad", "x", T(MIL_UINT1, INT64_MAX - 5), "pad", INTS(5, 5), NULL));
    REFUSED("pad", SHAPE, "pad has 3 elements", call("pad", "x", F(2, 3), "pad", INTS(0, 0, 0), NULL));
    REFUSED("pad", SHAPE, "pad has 4 elements", call("pad", "x", F(3), "pad", INTS(0, 0, 0, 0), NULL));
    REFUSED("pad", TYPE, "constant_val is fp16",
        call("pad", "x", F(3), "pad", INTS(0, 0), "constant_val", ZEROS(MIL_FP16, 1), NULL));
}

static void test_gather(void **state) {
    (void)state;
    GIVES("tensor<fp32, [2, 5, 6, 4]>", mil_gather(f, F(2, 3, 4), T(MIL_INT32, 5, 6), 1));
    GIVES("tensor<fp32, [2]>", mil_gather(f, F(2, 3), SCALAR(MIL_INT32), -1));
    GIVES("tensor<fp32, [2, 5, 4]>", call("gather", "x", F(2, 3, 4), "indices", T(MIL_INT32, 2, 5), "axis",
                                         INT(1), "batch_dims", INT(1), NULL));
    REFUSED("gather", SHAPE, "axis is 2", mil_gather(f, F(2, 3), T(MIL_INT32, 5), 2));
    REFUSED("gather", TYPE, "indices", mil_gather(f, F(2, 3), F(5), 0));
    REFUSED("gather", SHAPE, "rank 9", mil_gather(f, F(1, 1, 1, 1, 1), T(MIL_INT32, 1, 1, 1, 1, 1), 0));
    REFUSED("gather", SHAPE, "batch axis 0 is 2 in x, 3 in indices",
        call("gather", "x", F(2, 3, 4), "indices", T(MIL_INT32, 3, 5), "axis", INT(1), "batch_dims", INT(1),
            NULL));
    REFUSED("gather", SHAPE, "batch_dims is 1",
        call("gather", "x", F(2, 3), "indices", T(MIL_INT32, 2), "batch_dims", INT(1), NULL));
}

static void test_scatter(void **state) {
    (void)state;
    GIVES("tensor<fp32, [7, 4]>", mil_scatter(f, F(7, 4), T(MIL_INT32, 5), F(5, 4), 0, "add"));
    REFUSED("scatter", SHAPE, "updates is [5, 3]; expected [5, 4]",
        mil_scatter(f, F(7, 4), T(MIL_INT32, 5), F(5, 3), 0, "add"));
    REFUSED("scatter", ARGUMENT, "mode \"xor\" is unknown",
        mil_scatter(f, F(7, 4), T(MIL_INT32, 5), F(5, 4), 0, "xor"));
    REFUSED("scatter", TYPE, "updates is fp16",
        mil_scatter(f, F(7, 4), T(MIL_INT32, 5), T(MIL_FP16, 5, 4), 0, "add"));
}

/* ---- low precision ------------------------------------------------------------------------------------- */

static void test_quantize(void **state) {
    (void)state;
    GIVES("tensor<int8, [2, 3]>",
        mil_quantize(f, F(2, 3), MIL_INT8, mil_const_float(f, MIL_FP32, 0.5), MIL_NONE));
    GIVES("tensor<uint8, [2, 3]>",
        call("quantize", "input", F(2, 3), "scale", ZEROS(MIL_FP32, 3), "zero_point", ZEROS(MIL_UINT8, 3),
            "axis", INT(1), "output_dtype", TEXT("uint8"), NULL));
    REFUSED("quantize", ARGUMENT, "output_dtype is \"fp16\"",
        mil_quantize(f, F(2), MIL_FP16, mil_const_float(f, MIL_FP32, 1), MIL_NONE));
    REFUSED("quantize", TYPE, "scale is fp16",
        mil_quantize(f, F(2), MIL_INT8, mil_const_float(f, MIL_FP16, 1), MIL_NONE));
    REFUSED("quantize", SHAPE, "scale is [4]; expected a scalar or [3], the size of axis 1",
        call("quantize", "input", F(2, 3), "scale", ZEROS(MIL_FP32, 4), "axis", INT(1), "output_dtype",
            TEXT("int8"), NULL));
    REFUSED("quantize", TYPE, "zero_point is uint8",
        mil_quantize(f, F(2), MIL_INT8, mil_const_float(f, MIL_FP32, 1), ZEROS(MIL_UINT8, 1)));
    GIVES("tensor<fp16, [2, 3]>",
        mil_dequantize(f, T(MIL_INT8, 2, 3), mil_const_float(f, MIL_FP16, 0.5), MIL_NONE));
    REFUSED("dequantize", TYPE, "zero_point is uint8",
        mil_dequantize(f, T(MIL_INT8, 2, 3), mil_const_float(f, MIL_FP16, 1), ZEROS(MIL_UINT8, 1)));
}

static void test_constexpr_affine(void **state) {
    (void)state;
    GIVES("tensor<fp16, [4, 3]>",
        call("constexpr_affine_dequantize", "quantized_data", ZEROS(MIL_INT8, 4, 3), "zero_point",
            ZEROS(MIL_INT8, 4), "scale", ZEROS(MIL_FP16, 4), "axis", INT(0), NULL));
    REFUSED("constexpr_affine_dequantize", SHAPE, "scale is [3]",
        call("constexpr_affine_dequantize", "quantized_data", ZEROS(MIL_INT8, 4, 3), "zero_point",
            ZEROS(MIL_INT8, 4), "scale", ZEROS(MIL_FP16, 3), "axis", INT(0), NULL));
    REFUSED("constexpr_affine_dequantize", ARGUMENT, "must be a constant",
        call("constexpr_affine_dequantize", "quantized_data", T(MIL_INT8, 4, 3), "zero_point",
            ZEROS(MIL_INT8, 4), "scale", ZEROS(MIL_FP16, 4), "axis", INT(0), NULL));
}

static void test_constexpr_lut(void **state) {
    (void)state;
    const char *op = "constexpr_lut_to_dense";
    GIVES("tensor<fp16, [3, 2]>",
        call(op, "indices", ZEROS(MIL_UINT8, 3), "lut", ZEROS(MIL_FP16, 16), "shape", INTS(3, 2), NULL));
    GIVES("tensor<fp16, [4, 6]>",
        call(op, "indices", ZEROS(MIL_UINT4, 4, 6), "lut", ZEROS(MIL_FP16, 2, 1, 16, 1), NULL));
    GIVES("tensor<fp16, [8, 6]>", call(op, "indices", ZEROS(MIL_UINT4, 4, 6), "lut",
                                      ZEROS(MIL_FP16, 1, 1, 16, 2), "vector_axis", INT(0), NULL));
    REFUSED(op, SHAPE, "lut has 5 entries",
        call(op, "indices", ZEROS(MIL_UINT8, 3), "lut", ZEROS(MIL_FP16, 5), "shape", INTS(3, 2), NULL));
    REFUSED(op, SHAPE, "indices holds 4 of uint8; expected 3 bytes: 6 indices of 4 bits",
        call(op, "indices", ZEROS(MIL_UINT8, 4), "lut", ZEROS(MIL_FP16, 16), "shape", INTS(3, 2), NULL));
    REFUSED("shape", SHAPE, "is 0; expected at least 1",
        call(op, "indices", ZEROS(MIL_UINT8, 4), "lut", ZEROS(MIL_FP16, 16), "shape", INTS(3, 0), NULL));
    REFUSED(op, SHAPE, "expected lut [blocks",
        call(op, "indices", ZEROS(MIL_UINT4, 4, 6), "lut", ZEROS(MIL_FP16, 3, 1, 16, 1), NULL));
    REFUSED(op, SHAPE, "expected lut [blocks",
        call(op, "indices", ZEROS(MIL_UINT4, 4, 6), "lut", ZEROS(MIL_FP16, 1, 1, 64, 1), NULL));
    REFUSED(op, SHAPE, "vector_axis is 2; expected between -2 and 1",
        call(op, "indices", ZEROS(MIL_UINT4, 4, 6), "lut", ZEROS(MIL_FP16, 1, 1, 16, 2), "vector_axis",
            INT(2), NULL));
    REFUSED(op, ARGUMENT, "vector_axis is missing",
        call(op, "indices", ZEROS(MIL_UINT4, 4, 6), "lut", ZEROS(MIL_FP16, 1, 1, 16, 2), NULL));
}

static void test_constexpr_blockwise(void **state) {
    (void)state;
    const char *op = "constexpr_blockwise_shift_scale";
    GIVES("tensor<fp16, [4, 6]>",
        call(op, "data", ZEROS(MIL_UINT4, 4, 6), "scale", ZEROS(MIL_FP16, 4, 2), NULL));
    GIVES("tensor<fp16, [4, 6]>", call(op, "data", ZEROS(MIL_UINT4, 4, 6), "scale", ZEROS(MIL_FP16, 1, 1),
                                      "offset", ZEROS(MIL_UINT4, 1, 1), NULL));
    REFUSED(op, SHAPE, "expected each axis of scale to divide data's",
        call(op, "data", ZEROS(MIL_UINT4, 4, 6), "scale", ZEROS(MIL_FP16, 4, 4), NULL));
    REFUSED(op, SHAPE, "scale is [4]",
        call(op, "data", ZEROS(MIL_UINT4, 4, 6), "scale", ZEROS(MIL_FP16, 4), NULL));
    REFUSED(op, TYPE, "offset is int8",
        call(op, "data", ZEROS(MIL_UINT4, 4, 6), "scale", ZEROS(MIL_FP16, 4, 1), "offset",
            ZEROS(MIL_INT8, 4, 1), NULL));
    REFUSED(op, SHAPE, "offset is [1, 1]; expected scale's shape, [4, 1]",
        call(op, "data", ZEROS(MIL_UINT4, 4, 6), "scale", ZEROS(MIL_FP16, 4, 1), "offset",
            ZEROS(MIL_UINT4, 1, 1), NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reshape),
        cmocka_unit_test(test_expand_and_squeeze),
        cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_concat),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_tile_and_pad),
        cmocka_unit_test(test_gather),
        cmocka_unit_test(test_scatter),
        cmocka_unit_test(test_quantize),
        cmocka_unit_test(test_constexpr_affine),
        cmocka_unit_test(test_constexpr_lut),
        cmocka_unit_test(test_constexpr_blockwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
