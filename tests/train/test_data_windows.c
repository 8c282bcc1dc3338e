/* The order of windows: each once an epoch, and a batch follows from its number. */
#include "data_fixture.h"

#include "train/data.h"

static void permutations(void **state) {
    (void)state;
    const uint64_t sizes[] = {1, 2, 3, 4, 5, 16, 17, 1000, 4096, 4097};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        uint64_t n = sizes[k], key[4] = {k, 2, 3, 4}, moved = 0;
        unsigned char *seen = calloc(1, n);
        for (uint64_t i = 0; i < n; i++) {
            uint64_t p = ane_permute(i, n, key);
            assert_true(p < n && !seen[p]);
            seen[p] = 1;
            moved += p != i;
        }
        if (n >= 16) assert_true(moved > n * 3 / 4);
        free(seen);
    }
    uint64_t key[4] = {1, 2, 3, 4}, huge = (uint64_t)1 << 61;
    assert_true(ane_permute(huge - 1, huge, key) < huge);
}

/* Where element 0 goes must not depend on the size of things: over many keys every place is equally likely.
 */
static void permutations_are_even(void **state) {
    (void)state;
    enum { N = 10, KEYS = 20000 };
    int count[N] = {0};
    for (uint64_t k = 0; k < KEYS; k++)
        count[ane_permute(0, N, (uint64_t[]){k * 0x9e3779b97f4a7c15u, k ^ 77, k << 32, ~k})]++;
    double chi2 = 0;
    for (int i = 0; i < N; i++) chi2 += (count[i] - KEYS / N) * (count[i] - KEYS / N) / (double)(KEYS / N);
    assert_true(chi2 < 40); /* 9 degrees of freedom: 40 has p < 1e-5 */
}

enum { SEQ = 7, BATCH = 3 };

/* All windows' first tokens of an epoch, in order; token i of file k is 1000 k + i. */
static void epoch_starts(
    const ane_dataset *d, uint64_t seed, int64_t number, int64_t windows, int32_t *starts) {
    ane_error e = {0};
    int32_t tokens[SEQ], targets[SEQ];
    for (int64_t i = 0; i < windows; i++) {
        assert_ok(
            ane_dataset_batch(d, ANE_TRAIN, seed, number * windows + i, 1, SEQ, tokens, targets, &e), &e);
        starts[i] = tokens[0];
        for (int32_t k = 0; k < SEQ; k++) {
            assert_int_equal(tokens[k], starts[i] + k);
            assert_int_equal(targets[k], starts[i] + k + 1);
        }
    }
}

static ane_dataset *two_files(void) {
    uint16_t ids[2][500];
    for (int i = 0; i < 500; i++) ids[0][i] = (uint16_t)i, ids[1][i] = (uint16_t)(1000 + i);
    const char *files[] = {
        write_bytes("w1.bin", ids[0], sizeof ids[0]), write_bytes("w2.bin", ids[1], 2 * 101)};
    return open_files(files, 2, plain(2000), NULL);
}

static void each_window_once_an_epoch(void **state) {
    (void)state;
    ane_dataset *d = two_files();
    enum { WINDOWS = 499 / SEQ + 100 / SEQ };
    assert_int_equal(ane_dataset_windows(d, ANE_TRAIN, SEQ), WINDOWS);
    assert_int_equal(ane_dataset_windows(d, ANE_TRAIN, 0), 0);
    int32_t starts[6][WINDOWS];
    int orders_differ = 0, phases_differ = 0;
    for (int number = 0; number < 6; number++) {
        epoch_starts(d, 1, number, WINDOWS, starts[number]);
        bool covered[2000] = {false};
        bool seen[2000] = {false};
        int all = 0;
        for (int i = 0; i < WINDOWS; i++) {
            int32_t s = starts[number][i];
            assert_false(seen[s]);
            seen[s] = true;
            for (int k = 0; k < SEQ; k++) all += !covered[s + k], covered[s + k] = true;
        }
        assert_true(
            all >= 599 - 2 * SEQ - 2 * (SEQ - 1)); /* all but less than a window at an end of each file */
        orders_differ += number && memcmp(starts[number], starts[0], sizeof starts[0]) != 0;
        phases_differ += number && starts[number][0] % SEQ != starts[0][0] % SEQ;
    }
    assert_int_equal(orders_differ, 5);
    assert_true(phases_differ > 0);
    ane_dataset_free(d);
}

