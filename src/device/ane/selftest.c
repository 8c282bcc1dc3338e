/* selftest.c - the machine's facts, found by tiny programs whose results are known. Each probe is a program on surfaces
 * of its own: nothing that is still to be found out is used, but the header, which comes first. A probe that fails is an
 * answer, too: the careful one. */
#include "base/half.h"
#include "device/ane/device.h"
#include "mil/blob.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 64, ROW_BYTES = 2 * WIDTH, SAFE_BYTES = 49152, MOST_INPUTS = 3 };

/* ---- a probe -------------------------------------------------------------------------------------------------------- */

typedef struct probe {
    engine_device *d;
    mil_program *program;
    mil_function *f;
    ane_program *compiled;
    int n_inputs;
    int64_t in_bytes[MOST_INPUTS], out_bytes;
    float in[MOST_INPUTS]; /* what fills the surface that is bound first, second, third */
} probe;

static bool begin(probe *t, engine_device *d) {
    *t = (probe){
        .d = d, .n_inputs = 1, .in_bytes = {SAFE_BYTES, SAFE_BYTES, SAFE_BYTES}, .out_bytes = SAFE_BYTES};
    t->program = mil_program_new(d->facts.dialect, NULL);
    t->f = t->program ? mil_function_new(t->program, "main") : NULL;
    return t->f != NULL;
}

static mil_value input(probe *t, const char *name, int64_t channels) {
    return mil_input(t->f, name, mil_tensor(MIL_FP16, 4, (int64_t[]){1, channels, 1, WIDTH}));
}

/* No other program has the same label, so that no folder is shared. */
static bool compile(probe *t, mil_value y, int n_files, const ane_weight_file *files, ane_error *e) {
    static const char form[] = "anemone_probe_%ld_%lld";
    char label[64];
    snprintf(label, sizeof label, form, (long)getpid(), atomic_fetch_add(&t->d->kernels, 1));
    mil_output(t->f, "result", y);
    if (!mil_program_ok(t->program, e)) return false;
    t->f->ops[t->f->n_ops - 1].label = label;
    char *text = mil_print(t->program, e);
    if (text) t->compiled = ane_program_new(&t->d->budget, text, n_files, files, e);
    free(text);
    return t->compiled != NULL;
}

static ane_surface *filled(const probe *t, int64_t bytes, float value, ane_error *e) {
    ane_surface *s = ane_surface_new(&t->d->fw, (size_t)bytes, e);
    uint16_t *data = s ? ane_surface_lock(s, false, e) : NULL, half = ane_f16_from_f32(value);
    for (int64_t i = 0; data && i < bytes / 2; i++) data[i] = half;
    if (data && ane_surface_unlock(s, false, e)) return s;
    ane_surface_free(s);
    return NULL;
}

/* The first element that the program gives. */
static bool evaluate(probe *t, float *y, ane_error *e) {
    ane_surface *in[MOST_INPUTS] = {NULL}, *out = filled(t, t->out_bytes, -1, e);
    double ms;
    bool ok = out != NULL;
    for (int i = 0; ok && i < t->n_inputs; i++) ok = (in[i] = filled(t, t->in_bytes[i], t->in[i], e)) != NULL;
    ok = ok && ane_program_run(t->compiled, t->n_inputs, in, 1, &out, &ms, e);
    const uint16_t *data = ok ? ane_surface_lock(out, true, e) : NULL;
    if (data) *y = ane_f32_from_f16(data[0]);
    ok = data && ane_surface_unlock(out, true, e);
    for (int i = 0; i < t->n_inputs; i++) ane_surface_free(in[i]);
    ane_surface_free(out);
    return ok;
}

static void end(probe *t) {
    ane_program_free(t->compiled);
    mil_program_free(t->program);
}

/* Compile, run, compare. */
static bool gives(probe *t, mil_value y, float expected, ane_error *e) {
    float found = 0;
    if (!compile(t, y, 0, NULL, e) || !evaluate(t, &found, e)) return false;
    return found == expected || ane_fail(e, ANE_ERROR_DEVICE, "self-test",
                                    "%g came out where %g was expected", (double)found, (double)expected);
}

/* ---- the header ----------------------------------------------------------------------------------------------------- */

static bool doubles(engine_device *d, ane_error *e) {
    probe t;
    bool ok = begin(&t, d);
    t.in[0] = 1.5f;
    ok = ok ? gives(&t, mil_mul_scalar(t.f, input(&t, "x", 16), 2), 3, e)
            : ane_fail(e, ANE_ERROR_MEMORY, "self-test", "no memory for a program");
    end(&t);
    return ok;
}

bool engine_still_works(void *device) {
    ane_error why = {0};
    return doubles(device, &why);
}

