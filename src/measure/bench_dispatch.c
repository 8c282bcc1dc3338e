/* bench_dispatch.c - dispatch: what one call costs (inmem_bench), through a package and through MIL text that were written
 * and read back, as users' programs come. */
#include "measure/harness.h"
#include "measure/programs.h"
#include "measure/scratch.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

enum { POSITIONS = 64, LARGEST_QUICK = 256, IN_TEXT = 16 };
static const int channels[] = {256, 512, 1024, 2048, 3072, 4096};

static void cases(ane_bench *b, json_t *list) {
    static const char *const sources[] = {"package", "text"};
    ane_case_add(list, json_pack("{s:s, s:i}", "source", "built", "channels", 0), "empty");
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
            if (b->options.quick && channels[i] > LARGEST_QUICK) continue;
            ane_case_add(list,
                json_pack(
                    "{s:s, s:i, s:i}", "source", sources[s], "channels", channels[i], "positions", POSITIONS),
                "%d-%s", channels[i], sources[s]);
        }
}

/* One vector passed through: what is left is the call. */
static mil_program *empty(mil_dtype dtype, ane_error *e) {
    mil_program *p = mil_program_new(MIL_IOS18, e);
    if (!p) return NULL;
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", mil_tensor(dtype, 4, (int64_t[]){1, 1, 1, 32}));
    mil_output(f, "y", mil_add_scalar(f, x, 1));
    if (mil_program_ok(p, e)) return p;
    mil_program_free(p);
    return NULL;
}

static mil_program *through_package(const mil_program *p, const char *folder, ane_error *e) {
    char *path = ane_join_path(folder, "case.mlpackage");
    mil_program *back = NULL;
    if (!path)
        ane_fail(e, ANE_ERROR_MEMORY, "bench", "out of memory");
    else if (mil_package_write(p, path, e))
        back = mil_package_read(path, e);
    free(path);
    return back;
}

/* Weights go to a file of their own beside the text. */
static mil_program *through_text(mil_program *p, const char *folder, ane_error *e) {
    char *text = mil_program_store_blobs(p, folder, "weight.bin", IN_TEXT, e) ? mil_print(p, e) : NULL;
    mil_program *back = text ? mil_parse(text, strlen(text), "case.mil", e) : NULL;
    free(text);
    if (!back || mil_program_load_blobs(back, folder, e)) return back;
    mil_program_free(back);
    return NULL;
}

static mil_program *program(ane_bench *b, const json_t *row, ane_error *e) {
    const int64_t n = ane_row_int(row, "channels");
    const mil_dtype dtype = b->capabilities->activation_dtype;
    if (n == 0) return empty(dtype, e);
    const ane_conv1 conv = {.in = n, .out = n, .positions = POSITIONS, .dtype = dtype};
    char *folder = ane_scratch_new(e);
    mil_program *p = folder ? ane_program_conv(&conv, e) : NULL, *back = NULL;
    bool package = strcmp(ane_row_text(row, "source"), "package") == 0;
    if (p) back = package ? through_package(p, folder, e) : through_text(p, folder, e);
    mil_program_free(p);
    ane_scratch_free(folder);
    return back;
}

static bool run(ane_bench *b, json_t *row, ane_error *e) {
    mil_program *p = program(b, row, e);
    bool ok = p && ane_bench_program(b, p, NULL, row, e);
    mil_program_free(p);
    double n = (double)ane_row_int(row, "channels");
    if (ok)
        ane_row_metric(
            row, "weights_mb", n * n * mil_dtype_bits(b->capabilities->activation_dtype) / 8 / (1 << 20));
    return ok;
}

const ane_benchmark ane_bench_dispatch = {
    .info = {"dispatch", "what one call costs, by the size of one convolution", "inmem_bench"},
    .cases = cases,
    .run = run,
};
