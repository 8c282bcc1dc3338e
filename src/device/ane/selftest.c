/* selftest.c - the questions in order, and asking them. */
#include "device/ane/selftest.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

const engine_question engine_questions[] = {
    {"dialect", "Which header does the compiler take?",
        "the header of every program; without one nothing runs",
        "1.0/ios16 alone on M1 and M2: PR 6, ANE-LM; 1.3: maderix, Orion; 1.5 on M5: PR 35",
        engine_ask_dialect},
    {"min-surface", "How small may a surface be?", "the least memory of each input and output",
        "48 KB: Orion, PR 16; 2 KB: imperatormk (M1); none: 4 KB surfaces on M5 and M4 Max",
        engine_ask_min_surface},
    {"row-alignment", "How many bytes does a row of a tensor take?", "the size of surfaces",
        "64: tmc, Apple; 128: PR 35 (M5)", engine_ask_row_alignment},
    {"strided-rows", "Where do narrow rows lie in a surface?",
        "nothing yet: rows are made a multiple of 128 bytes wide, which no report contradicts",
        "packed: Orion; strided: tmc honours RowStride", engine_ask_strided_rows},
    {"innermost-one", "May the last axis of an input be 1?", "nothing yet: inputs never have such an axis",
        "fails: Orion, PR 26; works: no report that checked the result", engine_ask_innermost_one},
    {"order", "In which order are several inputs and outputs bound?",
        "whether a program may have several; else everything is packed into one",
        "alphabetical: Orion (all permutations tried), slavko; declared: PR 22, PR 35; by size: imperatormk",
        engine_ask_order},
    {"equal-sizes", "Must several surfaces have one size?", "packed weights, or inputs of their own",
        "required: Orion, issue 47; free: PR 22, PR 35", engine_ask_equal_sizes},
    {"chained", "Can an output surface be the next program's input?",
        "whether activations stay where they are between kernels", "works: imperatormk, ANEForge",
        engine_ask_chained},
    {"fp32-ports", "Can inputs and outputs be fp32?", "nothing: fp16 is half the memory",
        "work: maderix (M5); zeros: dev-erik (M4 Max); refused: PR 6 (M1, M2)", engine_ask_fp32_ports},
    {"attributes", "Does a loaded model tell its ports?", "a second opinion on their order, for reports",
        "readable: tmc, ane-bridge-rs", engine_ask_attributes},
    {"baked-weights", "Do weights from a file work as constants?", "weights=baked", "work: everybody",
        engine_ask_baked_weights},
    {"shared-blobs", "May one file hold several weights?", "nothing: each has a file of its own",
        "refused: PR 6 (M1); work: maderix on M3 to M5", engine_ask_shared_blobs},
    {"matmul-weights", "Does matmul take two operands computed at run time?",
        "weights=packed, weights=input, and attention at all",
        "work: maderix, PR 35, imperatormk; refused: PR 6 (M1, M2), and with program(1.5): PR 35",
        engine_ask_matmul_weights},
    {"conv-weights", "Does conv take weights computed at run time?",
        "nothing yet: matmul does what everybody saw working",
        "ignored: field guide (M3 Max); refused: maderix; work: fspecii, PR 22", engine_ask_conv_weights},
    {"reload", "Do rewritten weight files count when a program is loaded again?", "weights=reload",
        "ignored: maderix (M5), libane, PR 35; new weights: Orion", engine_ask_reload},
    {"matmul-inner", "May the inner dimension of matmul be anything?", "whether it is padded to 32",
        "zeros unless a multiple of 32: imperatormk (M1)", engine_ask_matmul_inner},
    {"inline-concat", "May concat's axis be written inside the call?",
        "nothing: constants always have names here", "fails: Orion; named constants work: maderix, rustane",
        engine_ask_inline_concat},
    {"attention-mask", "Does attn_mask of scaled_dot_product_attention count?",
        "nothing: attention is matmul, mask by add, softmax, matmul", "ignored: maderix, ANEgpt, Orion",
        engine_ask_attention_mask},
    {"tile", "Does tile poison the process?", "nothing: it is never used, broadcasting takes its place",
        "poisons: field guide", engine_ask_tile},
    {"max-width", "How wide may the last axis be?", "the largest height and width",
        "16,384 up to M3: ANEForge; 65,536: ANEForge, PR 26 (M4)", engine_ask_max_width},
    {"max-channels", "How many channels may a tensor have?", "the largest kernel", "65,536: ANEForge",
        engine_ask_max_channels},
    {"loaded-programs", "How many programs stay loaded at once?",
        "nothing: a program is unloaded when another finds no room",
        "119: maderix, Orion; 128: MidasMulli; 239: slavko; 226 without failure: field guide",
        engine_ask_loaded_programs},
    {"max-compiles", "How often can one process compile?", "nothing: a refusal ends in a restart",
        "119: maderix, Orion; none: PR 23, field guide", engine_ask_max_compiles},
    {"concurrent", "Are evaluations right while another thread compiles?", "weights=baked-async",
        "works: dev-erik, PR 23", engine_ask_concurrent},
    {"hardware-time", "Is the time on the device reported?", "whether a run tells its device's time",
        "nil on consumer machines in most reports; reported: tmc", engine_ask_hardware_time},
    {"arithmetic", "Is ordinary arithmetic what the reference computes?", "whether numbers can be trusted",
        "at most 1 unit an operation between M1 and M5: ANEForge", engine_ask_arithmetic},
    {"nan", "What becomes of NaN in an output?", "whether a bad step shows as NaN or as infinity",
        "infinity: ANEForge", engine_ask_nan_results},
    {"inf-minus-inf", "What is infinity less infinity?", "why masks are -65504 and not -infinity",
        "0: ANEForge; NaN: IEEE", engine_ask_inf_minus_inf},
    {"log-zero", "What is the logarithm of 0?", "nothing: the loss is the host's", "-45440: ANEForge",
        engine_ask_log_zero},
    {"denormals", "Are denormal operands of products kept?", "how small gradients may become",
        "flushed on M1: ANEForge", engine_ask_denormals},
    {"matmul-overflow", "How large may a product's result be?", "how far the loss may be scaled",
        "infinite above 32,752: ANEForge (M2, M5)", engine_ask_matmul_finite},
    {"width-slice", "How large may numbers be in a slice inside the last axis?",
        "nothing: slices begin at 0 there", "infinite above 4,094: ANEForge (M1, M2)",
        engine_ask_width_slice},
};
const int engine_n_questions = sizeof engine_questions / sizeof *engine_questions;

