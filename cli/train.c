/* train.c - `anemone train`: a new run, or the continuation of one. */
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/recipes.h"
#include "cli/report.h"
#include "cli/restart.h"

#include "anemone/train.h"

#include <string.h>

static const cli_option options[] = {
    {.name = "What to train", .kind = CLI_HEADING},
    {.name = "model",
        .letter = 'm',
        .kind = CLI_PATH,
        .value = "MODEL",
        .help = "stories260k, stories15m, stories42m, stories110m: new weights of that shape; a config.json "
                "likewise; "
                "a folder or a .bin file: its weights"},
    CLI_DATA_OPTION,
    CLI_TOKENIZER_OPTION("the model's own, else bytes"),
    {.name = "out", .letter = 'o', .kind = CLI_PATH, .value = "RUN", .help = "folder for the new run"},
    {.name = "resume",
        .kind = CLI_PATH,
        .value = "RUN",
        .help = "continue this run at its newest good checkpoint; everything else is as it began"},
    {.name = "How long, how large", .kind = CLI_HEADING},
    {.name = "steps",
        .letter = 'n',
        .kind = CLI_INT,
        .value = "N",
        .fallback = "1000",
        CLI_AT_LEAST(1),
        .help = "optimizer steps"},
    CLI_BATCH_OPTION("8"),
    CLI_SEQ_OPTION,
    {.name = "accumulate",
        .kind = CLI_INT,
        .value = "N",
        .fallback = "1",
        CLI_AT_LEAST(1),
        .help = "batches per optimizer step"},
    {.name = "seed",
        .kind = CLI_INT,
        .value = "K",
        .fallback = "0",
        CLI_ANY_SEED,
        .help = "of initial weights and of the data's order"},
    {.name = "stop-after",
        .kind = CLI_INT,
        .value = "N",
        CLI_AT_LEAST(1),
        .help = "save and stop after step N, as Ctrl-C does; --resume continues"},
    {.name = "Learning rate", .kind = CLI_HEADING},
    {.name = "lr",
        .kind = CLI_FLOAT,
        .value = "X",
        .fallback = "5e-4",
        CLI_BETWEEN(0, 1e6),
        .help = "the highest learning rate"},
    {.name = "min-lr",
        .kind = CLI_FLOAT,
        .value = "X",
        .fallback = "0",
        CLI_BETWEEN(0, 1e6),
        .help = "the last learning rate"},
    {.name = "warmup",
        .kind = CLI_INT,
        .value = "N",
        .fallback = "100",
        CLI_AT_LEAST(0),
        .help = "steps of linear warm-up"},
    {.name = "schedule",
        .kind = CLI_CHOICE,
        .value = "KIND",
        .choices = "cosine|constant|wsd",
        .fallback = "cosine",
        .help = "what the rate does after the warm-up"},
    {.name = "wsd-decay",
        .kind = CLI_INT,
        .value = "N",
        CLI_AT_LEAST(0),
        .help = "length of the linear decay at the end, for wsd (default: a tenth of the steps)"},
    {.name = "Optimizer (AdamW)", .kind = CLI_HEADING},
    {.name = "weight-decay",
        .kind = CLI_FLOAT,
        .value = "X",
        .fallback = "0.1",
        CLI_BETWEEN(0, 1e6),
        .help = "decoupled decay; norms and embedding are left out"},
    {.name = "decay-all", .kind = CLI_FLAG, .help = "let norms and embedding decay, too"},
    {.name = "beta1",
        .kind = CLI_FLOAT,
        .value = "X",
        .fallback = "0.9",
        CLI_BETWEEN(0, 0.999999999),
        .help = "decay of the first moment"},
    {.name = "beta2",
        .kind = CLI_FLOAT,
        .value = "X",
        .fallback = "0.95",
        CLI_BETWEEN(0, 0.999999999),
        .help = "decay of the second moment"},
    {.name = "epsilon",
        .kind = CLI_FLOAT,
        .value = "X",
        .fallback = "1e-8",
        CLI_BETWEEN(1e-30, 1),
        .help = "added to the root of the second moment"},
    {.name = "clip",
        .kind = CLI_FLOAT,
        .value = "X",
        .fallback = "1",
        CLI_BETWEEN(0, 1e30),
        .help = "largest norm of the gradient; 0: any"},
    {.name = "Watching", .kind = CLI_HEADING},
    {.name = "validation",
        .kind = CLI_FLOAT,
        .value = "X",
        .fallback = "0.05",
        CLI_BETWEEN(0, 0.9),
        .help = "part of each file held out"},
    {.name = "eval-every",
        .kind = CLI_INT,
        .value = "N",
        .fallback = "100",
        CLI_AT_LEAST(0),
        .help = "measure the loss on held-out data every N steps; 0: never"},
    {.name = "eval-batches",
        .kind = CLI_INT,
        .value = "N",
        .fallback = "8",
        CLI_AT_LEAST(1),
        .help = "batches per measurement"},
    {.name = "save-every",
        .kind = CLI_INT,
        .value = "N",
        .fallback = "500",
        CLI_AT_LEAST(0),
        .help = "save a checkpoint every N steps; 0: only at the end"},
    {.name = "keep",
        .kind = CLI_INT,
        .value = "N",
        .fallback = "3",
        CLI_AT_LEAST(0),
        .help = "checkpoints to keep; 0: all"},
    {.name = "sample-every",
        .kind = CLI_INT,
        .value = "N",
        .fallback = "0",
        CLI_AT_LEAST(0),
        .help = "show a sample every N steps; 0: never"},
    {.name = "sample-prompt",
        .kind = CLI_STRING,
        .value = "TEXT",
        .fallback = "",
        .help = "how samples begin"},
    {.name = "log-every",
        .kind = CLI_INT,
        .value = "N",
        .fallback = "10",
        CLI_AT_LEAST(1),
        .help = "print a line every N steps (log.jsonl has every step)"},
    {.name = "json", .kind = CLI_FLAG, .help = "print one JSON object per event"},
    {.name = "quiet", .letter = 'q', .kind = CLI_FLAG, .help = "print warnings and errors only"},
    {.name = "Where", .kind = CLI_HEADING},
    CLI_DEVICE_OPTIONS,
    CLI_WEIGHTS_OPTION,
    CLI_PLACEMENT_OPTIONS,
    {0},
};

