/* NumPy files: every element of an accepted array can be read. */
#include "base/npy.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ane_error e = {0};
    ane_npy a = {0};
    bool ok = ane_npy_parse(&a, data, size, "input.npy", &e);
    fuzz_report_is(ok, &e);
    if (!ok) return 0;
    fuzz_assert(a.count >= 0 && (uint64_t)a.count <= size, "more elements than bytes");
    for (int64_t i = 0; i < a.count; i++) ane_npy_at(&a, i);
    fuzz_assert(ane_npy_dtype_name(&a) != NULL, "an element type without a name");
    return 0;
}
