/* emulator.c - `anemone emulator`: what the emulated machine can be, and how its times compare with the record. */
#include "cli/commands.h"
#include "cli/common.h"

#include "device/emulator.h"

#include <dlfcn.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The JSON that a function of the emulator returns as text; NULL with a report. */
static json_t *ask(const char *function, ane_error *e) {
    void *library = ane_emulator_open(e);
    if (!library) return NULL;
    char *(*get)(void);
    void *symbol = dlsym(library, function);
    memcpy(&get, &symbol, sizeof get); /* C has no conversion from data to function */
    char *text = symbol ? get() : NULL;
    json_t *json = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    if (!json) ane_fail(e, ANE_ERROR_DEVICE, "emulator", "the emulator does not answer to %s", function);
    return json;
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static double number_of(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

static void print_chips(const json_t *chips) {
    static const char *const columns[] = {
        "peak_tflops", "dispatch_ms", "bandwidth_gbs", "sram_mb", "compile_ms", "load_ms"};
    const json_t *chip;
    size_t i;
    printf("chips (chip=NAME)\n    %-10s %12s %12s %14s %8s %11s %8s\n", "", "peak TFLOPS", "dispatch ms",
        "bandwidth GB/s", "SRAM MB", "compile ms", "load ms");
    json_array_foreach(chips, i, chip) {
        double v[6];
        for (size_t k = 0; k < 6; k++) v[k] = number_of(json_object_get(chip, columns[k]), "value");
        printf("    %-10s %12.1f %12.3f %14.0f %8.0f %11.1f %8.1f\n", text_of(chip, "name"), v[0], v[1], v[2],
            v[3], v[4], v[5]);
    }
}

static void print_values(const json_t *quirk) {
    const json_t *values = json_object_get(quirk, "values"), *value;
    const char *kind = text_of(quirk, "kind"), *separator = strcmp(kind, "set") == 0 ? "+" : "|";
    size_t i;
    json_array_foreach(values, i, value) {
        printf("%s%s%s%s", i ? separator : "", strcmp(kind, "number") == 0 ? "NUMBER of " : "",
            json_string_value(value), strcmp(kind, "number") == 0 ? "|none" : "");
    }
}

static void print_quirks(const json_t *all) {
    const json_t *quirk, *now = json_object_get(json_object_get(all, "settings"), "quirks");
    size_t i;
    printf("\nquirks (quirk=NAME:VALUE), as set now for the %s\n",
        text_of(json_object_get(all, "settings"), "chip"));
    json_array_foreach(json_object_get(all, "quirks"), i, quirk) {
        printf("    %s:", text_of(quirk, "name"));
        print_values(quirk);
        printf("  [%s]\n        %s\n        (%s)\n", text_of(now, text_of(quirk, "name")),
            text_of(quirk, "what"), text_of(quirk, "source"));
    }
}

static void print_faults(const json_t *faults) {
    const json_t *fault;
    size_t i;
    printf("\nfaults (fault=NAME:ARGUMENTS; N counts calls from 1, N+ means from the N-th on)\n");
    json_array_foreach(faults, i, fault) {
        char name[64];
        snprintf(name, sizeof name, "%s:%s", text_of(fault, "name"), text_of(fault, "arguments"));
        printf("    %-22s %s\n", name, text_of(fault, "what"));
    }
}

static int run_list(const cli_args *args, ane_error *e) {
    json_t *all = ask("anemone_emulator_describe", e);
    if (!all) return CLI_FAILED;
    const char *message = text_of(all, "message");
    bool refused = *message;
    if (refused) ane_fail(e, ANE_ERROR_ARGUMENT, "ANEMONE_EMULATOR", "%s", message);
    if (refused) {
        json_decref(all);
        return CLI_FAILED;
    }
    if (cli_flag(args, "json")) {
        cli_put_json(all);
        return CLI_OK;
    }
    print_chips(json_object_get(all, "chips"));
    print_quirks(all);
    print_faults(json_object_get(all, "faults"));
    json_decref(all);
    return CLI_OK;
}

static void print_single(const json_t *rows) {
    const json_t *row;
    size_t i;
    printf("%-9s %-26s %9s %9s %5s %10s %12s %8s\n", "chip", "table", "channels", "positions", "depth",
        "record ms", "modelled ms", "error");
    json_array_foreach(rows, i, row) {
        printf("%-9s %-26s %9.0f %9.0f %5.0f %10.3f %12.3f %+7.1f%%%s\n", text_of(row, "chip"),
            text_of(row, "table"), number_of(row, "channels"), number_of(row, "positions"),
            number_of(row, "depth"), number_of(row, "ms"), number_of(row, "modelled_ms"),
            100 * number_of(row, "error"), json_is_true(json_object_get(row, "far_off")) ? "  not met" : "");
    }
}

static bool same_program(const json_t *a, const json_t *b) {
    static const char *const keys[] = {"channels", "positions", "depth", "bits", "io_element_bytes"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (number_of(a, keys[i]) != number_of(b, keys[i])) return false;
    return !strcmp(text_of(a, "chip"), text_of(b, "chip"));
}

/* What others recorded of the same program on the same chip: two that differ by more than the bound cannot both be met. */
static void print_other_records(const json_t *rows, const json_t *of) {
    const json_t *row;
    size_t i;
    double least = number_of(of, "ms"), most = least;
    int n = 0;
    json_array_foreach(rows, i, row) {
        if (!same_program(row, of)) continue;
        double ms = number_of(row, "ms");
        least = ms < least ? ms : least;
        most = ms > most ? ms : most;
        n++;
    }
    if (n > 1) printf(" (%d records of this program: %.3f to %.3f ms)", n, least, most);
}

/* Rows that no single model can meet. */
static void print_far_off(const json_t *rows) {
    const json_t *row;
    size_t i;
    int n = 0;
    json_array_foreach(rows, i, row) {
        if (!json_is_true(json_object_get(row, "far_off"))) continue;
        if (!n++) printf("\nnot met by more than half:\n");
        printf("    %s: %s, %.0f channels, depth %.0f: %.3f ms recorded, %.3f ms modelled",
            text_of(row, "source"), text_of(row, "table"), number_of(row, "channels"),
            number_of(row, "depth"), number_of(row, "ms"), number_of(row, "modelled_ms"));
        print_other_records(rows, row);
        printf("\n");
    }
}

static void print_steps(const json_t *rows) {
    const json_t *row;
    size_t i;
    printf("\nthe Neural Engine's part of recorded training steps (checked, not fitted)\n");
    json_array_foreach(rows, i, row) {
        printf("    %-9s %-15s %8.1f ms recorded %8.1f ms modelled %+7.1f%%  (%s)%s\n", text_of(row, "chip"),
            text_of(row, "design"), number_of(row, "ms"), number_of(row, "modelled_ms"),
            100 * number_of(row, "error"), text_of(row, "source"),
            json_is_true(json_object_get(row, "far_off")) ? "  not met" : "");
    }
}

static int run_calibrate(const cli_args *args, ane_error *e) {
    json_t *all = ask("anemone_emulator_calibrate", e);
    if (!all) return CLI_FAILED;
    if (cli_flag(args, "json")) {
        cli_put_json(all);
        return CLI_OK;
    }
    const json_t *single = json_object_get(all, "single");
    print_single(single);
    print_far_off(single);
    print_steps(json_object_get(all, "steps"));
    printf("\nmedian error: %.1f %% of %zu single programs, %.1f %% of %zu training steps\n",
        100 * number_of(all, "single_median_error"), json_array_size(single),
        100 * number_of(all, "steps_median_error"), json_array_size(json_object_get(all, "steps")));
    json_decref(all);
    return CLI_OK;
}

static const cli_option options[] = {
    {.name = "json", .kind = CLI_FLAG, .help = "print one JSON object"},
    {0},
};

const cli_command cli_emulator = {
    .name = "emulator",
    .summary = "chips, quirks and faults of the emulated Neural Engine",
    .synopsis = (const char *const[]){"[--json]", NULL},
    .description = "Lists what the emulator of Apple's framework can be: chip profiles, reports from the "
                   "field that contradict each other "
                   "(quirks) and what can be made to go wrong (faults). Environment variable "
                   "ANEMONE_EMULATOR sets them: "
                   "\"chip=m4,quirk=order:declared,fault=eval:7\". Times are modelled, never measured.",
    .options = options,
    .examples = (const char *const[]){"anemone emulator", "what there is to choose from",
        "ANEMONE_EMULATOR=chip=m5 anemone emulator", "the quirks of another chip", NULL},
    .run = run_list,
};

const cli_command cli_emulator_calibrate = {
    .name = "emulator calibrate",
    .summary = "the emulator's time model beside every recorded measurement",
    .synopsis = (const char *const[]){"[--json]", NULL},
    .description = "Prints each published time of a single program beside the modelled one, with the error "
                   "of each and the median; then "
                   "the Neural Engine's part of recorded training steps, which the model was not fitted to.",
    .options = options,
    .examples = (const char *const[]){"anemone emulator calibrate", "how good the time model is", NULL},
    .run = run_calibrate,
};
