/* Drawing stories from the grammar, and its entropy.
 *
 * Choices are independent given the plot, so that means are sums: a story's entropy is the plot's, plus that
 * of each of its sentences, plus that of each variable times the probability that the story mentions it; a
 * story's mean length is the mean over alternatives of their literal bytes and their variables' mean lengths.
 * Stories are independent, and a blank line ends each: entropy per byte = mean nats / mean bytes. */
#include "train/synth.h"

#include "anemone/data.h"
#include "base/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char story_end[] = "\n\n";

static int variable_of(const ane_grammar *g, char letter) {
    for (int i = 0; i < g->n_variables; i++)
        if (g->variables[i].letter == letter) return i;
    return -1;
}

bool ane_sentence_part(const ane_grammar *g, const char **text, ane_mention *part) {
    const char *s = *text;
    if (!*s) return false;
    size_t literal = strcspn(s, "{");
    if (literal > 0) {
        *part = (ane_mention){s, literal, -1, 0, false};
        *text = s + literal;
        return true;
    }
    bool capital = s[1] >= 'A' && s[1] <= 'Z', numbered = s[2] != '}';
    char letter = (char)(capital ? s[1] - 'A' + 'a' : s[1]);
    *part = (ane_mention){"", 0, variable_of(g, letter), numbered ? s[2] - '0' : 0, capital};
    *text = s + (numbered ? 4 : 3);
    return true;
}

int ane_words_weight(const ane_variable *v) {
    int sum = 0;
    for (int i = 0; i < v->n; i++) sum += v->words[i].weight;
    return sum;
}

int ane_sentence_weight(const ane_sentence *s) {
    int sum = 0;
    for (int i = 0; i < s->n; i++) sum += s->alternatives[i].weight;
    return sum;
}

int ane_plots_weight(const ane_grammar *g) {
    int sum = 0;
    for (int i = 0; i < g->n_plots; i++) sum += g->plots[i].weight;
    return sum;
}

/* --- drawing --- */

enum { VARIABLES_MOST = 32 };

typedef struct drawing {
    const ane_grammar *g;
    ane_rng *rng;
    ane_story *story;
    const ane_word *words[VARIABLES_MOST]; /* NULL until mentioned */
} drawing;

/* A number below `total`, for looking up in weights. */
static int draw(drawing *d, int total) {
    return (int)ane_rng_below(d->rng, (uint64_t)total);
}

static void count_choice(drawing *d, int weight, int total) {
    d->story->nats -= log((double)weight / total);
}

static const ane_word *draw_word(drawing *d, const ane_variable *v) {
    int total = ane_words_weight(v), at = draw(d, total), i = 0;
    for (; at >= v->words[i].weight; i++) at -= v->words[i].weight;
    count_choice(d, v->words[i].weight, total);
    return &v->words[i];
}

static const char *draw_alternative(drawing *d, const ane_sentence *s) {
    int total = ane_sentence_weight(s), at = draw(d, total), i = 0;
    for (; at >= s->alternatives[i].weight; i++) at -= s->alternatives[i].weight;
    count_choice(d, s->alternatives[i].weight, total);
    return s->alternatives[i].text;
}

static const ane_plot *draw_plot(drawing *d) {
    int total = ane_plots_weight(d->g), at = draw(d, total), i = 0;
    for (; at >= d->g->plots[i].weight; i++) at -= d->g->plots[i].weight;
    count_choice(d, d->g->plots[i].weight, total);
    return &d->g->plots[i];
}

/* Stories are far shorter than their room: a test takes the longest of every sentence. */
static void put(drawing *d, const char *text, size_t size, bool capital) {
    ane_story *s = d->story;
    if (size > sizeof s->text - s->size) size = sizeof s->text - s->size;
    memcpy(s->text + s->size, text, size);
    if (capital && size > 0) s->text[s->size] = (char)(text[0] - 'a' + 'A');
    s->size += size;
}

static void put_sentence(drawing *d, const char *text) {
    ane_mention part;
    while (ane_sentence_part(d->g, &text, &part)) {
        if (part.variable < 0) {
            put(d, part.text, part.size, false);
            continue;
        }
        const ane_word **word = &d->words[part.variable];
        if (!*word) *word = draw_word(d, &d->g->variables[part.variable]);
        const char *form = (*word)->forms[part.form];
        put(d, form, strlen(form), part.capital);
    }
}

void ane_draw_story(const ane_grammar *g, ane_rng *rng, ane_story *story) {
    story->size = 0;
    story->nats = 0;
    drawing d = {.g = g, .rng = rng, .story = story};
    const ane_plot *plot = draw_plot(&d);
    for (const ane_sentence *s = plot->sentences; s->n > 0; s++) {
        if (s != plot->sentences) put(&d, " ", 1, false);
        put_sentence(&d, draw_alternative(&d, s));
    }
    put(&d, story_end, sizeof story_end - 1, false);
}

