#include "cli/program.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

static bool load_weights(const cli_args *args, mil_program *p, const char *path, ane_error *e) {
    const char *given = cli_string(args, "weights"), *slash = strrchr(path, '/');
    char *folder = given ? strdup(given) : slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    bool ok = folder && mil_program_load_blobs(p, folder, e);
    free(folder);
    return ok || ane_fail(e, ANE_ERROR_MEMORY, path, "out of memory");
}

mil_program *cli_read_program(const cli_args *args, bool weights, ane_error *e) {
    const char *path = args->words[0];
    if (ane_is_folder(path)) return mil_package_read(path, e);
    mil_program *p = mil_parse_file(path, e);
    if (!p) return NULL;
    if (mil_program_ok(p, e) && (!weights || load_weights(args, p, path, e))) return p;
    ane_at(e, path);
    mil_program_free(p);
    return NULL;
}

mil_function *cli_find_function(const cli_args *args, const mil_program *p, ane_error *e) {
    const char *name = cli_string(args, "function");
    mil_function *f = mil_program_function(p, name);
    if (f) return f;
    char known[256] = "";
    for (int i = 0; i < p->n_functions; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", p->functions[i]->name);
    }
    ane_fail(e, ANE_ERROR_ARGUMENT, args->words[0], "there is no function \"%s\"; it has: %s",
        name ? name : "main", known);
    ane_hint(e, "choose one: --function NAME");
    return NULL;
}
