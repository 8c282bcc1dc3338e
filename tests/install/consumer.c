/* A program of someone else: builds a MIL program with the installed library and prints it. */
#include <anemone/mil.h>

#include <stdio.h>
#include <stdlib.h>

int main(void) {
    ane_error e = {0};
    mil_program *p = mil_program_new(MIL_IOS18, &e);
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", mil_tensor(MIL_FP32, 2, (int64_t[]){1, 4}));
    mil_output(f, "y", mil_silu(f, x));
    char *text = mil_program_ok(p, &e) ? mil_print(p, &e) : NULL;
    if (!text)
        fprintf(stderr, "%s: %s\n", e.where, e.message);
    else
        fputs(text, stdout);
    mil_program_free(p);
    free(text);
    return text ? 0 : 1;
}
