/* The small stories: the entropy that is printed is the entropy they have. */
#include "support/support.h"

#include "anemone/data.h"
#include "base/file.h"
#include "train/synth.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- reading a story back: all derivations of a text --- */

typedef struct reading {
    const ane_grammar *g;
    const char *end;
    const ane_word *words[32];
    int derivations;
    double nats; /* of the derivation found last */
} reading;

static void read_sentences(reading *r, const ane_sentence *s, const char *at, double nats, bool first);

/* Match the rest of a sentence, then the sentences after it. */
static void read_parts(reading *r, const ane_sentence *s, const char *text, const char *at, double nats);

static void read_form(reading *r, const ane_sentence *s, const char *text, const char *at, double nats,
    const ane_mention *part, const ane_word *word) {
    const char *form = word->forms[part->form];
    size_t size = strlen(form);
    if (size == 0 || size > (size_t)(r->end - at)) return;
    char first = part->capital ? (char)toupper((unsigned char)form[0]) : form[0];
    if (at[0] == first && !memcmp(at + 1, form + 1, size - 1)) read_parts(r, s, text, at + size, nats);
}

static void read_parts(reading *r, const ane_sentence *s, const char *text, const char *at, double nats) {
    ane_mention part;
    if (!ane_sentence_part(r->g, &text, &part)) {
        read_sentences(r, s + 1, at, nats, false);
        return;
    }
    if (part.variable < 0) {
        if (part.size <= (size_t)(r->end - at) && !memcmp(part.text, at, part.size))
            read_parts(r, s, text, at + part.size, nats);
        return;
    }
    const ane_word **bound = &r->words[part.variable];
    if (*bound) {
        read_form(r, s, text, at, nats, &part, *bound);
        return;
    }
    const ane_variable *v = &r->g->variables[part.variable];
    for (int i = 0; i < v->n; i++) {
        *bound = &v->words[i];
        read_form(
            r, s, text, at, nats - log((double)v->words[i].weight / ane_words_weight(v)), &part, *bound);
    }
    *bound = NULL;
}

static void read_sentences(reading *r, const ane_sentence *s, const char *at, double nats, bool first) {
    if (s->n == 0) {
        if (r->end - at != 2 || memcmp(at, "\n\n", 2) != 0) return;
        r->derivations++;
        r->nats = nats;
        return;
    }
    if (!first && *at++ != ' ') return;
    for (int i = 0; i < s->n; i++) {
        double p = (double)s->alternatives[i].weight / ane_sentence_weight(s);
        read_parts(r, s, s->alternatives[i].text, at, nats - log(p));
    }
}

static reading read_story(const ane_grammar *g, const char *text, size_t size) {
    reading r = {.g = g, .end = text + size};
    for (int i = 0; i < g->n_plots; i++)
        read_sentences(
            &r, g->plots[i].sentences, text, -log((double)g->plots[i].weight / ane_plots_weight(g)), true);
    return r;
}

static void a_text_determines_its_choices(void **state) {
    (void)state;
    const ane_grammar *g = ane_story_grammar();
    ane_rng rng = ane_rng_new(4, 0);
    for (int i = 0; i < 20000; i++) {
        ane_story story;
        ane_draw_story(g, &rng, &story);
        reading r = read_story(g, story.text, story.size);
        if (r.derivations != 1)
            fail_msg("%d derivations of: %.*s", r.derivations, (int)story.size, story.text);
        assert_true(fabs(r.nats - story.nats) < 1e-9);
    }
    assert_int_equal(read_story(g, "Once upon a time.\n\n", 19).derivations, 0);
}

/* --- the tables --- */

static bool form_is_told_apart(const ane_variable *v, int form) {
    for (int i = 0; i < v->n; i++)
        for (int j = 0; j < i; j++)
            if (!strcmp(v->words[i].forms[form], v->words[j].forms[form])) return false;
    return true;
}

/* Every mention is of a variable that exists in a form that exists; a sentence that first mentions a variable
 * in a form that several of its values share goes on to one that tells them apart. */
