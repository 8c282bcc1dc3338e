/* The formats of token files. */
#include "train/data.h"

#include <stdlib.h>
#include <string.h>

enum { LLMC_WORDS = 256, LLMC_BYTES = 4 * LLMC_WORDS };

/* llm.c's dev/data/data_common.py: for GPT-2's vocabulary ids of 16 bits, for Llama 3's of 32. */
static const struct {
    uint32_t magic, version;
    int width;
} llmc_kinds[] = {{20240520, 1, 2}, {20240801, 7, 4}};

static uint32_t word(const unsigned char *data, size_t i) {
    uint32_t w;
    memcpy(&w, data + 4 * i, sizeof w);
    return w;
}

/* The row of llmc_kinds whose magic number the data starts with; -1: none. */
static int llmc_kind(const ane_mapping *m) {
    for (int i = 0; m->size >= 4 && i < 2; i++)
        if (word(m->data, 0) == llmc_kinds[i].magic) return i;
    return -1;
}

static bool has_suffix(const char *s, const char *suffix) {
    size_t n = strlen(s), k = strlen(suffix);
    return n >= k && !strcmp(s + n - k, suffix);
}

static ane_data_format find_format(const ane_token_file *f) {
    if (llmc_kind(&f->mapping) >= 0 && f->mapping.size >= LLMC_BYTES) return ANE_DATA_LLMC;
    if (has_suffix(f->path, ".u32")) return ANE_DATA_UINT32;
    if (has_suffix(f->path, ".u16") || has_suffix(f->path, ".bin")) return ANE_DATA_UINT16;
    return ANE_DATA_TEXT;
}

static bool use_flat(ane_token_file *f, int width, ane_error *e) {
    size_t size = f->mapping.size;
    if (size % (size_t)width) {
        ane_fail(e, ANE_ERROR_FORMAT, f->path,
            "The file has %zu bytes, which is no multiple of %d, the size of an id.", size, width);
        return ane_hint(e, "It is truncated, or its ids are of another size, or it is a text.");
    }
    f->ids = f->mapping.data;
    f->width = width;
    f->n = (int64_t)(size / (size_t)width);
    return true;
}

static bool use_llmc(ane_token_file *f, ane_error *e) {
    const unsigned char *data = f->mapping.data;
    size_t size = f->mapping.size;
    int kind = llmc_kind(&f->mapping);
    if (size < LLMC_BYTES)
        return ane_fail(
            e, ANE_ERROR_FORMAT, f->path, "llm.c's header has %d bytes; the file has %zu.", LLMC_BYTES, size);
    if (kind < 0)
        return ane_fail(e, ANE_ERROR_FORMAT, f->path,
            "llm.c's files start with %u or %u; this one starts with %u.", llmc_kinds[0].magic,
            llmc_kinds[1].magic, word(data, 0));
    if (word(data, 1) != llmc_kinds[kind].version)
        return ane_fail(e, ANE_ERROR_UNSUPPORTED, f->path, "Expected version %u of llm.c's format, found %u.",
            llmc_kinds[kind].version, word(data, 1));
    f->width = llmc_kinds[kind].width;
    f->n = (int32_t)word(data, 2);
    if (f->n < 0 || (size_t)f->n != (size - LLMC_BYTES) / (size_t)f->width ||
        (size - LLMC_BYTES) % (size_t)f->width)
        return ane_fail(e, ANE_ERROR_FORMAT, f->path,
            "The header says that %lld ids of %d bytes follow, but %zu bytes do.", (long long)f->n, f->width,
            size - LLMC_BYTES);
    f->ids = data + LLMC_BYTES;
    return true;
}

static bool use_text(ane_token_file *f, const ane_tokenizer *t, int32_t bos, ane_error *e) {
    if (!t) {
        ane_fail(
            e, ANE_ERROR_ARGUMENT, f->path, "The file is taken for a text, and a text needs a tokenizer.");
        return ane_hint(e, "Files of ids end in .bin, .u16 or .u32.");
    }
    if (ane_is_token_cache(f->mapping.data, f->mapping.size)) {
        ane_fail(e, ANE_ERROR_ARGUMENT, f->path, "The file holds the cached tokens of a text.");
        return ane_hint(e, "Name the text itself; the cache is found by itself.");
    }
    return ane_token_file_from_text(f, t, bos, e);
}

static bool use_format(
    ane_token_file *f, const ane_data_options *options, const ane_tokenizer *t, ane_error *e) {
    switch (options->format == ANE_DATA_AUTO ? find_format(f) : options->format) {
    case ANE_DATA_UINT16: return use_flat(f, 2, e);
    case ANE_DATA_UINT32: return use_flat(f, 4, e);
    case ANE_DATA_LLMC: return use_llmc(f, e);
    case ANE_DATA_TEXT: return use_text(f, t, options->bos_id, e);
    default:
        return ane_fail(e, ANE_ERROR_ARGUMENT, f->path, "There is no data format %d.", (int)options->format);
    }
}

bool ane_token_file_open(ane_token_file *f, const char *path, const ane_data_options *options,
    const ane_tokenizer *t, ane_error *e) {
    *f = (ane_token_file){.path = strdup(path), .text_bytes = {-1, -1}};
    bool ok =
        f->path ? ane_map_file(&f->mapping, path, e) : ane_fail(e, ANE_ERROR_MEMORY, path, "No memory.");
    ok = ok && use_format(f, options, t, e);
    if (ok && f->n == 0) ok = ane_fail(e, ANE_ERROR_FORMAT, path, "The file holds no tokens.");
    ok = ok && ane_token_file_check(f, options->vocab_size, e);
    if (!ok) ane_token_file_close(f);
    return ok;
}

void ane_token_file_close(ane_token_file *f) {
    if (f->mapping.data) ane_unmap_file(&f->mapping);
    free(f->memory);
    free(f->path);
    *f = (ane_token_file){0};
}

/* Block by block, so that the loop over good ids is short enough for the compiler to vectorize. */
static uint32_t largest(const ane_token_file *f, int64_t begin, int64_t end) {
    uint32_t max = 0;
    if (f->width == 2) {
        const uint16_t *ids = f->ids;
        for (int64_t i = begin; i < end; i++) max = ids[i] > max ? ids[i] : max;
    } else {
        const uint32_t *ids = f->ids;
        for (int64_t i = begin; i < end; i++) max = ids[i] > max ? ids[i] : max;
    }
    return max;
}

bool ane_token_file_check(const ane_token_file *f, int32_t vocab_size, ane_error *e) {
    enum { BLOCK = 1 << 16 };
    uint32_t limit = (uint32_t)vocab_size;
    for (int64_t begin = 0; begin < f->n; begin += BLOCK) {
        int64_t end = f->n - begin < BLOCK ? f->n : begin + BLOCK, i = begin;
        if (largest(f, begin, end) < limit) continue;
        while (ane_token_at(f, i) < limit) i++;
        ane_fail(e, ANE_ERROR_FORMAT, f->path, "Token %lld is %u, but the vocabulary has ids 0 to %d.",
            (long long)i, ane_token_at(f, i), vocab_size - 1);
        return ane_hint(
            e, "The file was made for another vocabulary, or its ids are not of %d bytes.", f->width);
    }
    return true;
}
