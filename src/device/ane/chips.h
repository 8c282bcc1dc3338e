/* chips.h - what is recorded of a chip: data/ane_chips.json, which is built in. */
#ifndef ANEMONE_DEVICE_ANE_CHIPS_H
#define ANEMONE_DEVICE_ANE_CHIPS_H

#include <stdbool.h>

typedef struct ane_chip {
    char name[64];     /* "M4 Max" */
    char sub_type[32]; /* what _ANEDeviceInfo says: "h16c" */
    double gflops;     /* peak, fp16 */
    double dispatch_ms, bandwidth_gbs, matmul_factor, host_gflops;
} ane_chip;

/* By name, without regard to case, blanks, - and _. False when the chip is not recorded. */
bool ane_chip_find(ane_chip *chip, const char *name);

#endif
