/* check.c - `anemone check`: is it a valid program, and would the Neural Engine take it? */
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/program.h"

typedef struct findings {
    json_t *list;
    int certain, doubtful;
    bool json;
} findings;

static void on_finding(void *context, const mil_finding *f) {
    findings *all = context;
    if (f->certain)
        all->certain++;
    else
        all->doubtful++;
    if (!all->json) {
        printf("%s %s: %s\n  %s\n  source: %s\n", f->rule, f->certain ? f->where : "(reports differ)",
            f->title, f->detail, f->source);
        if (!f->certain) printf("  at: %s\n", f->where);
        return;
    }
    json_array_append_new(
        all->list, json_pack("{s:s, s:s, s:s, s:b, s:s, s:s}", "rule", f->rule, "title", f->title, "source",
                       f->source, "certain", f->certain, "where", f->where, "detail", f->detail));
}

static void print_summary(const char *path, const findings *all) {
    printf("%s: a valid program; ", path);
    if (!all->certain && !all->doubtful)
        puts("it breaks no rule of the Neural Engine that is known");
    else
        printf("%d rule%s of the Neural Engine broken, %d more where reports differ\n", all->certain,
            all->certain == 1 ? "" : "s", all->doubtful);
}

static int run(const cli_args *args, ane_error *e) {
    findings all = {.json = cli_flag(args, "json"), .list = json_array()};
    mil_program *p = cli_read_program(args, cli_given(args, "weights"), e);
    if (p) {
        mil_check_ane(p, on_finding, &all);
        if (all.json)
            cli_put_json(json_pack("{s:s, s:b, s:i, s:i, s:O}", "file", args->words[0], "valid", 1, "broken",
                all.certain, "doubtful", all.doubtful, "findings", all.list));
        else
            print_summary(args->words[0], &all);
    }
    json_decref(all.list);
    mil_program_free(p);
    return p && !all.certain ? CLI_OK : CLI_FAILED;
}

static const cli_option options[] = {
    {.name = "weights",
        .letter = 'w',
        .kind = CLI_PATH,
        .value = "DIR",
        .help = "check the weights, too: the folder that @model_path stands for"},
    {.name = "json", .kind = CLI_FLAG, .help = "print one JSON object"},
    {0},
};

const cli_command cli_check = {
    .name = "check",
    .summary = "check a MIL program, and what the Neural Engine would say to it",
    .synopsis = (const char *const[]){"FILE.mil [--weights DIR] [--json]", NULL},
    .min_words = 1,
    .max_words = 1,
    .description =
        "Checks types, shapes and names, then the rules that the Neural Engine is known to have, each with "
        "its id "
        "and who reports it.\n\nExit status: 0 when nothing certain is wrong, 1 when the program is not "
        "valid "
        "or breaks a rule that is certain. Rules on which reports differ are listed and change nothing.",
    .options = options,
    .examples = (const char *const[]){"anemone check model.mil", "every rule that it breaks",
        "anemone check --json model.mil | jq '.findings[].rule'", "for programs", NULL},
    .run = run,
};
