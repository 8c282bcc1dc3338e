/* probe.c - `anemone probe`: questions to a device, its answers beside the recorded ones. */
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/probe_print.h"
#include "cli/probe_process.h"

#include "measure/probes/probe.h"
#include "measure/results.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void list(void) {
    puts("anemone probe NAME..., where NAME is\n");
    for (int i = 0; i < ane_n_probes; i++)
        printf(
            "  %-17s %s%s\n", ane_probes[i].name, ane_probes[i].question, ane_probes[i].engine ? " *" : "");
    puts("  all               every one of them\n\n* only the Neural Engine, or the emulated one, can be "
         "asked");
}

/* Which are wanted, in the table's order. */
static bool choose(const cli_args *args, bool *wanted, int *n, ane_error *e) {
    for (int i = 0; i < args->n_words; i++) {
        bool all = strcmp(args->words[i], "all") == 0;
        const ane_probe *probe = all ? NULL : ane_probe_find(args->words[i], e);
        if (!all && !probe) return false;
        for (int k = 0; k < ane_n_probes; k++) wanted[k] = wanted[k] || all || probe == &ane_probes[k];
    }
    for (int k = 0; k < ane_n_probes; k++) *n += wanted[k];
    return true;
}

/* How the probes of one call are asked. */
typedef struct asking {
    ane_prober prober;
    const char *spec;
    int n, done; /* how many are wanted, and were asked */
    bool json, wrong;
} asking;

/* In this process; in one of its own where this one is used up, or would be. */
static json_t *ask_one(asking *a, const ane_probe *probe, ane_error *e) {
    ane_error why = {0};
    bool alone = a->n == 1,
         elsewhere = !alone && a->prober.engine && (probe->exhausts || a->prober.exhausted);
    json_t *entry = elsewhere ? NULL : ane_prober_ask(&a->prober, probe);
    if (elsewhere || (entry && !alone && a->prober.exhausted)) {
        json_t *other = cli_probe_elsewhere(probe->name, a->spec, &why);
        if (other) {
            json_decref(entry);
            return other;
        }
    }
    if (!entry)
        ane_fail(e, why.code ? why.code : ANE_ERROR_MEMORY, probe->name, "no answer: %s", why.message);
    return entry;
}

/* Ask those that are wanted into the document. */
static bool ask(asking *a, const bool *wanted, json_t *results, ane_error *e) {
    bool terminal = isatty(STDERR_FILENO);
    for (int i = 0; i < ane_n_probes; i++) {
        if (!wanted[i]) continue;
        if (terminal) fprintf(stderr, "\r\033[K[%d/%d] %s", ++a->done, a->n, ane_probes[i].name);
        json_t *entry = ask_one(a, &ane_probes[i], e);
        if (terminal) fprintf(stderr, "\r\033[K");
        if (!entry) return false;
        const char *verdict = cli_probe_verdict(entry);
        a->wrong = a->wrong || strcmp(verdict, "differs") == 0 || strcmp(verdict, "failed") == 0;
        if (!a->json) cli_print_probe(entry, a->n == 1);
        if (!ane_results_add_probe(results, entry, e)) return false;
    }
    return true;
}

static int probe(const cli_args *args, const bool *wanted, int n, ane_error *e) {
    const char *output = cli_string(args, "output");
    char spec[640];
    asking a = {.spec = spec, .n = n, .json = cli_flag(args, "json")};
    if (!cli_device_spec(args, NULL, spec, sizeof spec, e) || !ane_prober_open(&a.prober, spec, e))
        return CLI_FAILED;
    json_t *results = ane_results_new(spec, a.prober.device, e);
    bool ok = results && ask(&a, wanted, results, e) && (!output || ane_results_write(results, output, e));
    if (ok && a.json) cli_put_json(json_incref(results));
    if (ok && !a.json && n > 1) cli_print_probes(json_object_get(results, "probes"));
    json_decref(results);
    ane_prober_close(&a.prober);
    return ok && !a.wrong ? CLI_OK : CLI_FAILED;
}

static int run(const cli_args *args, ane_error *e) {
    bool *wanted = calloc((size_t)ane_n_probes, sizeof *wanted);
    int n = 0, status = CLI_USAGE;
    if (args->n_words == 1 && strcmp(args->words[0], "list") == 0) {
        list();
        status = CLI_OK;
    } else if (!wanted) {
        ane_fail(e, ANE_ERROR_MEMORY, NULL, "out of memory");
    } else if (choose(args, wanted, &n, e)) {
        status = probe(args, wanted, n, e);
    }
    free(wanted);
    return status;
}

static const cli_option options[] = {
    CLI_DEVICE_OPTIONS,
    {.name = "json", .kind = CLI_FLAG, .help = "print the results document (docs/results.md)"},
    {.name = "output", .letter = 'o', .kind = CLI_PATH, .value = "FILE", .help = "write it there"},
    {0},
};

const cli_command cli_probe = {
    .name = "probe",
    .summary = "ask a device what it does, beside what others recorded",
    .synopsis =
        (const char *const[]){"NAME... [--device DEVICE] [--json] [-o FILE]", "all [options]", "list", NULL},
    .min_words = 1,
    .max_words = 64,
    .description =
        "Each probe is a question: it says what it asks, what it did, what the answer is, and whether that "
        "equals the one that "
        "was recorded of the same chip, or of another where there is no record. docs/probes.md has them all, "
        "with method and "
        "source. Questions about Apple's framework are skipped where there is no Neural Engine.\n\n"
        "Before and after each probe a control experiment is made; a machine that fails it gives no "
        "answers.\n\n"
        "Exit status: 0 when no answer differs from the record and none failed, else 1.",
    .options = options,
    .examples = (const char *const[]){"anemone probe all --device ane", "everything, with a table at the end",
        "anemone probe classes --device ane --json -o classes.json",
        "the framework's classes, as text and as JSON", "anemone probe list", "the names", NULL},
    .run = run,
};
