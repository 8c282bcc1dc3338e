/* grad.c - `anemone grad`: the derivative of a program, as programs. */
#include "cli/commands.h"
#include "cli/program.h"

#include <stdlib.h>

static bool print_program(const char *title, const mil_program *p, ane_error *e) {
    char *text = mil_print(p, e);
    if (!text) return false;
    printf("// %s\n%s\n", title, text);
    free(text);
    return true;
}

/* "// d_w [128, 64] += d_y [128, 256] * transpose(x [64, 256])" */
static void print_param_grad(const mil_param_grad *g) {
    if (!g->is_product) {
        printf("//   d(%s) = %s\n", g->param, g->value);
        return;
    }
    printf("//   d(%s) [%lld, %lld] += %s%s * %s%s, over %lld columns\n", g->param, (long long)g->m,
        (long long)g->k, g->left, g->left_transposed ? "^T" : "", g->right, g->right_transposed ? "" : "^T",
        (long long)g->n);
}

static void print_notes(const mil_gradient *g) {
    printf("// values that forward keeps for backward:");
    for (int i = 0; i < g->n_taps; i++) printf(" %s", g->taps[i]);
    printf("%s\n", g->n_taps ? "" : " none");
    if (g->n_param_grads) puts("// gradients of the parameters:");
    for (int i = 0; i < g->n_param_grads; i++) print_param_grad(&g->param_grads[i]);
}

static int run(const cli_args *args, ane_error *e) {
    const cli_value *wrt = cli_list(args, "wrt");
    mil_grad_options o = {.n_wrt = wrt->n,
        .wrt = wrt->texts,
        .products_in_program = cli_flag(args, "products"),
        .recompute_cheap = cli_flag(args, "recompute")};
    mil_program *p = cli_read_program(args, false, e);
    mil_function *f = p ? cli_find_function(args, p, e) : NULL;
    mil_gradient *g = f ? mil_differentiate(f, &o, e) : NULL;
    bool ok =
        g &&
        print_program("forward, with the values that backward needs as further outputs", g->forward, e) &&
        print_program("backward", g->backward, e);
    if (ok) print_notes(g);
    mil_gradient_free(g);
    mil_program_free(p);
    return ok ? CLI_OK : CLI_FAILED;
}

static const cli_option options[] = {
    CLI_FUNCTION_OPTION,
    {.name = "wrt",
        .kind = CLI_FILES,
        .value = "NAME",
        .help = "inputs to differentiate by (default: all of floating point)"},
    {.name = "products", .kind = CLI_FLAG, .help = "form the parameters' gradients inside backward"},
    {.name = "recompute", .kind = CLI_FLAG, .help = "keep fewer values: compute cheap ones again"},
    {0},
};

const cli_command cli_grad = {
    .name = "grad",
    .summary = "derive a MIL program's backward program",
    .synopsis = (const char *const[]){"FILE.mil [options]", NULL},
    .min_words = 1,
    .max_words = 1,
    .description = "Prints two programs: forward, which keeps what backward needs, and backward, which takes "
                   "d_NAME for each "
                   "output and gives d_NAME for each input; and how each parameter's gradient is formed.",
    .options = options,
    .examples = (const char *const[]){"anemone grad block.mil", "the derivative",
        "anemone grad block.mil --wrt x --products", "by x alone, complete in itself", NULL},
    .run = run,
};
