/* recipe.c - the designs of the field, as data. */
#include "anemone/model.h"

#include <string.h>

static const ane_recipe recipes[] = {
    {"static", "baked", {ANE_PLACE_HOST, ANE_PLACE_HOST, ANE_PLACE_HOST, ANE_RECOMPUTE_NONE}},
    {"static-ane", "baked", {ANE_PLACE_DEVICE, ANE_PLACE_DEVICE, ANE_PLACE_HOST, ANE_RECOMPUTE_NONE}},
    {"double-buffer", "baked-async", {ANE_PLACE_HOST, ANE_PLACE_HOST, ANE_PLACE_HOST, ANE_RECOMPUTE_NONE}},
    {"packed", "packed", {ANE_PLACE_HOST, ANE_PLACE_HOST, ANE_PLACE_HOST, ANE_RECOMPUTE_NONE}},
    {"inputs", "input", {ANE_PLACE_HOST, ANE_PLACE_HOST, ANE_PLACE_HOST, ANE_RECOMPUTE_NONE}},
};
enum { N_RECIPES = sizeof recipes / sizeof *recipes };

const ane_recipe *ane_recipes(int *n) {
    *n = N_RECIPES;
    return recipes;
}

const ane_recipe *ane_recipe_find(const char *name) {
    for (int i = 0; i < N_RECIPES; i++)
        if (strcmp(recipes[i].name, name) == 0) return &recipes[i];
    return NULL;
}
