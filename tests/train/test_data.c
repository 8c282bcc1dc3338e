/* Token streams: every format, what is refused, the split, and the cache. */
#include "data_fixture.h"

#include "text/tokenizer.h"
#include "train/data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- formats --- */

static void formats_by_name_and_content(void **state) {
    (void)state;
    const struct {
        const char *path;
        ane_data_format format;
    } cases[] = {
        {write_ids("a.bin", 1500, 1000, 2, NULL, 0), ANE_DATA_AUTO},
        {write_ids("a.u16", 1500, 1000, 2, NULL, 0), ANE_DATA_AUTO},
        {write_ids("a.u32", 1500, 1000, 4, NULL, 0), ANE_DATA_AUTO},
        {write_ids("a.dat", 1500, 1000, 2, NULL, 0), ANE_DATA_UINT16},
        {write_ids("b.dat", 1500, 1000, 4, NULL, 0), ANE_DATA_UINT32},
        {write_llmc("c.bin", 20240520, 1, 1500, 1500, 2), ANE_DATA_AUTO},
        {write_llmc("d.bin", 20240801, 7, 1500, 1500, 4), ANE_DATA_AUTO},
        {write_llmc("e.dat", 20240520, 1, 1500, 1500, 2), ANE_DATA_LLMC},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ane_data_options o = plain(1000);
        o.format = cases[i].format;
        ane_dataset *d = open_one(cases[i].path, o, NULL);
        assert_int_equal(ane_dataset_tokens(d, ANE_TRAIN), 1500);
        assert_int_equal(ane_dataset_tokens(d, ANE_VALIDATION), 0);
        assert_int_equal(ane_dataset_text_bytes(d, ANE_TRAIN), -1);
        int32_t tokens[1499], targets[1499];
        ane_error e = {0};
        assert_ok(ane_dataset_batch(d, ANE_TRAIN, 1, 0, 1, 1499, tokens, targets, &e), &e);
        for (int k = 0; k < 1499; k++) {
            assert_int_equal(tokens[k], k % 1000);
            assert_int_equal(targets[k], (k + 1) % 1000);
        }
        ane_dataset_free(d);
    }
    ane_dataset_free(NULL);
}

static void files_that_lie(void **state) {
    (void)state;
    ane_data_options o = plain(1000);
    refuse(path_of("missing.bin"), o, NULL, ANE_ERROR_IO, "missing.bin");
    refuse(write_text("empty.bin", ""), o, NULL, ANE_ERROR_FORMAT, "holds no tokens");
    refuse(write_text("odd.bin", "abc"), o, NULL, ANE_ERROR_FORMAT, "has 3 bytes, which is no multiple of 2");
    refuse(
        write_text("odd.u32", "abcdef"), o, NULL, ANE_ERROR_FORMAT, "has 6 bytes, which is no multiple of 4");
    refuse(write_ids("big.bin", 70000, 65536, 2, NULL, 0), o, NULL, ANE_ERROR_FORMAT,
        "Token 1000 is 1000, but the vocabulary has ids 0 to 999.");
    refuse(write_ids("late.bin", 66000, 66000, 2, NULL, 0), plain(65536 - 1), NULL, ANE_ERROR_FORMAT,
        "Token 65535 is 65535");
    refuse(write_bytes("sign.u32", "\0\0\0\0\xff\xff\xff\xff", 8), o, NULL, ANE_ERROR_FORMAT,
        "Token 1 is 4294967295");
    refuse(write_llmc("more.bin", 20240520, 1, 100, 99, 2), o, NULL, ANE_ERROR_FORMAT,
        "The header says that 100 ids of 2 bytes follow, but 198 bytes do.");
    refuse(write_llmc("fewer.bin", 20240520, 1, 98, 99, 2), o, NULL, ANE_ERROR_FORMAT, "but 198 bytes do");
    refuse(write_llmc("negative.bin", 20240520, 1, -1, 99, 2), o, NULL, ANE_ERROR_FORMAT, "says that -1 ids");
    refuse(write_llmc("none.bin", 20240520, 1, 0, 0, 2), o, NULL, ANE_ERROR_FORMAT, "holds no tokens");
    refuse(write_llmc("version.bin", 20240520, 2, 99, 99, 2), o, NULL, ANE_ERROR_UNSUPPORTED,
        "Expected version 1 of llm.c's format, found 2");
    refuse(write_text("text.txt", "Hello"), o, NULL, ANE_ERROR_ARGUMENT, "a text needs a tokenizer");
    o.format = ANE_DATA_LLMC;
    refuse(
        write_text("short.bin", "abcd"), o, NULL, ANE_ERROR_FORMAT, "header has 1024 bytes; the file has 4");
    refuse(write_ids("plain.bin", 600, 100, 2, NULL, 0), o, NULL, ANE_ERROR_FORMAT,
        "start with 20240520 or 20240801");
    o.format = (ane_data_format)77;
    refuse(write_text("what.bin", "abcd"), o, NULL, ANE_ERROR_ARGUMENT, "no data format 77");
}

