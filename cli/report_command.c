/* report_command.c - `anemone report`: results files as a page, Markdown, CSV, or the field's community benchmark. */
#include "cli/commands.h"
#include "cli/common.h"

#include "base/file.h"
#include "measure/community.h"
#include "measure/documents.h"
#include "measure/recorded.h"
#include "measure/report.h"

#include <stdlib.h>
#include <string.h>

/* What can be written, and the names of files that ask for it. */
typedef struct format {
    const char *name, *suffix;
    bool (*write)(ane_page *p, const ane_report *r, ane_error *e);
} format;

/* A submission is of one machine. */
static bool write_community(ane_page *p, const ane_report *r, ane_error *e) {
    if (json_array_size(r->own) != 1) {
        ane_fail(e, ANE_ERROR_ARGUMENT, "report",
            "a community benchmark is of one machine, found %zu results files", json_array_size(r->own));
        return ane_hint(e, "name one results file");
    }
    json_t *submission = ane_community_submission(json_array_get(r->own, 0), e);
    char *text = submission ? json_dumps(submission, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    if (text) {
        ane_page_put(p, text);
        ane_page_put(p, "\n");
    }
    free(text);
    json_decref(submission);
    return text != NULL || ane_fail(e, ANE_ERROR_MEMORY, "report", "out of memory");
}

static const format formats[] = {{"community", ".community.json", write_community},
    {"html", ".html", ane_report_html}, {"md", ".md", ane_report_markdown}, {"csv", ".csv", ane_report_csv}};
enum { N_FORMATS = sizeof formats / sizeof *formats };

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static const format *choose(const cli_args *args, ane_error *e) {
    const char *name = cli_string(args, "format"), *out = cli_string(args, "out");
    for (int i = 0; i < N_FORMATS; i++)
        if (name ? strcmp(name, formats[i].name) == 0 : out && ends_with(out, formats[i].suffix))
            return &formats[i];
    if (!name && !out) return &formats[2]; /* a terminal's */
    cli_usage_error(e, "--out", "the name \"%.200s\" ends in none of .html, .md, .csv, .community.json", out);
    ane_hint(e, "name the format: --format html");
    return NULL;
}

static bool read_all(const cli_args *args, json_t *own, ane_error *e) {
    for (int i = 0; i < args->n_words; i++)
        if (!ane_documents_read(own, args->words[i], e)) return false;
    return true;
}

static bool put(const ane_page *p, const char *out, ane_error *e) {
    if (out) return ane_write_file(out, p->text, p->used, e);
    fwrite(p->text, 1, p->used, stdout); /* main looks for errors */
    return true;
}

static int run(const cli_args *args, ane_error *e) {
    const format *f = choose(args, e);
    if (!f) return CLI_USAGE;
    bool alone = cli_flag(args, "alone");
    if (args->n_words == 0 && (alone || f->write == write_community)) {
        cli_usage_error(e, "report", "expected results files, found none");
        ane_hint(e, "anemone bench quick -o results.json makes one");
        return CLI_USAGE;
    }
    ane_page page = {0};
    json_t *own = json_array(), *recorded = alone ? json_array() : ane_recorded_documents(e);
    const ane_report r = {.own = own, .recorded = recorded, .title = cli_string(args, "title")};
    bool ok = own && recorded && read_all(args, own, e) && f->write(&page, &r, e) &&
              put(&page, cli_string(args, "out"), e);
    free(page.text);
    json_decref(own);
    json_decref(recorded);
    return ok ? CLI_OK : CLI_FAILED;
}

static const cli_option options[] = {
    {.name = "out",
        .letter = 'o',
        .kind = CLI_PATH,
        .value = "FILE",
        .help = "write here instead of standard output; .html, .md, .csv or .community.json says what"},
    {.name = "format",
        .kind = CLI_CHOICE,
        .value = "F",
        .choices = "html|md|csv|community",
        .help = "what to write, whatever the name of the file (default without a file: md)"},
    {.name = "title",
        .kind = CLI_STRING,
        .value = "TEXT",
        .help = "the page's title (default: the machines)"},
    {.name = "alone", .kind = CLI_FLAG, .help = "without what others have recorded"},
    {0},
};

const cli_command cli_report_command = {
    .name = "report",
    .summary = "results as a page with plots, as tables, or for the community's benchmark",
    .synopsis = (const char *const[]){"[RESULTS.json | RUN...] [options]", NULL},
    .max_words = 64,
    .description =
        "Reads results of anemone bench and anemone probe, the field's community benchmarks, and runs "
        "(a run's folder or its log.jsonl, for its loss curve), and writes one self-contained page: "
        "plots, and tables under them, with what others have recorded behind one's own. Modelled times "
        "are marked in every plot and row. Without a file: what was recorded, alone.",
    .options = options,
    .examples = (const char *const[]){"anemone report m4max.json runs/first -o report.html",
        "measurements and a run's loss as a page", "anemone report -o recorded.html",
        "everything that the field has published", "anemone report m4max.json -o m4max.community.json",
        "in the schema of the field's community benchmark", NULL},
    .run = run,
};
