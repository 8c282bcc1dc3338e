/* chain.h - fused element-wise operations and reductions: a short program that runs tile by tile, so that
 * what is between its instructions never leaves the first cache.
 *
 * The iteration space is dim[0..rank); its last dimension is cut into tiles. Registers are pointers: to
 * memory where a value is read or written in place, else to a temporary tile. Registers 0..n_loads are the
 * loads, the rest are the instructions' results in order.
 */
#ifndef ANEMONE_DEVICE_CPU_CHAIN_H
#define ANEMONE_DEVICE_CPU_CHAIN_H

#include "device/cpu/plan.h"

enum {
    CPU_TILE = 1024, /* elements */
    CPU_CHAIN_LOADS = 32,
    CPU_CHAIN_INSTRS = 40, /* fills of single values included */
    CPU_CHAIN_STORES = 16,
    CPU_CHAIN_SINKS = 4,
    CPU_CHAIN_VIEWS = CPU_CHAIN_LOADS + CPU_CHAIN_STORES + CPU_CHAIN_SINKS,
    CPU_CHAIN_REGISTERS = CPU_CHAIN_LOADS + CPU_CHAIN_INSTRS,
    CPU_CHAIN_TEMPS = CPU_CHAIN_REGISTERS,
};

typedef enum cpu_load_mode {
    CPU_LOAD_IN_PLACE, /* contiguous along the last dimension */
    CPU_LOAD_SINGLE,   /* the same element all along it */
    CPU_LOAD_GATHERED, /* copied into a temporary */
} cpu_load_mode;

typedef struct cpu_instr {
    cpu_map op;
    int variant; /* which operands are single */
    float p;
    bool round, single; /* single: one element stands for the whole tile */
    int16_t source[3];
    int16_t temp;  /* where the result goes; -1: straight into store `store` */
    int16_t store; /* -1: none */
} cpu_instr;

typedef struct cpu_sink {
    int16_t source;
    cpu_reduction op;
    bool round;
    float factor; /* 1 / count for a mean */
} cpu_sink;

/* views[]: the loads, then the stores, then the sinks. */
typedef struct cpu_chain {
    int32_t rank;
    int64_t dim[MIL_MAX_RANK];
    int32_t n_kept;     /* with sinks: leading dimensions that stay; then those reduced; then the last */
    bool inner_reduced; /* with sinks: the last dimension is reduced */
    int32_t n_loads, n_instrs, n_stores, n_sinks, n_temps;
    cpu_load_mode load_mode[CPU_CHAIN_LOADS];
    int16_t load_temp[CPU_CHAIN_LOADS];
    cpu_instr instrs[CPU_CHAIN_INSTRS];
    int16_t store_source[CPU_CHAIN_STORES]; /* register; -1: the instruction wrote it in place */
    bool streams[CPU_CHAIN_STORES];         /* past the caches, for it is larger than they are */
    cpu_sink sinks[CPU_CHAIN_SINKS];
    int32_t storage[CPU_CHAIN_VIEWS];
    int64_t offset[CPU_CHAIN_VIEWS];
    int64_t stride[CPU_CHAIN_VIEWS][MIL_MAX_RANK];
} cpu_chain;

static inline int cpu_chain_views(const cpu_chain *c) {
    return c->n_loads + c->n_stores + c->n_sinks;
}

#endif