/* The first that is taken. */
static bool find_dialect(engine_device *d, ane_error *e) {
    static const mil_dialect ladder[] = {MIL_IOS18, MIL_IOS17, MIL_IOS16, MIL_IOS18_15};
    ane_error first = {0};
    for (size_t i = 0; i < sizeof ladder / sizeof *ladder; i++) {
        ane_error why = {0};
        d->facts.dialect = ladder[i];
        if (doubles(d, &why)) return true;
        if (!first.code) first = why;
    }
    ane_fail(e, first.code, first.where, "%s", first.message);
    return ane_hint(e, "%s", first.hint);
}

/* ---- surfaces ------------------------------------------------------------------------------------------------------- */

static void find_min_surface(engine_device *d) {
    static const int64_t sizes[] = {ROW_BYTES, 2048, 16384};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        probe t;
        ane_error e = {0};
        bool ok = begin(&t, d);
        t.in[0] = 1.5f;
        t.in_bytes[0] = t.out_bytes = sizes[i];
        ok = ok && gives(&t, mil_mul_scalar(t.f, input(&t, "x", 1), 2), 3, &e);
        end(&t);
        if (!ok) continue;
        d->facts.min_surface = sizes[i];
        return;
    }
}

/* 16 b + 4 c + a, declared in that order; a is the largest, c the smallest: all three orders differ everywhere. */
static bool three_inputs(engine_device *d, const float *in, const int64_t *bytes, float *y) {
    probe t;
    ane_error e = {0};
    bool ok = begin(&t, d);
    if (ok) {
        const int32_t from[] = {0, 0, 0, 0}, size[] = {1, 16, 1, WIDTH};
        mil_value b = mil_slice_by_size(t.f, input(&t, "b", 32), from, size), c = input(&t, "c", 16);
        mil_value a = mil_slice_by_size(t.f, input(&t, "a", 48), from, size);
        mil_value sum = mil_add(t.f, mil_mul_scalar(t.f, b, 16), mil_mul_scalar(t.f, c, 4));
        t.n_inputs = MOST_INPUTS;
        memcpy(t.in, in, sizeof t.in);
        if (bytes) memcpy(t.in_bytes, bytes, sizeof t.in_bytes);
        ok = compile(&t, mil_add(t.f, sum, a), 0, NULL, &e) && evaluate(&t, y, &e);
    }
    end(&t);
    return ok;
}

/* Surfaces of one size hold 1, 2 and 3 in the order of binding. */
static void find_order(engine_device *d) {
    static const struct {
        ane_port_order order;
        float y;
    } answers[] = {
        {ANE_ORDER_ALPHABETICAL, 16 * 2 + 4 * 3 + 1}, /* a b c */
        {ANE_ORDER_DECLARED, 16 * 1 + 4 * 2 + 3},     /* b c a */
        {ANE_ORDER_SIZE, 16 * 2 + 4 * 1 + 3},         /* c b a */
    };
    static const float in[MOST_INPUTS] = {1, 2, 3};
    float y = 0;
    if (!three_inputs(d, in, NULL, &y)) return;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        if (answers[i].y == y) d->facts.order = answers[i].order;
}

/* The same with surfaces as large as each must be. */
static void find_equal_sizes(engine_device *d) {
    static const int64_t rows[][MOST_INPUTS] = {[ANE_ORDER_ALPHABETICAL] = {48, 32, 16},
        [ANE_ORDER_DECLARED] = {32, 16, 48},
        [ANE_ORDER_SIZE] = {16, 32, 48}};
    static const float in[MOST_INPUTS] = {1, 1, 1};
    int64_t bytes[MOST_INPUTS], unit = 1 + d->facts.min_surface / ((int64_t)16 * ROW_BYTES);
    float y = 0;
    if (d->facts.order == ANE_ORDER_UNKNOWN) return;
    for (int i = 0; i < MOST_INPUTS; i++) bytes[i] = rows[d->facts.order][i] * ROW_BYTES * unit;
    d->facts.equal_sizes = !(three_inputs(d, in, bytes, &y) && y == 16 + 4 + 1);
}

/* ---- operations ----------------------------------------------------------------------------------------------------- */

/* x [8, 8]^T x [8, 64] of twos: an inner dimension that is no multiple of 32. */
static void find_matmul_inner(engine_device *d) {
    probe t;
    ane_error e = {0};
    bool ok = begin(&t, d);
    if (ok) {
        mil_value x = mil_reshape(t.f, input(&t, "x", 8), 3, (int64_t[]){1, 8, WIDTH});
        t.in[0] = 2;
        mil_value y = mil_matmul(t.f, x, x, true, false); /* [1, 64, 64] */
        ok = gives(&t, mil_reshape(t.f, y, 4, (int64_t[]){1, WIDTH, 1, WIDTH}), 32, &e);
    }
    end(&t);
    d->facts.matmul_inner = ok ? 1 : 32;
}

