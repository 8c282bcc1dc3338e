/* common.h - what several commands share. */
#ifndef ANEMONE_CLI_COMMON_H
#define ANEMONE_CLI_COMMON_H

#include "anemone/device.h"
#include "anemone/text.h"
#include "cli/options.h"

#include <jansson.h>

/* Rows of an option table: where a command runs. */
#define CLI_DEVICE_OPTIONS                                                                                   \
    {.name = "device",                                                                                       \
        .letter = 'd',                                                                                       \
        .kind = CLI_STRING,                                                                                  \
        .value = "DEVICE",                                                                                   \
        .fallback = "cpu",                                                                                   \
        .help = "where to run: cpu, ane (on a Mac) or ane:emulator (on Linux); with options behind it: "     \
                "cpu:threads=2,precision=fp16, ane:emulator,chip=m4"},                                       \
        {.name = "precision",                                                                                \
            .kind = CLI_CHOICE,                                                                              \
            .value = "P",                                                                                    \
            .choices = "fp32|bf16|int8|fp16",                                                                \
            .help = "numbers to compute in (default: fp32, on the Neural Engine fp16; int8: weights, for "   \
                    "generating; fp16 rounds every result, as the Neural Engine does)"},                     \
    {                                                                                                        \
        .name = "threads", .kind = CLI_INT, .value = "N", CLI_BETWEEN(1, 1024),                              \
        .help = "threads (default: all cores)"                                                               \
    }

/* A row for commands whose device has weights that change, or stay. */
#define CLI_WEIGHTS_OPTION                                                                                   \
    {                                                                                                        \
        .name = "weights", .kind = CLI_CHOICE, .value = "MODE",                                              \
        .choices = "baked|baked-async|packed|input|reload",                                                  \
        .help = "how weights reach the Neural Engine (default: what its self-test allows): constants, "      \
                "compiled anew after each update; the same, compiled beside the work (one update old); "     \
                "packed beside the activations; inputs of their own; new weight files"                       \
    }

/* Rows that several commands have. */
#define CLI_WEIGHTS_FILE_OPTION                                                                              \
    {                                                                                                        \
        .name = "model", .letter = 'm', .kind = CLI_PATH, .value = "MODEL",                                  \
        .help = "a run, a checkpoint, a Hugging Face folder, or a llama2.c .bin file"                        \
    }
#define CLI_DATA_OPTION                                                                                      \
    { .name = "data", .kind = CLI_FILES, .value = "FILE", .help = "text, or token files (llama2.c, llm.c)" }
#define CLI_TOKENIZER_OPTION(otherwise)                                                                      \
    {                                                                                                        \
        .name = "tokenizer", .kind = CLI_PATH, .value = "FILE",                                              \
        .help = "llama2.c's tokenizer.bin or a SentencePiece .model (default: " otherwise ")"                \
    }
#define CLI_BATCH_OPTION(number)                                                                             \
    {                                                                                                        \
        .name = "batch", .letter = 'b', .kind = CLI_INT, .value = "B", .fallback = (number),                 \
        CLI_AT_LEAST(1), .help = "sequences per batch"                                                       \
    }
#define CLI_SEQ_OPTION                                                                                       \
    {                                                                                                        \
        .name = "seq", .letter = 's', .kind = CLI_INT, .value = "S", .fallback = "256", CLI_AT_LEAST(1),     \
        .help = "tokens per sequence"                                                                        \
    }

/* --device, --weights, --precision and --threads as one device spec; false when that cannot be.
 * `weights`: the mode when --weights is not given; NULL: the device chooses. */
bool cli_device_spec(const cli_args *args, const char *weights, char *spec, size_t size, ane_error *e);
bool cli_is_engine(const char *device); /* "ane", "ane:..." */
/* A core for each thread when the device is the CPU and all of its cores are wanted; the Neural Engine's host threads come
 * and go, and are left to the system. */
void cli_place_threads(const cli_args *args);
ane_device *cli_open_device(const cli_args *args, ane_error *e); /* with its threads placed */

/* The tokenizer of --tokenizer `path`, else the one saved with `model`, else the byte tokenizer when its
 * vocabulary is the model's; refuses one with more pieces than the model has. Needs a model of `vocab_size`
 * tokens. */
ane_tokenizer *cli_tokenizer_for_model(const char *path, const char *model, int32_t vocab_size, ane_error *e);

/* "1,2,3" -> ids (free()). */
bool cli_read_ids(const char *text, int32_t **ids, size_t *n, ane_error *e);

/* One line of JSON on stdout; frees it. */
void cli_put_json(json_t *object);
/* A JSON string; bytes that are no UTF-8 make every byte above 127 a question mark. */
json_t *cli_json_text(const char *text, size_t n);
/* {"median": .., "min": .., "max": ..} of n > 0 numbers, which get sorted. */
json_t *cli_json_spread(double *x, int n);

/* "12,345,678" into `text`; returns `text`. */
const char *cli_thousands(int64_t x, char *text, size_t size);

#endif
