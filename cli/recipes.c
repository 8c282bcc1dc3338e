/* recipes.c - see recipes.h. */
#include "cli/recipes.h"

#include "cli/common.h"

#include <string.h>

/* The designs of ane-spec 4.3 to 4.9, as far as they are choices. Their kernels are cut finer: where they take ten
 * evaluations for a block, these take two or four. */
static const struct recipe {
    const char *name, *weights;
    ane_placement placement;
} recipes[] = {
    {"static", "baked", {ANE_PLACE_HOST, ANE_PLACE_HOST, ANE_PLACE_HOST}},
    {"static-ane", "baked", {ANE_PLACE_DEVICE, ANE_PLACE_DEVICE, ANE_PLACE_HOST}},
    {"double-buffer", "baked-async", {ANE_PLACE_HOST, ANE_PLACE_HOST, ANE_PLACE_HOST}},
    {"packed", "packed", {ANE_PLACE_HOST, ANE_PLACE_HOST, ANE_PLACE_HOST}},
    {"inputs", "input", {ANE_PLACE_HOST, ANE_PLACE_HOST, ANE_PLACE_HOST}},
};

static bool read_flag(const cli_args *args, const char *name, ane_place *place, ane_error *e) {
    const char *value = cli_string(args, name);
    return !value || ane_place_from_name(place, value, e);
}

bool cli_read_placement(const cli_args *args, ane_placement *placement, const char **weights, ane_error *e) {
    const char *name = cli_string(args, "recipe");
    *placement = (ane_placement){ANE_PLACE_BEST, ANE_PLACE_BEST, ANE_PLACE_BEST};
    *weights = NULL;
    for (size_t i = 0; name && i < sizeof recipes / sizeof *recipes; i++) {
        if (strcmp(recipes[i].name, name) != 0) continue;
        *placement = recipes[i].placement;
        *weights = recipes[i].weights;
    }
    if (name && !cli_is_engine(cli_string(args, "device"))) {
        cli_usage_error(
            e, "--recipe", "the device \"%s\" is not the Neural Engine", cli_string(args, "device"));
        return ane_hint(e, "recipes are for --device ane, or --device ane:emulator");
    }
    return read_flag(args, "head", &placement->head, e) &&
           read_flag(args, "norms-backward", &placement->norms_backward, e) &&
           read_flag(args, "dw", &placement->dw, e);
}
