/* The CPU device: options, buffers, and the table of what it does. */
#include "device/cpu/device.h"

#include "base/host.h"
#include "base/parallel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- options ------------------------------------------------------------------------------------------- */

typedef struct options {
    int threads;
    ane_precision precision;
    const cpu_vectors *vectors;
    char products[16]; /* "": the best there is */
    const ane_packed_kernel *packed;
    bool late, profiles;
} options;

static bool set_threads(options *o, const char *value, ane_error *e) {
    char *end;
    long n = strtol(value, &end, 10);
    if (!*value || *end || n < 1 || n > 1024)
        return ane_fail(
            e, ANE_ERROR_ARGUMENT, "cpu", "threads must be a number from 1 to 1024, found \"%s\"", value);
    o->threads = (int)n;
    return true;
}

static bool set_precision(options *o, const char *value, ane_error *e) {
    return ane_precision_from_name(&o->precision, value, e);
}

static bool set_vectors(options *o, const char *value, ane_error *e) {
    o->vectors = ane_cpu_vectors(value);
    if (o->vectors) return true;
    const char *names[4];
    char list[64] = "";
    for (int i = 0, n = ane_cpu_vector_names(names); i < n; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", names[i]);
    return ane_fail(
        e, ANE_ERROR_ARGUMENT, "cpu", "vectors=%s cannot run on this processor; what can: %s", value, list);
}

/* What the Neural Engine's baked-async does to a run, without it: its reference. */
static bool set_weights(options *o, const char *value, ane_error *e) {
    o->late = strcmp(value, "late") == 0;
    return o->late || ane_fail(e, ANE_ERROR_ARGUMENT, "cpu",
                          "weights must be \"late\" (one change late), found \"%s\"", value);
}

static bool set_products(options *o, const char *value, ane_error *e) {
    snprintf(o->products, sizeof o->products, "%s", value);
    return strlen(value) < sizeof o->products ||
           ane_fail(e, ANE_ERROR_ARGUMENT, "cpu", "there are no products by \"%s\"", value);
}

static bool set_profile(options *o, const char *value, ane_error *e) {
    o->profiles = strcmp(value, "on") == 0;
    return o->profiles || strcmp(value, "off") == 0 ||
           ane_fail(e, ANE_ERROR_ARGUMENT, "cpu", "profile must be on or off, found \"%s\"", value);
}

static const struct option {
    const char *name;
    bool (*set)(options *o, const char *value, ane_error *e);
} known[] = {{"threads", set_threads}, {"precision", set_precision}, {"vectors", set_vectors},
    {"weights", set_weights}, {"products", set_products}, {"profile", set_profile}};

static bool set_option(options *o, char *text, ane_error *e) {
    char *value = strchr(text, '=');
    if (value) *value++ = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(text, known[i].name) == 0) return known[i].set(o, value ? value : "", e);
    return ane_fail(e, ANE_ERROR_ARGUMENT, "cpu",
        "the device \"cpu\" has no option \"%s\"; its options: threads=N, precision=fp32|bf16|int8|fp16, "
        "vectors=avx512|avx2|baseline, products=amx|avx512bf16|avx512|library, weights=late, profile=on|off",
        text);
}

/* Kernels for AVX-512 when vectors are; a name asks for one. */
static bool choose_products(options *o, ane_error *e) {
    bool any = !*o->products, bf16 = o->precision == ANE_BF16 || o->precision == ANE_INT8;
    if (strcmp(o->products, "library") == 0 || (any && strcmp(o->vectors->name, "avx512") != 0)) return true;
    o->packed = ane_packed_kernel_find(bf16, any ? NULL : o->products);
    return any || o->packed ||
           ane_fail(e, ANE_ERROR_ARGUMENT, "cpu",
               "products=%s cannot be had here in %s: amx is for every precision, avx512bf16 for bf16, "
               "avx512 "
               "for fp32 and fp16, where the processor has them",
               o->products, ane_precision_name(o->precision));
}

static bool parse_options(options *o, const char *text, ane_error *e) {
    char copy[256];
    if (strlen(text) >= sizeof copy)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "cpu", "the device's options are longer than %zu characters",
            sizeof copy - 1);
    strcpy(copy, text);
    const char *forced = getenv("ANEMONE_VECTOR");
    *o = (options){.threads = ane_cpu_count(), .vectors = ane_cpu_vectors(NULL)};
    if (forced && *forced && !set_vectors(o, forced, e)) return ane_hint(e, "Unset ANEMONE_VECTOR.");
    for (char *at = copy; *at;) {
        char *end = at + strcspn(at, ","), last = *end;
        *end = 0;
        if (!set_option(o, at, e)) return false;
        at = last ? end + 1 : end;
    }
    if (!choose_products(o, e)) return false;
    return !o->late || o->precision == ANE_FP16 || o->precision == ANE_FP32 ||
           ane_fail(e, ANE_ERROR_UNSUPPORTED, "cpu", "weights=late is for precision=fp32 and fp16 only");
}

/* ---- the device ---------------------------------------------------------------------------------------- */

