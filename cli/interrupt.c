/* interrupt.c - see interrupt.h. */
#include "cli/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

volatile int cli_interrupted;
static const char *said;

static void on_interrupt(int number) {
    const int before = errno;
    (void)number;
    if (!cli_interrupted) {
        ssize_t ignored = write(STDERR_FILENO, said, strlen(said));
        (void)ignored;
    }
    cli_interrupted = 1;
    errno = before;
}

static void catch_one(int number, int flags) {
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_interrupt;
    action.sa_flags = SA_ONSTACK | SA_RESTART | flags;
    /* nohup has the end of the terminal ignored. */
    if (number == SIGHUP && sigaction(number, NULL, &before) == 0 && before.sa_handler == SIG_IGN) return;
    sigaction(number, &action, NULL);
}

static void catch_ends(const char *text) {
    /* oneDNN's matrix products point the stack pointer into an array of theirs: a signal handled there writes its thousands
     * of bytes of registers over what lies before that array. */
    static char stack[1 << 16];
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    said = text;
    catch_one(SIGINT, SA_RESETHAND);
    catch_one(SIGTERM, SA_RESETHAND);
    catch_one(SIGHUP, SA_RESETHAND);
}

void cli_catch_interrupts(const char *text) {
    catch_ends(text);
    catch_one(SIGPIPE, 0); /* again with every line that nobody reads */
}

void cli_finish_writing(void) {
    catch_ends("\nanemone: finishing what is being written; press Ctrl-C again to stop at once\n");
}
