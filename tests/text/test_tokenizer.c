/* Tokenizers against golden ids (tests/golden/tokenizer.py), and the round trip of any bytes. */
#include "support/support.h"

#include "anemone/text.h"
#include "base/file.h"
#include "base/random.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static ane_tokenizer *load(const char *path) {
    ane_error e = {0};
    ane_tokenizer *t = ane_tokenizer_load(path, 0, &e);
    assert_ok(t, &e);
    return t;
}

static ane_tokenizer *load_fixture(const char *name) {
    char path[64];
    snprintf(path, sizeof path, "tokenizer/%s", name);
    return load(test_data(path));
}

static size_t encode(const ane_tokenizer *t, const void *text, size_t size, bool bos, int32_t **ids) {
    ane_error e = {0};
    size_t n;
    assert_ok(ane_tokenizer_encode(t, text, size, bos, ids, &n, &e), &e);
    return n;
}

static void assert_round_trip(const ane_tokenizer *t, const void *text, size_t size, bool bos) {
    ane_error e = {0};
    int32_t *ids;
    char *back;
    size_t n = encode(t, text, size, bos, &ids), back_size;
    assert_ok(ane_tokenizer_decode(t, ids, n, &back, &back_size, &e), &e);
    assert_int_equal(back_size, size);
    assert_memory_equal(back, text, size);
    assert_int_equal(back[size], 0);
    free(ids);
    free(back);
}

/* "HEX ID ID ..." */
static void check_case(const ane_tokenizer *t, char *line, bool bos) {
    char *save, *hex = strtok_r(line, " \n", &save);
    unsigned char text[4096];
    size_t size = 0, n = 0;
    for (; hex[0] != '-' && hex[2 * size]; size++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * size, "%2x", &byte), 1);
        text[size] = (unsigned char)byte;
    }
    int32_t *ids;
    size_t count = encode(t, text, size, bos, &ids);
    for (char *id; (id = strtok_r(NULL, " \n", &save)); n++)
        if (n >= count || ids[n] != atoi(id))
            fail_msg("%s \"%.*s\": token %zu of %zu is %d, expected %s", ane_tokenizer_kind(t), (int)size,
                text, n, count, n < count ? ids[n] : -1, id);
    assert_int_equal(count, n);
    free(ids);
    assert_round_trip(t, text, size, bos);
}

/* Check the lines of a golden file that start with `name` (NULL: all); returns their number. */
static int check_cases(const ane_tokenizer *t, const char *path, const char *name, bool bos) {
    static char line[65536];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    int n = 0;
    while (fgets(line, sizeof line, f)) {
        size_t skip = name ? strlen(name) : 0;
        if (name && (strncmp(line, name, skip) != 0 || line[skip] != ' ')) continue;
        check_case(t, line + skip + (name != NULL), bos);
        n++;
    }
    fclose(f);
    return n;
}

static void sentencepiece_gives_the_same_ids(void **state) {
    (void)state;
    ane_tokenizer *t = load_fixture("tiny.model");
    assert_string_equal(ane_tokenizer_kind(t), "sentencepiece");
    assert_int_equal(ane_tokenizer_vocab_size(t), 440);
    assert_int_equal(ane_tokenizer_bos(t), 1);
    assert_int_equal(ane_tokenizer_eos(t), 2);
    assert_true(check_cases(t, test_data("tokenizer/cases.txt"), "tiny", false) > 40);
    ane_tokenizer_free(t);
}

static void llama2c_gives_the_same_ids(void **state) {
    (void)state;
    ane_tokenizer *t = load_fixture("tiny.bin");
    assert_string_equal(ane_tokenizer_kind(t), "llama2c");
    assert_int_equal(ane_tokenizer_vocab_size(t), 440);
    assert_int_equal(ane_tokenizer_bos(t), 1);
    assert_int_equal(ane_tokenizer_eos(t), 2);
    assert_true(check_cases(t, test_data("tokenizer/cases_bin.txt"), NULL, true) > 50);
    ane_tokenizer_free(t);
}