/* Options that may stand beside --resume: they change no number of the run, or the library refuses them when
 * they differ from what the run began with. */
static const char *const resumable[] = {"resume", "stop-after", "device", "log-every", "json", "quiet",
    "model", "data", "tokenizer", "out", NULL};

/* --resume keeps what the run began with: whatever else is given is a mistake. */
static bool check_resume(const cli_args *args, ane_error *e) {
    for (const cli_option *o = options; o->name; o++) {
        bool allowed = o->kind == CLI_HEADING || !cli_given(args, o->name);
        for (int i = 0; resumable[i] && !allowed; i++) allowed = !strcmp(o->name, resumable[i]);
        if (allowed) continue;
        cli_usage_error(e, "train", "--%s cannot be given with --resume: a run goes on as it began", o->name);
        return ane_hint(e, "leave --%s out, or begin a new run with --model %s --out FOLDER", o->name,
            cli_string(args, "resume"));
    }
    return true;
}

static bool fill_schedule(const cli_args *args, ane_schedule *s, ane_error *e) {
    int64_t steps = cli_int(args, "steps"), warmup = cli_int(args, "warmup");
    s->lr = cli_float(args, "lr");
    s->min_lr = cli_float(args, "min-lr");
    s->total = steps;
    /* The default suits long runs; what was asked for is taken as it is. */
    s->warmup = cli_given(args, "warmup") || warmup <= steps / 10 ? warmup : steps / 10;
    s->decay = cli_given(args, "wsd-decay") ? cli_int(args, "wsd-decay") : steps / 10;
    return ane_schedule_from_name(&s->kind, cli_string(args, "schedule"), e);
}

