/* Core ML specifications: what is read must print, and be written as the same operations again. */
#include "anemone/mil.h"
#include "fuzz/fuzz.h"
#include "mil/package.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ane_error e = {0};
    mil_program *p = mil_package_parse(data, size, "/nonexistent", &e);
    fuzz_report_is(p != NULL, &e);
    if (!p) return 0;
    char *text = mil_print(p, &e);
    fuzz_assert(text != NULL, e.message);
    free(text);
    mil_program_free(p);
    return 0;
}
