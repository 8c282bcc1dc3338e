/* The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Six bytes of magic, two
 * of version, the header's length (16 bits in version 1, 32 later), and the header: a Python dictionary with
 * the keys descr, fortran_order and shape, padded by spaces. The array's bytes follow. */
#include "base/npy.h"

#include "base/file.h"
#include "base/half.h"

#include <stdlib.h>
#include <string.h>

static const char magic[] = "\x93NUMPY";

typedef struct element_type {
    char kind;
    int item;
    const char *name;
} element_type;

static const element_type element_types[] = {
    {'f', 2, "float16"},
    {'f', 4, "float32"},
    {'f', 8, "float64"},
    {'i', 1, "int8"},
    {'i', 2, "int16"},
    {'i', 4, "int32"},
    {'i', 8, "int64"},
    {'u', 1, "uint8"},
    {'u', 2, "uint16"},
    {'u', 4, "uint32"},
    {'u', 8, "uint64"},
    {'b', 1, "bool"},
};

static const element_type *find_element_type(char kind, int item) {
    for (size_t i = 0; i < sizeof element_types / sizeof *element_types; i++)
        if (element_types[i].kind == kind && element_types[i].item == item) return &element_types[i];
    return NULL;
}

const char *ane_npy_dtype_name(const ane_npy *a) {
    const element_type *t = find_element_type(a->kind, a->item);
    return t ? t->name : "unknown";
}

/* ---- the header: a small part of Python ---------------------------------------------------------------- */

typedef struct cursor {
    const char *at, *end;
    const char *name;
    ane_error *error;
} cursor;

static bool wrong(cursor *c, const char *expected) {
    int left = (int)(c->end - c->at < 12 ? c->end - c->at : 12);
    return ane_fail(c->error, ANE_ERROR_FORMAT, c->name, "header of the array: expected %s, found \"%.*s\"",
        expected, left, c->at);
}

static void skip_spaces(cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t')) c->at++;
}

/* Take `ch` if it comes next. */
static bool take(cursor *c, char ch) {
    skip_spaces(c);
    if (c->at == c->end || *c->at != ch) return false;
    c->at++;
    return true;
}

static bool take_word(cursor *c, const char *word) {
    size_t n = strlen(word);
    skip_spaces(c);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0) return false;
    c->at += n;
    return true;
}

/* 'text' or "text", without escapes */
static bool read_string(cursor *c, char *text, size_t size) {
    skip_spaces(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) return wrong(c, "a string");
    char quote = *c->at++;
    size_t n = 0;
    while (c->at < c->end && *c->at != quote && n + 1 < size) text[n++] = *c->at++;
    text[n] = 0;
    return take(c, quote) || wrong(c, "the end of a string");
}

static bool read_dimension(cursor *c, int64_t *dim) {
    int64_t x = 0;
    const char *start = c->at;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        if (x > (INT64_MAX - 9) / 10) return wrong(c, "a dimension below 2^63");
        x = x * 10 + (*c->at - '0');
    }
    *dim = x;
    return c->at > start || wrong(c, "a dimension");
}

/* (), (3,), (3, 4) */
static bool read_shape(cursor *c, ane_npy *a) {
    if (!take(c, '(')) return wrong(c, "\"(\" and the shape");
    for (a->rank = 0; !take(c, ')');) {
        skip_spaces(c);
        if (a->rank == ANE_NPY_MAX_RANK) return wrong(c, "at most 8 dimensions");
        if (!read_dimension(c, &a->dim[a->rank++])) return false;
        if (take(c, ',')) continue;
        return take(c, ')') || wrong(c, "\",\" or \")\"");
    }
    return true;
}

/* "<f4": byte order, kind, bytes */
static bool read_descr(cursor *c, ane_npy *a) {
    skip_spaces(c);
    if (c->at < c->end && *c->at == '[')
        return ane_fail(c->error, ANE_ERROR_UNSUPPORTED, c->name,
            "the array has records (structured dtype); only plain numbers are read");
    char descr[16] = "";
    if (!read_string(c, descr, sizeof descr)) return false;
    char *end = descr;
    long item = descr[0] && descr[1] ? strtol(descr + 2, &end, 10) : 0;
    if (descr[0] == '>')
        return ane_fail(c->error, ANE_ERROR_UNSUPPORTED, c->name,
                   "the array is big-endian (%s); little-endian is needed", descr) ||
               ane_hint(c->error, "in Python: numpy.save(f, x.astype(x.dtype.newbyteorder('<')))");
    bool known = strchr("<|=", descr[0]) && descr[0] && item > 0 && item <= 8 && !*end;
    if (!known || !find_element_type(descr[1], (int)item))
        return ane_fail(c->error, ANE_ERROR_UNSUPPORTED, c->name,
            "the array has element type \"%s\"; float16, float32, float64, integers and bool are read",
            descr);
    a->kind = descr[1];
    a->item = (int)item;
    return true;
}

static bool read_entry(cursor *c, ane_npy *a, unsigned *seen) {
    char key[32];
    if (!read_string(c, key, sizeof key)) return false;
    if (!take(c, ':')) return wrong(c, "\":\"");
    if (!strcmp(key, "descr")) return *seen |= 1, read_descr(c, a);
    if (!strcmp(key, "shape")) return *seen |= 2, read_shape(c, a);
    if (strcmp(key, "fortran_order") != 0) return wrong(c, "one of descr, fortran_order, shape");
    *seen |= 4;
    a->fortran_order = take_word(c, "True");
    return a->fortran_order || take_word(c, "False") || wrong(c, "True or False");
}