/* --- means --- */

/* -p log p for p = weight / total */
static double choice_nats(int weight, int total) {
    double p = (double)weight / total;
    return -p * log(p);
}

static double variable_nats(const ane_variable *v) {
    double nats = 0;
    for (int i = 0, total = ane_words_weight(v); i < v->n; i++)
        nats += choice_nats(v->words[i].weight, total);
    return nats;
}

static double sentence_nats(const ane_sentence *s) {
    double nats = 0;
    for (int i = 0, total = ane_sentence_weight(s); i < s->n; i++)
        nats += choice_nats(s->alternatives[i].weight, total);
    return nats;
}

static bool mentions(const ane_grammar *g, const char *text, int variable) {
    ane_mention part;
    while (ane_sentence_part(g, &text, &part))
        if (part.variable == variable) return true;
    return false;
}

/* The probability that a story of this plot mentions the variable: 1 - product over sentences of the
 * probability that the alternative drawn does not. */
static double mention_probability(const ane_grammar *g, const ane_plot *plot, int variable) {
    double none = 1;
    for (const ane_sentence *s = plot->sentences; s->n > 0; s++) {
        int without = 0;
        for (int i = 0; i < s->n; i++)
            if (!mentions(g, s->alternatives[i].text, variable)) without += s->alternatives[i].weight;
        none *= (double)without / ane_sentence_weight(s);
    }
    return 1 - none;
}

static double plot_nats(const ane_grammar *g, const ane_plot *plot) {
    double nats = 0;
    for (const ane_sentence *s = plot->sentences; s->n > 0; s++) nats += sentence_nats(s);
    for (int v = 0; v < g->n_variables; v++)
        nats += mention_probability(g, plot, v) * variable_nats(&g->variables[v]);
    return nats;
}

static double form_bytes(const ane_variable *v, int form) {
    double bytes = 0;
    for (int i = 0; i < v->n; i++) bytes += v->words[i].weight * (double)strlen(v->words[i].forms[form]);
    return bytes / ane_words_weight(v);
}

static double sentence_bytes(const ane_grammar *g, const ane_sentence *s) {
    double bytes = 0;
    for (int i = 0; i < s->n; i++) {
        ane_mention part;
        const char *text = s->alternatives[i].text;
        while (ane_sentence_part(g, &text, &part)) {
            double size =
                part.variable < 0 ? (double)part.size : form_bytes(&g->variables[part.variable], part.form);
            bytes += s->alternatives[i].weight * size;
        }
    }
    return bytes / ane_sentence_weight(s);
}

/* The last sentence's space is missing, the end of the story is there. */
static double plot_bytes(const ane_grammar *g, const ane_plot *plot) {
    double bytes = (double)(sizeof story_end - 1) - 1;
    for (const ane_sentence *s = plot->sentences; s->n > 0; s++) bytes += sentence_bytes(g, s) + 1;
    return bytes;
}

double ane_story_mean_bytes(const ane_grammar *g) {
    double bytes = 0;
    for (int i = 0; i < g->n_plots; i++) bytes += g->plots[i].weight * plot_bytes(g, &g->plots[i]);
    return bytes / ane_plots_weight(g);
}

double ane_story_mean_nats(const ane_grammar *g) {
    double nats = 0;
    for (int i = 0, total = ane_plots_weight(g); i < g->n_plots; i++)
        nats +=
            choice_nats(g->plots[i].weight, total) + g->plots[i].weight * plot_nats(g, &g->plots[i]) / total;
    return nats;
}

double ane_synth_entropy(void) {
    const ane_grammar *g = ane_story_grammar();
    return ane_story_mean_nats(g) / ane_story_mean_bytes(g);
}

bool ane_synth_stories(const char *path, uint64_t seed, int64_t bytes, double *entropy, ane_error *e) {
    if (bytes < 1)
        return ane_fail(e, ANE_ERROR_ARGUMENT, path, "The stories' size must be positive; it is %lld bytes.",
            (long long)bytes);
    ane_writer *w = ane_writer_open(path, e);
    if (!w) return false;
    ane_rng rng = ane_rng_new(seed, 0);
    ane_story story;
    while (ane_writer_offset(w) < (uint64_t)bytes && !ane_writer_failed(w)) {
        ane_draw_story(ane_story_grammar(), &rng, &story);
        ane_writer_put(w, story.text, story.size);
    }
    if (entropy) *entropy = ane_synth_entropy();
    return ane_writer_commit(w, e);
}