static void describe(ane_capabilities *c, const cpu_device *d) {
    c->precision = ANE_FP32;
    strcpy(c->device, "cpu");
    snprintf(c->description, sizeof c->description, "%s vectors, %s%s%s, %d thread%s", d->v->name,
        d->packed ? d->packed->name : "", d->packed ? " products, " : "", ane_gemm_library(), d->threads,
        d->threads == 1 ? "" : "s");
    snprintf(c->products, sizeof c->products, "%s", d->packed ? d->packed->name : "library");
    c->accumulates = true;
    c->max_inputs = c->max_outputs = INT32_MAX;
    c->max_dim = c->max_width = INT64_MAX;
    c->min_surface_bytes = c->row_alignment_bytes = 1;
    c->threads = d->threads;
    ane_host_processor(c->chip, sizeof c->chip);
    ane_host_os_build(c->os_build, sizeof c->os_build);
    snprintf(c->framework, sizeof c->framework, "%s", ane_gemm_library());
}

static bool make_locks(cpu_device *d) {
    if (pthread_mutex_init(&d->run_lock, NULL) != 0) return false;
    if (pthread_mutex_init(&d->kernels_lock, NULL) == 0) {
        if (pthread_mutex_init(&d->slabs_lock, NULL) == 0) return true;
        pthread_mutex_destroy(&d->kernels_lock);
    }
    pthread_mutex_destroy(&d->run_lock);
    return false;
}

static ane_device *cpu_open(const char *text, ane_error *e) {
    options o;
    if (!parse_options(&o, text, e)) return NULL;
    cpu_device *d = calloc(1, sizeof *d);
    if (!d || !make_locks(d)) {
        free(d);
        ane_fail(e, ANE_ERROR_MEMORY, "cpu", "no memory for the device");
        return NULL;
    }
    d->base.ops = &ane_cpu_device;
    d->v = o.vectors;
    d->packed = o.packed;
    if (o.precision == ANE_BF16 || o.precision == ANE_INT8)
        d->pairs = ane_cpu_pairs(o.vectors, o.packed ? o.packed->name : NULL);
    d->late = o.late;
    d->profiles = o.profiles;
    d->threads = o.threads;
    describe(&d->base.capabilities, d);
    d->base.capabilities.precision = o.precision;
    d->base.capabilities.fuses_attention = o.precision != ANE_FP16;
    d->base.capabilities.activation_dtype = o.precision == ANE_FP16 ? MIL_FP16 : MIL_FP32;
    return &d->base;
}

static void cpu_close(ane_device *device) {
    cpu_device *d = (cpu_device *)device;
    ane_cpu_memory_free(d, d->scratch, d->scratch_bytes);
    pthread_mutex_destroy(&d->run_lock);
    pthread_mutex_destroy(&d->kernels_lock);
    pthread_mutex_destroy(&d->slabs_lock);
    free(d);
}

static ane_memory_stats memory(const ane_device *device) {
    cpu_device *d = (cpu_device *)device; /* reading an atomic changes nothing */
    return (ane_memory_stats){
        atomic_load(&d->bytes), atomic_load(&d->peak_bytes), atomic_load(&d->allocations)};
}

/* ---- buffers ------------------------------------------------------------------------------------------- */

/* Too small for huge pages of its own, large enough to be slow to read without: behind the weights of a token neither a small
 * page's address nor the tables that tell it are in a cache any more. */
static bool shares_pages(int64_t bytes) {
    return bytes >= 32 << 10 && bytes < 2 << 20;
}

static ane_buffer *buffer_new(ane_device *device, const mil_type *type, ane_error *e) {
    cpu_device *d = (cpu_device *)device;
    cpu_buffer *b = calloc(1, sizeof *b);
    if (b) {
        b->bytes = mil_type_bytes(type);
        b->data = shares_pages(b->bytes) ? ane_cpu_slab_take(d, b->bytes, &b->slab)
                                         : ane_cpu_memory_new(d, b->bytes);
    }
    if (!b || !b->data) {
        free(b);
        char text[128];
        ane_fail(e, ANE_ERROR_MEMORY, "cpu", "no memory for a buffer of %s",
            mil_type_print(type, text, sizeof text));
        return NULL;
    }
    return &b->base;
}

static void buffer_free(ane_buffer *buffer) {
    cpu_buffer *b = (cpu_buffer *)buffer;
    cpu_device *d = (cpu_device *)b->base.device;
    if (b->slab)
        ane_cpu_slab_drop(d, b->slab);
    else
        ane_cpu_memory_free(d, b->data, b->bytes);
    free(b);
}

static void *buffer_map(ane_buffer *b, ane_access access, ane_error *e) {
    (void)access, (void)e;
    return ((cpu_buffer *)b)->data;
}

static bool buffer_unmap(ane_buffer *b, ane_error *e) {
    (void)b, (void)e;
    return true;
}

const ane_device_ops ane_cpu_device = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .compile = ane_cpu_compile,
    .kernel_free = ane_cpu_kernel_free,
    .kernel_describe = ane_cpu_kernel_describe,
    .buffer_new = buffer_new,
    .buffer_free = buffer_free,
    .buffer_map = buffer_map,
    .buffer_unmap = buffer_unmap,
    .binding_new = ane_cpu_binding_new,
    .binding_free = ane_cpu_binding_free,
    .bind = ane_cpu_bind,
    .bind_weight = ane_cpu_bind_weight,
    .weights_changed = ane_cpu_weights_changed,
    .run = ane_cpu_run,
    .memory = memory,
    .profile = ane_cpu_profile,
    .profile_reset = ane_cpu_profile_reset,
};