static bool fill_options(const cli_args *args, ane_train_options *o, const char *device, ane_error *e) {
    ane_train_defaults(o);
    const cli_value *data = cli_list(args, "data");
    o->model = cli_string(args, "model");
    o->tokenizer = cli_string(args, "tokenizer");
    o->n_data = data->n;
    o->data = data->texts;
    o->out = cli_string(args, "out");
    o->device = device;
    o->steps = cli_int(args, "steps");
    o->stop_after = cli_int(args, "stop-after");
    o->batch = (int32_t)cli_int(args, "batch");
    o->seq = (int32_t)cli_int(args, "seq");
    o->accumulate = (int32_t)cli_int(args, "accumulate");
    o->seed = (uint64_t)cli_int(args, "seed");
    o->adamw = (ane_adamw_options){.beta1 = cli_float(args, "beta1"),
        .beta2 = cli_float(args, "beta2"),
        .epsilon = cli_float(args, "epsilon"),
        .weight_decay = cli_float(args, "weight-decay"),
        .decay_all = cli_flag(args, "decay-all"),
        .clip = cli_float(args, "clip")};
    o->validation = cli_float(args, "validation");
    o->eval_every = cli_int(args, "eval-every");
    o->eval_batches = cli_int(args, "eval-batches");
    o->save_every = cli_int(args, "save-every");
    o->sample_every = cli_int(args, "sample-every");
    o->log_every = cli_int(args, "log-every");
    o->keep = (int)cli_int(args, "keep");
    o->sample_prompt = cli_string(args, "sample-prompt");
    o->json = cli_flag(args, "json");
    o->quiet = cli_flag(args, "quiet");
    return fill_schedule(args, &o->schedule, e);
}

/* The run was saved; what this process cannot do any more, a new one can. */
static int restart(const cli_args *args, const cli_progress *progress, ane_error *e) {
    ane_error why = *e;
    if (progress->style != CLI_PROGRESS_JSON && progress->style != CLI_PROGRESS_QUIET)
        fprintf(stderr, "anemone: going on in a new process\n");
    *e = (ane_error){0};
    if (!cli_interrupted) cli_restart_train(args, progress->run, e);
    if (e->code == ANE_OK) *e = why;
    return CLI_FAILED;
}

static int run(const cli_args *args, ane_error *e) {
    const char *resume = cli_string(args, "resume");
    const char *weights;
    char device[640];
    ane_placement placement;
    ane_train_options o;
    if (resume && !check_resume(args, e)) return CLI_USAGE;
    if (!resume &&
        (cli_missing(args, "model", e) || cli_missing(args, "data", e) || cli_missing(args, "out", e)))
        return CLI_USAGE;
    if (!cli_read_placement(args, &placement, &weights, e) ||
        !cli_device_spec(args, weights, device, sizeof device, e) ||
        !fill_options(args, &o, resume && !cli_given(args, "device") ? NULL : device, e))
        return CLI_USAGE;
    o.placement = placement;
    cli_progress progress = {.run = resume ? resume : o.out,
        .log_every = o.log_every,
        .style = o.json              ? CLI_PROGRESS_JSON
                 : o.quiet           ? CLI_PROGRESS_QUIET
                 : cli_draws(stdout) ? CLI_PROGRESS_BAR
                                     : CLI_PROGRESS_LINES};
    if (!resume || cli_given(args, "device")) cli_place_threads(args); /* a resumed run's device is its own */
    cli_catch_interrupts("\nanemone: finishing this step, then saving; press Ctrl-C again to stop at once\n");
    if (!ane_train(&o, resume, &cli_interrupted, cli_progress_event, &progress, e)) {
        cli_progress_break(&progress);
        return e->code == ANE_ERROR_EXHAUSTED ? restart(args, &progress, e) : CLI_FAILED;
    }
    return cli_interrupted ? CLI_INTERRUPTED : CLI_OK;
}

const cli_command cli_train = {
    .name = "train",
    .summary = "train a model, or continue a run",
    .synopsis = (const char *const[]){"--model MODEL --data FILE... --out RUN [options]",
        "--resume RUN [--stop-after N]", NULL},
    .description = "Trains a Llama-family model on text. The run folder gets config.json, log.jsonl (one "
                   "object per step) and "
                   "checkpoints in Hugging Face's layout. Ctrl-C finishes the step, saves, and says how to "
                   "resume; a resumed run "
                   "gives the same bits as one that never stopped.\n\nWithout --tokenizer a model's own "
                   "tokenizer is used, else "
                   "bytes: a preset gives the shape, and its vocabulary follows the tokenizer.",
    .options = options,
    .examples = (const char *const[]){"anemone data synth --out stories.txt --size 4M",
        "first, something to read",
        "anemone train --model stories260k --data stories.txt --out runs/first --steps 500",
        "train a small model on its bytes", "anemone train --resume runs/first", "continue after Ctrl-C",
        "anemone train --model stories15m --data a.txt b.txt --tokenizer t.model --out runs/15m --steps 9999",
        "a larger model with a SentencePiece vocabulary", NULL},
    .run = run,
};
