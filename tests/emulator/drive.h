/* drive.h - driving the emulated framework as a C program drives Apple's: dlopen, dlsym, objc_msgSend. */
#ifndef ANEMONE_TESTS_EMULATOR_DRIVE_H
#define ANEMONE_TESTS_EMULATOR_DRIVE_H

#include "support/support.h"

#include "base/file.h"
#include "base/half.h"
#include "emulator/emulator.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef ANEMONE_EMULATOR_LIBRARY
#define ANEMONE_EMULATOR_LIBRARY "" /* not built: tests are skipped */
#endif

typedef void *oid;
typedef unsigned char obool;

static void *em_library;

static inline void *em_symbol(const char *name) {
    void *symbol = dlsym(em_library, name);
    if (!symbol) fail_msg("%s is not exported", name);
    return symbol;
}

/* FUNCTION(type, name): a function of the library, by name. */
#define FUNCTION(type, name) (*(__typeof__(type) *)(void *[]){em_symbol(name)})

static inline oid em_class(const char *name) {
    typedef oid get_class(const char *);
    return FUNCTION(get_class *, "objc_getClass")(name);
}

static inline void *em_selector(const char *name) {
    typedef void *get_selector(const char *);
    return FUNCTION(get_selector *, "sel_registerName")(name);
}