const char *engine_outcome_name(engine_outcome outcome) {
    static const char *const names[] = {
        [ENGINE_PROVEN] = "proven", [ENGINE_CAREFUL] = "careful", [ENGINE_NOT_ASKED] = "not asked"};
    return names[outcome];
}

engine_outcome engine_answer(engine_finding *found, bool proven, const char *yes, const char *no) {
    const char *text = proven ? yes : no;
    if (text) snprintf(found->answer, sizeof found->answer, "%s", text);
    if (proven) found->error = (ane_error){0};
    return proven ? ENGINE_PROVEN : ENGINE_CAREFUL;
}

static void tell(const engine_watcher *watcher, int question, const engine_finding *found) {
    if (watcher) watcher->tell(watcher->context, question, found);
}

bool engine_self_test(engine_device *d, const engine_watcher *watcher, ane_error *e) {
    d->facts = ane_careful_facts;
    for (int i = 0; i < engine_n_questions; i++) {
        engine_finding found = {0};
        double start = ane_clock_ms();
        tell(watcher, i, NULL);
        found.outcome = engine_questions[i].ask(d, &found);
        found.ms = ane_clock_ms() - start;
        tell(watcher, i, &found);
        if (i > 0 || found.outcome == ENGINE_PROVEN) continue;
        ane_fail(e, found.error.code, found.error.where, "%s", found.error.message);
        return ane_hint(e, "%s", found.error.hint); /* no header: nothing else can be asked */
    }
    return true;
}

bool engine_learn(engine_device *d, engine_learning how, const engine_watcher *watcher, ane_error *e) {
    bool lasting = d->machine.faults == 0; /* what is found under faults is nobody's fact */
    d->facts = ane_careful_facts;
    if (how == ENGINE_LEARN_NOT ||
        (how == ENGINE_LEARN_CACHED && lasting && ane_facts_load(&d->facts, &d->machine)))
        return true;
    if (!engine_self_test(d, watcher, e)) return false;
    /* Answers of a process that can compile no more are careful for that reason alone. Without a cache: asked again. */
    if (lasting && engine_still_works(d)) ane_facts_save(&d->facts, &d->machine, NULL);
    return true;
}
