/* commands.h - one row per command; each lives in the file of its name. */
#ifndef ANEMONE_CLI_COMMANDS_H
#define ANEMONE_CLI_COMMANDS_H

#include "cli/options.h"

extern const cli_command cli_train, cli_generate, cli_eval, cli_convert, cli_data_synth, cli_data_info,
    cli_run, cli_check, cli_format, cli_grad, cli_info, cli_doctor, cli_probe, cli_bench_train,
    cli_bench_gemm, cli_bench_generate, cli_bench, cli_emulator_calibrate, cli_emulator, cli_cache_clear,
    cli_cache, cli_version, cli_help;
extern const cli_command cli_report_command;

#endif
