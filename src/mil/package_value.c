/* package_value.c - types and values in Core ML's messages. */
#include "base/arena.h"
#include "mil/function.h"
#include "mil/package.h"

#include <string.h>

static const mil_package_type types[] = {
    {MIL_BOOL, 1, TENSOR_BOOLS, 0},
    {MIL_STRING, 2, TENSOR_STRINGS, 0},
    {MIL_FP16, 10, TENSOR_BYTES, 65552},
    {MIL_FP32, 11, TENSOR_FLOATS, 65568},
    {MIL_FP64, 12, TENSOR_DOUBLES, 0},
    {MIL_BF16, 13, TENSOR_BYTES, 0},
    {MIL_INT8, 21, TENSOR_BYTES, 131080},
    {MIL_INT16, 22, TENSOR_BYTES, 0},
    {MIL_INT32, 23, TENSOR_INTS, 131104},
    {MIL_INT64, 24, TENSOR_LONGS, 0},
    {MIL_INT4, 25, TENSOR_BYTES, 0},
    {MIL_UINT8, 31, TENSOR_BYTES, 0},
    {MIL_UINT16, 32, TENSOR_BYTES, 0},
    {MIL_UINT32, 33, TENSOR_BYTES, 0},
    {MIL_UINT64, 34, TENSOR_BYTES, 0},
    {MIL_UINT4, 35, TENSOR_BYTES, 0},
    {MIL_UINT2, 36, TENSOR_BYTES, 0},
    {MIL_UINT1, 37, TENSOR_BYTES, 0},
    {MIL_UINT6, 38, TENSOR_BYTES, 0},
    {MIL_UINT3, 39, TENSOR_BYTES, 0},
};
enum { N_TYPES = sizeof types / sizeof *types };

const mil_package_type *mil_package_type_of(mil_dtype dtype) {
    for (int i = 0; i < N_TYPES; i++)
        if (types[i].dtype == dtype) return &types[i];
    return NULL;
}

