/* facts.h - what is learnt about a machine, never assumed; and keeping it. */
#ifndef ANEMONE_DEVICE_ANE_FACTS_H
#define ANEMONE_DEVICE_ANE_FACTS_H

#include "anemone/mil.h"
#include "device/ane/machine.h"

#include <jansson.h>

/* In which order surfaces are bound to several ports. */
typedef enum ane_port_order {
    ANE_ORDER_UNKNOWN,
    ANE_ORDER_ALPHABETICAL,
    ANE_ORDER_DECLARED,
    ANE_ORDER_SIZE /* inputs ascending, outputs descending */
} ane_port_order;

/* What comes out where IEEE and the field differ; 0 is always "unknown". */
typedef enum ane_nan_results { ANE_NAN_UNKNOWN, ANE_NAN_INFINITY, ANE_NAN_KEPT } ane_nan_results;
typedef enum ane_inf_minus_inf {
    ANE_INF_MINUS_INF_UNKNOWN,
    ANE_INF_MINUS_INF_NAN,
    ANE_INF_MINUS_INF_ZERO
} ane_inf_minus_inf;
typedef enum ane_log_zero { ANE_LOG_ZERO_UNKNOWN, ANE_LOG_ZERO_INFINITY, ANE_LOG_ZERO_FINITE } ane_log_zero;
typedef enum ane_denormals { ANE_DENORMALS_UNKNOWN, ANE_DENORMALS_KEPT, ANE_DENORMALS_FLUSHED } ane_denormals;

typedef struct ane_facts {
    /* the header, and how surfaces are bound */
    mil_dialect dialect;
    ane_port_order order;
    bool equal_sizes; /* all inputs, and all outputs, must have surfaces of one size */
    bool fp32_ports;  /* inputs and outputs may be fp32 */
    bool chained;     /* the output surface of one program can be the input of the next */
    bool attributes;  /* a loaded model tells its ports */
    /* surfaces */
    int64_t min_surface, row_alignment;
    bool innermost_one; /* a port's innermost axis may be 1 */
    bool strided_rows;  /* rows narrower than the alignment lie that far apart; else packed */
    /* weights */
    bool baked_weights;  /* constants from a blob file */
    bool matmul_weights; /* matmul of two operands computed at run time: packed weights, inputs, attention */
    bool conv_weights;   /* conv works with weights computed at run time */
    bool shared_blobs;   /* several constants from one blob file */
    bool reload;         /* a load after an unload takes the weight files as they are now */
    /* operations */
    int64_t matmul_inner; /* inner dimensions must be multiples of this; 1: any */
    bool inline_concat;   /* concat with its axis written inside the call */
    bool attention_mask;  /* attn_mask of scaled_dot_product_attention counts */
    /* limits */
    int64_t max_channels, max_width;
    int64_t loaded_programs; /* how many stay loaded; 0: unknown */
    int64_t max_compiles;    /* in one process; never probed, since that would use them up; 0: unknown */
    /* threads and time */
    bool concurrent;    /* evaluations are right while another thread compiles */
    bool hardware_time; /* evaluations report their time on the device */
    /* numbers; the two limits are the largest of the powers of 2^(1/4) that stayed finite, 0: unknown */
    ane_nan_results nan_results;
    ane_inf_minus_inf inf_minus_inf;
    ane_log_zero log_zero;
    ane_denormals denormals;
    double matmul_finite, width_slice_finite;
    double
        worst_ulp; /* of ordinary arithmetic beside the reference, in units of fp16's last place; -1: unknown */
} ane_facts;

/* Where every report agrees: nothing smaller than what somebody needed, nothing larger than what somebody had. */
extern const ane_facts ane_careful_facts;

/* An object with a field for each fact. NULL when out of memory. */
json_t *ane_facts_to_json(const ane_facts *f);
/* False when a field is missing or has no sense. */
bool ane_facts_from_json(ane_facts *f, const json_t *json);
const char *ane_order_name(ane_port_order order);
const char *ane_dialect_name(mil_dialect dialect); /* "program(1.3) ios18" */

/* ---- the cache: one file per machine (chip, OS build, framework, the emulator's settings) below the cache's root ---- */

/* False when there are none, or none that can be understood: then ask the machine. */
bool ane_facts_load(ane_facts *f, const ane_machine *m);
/* Written whole or not at all, so that processes can do so at once. */
bool ane_facts_save(const ane_facts *f, const ane_machine *m, ane_error *e);
/* The file's path; caller frees. */
char *ane_facts_path(const ane_machine *m, ane_error *e);

json_t *ane_machine_to_json(const ane_machine *m);

#endif
