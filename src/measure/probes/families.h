/* families.h - what the table names, by file. Each fills in what it did, its answer and its details. */
#ifndef ANEMONE_MEASURE_PROBES_FAMILIES_H
#define ANEMONE_MEASURE_PROBES_FAMILIES_H

#include "measure/probes/probe.h"

typedef bool ane_ask(ane_asking *a, ane_error *e);

ane_ask ane_ask_weight_reload, ane_ask_weights_buffer;              /* weights.c */
ane_ask ane_ask_weight_patch;                                       /* patch.c */
ane_ask ane_ask_procedure_index, ane_ask_qos, ane_ask_perf_stats;   /* requests.c */
ane_ask ane_ask_shared_events, ane_ask_chaining, ane_ask_real_time; /* client.c */
ane_ask ane_ask_classes, ane_ask_attributes;                        /* inventory.c */
ane_ask ane_ask_rmsnorm_backward, ane_ask_fused_backward;           /* backward.c */
ane_ask ane_ask_classifier;                                         /* classifier.c */
ane_ask ane_ask_causal_attention, ane_ask_conv_attention;           /* attention.c */
ane_ask ane_ask_sdpa_mask;                                          /* mask.c */
ane_ask ane_ask_full_fused, ane_ask_fused_qkv;                      /* fused.c */
ane_ask ane_ask_dynamic_matmul;                                     /* dynamic.c */
ane_ask ane_ask_alignment, ane_ask_order;                           /* surfaces.c */
ane_ask ane_ask_numerics;                                           /* numerics.c */
ane_ask ane_ask_cache, ane_ask_concurrency;                         /* programs.c */
ane_ask ane_ask_compile_limit;                                      /* limit.c */

#endif