static void options_that_make_no_sense(void **state) {
    (void)state;
    ane_error e = {0};
    const char *path = write_ids("fine.bin", 100, 100, 2, NULL, 0);
    ane_tokenizer *t = byte_tokenizer();
    const struct {
        ane_data_options options;
        const char *message;
    } cases[] = {
        {{.n_files = 0, .vocab_size = 100}, "at least one file"},
        {{.n_files = -1, .vocab_size = 100}, "at least one file"},
        {{.n_files = 1, .vocab_size = 0}, "vocabulary size must be positive; it is 0"},
        {{.n_files = 1, .vocab_size = 300, .validation = 1}, "below 1; it is 1"},
        {{.n_files = 1, .vocab_size = 300, .validation = -0.1}, "it is -0.1"},
        {{.n_files = 1, .vocab_size = 300, .validation = NAN}, "held out for validation"},
        {{.n_files = 1, .vocab_size = 257},
            "The tokenizer has 258 ids, but the vocabulary of the model only 257"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ane_data_options o = cases[i].options;
        o.files = &path;
        assert_null(ane_dataset_open(&o, t, &e));
        assert_error(&e, ANE_ERROR_ARGUMENT, cases[i].message);
    }
    ane_tokenizer_free(t);
}

/* --- text and its cache --- */

static const char story[] =
    "One day.\nThe end.\n\nTwo.\n\nThree days went by, one after the other.\n\nFour.\n";

static void text_is_tokenized(void **state) {
    (void)state;
    ane_error e = {0};
    ane_tokenizer *kinds[] = {byte_tokenizer(), ane_tokenizer_load(test_data("tokenizer/tiny.model"), 0, &e)};
    assert_ok(kinds[1], &e);
    const char *path = write_text("story.txt", story);
    for (int i = 0; i < 2; i++) {
        int32_t *ids, tokens[200], targets[200];
        size_t n;
        assert_ok(ane_tokenizer_encode(kinds[i], story, sizeof story - 1, false, &ids, &n, &e), &e);
        for (int again = 0; again < 2; again++) { /* the second time from the cache */
            ane_dataset *d = open_one(path, plain(440), kinds[i]);
            assert_null(d->files[0].memory);
            assert_int_equal(ane_dataset_tokens(d, ANE_TRAIN), n);
            assert_int_equal(ane_dataset_text_bytes(d, ANE_TRAIN), sizeof story - 1);
            assert_int_equal(ane_dataset_text_bytes(d, ANE_VALIDATION), 0);
            assert_ok(ane_dataset_batch(d, ANE_TRAIN, 1, 0, 1, (int32_t)n - 1, tokens, targets, &e), &e);
            assert_memory_equal(tokens, ids, (n - 1) * sizeof *ids);
            assert_memory_equal(targets, ids + 1, (n - 1) * sizeof *ids);
            ane_dataset_free(d);
            assert_true(ane_path_exists(path_of("story.txt.tokens")));
        }
        free(ids);
        ane_tokenizer_free(kinds[i]);
    }
}

static ane_mapping map(const char *path) {
    ane_error e = {0};
    ane_mapping m;
    assert_ok(ane_map_file(&m, path, &e), &e);
    return m;
}

/* The first token of the text, opened anew. */
static int32_t first_token(const char *path, const ane_tokenizer *t) {
    ane_dataset *d = open_one(path, plain(440), t);
    int32_t first = (int32_t)ane_token_at(&d->files[0], 0);
    ane_dataset_free(d);
    return first;
}

static void stale_and_damaged_caches_are_made_anew(void **state) {
    (void)state;
    ane_error e = {0};
    ane_tokenizer *t = byte_tokenizer(), *other = ane_tokenizer_load(test_data("tokenizer/tiny.bin"), 0, &e);
    const char *path = write_text("a.txt", "abc"), *cache = path_of("a.txt.tokens");
    assert_int_equal(first_token(path, t), 'a' + 2);
    write_text("a.txt", "xbc"); /* same size, same second */
    assert_int_equal(first_token(path, t), 'x' + 2);
    assert_int_not_equal(first_token(path, other), 'x' + 2);
    assert_int_equal(first_token(path, t), 'x' + 2);
    ane_mapping good = map(cache);
    unsigned char *copy = malloc(good.size);
    assert_int_equal(good.size, 64 + 6);
    for (size_t i = 0; i < good.size; i++) { /* every byte counts */
        memcpy(copy, good.data, good.size);
        copy[i] ^= 1;
        assert_ok(ane_write_file(cache, copy, good.size, &e), &e);
        assert_int_equal(first_token(path, t), 'x' + 2);
        ane_mapping again = map(cache);
        assert_int_equal(again.size, good.size);
        assert_memory_equal(again.data, good.data, good.size);
        ane_unmap_file(&again);
    }
    for (size_t size = 0; size < good.size; size += 23) {
        assert_ok(ane_write_file(cache, good.data, size, &e), &e);
        assert_int_equal(first_token(path, t), 'x' + 2);
    }
    refuse(cache, plain(440), t, ANE_ERROR_ARGUMENT, "holds the cached tokens of a text");
    ane_unmap_file(&good);
    free(copy);
    ane_tokenizer_free(t);
    ane_tokenizer_free(other);
}

/* Root may write anywhere, so the way is barred by a folder with the cache's name, and by a text's name so long (241) that
 * its own temporary name just fits, the cache's not. */
static void without_a_place_for_the_cache(void **state) {
    (void)state;
    ane_error e = {0};
    ane_tokenizer *t = byte_tokenizer();
    char text[9001], longest[256];
    memset(text, 'a', 9000);
    text[9000] = 0;
    snprintf(longest, sizeof longest, "%0237d.txt", 0);
    const char *paths[] = {write_text("m.txt", text), write_text(longest, text)};
    assert_ok(ane_make_folders(path_of("m.txt.tokens/x"), &e), &e);
    uint32_t checksums[2];
    for (int i = 0; i < 2; i++) {
        ane_dataset *d = open_one(paths[i], plain(258), t);
        assert_non_null(d->files[0].memory);
        assert_int_equal(ane_dataset_tokens(d, ANE_TRAIN), 9000);
        assert_int_equal(ane_dataset_text_bytes(d, ANE_TRAIN), 9000);
        checksums[i] = ane_dataset_checksum(d);
        ane_dataset_free(d);
    }
    assert_int_not_equal(checksums[0], checksums[1]); /* the names */
    assert_ok(ane_remove_tree(path_of("m.txt.tokens"), &e), &e);
    ane_dataset *d = open_one(paths[0], plain(258), t);
    assert_null(d->files[0].memory);
    assert_int_equal(ane_dataset_checksum(d), checksums[0]); /* from memory or cache: the same data */
    ane_dataset_free(d);
    ane_tokenizer_free(t);
}

static void text_that_the_tokenizer_cannot_write(void **state) {
    (void)state;
    ane_error e = {0};
    ane_tokenizer *t = ane_tokenizer_load(test_data("tokenizer/plain.model"), 0, &e);
    assert_ok(t, &e);
    const char *path = write_text("q.txt", "the \x01");
    refuse(path, plain(440), t, ANE_ERROR_UNSUPPORTED, "byte 0x01 at position 4");
    assert_false(ane_path_exists(path_of("q.txt.tokens")));
    refuse(write_text("empty.txt", ""), plain(440), t, ANE_ERROR_FORMAT, "holds no tokens");
    ane_tokenizer_free(t);
}

/* Every document as a prompt would be encoded: begin token, then the document's own tokens. */
static void documents_begin_with_bos(void **state) {
    (void)state;
    ane_error e = {0};
    ane_tokenizer *kinds[] = {byte_tokenizer(), ane_tokenizer_load(test_data("tokenizer/tiny.model"), 0, &e)};
    static const char *const documents[] = {"One day.\nThe end.\n\n", "Two.\n\n\n", "\xff Three"};
    const char *path = write_text("documents.txt", "One day.\nThe end.\n\nTwo.\n\n\n\xff Three");
    for (int k = 0; k < 2; k++) {
        int32_t bos = ane_tokenizer_bos(kinds[k]), expected[100], stream[100];
        int64_t count = 0;
        for (int i = 0; i < 3; i++) {
            int32_t *ids;
            size_t n;
            assert_ok(
                ane_tokenizer_encode(kinds[k], documents[i], strlen(documents[i]), true, &ids, &n, &e), &e);
            memcpy(expected + count, ids, n * sizeof *ids);
            count += (int64_t)n;
            free(ids);
        }
        ane_data_options o = {.vocab_size = 440, .bos_id = bos, .validation = 0.3};
        ane_dataset *d = open_one(path, o, kinds[k]), *unmarked = open_one(path, plain(440), kinds[k]);
        assert_int_equal(d->files[0].n, count);
        for (int64_t i = 0; i < count; i++) stream[i] = (int32_t)ane_token_at(&d->files[0], i);
        assert_memory_equal(stream, expected, (size_t)count * sizeof *stream);
        assert_int_equal(stream[d->files[0].split], bos);
        assert_int_equal(ane_dataset_text_bytes(d, ANE_TRAIN), 26);
        assert_int_equal(ane_dataset_text_bytes(d, ANE_VALIDATION), 7);
        assert_int_not_equal(ane_token_at(&unmarked->files[0], 0), bos); /* not from the marked one's cache */
        ane_dataset_free(d);
        ane_dataset_free(unmarked);
        o.bos_id = bos + 1;
        refuse(path, o, kinds[k], ANE_ERROR_ARGUMENT, "but the tokenizer's begin token is");
        ane_tokenizer_free(kinds[k]);
    }
}

static void positions_count_from_the_start_of_the_file(void **state) {
    (void)state;
    ane_error e = {0};
    ane_tokenizer *t = ane_vocabulary_new("test", "test", &e);
    t->bos = 0;
    t->dummy_prefix = true;
    assert_ok(ane_vocabulary_add(t, "<s>", 3, 0, ANE_PIECE_SPECIAL, &e), &e);
    for (const char *c = " a\n"; *c; c++) assert_ok(ane_vocabulary_add(t, c, 1, 0, ANE_PIECE_NORMAL, &e), &e);
    assert_ok(ane_vocabulary_index(t, &e), &e);
    ane_data_options o = {.vocab_size = 440, .bos_id = 0};
    refuse(write_text("r.txt", "aaa\n\nb"), o, t, ANE_ERROR_UNSUPPORTED, "byte 0x62 at position 5");
    refuse(write_text("s.txt", "aaa\n\naaab"), o, t, ANE_ERROR_UNSUPPORTED, "byte 0x62 at position 8");
    t->single_spaces = true;
    refuse(write_text("t.txt", "aaa\n\na  b"), o, t, ANE_ERROR_UNSUPPORTED, "one at position 7");
    ane_tokenizer_free(t);
}

/* --- the split --- */

static void split_by_position(void **state) {
    (void)state;
    ane_data_options o = plain(1000);
    o.validation = 0.1;
    const char *files[] = {
        write_ids("s1.bin", 1000, 1000, 2, NULL, 0), write_ids("s2.bin", 105, 1000, 2, NULL, 0)};
    ane_dataset *d = open_files(files, 2, o, NULL);
    assert_int_equal(ane_dataset_tokens(d, ANE_TRAIN), 900 + 94);
    assert_int_equal(ane_dataset_tokens(d, ANE_VALIDATION), 100 + 11);
    assert_int_equal(ane_dataset_text_bytes(d, ANE_VALIDATION), -1);
    int32_t tokens[99], targets[99];
    ane_error e = {0};
    assert_ok(ane_dataset_batch(d, ANE_VALIDATION, 5, 0, 1, 99, tokens, targets, &e), &e);
    assert_int_equal(tokens[0], 900);
    assert_int_equal(targets[98], 999);
    ane_dataset_free(d);
}

static void split_at_documents(void **state) {
    (void)state;
    static const uint16_t ids[] = {1, 5, 6, 7, 1, 5, 6, 7, 8, 9, 1, 5, 6};
    static const struct {
        double validation;
        int32_t bos;
        int64_t split;
    } cases[] = {
        {0.1, 1, 10}, {0.5, 1, 4}, {0.6, 1, 4}, {0.4, 1, 10}, {0.99, 1, 4}, {0.1, 99, 11}, {0.1, -1, 11}};
    const char *path = write_bytes("docs.bin", ids, sizeof ids);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ane_data_options o = plain(100);
        o.validation = cases[i].validation;
        o.bos_id = cases[i].bos;
        ane_dataset *d = open_one(path, o, NULL);
        assert_int_equal(ane_dataset_tokens(d, ANE_TRAIN), cases[i].split);
        ane_dataset_free(d);
    }
}

