/* MIL text: what parses must print, parse again and print the same; the rules must hold up on it. */
#include "anemone/mil.h"
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ane_error e = {0};
    mil_program *p = mil_parse((const char *)data, size, "input.mil", &e);
    fuzz_report_is(p != NULL, &e);
    if (!p) return 0;
    mil_check_ane(p, NULL, NULL);
    char *once = mil_print(p, &e);
    fuzz_assert(once != NULL, e.message);
    mil_program *again = mil_parse(once, strlen(once), "printed.mil", &e);
    fuzz_assert(again != NULL, e.message);
    char *twice = mil_print(again, &e);
    fuzz_assert(twice && strcmp(once, twice) == 0, "print, parse, print is not the identity");
    free(once);
    free(twice);
    mil_program_free(p);
    mil_program_free(again);
    return 0;
}
