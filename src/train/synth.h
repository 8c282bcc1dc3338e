/* synth.h - the grammar of the small stories, and what is known about it. */
#ifndef ANEMONE_TRAIN_SYNTH_H
#define ANEMONE_TRAIN_SYNTH_H

#include "base/random.h"

#include <stdbool.h>
#include <stddef.h>

enum { ANE_WORD_FORMS = 6, ANE_STORY_SENTENCES = 10, ANE_STORY_BYTES = 2048 };

/* One value of a variable: its forms agree with each other ("Lily", "she", "her", ...). */
typedef struct ane_word {
    int weight;
    const char *forms[ANE_WORD_FORMS];
} ane_word;

/* Drawn when a story first mentions it, kept to the story's end. `letter` is its name in the sentences. */
typedef struct ane_variable {
    char letter;
    int n;
    const ane_word *words;
} ane_variable;

/* {x} is variable x's form 0, {x3} its form 3, {X3} that with a capital letter. */
typedef struct ane_alternative {
    int weight;
    const char *text;
} ane_alternative;

typedef struct ane_sentence {
    int n;
    const ane_alternative *alternatives;
} ane_sentence;

typedef struct ane_plot {
    int weight;
    ane_sentence sentences[ANE_STORY_SENTENCES]; /* ended by n = 0 */
} ane_plot;

typedef struct ane_grammar {
    const ane_variable *variables;
    int n_variables;
    const ane_plot *plots;
    int n_plots;
} ane_grammar;

/* A mention of a variable, or literal bytes, in a sentence. */
typedef struct ane_mention {
    const char *text; /* literal bytes when variable < 0 */
    size_t size;
    int variable, form;
    bool capital;
} ane_mention;

typedef struct ane_story {
    char text[ANE_STORY_BYTES];
    size_t size;
    double nats; /* -log of the probability of all its choices */
} ane_story;

const ane_grammar *ane_story_grammar(void); /* synth_grammar.c */

/* The next part of a sentence; false at its end. Moves *text on. */
bool ane_sentence_part(const ane_grammar *g, const char **text, ane_mention *part);
/* Sum of the weights, which a weight is divided by to give its probability. */
int ane_words_weight(const ane_variable *v);
int ane_sentence_weight(const ane_sentence *s);
int ane_plots_weight(const ane_grammar *g);

/* Draw one story, its blank line included. */
void ane_draw_story(const ane_grammar *g, ane_rng *rng, ane_story *story);
/* Exact means over all stories. */
double ane_story_mean_bytes(const ane_grammar *g);
double ane_story_mean_nats(const ane_grammar *g);

#endif