static void batches_follow_from_their_numbers(void **state) {
    (void)state;
    ane_error e = {0};
    ane_dataset *d = two_files(), *again = two_files();
    int32_t rows[12][SEQ], one[SEQ], t[BATCH * SEQ], u[BATCH * SEQ], targets[BATCH * SEQ];
    for (int i = 0; i < 12; i++) {
        assert_ok(ane_dataset_batch(d, ANE_TRAIN, 9, i, 1, SEQ, one, targets, &e), &e);
        memcpy(rows[i], one, sizeof one);
    }
    for (int i = 3; i >= 0; i--) { /* rows of a batch are windows in order, whatever was asked for before */
        assert_ok(ane_dataset_batch(again, ANE_TRAIN, 9, i, BATCH, SEQ, t, targets, &e), &e);
        assert_memory_equal(t, rows[BATCH * i], sizeof t);
    }
    assert_ok(ane_dataset_batch(d, ANE_TRAIN, 10, 0, BATCH, SEQ, u, targets, &e), &e);
    assert_memory_not_equal(t, u, sizeof t);
    ane_dataset_free(d);
    ane_dataset_free(again);
}

static void validation_is_always_the_same_windows(void **state) {
    (void)state;
    ane_error e = {0};
    ane_data_options o = plain(1000);
    o.validation = 0.5;
    ane_dataset *d = open_one(write_ids("v.bin", 400, 1000, 2, NULL, 0), o, NULL);
    int64_t windows = ane_dataset_windows(d, ANE_VALIDATION, SEQ);
    assert_int_equal(windows, 199 / SEQ);
    for (uint64_t seed = 0; seed < 3; seed++) {
        bool seen[400] = {false};
        for (int64_t i = 0; i < windows; i++) {
            int32_t tokens[SEQ], targets[SEQ];
            assert_ok(
                ane_dataset_batch(d, ANE_VALIDATION, seed, windows * 3 + i, 1, SEQ, tokens, targets, &e), &e);
            assert_int_equal((tokens[0] - 200) % SEQ, 0);
            assert_false(seen[tokens[0]]);
            seen[tokens[0]] = true;
        }
    }
    ane_dataset_free(d);
}

static void batches_that_cannot_be(void **state) {
    (void)state;
    ane_error e = {0};
    ane_data_options o = plain(1000);
    o.validation = 0.1;
    const char *files[] = {
        write_ids("x1.bin", 100, 1000, 2, NULL, 0), write_ids("x2.bin", 50, 1000, 2, NULL, 0)};
    ane_dataset *d = open_files(files, 2, o, NULL);
    int32_t t[200], u[200];
    assert_ok(ane_dataset_batch(d, ANE_TRAIN, 0, 0, 1, 89, t, u, &e), &e);
    assert_false(ane_dataset_batch(d, ANE_TRAIN, 0, 0, 1, 90, t, u, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT,
        "A sequence of 90 needs 91 tokens in one file, but the training data has at most 90.");
    assert_false(ane_dataset_batch(d, ANE_VALIDATION, 0, 0, 1, 10, t, u, &e));
    assert_error(
        &e, ANE_ERROR_ARGUMENT, "needs 11 tokens in one file, but the validation data has at most 10");
    assert_false(ane_dataset_batch(d, ANE_TRAIN, 0, 0, 1, INT32_MAX, t, u, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "needs 2147483648 tokens");
    assert_false(ane_dataset_batch(d, ANE_TRAIN, 0, 0, 0, 5, t, u, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "must be positive; they are 0 and 5");
    assert_false(ane_dataset_batch(d, ANE_TRAIN, 0, 0, 1, -5, t, u, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "must be positive; they are 1 and -5");
    assert_false(ane_dataset_batch(d, ANE_TRAIN, 0, -1, 1, 5, t, u, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "There is no batch number -1");
    assert_false(ane_dataset_batch(d, ANE_TRAIN, 0, INT64_MAX / 2, 8, 5, t, u, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "There is no batch number");
    ane_dataset_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(permutations),
        cmocka_unit_test(permutations_are_even),
        cmocka_unit_test(each_window_once_an_epoch),
        cmocka_unit_test(batches_follow_from_their_numbers),
        cmocka_unit_test(validation_is_always_the_same_windows),
        cmocka_unit_test(batches_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
