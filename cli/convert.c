/* convert.c - `anemone convert`: weights, or programs, from one format into another. */
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/convert_program.h"
#include "cli/interrupt.h"

#include "anemone/model.h"
#include "base/file.h"

#include <stdlib.h>
#include <string.h>

/* What --to says, else what the output's name says. */
static bool find_format(const cli_args *args, const char *out, ane_weight_format *format, ane_error *e) {
    const char *to = cli_string(args, "to");
    size_t n = strlen(out);
    bool bin = n > 4 && !strcmp(out + n - 4, ".bin");
    *format = (to ? !strcmp(to, "llama2c") : bin) ? ANE_FORMAT_LLAMA2C : ANE_FORMAT_HF;
    if (*format == ANE_FORMAT_LLAMA2C && strcmp(cli_string(args, "dtype"), "fp32") != 0) {
        cli_usage_error(
            e, "--dtype", "llama2.c's format holds fp32 alone, found %s", cli_string(args, "dtype"));
        return ane_hint(e, "leave --dtype out, or write Hugging Face's format: --to hf");
    }
    return true;
}

/* Runs and checkpoints have a config.json or weights of their own, without which they cannot go on. */
static bool check_place(const char *out, ane_error *e) {
    static const char *const own[] = {"log.jsonl", "state.json"};
    for (int i = 0; i < 2; i++) {
        char *path = ane_join_path(out, own[i]);
        bool there = path && ane_path_exists(path);
        free(path);
        if (!there) continue;
        ane_fail(e, ANE_ERROR_ARGUMENT, out, "it is a %s: what is written there would spoil it",
            i ? "checkpoint" : "run");
        return ane_hint(e, "choose another folder for OUT");
    }
    return true;
}

static int run(const cli_args *args, ane_error *e) {
    const char *in = args->words[0], *out = args->words[1];
    ane_weight_format format;
    if (cli_is_program(in) || cli_is_program(out)) return cli_convert_program(args, e);
    if (!find_format(args, out, &format, e)) return CLI_USAGE;
    if (!check_place(out, e)) return CLI_FAILED;
    ane_weights *w = ane_weights_load(in, e);
    if (!w) return CLI_FAILED;
    char count[32];
    cli_thousands(ane_model_parameter_count(&w->config), count, sizeof count);
    cli_finish_writing();
    bool ok = ane_weights_save(w, out, format, mil_dtype_from_name(cli_string(args, "dtype")), e);
    /* The tokenizer goes along where the new place can hold one. */
    if (ok && format == ANE_FORMAT_HF && ane_is_folder(in)) {
        ane_tokenizer *t = ane_tokenizer_find(in, e);
        ok = t ? ane_tokenizer_save(t, out, e) : e->code == ANE_OK;
        ane_tokenizer_free(t);
    }
    ane_weights_free(w);
    if (ok)
        printf("%s: %s parameters, %s\n", out, count, format == ANE_FORMAT_HF ? "Hugging Face" : "llama2.c");
    return !ok ? CLI_FAILED : cli_interrupted ? CLI_INTERRUPTED : CLI_OK;
}

static const cli_option options[] = {
    {.name = "to",
        .kind = CLI_CHOICE,
        .value = "FORMAT",
        .choices = "hf|llama2c",
        .help = "format to write (default: llama2c for a name ending in .bin, else hf)"},
    {.name = "dtype",
        .kind = CLI_CHOICE,
        .value = "T",
        .choices = "fp32|fp16|bf16",
        .fallback = "fp32",
        .help = "numbers in a Hugging Face file"},
    {.name = "weights",
        .kind = CLI_PATH,
        .value = "FOLDER",
        .help = "what @model_path stands for in a .mil (default: the folder it lies in)"},
    {0},
};

const cli_command cli_convert = {
    .name = "convert",
    .summary = "convert weights (Hugging Face, llama2.c) or programs (.mil, Core ML packages)",
    .synopsis = (const char *const[]){"IN OUT [options]", NULL},
    .min_words = 2,
    .max_words = 2,
    .description =
        "IN is a run, a checkpoint, a Hugging Face folder (config.json and model.safetensors) or a llama2.c "
        ".bin "
        "file. OUT is a folder, or a file ending in .bin. Going there and back gives the same bits.\n\n"
        "Or both are programs: NAME.mil (MIL text, weights in blob files) and NAME.mlpackage (a Core ML "
        "package "
        "of an ML program), there and back.",
    .options = options,
    .examples = (const char *const[]){"anemone convert stories15M.bin stories15M", "llama2.c -> Hugging Face",
        "anemone convert runs/first model.bin", "a run's newest checkpoint -> llama2.c",
        "anemone convert runs/first out --dtype bf16", "half the size",
        "anemone convert model.mil model.mlpackage", "a program -> a Core ML package", NULL},
    .run = run,
};
