/* cpu_model.c - what __builtin_cpu_supports reads on Intel Macs: in the runtime library of Apple's clang, not in zig's.
 * For the link check of scripts/macos alone: here it says that the processor has nothing beyond the baseline. */
struct {
    unsigned vendor, type, subtype, features[1];
} __cpu_model;
unsigned __cpu_features2[3];
int __cpu_indicator_init(void) {
    return 0;
}
