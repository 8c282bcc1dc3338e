/* chips.h - chip profiles, read from data/ane_chips.json, which is built into the library: every number there stands
 * beside its source. */
#ifndef ANEMONE_EMULATOR_CHIPS_H
#define ANEMONE_EMULATOR_CHIPS_H

#include "anemone/error.h"

#include <jansson.h>

/* What the time model is made of (timemodel.h). */
typedef struct em_rates {
    double peak_tflops;    /* fp16, 2 per multiply-add */
    double int8_factor;    /* int8 products beside fp16 ones */
    double matmul_factor;  /* matmul takes this many times the conv's time for the same product */
    double dispatch_ms;    /* one evaluation of an empty program, with its way through the daemon */
    double op_us;          /* of each operation, whatever it does */
    double bandwidth_gbs;  /* streaming weights and surfaces */
    double conflict_gbs;   /* streaming weights with channels a multiple of 4,096 */
    double resident_gbs;   /* weights of operations that fit the working set */
    double working_set_mb; /* largest operand that streams at that rate */
    double sram_mb;        /* activations beyond this go through memory */
    double compile_ms, compile_ms_per_gflop, load_ms;
} em_rates;

typedef struct em_chip {
    const char *name;     /* "M4 Max" */
    const char *sub_type; /* what _ANEDeviceInfo says: "h16c" */
    int cores;
    em_rates rates;
    const json_t *quirks; /* object: quirk name -> {"value", "source"} */
} em_chip;

enum { EM_MAX_CHIPS = 16 };
typedef struct em_chips {
    json_t *data, *recorded; /* the files */
    int n;
    em_chip chips[EM_MAX_CHIPS];
} em_chips;

/* Parse the files built in. */
bool em_chips_load(em_chips *chips, ane_error *e);
void em_chips_free(em_chips *chips);
/* By name, without regard to case, blanks, - and _: "m4max". NULL when unknown. */
const em_chip *em_chips_find(const em_chips *chips, const char *name);

#endif
