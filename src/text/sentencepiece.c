/* SentencePiece's .model: a protobuf message (sentencepiece_model.proto), of which these fields matter:
 *   1 pieces: 1 piece, 2 score, 3 type     2 trainer_spec: 3 model_type, 24 whitespace as suffix, 46 bos, 47
 * eos 3 normalizer_spec: 2 precompiled_charsmap, 3 add_dummy_prefix, 4 remove_extra_whitespaces, 5
 * escape_whitespaces Protobuf's wire format: a varint key (field << 3 | type), then type 0: varint, 1: 8
 * bytes, 2: length and bytes, 5: 4. */
#include "text/tokenizer.h"

#include <math.h>
#include <string.h>

typedef struct wire {
    const unsigned char *at, *end;
} wire;

typedef struct field {
    uint64_t number;
    unsigned type;  /* wire type */
    uint64_t value; /* types 0, 1, 5 */
    wire bytes;     /* type 2 */
} field;

enum { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };
enum { PIECE_NORMAL = 1, PIECE_UNKNOWN, PIECE_CONTROL, PIECE_USER, PIECE_UNUSED, PIECE_BYTE };
enum { MODEL_UNIGRAM = 1, MODEL_BPE };

/* What the specs say; the initial values are the proto's defaults. */
typedef struct specs {
    uint64_t model_type, suffix, dummy_prefix, remove_spaces, escape;
    wire charsmap, bos, eos;
    int unknowns;
} specs;

static bool read_varint(wire *w, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; w->at < w->end && shift < 64; shift += 7) {
        unsigned char byte = *w->at++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return true;
    }
    return false;
}

static bool read_fixed(wire *w, size_t size, uint64_t *value) {
    if ((size_t)(w->end - w->at) < size) return false;
    *value = 0;
    for (size_t i = 0; i < size; i++) *value |= (uint64_t)w->at[i] << 8 * i;
    w->at += size;
    return true;
}

static bool read_bytes(wire *w, wire *bytes) {
    uint64_t size;
    if (!read_varint(w, &size) || size > (uint64_t)(w->end - w->at)) return false;
    *bytes = (wire){w->at, w->at + size};
    w->at += size;
    return true;
}

/* One field of a message; false when the bytes are no field. */
static bool read_field(wire *w, field *f) {
    uint64_t key;
    if (!read_varint(w, &key) || key >> 3 == 0) return false;
    f->number = key >> 3;
    f->type = (unsigned)(key & 7);
    f->value = 0;
    f->bytes = (wire){0};
    switch (f->type) {
    case WIRE_VARINT: return read_varint(w, &f->value);
    case WIRE_64: return read_fixed(w, 8, &f->value);
    case WIRE_BYTES: return read_bytes(w, &f->bytes);
    case WIRE_32: return read_fixed(w, 4, &f->value);
    default: return false;
    }
}

static bool same_bytes(wire a, wire b) {
    return a.end - a.at == b.end - b.at && (a.at == a.end || !memcmp(a.at, b.at, (size_t)(a.end - a.at)));
}

/* Copy a piece with U+2581 made a space. Returns its size; `out` has room for ANE_PIECE_LONGEST bytes. */
static size_t plain_text(wire in, unsigned char *out) {
    size_t n = 0;
    while (in.at < in.end) {
        bool space = in.end - in.at >= 3 && !memcmp(in.at, "\xe2\x96\x81", 3);
        out[n++] = space ? ' ' : *in.at;
        in.at += space ? 3 : 1;
    }
    return n;
}

static bool add_byte_piece(ane_tokenizer *t, wire text, float score, ane_error *e) {
    int byte = ane_byte_of_piece(text.at, (size_t)(text.end - text.at));
    if (byte < 0 || t->byte_id[byte] >= 0)
        return ane_fail(
            e, ANE_ERROR_FORMAT, NULL, "Piece %d should stand for a byte, each byte once.", t->n_pieces);
    t->byte_id[byte] = t->n_pieces;
    unsigned char b = (unsigned char)byte;
    return ane_vocabulary_add(t, &b, 1, score, ANE_PIECE_BYTE, e);
}

/* Append a piece of SentencePiece's `type`. */
static bool add_piece(ane_tokenizer *t, wire text, float score, uint64_t type, ane_error *e) {
    static const ane_piece_type types[] = {[PIECE_NORMAL] = ANE_PIECE_NORMAL,
        [PIECE_UNKNOWN] = ANE_PIECE_SPECIAL,
        [PIECE_CONTROL] = ANE_PIECE_SPECIAL,
        [PIECE_USER] = ANE_PIECE_USER};
    if (type < PIECE_NORMAL || type > PIECE_BYTE || type == PIECE_UNUSED)
        return ane_fail(e, ANE_ERROR_UNSUPPORTED, NULL,
            "Piece %d is of type %llu; types 1 to 4 and 6 are supported.", t->n_pieces,
            (unsigned long long)type);
    if (type == PIECE_BYTE) return add_byte_piece(t, text, score, e);
    unsigned char plain[ANE_PIECE_LONGEST];
    size_t size = (size_t)(text.end - text.at);
    if (size <= sizeof plain) size = plain_text(text, plain);
    return ane_vocabulary_add(t, plain, size, score, types[type], e); /* refuses what did not fit */
}

