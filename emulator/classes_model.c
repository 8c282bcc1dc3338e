/* _ANEInMemoryModelDescriptor, _ANEInMemoryModel and _ANEModel: from text and weights to a loaded program. */
#include "base/file.h"
#include "base/sha256.h"
#include "emulator/classes.h"
#include "emulator/state.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- _ANEInMemoryModelDescriptor ---- */

typedef struct em_descriptor {
    Class isa;
    id networkText, weights, optionsPlist;
} em_descriptor;

/* {"offset": number, "data": data} for every weight file. */
static bool weights_are_right(id weights) {
    id keys = em_keys(weights);
    for (unsigned long i = 0; i < em_count(keys); i++) {
        id key = em_at(keys, i), entry = em_get_object(weights, key);
        if (!em_is_kind_of(key, "NSString") || !em_is_kind_of(entry, "NSDictionary")) return false;
        if (!em_is_kind_of(em_get(entry, "data"), "NSData") ||
            !em_is_kind_of(em_get(entry, "offset"), "NSNumber"))
            return false;
    }
    return true;
}

static void count_descriptor(anemone_emulator_counts *counts, const void *context) {
    (void)context;
    counts->descriptors++;
}

static id descriptor_with(Class class, SEL selector, id text, id weights, id options) {
    (void)selector;
    if (em_state_enter(EM_STAGE_DESCRIPTOR, NULL) != EM_FAULT_NONE || em_state_refused()) return nil;
    if (!weights)
        em_raise("-[_ANEInMemoryModelDescriptor initWithNetworkText:weights:optionsPlist:]: weights is nil");
    if (!em_is_kind_of(text, "NSData") || !em_is_kind_of(weights, "NSDictionary") ||
        !weights_are_right(weights))
        return nil;
    if (em_count(weights) == 0 && em_quirk_value(EM_QUIRK_EMPTY_WEIGHTS) == EM_REFUSED) return nil;
    em_descriptor *d = (em_descriptor *)em_new(class);
    em_set(&d->networkText, text);
    em_set(&d->weights, weights);
    em_set(&d->optionsPlist, options);
    em_state_count(count_descriptor, NULL);
    return (id)d;
}

static void descriptor_dealloc(em_descriptor *d, SEL selector) {
    (void)selector;
    em_release(d->networkText);
    em_release(d->weights);
    em_release(d->optionsPlist);
    em_super_dealloc((id)d);
}

static id descriptor_text(em_descriptor *d, SEL selector) {
    (void)selector;
    return d->networkText;
}

static id descriptor_weights(em_descriptor *d, SEL selector) {
    (void)selector;
    return d->weights;
}

static id descriptor_options(em_descriptor *d, SEL selector) {
    (void)selector;
    return d->optionsPlist;
}