static void a_model_without_bytes_and_prefix(void **state) {
    (void)state;
    ane_error e = {0};
    int32_t *ids;
    size_t n;
    ane_tokenizer *t = load_fixture("plain.model");
    assert_true(check_cases(t, test_data("tokenizer/cases.txt"), "plain", false) >= 10);
    assert_false(ane_tokenizer_encode(t, "the \x01", 5, false, &ids, &n, &e));
    assert_null(ids);
    assert_error(&e, ANE_ERROR_UNSUPPORTED, "byte 0x01 at position 4");
    static const struct {
        const char *text, *place;
    } spaces[] = {{" a", "position 0"}, {"a  b", "position 2"}, {"a ", "position 1"}};
    for (int i = 0; i < 3; i++) {
        assert_false(ane_tokenizer_encode(t, spaces[i].text, strlen(spaces[i].text), false, &ids, &n, &e));
        assert_error(&e, ANE_ERROR_UNSUPPORTED, spaces[i].place);
    }
    ane_tokenizer_free(t);
}

static void llama2_on_whole_files(void **state) {
    (void)state;
    const char *model = shared_data("llama2-tokenizer.model"), *bin = shared_data("llama2-tokenizer.bin");
    if (!model || !bin) skip();
    ane_error e = {0};
    ane_tokenizer *kinds[] = {load(model), load(bin)};
    assert_true(check_cases(kinds[0], test_data("tokenizer/cases.txt"), "llama2", false) > 40);
    FILE *f = fopen(test_data("tokenizer/files.txt"), "r");
    assert_non_null(f);
    char name[64];
    size_t count;
    unsigned crc;
    while (fscanf(f, "%63s %zu %u", name, &count, &crc) == 3) {
        ane_mapping m;
        assert_non_null(shared_data(name));
        assert_ok(ane_map_file(&m, shared_data(name), &e), &e);
        for (int k = 0; k < 2; k++) {
            int32_t *ids;
            clock_t start = clock();
            size_t n = encode(kinds[k], m.data, m.size, false, &ids);
            print_message("%s, %s: %.3f s\n", name, ane_tokenizer_kind(kinds[k]),
                (double)(clock() - start) / CLOCKS_PER_SEC);
            assert_int_equal(n, count);
            assert_int_equal(ane_crc32(0, ids, n * sizeof *ids), crc);
            free(ids);
            assert_round_trip(kinds[k], m.data, m.size, k == 1);
        }
        ane_unmap_file(&m);
    }
    fclose(f);
    ane_tokenizer_free(kinds[0]);
    ane_tokenizer_free(kinds[1]);
}

/* Texts that stress: random bytes, random characters of few kinds, pieces put together at random. */
static size_t random_text(ane_rng *rng, const ane_tokenizer *t, unsigned char *text, size_t room) {
    static const char alphabet[] = " the sea\n\xc3\xa4\xe2\x96\x81\xff=>";
    size_t n = 0, length = ane_rng_below(rng, room - 32);
    uint64_t kind = ane_rng_below(rng, 3);
    while (n < length) {
        if (kind == 0) text[n++] = (unsigned char)ane_rng_below(rng, 256);
        if (kind == 1) text[n++] = (unsigned char)alphabet[ane_rng_below(rng, sizeof alphabet)];
        if (kind == 2) {
            size_t size;
            const char *piece =
                ane_tokenizer_piece(t, 5, (int32_t)ane_rng_below(rng, (uint64_t)t->n_pieces), &size);
            if (size > 16) continue;
            memcpy(text + n, piece, size);
            n += size;
        }
    }
    return n;
}

