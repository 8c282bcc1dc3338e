/* Compiling an image and running it. */
#include "emulator/program.h"
#include "base/half.h"
#include "emulator/state.h"
#include "mil/ops.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- ports ---- */

static int64_t round_up(int64_t n, int64_t unit) {
    return unit > 0 ? (n + unit - 1) / unit * unit : n;
}

static bool make_port(em_port *port, const char *name, const mil_type *type, ane_device *d, ane_error *e) {
    int64_t elements = type->rank ? type->dim[type->rank - 1] : 1, element = mil_dtype_bits(type->dtype) / 8;
    *port = (em_port){.name = strdup(name), .type = *type, .row_bytes = elements * element};
    port->rows = mil_type_count(type) / elements;
    port->row_stride = round_up(port->row_bytes, em_quirk_value(EM_QUIRK_ROW_ALIGNMENT));
    port->surface_bytes = port->rows * port->row_stride;
    port->buffer = ane_buffer_new(d, *type, e);
    return port->buffer && (port->name || ane_fail(e, ANE_ERROR_MEMORY, name, "no memory for a name"));
}

static bool make_ports(em_program *p, ane_device *d, ane_error *e) {
    p->inputs = calloc((size_t)p->n_inputs + 1, sizeof *p->inputs);
    p->outputs = calloc((size_t)p->n_outputs + 1, sizeof *p->outputs);
    if (!p->inputs || !p->outputs) return ane_fail(e, ANE_ERROR_MEMORY, "program", "no memory for its ports");
    for (int i = 0; i < p->n_inputs + p->n_outputs; i++) {
        bool input = i < p->n_inputs;
        em_port *port = input ? &p->inputs[i] : &p->outputs[i - p->n_inputs];
        mil_type type;
        const char *name = input ? ane_kernel_input(p->kernel, i, &type)
                                 : ane_kernel_output(p->kernel, i - p->n_inputs, &type);
        if (!make_port(port, name, &type, d, e) || !ane_bind(p->binding, name, port->buffer, 0, e))
            return false;
        if (type.dtype == MIL_FP32) p->fp32_ports = true;
    }
    return true;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const em_port *)a)->name, ((const em_port *)b)->name);
}

static int by_size(const void *a, const void *b) {
    int64_t x = ((const em_port *)a)->surface_bytes, y = ((const em_port *)b)->surface_bytes;
    return x != y ? (x > y) - (x < y) : by_name(a, b);
}

static int by_size_down(const void *a, const void *b) {
    int64_t x = ((const em_port *)a)->surface_bytes, y = ((const em_port *)b)->surface_bytes;
    return x != y ? (x < y) - (x > y) : by_name(a, b);
}

/* The order that the indices of a request mean. */
static void order_ports(em_program *p) {
    int64_t order = em_quirk_value(EM_QUIRK_ORDER);
    if (order == EM_ORDER_DECLARED) return;
    bool size = order == EM_ORDER_SIZE;
    qsort(p->inputs, (size_t)p->n_inputs, sizeof *p->inputs, size ? by_size : by_name);
    qsort(p->outputs, (size_t)p->n_outputs, sizeof *p->outputs, size ? by_size_down : by_name);
}

/* ---- compiling ---- */

static bool has_tile(const mil_function *f) {
    for (int i = 0; i < f->n_ops; i++)
        if (f->ops[i].opcode == MIL_OP_TILE) return true;
    return false;
}

/* The text, checked, its weights bound; NULL on failure. */
static mil_program *front_end(const em_image *image, em_program *p, ane_error *e) {
    mil_program *program = mil_parse(image->text, image->text_size, "model.mil", e);
    if (!program) return NULL;
    bool ok = mil_verify(program, e) && em_check_program(program, e) && em_image_bind(image, program, e);
    mil_function *f = ok ? mil_program_function(program, "main") : NULL;
    ok = ok && em_cost_of(&p->cost, f, e);
    if (ok) p->tiles = has_tile(f);
    if (ok && em_apply_behaviours(f, e) && mil_verify(program, e)) return program;
    mil_program_free(program);
    return NULL;
}

static bool build(em_program *p, const em_image *image, ane_error *e) {
    ane_device *d = em_state_device(e);
    mil_program *program = d ? front_end(image, p, e) : NULL;
    if (!program) return false;
    p->kernel = ane_device_compile(d, program, "main", e);
    mil_program_free(program);
    if (!p->kernel) return false;
    p->binding = ane_binding_new(p->kernel, e);
    p->n_inputs = ane_kernel_inputs(p->kernel);
    p->n_outputs = ane_kernel_outputs(p->kernel);
    if (!p->binding || !make_ports(p, d, e)) return false;
    order_ports(p);
    return true;
}

em_program *em_program_new(const em_image *image, ane_error *e) {
    em_program *p = calloc(1, sizeof *p);
    if (!p) {
        ane_fail(e, ANE_ERROR_MEMORY, "program", "no memory");
        return NULL;
    }
    atomic_init(&p->references, 1);
    pthread_mutex_init(&p->lock, NULL);
    em_state_programs(+1);
    if (build(p, image, e)) return p;
    em_program_release(p);
    return NULL;
}

em_program *em_program_retain(em_program *p) {
    if (p) atomic_fetch_add(&p->references, 1);
    return p;
}

static void free_ports(em_port *ports, int n) {
    for (int i = 0; ports && i < n; i++) {
        ane_buffer_free(ports[i].buffer);
        free(ports[i].name);
    }
    free(ports);
}

void em_program_release(em_program *p) {
    if (!p || atomic_fetch_sub(&p->references, 1) != 1) return;
    ane_binding_free(p->binding);
    free_ports(p->inputs, p->n_inputs);
    free_ports(p->outputs, p->n_outputs);
    ane_kernel_free(p->kernel);
    em_cost_free(&p->cost);
    pthread_mutex_destroy(&p->lock);
    free(p);
    em_state_programs(-1);
}

