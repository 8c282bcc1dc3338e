/* wire.c - see wire.h. */
#include "mil/wire.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static bool damaged(ane_error *e, const char *what) {
    return ane_fail(e, ANE_ERROR_FORMAT, NULL, "expected a protocol buffer, found %s", what);
}

bool mil_wire_varint(mil_wire *w, uint64_t *value, ane_error *e) {
    *value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (w->size == 0) return damaged(e, "a number that is cut off");
        unsigned char byte = *w->data++;
        w->size--;
        *value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return true;
    }
    return damaged(e, "a number of more than 64 bits");
}

static bool take(mil_wire *w, uint64_t size, mil_wire *bytes, ane_error *e) {
    if (size > w->size) return damaged(e, "a field that is longer than its message");
    *bytes = (mil_wire){w->data, (size_t)size};
    w->data += size;
    w->size -= (size_t)size;
    return true;
}

static uint64_t little_endian(const mil_wire *bytes) {
    uint64_t value = 0;
    for (size_t i = bytes->size; i-- > 0;) value = value << 8 | bytes->data[i];
    return value;
}

bool mil_wire_next(mil_wire *w, mil_wire_field *field, ane_error *e) {
    uint64_t tag;
    *field = (mil_wire_field){0};
    if (w->size == 0) return false;
    if (!mil_wire_varint(w, &tag, e)) return false;
    field->kind = (mil_wire_kind)(tag & 7);
    field->number = (uint32_t)(tag >> 3);
    if (tag >> 3 == 0 || tag >> 32 != 0) return damaged(e, "a field without a valid number");
    switch (field->kind) {
    case MIL_WIRE_VARINT: return mil_wire_varint(w, &field->value, e);
    case MIL_WIRE_BYTES:
        return mil_wire_varint(w, &field->value, e) && take(w, field->value, &field->bytes, e);
    case MIL_WIRE_64:
    case MIL_WIRE_32:
        if (!take(w, field->kind == MIL_WIRE_64 ? 8 : 4, &field->bytes, e)) return false;
        field->value = little_endian(&field->bytes);
        return true;
    }
    return damaged(e, "a field of an unknown kind");
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

static bool reserve(mil_wire_buffer *b, size_t more) {
    if (b->failed || more > SIZE_MAX / 2 - b->size) b->failed = true;
    if (b->failed || b->size + more <= b->capacity) return !b->failed;
    size_t capacity = 2 * (b->size + more);
    unsigned char *grown = realloc(b->data, capacity);
    if (!grown) return !(b->failed = true);
    b->data = grown;
    b->capacity = capacity;
    return true;
}

void mil_wire_put_raw(mil_wire_buffer *b, const void *data, size_t size) {
    if (size == 0 || !reserve(b, size)) return;
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static size_t encode(unsigned char out[10], uint64_t value) {
    size_t n = 0;
    for (; value > 127; value >>= 7) out[n++] = (unsigned char)(value | 128);
    out[n++] = (unsigned char)value;
    return n;
}

void mil_wire_put_raw_varint(mil_wire_buffer *b, uint64_t value) {
    unsigned char bytes[10];
    size_t n = encode(bytes, value);
    mil_wire_put_raw(b, bytes, n);
}

static void put_tag(mil_wire_buffer *b, uint32_t number, mil_wire_kind kind) {
    mil_wire_put_raw_varint(b, (uint64_t)number << 3 | kind);
}

void mil_wire_put_varint(mil_wire_buffer *b, uint32_t number, uint64_t value) {
    put_tag(b, number, MIL_WIRE_VARINT);
    mil_wire_put_raw_varint(b, value);
}

void mil_wire_put_text(mil_wire_buffer *b, uint32_t number, const char *text) {
    const size_t size = strlen(text);
    put_tag(b, number, MIL_WIRE_BYTES);
    mil_wire_put_raw_varint(b, size);
    mil_wire_put_raw(b, text, size);
}

size_t mil_wire_begin(mil_wire_buffer *b, uint32_t number) {
    put_tag(b, number, MIL_WIRE_BYTES);
    return b->size;
}

/* The length, known only now, goes in front of the content. */
void mil_wire_end(mil_wire_buffer *b, size_t begin) {
    unsigned char length[10];
    if (b->failed) return;
    size_t size = b->size - begin, n = encode(length, size);
    if (!reserve(b, n)) return;
    memmove(b->data + begin + n, b->data + begin, size);
    memcpy(b->data + begin, length, n);
    b->size += n;
}
