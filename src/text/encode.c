/* Byte-pair encoding: of all neighbours whose joint text is a piece, merge the two whose piece scores best
 * (the leftmost of equals), until none is left.
 *
 * Fast and yet exactly that: the text is cut wherever two bytes meet that stand side by side in no piece at
 * all, for nothing can ever be merged across such a place; within a part the candidates wait in a heap. */
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

/* A stretch of the part that is one piece, or (id < 0) is spelled in bytes. */
typedef struct symbol {
    size_t begin, size; /* size 0: merged into its left neighbour */
    int32_t previous, next;
    int32_t id;
    bool frozen; /* is never merged */
} symbol;

typedef struct candidate {
    float score;
    int32_t left, right, id;
    size_t size; /* of both when this was written: another size means that one was merged since */
} candidate;

typedef struct encoder {
    const ane_tokenizer *t;
    ane_ids_sink *sink;
    void *context;
    const unsigned char *part; /* what is being encoded */
    size_t part_at;            /* where it lies in the text */
    size_t origin, prefix; /* for messages: the text's place in its file; bytes before the text in `part` */
    symbol *symbols;
    size_t n_symbols, symbols_capacity;
    candidate *heap;
    size_t n_heap, heap_capacity;
    int32_t ids[4096];
    size_t n_ids;
} encoder;

static bool no_memory(size_t bytes, ane_error *e) {
    return ane_fail(e, ANE_ERROR_MEMORY, NULL, "No memory to tokenize %zu bytes that hang together.", bytes);
}

static bool better(const candidate *a, const candidate *b) {
    return a->score > b->score || (a->score == b->score && a->left < b->left);
}

static bool push(encoder *n, candidate c) {
    if (n->n_heap == n->heap_capacity) {
        size_t capacity = n->heap_capacity ? 2 * n->heap_capacity : 256;
        candidate *heap = realloc(n->heap, capacity * sizeof *heap);
        if (!heap) return false;
        n->heap = heap;
        n->heap_capacity = capacity;
    }
    size_t i = n->n_heap++;
    for (; i > 0 && better(&c, &n->heap[(i - 1) / 2]); i = (i - 1) / 2) n->heap[i] = n->heap[(i - 1) / 2];
    n->heap[i] = c;
    return true;
}

static candidate pop(encoder *n) {
    candidate top = n->heap[0], last = n->heap[--n->n_heap];
    size_t i = 0;
    for (size_t child = 1; child < n->n_heap; i = child, child = 2 * i + 1) {
        if (child + 1 < n->n_heap && better(&n->heap[child + 1], &n->heap[child])) child++;
        if (!better(&n->heap[child], &last)) break;
        n->heap[i] = n->heap[child];
    }
    n->heap[i] = last;
    return top;
}

/* Write down that symbols left and right could be merged, if they could. */
static bool consider(encoder *n, int32_t left, int32_t right) {
    if (left < 0 || right < 0) return true;
    const symbol *a = &n->symbols[left], *b = &n->symbols[right];
    if (a->frozen || b->frozen) return true;
    int32_t id = ane_vocabulary_find(n->t, n->part + a->begin, a->size + b->size);
    if (id < 0) return true;
    float score = n->t->pieces[id].score;
    if (!(score > n->t->lowest_score)) return true;
    return push(n, (candidate){score, left, right, id, a->size + b->size});
}

static void merge(encoder *n, const candidate *c) {
    symbol *a = &n->symbols[c->left], *b = &n->symbols[c->right];
    a->size = c->size;
    a->id = c->id;
    a->next = b->next;
    if (b->next >= 0) n->symbols[b->next].previous = c->left;
    b->size = 0;
}

static bool merge_all(encoder *n) {
    for (size_t i = 1; i < n->n_symbols; i++)
        if (!consider(n, (int32_t)i - 1, (int32_t)i)) return false;
    while (n->n_heap > 0) {
        candidate c = pop(n);
        const symbol *a = &n->symbols[c.left], *b = &n->symbols[c.right];
        if (a->size == 0 || b->size == 0 || a->size + b->size != c.size) continue;
        merge(n, &c);
        if (!consider(n, a->previous, c.left) || !consider(n, c.left, a->next)) return false;
    }
    return true;
}

/* Bytes of the character that `s` starts with: a byte and up to three continuation bytes, as llama2.c takes
 * them; in valid UTF-8 that is one code point. */
static size_t character_size(const unsigned char *s, size_t left) {
    size_t size = 1;
    while (size < 4 && size < left && (s[size] & 0xc0) == 0x80) size++;
    return size;
}

/* Bytes from `s` to the first place that no merge can cross. A user piece cannot cross it either. */
static size_t part_size(const ane_tokenizer *t, const unsigned char *s, size_t left) {
    size_t size = 0;
    do size += character_size(s + size, left - size);
    while (size < left && ane_bytes_join(t, s[size - 1], s[size]));
    return size;
}

static bool add_symbol(encoder *n, size_t begin, size_t size, bool user) {
    if (n->n_symbols == n->symbols_capacity) {
        size_t capacity = n->symbols_capacity ? 2 * n->symbols_capacity : 256;
        symbol *symbols = capacity <= INT32_MAX ? realloc(n->symbols, capacity * sizeof *symbols) : NULL;
        if (!symbols) return false;
        n->symbols = symbols;
        n->symbols_capacity = capacity;
    }
    int32_t i = (int32_t)n->n_symbols++, id = ane_vocabulary_find(n->t, n->part + begin, size);
    bool frozen = user || (id < 0 && !n->t->merge_unknown);
    n->symbols[i] = (symbol){begin, size, i - 1, i + 1, id, frozen};
    return true;
}

/* `prefixed`: the first byte is the space before the text, which no continuation byte of an invalid text
 * belongs to. */