static bool read_header(cursor *c, ane_npy *a) {
    unsigned seen = 0;
    if (!take(c, '{')) return wrong(c, "\"{\"");
    while (!take(c, '}')) {
        if (!read_entry(c, a, &seen)) return false;
        if (take(c, ',')) continue;
        if (take(c, '}')) break;
        return wrong(c, "\",\" or \"}\"");
    }
    if (seen != 7)
        return ane_fail(c->error, ANE_ERROR_FORMAT, c->name,
            "header of the array: descr, fortran_order or shape is missing");
    return true;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

/* count = product of the dimensions, and the bytes that are left must hold just that. */
static bool check_size(ane_npy *a, size_t left, const char *name, ane_error *e) {
    a->count = 1;
    for (int i = 0; i < a->rank; i++)
        if (__builtin_mul_overflow(a->count, a->dim[i], &a->count))
            return ane_fail(e, ANE_ERROR_FORMAT, name, "the array's shape has more than 2^63 elements");
    int64_t bytes;
    if (__builtin_mul_overflow(a->count, (int64_t)a->item, &bytes) || (uint64_t)bytes > left)
        return ane_fail(e, ANE_ERROR_FORMAT, name,
            "truncated: the shape asks for %lld elements of %d bytes, %zu bytes are there",
            (long long)a->count, a->item, left);
    return true;
}

bool ane_npy_parse(ane_npy *a, const void *bytes, size_t size, const char *name, ane_error *e) {
    const unsigned char *p = bytes;
    *a = (ane_npy){0};
    if (size < 10 || memcmp(p, magic, 6) != 0)
        return ane_fail(
                   e, ANE_ERROR_FORMAT, name, "not a NumPy array: it does not begin with \"\\x93NUMPY\"") ||
               ane_hint(e, "arrays are saved by numpy.save(\"%s\", x)", name);
    size_t prefix = p[6] == 1 ? 10 : 12;
    if (p[6] < 1 || p[6] > 3)
        return ane_fail(
            e, ANE_ERROR_UNSUPPORTED, name, "version %d of the .npy format; 1 to 3 are known", p[6]);
    if (size < prefix) return ane_fail(e, ANE_ERROR_FORMAT, name, "truncated within the header");
    size_t header = (size_t)p[8] | (size_t)p[9] << 8;
    if (prefix == 12) header |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (header > size - prefix)
        return ane_fail(e, ANE_ERROR_FORMAT, name, "truncated: the header has %zu bytes, %zu are there",
            header, size - prefix);
    cursor c = {
        .at = (const char *)p + prefix, .end = (const char *)p + prefix + header, .name = name, .error = e};
    if (!read_header(&c, a)) return false;
    a->data = p + prefix + header;
    return check_size(a, size - prefix - header, name, e);
}

/* Where element `index` (row by row) lies when columns come first. */
static int64_t fortran_index(const ane_npy *a, int64_t index) {
    int64_t place = 0, stride[ANE_NPY_MAX_RANK] = {0}, step = 1;
    for (int i = 0; i < a->rank; i++) {
        stride[i] = step;
        step *= a->dim[i];
    }
    for (int i = a->rank; i-- > 0;) {
        place += index % a->dim[i] * stride[i];
        index /= a->dim[i];
    }
    return place;
}

double ane_npy_at(const ane_npy *a, int64_t index) {
    const unsigned char *p = a->data + (a->fortran_order ? fortran_index(a, index) : index) * a->item;
    uint64_t u = 0;
    for (int i = 0; i < a->item; i++) u |= (uint64_t)p[i] << (8 * i);
    if (a->kind == 'b') return u != 0;
    if (a->kind == 'u') return (double)u;
    if (a->kind == 'i') {
        int unused = 64 - 8 * a->item; /* bring the sign bit to the top and back */
        return (double)((int64_t)(u << unused) >> unused);
    }
    if (a->item == 2) return ane_f32_from_f16((uint16_t)u);
    if (a->item == 4) return ane_f32_from_bits((uint32_t)u);
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

bool ane_npy_write(const char *path, const ane_npy *a, ane_error *e) {
    char shape[ANE_NPY_MAX_RANK * 24] = "", header[512];
    size_t used = 0;
    for (int i = 0; i < a->rank; i++)
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%s%lld%s", i ? ", " : "",
            (long long)a->dim[i], a->rank == 1 ? "," : "");
    int n = snprintf(header, sizeof header, "{'descr': '%s%c%d', 'fortran_order': False, 'shape': (%s), }",
        a->item == 1 ? "|" : "<", a->kind, a->item, shape);
    int padded = (10 + n + 1 + 63) / 64 * 64 - 10; /* data aligned to 64, header ended by a newline */
    unsigned char prefix[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)padded, (unsigned char)(padded >> 8)};
    ane_writer *w = ane_writer_open(path, e);
    if (!w) return false;
    ane_writer_put(w, prefix, sizeof prefix);
    ane_writer_printf(w, "%s%*s", header, padded - n, "\n");
    ane_writer_put(w, a->data, (size_t)a->count * (size_t)a->item);
    return ane_writer_commit(w, e);
}
