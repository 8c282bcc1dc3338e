/* modelled.c - see modelled.h. */
#include "measure/modelled.h"

#include "device/emulator.h"

#include <dlfcn.h>
#include <string.h>

/* The emulator's own struct, as its header has it (emulator/emulator.h): what is in src/ knows it by its symbol alone. */
typedef struct counts {
    int64_t descriptors, compiles, loads, evaluations, loaded_programs, surfaces, surface_bytes;
    double device_ms, compile_ms, load_ms;
} counts;

bool ane_modelled_get(const ane_bench *b, ane_modelled *m) {
    void (*get)(counts * c);
    void *library = b->emulated ? ane_emulator_open(NULL) : NULL;
    void *symbol = library ? dlsym(library, "anemone_emulator_counts_get") : NULL;
    if (!symbol) return false;
    memcpy(&get, &symbol, sizeof get); /* C has no conversion from data to function */
    counts c = {0};
    get(&c);
    *m = (ane_modelled){c.device_ms, c.compile_ms, c.load_ms};
    return true;
}
