/* recipes.c - see recipes.h. */
#include "cli/recipes.h"

#include "cli/common.h"

static bool read_flag(const cli_args *args, const char *name, ane_place *place, ane_error *e) {
    const char *value = cli_string(args, name);
    return !value || ane_place_from_name(place, value, e);
}

bool cli_read_placement(const cli_args *args, ane_placement *placement, const char **weights, ane_error *e) {
    const char *name = cli_string(args, "recipe");
    *placement = (ane_placement){ANE_PLACE_BEST, ANE_PLACE_BEST, ANE_PLACE_BEST, ANE_RECOMPUTE_NONE};
    *weights = NULL;
    const ane_recipe *recipe = name ? ane_recipe_find(name) : NULL;
    if (recipe) {
        *placement = recipe->placement;
        *weights = recipe->weights;
    }
    if (name && !cli_is_engine(cli_string(args, "device"))) {
        cli_usage_error(
            e, "--recipe", "the device \"%s\" is not the Neural Engine", cli_string(args, "device"));
        return ane_hint(e, "recipes are for --device ane, or --device ane:emulator");
    }
    return read_flag(args, "head", &placement->head, e) &&
           read_flag(args, "norms-backward", &placement->norms_backward, e) &&
           read_flag(args, "dw", &placement->dw, e) &&
           (!cli_string(args, "recompute") ||
               ane_recompute_from_name(&placement->recompute, cli_string(args, "recompute"), e));
}