static void any_bytes_come_back(void **state) {
    (void)state;
    ane_error e = {0};
    ane_tokenizer *kinds[] = {ane_tokenizer_bytes(&e), load_fixture("tiny.model"), load_fixture("tiny.bin")};
    ane_rng rng = ane_rng_new(1, 0);
    unsigned char text[300];
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 1000; j++) {
            size_t n = random_text(&rng, kinds[i], text, sizeof text);
            assert_round_trip(kinds[i], text, n, j & 1);
        }
        assert_round_trip(kinds[i], "\0a\0\0", 4, false);
        assert_round_trip(kinds[i], " \xe2\x96\x81 ", 5, true);
        ane_tokenizer_free(kinds[i]);
    }
}

/* The rule in its plainest form over one text: look at all neighbours, merge the best, begin again. */
static size_t encode_plainly(const ane_tokenizer *t, const unsigned char *text, size_t size, int32_t *ids) {
    size_t begin[512], n = 0;
    bool frozen[512];
    for (size_t at = 0, step; at < size; at += step, n++) {
        size_t user = ane_vocabulary_user(t, text + at, size - at);
        for (step = 1; step < 4 && at + step < size && (text[at + step] & 0xc0) == 0x80;) step++;
        if (user) step = user;
        begin[n] = at;
        frozen[n] = user || (!t->merge_unknown && ane_vocabulary_find(t, text + at, step) < 0);
    }
    begin[n] = size;
    for (;;) {
        size_t best = n;
        float score = t->lowest_score;
        for (size_t i = 0; i + 1 < n; i++) {
            int32_t id = ane_vocabulary_find(t, text + begin[i], begin[i + 2] - begin[i]);
            if (frozen[i] || frozen[i + 1] || id < 0 || !(t->pieces[id].score > score)) continue;
            score = t->pieces[id].score;
            best = i;
        }
        if (best == n) break;
        memmove(begin + best + 1, begin + best + 2, (n - best - 1) * sizeof *begin);
        memmove(frozen + best + 1, frozen + best + 2, (n - best - 2) * sizeof *frozen);
        n--;
    }
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t id = ane_vocabulary_find(t, text + begin[i], begin[i + 1] - begin[i]);
        if (id >= 0) ids[count++] = id;
        for (size_t b = begin[i]; id < 0 && b < begin[i + 1]; b++) ids[count++] = t->byte_id[text[b]];
    }
    return count;
}

/* Few letters, few scores: many ties, many chains of merges, and pieces that no merge reaches. */
static ane_tokenizer *random_vocabulary(ane_rng *rng) {
    ane_error e = {0};
    ane_tokenizer *t = ane_vocabulary_new("test", "test", &e);
    t->lowest_score = -1e10f;
    t->merge_unknown = ane_rng_below(rng, 2);
    for (int b = 0; b < 256; b++) {
        unsigned char byte = (unsigned char)b;
        t->byte_id[b] = t->n_pieces;
        assert_ok(ane_vocabulary_add(t, &byte, 1, 0, ANE_PIECE_BYTE, &e), &e);
    }
    for (unsigned code = 0; code < 3 + 9 + 27 + 81; code++) {
        unsigned length = code < 3 ? 1 : code < 12 ? 2 : code < 39 ? 3 : 4;
        unsigned c = code - (length == 1      ? 0
                                : length == 2 ? 3
                                : length == 3 ? 12
                                              : 39); /* from 0 at each length */
        char text[4];
        for (unsigned i = 0; i < length; i++, c /= 3) text[i] = "abc"[c % 3];
        if (ane_rng_below(rng, length == 1 ? 8 : 3) == 0) continue;
        ane_piece_type type = ane_rng_below(rng, 30) ? ANE_PIECE_NORMAL : ANE_PIECE_USER;
        float score = ane_rng_below(rng, 50) ? -(float)ane_rng_below(rng, 6) : -2e10f;
        assert_ok(ane_vocabulary_add(t, text, length, score, type, &e), &e);
    }
    assert_ok(ane_vocabulary_index(t, &e), &e);
    return t;
}