/* ---- sizes ---- */

static bool port_fits(const em_port *port, const em_memory *m, ane_error *e) {
    int64_t least = em_quirk_value(EM_QUIRK_MIN_SURFACE);
    if ((int64_t)m->size < port->surface_bytes)
        return ane_fail(e, ANE_ERROR_DEVICE, port->name,
            "the surface holds %zu bytes, %" PRId64 " rows of %" PRId64 " bytes need %" PRId64, m->size,
            port->rows, port->row_stride, port->surface_bytes);
    if ((int64_t)m->size < least)
        return ane_fail(e, ANE_ERROR_DEVICE, port->name,
            "the surface holds %zu bytes, quirk min-surface wants %" PRId64, m->size, least);
    if (em_quirk_value(EM_QUIRK_INNERMOST_ONE) == EM_FAILS && port->type.rank > 0 &&
        port->type.dim[port->type.rank - 1] == 1)
        return ane_fail(
            e, ANE_ERROR_DEVICE, port->name, "its innermost dimension is 1 (quirk innermost-one)");
    return true;
}

static bool ports_fit(const em_port *ports, const em_memory *m, int n, ane_error *e) {
    bool equal = em_quirk_value(EM_QUIRK_EQUAL_SIZES) == EM_SIZES_REQUIRED;
    for (int i = 0; i < n; i++) {
        if (!port_fits(&ports[i], &m[i], e)) return false;
        if (equal && m[i].size != m[0].size)
            return ane_fail(e, ANE_ERROR_DEVICE, ports[i].name,
                "surfaces of %zu and %zu bytes: quirk equal-sizes wants one size", m[0].size, m[i].size);
    }
    return true;
}

bool em_program_fits(const em_program *p, const em_memory *inputs, const em_memory *outputs, ane_error *e) {
    return ports_fit(p->inputs, inputs, p->n_inputs, e) && ports_fit(p->outputs, outputs, p->n_outputs, e);
}

/* ---- running ---- */

/* Copy rows between a surface (from, or to it) and packed memory. */
static void copy_rows(const em_port *port, unsigned char *to, int64_t to_stride, const unsigned char *from,
    int64_t from_stride) {
    if (to_stride == port->row_bytes && from_stride == port->row_bytes) {
        memcpy(to, from, (size_t)(port->rows * port->row_bytes));
        return;
    }
    for (int64_t row = 0; row < port->rows; row++)
        memcpy(to + row * to_stride, from + row * from_stride, (size_t)port->row_bytes);
}

static int64_t surface_stride(const em_port *port) {
    return em_quirk_value(EM_QUIRK_ROWS) == EM_ROWS_STRIDED ? port->row_stride : port->row_bytes;
}

static bool read_surface(const em_port *port, const em_memory *m, ane_error *e) {
    unsigned char *to = ane_buffer_map(port->buffer, ANE_WRITE, e);
    if (!to) return false;
    copy_rows(port, to, port->row_bytes, m->base, surface_stride(port));
    return ane_buffer_unmap(port->buffer, e);
}

/* NaN becomes infinity where the engine writes it out. */
static void replace_nan(void *data, int64_t count, mil_dtype dtype) {
    uint16_t *half = data;
    float *single = data;
    for (int64_t i = 0; i < count; i++) {
        if (dtype == MIL_FP16 && (half[i] & 0x7fff) > 0x7c00) half[i] = 0x7c00;
        if (dtype == MIL_FP32 && isnan(single[i])) single[i] = INFINITY;
    }
}

static void fill(void *data, int64_t count, mil_dtype dtype, em_result result) {
    memset(data, 0, (size_t)(count * (mil_dtype_bits(dtype) / 8)));
    if (result == EM_ZERO) return;
    for (int64_t i = 0; i < count; i++) {
        if (dtype == MIL_FP16) ((uint16_t *)data)[i] = 0x7e00;
        if (dtype == MIL_FP32) ((float *)data)[i] = NAN;
    }
}

static bool write_surface(const em_port *port, const em_memory *m, em_result result, ane_error *e) {
    unsigned char *from = ane_buffer_map(port->buffer, ANE_READ_WRITE, e);
    if (!from) return false;
    int64_t count = mil_type_count(&port->type);
    if (result != EM_COMPUTED)
        fill(from, count, port->type.dtype, result);
    else if (em_quirk_value(EM_QUIRK_NAN_RESULTS) == 0)
        replace_nan(from, count, port->type.dtype);
    copy_rows(port, m->base, surface_stride(port), from, port->row_bytes);
    return ane_buffer_unmap(port->buffer, e);
}

static bool run_locked(
    em_program *p, const em_memory *inputs, const em_memory *outputs, em_result result, ane_error *e) {
    bool ok = true;
    for (int i = 0; ok && i < p->n_inputs; i++) ok = read_surface(&p->inputs[i], &inputs[i], e);
    ok = ok && ane_run(p->binding, NULL, e);
    if (p->fp32_ports && em_quirk_value(EM_QUIRK_FP32_PORTS) == EM_PORTS_ZEROS && result == EM_COMPUTED)
        result = EM_ZERO;
    for (int i = 0; ok && result != EM_STALE && i < p->n_outputs; i++)
        ok = write_surface(&p->outputs[i], &outputs[i], result, e);
    return ok;
}

bool em_program_run(
    em_program *p, const em_memory *inputs, const em_memory *outputs, em_result result, ane_error *e) {
    pthread_mutex_lock(&p->lock);
    bool ok = run_locked(p, inputs, outputs, result, e);
    pthread_mutex_unlock(&p->lock);
    return ok;
}
