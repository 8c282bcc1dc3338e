/* convert_program.c - see convert_program.h. */
#include "cli/convert_program.h"

#include "base/file.h"
#include "cli/interrupt.h"
#include "cli/program.h"

#include <stdlib.h>
#include <string.h>

enum { SMALLEST_IN_FILE = 64 }; /* elements; smaller constants are readable in the text */

static bool ends_in(const char *path, const char *end) {
    size_t n = strlen(path), m = strlen(end);
    while (n > 1 && path[n - 1] == '/') n--; /* a folder's name as shells complete it */
    return n > m && !strncmp(path + n - m, end, m);
}

bool cli_is_program(const char *path) {
    return ends_in(path, ".mil") || ends_in(path, ".mlpackage");
}

/* Text, and one file of weights beside it: FOLDER/NAME.mil and FOLDER/weights/NAME.bin. */
static bool write_text(mil_program *p, const char *out, ane_error *e) {
    const char *slash = strrchr(out, '/'), *name = slash ? slash + 1 : out;
    char *folder = slash ? strndup(out, (size_t)(slash - out) + 1) : strdup("."), file[256];
    snprintf(file, sizeof file, "%.*s.bin", (int)(strlen(name) - strlen(".mil")), name);
    bool ok = folder ? mil_program_store_blobs(p, folder, file, SMALLEST_IN_FILE, e)
                     : ane_fail(e, ANE_ERROR_MEMORY, out, "out of memory");
    char *text = ok ? mil_print(p, e) : NULL;
    ok = text && ane_write_file(out, text, strlen(text), e);
    free(text);
    free(folder);
    return ok;
}

int cli_convert_program(const cli_args *args, ane_error *e) {
    const char *in = args->words[0], *out = args->words[1];
    if (!cli_is_program(in) || !cli_is_program(out)) {
        cli_usage_error(e, "convert", "expected two programs (.mil, .mlpackage), found %s and %s", in, out);
        return CLI_USAGE;
    }
    if (cli_given(args, "to") || cli_given(args, "dtype")) {
        cli_usage_error(e, "convert", "--to and --dtype are for weights, not for programs");
        return CLI_USAGE;
    }
    mil_program *p = cli_read_program(args, true, e);
    if (!p) return CLI_FAILED;
    cli_finish_writing();
    bool ok = ends_in(out, ".mil") ? write_text(p, out, e) : mil_package_write(p, out, e);
    if (!ok) ane_at(e, out);
    int n = 0;
    for (int i = 0; i < p->n_functions; i++) n += p->functions[i]->n_ops;
    if (ok) printf("%s: %d operations\n", out, n);
    mil_program_free(p);
    return !ok ? CLI_FAILED : cli_interrupted ? CLI_INTERRUPTED : CLI_OK;
}