static bool read_piece(ane_tokenizer *t, specs *s, wire message, ane_error *e) {
    wire text = {0};
    float score = 0;
    uint64_t type = PIECE_NORMAL;
    field f;
    while (message.at < message.end) {
        if (!read_field(&message, &f))
            return ane_fail(e, ANE_ERROR_FORMAT, NULL, "Piece %d is not a protobuf message.", t->n_pieces);
        if (f.number == 1 && f.type == WIRE_BYTES) text = f.bytes;
        if (f.number == 3 && f.type == WIRE_VARINT) type = f.value;
        if (f.number == 2 && f.type == WIRE_32) {
            uint32_t bits = (uint32_t)f.value;
            memcpy(&score, &bits, sizeof score);
        }
    }
    if (type == PIECE_UNKNOWN) s->unknowns++;
    if (type == PIECE_CONTROL && t->bos < 0 && same_bytes(text, s->bos)) t->bos = t->n_pieces;
    if (type == PIECE_CONTROL && t->eos < 0 && same_bytes(text, s->eos)) t->eos = t->n_pieces;
    return add_piece(t, text, score, type, e);
}

static bool read_trainer(specs *s, wire message, ane_error *e) {
    field f;
    while (message.at < message.end) {
        if (!read_field(&message, &f))
            return ane_fail(e, ANE_ERROR_FORMAT, NULL, "The trainer_spec is not a protobuf message.");
        if (f.number == 3 && f.type == WIRE_VARINT) s->model_type = f.value;
        if (f.number == 24 && f.type == WIRE_VARINT) s->suffix = f.value;
        if (f.number == 46 && f.type == WIRE_BYTES) s->bos = f.bytes;
        if (f.number == 47 && f.type == WIRE_BYTES) s->eos = f.bytes;
    }
    return true;
}

static bool read_normalizer(specs *s, wire message, ane_error *e) {
    field f;
    while (message.at < message.end) {
        if (!read_field(&message, &f))
            return ane_fail(e, ANE_ERROR_FORMAT, NULL, "The normalizer_spec is not a protobuf message.");
        if (f.number == 2 && f.type == WIRE_BYTES) s->charsmap = f.bytes;
        if (f.number == 3 && f.type == WIRE_VARINT) s->dummy_prefix = f.value;
        if (f.number == 4 && f.type == WIRE_VARINT) s->remove_spaces = f.value;
        if (f.number == 5 && f.type == WIRE_VARINT) s->escape = f.value;
    }
    return true;
}

/* First pass: the specs, which stand after the pieces. Also finds whether the whole file is a message. */
static bool read_specs(specs *s, wire model, ane_error *e) {
    const unsigned char *start = model.at;
    field f;
    while (model.at < model.end) {
        const unsigned char *at = model.at;
        if (!read_field(&model, &f))
            return ane_fail(e, ANE_ERROR_FORMAT, NULL,
                "No protobuf field at byte %td; the file is truncated or not a SentencePiece model.",
                at - start);
        if (f.number == 2 && f.type == WIRE_BYTES && !read_trainer(s, f.bytes, e)) return false;
        if (f.number == 3 && f.type == WIRE_BYTES && !read_normalizer(s, f.bytes, e)) return false;
    }
    return true;
}

/* Refuse what we would do otherwise than SentencePiece. */
static bool check_specs(const specs *s, ane_error *e) {
    if (s->model_type != MODEL_BPE)
        return ane_fail(e, ANE_ERROR_UNSUPPORTED, NULL,
            "The model is of type %llu (%s); only BPE (2) is supported.", (unsigned long long)s->model_type,
            s->model_type == MODEL_UNIGRAM ? "unigram" : "word or char");
    if (s->charsmap.at != s->charsmap.end) {
        ane_fail(e, ANE_ERROR_UNSUPPORTED, NULL,
            "The model rewrites characters, so text would not come back unchanged.");
        return ane_hint(e, "Train it with --normalization_rule_name=identity.");
    }
    if (s->suffix || !s->escape)
        return ane_fail(
            e, ANE_ERROR_UNSUPPORTED, NULL, "The model's treatment of white space is not supported.");
    return true;
}

static bool read_model(ane_tokenizer *t, wire model, ane_error *e) {
    specs s = {.model_type = MODEL_UNIGRAM, .dummy_prefix = 1, .remove_spaces = 1, .escape = 1};
    s.bos = (wire){(const unsigned char *)"<s>", (const unsigned char *)"<s>" + 3};
    s.eos = (wire){(const unsigned char *)"</s>", (const unsigned char *)"</s>" + 4};
    if (!read_specs(&s, model, e) || !check_specs(&s, e)) return false;
    field f;
    while (read_field(&model, &f)) /* to the end: read_specs saw that all are fields */
        if (f.number == 1 && f.type == WIRE_BYTES && !read_piece(t, &s, f.bytes, e)) return false;
    if (s.unknowns != 1)
        return ane_fail(e, ANE_ERROR_FORMAT, NULL,
            "The model has %d pieces for unknown text; it must have one.", s.unknowns);
    t->dummy_prefix = s.dummy_prefix;
    t->single_spaces = s.remove_spaces;
    return true;
}

ane_tokenizer *ane_sentencepiece_parse(const unsigned char *data, size_t size, ane_error *e) {
    ane_tokenizer *t = ane_vocabulary_new("sentencepiece", "tokenizer.model", e);
    if (!t) return NULL;
    t->merge_unknown = true;
    t->lowest_score = -INFINITY;
    if (read_model(t, (wire){data, data + size}, e) && ane_vocabulary_index(t, e)) return t;
    ane_tokenizer_free(t);
    return NULL;
}