static void split_at_blank_lines(void **state) {
    (void)state;
    ane_error e = {0};
    ane_tokenizer *kinds[] = {byte_tokenizer(), ane_tokenizer_load(test_data("tokenizer/tiny.model"), 0, &e)};
    static const double fractions[] = {0.02, 0.5, 0.9};
    const char *path = write_text("blank.txt", story);
    const char *starts[] = {"Four", "Three", "Two"};
    for (int i = 0; i < 6; i++) {
        ane_data_options o = plain(440);
        o.validation = fractions[i % 3];
        ane_dataset *d = open_one(path, o, kinds[i / 3]);
        const char *start = strstr(story, starts[i % 3]);
        assert_int_equal(ane_dataset_text_bytes(d, ANE_TRAIN), start - story);
        assert_int_equal(ane_dataset_text_bytes(d, ANE_VALIDATION), strlen(start));
        ane_dataset_free(d);
    }
    ane_tokenizer_free(kinds[0]);
    ane_tokenizer_free(kinds[1]);
}

static void checksums_tell_data_apart(void **state) {
    (void)state;
    ane_data_options o = plain(1000), held_out = o;
    held_out.validation = 0.1;
    const char *path = write_ids("y.bin", 1000, 1000, 2, NULL, 0);
    ane_dataset *d[] = {
        open_one(path, o, NULL), open_one(path, o, NULL), open_one(path, held_out, NULL), NULL, NULL};
    uint32_t sums[5];
    for (int i = 0; i < 3; i++) sums[i] = ane_dataset_checksum(d[i]);
    for (int i = 0; i < 3; i++) ane_dataset_free(d[i]); /* before the file changes under them */
    d[3] = open_one(write_ids("y.bin", 1000, 999, 2, NULL, 0), o, NULL);
    d[4] = open_one(write_ids("y.bin", 999, 1000, 2, NULL, 0), o, NULL);
    for (int i = 3; i < 5; i++) sums[i] = ane_dataset_checksum(d[i]);
    for (int i = 3; i < 5; i++) ane_dataset_free(d[i]);
    assert_int_equal(sums[0], sums[1]);
    for (int i = 2; i < 5; i++) assert_int_not_equal(sums[0], sums[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_by_name_and_content),
        cmocka_unit_test(files_that_lie),
        cmocka_unit_test(options_that_make_no_sense),
        cmocka_unit_test(text_is_tokenized),
        cmocka_unit_test(stale_and_damaged_caches_are_made_anew),
        cmocka_unit_test(without_a_place_for_the_cache),
        cmocka_unit_test(text_that_the_tokenizer_cannot_write),
        cmocka_unit_test(documents_begin_with_bos),
        cmocka_unit_test(positions_count_from_the_start_of_the_file),
        cmocka_unit_test(split_by_position),
        cmocka_unit_test(split_at_documents),
        cmocka_unit_test(split_at_blank_lines),
        cmocka_unit_test(checksums_tell_data_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