static void the_heap_finds_what_the_plain_loop_finds(void **state) {
    (void)state;
    ane_rng rng = ane_rng_new(2, 0);
    for (int i = 0; i < 100; i++) {
        ane_tokenizer *t = random_vocabulary(&rng);
        for (int j = 0; j < 30; j++) {
            unsigned char text[200];
            int32_t expected[512], *ids;
            size_t size = ane_rng_below(&rng, sizeof text + 1);
            for (size_t k = 0; k < size; k++)
                text[k] = (unsigned char)"abcabcabcabcabcd"[ane_rng_below(&rng, 16)];
            size_t n = encode(t, text, size, false, &ids);
            assert_int_equal(n, encode_plainly(t, text, size, expected));
            assert_memory_equal(ids, expected, n * sizeof *ids);
            free(ids);
        }
        ane_tokenizer_free(t);
    }
}

/* Every merge makes two candidates and a half of them is stale: the worst for the heap. */
static void a_text_without_seams_is_not_slow(void **state) {
    (void)state;
    enum { SIZE = 1 << 19 };
    ane_error e = {0};
    ane_tokenizer *t = ane_vocabulary_new("test", "test", &e);
    t->lowest_score = -1e10f;
    char *text = malloc(SIZE);
    assert_non_null(text);
    memset(text, 'a', SIZE);
    for (size_t length = 1; length <= 256; length *= 2)
        assert_ok(ane_vocabulary_add(t, text, length, -(float)length, ANE_PIECE_NORMAL, &e), &e);
    assert_ok(ane_vocabulary_index(t, &e), &e);
    int32_t *ids;
    clock_t start = clock();
    size_t n = encode(t, text, SIZE, false, &ids);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    print_message("512 KiB that hang together: %.3f s\n", seconds);
    assert_true(seconds < 30); /* quadratic time would be hours; sanitizers and valgrind are granted theirs */
    assert_int_equal(n, SIZE / 256);
    for (size_t i = 0; i < n; i++) assert_int_equal(ids[i], 8);
    free(ids);
    free(text);
    ane_tokenizer_free(t);
}

static void bytes_need_no_file(void **state) {
    (void)state;
    ane_error e = {0};
    ane_tokenizer *t = ane_tokenizer_bytes(&e);
    assert_ok(t, &e);
    assert_string_equal(ane_tokenizer_kind(t), "bytes");
    assert_int_equal(ane_tokenizer_vocab_size(t), 258);
    assert_int_equal(ane_tokenizer_bos(t), 0);
    assert_int_equal(ane_tokenizer_eos(t), 1);
    int32_t *ids, expected[] = {0, 2, 257, 'a' + 2, ' ' + 2};
    assert_int_equal(encode(t,
                         "\0\xff"
                         "a ",
                         4, true, &ids),
        5);
    assert_memory_equal(ids, expected, sizeof expected);
    free(ids);
    assert_int_equal(encode(t, "", 0, false, &ids), 0);
    assert_non_null(ids);
    free(ids);
    ane_tokenizer_free(t);
    ane_tokenizer_free(NULL);
}

