/* main.c - the program: a table of commands. */
#include "base/nearest.h"
#include "cli/commands.h"
#include "cli/report.h"
#include "cli/spin.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

const cli_command *const cli_commands[] = {
    &cli_train,
    &cli_generate,
    &cli_eval,
    &cli_convert,
    &cli_data_synth,
    &cli_data_info,
    &cli_run,
    &cli_check,
    &cli_format,
    &cli_grad,
    &cli_info,
    &cli_doctor,
    &cli_probe,
    &cli_bench_train, /* before its first word alone */
    &cli_bench_gemm,
    &cli_bench_generate,
    &cli_bench,
    &cli_report_command,
    &cli_emulator_calibrate, /* before its first word alone */
    &cli_emulator,
    &cli_cache_clear,
    &cli_cache,
    &cli_version,
    &cli_help,
    NULL,
};

enum { N_COMMANDS = sizeof cli_commands / sizeof *cli_commands - 1 };

const cli_command *cli_find_command(int argc, char **argv, int *words) {
    for (int i = 0; i < N_COMMANDS; i++) {
        const char *name = cli_commands[i]->name, *space = strchr(name, ' ');
        size_t first = space ? (size_t)(space - name) : strlen(name);
        if (strlen(argv[0]) != first || strncmp(name, argv[0], first)) continue;
        if (space && (argc < 2 || strcmp(space + 1, argv[1]))) continue;
        *words = space ? 2 : 1;
        return cli_commands[i];
    }
    return NULL;
}

/* "data" alone, or with a wrong second word: say what it could be followed by. False when it is no group. */
static bool unknown_in_group(int argc, char **argv, ane_error *e) {
    char known[128] = "", group[32];
    const char *names[N_COMMANDS + 1];
    int n = 0;
    for (int i = 0; i < N_COMMANDS; i++) {
        if (!cli_command_group(cli_commands[i], group, sizeof group) || strcmp(group, argv[0])) continue;
        names[n] = cli_commands[i]->name + strlen(group) + 1;
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", n ? ", " : "", names[n]);
        n++;
    }
    if (!n) return false;
    names[n] = NULL;
    const char *near = argc > 1 ? ane_nearest(argv[1], names) : NULL;
    cli_usage_error(e, argv[0], "expected one of %s, found %s%s%s", known, argc > 1 ? "\"" : "",
        argc > 1 ? argv[1] : "nothing", argc > 1 ? "\"" : "");
    if (near) ane_hint(e, "did you mean \"anemone %s %s\"?", argv[0], near);
    ane_hint(e, "for example: anemone %s %s --help", argv[0], names[0]);
    return true;
}

static int unknown_command(int argc, char **argv, ane_error *e) {
    if (unknown_in_group(argc, argv, e)) return CLI_USAGE;
    const char *names[N_COMMANDS + 1] = {0};
    for (int i = 0; i < N_COMMANDS; i++) names[i] = cli_commands[i]->name;
    const char *near = ane_nearest(argv[0], names);
    cli_usage_error(e, NULL, "there is no command \"%s\"", argv[0]);
    if (near) ane_hint(e, "did you mean \"anemone %s\"?", near);
    ane_hint(e, "\"anemone help\" lists the commands");
    return CLI_USAGE;
}

static int run_command(const cli_command *command, int argc, char **argv, ane_error *e) {
    cli_args args;
    int status = CLI_USAGE;
    if (cli_parse(&args, command, argc, argv, e)) {
        if (args.help) {
            cli_print_help(stdout, command);
            status = CLI_OK;
        } else
            status = command->run(&args, e);
    }
    cli_args_free(&args);
    return status;
}

static bool is_one_of(const char *word, const char *a, const char *b) {
    return !strcmp(word, a) || !strcmp(word, b);
}

static int dispatch(int argc, char **argv, ane_error *e) {
    if (argc < 1) {
        cli_print_overview(stderr);
        return CLI_USAGE;
    }
    if (is_one_of(argv[0], "--help", "-h")) return run_command(&cli_help, 0, NULL, e);
    if (is_one_of(argv[0], "--version", "-V")) return run_command(&cli_version, 0, NULL, e);
    int words = 0;
    const cli_command *command = cli_find_command(argc, argv, &words);
    if (!command && argc == 2 && is_one_of(argv[1], "--help", "-h") && cli_print_group(stdout, argv[0]))
        return CLI_OK;
    if (!command) return unknown_command(argc, argv, e);
    return run_command(command, argc - words, argv + words, e);
}

/* A file that is opened must not get the number of a closed standard stream: what is printed would go into it. What is put
 * in the stream's place cannot be written (and stdin's not be read): the program says so at its end. */
static void occupy_standard_streams(void) {
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0) return;
}

int main(int argc, char **argv) {
    occupy_standard_streams();
    cli_spin_briefly(argv);
    ane_error e = {0};
    int status = dispatch(argc - 1, argv + 1, &e);
    errno = 0;
    if (fflush(stdout) || ferror(stdout)) {
        ane_fail(&e, ANE_ERROR_IO, "standard output", "could not be written: %s",
            errno ? strerror(errno) : "perhaps no space is left");
        if (status == CLI_OK) status = CLI_FAILED;
    }
    if (e.code != ANE_OK) cli_report(&e);
    return status;
}
