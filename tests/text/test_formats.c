/* Tokenizer files that lie: each is refused, and the report says what is wrong with it. */
#include "support/support.h"

#include "base/file.h"
#include "base/random.h"
#include "text/tokenizer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct bytes {
    unsigned char data[8192];
    size_t size;
} bytes;

static void put(bytes *b, const void *data, size_t size) {
    assert_true(b->size + size <= sizeof b->data);
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static void put_int(bytes *b, int32_t value) {
    put(b, &value, sizeof value);
}

/* --- llama2.c --- */

static void put_piece(bytes *b, float score, int32_t size, const char *text) {
    put(b, &score, sizeof score);
    put_int(b, size);
    put(b, text, strlen(text));
}

/* The head, three special pieces and the letters a, b. */
static bytes small_bin(void) {
    bytes b = {.size = 0};
    put_int(&b, 8);
    put_piece(&b, 0, 5, "<unk>");
    put_piece(&b, 0, 5, "\n<s>\n");
    put_piece(&b, 0, 6, "\n</s>\n");
    put_piece(&b, -1, 1, "a");
    put_piece(&b, -2, 1, "b");
    return b;
}

static void refused(const bytes *b, int32_t vocab_size, ane_code code, const char *part) {
    ane_error e = {0};
    unsigned char *exact = malloc(b->size + !b->size); /* so that a sanitizer sees reads behind the end */
    assert_non_null(exact);
    memcpy(exact, b->data, b->size);
    assert_null(ane_tokenizer_parse(exact, b->size, vocab_size, &e));
    assert_error(&e, code, part);
    free(exact);
}

static void bin_with_a_bad_piece(void **state) {
    (void)state;
    static const struct {
        float score;
        int32_t size;
        const char *text, *message;
    } cases[] = {
        {0, -1, "c", "Piece 5, at byte 62, has -1 bytes, but the file's head allows 0 to 8."},
        {0, 9, "123456789", "has 9 bytes, but the file's head allows 0 to 8"},
        {0, 2147483647, "c", "has 2147483647 bytes"},
        {0, 8, "c", "Piece 5 has 8 bytes, but only 1 follow"},
        {0, 0, "", "Piece 5 is empty"},
        {0, 1, "a", "Pieces 3 and 5 are the same text"},
        {NAN, 1, "c", "Piece 5 has the score"},
        {-INFINITY, 1, "c", "Piece 5 has the score -inf; scores must be finite"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b = small_bin();
        put_piece(&b, cases[i].score, cases[i].size, cases[i].text);
        refused(&b, 0, ANE_ERROR_FORMAT, cases[i].message);
    }
}

static void bin_of_another_size(void **state) {
    (void)state;
    ane_error e = {0};
    bytes b = small_bin();
    ane_tokenizer *t = ane_tokenizer_parse(b.data, b.size, 5, &e);
    assert_ok(t, &e);
    ane_tokenizer_free(t);
    refused(&b, 6, ANE_ERROR_FORMAT, "The file holds 5 pieces; the vocabulary should have 6.");
    refused(&b, 4, ANE_ERROR_FORMAT, "The file goes on for 9 bytes after the vocabulary's 4 pieces.");
    refused(&b, 2147483647, ANE_ERROR_FORMAT, "should have 2147483647");
    refused(&b, -1, ANE_ERROR_ARGUMENT, "A vocabulary of -1 pieces");
    for (size_t cut = 1; cut < 9; cut++) {
        bytes c = small_bin();
        c.size -= cut;
        refused(&c, 0, ANE_ERROR_FORMAT,
            cut < 2 ? "Piece 4 has 1 bytes" : "The file ends within the head of piece 4");
    }
    b.size = 4;
    refused(&b, 0, ANE_ERROR_FORMAT, "The file holds 0 pieces; at least 4 are needed");
    b.size = 3;
    refused(&b, 0, ANE_ERROR_FORMAT, "found neither");
    b.size = 0;
    refused(&b, 0, ANE_ERROR_FORMAT, "this file has 0");
}

static void bin_with_a_piece_too_long_for_us(void **state) {
    (void)state;
    bytes b = small_bin();
    char text[5001];
    memset(text, 'x', 5000);
    text[5000] = 0;
    b.data[0] = 0x88; /* longest: 5000 = 0x1388 */
    b.data[1] = 0x13;
    put_piece(&b, 0, 5000, text);
    refused(&b, 0, ANE_ERROR_FORMAT, "Piece 5 has 5000 bytes; at most 4096 are supported.");
}

/* Where the byte pieces are not at 3 + byte, llama2.c would write wrong ids; we say that there are none. */
static void bin_without_bytes_at_their_place(void **state) {
    (void)state;
    ane_error e = {0};
    bytes b = small_bin();
    put_piece(&b, 0, 6, "<0x0A>");
    put_piece(&b, 0, 6, "<0x0g>");
    ane_tokenizer *t = ane_tokenizer_parse(b.data, b.size, 0, &e);
    assert_ok(t, &e);
    int32_t *ids, five = 5;
    size_t n;
    assert_false(ane_tokenizer_encode(t, "a\n", 2, false, &ids, &n, &e));
    assert_error(&e, ANE_ERROR_UNSUPPORTED, "byte 0x0a at position 1");
    char *text;
    assert_ok(ane_tokenizer_decode(t, &five, 1, &text, NULL, &e), &e);
    assert_string_equal(text, "\n");
    free(text);
    ane_tokenizer_free(t);
}

/* --- SentencePiece --- */

static void put_field(bytes *b, int number, const void *data, size_t size) {
    assert_true(size < 128 * 128 && number < 16);
    unsigned char head[] = {(unsigned char)(number << 3 | 2),
        (unsigned char)(size & 127) | (size > 127 ? 128 : 0), (unsigned char)(size >> 7)};
    put(b, head, size > 127 ? 3 : 2);
    put(b, data, size);
}

static void put_sp_piece(bytes *b, const char *text, float score, unsigned char type) {
    bytes piece = {.size = 0};
    put_field(&piece, 1, text, strlen(text));
    put(&piece, "\x15", 1);
    put(&piece, &score, sizeof score);
    put(&piece, (unsigned char[]){0x18, type}, 2);
    put_field(b, 1, piece.data, piece.size);
}

static const char bpe[] = {0x18, 2}, keep_spaces[] = {0x20, 0};

static bytes small_model_pieces(void) {
    bytes b = {.size = 0};
    put_sp_piece(&b, "<unk>", 0, 2);
    put_sp_piece(&b, "<s>", 0, 3);
    put_sp_piece(&b, "a", -1, 1);
    return b;
}

static bytes small_model(void) {
    bytes b = small_model_pieces();
    put_field(&b, 2, bpe, 2);
    put_field(&b, 3, keep_spaces, 2);
    return b;
}

static void model_in_order(void **state) {
    (void)state;
    ane_error e = {0};
    bytes b = small_model();
    put(&b,
        "\x78\x01\x79"
        "12345678"
        "\x7d"
        "1234",
        16); /* fields of other types are passed over */
    ane_tokenizer *t = ane_tokenizer_parse(b.data, b.size, 0, &e);
    assert_ok(t, &e);
    assert_int_equal(ane_tokenizer_vocab_size(t), 3);
    assert_int_equal(ane_tokenizer_bos(t), 1);
    assert_int_equal(ane_tokenizer_eos(t), -1);
    ane_tokenizer_free(t);
}

/* The names of bos and eos can be given. */
static void model_with_other_markers(void **state) {
    (void)state;
    ane_error e = {0};
    bytes b = small_model_pieces();
    put_sp_piece(&b, "[B]", 0, 3);
    put_sp_piece(&b, "[E]", 0, 3);
    put_field(&b, 2, "\x18\x02\xf2\x02\x03[B]\xfa\x02\x03[E]", 14);
    ane_tokenizer *t = ane_tokenizer_parse(b.data, b.size, 0, &e);
    assert_ok(t, &e);
    assert_int_equal(ane_tokenizer_bos(t), 3);
    assert_int_equal(ane_tokenizer_eos(t), 4);
    ane_tokenizer_free(t);
}

static void model_with_a_bad_piece(void **state) {
    (void)state;
    static const struct {
        const char *text;
        float score;
        unsigned char type;
        ane_code code;
        const char *message;
    } cases[] = {
        {"a", 0, 1, ANE_ERROR_FORMAT, "Pieces 2 and 3 are the same text"},
        {"", 0, 1, ANE_ERROR_FORMAT, "Piece 3 is empty"},
        {"b", NAN, 1, ANE_ERROR_FORMAT, "Piece 3 has the score"},
        {"b", INFINITY, 1, ANE_ERROR_FORMAT, "Piece 3 has the score inf"},
        {"b", 0, 5, ANE_ERROR_UNSUPPORTED, "Piece 3 is of type 5"},
        {"b", 0, 0, ANE_ERROR_UNSUPPORTED, "Piece 3 is of type 0"},
        {"b", 0, 7, ANE_ERROR_UNSUPPORTED, "Piece 3 is of type 7"},
        {"b", 0, 6, ANE_ERROR_FORMAT, "Piece 3 should stand for a byte"},
        {"b", 0, 2, ANE_ERROR_FORMAT, "The model has 2 pieces for unknown text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b = small_model();
        put_sp_piece(&b, cases[i].text, cases[i].score, cases[i].type);
        refused(&b, 0, cases[i].code, cases[i].message);
    }
    bytes b = small_model();
    put_sp_piece(&b, "<0x41>", 0, 6);
    put_sp_piece(&b, "<0x41>", 0, 6);
    refused(&b, 0, ANE_ERROR_FORMAT, "Piece 4 should stand for a byte, each byte once");
    b = small_model();
    char text[5001];
    memset(text, 'x', 5000);
    text[5000] = 0;
    put_sp_piece(&b, text, 0, 1);
    refused(&b, 0, ANE_ERROR_FORMAT, "Piece 3 has 5000 bytes");
    b = small_model();
    put_field(&b, 1,
        "\x0a\x05"
        "a",
        3);
    refused(&b, 0, ANE_ERROR_FORMAT, "Piece 3 is not a protobuf message");
}

static void model_with_specs_we_cannot_follow(void **state) {
    (void)state;
    static const struct {
        int field;
        const char *spec;
        size_t size;
        ane_code code;
        const char *message;
    } cases[] = {
        {2, "\x18\x01", 2, ANE_ERROR_UNSUPPORTED, "of type 1 (unigram); only BPE (2)"},
        {2, "\x18\x04", 2, ANE_ERROR_UNSUPPORTED, "of type 4 (word or char)"},
        {2, "\xc0\x01\x01", 3, ANE_ERROR_UNSUPPORTED, "treatment of white space"},
        {2, "\x18", 1, ANE_ERROR_FORMAT, "trainer_spec is not a protobuf message"},
        {2, "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, ANE_ERROR_FORMAT, "trainer_spec"},
        {3, "\x28\x00", 2, ANE_ERROR_UNSUPPORTED, "treatment of white space"},
        {3, "\x12\x01x", 3, ANE_ERROR_UNSUPPORTED, "--normalization_rule_name=identity"},
        {3, "\x07", 1, ANE_ERROR_FORMAT, "normalizer_spec is not a protobuf message"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b = small_model();
        put_field(&b, cases[i].field, cases[i].spec, cases[i].size);
        refused(&b, 0, cases[i].code, cases[i].message);
    }
    bytes b = small_model_pieces(); /* no trainer_spec: the proto's default is unigram */
    refused(&b, 0, ANE_ERROR_UNSUPPORTED, "only BPE");
    b = (bytes){.size = 0};
    put_field(&b, 10, "x", 1);
    b.data[0] = 0x0a;
    b.data[1] = 0x80; /* an overlong zero, so that the content is taken for a model */
    put(&b, "\x12\x02\x18\x02", 4);
    b.data[2] = 0x00;
    refused(&b, 0, ANE_ERROR_FORMAT, "Piece 0 is empty");
    b = (bytes){.size = 0};
    put_field(&b, 1, "\x0a\x01x", 3);
    put_field(&b, 2, bpe, 2);
    refused(&b, 0, ANE_ERROR_FORMAT, "The model has 0 pieces for unknown text");
}

static void model_cut_short(void **state) {
    (void)state;
    bytes whole = small_model();
    for (size_t size = 0; size < whole.size; size++) {
        bytes b = whole;
        b.size = size;
        ane_error e = {0};
        if (size == whole.size - 4) continue; /* all but the normalizer_spec: a model, too */
        assert_null(ane_tokenizer_parse(b.data, b.size, 0, &e));
        assert_true(e.code == ANE_ERROR_FORMAT || e.code == ANE_ERROR_UNSUPPORTED);
    }
    whole.size -= 1;
    refused(&whole, 0, ANE_ERROR_FORMAT, "No protobuf field at byte");
    bytes huge = small_model();
    put(&huge, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11); /* a length of 2^64 - 1 */
    refused(&huge, 0, ANE_ERROR_FORMAT, "No protobuf field at byte");
    bytes zero = small_model();
    put(&zero, "\x00\x00", 2); /* field number 0 */
    refused(&zero, 0, ANE_ERROR_FORMAT, "truncated or not a SentencePiece model");
}

/* --- both --- */

static void files_that_are_something_else(void **state) {
    (void)state;
    ane_error e = {0};
    bytes b = {.size = 0};
    put(&b, "{\"model\": {}}", 13);
    refused(&b, 0, ANE_ERROR_FORMAT, "tokenizer.json is not read");
    char path[256];
    snprintf(path, sizeof path, "%s/missing.model", test_folder());
    assert_null(ane_tokenizer_load(path, 0, &e));
    assert_error(&e, ANE_ERROR_IO, "missing.model");
    snprintf(path, sizeof path, "%s/empty.bin", test_folder());
    assert_ok(ane_write_file(path, "", 0, &e), &e);
    assert_null(ane_tokenizer_load(path, 0, &e));
    assert_error(&e, ANE_ERROR_FORMAT, "empty.bin");
    assert_int_equal(truncate(path, (1 << 28) + 1), 0); /* a hole: takes no space */
    assert_null(ane_tokenizer_load(path, 0, &e));
    assert_error(&e, ANE_ERROR_FORMAT, "this file has 268435457");
    assert_null(ane_tokenizer_load(test_folder(), 0, &e));
    assert_error(&e, ANE_ERROR_IO, test_folder());
}

/* Change bytes of good files at random: whatever loads must also encode and decode without loss. */
static void damaged_files(void **state) {
    (void)state;
    static const char *const names[] = {
        "tokenizer/tiny.model", "tokenizer/tiny.bin", "tokenizer/plain.model"};
    ane_rng rng = ane_rng_new(3, 0);
    static const char text[] = " The sea\n\xff anemone <|story|> ==> ";
    for (int i = 0; i < 600; i++) {
        ane_error e = {0};
        size_t size;
        char *file = ane_read_text(test_data(names[i % 3]), 1 << 20, &size, &e);
        assert_ok(file, &e);
        for (uint64_t k = 1 + ane_rng_below(&rng, 4); k > 0; k--) {
            size_t at = ane_rng_below(&rng, ane_rng_below(&rng, 2) ? size : 64);
            file[at] = (char)ane_rng_below(&rng, 256);
        }
        ane_tokenizer *t = ane_tokenizer_parse((unsigned char *)file, size, 0, &e);
        assert_true(t != NULL || e.code != ANE_OK);
        int32_t *ids;
        size_t n;
        if (t && ane_tokenizer_encode(t, text, sizeof text, false, &ids, &n, &e)) {
            char *back;
            assert_ok(ane_tokenizer_decode(t, ids, n, &back, &n, &e), &e);
            assert_int_equal(n, sizeof text);
            assert_memory_equal(back, text, n);
            free(ids);
            free(back);
        }
        ane_tokenizer_free(t);
        free(file);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bin_with_a_bad_piece),
        cmocka_unit_test(bin_of_another_size),
        cmocka_unit_test(bin_with_a_piece_too_long_for_us),
        cmocka_unit_test(bin_without_bytes_at_their_place),
        cmocka_unit_test(model_in_order),
        cmocka_unit_test(model_with_other_markers),
        cmocka_unit_test(model_with_a_bad_piece),
        cmocka_unit_test(model_with_specs_we_cannot_follow),
        cmocka_unit_test(model_cut_short),
        cmocka_unit_test(files_that_are_something_else),
        cmocka_unit_test(damaged_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
