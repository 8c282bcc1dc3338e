/* bench_table.h - results for people to read. */
#ifndef ANEMONE_CLI_BENCH_TABLE_H
#define ANEMONE_CLI_BENCH_TABLE_H

#include <jansson.h>

/* The rows of one benchmark as a table on stdout, with every metric that one of them has. */
void cli_print_benchmark(const json_t *results, const char *name, const char *field);
/* How many rows there are of each status, in one line. */
void cli_print_bench_summary(const json_t *results);

#endif