/* SEND(result, (types of arguments after receiver and selector), receiver, "selector:", ...) */
#define SEND(R, TYPES, receiver, name, ...)                                                                  \
    (FUNCTION(R(*) TYPES, "objc_msgSend")((receiver), em_selector(name), ##__VA_ARGS__))
#define CALL0(R, receiver, name) SEND(R, (oid, void *), receiver, name)

static inline oid em_text(const char *text) {
    return SEND(oid, (oid, void *, const char *), em_class("NSString"), "stringWithUTF8String:", text);
}

static inline const char *em_utf8(oid string) {
    return CALL0(const char *, string, "UTF8String");
}

static inline oid em_int(long long value) {
    return SEND(oid, (oid, void *, long long), em_class("NSNumber"), "numberWithLongLong:", value);
}

static inline oid em_list(int n, const oid *items) {
    return SEND(oid, (oid, void *, const oid *, unsigned long), em_class("NSArray"),
        "arrayWithObjects:count:", items, (unsigned long)n);
}

static inline oid em_table(int n, const oid *keys, const oid *values) {
    return SEND(oid, (oid, void *, const oid *, const oid *, unsigned long), em_class("NSDictionary"),
        "dictionaryWithObjects:forKeys:count:", values, keys, (unsigned long)n);
}

static inline oid em_bytes(const void *bytes, size_t size) {
    return SEND(oid, (oid, void *, const void *, unsigned long), em_class("NSData"),
        "dataWithBytes:length:", bytes, (unsigned long)size);
}

static inline oid em_get(oid table, const char *key) {
    return SEND(oid, (oid, void *, oid), table, "objectForKey:", em_text(key));
}

static inline oid em_item(oid list, unsigned long index) {
    return SEND(oid, (oid, void *, unsigned long), list, "objectAtIndex:", index);
}

static inline unsigned long em_count(oid collection) {
    return CALL0(unsigned long, collection, "count");
}

static inline const char *em_error_text(oid error) {
    return error ? em_utf8(CALL0(oid, error, "localizedDescription")) : "";
}

static inline void assert_text(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("expected \"%s\" in \"%s\"", part, text);
}

static inline bool em_configure(const char *text) {
    typedef bool configure(const char *);
    return FUNCTION(configure *, "anemone_emulator_configure")(text);
}

static inline const char *em_message(void) {
    typedef const char *message(void);
    return FUNCTION(message *, "anemone_emulator_message")();
}

static inline anemone_emulator_counts em_counts(void) {
    typedef void get(anemone_emulator_counts *);
    anemone_emulator_counts counts;
    FUNCTION(get *, "anemone_emulator_counts_get")(&counts);
    return counts;
}

/* ---- setup of each test: the library, an autorelease pool, a private temporary folder ---- */

static inline int em_setup_group(void **state) {
    (void)state;
    if (!ANEMONE_EMULATOR_LIBRARY[0]) return 0;
    setenv("TMPDIR", test_folder(), 1); /* Apple's Foundation looks here, GNUstep's there */
    setenv("TEMP", test_folder(), 1);
    unsetenv("ANEMONE_EMULATOR");
    em_library = dlopen(ANEMONE_EMULATOR_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!em_library) print_error("%s\n", dlerror());
    return em_library ? 0 : -1;
}

static inline int em_setup(void **state) {
    if (!em_library) return 0;
    *state = CALL0(oid, CALL0(oid, em_class("NSAutoreleasePool"), "alloc"), "init");
    return em_configure(NULL) ? 0 : -1;
}

static inline int em_teardown(void **state) {
    if (em_library && *state) CALL0(void, *state, "release");
    return 0;
}

#define EM_TEST(function) cmocka_unit_test_setup_teardown(function, em_setup, em_teardown)
#define EM_NEEDS_LIBRARY()                                                                                   \
    do {                                                                                                     \
        if (!em_library) {                                                                                   \
            print_message("GNUstep was not found, so the emulator is not built\n");                          \
            skip();                                                                                          \
        }                                                                                                    \
    } while (0)

/* Run this program again with one argument; its exit status. */
static inline int em_run_self(const char *argument) {
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = 0;
    pid_t child = fork();
    if (child == 0) {
        execl(self, self, argument, (char *)NULL);
        _exit(99);
    }
    int status = 0;
    assert_true(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* ---- models ---- */

typedef struct em_weight {
    const char *name; /* "w.bin", below weights/ */
    const void *bytes;
    size_t size;
} em_weight;

static inline oid em_weight_table(int n, const em_weight *weights) {
    oid keys[8], values[8];
    for (int i = 0; i < n; i++) {
        char path[256];
        snprintf(path, sizeof path, "@model_path/weights/%s", weights[i].name);
        oid names[] = {em_text("offset"), em_text("data")},
            entry[] = {em_int(0), em_bytes(weights[i].bytes, weights[i].size)};
        keys[i] = em_text(path);
        values[i] = em_table(2, names, entry);
    }
    return em_table(n, keys, values);
}

static inline oid em_descriptor(const char *mil, oid weights) {
    return SEND(oid, (oid, void *, oid, oid, oid), em_class("_ANEInMemoryModelDescriptor"),
        "modelWithMILText:weights:optionsPlist:", em_bytes(mil, strlen(mil)), weights, NULL);
}

static inline oid em_model_with(oid descriptor) {
    return SEND(
        oid, (oid, void *, oid), em_class("_ANEInMemoryModel"), "inMemoryModelWithDescriptor:", descriptor);
}

/* <temporary folder>/<identifier>, as the framework looks for it. */
static inline const char *em_folder(oid model) {
    typedef oid temporary(void);
    static _Thread_local char folder[2048];
    snprintf(folder, sizeof folder, "%s/%s", em_utf8(FUNCTION(temporary *, "NSTemporaryDirectory")()),
        em_utf8(CALL0(oid, model, "hexStringIdentifier")));
    return folder;
}

static inline void em_write_file(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static inline void em_write_sources(oid model, const char *mil, int n, const em_weight *weights) {
    ane_error e = {0};
    char path[4096];
    snprintf(path, sizeof path, "%s/weights", em_folder(model));
    assert_ok(ane_make_folders(path, &e), &e);
    snprintf(path, sizeof path, "%s/model.mil", em_folder(model));
    em_write_file(path, mil, strlen(mil));
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/weights/%s", em_folder(model), weights[i].name);
        em_write_file(path, weights[i].bytes, weights[i].size);
    }
}

static inline oid em_make_model(const char *mil, int n, const em_weight *weights) {
    oid model = em_model_with(em_descriptor(mil, em_weight_table(n, weights)));
    assert_non_null(model);
    em_write_sources(model, mil, n, weights);
    return model;
}

static inline bool em_stage(oid model, const char *selector, oid *error) {
    *error = NULL;
    return SEND(
        obool, (oid, void *, unsigned, oid, oid *), model, selector, 21, em_table(0, NULL, NULL), error);
}

static inline bool em_compile(oid model, oid *error) {
    return em_stage(model, "compileWithQoS:options:error:", error);
}

static inline bool em_load(oid model, oid *error) {
    return em_stage(model, "loadWithQoS:options:error:", error);
}

static inline bool em_unload(oid model, oid *error) {
    *error = NULL;
    return SEND(obool, (oid, void *, unsigned, oid *), model, "unloadWithQoS:error:", 21, error);
}

static inline oid em_ready(const char *mil, int n, const em_weight *weights) {
    oid model = em_make_model(mil, n, weights), error;
    if (!em_compile(model, &error) || !em_load(model, &error)) fail_msg("%s", em_error_text(error));
    return model;
}

/* ---- surfaces: fp16, filled from floats ---- */

static inline oid em_surface(size_t bytes) {
    typedef oid create(oid);
    static const char *const names[] = {"kIOSurfaceWidth", "kIOSurfaceHeight", "kIOSurfaceBytesPerElement",
        "kIOSurfaceBytesPerRow", "kIOSurfaceAllocSize", "kIOSurfacePixelFormat"};
    oid keys[6], values[] = {em_int((long long)bytes), em_int(1), em_int(1), em_int((long long)bytes),
                     em_int((long long)bytes), em_int(0)};
    for (int i = 0; i < 6; i++) keys[i] = *(oid *)em_symbol(names[i]);
    return FUNCTION(create *, "IOSurfaceCreate")(em_table(6, keys, values));
}

static inline void em_surface_free(oid surface) {
    typedef void release(oid);
    FUNCTION(release *, "CFRelease")(surface);
}

static inline void *em_base(oid surface) {
    typedef void *base(oid);
    return FUNCTION(base *, "IOSurfaceGetBaseAddress")(surface);
}

static inline void em_fill(oid surface, int n, float first, float step) {
    uint16_t *x = em_base(surface);
    for (int i = 0; i < n; i++) x[i] = ane_f16_from_f32(first + step * (float)i);
}

static inline float em_at(oid surface, int i) {
    return ane_f32_from_f16(((const uint16_t *)em_base(surface))[i]);
}

static inline oid em_wrap(oid surface) {
    return SEND(oid, (oid, void *, oid), em_class("_ANEIOSurfaceObject"), "objectWithIOSurface:", surface);
}

static inline oid em_indices(int n) {
    oid numbers[16];
    for (int i = 0; i < n; i++) numbers[i] = em_int(i);
    return em_list(n, numbers);
}

static inline oid em_request_of(
    int n_in, const oid *in, int n_out, const oid *out, oid weights, oid stats, long long procedure) {
    oid inputs[16], outputs[16];
    for (int i = 0; i < n_in; i++) inputs[i] = em_wrap(in[i]);
    for (int i = 0; i < n_out; i++) outputs[i] = em_wrap(out[i]);
    return SEND(oid, (oid, void *, oid, oid, oid, oid, oid, oid, oid), em_class("_ANERequest"),
        "requestWithInputs:inputIndices:outputs:outputIndices:weightsBuffer:perfStats:procedureIndex:",
        em_list(n_in, inputs), em_indices(n_in), em_list(n_out, outputs), em_indices(n_out), weights, stats,
        em_int(procedure));
}

static inline bool em_evaluate_qos(oid model, oid request, unsigned qos, oid *error) {
    *error = NULL;
    return SEND(obool, (oid, void *, unsigned, oid, oid, oid *), model,
        "evaluateWithQoS:options:request:error:", qos, em_table(0, NULL, NULL), request, error);
}

static inline bool em_evaluate(oid model, oid request, oid *error) {
    return em_evaluate_qos(model, request, 21, error);
}

/* ---- programs ---- */

#define EM_HEADER(version, opset)                                                                            \
    "program(" version ")\n[buildInfo = dict<string, string>({{\"coremlc-component-MIL\", \"3510.2.1\"}, "   \
    "{\"coremlc-version\", \"3505.4.1\"}})]\n{\n    func main<" opset ">"
#define EM_IOS18 EM_HEADER("1.3", "ios18")

/* y = w x, a 1x1 convolution of 32 channels on 64 positions. */
#define EM_CONV_CONSTANTS                                                                                    \
    "        string pt = const()[name=string(\"pt\"), val=string(\"valid\")];\n"                             \
    "        tensor<int32, [2]> st = const()[name=string(\"st\"), val=tensor<int32, [2]>([1,1])];\n"         \
    "        tensor<int32, [4]> pd = const()[name=string(\"pd\"), val=tensor<int32, [4]>([0,0,0,0])];\n"     \
    "        tensor<int32, [2]> dl = const()[name=string(\"dl\"), val=tensor<int32, [2]>([1,1])];\n"         \
    "        int32 gr = const()[name=string(\"gr\"), val=int32(1)];\n"
#define EM_CONV_ON(header)                                                                                   \
    header "(tensor<fp16, [1, 32, 1, 64]> x) {\n" EM_CONV_CONSTANTS                                          \
           "        tensor<fp16, [32, 32, 1, 1]> w = const()[name=string(\"w\"), val=tensor<fp16, [32, 32, " \
           "1, 1]>(BLOBFILE(path = string(\"@model_path/weights/w.bin\"), offset = uint64(64)))];\n"         \
           "        tensor<fp16, [1, 32, 1, 64]> y = conv(dilations=dl, groups=gr, pad=pd, pad_type=pt, "    \
           "strides=st, weight=w, x=x)[name=string(\"y\")];\n    } -> (y);\n}\n"
#define EM_CONV EM_CONV_ON(EM_IOS18)
enum { EM_CHANNELS = 32, EM_WIDTH = 64, EM_ELEMENTS = EM_CHANNELS * EM_WIDTH, EM_BYTES = 2 * EM_ELEMENTS };

/* A blob file with `factor` times the identity, [32, 32, 1, 1]. */
enum { EM_BLOB_BYTES = 128 + 2 * EM_CHANNELS * EM_CHANNELS };
static inline em_weight em_identity(unsigned char *blob, float factor) {
    uint32_t sentinel = 0xDEADBEEF;
    uint64_t bytes = EM_BLOB_BYTES - 128, offset = 128;
    uint16_t diagonal = ane_f16_from_f32(factor);
    memset(blob, 0, EM_BLOB_BYTES);
    blob[0] = 1;
    blob[4] = 2;
    memcpy(blob + 64, &sentinel, sizeof sentinel);
    blob[68] = 1;
    memcpy(blob + 72, &bytes, sizeof bytes);
    memcpy(blob + 80, &offset, sizeof offset);
    for (int i = 0; i < EM_CHANNELS; i++)
        memcpy(blob + 128 + 2 * (i * EM_CHANNELS + i), &diagonal, sizeof diagonal);
    return (em_weight){"w.bin", blob, EM_BLOB_BYTES};
}

#endif