static BOOL descriptor_is_mil(em_descriptor *d, SEL selector) {
    (void)d, (void)selector;
    return YES;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Name and bytes of every weight file, in the order of the names. */
static void hash_weights(ane_sha256 *h, id weights) {
    id keys = em_keys(weights);
    unsigned long n = em_count(keys);
    const char **names = calloc(n + 1, sizeof *names);
    for (unsigned long i = 0; names && i < n; i++) names[i] = em_text(em_at(keys, i));
    if (names) qsort(names, n, sizeof *names, by_text);
    for (unsigned long i = 0; names && i < n; i++) {
        size_t size;
        const void *bytes = em_data_bytes(em_get(em_get(weights, names[i]), "data"), &size);
        ane_sha256_add(h, names[i], strlen(names[i]) + 1);
        ane_sha256_add(h, bytes, size);
    }
    free(names);
}

/* Digests of text, options and weights, joined by _. */
static id descriptor_hex(em_descriptor *d, SEL selector) {
    (void)selector;
    enum { DIGEST = 64 };
    char text[3 * (DIGEST + 1)], *digest = text;
    for (int part = 0; part < 3; part++, digest += DIGEST + 1) {
        ane_sha256 h;
        size_t size = 0;
        ane_sha256_start(&h);
        if (part == 2) {
            hash_weights(&h, d->weights);
        } else {
            id data = part == 0 ? d->networkText : d->optionsPlist;
            const void *bytes = em_is_kind_of(data, "NSData") ? em_data_bytes(data, &size) : NULL;
            if (bytes) ane_sha256_add(&h, bytes, size);
        }
        ane_sha256_end(&h, digest);
        if (part < 2) digest[DIGEST] = '_';
    }
    return em_string(text);
}

static const em_ivar descriptor_ivars[] = {
    EM_IVAR(em_descriptor, "_networkText", "@", networkText),
    EM_IVAR(em_descriptor, "_weights", "@", weights),
    EM_IVAR(em_descriptor, "_optionsPlist", "@", optionsPlist),
    {0},
};
static const em_method descriptor_methods[] = {
    EM_CLASS_METHOD("modelWithMILText:weights:optionsPlist:", descriptor_with, "@@:@@@"),
    EM_METHOD("dealloc", descriptor_dealloc, "v@:"),
    EM_METHOD("networkText", descriptor_text, "@@:"),
    EM_METHOD("weights", descriptor_weights, "@@:"),
    EM_METHOD("optionsPlist", descriptor_options, "@@:"),
    EM_METHOD("isMILModel", descriptor_is_mil, "C@:"),
    EM_METHOD("hexStringIdentifier", descriptor_hex, "@@:"),
    {0},
};

/* ---- _ANEInMemoryModel: its instance variables lie where they were recorded (ane-infer, macOS 26.3) ---- */

typedef struct in_memory {
    Class isa;
    char queue_depth;
    BOOL is_mil;
    uint32_t perf_mask;
    id attributes, hex;
    uint64_t intermediate;
    id connection, url, options_file, model;
    uint64_t string_id, handle;
    id program;
    uint64_t state;
    id descriptor;
    em_program *fresh; /* what compile made, for the first load */
    bool compiled;
} in_memory;

static const char *folder_of(const in_memory *m) {
    return em_text(em_path_of_url(m->url));
}

static id in_memory_with(Class class, SEL selector, id descriptor) {
    (void)selector;
    char temporary[PATH_MAX], folder[2 * PATH_MAX];
    if (!em_is_kind_of(descriptor, "_ANEInMemoryModelDescriptor") ||
        !em_temporary_folder(temporary, sizeof temporary))
        return nil;
    in_memory *m = (in_memory *)em_new(class);
    id hex = descriptor_hex((em_descriptor *)descriptor, NULL);
    snprintf(folder, sizeof folder, "%s/%s", temporary, em_text(hex));
    m->queue_depth = 127;
    m->is_mil = YES;
    m->state = EM_STATE_NEW;
    em_set(&m->descriptor, descriptor);
    em_set(&m->hex, hex);
    em_set(&m->url, em_url(folder));
    em_set(&m->model, (id)em_model_new(folder, hex));
    em_set(&m->connection, em_shared_client());
    return (id)m;
}

static void in_memory_dealloc(in_memory *m, SEL selector) {
    (void)selector;
    id *owned[] = {&m->attributes, &m->hex, &m->connection, &m->url, &m->options_file, &m->model, &m->program,
        &m->descriptor};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) em_set(owned[i], nil);
    em_program_release(m->fresh);
    em_super_dealloc((id)m);
}

/* The description holds an ane_error where Apple's compiler has none: what it says in err=() stays the same. */
static BOOL compiler_failed(id *error, const ane_error *e) {
    char text[1400];
    bool invalid = e->code == ANE_ERROR_FORMAT || e->code == ANE_ERROR_SHAPE || e->code == ANE_ERROR_TYPE;
    snprintf(text, sizeof text, "_ANECompiler : ANECCompile() FAILED: err=(%s%s%s%s)",
        invalid ? "InvalidMILProgram: " : "", e->where, e->where[0] ? ": " : "", e->message);
    em_error(error, EM_DOMAIN_COMPILER, EM_CODE_COMPILER, text);
    return NO;
}