static void find_conv_weights(engine_device *d) {
    probe t;
    ane_error e = {0};
    bool ok = begin(&t, d);
    if (ok) {
        const int32_t from[] = {0, 0, 0, 0}, size[] = {1, 32, 1, 32};
        mil_value x = input(&t, "x", 32);
        t.in[0] = 1;
        mil_value w = mil_reshape(t.f, mil_slice_by_size(t.f, x, from, size), 4, (int64_t[]){32, 32, 1, 1});
        ok = gives(&t, mil_conv(t.f, x, w), 32, &e);
    }
    end(&t);
    d->facts.conv_weights = ok;
}

/* One row wider than 16,384: height and width end there up to M3. */
static void find_max_width(engine_device *d) {
    enum { WIDE = 32768 };
    probe t;
    ane_error e = {0};
    bool ok = begin(&t, d);
    if (ok) {
        t.in[0] = 1.5f;
        t.in_bytes[0] = t.out_bytes = (int64_t)2 * WIDE;
        mil_value x = mil_input(t.f, "x", mil_tensor(MIL_FP16, 4, (int64_t[]){1, 1, 1, WIDE}));
        ok = gives(&t, mil_mul_scalar(t.f, x, 2), 3, &e);
    }
    end(&t);
    d->facts.max_width = ok ? 65536 : 16384;
}

/* ---- reload --------------------------------------------------------------------------------------------------------- */

/* A conv of one channel whose weight is 2, then 3. */
static void find_reload(engine_device *d) {
    struct {
        mil_blob_header header;
        mil_blob_metadata metadata;
        uint16_t data[32];
    } blob = {{.count = 1, .version = MIL_BLOB_VERSION},
        {.sentinel = MIL_BLOB_SENTINEL, .type = mil_blob_type_code(MIL_FP16), .bytes = 2, .data_offset = 128},
        {0}};
    const ane_weight_file file = {"@model_path/weights/w.bin", &blob, sizeof blob};
    probe t;
    ane_error e = {0};
    float y = 0;
    bool ok = begin(&t, d);
    if (ok) {
        blob.data[0] = ane_f16_from_f32(2);
        t.in[0] = 1;
        mil_value w = mil_const_blob(t.f, mil_tensor(MIL_FP16, 4, (int64_t[]){1, 1, 1, 1}), file.path, 64);
        ok = compile(&t, mil_conv(t.f, input(&t, "x", 1), w), 1, &file, &e) && evaluate(&t, &y, &e) && y == 2;
        blob.data[0] = ane_f16_from_f32(3);
        ok = ok && ane_program_reload(t.compiled, 1, &file, &e) && evaluate(&t, &y, &e) && y == 3;
    }
    end(&t);
    d->facts.reload = ok;
}

/* ---- all ------------------------------------------------------------------------------------------------------------ */

bool engine_self_test(engine_device *d, ane_error *e) {
    if (!find_dialect(d, e)) return false;
    find_min_surface(d);
    find_order(d);
    find_equal_sizes(d);
    find_matmul_inner(d);
    find_conv_weights(d);
    find_max_width(d);
    find_reload(d);
    return true;
}

static const char *const dialect_names[] = {[MIL_IOS16] = "program(1.0) ios16",
    [MIL_IOS17] = "program(1.3) ios17",
    [MIL_IOS18] = "program(1.3) ios18",
    [MIL_IOS18_15] = "program(1.5) ios18"};
static const char *const order_names[] = {[ANE_ORDER_UNKNOWN] = "unknown",
    [ANE_ORDER_ALPHABETICAL] = "alphabetical",
    [ANE_ORDER_DECLARED] = "declared",
    [ANE_ORDER_SIZE] = "size"};

char *engine_facts_print(const engine_device *d) {
    static const char *const boolean[] = {"false", "true"};
    const ane_facts *f = &d->facts;
    enum { ROOM = 1024 };
    char *text = malloc(ROOM);
    if (!text) return NULL;
    snprintf(text, ROOM,
        "{\"emulated\": %s, \"dialect\": \"%s\", \"order\": \"%s\", \"equal_sizes\": %s, \"conv_weights\": "
        "%s,\n"
        " \"reload\": %s, \"min_surface\": %lld, \"row_alignment\": %lld, \"max_width\": %lld, "
        "\"matmul_inner\": %lld}\n",
        boolean[d->fw.emulated], dialect_names[f->dialect], order_names[f->order], boolean[f->equal_sizes],
        boolean[f->conv_weights], boolean[f->reload], (long long)f->min_surface, (long long)f->row_alignment,
        (long long)f->max_width, (long long)f->matmul_inner);
    return text;
}
