/* Shuffled windows without a state: batch `index` is computed from the numbers alone.
 *
 * A split of L tokens holds (L - 1) / seq windows, each seq inputs and their seq targets; a window's last
 * target is the next one's first input. In every epoch but validation's they are shifted by a random phase,
 * and the one that would stick out at the end covers the tokens before the phase instead. */
#include "base/random.h"
#include "train/data.h"

/* A bijection of 64-bit numbers that scatters well (the finalizer of MurmurHash3, by Appleby). */
static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

/* A Feistel network permutes the numbers of 2 * half bits, at most 4 n of them; those >= n are sent through
 * it again until they fall below n ("cycle walking", Black and Rogaway 2002), which is a permutation of 0 ..
 * n - 1. */
uint64_t ane_permute(uint64_t i, uint64_t n, const uint64_t key[4]) {
    int half = 1;
    while (half < 31 && (uint64_t)1 << 2 * half < n) half++;
    uint64_t mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t left = i >> half, right = i & mask;
        for (uint64_t round = 0; round < 8; round++) {
            uint64_t next = left ^ (mix(right + key[round % 4] + (round << 32)) & mask);
            left = right;
            right = next;
        }
        i = left << half | right;
    } while (i >= n);
    return i;
}

static int64_t file_windows(const ane_token_file *f, ane_split split, int32_t seq) {
    int64_t n = ane_split_size(f, split);
    return n > 0 ? (n - 1) / seq : 0;
}

int64_t ane_dataset_windows(const ane_dataset *d, ane_split split, int32_t seq) {
    int64_t n = 0;
    for (int i = 0; seq > 0 && i < d->n_files; i++) n += file_windows(&d->files[i], split, seq);
    return n;
}

/* What one epoch's order and shifts are drawn from. */
typedef struct epoch {
    uint64_t key[4];
    uint64_t phase; /* of file i: mix(phase + i) */
} epoch;

static epoch make_epoch(ane_split split, uint64_t seed, int64_t number) {
    ane_rng rng = ane_rng_new(seed, (uint64_t)number * 2 + (split == ANE_VALIDATION));
    epoch p;
    for (int i = 0; i < 4; i++) p.key[i] = ane_rng_u64(&rng);
    p.phase = ane_rng_u64(&rng);
    return p;
}

/* First token of window w of a file, within its split. */
static int64_t window_begin(
    const ane_token_file *f, ane_split split, int32_t seq, uint64_t random, int64_t w) {
    if (split == ANE_VALIDATION) return w * seq; /* every evaluation sees the same windows */
    int64_t phase = (int64_t)(random % (uint64_t)seq), begin = phase + w * seq;
    return begin + seq < ane_split_size(f, split) ? begin : 0;
}

/* Copy window number w of the epoch. */
static void copy_window(const ane_dataset *d, ane_split split, const epoch *p, int64_t w, int32_t seq,
    int32_t *tokens, int32_t *targets) {
    int i = 0;
    for (; w >= file_windows(&d->files[i], split, seq); i++) w -= file_windows(&d->files[i], split, seq);
    const ane_token_file *f = &d->files[i];
    int64_t at = ane_split_begin(f, split) + window_begin(f, split, seq, mix(p->phase + (uint64_t)i), w);
    for (int32_t k = 0; k < seq; k++) {
        tokens[k] = (int32_t)ane_token_at(f, at + k);
        targets[k] = (int32_t)ane_token_at(f, at + k + 1);
    }
}

static bool check_batch(const ane_dataset *d, ane_split split, int64_t index, int32_t batch, int32_t seq,
    int64_t *windows, ane_error *e) {
    if (batch < 1 || seq < 1)
        return ane_fail(e, ANE_ERROR_ARGUMENT, NULL,
            "Batch and sequence must be positive; they are %d and %d.", batch, seq);
    if (index < 0 || index > INT64_MAX / batch - 1)
        return ane_fail(e, ANE_ERROR_ARGUMENT, NULL, "There is no batch number %lld.", (long long)index);
    *windows = ane_dataset_windows(d, split, seq);
    if (*windows > 0) return true;
    int64_t longest = 0;
    for (int i = 0; i < d->n_files; i++) {
        int64_t n = ane_split_size(&d->files[i], split);
        if (n > longest) longest = n;
    }
    ane_fail(e, ANE_ERROR_ARGUMENT, NULL,
        "A sequence of %d needs %lld tokens in one file, but the %s data has at most %lld.", seq,
        (long long)seq + 1, split == ANE_TRAIN ? "training" : "validation", (long long)longest);
    return ane_hint(
        e, "Take a shorter sequence or more data%s.", split == ANE_TRAIN ? "" : ", or hold out more of it");
}

bool ane_dataset_batch(const ane_dataset *d, ane_split split, uint64_t seed, int64_t index, int32_t batch,
    int32_t seq, int32_t *tokens, int32_t *targets, ane_error *e) {
    int64_t windows = 0, number = -1;
    if (!check_batch(d, split, index, batch, seq, &windows, e)) return false;
    epoch p = {0};
    for (int32_t row = 0; row < batch; row++) {
        int64_t position = index * batch + row;
        if (position / windows != number) {
            number = position / windows;
            p = make_epoch(split, seed, number);
        }
        int64_t w = (int64_t)ane_permute((uint64_t)(position % windows), (uint64_t)windows, p.key);
        int64_t at = (int64_t)row * seq;
        copy_window(d, split, &p, w, seq, tokens + at, targets + at);
    }
    return true;
}
