/* bench.c - `anemone bench NAME`: the benchmarks of src/measure, one, or all of them. */
#include "cli/bench.h"
#include "cli/bench_beside.h"
#include "cli/bench_table.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/interrupt.h"
#include "cli/report.h"
#include "cli/restart.h"

#include "anemone/measure.h"
#include "base/file.h"
#include "base/nearest.h"
#include "measure/recorded.h"

#include <stdlib.h>
#include <string.h>

/* ---- progress ---------------------------------------------------------------------------------------------------- */

typedef struct progress {
    ane_bench *bench;
    const char *out; /* results are kept here after every case; NULL: nowhere */
    int done, total; /* cases of all benchmarks of this call */
    int fresh;       /* measured by this process */
    bool terminal, failed;
    ane_error error;  /* of keeping the results */
    json_t *recorded; /* printed beside ours; NULL: not */
    json_t *before;   /* compared with; NULL: nothing */
} progress;

static void draw(const progress *p, const ane_bench_event *event) {
    char text[200];
    snprintf(text, sizeof text, "%s %s", event->benchmark, event->name);
    cli_draw_bar(stderr, p->done, p->total, text);
}

static bool is_ok(const json_t *row) {
    return strcmp(json_string_value(json_object_get(row, "status")), "ok") == 0;
}

static bool on_event(void *context, const ane_bench_event *event) {
    progress *p = context;
    if (p->terminal) draw(p, event);
    if (!event->row) return !cli_interrupted;
    p->done += event->count > 0;
    p->fresh += !event->kept && is_ok(event->row);
    if (!p->out || event->kept || ane_results_write(ane_bench_results(p->bench), p->out, &p->error))
        return !cli_interrupted;
    p->failed = true;
    return false;
}

/* ---- what to run ------------------------------------------------------------------------------------------------- */

enum { MOST = 64 };
typedef struct suite {
    const ane_benchmark_info *run[MOST];
    int n;
    bool quick;
} suite;

static void list(void) {
    puts("anemone bench NAME, where NAME is\n");
    for (int i = 0; i < ane_benchmark_count(); i++) {
        const ane_benchmark_info *b = ane_benchmark_at(i);
        printf("  %-12s %s%s%s%s\n", b->name, b->summary, b->field[0] ? " (" : "", b->field,
            b->field[0] ? ")" : "");
    }
    puts("  all          every one of them\n  quick        every one of them, small and briefly");
    for (int i = 0; cli_commands[i]; i++)
        if (strncmp(cli_commands[i]->name, "bench ", 6) == 0)
            printf("  %-12s %s\n", cli_commands[i]->name + 6, cli_commands[i]->summary);
}

static bool choose(suite *s, const char *name, ane_error *e) {
    s->quick = strcmp(name, "quick") == 0;
    bool all = s->quick || strcmp(name, "all") == 0;
    const char *names[2 * MOST] = {0};
    int n = ane_benchmark_count(), n_names = 0;
    for (int i = 0; i < n && i < MOST; i++) {
        names[n_names++] = ane_benchmark_at(i)->name;
        if (all || strcmp(name, ane_benchmark_at(i)->name) == 0) s->run[s->n++] = ane_benchmark_at(i);
    }
    if (s->n) return true;
    names[n_names++] = "all";
    names[n_names++] = "quick";
    for (int i = 0; cli_commands[i] && n_names < 2 * MOST - 1; i++)
        if (strncmp(cli_commands[i]->name, "bench ", 6) == 0) names[n_names++] = cli_commands[i]->name + 6;
    cli_usage_error(e, "bench", "there is no benchmark \"%.60s\"", name);
    const char *near = ane_nearest(name, names);
    if (near) ane_hint(e, "did you mean \"anemone bench %s\"?", near);
    return ane_hint(e, "\"anemone bench\" lists them");
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* What is in the file already; NULL without a report when there is no file. */
static json_t *read_earlier(const char *path, ane_error *e) {
    return path && ane_path_exists(path) ? ane_results_read(path, e) : NULL;
}

static ane_bench *open_bench(const cli_args *args, const suite *s, progress *p, ane_error *e) {
    char spec[640];
    const ane_bench_options options = {.seconds = cli_float(args, "time"),
        .ci = cli_float(args, "ci") / 100,
        .quick = s->quick || cli_flag(args, "quick"),
        .filter = cli_string(args, "case"),
        .listener = on_event,
        .context = p};
    if (!cli_device_spec(args, NULL, spec, sizeof spec, e)) return NULL;
    json_t *earlier = read_earlier(p->out, e);
    if (!earlier && e->code != ANE_OK) return NULL;
    return ane_bench_open(spec, &options, earlier, e);
}

/* A process that took over from one that was used up does not print again what that one printed: it is told the last. */
static const char PRINTED[] = "ANEMONE_BENCH_PRINTED";

static void print_table(const suite *s, int index, const progress *p) {
    const char *printed = getenv(PRINTED), *name = s->run[index]->name;
    for (int i = index; printed && i < s->n; i++)
        if (strcmp(printed, s->run[i]->name) == 0) return;
    cli_print_benchmark(ane_bench_results(p->bench), name, s->run[index]->field);
    if (p->recorded) cli_print_recorded(ane_bench_results(p->bench), name, p->recorded);
    setenv(PRINTED, name, 1);
    fflush(stdout);
}

/* Whether a new process can go on from what is kept in the file: it must have got further than this one began. */
static bool can_go_on(const progress *p, ane_error *e) {
    if (e->code != ANE_ERROR_EXHAUSTED) return false;
    if (!p->out) snprintf(e->hint, sizeof e->hint, "Give -o FILE: then it goes on in a new process.");
    return p->out && p->fresh > 0;
}

static bool run_suite(const suite *s, progress *p, bool table, ane_error *e) {
    for (int i = 0; i < s->n; i++) p->total += ane_bench_cases(p->bench, s->run[i]->name);
    bool ok = true;
    for (int i = 0; ok && i < s->n; i++) {
        if (s->n > 1 && ane_bench_cases(p->bench, s->run[i]->name) == 0) continue;
        ok = ane_bench_run(p->bench, s->run[i]->name, e);
        if (p->terminal) fputs("\r\033[K", stderr);
        if (table && (ok || !can_go_on(p, e))) print_table(s, i, p);
    }
    if (p->failed) *e = p->error;
    return ok;
}

static bool any_failed(const json_t *results) {
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(results, "rows"), i, row) {
        if (strcmp(json_string_value(json_object_get(row, "status")), "failed") == 0) return true;
    }
    return false;
}

