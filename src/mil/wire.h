/* wire.h - protocol buffers' wire format: fields of a message read one after the other, and written into a buffer.
 *
 * A message is a run of fields; a field is a number and a value: a varint, 4 or 8 bytes, or a length and bytes (text,
 * packed numbers, another message). Source: protobuf.dev, "Encoding". */
#ifndef ANEMONE_MIL_WIRE_H
#define ANEMONE_MIL_WIRE_H

#include "anemone/error.h"

#include <stddef.h>
#include <stdint.h>

typedef enum mil_wire_kind {
    MIL_WIRE_VARINT = 0,
    MIL_WIRE_64 = 1,
    MIL_WIRE_BYTES = 2,
    MIL_WIRE_32 = 5
} mil_wire_kind;

/* ---- reading ------------------------------------------------------------------------------------------------------ */

/* What is left of a message. */
typedef struct mil_wire {
    const unsigned char *data;
    size_t size;
} mil_wire;

typedef struct mil_wire_field {
    uint32_t number;
    mil_wire_kind kind;
    uint64_t value; /* of a varint, or the 4 or 8 bytes little-endian */
    mil_wire bytes; /* of MIL_WIRE_BYTES */
} mil_wire_field;

/* The next field, taken off `w`. False at the end, and with a report where the message is damaged. */
bool mil_wire_next(mil_wire *w, mil_wire_field *field, ane_error *e);
/* A varint, taken off `w`; false with a report when there is none. */
bool mil_wire_varint(mil_wire *w, uint64_t *value, ane_error *e);

/* ---- writing ------------------------------------------------------------------------------------------------------ */

/* Starts as zero; free `data` at the end. Once memory has run out nothing more is written. */
typedef struct mil_wire_buffer {
    unsigned char *data;
    size_t size, capacity;
    bool failed;
} mil_wire_buffer;

void mil_wire_put_varint(mil_wire_buffer *b, uint32_t number, uint64_t value);
void mil_wire_put_text(mil_wire_buffer *b, uint32_t number, const char *text);
/* A message in a message: what is put between begin and end is its content. */
size_t mil_wire_begin(mil_wire_buffer *b, uint32_t number);
void mil_wire_end(mil_wire_buffer *b, size_t begin);
/* Without field numbers: what packed numbers are made of. */
void mil_wire_put_raw_varint(mil_wire_buffer *b, uint64_t value);
void mil_wire_put_raw(mil_wire_buffer *b, const void *data, size_t size);

#endif
