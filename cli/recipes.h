/* recipes.h - where `anemone train` and `anemone bench train` compute what: single flags, and the designs of the field as
 * presets. */
#ifndef ANEMONE_CLI_RECIPES_H
#define ANEMONE_CLI_RECIPES_H

#include "anemone/model.h"
#include "cli/options.h"

/* Rows of an option table. */
#define CLI_PLACEMENT_OPTIONS                                                                                \
    {.name = "recipe",                                                                                       \
        .kind = CLI_CHOICE,                                                                                  \
        .value = "NAME",                                                                                     \
        .choices = "static|static-ane|double-buffer|packed|inputs",                                          \
        .help = "a recorded design's choices; the flags below and --weights override it"},                   \
        {.name = "head",                                                                                     \
            .kind = CLI_CHOICE,                                                                              \
            .value = "WHERE",                                                                                \
            .choices = "cpu|device",                                                                         \
            .help = "final norm, head and loss (default: the faster by what is recorded of the chip)"},      \
        {.name = "norms-backward",                                                                           \
            .kind = CLI_CHOICE,                                                                              \
            .value = "WHERE",                                                                                \
            .choices = "cpu|device",                                                                         \
            .help = "the way back through the blocks' norms (default: likewise)"},                           \
        {.name = "recompute",                                                                                \
            .kind = CLI_CHOICE,                                                                              \
            .value = "WHAT",                                                                                 \
            .choices = "none|attention|block|gradients",                                                     \
            .help = "less memory for more time: what the way back computes again instead of keeping it"},    \
    {                                                                                                        \
        .name = "dw", .kind = CLI_CHOICE, .value = "WHERE", .choices = "cpu|device",                         \
        .help = "weight gradients: on the CPU beside the next kernel, or in the kernels (default: likewise)" \
    }

/* The recipe and the flags; `*weights` gets the recipe's weight mode, NULL when none was asked for. */
bool cli_read_placement(const cli_args *args, ane_placement *placement, const char **weights, ane_error *e);

#endif
