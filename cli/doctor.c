/* doctor.c - `anemone doctor`: the self-test of the Neural Engine, in the open. */
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/doctor_cpu.h"

#include "base/file.h"
#include "device/ane/selftest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- asking ------------------------------------------------------------------------------------------------------- */

typedef struct listener {
    bool draws; /* a line for each question, on a terminal */
    json_t *questions;
} listener;

static json_t *error_of(const ane_error *e) {
    if (!e->code) return json_null();
    return json_pack("{s:s, s:s, s:s, s:s}", "code", ane_code_name(e->code), "where", e->where, "message",
        e->message, "hint", e->hint);
}

static void hear(void *context, int question, const engine_finding *found) {
    const engine_question *q = &engine_questions[question];
    const listener *l = context;
    if (l->draws)
        fprintf(
            stderr, found ? "\r\033[K" : "\r\033[K[%d/%d] %s", question + 1, engine_n_questions, q->question);
    if (!found) return;
    json_array_append_new(l->questions,
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:f, s:o}", "name", q->name, "question", q->question,
            "answer", found->answer, "outcome", engine_outcome_name(found->outcome), "decides", q->decides,
            "reports", q->reports, "ms", round(found->ms * 1000) / 1000, "error", error_of(&found->error)));
}

static json_t *verdict(const engine_examination *x, bool works, const ane_error *e) {
    if (!works) return json_pack("{s:b, s:o}", "works", false, "error", error_of(e));
    return json_pack("{s:b, s:s, s:s, s:s, s:s}", "works", true, "description", x->capabilities.description,
        "weights", x->weights, "ports", x->several_ports ? "several" : "one in, one out", "dialect",
        ane_dialect_name(x->facts.dialect));
}

/* Everything, as one object; *broken: something that is expected to work does not. NULL and a report when the options
 * make no sense. */
static json_t *examine(const char *device, bool *broken, ane_error *report) {
    const char *colon = strchr(device, ':');
    ane_error e = {0};
    engine_examination x;
    listener l = {isatty(STDERR_FILENO), json_array()};
    const engine_watcher watcher = {hear, &l};
    bool works = engine_examine(colon ? colon + 1 : "", &watcher, &x, &e);
    if (e.code == ANE_ERROR_ARGUMENT) {
        json_decref(l.questions);
        *report = e;
        return NULL;
    }
    bool absent = !works && e.code == ANE_ERROR_UNSUPPORTED && json_array_size(l.questions) == 0;
    json_t *cpu = cli_examine_cpu();
    *broken = (!works && !absent) || !json_is_true(json_object_get(cpu, "ok"));
    return json_pack("{s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "version", ANEMONE_VERSION,
        "device", device, "absent", absent, "broken", *broken, "machine", ane_machine_to_json(&x.machine),
        "facts", json_array_size(l.questions) ? ane_facts_to_json(&x.facts) : json_null(), "questions",
        l.questions, "verdict", verdict(&x, works, &e), "cpu", cpu, "emulator", cli_examine_emulator());
}

/* ---- telling ------------------------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void print_machine(const json_t *m) {
    bool emulated = json_is_true(json_object_get(m, "emulated"));
    if (!*text_of(m, "framework")) return; /* nothing was opened */
    printf("%s%s %s%s%s, OS build %s, %s\n", emulated ? "emulated: " : "", "chip", text_of(m, "chip"),
        *text_of(m, "sub_type") ? ", " : "", text_of(m, "sub_type"), text_of(m, "os_build"),
        text_of(m, "framework"));
}

static void print_questions(const json_t *list) {
    const json_t *q;
    size_t i;
    json_array_foreach(list, i, q) {
        const json_t *error = json_object_get(q, "error");
        if (i == 0) printf("\n%-68s %s\n", "question", "answer");
        printf("%-68s %s\n", text_of(q, "question"), text_of(q, "answer"));
        printf("    decides: %s\n    reports: %s\n", text_of(q, "decides"), text_of(q, "reports"));
        if (json_is_object(error)) printf("    because: %s\n", text_of(error, "message"));
    }
}