/* The files on disk must be what the descriptor was given. */
static bool same_as_descriptor(const em_image *image, const em_descriptor *d, ane_error *e) {
    size_t size;
    const void *bytes = em_data_bytes(d->networkText, &size);
    if (size != image->text_size || memcmp(bytes, image->text, size) != 0)
        return ane_fail(e, ANE_ERROR_IO, "model.mil", "the file differs from the descriptor's text");
    for (int i = 0; i < image->n_files; i++) {
        const em_image_file *f = &image->files[i];
        id data = em_get(em_get(d->weights, f->path), "data");
        bytes = data ? em_data_bytes(data, &size) : NULL;
        if (!bytes || size != f->size || memcmp(bytes, image->data + f->offset, size) != 0)
            return ane_fail(
                e, ANE_ERROR_IO, f->path, "the descriptor has no such weights, or others than the file");
    }
    return true;
}

static void count_compile(anemone_emulator_counts *counts, const void *context) {
    counts->compiles++;
    counts->modelled_compile_ms += em_model_compile_ms(&em_state_settings()->chip->rates, context);
}

/* Compile to net.plist and data. The program is kept for the load that follows; later ones make it from those files. */
static bool compile_sources(in_memory *m, ane_error *e) {
    em_image image;
    const char *folder = folder_of(m);
    if (!em_image_from_sources(&image, folder, e)) return false;
    em_program *program = NULL;
    bool ok = same_as_descriptor(&image, (em_descriptor *)m->descriptor, e);
    if (ok) program = em_program_new(&image, e);
    ok = program && em_image_write(&image, folder, e);
    if (ok) em_state_count(count_compile, &program->cost);
    em_program_release(m->fresh);
    m->fresh = ok ? em_program_retain(program) : NULL;
    em_program_release(program);
    em_image_free(&image);
    return ok;
}

static BOOL in_memory_compile(in_memory *m, SEL selector, unsigned qos, id options, id *error) {
    (void)selector, (void)qos, (void)options;
    ane_error e = {0};
    if (em_state_refused())
        ane_fail(&e, ANE_ERROR_ARGUMENT, NULL, "%s", anemone_emulator_message());
    else if (em_state_enter(EM_STAGE_COMPILE, NULL) != EM_FAULT_NONE)
        ane_fail(&e, ANE_ERROR_DEVICE, NULL, "%s", "");
    else if (!em_state_compile_begin())
        ane_fail(&e, ANE_ERROR_DEVICE, NULL, "quirk max-compiles: no more compiles in this process");
    else if (compile_sources(m, &e))
        m->compiled = true;
    if (!e.code) {
        m->state = EM_STATE_COMPILED;
        return YES;
    }
    m->state = EM_STATE_FAILED;
    return compiler_failed(error, &e);
}

static void count_load(anemone_emulator_counts *counts, const void *context) {
    (void)context;
    counts->loads++;
    counts->modelled_load_ms += em_state_settings()->chip->rates.load_ms;
}

static em_program *load_program(in_memory *m, ane_error *e) {
    em_program *fresh = m->fresh;
    m->fresh = NULL;
    if (fresh) return fresh;
    em_image image;
    const char *folder = folder_of(m);
    bool sources = em_quirk_value(EM_QUIRK_RELOAD) == EM_RELOAD_NEW && m->compiled;
    if (!(sources ? em_image_from_sources(&image, folder, e) : em_image_read(&image, folder, e))) return NULL;
    em_program *program = em_program_new(&image, e);
    em_image_free(&image);
    return program;
}

static BOOL load_failed(in_memory *m, const ane_error *e, id *error) {
    char text[1400];
    snprintf(text, sizeof text, "ANEProgramCreate() failed: Program load failure (%s%s%s)", e->where,
        e->where[0] ? ": " : "", e->message);
    em_error(error, EM_DOMAIN, EM_CODE_LOAD, text);
    m->state = EM_STATE_FAILED;
    return NO;
}

static void take_program(in_memory *m, em_program *program) {
    em_model *model = (em_model *)m->model;
    em_set(&m->attributes, em_attributes(program));
    em_model_set_program(model, program);
    m->handle = model->handle;
    em_set(&m->program, em_program_object(model));
    m->perf_mask = model->perf_mask = 0; /* recorded: load clears it */
    m->state = EM_STATE_LOADED;
    em_state_count(count_load, NULL);
}

