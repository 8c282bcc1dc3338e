/* interrupt.h - Ctrl-C, a terminal that is gone, or a reader that is (`| head`): work ends at the next good place. */
#ifndef ANEMONE_CLI_INTERRUPT_H
#define ANEMONE_CLI_INTERRUPT_H

/* 1 from the first interrupt on. */
extern volatile int cli_interrupted;

/* From now on the first interrupt says `text` (a line, on standard error) and sets cli_interrupted; the next one kills. */
void cli_catch_interrupts(const char *text);

/* For what takes seconds and consists of several files that belong together: they are written to their end first. */
void cli_finish_writing(void);

#endif