static void print_verdict(const json_t *all) {
    const json_t *v = json_object_get(all, "verdict"), *error = json_object_get(v, "error");
    printf("\n");
    if (json_is_true(json_object_get(v, "works"))) {
        printf("anemone will use: %s; inputs and outputs of a program: %s; header %s\n",
            text_of(v, "description"), text_of(v, "ports"), text_of(v, "dialect"));
        return;
    }
    printf("%s: %s\n",
        json_is_true(json_object_get(all, "absent")) ? "no Neural Engine" : "the device does not open",
        text_of(error, "message"));
    if (*text_of(error, "hint")) printf("    %s\n", text_of(error, "hint"));
}

static void print_rest(const json_t *all, bool broken) {
    const json_t *cpu = json_object_get(all, "cpu"), *emulator = json_object_get(all, "emulator");
    bool right = json_is_true(json_object_get(cpu, "ok")),
         found = json_is_true(json_object_get(emulator, "found"));
    printf("CPU: %s%s (%s, %s vectors, %s, %lld threads)\n",
        right ? "right" : "WRONG: ", text_of(cpu, "message"), text_of(cpu, "processor"),
        text_of(cpu, "vectors"), text_of(cpu, "products"),
        (long long)json_integer_value(json_object_get(cpu, "threads")));
    printf("emulator: %s\n", found ? "there; anemone doctor --device ane:emulator examines it"
                                   : "not built, and only tests need it (scripts/setup --emulator)");
    if (broken)
        printf("\nSomething is broken. Please send the file that this writes:\n"
               "    anemone doctor --device %s --output doctor.json\n",
            text_of(all, "device"));
}

static bool save(const json_t *all, const char *path, ane_error *e) {
    char *text = json_dumps(all, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    bool ok = text ? ane_write_file(path, text, strlen(text), e)
                   : ane_fail(e, ANE_ERROR_MEMORY, path, "no memory for the report");
    free(text);
    return ok;
}

static int run(const cli_args *args, ane_error *e) {
    const char *device = cli_string(args, "device"), *output = cli_string(args, "output");
    bool broken = false;
    if (strncmp(device, "ane", 3) != 0 || (device[3] && device[3] != ':'))
        return cli_usage_error(e, "--device", "expected ane or ane:OPTIONS, found \"%s\"", device);
    json_t *all = examine(device, &broken, e);
    if (!all) {
        ane_fail(e, ANE_ERROR_MEMORY, NULL, "no memory for the report");
        return CLI_FAILED;
    }
    bool saved = !output || save(all, output, e);
    if (cli_flag(args, "json")) {
        cli_put_json(json_incref(all));
    } else {
        print_machine(json_object_get(all, "machine"));
        print_questions(json_object_get(all, "questions"));
        print_verdict(all);
        print_rest(all, broken);
    }
    json_decref(all);
    return saved && !broken ? CLI_OK : CLI_FAILED;
}

static const cli_option options[] = {
    {.name = "device",
        .letter = 'd',
        .kind = CLI_STRING,
        .value = "DEVICE",
        .fallback = "ane",
        .help = "what to examine: ane, or ane:emulator with its options"},
    {.name = "json", .kind = CLI_FLAG, .help = "print one JSON object"},
    {.name = "output",
        .letter = 'o',
        .kind = CLI_PATH,
        .value = "FILE",
        .help = "write the JSON object there, too"},
    {0},
};

const cli_command cli_doctor = {
    .name = "doctor",
    .summary = "examine this machine's Neural Engine, question by question",
    .synopsis = (const char *const[]){"[--device ane:OPTIONS] [--json] [--output FILE]", NULL},
    .description =
        "Runs the self-test of the Neural Engine afresh: tiny programs whose results are known, each of "
        "which "
        "answers a question on which reports from the field differ. It takes about a minute on hardware. "
        "What is "
        "found is kept for this chip, OS build and version of Apple's framework, and other commands use "
        "it.\n\n"
        "Where there is no Neural Engine it says why, and examines the CPU.\n\n"
        "Exit status: 0 when everything that is expected to work does, 1 when something is broken.",
    .options = options,
    .examples =
        (const char *const[]){"anemone doctor", "what this machine can do", "anemone doctor -o doctor.json",
            "for a bug report", "anemone doctor -d ane:emulator,chip=m1", "the same of an emulated M1", NULL},
    .run = run,
};
