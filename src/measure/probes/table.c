/* table.c - all probes, in the order in which they are run: what uses up the process comes last. */
#include "measure/probes/families.h"

#include "base/nearest.h"

#include <string.h>

const ane_probe ane_probes[] = {
    {"weight-reload", "Does a program that is loaded again take weight files that were overwritten?",
        ane_ask_weight_reload, true, false},
    {"weight-patch", "Which ways of changing weights without compiling work?", ane_ask_weight_patch, true,
        false},
    {"weights-buffer", "Do weights given with a request (weightsBuffer) replace those that were compiled?",
        ane_ask_weights_buffer, true, false},
    {"procedure-index", "Which procedure indices does a program of one function take?",
        ane_ask_procedure_index, true, false},
    {"perf-stats", "How are performance statistics made, and what do they say?", ane_ask_perf_stats, true,
        false},
    {"shared-events", "How are events shared with the GPU made?", ane_ask_shared_events, true, false},
    {"chaining", "How far does a chain of evaluations without the host get?", ane_ask_chaining, true, false},
    {"real-time", "Does the real-time path evaluate, and is a real-time task granted?", ane_ask_real_time,
        true, false},
    {"qos", "Which qualities of service are taken, and do they change how long things take?", ane_ask_qos,
        true, false},
    {"classes", "Which classes does the framework have?", ane_ask_classes, true, false},
    {"attributes", "What does a loaded program say of itself?", ane_ask_attributes, true, false},
    {"rmsnorm-backward", "Is RMSNorm's derivative right?", ane_ask_rmsnorm_backward, false, false},
    {"classifier", "Is the head of a large vocabulary right: norm, logits, softmax, and their way back?",
        ane_ask_classifier, false, false},
    {"causal-attention", "Is attention right when the host masks between two products?",
        ane_ask_causal_attention, false, false},
    {"sdpa-mask", "Does scaled_dot_product_attention mind its attn_mask?", ane_ask_sdpa_mask, false, false},
    {"conv-attention", "Is attention by grouped convolutions right, with keys and values as weights?",
        ane_ask_conv_attention, false, false},
    {"full-fused", "Is a whole block right in two programs, attention and feed-forward?", ane_ask_full_fused,
        false, false},
    {"fused-qkv", "Do three projections in one program give what three programs give?", ane_ask_fused_qkv,
        false, false},
    {"fused-backward", "Is the way back through two projections right in one program?",
        ane_ask_fused_backward, false, false},
    {"dynamic-matmul", "Is a product right whose matrix comes with the input?", ane_ask_dynamic_matmul, false,
        false},
    {"alignment", "How large must surfaces be, and how do rows lie in them?", ane_ask_alignment, true, false},
    {"order", "In which order are several inputs and outputs bound, and must they have one size?",
        ane_ask_order, true, false},
    {"numerics", "What becomes of the corners of fp16?", ane_ask_numerics, false, false},
    {"cache", "Does a compiled program load again without its compiler?", ane_ask_cache, true, false},
    {"concurrency", "Is an evaluation right while another thread compiles?", ane_ask_concurrency, true,
        false},
    {"compile-limit", "How many programs can one process compile and keep loaded?", ane_ask_compile_limit,
        true, true},
};
const int ane_n_probes = sizeof ane_probes / sizeof *ane_probes;

const ane_probe *ane_probe_find(const char *name, ane_error *e) {
    const char *names[sizeof ane_probes / sizeof *ane_probes + 1] = {0};
    for (int i = 0; i < ane_n_probes; i++) {
        if (strcmp(ane_probes[i].name, name) == 0) return &ane_probes[i];
        names[i] = ane_probes[i].name;
    }
    const char *near = ane_nearest(name, names);
    ane_fail(e, ANE_ERROR_ARGUMENT, "probe", "there is no probe \"%s\"", name);
    if (near) ane_hint(e, "Did you mean \"%s\"?", near);
    ane_hint(e, "\"anemone probe list\" lists them.");
    return NULL;
}
