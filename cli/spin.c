/* spin.c - see spin.h. */
#include "cli/spin.h"

#if defined(_OPENMP) && !defined(__APPLE__)
#include "cli/restart.h"

#include <stdlib.h>
#include <unistd.h>

void cli_spin_briefly(char **argv) {
    char path[4096];
    ane_error ignored = {0};
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT") || !cli_own_path(path, sizeof path, &ignored))
        return;
    if (setenv("GOMP_SPINCOUNT", "20000", 1) == 0) execv(path, argv);
}
#else
void cli_spin_briefly(char **argv) {
    (void)argv;
}
#endif