static BOOL in_memory_load(in_memory *m, SEL selector, unsigned qos, id options, id *error) {
    (void)selector, (void)qos, (void)options;
    ane_error e = {0};
    if (em_state_refused())
        ane_fail(&e, ANE_ERROR_ARGUMENT, NULL, "%s", anemone_emulator_message());
    else if (em_state_enter(EM_STAGE_LOAD, NULL) != EM_FAULT_NONE)
        ane_fail(&e, ANE_ERROR_DEVICE, NULL, "%s", "fault load");
    if (e.code) return load_failed(m, &e, error);
    if (m->state == EM_STATE_LOADED) return YES;
    if (!em_state_load_begin()) {
        ane_fail(&e, ANE_ERROR_DEVICE, NULL, "quirk max-loaded: too many programs are loaded");
        return load_failed(m, &e, error);
    }
    em_program *program = load_program(m, &e);
    if (!program) {
        em_state_load_end();
        return load_failed(m, &e, error);
    }
    take_program(m, program);
    return YES;
}

static BOOL in_memory_unload(in_memory *m, SEL selector, unsigned qos, id *error) {
    (void)selector, (void)qos;
    if (m->state != EM_STATE_LOADED) {
        em_error(error, EM_DOMAIN, EM_CODE_LOAD, "Program unload failure: the model is not loaded");
        return NO;
    }
    em_model_set_program((em_model *)m->model, NULL);
    em_set(&m->program, nil);
    m->handle = 0;
    m->state = EM_STATE_UNLOADED;
    return YES;
}

static BOOL in_memory_evaluate(in_memory *m, SEL selector, unsigned qos, id options, id request, id *error) {
    (void)selector, (void)qos, (void)options;
    return em_evaluate((id)m, request, error);
}

static BOOL in_memory_map(in_memory *m, SEL selector, id request, BOOL cache, id *error) {
    (void)selector, (void)cache;
    if (m->state == EM_STATE_LOADED && em_is_kind_of(request, "_ANERequest")) return YES;
    em_error(error, EM_DOMAIN, EM_CODE_INFERENCE, "the model is not loaded, or the request is nil");
    return NO;
}

static void in_memory_unmap(in_memory *m, SEL selector, id request) {
    (void)m, (void)selector, (void)request;
}

static BOOL in_memory_exists(in_memory *m, SEL selector) {
    (void)selector;
    char *path = ane_join_path(folder_of(m), "net.plist");
    BOOL exists = path && ane_path_exists(path);
    free(path);
    return exists;
}

static void in_memory_purge(in_memory *m, SEL selector) {
    (void)selector;
    char *net = ane_join_path(folder_of(m), "net.plist"), *data = ane_join_path(folder_of(m), "data");
    if (net) remove(net);
    if (data) remove(data);
    free(net);
    free(data);
}

#define GETTER(type, name, field)                                                                            \
    static type name(in_memory *m, SEL selector) {                                                           \
        (void)selector;                                                                                      \
        return m->field;                                                                                     \
    }
GETTER(id, in_memory_hex, hex)
GETTER(id, in_memory_attributes, attributes)
GETTER(id, in_memory_model, model)
GETTER(id, in_memory_program, program)
GETTER(id, in_memory_url, url)
GETTER(id, in_memory_descriptor, descriptor)
GETTER(id, in_memory_connection, connection)
GETTER(uint64_t, in_memory_state, state)
GETTER(uint64_t, in_memory_handle, handle)
GETTER(uint64_t, in_memory_intermediate, intermediate)
GETTER(BOOL, in_memory_is_mil, is_mil)
GETTER(char, in_memory_queue_depth, queue_depth)
GETTER(uint32_t, in_memory_perf_mask, perf_mask)
#undef GETTER

static void in_memory_set_perf_mask(in_memory *m, SEL selector, uint32_t mask) {
    (void)selector;
    m->perf_mask = mask;
}

static void in_memory_set_queue_depth(in_memory *m, SEL selector, char depth) {
    (void)selector;
    m->queue_depth = depth;
}

/* Accepted, and nil ever after, as recorded. */
static id in_memory_counters(in_memory *m, SEL selector) {
    (void)m, (void)selector;
    return nil;
}