static void decoding_piece_by_piece(void **state) {
    (void)state;
    ane_error e = {0};
    ane_tokenizer *t = load_fixture("tiny.bin");
    int32_t *ids;
    const char *text = "The sea \xf0\x9f\x90\x9a";
    size_t n = encode(t, text, strlen(text), true, &ids), at = 0, size;
    for (size_t i = 0; i < n; i++) {
        const char *piece = ane_tokenizer_piece(t, i ? ids[i - 1] : -1, ids[i], &size);
        assert_memory_equal(piece, text + at, size);
        at += size;
    }
    assert_int_equal(at, strlen(text));
    char *back;
    assert_ok(ane_tokenizer_decode(t, ids + 1, n - 1, &back, NULL, &e),
        &e); /* no bos: the prefix goes all the same */
    assert_string_equal(back, text);
    free(back);
    free(ids);
    int32_t space = ane_vocabulary_find(t, " ", 1);
    ane_tokenizer_piece(t, space, space, &size);
    assert_int_equal(size, 1);
    ane_tokenizer_piece(t, 1, 3 + ' ', &size); /* a byte is a byte, as in llama2.c */
    assert_int_equal(size, 1);
    for (int32_t id = -2; id < 3; id++) {
        assert_string_equal(ane_tokenizer_piece(t, 5, id, &size), "");
        assert_int_equal(size, 0);
    }
    int32_t bad[] = {5, 440}, negative[] = {-1};
    assert_false(ane_tokenizer_decode(t, bad, 2, &back, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "Token 1 is 440; the tokenizer has ids 0 to 439.");
    assert_false(ane_tokenizer_decode(t, negative, 1, &back, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "Token 0 is -1");
    ane_tokenizer_free(t);
}

static void saved_and_found_again(void **state) {
    (void)state;
    ane_error e = {0};
    ane_tokenizer *kinds[] = {ane_tokenizer_bytes(&e), load_fixture("tiny.model"), load_fixture("tiny.bin")};
    char folder[256];
    for (int i = 0; i < 3; i++) {
        snprintf(folder, sizeof folder, "%s/model%d", test_folder(), i);
        assert_ok(ane_make_folders(folder, &e), &e);
        assert_null(ane_tokenizer_find(folder, &e));
        assert_int_equal(e.code, ANE_OK);
        assert_ok(ane_tokenizer_save(kinds[i], folder, &e), &e);
        ane_tokenizer *t = ane_tokenizer_find(folder, &e);
        assert_ok(t, &e);
        assert_string_equal(ane_tokenizer_kind(t), ane_tokenizer_kind(kinds[i]));
        assert_int_equal(ane_tokenizer_checksum(t), ane_tokenizer_checksum(kinds[i]));
        assert_int_not_equal(ane_tokenizer_checksum(t), ane_tokenizer_checksum(kinds[(i + 1) % 3]));
        ane_tokenizer_free(t);
    }
    snprintf(folder, sizeof folder, "%s/nowhere", test_folder());
    assert_false(ane_tokenizer_save(kinds[0], folder, &e));
    assert_error(&e, ANE_ERROR_IO, "nowhere");
    snprintf(folder, sizeof folder, "%s/model1/tokenizer.model", test_folder());
    assert_ok(ane_write_file(folder, "\x0a\xff", 2, &e), &e);
    snprintf(folder, sizeof folder, "%s/model1", test_folder());
    assert_null(ane_tokenizer_find(folder, &e));
    assert_error(&e, ANE_ERROR_FORMAT, "model1/tokenizer.model");
    for (int i = 0; i < 3; i++) ane_tokenizer_free(kinds[i]);
}

static void no_begin_token(void **state) {
    (void)state;
    ane_error e = {0};
    ane_tokenizer *t = ane_vocabulary_new("test", "test", &e);
    assert_ok(ane_vocabulary_add(t, "a", 1, 0, ANE_PIECE_NORMAL, &e) && ane_vocabulary_index(t, &e), &e);
    int32_t *ids;
    size_t n;
    assert_false(ane_tokenizer_encode(t, "a", 1, true, &ids, &n, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "no begin token");
    ane_tokenizer_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentencepiece_gives_the_same_ids),
        cmocka_unit_test(llama2c_gives_the_same_ids),
        cmocka_unit_test(a_model_without_bytes_and_prefix),
        cmocka_unit_test(llama2_on_whole_files),
        cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(the_heap_finds_what_the_plain_loop_finds),
        cmocka_unit_test(a_text_without_seams_is_not_slow),
        cmocka_unit_test(bytes_need_no_file),
        cmocka_unit_test(decoding_piece_by_piece),
        cmocka_unit_test(saved_and_found_again),
        cmocka_unit_test(no_begin_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