static size_t check_sentence(const ane_grammar *g, const char *text, bool *known) {
    size_t longest = 0;
    bool open[32] = {false};
    ane_mention part;
    while (ane_sentence_part(g, &text, &part)) {
        longest += part.size;
        if (part.variable < 0) continue;
        const ane_variable *v = &g->variables[part.variable];
        assert_in_range(part.form, 0, ANE_WORD_FORMS - 1);
        size_t most = 0;
        for (int i = 0; i < v->n; i++) {
            assert_true(v->words[i].weight > 0);
            assert_non_null(v->words[i].forms[part.form]);
            assert_true(!part.capital || islower((unsigned char)v->words[i].forms[part.form][0]));
            size_t size = strlen(v->words[i].forms[part.form]);
            most = size > most ? size : most;
        }
        longest += most;
        bool apart = form_is_told_apart(v, part.form);
        open[part.variable] = !apart && !known[part.variable];
        if (apart) known[part.variable] = true;
    }
    for (int i = 0; i < 32; i++) assert_false(open[i]);
    return longest;
}

static void the_tables_are_whole(void **state) {
    (void)state;
    const ane_grammar *g = ane_story_grammar();
    assert_in_range(g->n_variables, 1, 32);
    for (int p = 0; p < g->n_plots; p++) {
        size_t longest = 2;
        bool known[32] = {false}; /* from the opening on, the hero is */
        for (const ane_sentence *s = g->plots[p].sentences; s->n > 0; s++) {
            assert_true(s - g->plots[p].sentences < ANE_STORY_SENTENCES - 1);
            size_t most = 0;
            bool after[32];
            memset(after, true, sizeof after);
            for (int i = 0; i < s->n; i++) {
                bool now[32];
                memcpy(now, known, sizeof now);
                assert_true(s->alternatives[i].weight > 0);
                size_t size = check_sentence(g, s->alternatives[i].text, now);
                most = size > most ? size : most;
                for (int v = 0; v < 32; v++) after[v] = after[v] && now[v];
            }
            memcpy(known, after, sizeof known);
            longest += most + 1;
        }
        assert_true(longest <= ANE_STORY_BYTES);
    }
}

/* --- means --- */

/* Averages over many stories against the closed forms, within five standard errors. */
static void averages_approach_the_means(void **state) {
    (void)state;
    enum { N = 100000 };
    const ane_grammar *g = ane_story_grammar();
    ane_rng rng = ane_rng_new(5, 0);
    double nats = 0, nats2 = 0, bytes = 0, bytes2 = 0;
    for (int i = 0; i < N; i++) {
        ane_story story;
        ane_draw_story(g, &rng, &story);
        nats += story.nats / N;
        nats2 += story.nats * story.nats / N;
        bytes += (double)story.size / N;
        bytes2 += (double)story.size * (double)story.size / N;
    }
    double nats_error = sqrt((nats2 - nats * nats) / N), bytes_error = sqrt((bytes2 - bytes * bytes) / N);
    print_message("nats %.4f (%.4f +- %.4f), bytes %.3f (%.3f +- %.3f), %.5f nats per byte\n", nats,
        ane_story_mean_nats(g), nats_error, bytes, ane_story_mean_bytes(g), bytes_error, ane_synth_entropy());
    assert_true(fabs(nats - ane_story_mean_nats(g)) < 5 * nats_error);
    assert_true(fabs(bytes - ane_story_mean_bytes(g)) < 5 * bytes_error);
    assert_true(fabs(nats / bytes - ane_synth_entropy()) < 0.002 * ane_synth_entropy());
}

