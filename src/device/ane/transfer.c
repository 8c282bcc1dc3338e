/* transfer.c - tensors between buffers, masters and the rows of a port. */
#include "base/half.h"
#include "base/parallel.h"
#include "device/ane/device.h"

#include <string.h>

enum { ROWS_PER_PART_ELEMENTS = 1 << 15 };

typedef struct job {
    const engine_rows *port;
    const mil_piece *piece;
    void *host; /* packed */
    void (*move)(uint16_t *row, void *host, int64_t first, size_t n);
} job;

static void put_f16(uint16_t *row, void *host, int64_t first, size_t n) {
    memcpy(row, (const uint16_t *)host + first, n * sizeof *row);
}

static void put_f32(uint16_t *row, void *host, int64_t first, size_t n) {
    ane_f16_array_from_f32(row, (const float *)host + first, n);
}

static void get_f16(uint16_t *row, void *host, int64_t first, size_t n) {
    memcpy((uint16_t *)host + first, row, n * sizeof *row);
}

static void get_f32(uint16_t *row, void *host, int64_t first, size_t n) {
    ane_f32_array_from_f16((float *)host + first, row, n);
}

/* Rows that fill the port's width are one piece of memory. */
static void move_rows(void *context, int64_t begin, int64_t end) {
    const job *j = context;
    const mil_piece *p = j->piece;
    if (p->width == j->port->stride) {
        j->move(j->port->data + (p->row + begin) * p->width, j->host, begin * p->width,
            (size_t)((end - begin) * p->width));
        return;
    }
    for (int64_t row = begin; row < end; row++)
        j->move(j->port->data + (p->row + row) * j->port->stride, j->host, row * p->width, (size_t)p->width);
}

static void move(const job *j, int threads) {
    ane_parallel_for(j->piece->rows, 1 + ROWS_PER_PART_ELEMENTS / j->piece->width, threads, move_rows,
        (void *)(uintptr_t)j);
}

void engine_put_f32(const engine_rows *port, const mil_piece *p, const float *x, int threads) {
    const job j = {port, p, (void *)(uintptr_t)x, put_f32}; /* only read */
    move(&j, threads);
}

static const struct {
    mil_dtype dtype;
    void (*put)(uint16_t *row, void *host, int64_t first, size_t n);
    void (*get)(uint16_t *row, void *host, int64_t first, size_t n);
} conversions[] = {{MIL_FP16, put_f16, get_f16}, {MIL_FP32, put_f32, get_f32}};

static bool transfer(
    const engine_rows *port, const mil_piece *p, engine_buffer *b, bool put, int threads, ane_error *e) {
    for (size_t i = 0; i < sizeof conversions / sizeof *conversions; i++) {
        if (conversions[i].dtype != b->base.type.dtype) continue;
        void *host = ane_surface_lock(b->surface, put, e);
        if (!host) return false;
        const job j = {port, p, host, put ? conversions[i].put : conversions[i].get};
        move(&j, threads);
        return ane_surface_unlock(b->surface, put, e);
    }
    return ane_fail(e, ANE_ERROR_UNSUPPORTED, p->name, "%s is %s: the Neural Engine takes fp16 and fp32",
        p->name, mil_dtype_name(b->base.type.dtype));
}

bool engine_put(const engine_rows *port, const mil_piece *p, engine_buffer *from, int threads, ane_error *e) {
    return transfer(port, p, from, true, threads, e);
}

bool engine_get(const engine_rows *port, const mil_piece *p, engine_buffer *to, int threads, ane_error *e) {
    return transfer(port, p, to, false, threads, e);
}