static const em_ivar in_memory_ivars[] = {
    EM_IVAR(in_memory, "_queueDepth", "c", queue_depth),
    EM_IVAR(in_memory, "_isMILModel", "C", is_mil),
    EM_IVAR(in_memory, "_perfStatsMask", "I", perf_mask),
    EM_IVAR(in_memory, "_modelAttributes", "@", attributes),
    EM_IVAR(in_memory, "_hexStringIdentifier", "@", hex),
    EM_IVAR(in_memory, "_intermediateBufferHandle", "Q", intermediate),
    EM_IVAR(in_memory, "_sharedConnection", "@", connection),
    EM_IVAR(in_memory, "_modelURL", "@", url),
    EM_IVAR(in_memory, "_compilerOptionsFileName", "@", options_file),
    EM_IVAR(in_memory, "_model", "@", model),
    EM_IVAR(in_memory, "_string_id", "Q", string_id),
    EM_IVAR(in_memory, "_programHandle", "Q", handle),
    EM_IVAR(in_memory, "_program", "@", program),
    EM_IVAR(in_memory, "_state", "Q", state),
    EM_IVAR(in_memory, "_descriptor", "@", descriptor),
    EM_IVAR(in_memory, "_fresh", "^v", fresh),
    EM_IVAR(in_memory, "_compiled", "C", compiled),
    {0},
};
static const em_method in_memory_methods[] = {
    EM_CLASS_METHOD("inMemoryModelWithDescriptor:", in_memory_with, "@@:@"),
    EM_METHOD("dealloc", in_memory_dealloc, "v@:"),
    EM_METHOD("compileWithQoS:options:error:", in_memory_compile, "C@:I@^@"),
    EM_METHOD("loadWithQoS:options:error:", in_memory_load, "C@:I@^@"),
    EM_METHOD("unloadWithQoS:error:", in_memory_unload, "C@:I^@"),
    EM_METHOD("evaluateWithQoS:options:request:error:", in_memory_evaluate, "C@:I@@^@"),
    EM_METHOD("mapIOSurfacesWithRequest:cacheInference:error:", in_memory_map, "C@:@C^@"),
    EM_METHOD("unmapIOSurfacesWithRequest:", in_memory_unmap, "v@:@"),
    EM_METHOD("compiledModelExists", in_memory_exists, "C@:"),
    EM_METHOD("purgeCompiledModel", in_memory_purge, "v@:"),
    EM_METHOD("hexStringIdentifier", in_memory_hex, "@@:"),
    EM_METHOD("modelAttributes", in_memory_attributes, "@@:"),
    EM_METHOD("model", in_memory_model, "@@:"),
    EM_METHOD("program", in_memory_program, "@@:"),
    EM_METHOD("modelURL", in_memory_url, "@@:"),
    EM_METHOD("descriptor", in_memory_descriptor, "@@:"),
    EM_METHOD("sharedConnection", in_memory_connection, "@@:"),
    EM_METHOD("state", in_memory_state, "Q@:"),
    EM_METHOD("programHandle", in_memory_handle, "Q@:"),
    EM_METHOD("intermediateBufferHandle", in_memory_intermediate, "Q@:"),
    EM_METHOD("isMILModel", in_memory_is_mil, "C@:"),
    EM_METHOD("queueDepth", in_memory_queue_depth, "c@:"),
    EM_METHOD("setQueueDepth:", in_memory_set_queue_depth, "v@:c"),
    EM_METHOD("perfStatsMask", in_memory_perf_mask, "I@:"),
    EM_METHOD("setPerfStatsMask:", in_memory_set_perf_mask, "v@:I"),
    EM_METHOD("performanceCounters", in_memory_counters, "@@:"),
    {0},
};

em_model *em_model_of(id model) {
    if (em_is_kind_of(model, "_ANEModel")) return (em_model *)model;
    if (em_is_kind_of(model, "_ANEInMemoryModel")) return (em_model *)((in_memory *)model)->model;
    return NULL;
}

const em_class_info em_model_classes[] = {
    {"_ANEInMemoryModelDescriptor", descriptor_ivars, descriptor_methods},
    {"_ANEInMemoryModel", in_memory_ivars, in_memory_methods},
    {0},
};