static const mil_package_type *type_from_code(uint64_t code) {
    for (int i = 0; i < N_TYPES; i++)
        if (types[i].code == code) return &types[i];
    return NULL;
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

void mil_package_put_type(mil_wire_buffer *b, uint32_t number, const mil_type *type) {
    size_t value_type = mil_wire_begin(b, number), tensor = mil_wire_begin(b, TYPE_TENSOR);
    mil_wire_put_varint(b, TENSOR_DATA_TYPE, mil_package_type_of(type->dtype)->code);
    mil_wire_put_varint(b, TENSOR_RANK, (uint64_t)type->rank);
    for (int32_t i = 0; i < type->rank; i++) {
        size_t dimension = mil_wire_begin(b, TENSOR_DIMENSION),
               constant = mil_wire_begin(b, DIMENSION_CONSTANT);
        mil_wire_put_varint(b, CONSTANT_SIZE, (uint64_t)type->dim[i]);
        mil_wire_end(b, constant);
        mil_wire_end(b, dimension);
    }
    mil_wire_end(b, tensor);
    mil_wire_end(b, value_type);
}

/* Numbers in the field of their type: varints for integers and bool, otherwise the bytes as they are. */
static void put_elements(
    mil_wire_buffer *b, const mil_package_type *form, const mil_type *type, const void *data) {
    size_t tensor = mil_wire_begin(b, form->field);
    if (form->field == TENSOR_STRINGS) {
        mil_wire_put_text(b, REPEATED_VALUES, data);
    } else {
        bool varints =
            form->field == TENSOR_INTS || form->field == TENSOR_LONGS || form->field == TENSOR_BOOLS;
        size_t values = mil_wire_begin(b, REPEATED_VALUES);
        int64_t n = mil_type_count(type);
        for (int64_t i = 0; varints && i < n; i++) {
            int64_t x = 0;
            if (form->field == TENSOR_LONGS)
                memcpy(&x, (const char *)data + 8 * i, 8);
            else
                x = (int64_t)mil_constant_at(type, data, i);
            mil_wire_put_raw_varint(b, (uint64_t)x);
        }
        if (!varints) mil_wire_put_raw(b, data, (size_t)mil_type_bytes(type));
        mil_wire_end(b, values);
    }
    mil_wire_end(b, tensor);
}

void mil_package_put_value(mil_wire_buffer *b, uint32_t number, const mil_type *type, const void *data) {
    size_t value = mil_wire_begin(b, number);
    mil_package_put_type(b, VALUE_TYPE, type);
    size_t immediate = mil_wire_begin(b, VALUE_IMMEDIATE), tensor = mil_wire_begin(b, IMMEDIATE_TENSOR);
    put_elements(b, mil_package_type_of(type->dtype), type, data);
    mil_wire_end(b, tensor);
    mil_wire_end(b, immediate);
    mil_wire_end(b, value);
}

void mil_package_put_blob(mil_wire_buffer *b, uint32_t number, const mil_type *type, uint64_t offset) {
    size_t value = mil_wire_begin(b, number);
    mil_package_put_type(b, VALUE_TYPE, type);
    size_t blob = mil_wire_begin(b, VALUE_BLOB);
    mil_wire_put_text(b, BLOB_NAME, MIL_PACKAGE_BLOB);
    mil_wire_put_varint(b, BLOB_OFFSET, offset);
    mil_wire_end(b, blob);
    mil_wire_end(b, value);
}

/* ---- reading: types ------------------------------------------------------------------------------------------------ */

bool mil_package_get_text(mil_wire bytes, struct ane_arena *arena, const char **text, ane_error *e) {
    if (bytes.size && memchr(bytes.data, 0, bytes.size))
        return ane_fail(e, ANE_ERROR_FORMAT, NULL, "expected text, found a zero byte in it");
    *text = ane_arena_strndup(arena, bytes.size ? (const char *)bytes.data : "", bytes.size);
    return *text || mil_no_memory(e, NULL);
}

static bool get_dimension(mil_wire message, int64_t *size, ane_error *e) {
    mil_wire_field d, c;
    bool known = false;
    while (mil_wire_next(&message, &d, e)) {
        if (d.number != DIMENSION_CONSTANT || d.kind != MIL_WIRE_BYTES) continue;
        mil_wire constant = d.bytes;
        while (mil_wire_next(&constant, &c, e))
            if (c.number == CONSTANT_SIZE && c.kind == MIL_WIRE_VARINT && c.value <= INT64_MAX)
                *size = (int64_t)c.value, known = true;
    }
    if (known || (e->code)) return known && !(e->code);
    ane_fail(e, ANE_ERROR_UNSUPPORTED, NULL, "expected a dimension of known size, found a flexible one");
    return ane_hint(e, "Convert the model with fixed shapes.");
}

static bool get_tensor(mil_wire message, mil_type *type, ane_error *e) {
    mil_wire_field field;
    const mil_package_type *form = NULL;
    int32_t rank = 0;
    while (mil_wire_next(&message, &field, e)) {
        if (field.number == TENSOR_DATA_TYPE) {
            form = type_from_code(field.value);
            if (!form)
                return ane_fail(e, ANE_ERROR_UNSUPPORTED, NULL,
                    "element type %llu of Core ML is not supported", (unsigned long long)field.value);
        } else if (field.number == TENSOR_DIMENSION && field.kind == MIL_WIRE_BYTES) {
            if (rank == MIL_MAX_RANK)
                return ane_fail(
                    e, ANE_ERROR_UNSUPPORTED, NULL, "expected at most %d dimensions", MIL_MAX_RANK);
            if (!get_dimension(field.bytes, &type->dim[rank++], e)) return false;
        }
    }
    if (e->code) return false;
    if (!form) return ane_fail(e, ANE_ERROR_FORMAT, NULL, "expected an element type, found none");
    type->dtype = form->dtype;
    type->rank = rank;
    if (type->dtype != MIL_STRING) return mil_type_check(type, NULL, e);
    return rank == 0 || ane_fail(e, ANE_ERROR_UNSUPPORTED, NULL, "tensors of strings are not supported");
}

bool mil_package_get_type(mil_wire message, mil_type *type, ane_error *e) {
    mil_wire_field field;
    *type = (mil_type){0};
    while (mil_wire_next(&message, &field, e)) {
        if (field.kind != MIL_WIRE_BYTES) continue;
        if (field.number == TYPE_TENSOR) return get_tensor(field.bytes, type, e);
        static const char *const others[] = {"list", "tuple", "dictionary", "state"};
        if (field.number >= 2 && field.number <= 5)
            return ane_fail(e, ANE_ERROR_UNSUPPORTED, NULL, "expected a tensor, found a %s: not supported",
                others[field.number - 2]);
    }
    return ane_fail(e, ANE_ERROR_FORMAT, NULL, "expected a type, found none");
}

/* ---- reading: values ----------------------------------------------------------------------------------------------- */

/* Where elements go: `n` of them have come. */
typedef struct elements {
    const mil_package_type *form;
    const mil_type *type;
    int64_t n, count;
    unsigned char *data;
} elements;

static bool too_many(const elements *x, ane_error *e) {
    char type[128];
    return ane_fail(e, ANE_ERROR_FORMAT, NULL, "%s has other than its %lld elements",
        mil_type_print(x->type, type, sizeof type), (long long)x->count);
}

static bool add_varint(elements *x, uint64_t value, ane_error *e) {
    if (x->n == x->count) return too_many(x, e);
    if (x->form->field == TENSOR_LONGS)
        memcpy(x->data + 8 * x->n, &value, 8);
    else
        mil_constant_set(x->type, x->data, x->n, (double)(int64_t)value);
    x->n++;
    return true;
}

static bool add_raw(elements *x, mil_wire bytes, ane_error *e) {
    int64_t total = mil_type_bytes(x->type), width = x->count > 0 ? total / x->count : 1;
    bool whole = x->form->field == TENSOR_BYTES;
    if (whole ? bytes.size != (size_t)total || x->n : bytes.size > (size_t)((x->count - x->n) * width))
        return too_many(x, e);
    if (!whole && bytes.size % (size_t)width != 0) return too_many(x, e);
    if (bytes.size) memcpy(x->data + (whole ? 0 : x->n * width), bytes.data, bytes.size);
    x->n += whole ? x->count : (int64_t)bytes.size / width;
    return true;
}

/* Numbers come packed, or one by one. */
static bool add_field(elements *x, const mil_wire_field *field, ane_error *e) {
    bool varints =
        x->form->field == TENSOR_INTS || x->form->field == TENSOR_LONGS || x->form->field == TENSOR_BOOLS;
    if (!varints)
        return field->kind == MIL_WIRE_VARINT
                   ? ane_fail(e, ANE_ERROR_FORMAT, NULL, "expected bytes, found a number")
                   : add_raw(x, field->bytes, e);
    if (field->kind == MIL_WIRE_VARINT) return add_varint(x, field->value, e);
    for (mil_wire packed = field->bytes; packed.size;) {
        uint64_t value;
        if (!mil_wire_varint(&packed, &value, e) || !add_varint(x, value, e)) return false;
    }
    return true;
}

static bool get_string(mil_wire message, struct ane_arena *arena, const void **data, ane_error *e) {
    mil_wire_field field;
    const char *text = NULL;
    while (mil_wire_next(&message, &field, e))
        if (field.number == REPEATED_VALUES && field.kind == MIL_WIRE_BYTES &&
            !mil_package_get_text(field.bytes, arena, &text, e))
            return false;
    *data = text;
    return text || ane_fail(e, ANE_ERROR_FORMAT, NULL, "expected a string, found none");
}

static bool get_elements(
    mil_wire message, const mil_type *type, struct ane_arena *arena, const void **data, ane_error *e) {
    elements x = {mil_package_type_of(type->dtype), type, 0, mil_type_count(type), NULL};
    mil_wire_field field;
    int64_t bytes = mil_type_bytes(type);
    /* What is written out takes at least a bit for each element. */
    if (bytes < 0 || (uint64_t)x.count > (uint64_t)message.size * 8) return too_many(&x, e);
    x.data = ane_arena_alloc(arena, (size_t)bytes + 1);
    if (!x.data) return mil_no_memory(e, NULL);
    while (mil_wire_next(&message, &field, e))
        if (field.number == REPEATED_VALUES && !add_field(&x, &field, e)) return false;
    if (e->code) return false;
    *data = x.data;
    return x.n == x.count || too_many(&x, e);
}

/* The one field of a tensor value must be that of its type. */
static bool get_tensor_value(
    mil_wire message, const mil_type *type, struct ane_arena *arena, const void **data, ane_error *e) {
    mil_wire_field field;
    const mil_package_type *form = mil_package_type_of(type->dtype);
    while (mil_wire_next(&message, &field, e)) {
        if (field.kind != MIL_WIRE_BYTES) continue;
        if (field.number != form->field)
            return ane_fail(e, ANE_ERROR_UNSUPPORTED, NULL, "values of type %s in field %u are not supported",
                mil_dtype_name(type->dtype), (unsigned)field.number);
        return type->dtype == MIL_STRING ? get_string(field.bytes, arena, data, e)
                                         : get_elements(field.bytes, type, arena, data, e);
    }
    return ane_fail(e, ANE_ERROR_FORMAT, NULL, "expected a value, found none");
}

static bool get_immediate(
    mil_wire message, const mil_type *type, struct ane_arena *arena, const void **data, ane_error *e) {
    mil_wire_field field;
    while (mil_wire_next(&message, &field, e))
        if (field.number == IMMEDIATE_TENSOR && field.kind == MIL_WIRE_BYTES)
            return get_tensor_value(field.bytes, type, arena, data, e);
    return ane_fail(e, ANE_ERROR_UNSUPPORTED, NULL, "expected the value of a tensor, found another kind");
}

static bool get_blob(mil_wire message, struct ane_arena *arena, mil_constant *c, ane_error *e) {
    mil_wire_field field;
    while (mil_wire_next(&message, &field, e)) {
        if (field.number == BLOB_NAME && field.kind == MIL_WIRE_BYTES &&
            !mil_package_get_text(field.bytes, arena, &c->blob_path, e))
            return false;
        if (field.number == BLOB_OFFSET) c->blob_offset = field.value;
    }
    return c->blob_path ||
           ane_fail(e, ANE_ERROR_FORMAT, NULL, "expected the name of a blob file, found none");
}

bool mil_package_get_value(mil_wire message, struct ane_arena *arena, mil_blob_loader *blobs, mil_type *type,
    mil_constant **constant, ane_error *e) {
    mil_wire_field field;
    mil_wire immediate = {0}, blob = {0};
    bool typed = false;
    while (mil_wire_next(&message, &field, e)) {
        if (field.kind != MIL_WIRE_BYTES) continue;
        if (field.number == VALUE_TYPE && !(typed = mil_package_get_type(field.bytes, type, e))) return false;
        if (field.number == VALUE_IMMEDIATE) immediate = field.bytes;
        if (field.number == VALUE_BLOB) blob = field.bytes;
    }
    if (e->code) return false;
    if (!typed) return ane_fail(e, ANE_ERROR_FORMAT, NULL, "expected a value with a type, found none");
    mil_constant *c = *constant = ane_arena_alloc(arena, sizeof *c);
    if (!c) return mil_no_memory(e, NULL);
    if (!blob.data) return get_immediate(immediate, type, arena, &c->data, e);
    return get_blob(blob, arena, c, e) && mil_blob_load(blobs, c->blob_path, type, c, e);
}