/* A grammar small enough to count by hand: the second sentence mentions y half the time. */
static void entropy_of_a_grammar_counted_by_hand(void **state) {
    (void)state;
    static const ane_word x[] = {{1, {"a"}}, {1, {"bbb"}}}, y[] = {{3, {"c", "cc"}}, {1, {"d", "dddd"}}};
    static const ane_variable variables[] = {{'x', 2, x}, {'y', 2, y}};
    static const ane_alternative one[] = {{1, "{x}."}}, two[] = {{1, "{y}, {Y1}."}, {1, "no."}};
    static const ane_plot plots[] = {{1, {{1, one}, {2, two}}}};
    static const ane_grammar g = {variables, 2, plots, 1};
    double h_y = -(0.75 * log(0.75) + 0.25 * log(0.25));
    assert_true(fabs(ane_story_mean_nats(&g) - (log(2) + log(2) + h_y / 2)) < 1e-12);
    /* x: 2 + "." 1; space; half "c, Cc." or "d, Dddd." = 4 + 2.5, half "no."; "\n\n" */
    assert_true(fabs(ane_story_mean_bytes(&g) - (3 + 1 + (6.5 + 3) / 2 + 2)) < 1e-12);
    ane_rng rng = ane_rng_new(1, 1);
    int seen = 0;
    for (int i = 0; i < 200; i++) {
        ane_story s;
        ane_draw_story(&g, &rng, &s);
        if (s.size == 15 && !memcmp(s.text, "bbb. d, Dddd.\n\n", 15)) {
            assert_true(fabs(s.nats - log(16)) < 1e-12);
            seen++;
        }
    }
    assert_in_range(seen, 3, 30); /* 12.5 expected */
}

/* --- files --- */

static char *read_file(const char *path, size_t *size) {
    ane_error e = {0};
    char *text = ane_read_text(path, 1 << 24, size, &e);
    assert_ok(text, &e);
    return text;
}

static void files_of_stories(void **state) {
    (void)state;
    ane_error e = {0};
    char path[3][256];
    char *text[3];
    size_t size[3];
    double entropy = 0;
    for (int i = 0; i < 3; i++) {
        snprintf(path[i], sizeof path[i], "%s/stories%d.txt", test_folder(), i);
        assert_ok(ane_synth_stories(path[i], i == 2 ? 8 : 7, 100000, i ? NULL : &entropy, &e), &e);
        text[i] = read_file(path[i], &size[i]);
        assert_in_range(size[i], 100000, 100000 + ANE_STORY_BYTES);
        assert_memory_equal(text[i] + size[i] - 2, "\n\n", 2);
    }
    assert_true(entropy == ane_synth_entropy() && entropy > 0.02 && entropy < 0.2);
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(text[0], text[1], size[0]); /* the seed decides */
    assert_memory_not_equal(text[0], text[2], 1000);
    double nats = 0; /* the file is made of whole stories, each of which can be read back */
    for (char *s = text[0], *end; s < text[0] + size[0]; s = end) {
        end = strstr(s, "\n\n") + 2;
        reading r = read_story(ane_story_grammar(), s, (size_t)(end - s));
        assert_int_equal(r.derivations, 1);
        nats += r.nats;
    }
    assert_true(fabs(nats / (double)size[0] / entropy - 1) < 0.03);
    for (int i = 0; i < 3; i++) free(text[i]);
}

static void files_that_cannot_be_written(void **state) {
    (void)state;
    ane_error e = {0};
    char path[256];
    snprintf(path, sizeof path, "%s/no/such/folder.txt", test_folder());
    assert_false(ane_synth_stories(path, 1, 1000, NULL, &e));
    assert_error(&e, ANE_ERROR_IO, "no/such/folder.txt");
    assert_false(ane_synth_stories(path, 1, 0, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "size must be positive; it is 0 bytes");
    if (access("/dev/full", W_OK) == 0) { /* ended at once: a terabyte would take hours */
        assert_false(ane_synth_stories("/dev/full", 1, INT64_C(1) << 40, NULL, &e));
        assert_error(&e, ANE_ERROR_IO, "No space left");
    }
    assert_false(ane_synth_stories(path, 1, -5, NULL, &e));
    assert_error(&e, ANE_ERROR_ARGUMENT, "it is -5 bytes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tables_are_whole),
        cmocka_unit_test(a_text_determines_its_choices),
        cmocka_unit_test(averages_approach_the_means),
        cmocka_unit_test(entropy_of_a_grammar_counted_by_hand),
        cmocka_unit_test(files_of_stories),
        cmocka_unit_test(files_that_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
