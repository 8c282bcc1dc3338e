/* check.c - `anemone check`: is it a valid program, and would the Neural Engine take it? */
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/program.h"

#include "mil/ane_rules.h"

#include <string.h>

typedef struct findings {
    json_t *list;
    const char *rule;      /* of the finding before, so that each rule is told once */
    int certain, doubtful; /* rules */
    bool json;
} findings;

static void on_finding(void *context, const mil_finding *f) {
    findings *all = context;
    bool first = !all->rule || strcmp(all->rule, f->rule) != 0;
    all->rule = f->rule;
    if (first && f->certain) all->certain++;
    if (first && !f->certain) all->doubtful++;
    if (all->json) {
        json_array_append_new(all->list,
            json_pack("{s:s, s:s, s:s, s:b, s:s, s:s}", "rule", f->rule, "title", f->title, "source",
                f->source, "certain", f->certain, "where", f->where, "detail", f->detail));
        return;
    }
    if (first)
        printf("%s%s  %s\n        (%s)\n", f->rule, f->certain ? "" : ", perhaps", f->title, f->source);
    printf("        %s: %s\n", f->where, f->detail);
}

static void print_summary(const char *path, const findings *all) {
    if (!all->certain && !all->doubtful) {
        printf("%s: a valid program; it breaks no rule of the Neural Engine that is known\n", path);
        return;
    }
    printf("%s: a valid program; it breaks %d rule%s of the Neural Engine, and %d on which reports differ\n",
        path, all->certain, all->certain == 1 ? "" : "s", all->doubtful);
}

static int list_rules(bool json) {
    json_t *list = json_array();
    for (int i = 0; i < mil_n_ane_rules; i++) {
        const mil_ane_rule *r = &mil_ane_rules[i];
        if (!json)
            printf("%s%s  %s\n        (%s)\n", r->id, r->certain ? "" : ", perhaps", r->title, r->source);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b}", "rule", r->id, "title", r->title,
                                        "source", r->source, "certain", r->certain));
    }
    if (json) cli_put_json(json_incref(list));
    json_decref(list);
    return CLI_OK;
}

static int run(const cli_args *args, ane_error *e) {
    findings all = {.json = cli_flag(args, "json")};
    if (cli_flag(args, "rules")) return list_rules(all.json);
    if (!args->n_words) return cli_usage_error(e, "check", "expected a file: anemone check FILE.mil");
    mil_program *p = cli_read_program(args, cli_given(args, "weights"), e);
    if (!p) return CLI_FAILED;
    all.list = json_array();
    mil_check_ane(p, on_finding, &all);
    if (all.json)
        cli_put_json(json_pack("{s:s, s:b, s:i, s:i, s:O}", "file", args->words[0], "valid", 1, "broken",
            all.certain, "doubtful", all.doubtful, "findings", all.list));
    else
        print_summary(args->words[0], &all);
    json_decref(all.list);
    mil_program_free(p);
    return all.certain ? CLI_FAILED : CLI_OK;
}

static const cli_option options[] = {
    {.name = "weights",
        .letter = 'w',
        .kind = CLI_PATH,
        .value = "DIR",
        .help = "check the weights, too: the folder that @model_path stands for"},
    {.name = "rules", .kind = CLI_FLAG, .help = "list the rules, all of them"},
    {.name = "json", .kind = CLI_FLAG, .help = "print one JSON object"},
    {0},
};

const cli_command cli_check = {
    .name = "check",
    .summary = "check a MIL program, and what the Neural Engine would say to it",
    .synopsis = (const char *const[]){"FILE.mil [--weights DIR] [--json]", "--rules [--json]", NULL},
    .min_words = 0,
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