/* What results are put beside. */
static bool open_beside(const cli_args *args, progress *p, ane_error *e) {
    const char *before = cli_string(args, "compare");
    if (cli_flag(args, "recorded") && !(p->recorded = ane_recorded_documents(e))) return false;
    return !before || (p->before = ane_results_read(before, e));
}

static void close_bench(progress *p) {
    ane_bench_close(p->bench);
    json_decref(p->recorded);
    json_decref(p->before);
}

static bool print_end(const progress *p, bool json, ane_error *e) {
    json_t *results = ane_bench_results(p->bench);
    if (json) {
        cli_put_json(json_incref(results));
        return true;
    }
    cli_print_bench_summary(results);
    return !p->before || cli_print_comparison(results, p->before, e);
}

/* The benchmark of this name, "all" or "quick", as the options say. */
static int run_named(const cli_args *args, const char *name, ane_error *e) {
    suite s = {.n = 0};
    if (!choose(&s, name, e)) return CLI_USAGE;
    progress p = {.out = cli_string(args, "out"), .terminal = cli_draws(stderr)};
    p.bench = open_beside(args, &p, e) ? open_bench(args, &s, &p, e) : NULL;
    if (!p.bench) {
        close_bench(&p);
        return CLI_FAILED;
    }
    cli_catch_interrupts("\nanemone: finishing this case; press Ctrl-C again to stop at once\n");
    bool json = cli_flag(args, "json"), ok = run_suite(&s, &p, !json, e);
    if (p.out && !p.failed && !ane_results_write(ane_bench_results(p.bench), p.out, e)) ok = false;
    bool again = !ok && can_go_on(&p, e), failed = any_failed(ane_bench_results(p.bench));
    if (!again && !print_end(&p, json, e)) ok = false;
    close_bench(&p);
    if (again) {
        ane_error_clear(e);
        cli_restart_same(args, e);
    }
    if (cli_interrupted) return CLI_INTERRUPTED;
    return ok && !failed ? CLI_OK : CLI_FAILED;
}

static const char *first_given(const cli_args *args, const char *const *names) {
    while (*names && !cli_given(args, *names)) names++;
    return *names;
}

int cli_bench_one_or_run(const cli_args *args, const char *name, const char *const *own,
    int (*one)(const cli_args *args, ane_error *e), ane_error *e) {
    static const char *const cases[] = {"out", "recorded", "compare", "quick", "case", "time", "ci", NULL};
    const char *of_one = first_given(args, own), *of_cases = first_given(args, cases);
    if (!of_one) return run_named(args, name, e);
    if (!of_cases) return one(args, e);
    cli_usage_error(
        e, args->command->name, "--%s times one, --%s is for the benchmark's cases", of_one, of_cases);
    return CLI_USAGE;
}

static int run(const cli_args *args, ane_error *e) {
    if (args->n_words > 0) return run_named(args, args->words[0], e);
    list();
    return CLI_OK;
}

static const cli_option options[] = {
    CLI_BENCH_OPTIONS,
    CLI_DEVICE_OPTIONS,
    {0},
};

const cli_command cli_bench = {
    .name = "bench",
    .summary = "measure a device: one benchmark of the field, or all",
    .synopsis = (const char *const[]){"", "NAME [options]", NULL},
    .max_words = 1,
    .description = "Runs a benchmark on any device and prints a table. Every evaluation's status is checked, "
                   "one output of every "
                   "case is compared with the reference, and times shorter than the device can do are "
                   "refused: a case that fails "
                   "has an error and no number. Without a name: lists the benchmarks.\n\n"
                   "With -o, results are kept in a file (docs/results.md) after every case; the same command "
                   "again goes on where it "
                   "stopped. Times of the emulated Neural Engine are modelled, and say so.",
    .options = options,
    .examples = (const char *const[]){"anemone bench peak", "the rate of this computer's processor",
        "anemone bench all --device ane:emulator,chip=m4-max -o m4max.json",
        "every benchmark on an emulated Neural Engine; again to go on after stopping",
        "anemone bench peak --recorded --compare before.json",
        "beside what others measured, and since last time", NULL},
    .run = run,
};