static bool make_symbols(encoder *n, size_t size, bool prefixed) {
    n->n_symbols = 0;
    for (size_t at = 0, step; at < size; at += step) {
        size_t user = ane_vocabulary_user(n->t, n->part + at, size - at);
        step = prefixed && at == 0 ? 1 : character_size(n->part + at, size - at);
        if (user) step = user;
        if (!add_symbol(n, at, step, user > 0)) return false;
    }
    n->symbols[n->n_symbols - 1].next = -1;
    return true;
}

static bool flush(encoder *n, ane_error *e) {
    size_t count = n->n_ids;
    n->n_ids = 0;
    return count == 0 || n->sink(n->context, n->ids, count, e);
}

static bool emit(encoder *n, int32_t id, ane_error *e) {
    n->ids[n->n_ids++] = id;
    return n->n_ids < sizeof n->ids / sizeof *n->ids || flush(n, e);
}

static bool emit_symbol(encoder *n, const symbol *s, ane_error *e) {
    if (s->id >= 0) return emit(n, s->id, e);
    for (size_t i = s->begin; i < s->begin + s->size; i++) {
        int32_t id = n->t->byte_id[n->part[i]];
        if (id < 0) {
            ane_fail(e, ANE_ERROR_UNSUPPORTED, NULL,
                "The tokenizer cannot write byte 0x%02x at position %zu of the text: no piece spells it, and "
                "it has no "
                "pieces for bytes.",
                n->part[i], n->origin + n->part_at + i - n->prefix);
            return ane_hint(e, "Use a tokenizer with byte fallback, or the byte tokenizer.");
        }
        if (!emit(n, id, e)) return false;
    }
    return true;
}

static bool encode_part(encoder *n, const unsigned char *part, size_t size, bool prefixed, ane_error *e) {
    n->part = part;
    if (!make_symbols(n, size, prefixed) || !merge_all(n)) return no_memory(size, e);
    for (int32_t i = 0; i >= 0; i = n->symbols[i].next)
        if (!emit_symbol(n, &n->symbols[i], e)) return false;
    return true;
}

/* The first part, with the space that stands before it. */
static bool encode_prefixed(encoder *n, const unsigned char *part, size_t size, ane_error *e) {
    unsigned char *copy = malloc(size + 1);
    if (!copy) return no_memory(size, e);
    copy[0] = ' ';
    memcpy(copy + 1, part, size);
    n->prefix = 1;
    bool ok = encode_part(n, copy, size + 1, true, e);
    n->prefix = 0;
    free(copy);
    return ok;
}

/* A model made for text without extra spaces would drop them: say so rather than lose them. */
static bool check_spaces(const unsigned char *s, size_t size, size_t origin, ane_error *e) {
    for (size_t i = 0; i < size; i++) {
        bool edge = i == 0 || i + 1 == size || s[i - 1] == ' ';
        if (s[i] == ' ' && edge) {
            ane_fail(e, ANE_ERROR_UNSUPPORTED, NULL,
                "The tokenizer's model removes extra spaces, and the text has one at position %zu.",
                origin + i);
            return ane_hint(e, "Train the model with --remove_extra_whitespaces=false, or clean the text.");
        }
    }
    return true;
}

static bool encode_text(encoder *n, const unsigned char *text, size_t size, bool bos, ane_error *e) {
    const ane_tokenizer *t = n->t;
    if (bos && t->bos < 0) return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "The tokenizer has no begin token.");
    if (t->single_spaces && !check_spaces(text, size, n->origin, e)) return false;
    if (bos && !emit(n, t->bos, e)) return false;
    for (size_t part; n->part_at < size; n->part_at += part) {
        const unsigned char *s = text + n->part_at;
        part = part_size(t, s, size - n->part_at);
        bool first = n->part_at == 0 && t->dummy_prefix;
        if (!(first ? encode_prefixed(n, s, part, e) : encode_part(n, s, part, false, e))) return false;
    }
    return flush(n, e);
}

bool ane_tokenizer_encode_to(const ane_tokenizer *t, const void *text, size_t size, size_t origin, bool bos,
    ane_ids_sink *sink, void *context, ane_error *e) {
    encoder *n = calloc(1, sizeof *n);
    if (!n) return no_memory(size, e);
    n->t = t;
    n->origin = origin;
    n->sink = sink;
    n->context = context;
    bool ok = encode_text(n, text, size, bos, e);
    free(n->symbols);
    free(n->heap);
    free(n);
    return ok;
}

typedef struct id_list {
    int32_t *ids;
    size_t n, capacity;
} id_list;

static bool append(void *context, const int32_t *ids, size_t n, ane_error *e) {
    id_list *list = context;
    if (n > list->capacity - list->n) {
        size_t capacity = list->capacity + list->capacity / 2 + n;
        int32_t *grown = realloc(list->ids, capacity * sizeof *grown);
        if (!grown) return ane_fail(e, ANE_ERROR_MEMORY, NULL, "No memory for %zu tokens.", capacity);
        list->ids = grown;
        list->capacity = capacity;
    }
    memcpy(list->ids + list->n, ids, n * sizeof *ids);
    list->n += n;
    return true;
}

bool ane_tokenizer_encode(
    const ane_tokenizer *t, const void *text, size_t size, bool bos, int32_t **ids, size_t *n, ane_error *e) {
    id_list list = {malloc(sizeof *list.ids), 0, 1}; /* never NULL, also for an empty text */
    *ids = NULL;
    *n = 0;
    if (!list.ids) return no_memory(size, e);
    if (!ane_tokenizer_encode_to(t, text, size, 0, bos, append, &list, e)) {
        free(list.ids);
        return false;
    }
    *ids = list.ids;
    *n = list.n;
    return true;
}
