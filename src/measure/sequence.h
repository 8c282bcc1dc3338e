/* sequence.h - several programs, one behind the other, timed as one. */
#ifndef ANEMONE_MEASURE_SEQUENCE_H
#define ANEMONE_MEASURE_SEQUENCE_H

#include "measure/harness.h"

enum { ANE_SEQUENCE_MOST = 12 };

typedef struct ane_sequence {
    ane_bench *bench;
    int n;
    ane_trial *trials[ANE_SEQUENCE_MOST];
    mil_program *programs[ANE_SEQUENCE_MOST];
    /* The host's work behind the run of trial `index`; NULL: none. */
    bool (*between)(struct ane_sequence *s, int index, ane_error *e);
    void *context;    /* for it */
    double device_ms; /* of the last run, all trials together, and the host's work between them */
    double between_ms;
} ane_sequence;

/* Append a program, which it takes over (NULL: false, what made it has reported). */
bool ane_sequence_add(ane_sequence *s, mil_program *p, ane_error *e);
void ane_sequence_free(ane_sequence *s);
/* Let trial `to` read its input where trial `from` leaves its output: nothing is copied. */
bool ane_sequence_chain(
    ane_sequence *s, int from, const char *output, int to, const char *input, ane_error *e);
/* Warm up, put other numbers into all inputs, time; the row gets times, rates, compile_ms and what the host did between. */
bool ane_sequence_time(ane_sequence *s, json_t *row, ane_error *e);
/* Every trial's outputs are right for the inputs that it has, without chains; the row gets the worst. */
bool ane_sequence_verify(ane_sequence *s, json_t *row, ane_error *e);

#endif
