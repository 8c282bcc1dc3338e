/* spin.h - how long threads wait awake for each other. */
#ifndef ANEMONE_CLI_SPIN_H
#define ANEMONE_CLI_SPIN_H

/* Begin the program again with GNU's OpenMP told to spin 20,000 rounds instead of 300,000 before a waiting thread sleeps. The
 * environment alone can tell it, and is read before main. Beside another busy program the thread that is waited for may be
 * off its core for as long as others spin, at every one of a step's hundreds of meetings: a training step took twenty
 * times as long (docs/performance.md). Returns where nothing is to be done: OMP_WAIT_POLICY or GOMP_SPINCOUNT is set
 * (as it is the second time), the program has no OpenMP, or cannot begin again. */
void cli_spin_briefly(char **argv);

#endif
